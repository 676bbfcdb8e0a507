"""Many short damped sines whose pitch may rise, laid on a line or a circle of frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

END_DB = -66.0  # where a bubble is left off
AT_ONCE = 1 << 19  # samples in work
HIGHEST = 0.45  # of the rate


@dataclass(frozen=True)
class Crowd:
    """One row a bubble, all [n]. onset: frames, fractional; frequency_hz; decay_per_s; amplitude: its peak, linear;
    rise: share of the pitch by which it climbs in 1 / decay_per_s."""

    onset: Floats
    frequency_hz: Floats
    decay_per_s: Floats
    amplitude: Floats
    rise: Floats


def ring_crowd(crowd: Crowd, n_frames: int, rate_hz: int, circle: bool) -> Floats:
    """y(t) = Σ a e^{-d t} sin(2π f (t + σ t² / 2)), σ = rise · d, from each onset on; [n_frames].

    That is f(t) = f (1 + σ t), as van den Doel (2005) has rising bubbles. circle: what passes the end goes on at the
    start. Onsets lie between frames; nothing is made above HIGHEST of the rate. Bubbles of like length are made
    together, as rows of one array.
    """
    lasts = np.ceil(-END_DB / 20 * np.log(10) / crowd.decay_per_s * rate_hz).astype(np.int64) + 1
    order = np.argsort(lasts, kind="stable")
    y = np.zeros(n_frames)
    start = 0
    while start < len(order):
        stop = _rows(lasts[order], start)
        some = order[start:stop]
        length = min(int(lasts[some].max()), n_frames if not circle else 1 << 62)
        first = np.ceil(crowd.onset[some])
        frames = np.arange(length)
        t = (frames + (first - crowd.onset[some])[:, None]) / rate_hz
        f, d = crowd.frequency_hz[some, None], crowd.decay_per_s[some, None]
        sigma = crowd.rise[some, None] * d
        wave = crowd.amplitude[some, None] * np.exp(-d * t) * np.sin(2 * np.pi * f * (t + sigma / 2 * t**2))
        wave *= f * (1 + sigma * t) < HIGHEST * rate_hz
        wave *= frames < lasts[some, None]
        place = first.astype(np.int64)[:, None] + frames
        if circle:
            place %= n_frames
        else:
            wave *= place < n_frames
            place = np.minimum(place, n_frames - 1)
        y += np.bincount(place.ravel(), wave.ravel(), n_frames)
        start = stop
    return y


def _rows(lasts: NDArray[np.int64], start: int) -> int:
    """Where the next batch ends: rows no longer than twice the shortest, and AT_ONCE samples at most."""
    shortest = int(lasts[start])
    stop = int(np.searchsorted(lasts, 2 * shortest, side="right"))
    longest = int(lasts[stop - 1])
    return max(start + 1, min(stop, start + AT_ONCE // longest))
