"""A room with six flat walls: its first echoes by mirror images (Allen & Berkley, "Image method for efficiently
simulating small-room acoustics", 1979), and where these are too many to be told apart, noise that dies away as sound
does in a room whose sound comes from all sides alike (Kuttruff, Room Acoustics, chapters 4 and 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sfxgen.physics.air import SOUND_SPEED_M_S
from sfxgen.physics.air.absorption import air_db_per_m
from sfxgen.physics.modal.shapes import Array

BANDS_HZ = (125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0)  # walls: the last two are as the one before
LONGEST_S = 20.0
CUT = 0.75  # of LONGEST_S: where a room that rings longer begins to be faded out
CROWDED_HZ = 48_000.0  # echoes a second that run together
FADE = 0.7  # of the time when they do: noise begins to take over
SEED = 0


def t60_s(size_m: Sequence[float], absorption: Array) -> Array:
    """Time in which the walls alone take 60 dB of the room's sound, of each absorption, 0 to 1. Eyring, 1930."""
    a, b, c = size_m
    area = 2 * (a * b + b * c + c * a)
    return np.asarray(24 * math.log(10) / SOUND_SPEED_M_S * a * b * c / (-area * np.log1p(-absorption)))


def echoes(
    size_m: Sequence[float],
    source_m: Sequence[float],
    listener_m: Sequence[float],
    absorption: Sequence[float],
    rate_hz: int,
) -> tuple[Array, Array]:
    """What the room adds to a click of one frame whose direct sound is 1, from when that arrives: the middles of bands
    [B] (Hz), and the heights of the echoes in each, [B, frames].

    All (m), from a corner; absorption: of the walls at the six first BANDS_HZ, 0 to 1. Air absorbs too. It lasts until
    the slowest band has fallen by 60 dB, or is faded out at LONGEST_S.
    """
    bands_hz = np.array([hz for hz in BANDS_HZ if hz < rate_hz / 2])
    walls = np.array([*absorption, absorption[-1], absorption[-1]])[: len(bands_hz)]
    air_db_m = air_db_per_m(bands_hz)
    falls_s = 1 / (1 / t60_s(size_m, walls) + air_db_m * SOUND_SPEED_M_S / 60)
    n_frames = round(min(LONGEST_S, float(falls_s.max())) * rate_hz)
    direct_m, volume_m3 = math.dist(source_m, listener_m), math.prod(size_m)
    crowded_s = math.sqrt(CROWDED_HZ * volume_m3 / (4 * math.pi * SOUND_SPEED_M_S**3))
    crowded_s = max(crowded_s, 2 * direct_m / SOUND_SPEED_M_S)

    distance, order = images(size_m, source_m, listener_m, crowded_s * SOUND_SPEED_M_S)
    frame = np.rint((distance - direct_m) / SOUND_SPEED_M_S * rate_hz).astype(np.int64)
    heard = frame < n_frames
    distance, order, frame = distance[heard], order[heard], frame[heard]
    height = direct_m / distance * (1 - walls[:, None]) ** (order / 2)
    height = height * 10 ** (-air_db_m[:, None] * (distance - direct_m) / 20)
    first = np.array([np.bincount(frame, own, n_frames) for own in height])

    # From when it sounds, N(t) = 4π (ct)³ / 3V images have been heard, each of (direct / ct)² times what walls leave.
    at_s = direct_m / SOUND_SPEED_M_S + np.arange(n_frames) / rate_hz
    power = 4 * math.pi * SOUND_SPEED_M_S * direct_m**2 / (volume_m3 * rate_hz) * 10 ** (-6 * at_s / falls_s[:, None])
    noise = np.random.Generator(np.random.PCG64(SEED)).standard_normal(n_frames)
    turn = np.pi / 2 * np.clip((at_s / crowded_s - FADE) / (1 - FADE), 0, 1)
    left: Array = np.ones(n_frames)
    if float(falls_s.max()) > LONGEST_S:
        left = np.cos(np.pi / 2 * np.clip((np.arange(n_frames) / n_frames - CUT) / (1 - CUT), 0, 1)) ** 2
    return bands_hz, left * (np.cos(turn) * first + np.sin(turn) * np.sqrt(power) * noise)


def images(
    size_m: Sequence[float], source_m: Sequence[float], listener_m: Sequence[float], farthest_m: float
) -> tuple[Array, Array]:
    """Distance (m) of every image but the source itself, up to farthest_m, and how many walls it lies behind."""
    squares, counts = [], []
    for size, source, listener in zip(size_m, source_m, listener_m, strict=True):
        n = math.ceil((farthest_m / size + 1) / 2)
        turns = 2 * np.arange(-n, n + 1)
        squares.append((np.concatenate([turns * size + source, turns * size - source]) - listener) ** 2)
        counts.append(np.concatenate([np.abs(turns), np.abs(turns - 1)]))
    square = squares[0][:, None, None] + squares[1][:, None] + squares[2]
    order = counts[0][:, None, None] + counts[1][:, None] + counts[2]
    near = (square < farthest_m**2) & (order > 0)
    return np.sqrt(square[near]), order[near].astype(np.float64)
