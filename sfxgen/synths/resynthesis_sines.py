"""The tones of a resynthesis: one oscillator a track, as sharp in time as the noise beside it.

Phases run on through a track (McAulay and Quatieri, 1986, without their cubic: a log-mel knows no phases). On a circle
tracks go on across the seam, and a tone that sounds all the way round closes on a whole number of turns.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfxgen import mel
from sfxgen.synths import resynthesis_grid as grid
from sfxgen.synths.resynthesis_noise import STEP, STEPS_A_FRAME
from sfxgen.synths.resynthesis_tracks import LOWEST_BAND, Array, Track, find_tracks, seen_power, tone_power

BEYOND_FRAMES = 2  # the window sees a tone that long before it shows as a peak


def find_tones(power: Array, loop: bool) -> list[Track]:
    """Tracks in mel power [frames, N_MELS]; on a circle they may run past the last frame and begin again at the first.

    The circle is cut where least goes on: at its quietest frame.
    """
    cut = int(power.sum(1).argmin()) if loop else 0
    tracks = find_tracks(np.roll(power, -cut, axis=0))
    if loop:
        tracks = _join(tracks, len(power))
    for track in tracks:
        track.first = (track.first + cut) % len(power)
        _make_up_for_motion(track)
    return tracks


def power_of(tracks: list[Track], n_frames: int) -> Array:
    """Mel power that the tones account for, [n_frames, N_MELS]."""
    total = np.zeros((n_frames, mel.N_MELS))
    for track in tracks:
        frames = (track.first + np.arange(len(track.position))) % n_frames
        np.add.at(total, frames, seen_power(np.array(track.position)) * np.array(track.amplitude)[:, None] ** 2)
    return total


def render(tracks: list[Track], power: Array, sharpening: Array, phases: NDArray[np.float64], loop: bool) -> Tensor:
    """The tones' sum [samples], float64.

    power: mel power [frames, N_MELS]. sharpening: [N_MELS, steps], what the noise's envelopes are sharpened by (of
    power). phases: rad at each track's first frame, [tracks].
    """
    n_frames = len(power)
    n_samples = (n_frames if loop else n_frames - 1) * mel.HOP_SAMPLES
    total = np.zeros(n_samples)
    for track, phase in zip(tracks, phases, strict=True):
        closed = loop and len(track.position) == n_frames
        frames, position, amplitude = _with_surroundings(track, power, closed, loop)
        steps = np.arange(len(frames) * STEPS_A_FRAME - (0 if closed else STEPS_A_FRAME - 1)) / STEPS_A_FRAME
        place = np.interp(steps, np.arange(len(position)), position)
        columns = (frames[0] * STEPS_A_FRAME + np.arange(len(steps))) % sharpening.shape[1]
        sharp = np.sqrt(sharpening[np.clip(np.rint(place), 0, mel.N_MELS - 1).astype(int), columns])
        level = np.interp(steps, np.arange(len(amplitude)), amplitude) * sharp
        sound = _oscillate(grid.hz_at(place), level, phase, closed)
        where = frames[0] * mel.HOP_SAMPLES + np.arange(len(sound))
        if loop:
            np.add.at(total, where % n_samples, sound)
        else:
            inside = (where >= 0) & (where < n_samples)
            total[where[inside]] += sound[inside]
    return torch.from_numpy(total)


def _make_up_for_motion(track: Track) -> None:
    """Raises the amplitudes of a tone that moves: the three bands by which it was measured saw only a part of it."""
    position = np.array(track.position)
    bands = np.clip(np.rint(position).astype(int), 1, mel.N_MELS - 2)[:, None] + np.arange(-1, 2)
    still, moving = (
        np.take_along_axis(seen, bands, 1).sum(1) for seen in (seen_power(position, 1), seen_power(position))
    )
    track.amplitude = [
        a * float(factor)
        for a, factor in zip(track.amplitude, np.sqrt(still / np.maximum(moving, 0.05 * still)), strict=True)
    ]


def _oscillate(hz: Array, level: Array, phase: float, closed: bool) -> Array:
    """One tone from frequency and amplitude every STEP samples; `closed` makes it run round a circle."""
    n = (len(hz) if closed else len(hz) - 1) * STEP
    at = np.arange(n) / STEP
    if closed:
        hz, level = np.append(hz, hz[0]), np.append(level, level[0])
    nodes = np.arange(len(hz))
    turns = np.cumsum(np.interp(at, nodes, hz)) / mel.RATE_HZ
    if closed:
        turns += (round(turns[-1]) - turns[-1]) * np.arange(1, n + 1) / n
    return np.asarray(np.interp(at, nodes, level) * np.sin(2.0 * math.pi * turns + phase))


def _with_surroundings(track: Track, power: Array, closed: bool, loop: bool) -> tuple[NDArray[np.intp], Array, Array]:
    """Frames (they may lie beyond the ends), positions and amplitudes, with what surrounds a tone's ends.

    A tone that starts at once is seen by the window before it shows as a peak: there it is as loud as its band allows,
    and no louder than at its end. The outermost frame is silent.
    """
    n_frames = len(power)
    inner = track.first + np.arange(len(track.position))
    position, amplitude = np.array(track.position), np.array(track.amplitude)
    if closed:
        return inner, position, amplitude
    reach = np.sqrt(_seen(position[[0, -1]]))
    sides = []
    for end, step in ((0, -1), (-1, 1)):
        frames = inner[end] + step * np.arange(1, BEYOND_FRAMES + 1)
        band = int(np.rint(position[end]))
        known = frames % n_frames if loop else np.clip(frames, 0, n_frames - 1)
        allowed = np.sqrt(power[known, band]) / reach[end]
        allowed = allowed * (1.0 if loop else (frames >= 0) & (frames < n_frames))
        sides.append(np.append(np.minimum.accumulate(np.minimum(allowed, amplitude[end])), 0.0))
    beyond = BEYOND_FRAMES + 1
    frames = np.arange(inner[0] - beyond, inner[-1] + beyond + 1)
    return (
        frames,
        np.pad(position, beyond, mode="edge"),
        np.concatenate([sides[0][::-1], amplitude, sides[1]]),
    )


def _seen(position: Array) -> Array:
    """What the nearest band sees of full-scale sines."""
    bins, power = tone_power(grid.hz_at(position))
    bands = np.clip(np.rint(position).astype(int), LOWEST_BAND, mel.N_MELS - 1)
    return np.asarray(np.maximum((mel.filters()[bins, bands[:, None]] * power).sum(-1), 1e-3))


def _join(tracks: list[Track], n_frames: int) -> list[Track]:
    """Puts tracks that end at the last frame and tracks that start at the first one together, each once."""
    starts = [track for track in tracks if track.first == 0 and track.end < n_frames]
    joined = [track for track in tracks if track.first > 0 or track.end == n_frames]
    for track in joined:
        if track.end < n_frames or track.first == 0:
            continue
        near = [s for s in starts if abs(s.position[0] - track.position[-1]) < 1.0]
        if near:
            best = min(near, key=lambda s: abs(s.position[0] - track.position[-1]))
            starts.remove(best)
            track.position += best.position
            track.amplitude += best.amplitude
            track.height_db += best.height_db
    return joined + starts
