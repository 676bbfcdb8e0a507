"""The same sound as another recording of it might be: random changes to a log-mel, for training the encoder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sfxgen import mel

Levels = NDArray[np.float32]  # dB below the loudest cell, [frames, N_MELS]
LONGEST_FRAMES = 700  # 8 s


def changed(levels_db: Levels, rng: np.random.Generator) -> Levels:
    """Of another length, cut, pitch, colour, room, noise and range of levels, [other frames, N_MELS]."""
    x = _stretched(levels_db, rng)
    x = _moved_in_pitch(x, int(rng.integers(-6, 7)))
    x = x + _colour(rng)
    if rng.random() < 0.25:
        x = _in_a_room(x, decay_db=rng.uniform(0.25, 2.0), wet_db=rng.uniform(-26.0, -6.0))
    if rng.random() < 0.4:
        noise = rng.uniform(-68.0, -40.0) + np.linspace(1, -1, mel.N_MELS) * 10 * rng.random()
        noise = noise + 2 * rng.standard_normal(x.shape)
        x = 10 * np.log10(10 ** (x / 10) + 10 ** (noise / 10))
    if rng.random() < 0.3:  # an old game's sampling rate
        x[:, rng.integers(70, mel.N_MELS) :] = mel.FLOOR_DB
    x = (x - x.max()) * (1 + rng.uniform(-0.15, 0.15))
    return np.asarray(np.clip(x, mel.FLOOR_DB, 0.0), dtype=np.float32)


def _stretched(x: Levels, rng: np.random.Generator) -> Levels:
    """Up to 28 % faster or slower; of a long sound perhaps without its first or last third."""
    rate = np.exp(rng.uniform(-0.25, 0.25))
    n_frames = min(max(2, int(len(x) * rate)), LONGEST_FRAMES)
    third = n_frames // 3 + 1 if len(x) > 120 else 0
    start = int(rng.integers(0, third)) if third and rng.random() < 0.3 else 0
    end = n_frames - int(rng.integers(0, third)) if third and rng.random() < 0.3 else n_frames
    frames = np.clip(np.round(np.arange(start, max(end, start + 2)) / rate), 0, len(x) - 1)
    return np.asarray(x[frames.astype(np.int64)])


def _moved_in_pitch(x: Levels, bands: int) -> Levels:
    moved = np.full_like(x, mel.FLOOR_DB)
    kept = x.shape[1] - abs(bands)
    moved[:, max(0, bands) : max(0, bands) + kept] = x[:, max(0, -bands) : max(0, -bands) + kept]
    return moved


def _colour(rng: np.random.Generator) -> Levels:
    """A smooth random equaliser and a tilt (dB), [N_MELS]."""
    bands = np.arange(mel.N_MELS)
    smooth = np.interp(bands, np.linspace(0, mel.N_MELS - 1, 6), rng.normal(0, 4, 6))
    return np.asarray(smooth + np.linspace(-1, 1, mel.N_MELS) * rng.normal(0, 5), dtype=np.float32)


def _in_a_room(x: Levels, decay_db: float, wet_db: float) -> Levels:
    """Each band rings on, falling by decay_db a frame."""
    tail = x.copy()
    for frame in range(1, len(x)):
        tail[frame] = np.maximum(x[frame], tail[frame - 1] - decay_db)
    return np.asarray(np.maximum(x, tail + wet_db), dtype=np.float32)
