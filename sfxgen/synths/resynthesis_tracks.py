"""Tones in a log-mel: peaks narrow enough for a sine, followed from frame to frame.

Peak picking and tracking after McAulay and Quatieri (1986), with the frequency read off three neighbouring bands: how
a sine's lobe falls on the triangles is known, so the bands' centroid tells where between the centres it lies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sfxgen import mel
from sfxgen.synths import resynthesis_grid as grid

Array = NDArray[np.float64]
OFFSETS = np.linspace(-0.75, 0.75, 31)  # bands from a centre at which a sine's share of three bands is tabled
NEAR, FAR = 2, 5  # bands: where to either side the valley beside a peak is looked for
CANDIDATE_DB = 4.0  # over the higher of the two valleys
FAINTEST = 10.0 ** (mel.FLOOR_DB / 10.0)
PAIR_BANDS = 0.8  # how far from where it was heading a track may go on
FASTEST_BANDS = 3.0  # a frame
MOMENTS = 15  # of a window, at which a moving tone is looked at
HIGHEST_BAND = mel.N_MELS - 2
LOWEST_BAND = 1


@dataclass(frozen=True)
class Peaks:
    """Peaks of one frame, all [n]: band position, amplitude (1 = full-scale sine), height over its valleys (dB)."""

    position: Array
    amplitude: Array
    height_db: Array


@dataclass
class Track:
    """One tone: frames first, first + 1, …; per frame band position, amplitude and height over the valleys (dB)."""

    first: int
    position: list[float]
    amplitude: list[float]
    height_db: list[float]

    @property
    def end(self) -> int:
        """The frame after its last."""
        return self.first + len(self.position)


def find_tracks(power: Array) -> list[Track]:
    """The tones in mel power [frames, N_MELS], each in a chain of frames without a gap."""
    running: list[Track] = []
    found: list[Track] = []
    for frame, peaks in enumerate(find_peaks(power)):
        pairs = _pair(running, peaks)
        for track, peak in pairs.items():
            _extend(running[track], peaks, peak)
        found += [track for i, track in enumerate(running) if i not in pairs]
        running = [track for i, track in enumerate(running) if i in pairs]
        taken = set(pairs.values())
        running += [
            Track(frame, [peaks.position[i]], [peaks.amplitude[i]], [peaks.height_db[i]])
            for i in range(len(peaks.position))
            if i not in taken
        ]
    return [track for track in found + running if is_tone(track)]


def is_tone(track: Track) -> bool:
    """Whether noise would hardly have made it.

    A low band is so narrow that noise in it comes and goes in peaks as well, but they last about a window.
    """
    height_db, n = float(np.mean(track.height_db)), len(track.position)
    shortest, lowest_db = needed(float(np.mean(track.position)))
    return n >= shortest and height_db >= lowest_db


def needed(position: float) -> tuple[int, float]:
    """Frames and mean height (dB) that a track about this band must reach to be called a tone."""
    bins_wide = float(grid.hz_at(np.array(position + 1.0)) - grid.hz_at(np.array(position))) / grid.BIN_HZ
    narrow = 1.0 / np.sqrt(max(bins_wide, 1.0))  # of the fluctuation of noise in the band
    return round(3 + 5 * narrow), 5.0 + 6.0 * narrow


def find_peaks(power: Array) -> list[Peaks]:
    """Local maxima over frequency in each frame of mel power [frames, N_MELS]."""
    level = 10.0 * np.log10(power + 1e-12)
    beside = np.pad(level, ((0, 0), (FAR, FAR)), constant_values=-120.0)  # beyond the grid there is silence
    n = mel.N_MELS
    left = np.min([beside[:, FAR - d : FAR - d + n] for d in range(NEAR, FAR + 1)], axis=0)
    right = np.min([beside[:, FAR + d : FAR + d + n] for d in range(NEAR, FAR + 1)], axis=0)
    valley = np.maximum(left, right)
    inner = slice(1, -1)
    rises = (level[:, inner] >= level[:, :-2]) & (level[:, inner] > level[:, 2:])
    is_peak = np.pad(rises, ((0, 0), (1, 1))) & (level - valley > CANDIDATE_DB) & (power > FAINTEST)
    is_peak[:, :LOWEST_BAND] = is_peak[:, HIGHEST_BAND:] = False
    frames, bands = np.nonzero(is_peak)
    ground = 10.0 ** (valley[frames, bands] / 10.0) if len(frames) else np.zeros(0)
    three = np.stack([power[frames, bands + d] for d in (-1, 0, 1)], -1) - ground[:, None]
    position, amplitude = locate(np.maximum(three, 0.0), bands)
    height = (level - valley)[frames, bands]
    cuts = np.searchsorted(frames, np.arange(1, len(power)))
    columns = (np.split(values, cuts) for values in (position, amplitude, height))
    return [Peaks(*rows) for rows in zip(*columns, strict=True)]


def locate(three: Array, bands: NDArray[np.intp]) -> tuple[Array, Array]:
    """Position and amplitude of the sine that gives power `three` [n, 3] in the bands round each of `bands` [n]."""
    centroid_of, sum_of = _table()
    total = three.sum(-1)
    centroid = (three[:, 2] - three[:, 0]) / np.maximum(total, 1e-12)
    rows = centroid_of[bands]
    i = np.clip((rows < centroid[:, None]).sum(-1), 1, len(OFFSETS) - 1)
    n = np.arange(len(bands))
    low, high = rows[n, i - 1], rows[n, i]
    part = np.clip((centroid - low) / np.maximum(high - low, 1e-9), 0.0, 1.0)
    offset = OFFSETS[i - 1] + part * (OFFSETS[1] - OFFSETS[0])
    reach = sum_of[bands, i - 1] * (1.0 - part) + sum_of[bands, i] * part
    return bands + offset, np.sqrt(total / reach)


def tone_power(hz: Array) -> tuple[NDArray[np.intp], Array]:
    """Where a full-scale sine shows: rows of bins [n, 2 · LOBE_BINS + 2] around hz [n], and its power in them."""
    around = np.arange(-grid.LOBE_BINS, grid.LOBE_BINS + 2)
    bins = np.clip(np.floor(hz / grid.BIN_HZ).astype(np.intp)[:, None] + around, 0, grid.N_BINS - 1)
    return bins, grid.lobe(hz[:, None] / grid.BIN_HZ - bins) ** 2


def seen_power(position: Array, n_moments: int = MOMENTS) -> Array:
    """Mel power of a full-scale tone at band positions [frames] → [frames, N_MELS].

    A moving tone shows where it has been while the window was open: the mean over moments, weighted by the window.
    """
    n, lag = len(position), np.linspace(-1.0, 1.0, n_moments + 2)[1:-1] * mel.FFT_SAMPLES / 2 / mel.HOP_SAMPLES
    weight = np.cos(0.5 * np.pi * lag * mel.HOP_SAMPLES / (mel.FFT_SAMPLES / 2)) ** 4
    moments = np.interp(np.arange(n)[:, None] + lag, np.arange(n), position)
    bins, power = tone_power(grid.hz_at(moments.ravel()))
    weighted = power.reshape(n, n_moments, -1) * (weight / weight.sum())[:, None]
    band, share = _bands_of_bins()
    cells = np.arange(n)[:, None, None, None] * (mel.N_MELS + 2) + band[bins].reshape(n, n_moments, -1, 2)
    shares = weighted[..., None] * share[bins].reshape(n, n_moments, -1, 2)
    seen = np.bincount(cells.ravel(), shares.ravel(), n * (mel.N_MELS + 2)).reshape(n, -1)
    return np.asarray(seen[:, 1:-1])


@lru_cache
def _bands_of_bins() -> tuple[NDArray[np.intp], Array]:
    """Which two triangles each bin feeds and how much, [N_BINS, 2]; bands are counted from 1."""
    filters = np.pad(mel.filters(), ((0, 0), (1, 1)))
    low = np.argmax(filters > 0.0, axis=1)
    band = np.stack([low, np.minimum(low + 1, mel.N_MELS + 1)], -1)
    return band, np.take_along_axis(filters, band, 1)


@lru_cache
def _table() -> tuple[Array, Array]:
    """For a sine at OFFSETS from each band's centre: centroid over three bands, and their sum. [N_MELS, offsets]."""
    bands = np.arange(mel.N_MELS)
    bins, power = tone_power(grid.hz_at(bands[:, None] + OFFSETS).ravel())
    filters = np.pad(mel.filters(), ((0, 0), (1, 1)))
    owner = np.repeat(bands, len(OFFSETS))
    three = np.stack([(filters[bins, owner[:, None] + d] * power).sum(-1) for d in (0, 1, 2)], -1)
    total = np.maximum(three.sum(-1), 1e-9)
    centroid = ((three[:, 2] - three[:, 0]) / total).reshape(mel.N_MELS, -1)
    return np.maximum.accumulate(centroid, axis=1), total.reshape(mel.N_MELS, -1)


def _pair(running: list[Track], peaks: Peaks) -> dict[int, int]:
    """Which peak goes on which track: nearest to where it was heading first, each once."""
    if not running or not len(peaks.position):
        return {}
    heading = np.array([_heading(track) for track in running])
    speed = np.abs(heading - np.array([track.position[-1] for track in running]))
    last = np.array([track.amplitude[-1] for track in running])
    step_db = np.abs(20.0 * np.log10(peaks.amplitude[None, :] / last[:, None]))
    distance = np.abs(heading[:, None] - peaks.position) / (PAIR_BANDS + 0.5 * speed[:, None])
    cost = distance + step_db / 20.0
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    allowed = np.argwhere((distance < 1.0) & (cost < 1.5))
    for i, j in sorted(allowed.tolist(), key=lambda ij: float(cost[ij[0], ij[1]])):
        if i not in pairs and j not in taken:
            pairs[i] = j
            taken.add(j)
    return pairs


def _heading(track: Track) -> float:
    """Where the track should be in the next frame, from its last three."""
    recent = track.position[-3:]
    speed = (recent[-1] - recent[0]) / (len(recent) - 1) if len(recent) > 1 else 0.0
    return recent[-1] + min(max(speed, -FASTEST_BANDS), FASTEST_BANDS)


def _extend(track: Track, peaks: Peaks, i: int) -> None:
    track.position.append(float(peaks.position[i]))
    track.amplitude.append(float(peaks.amplitude[i]))
    track.height_db.append(float(peaks.height_db[i]))
