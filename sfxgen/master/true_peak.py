"""True peak by ITU-R BS.1770-4, Annex 2: the largest value of the band-limited curve through the samples."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sfxgen.master.filters import Block

OVERSAMPLING = 8  # the annex asks for 4 at 48 kHz; 8 reads at most 0.17 dB low where 4 may read 0.69 dB low
TAPS = 32  # a phase
SPAN = 32  # frames that one matrix row interpolates


@lru_cache(maxsize=1)
def _interpolator() -> tuple[NDArray[np.float32], float]:
    """The matrix that takes SPAN + TAPS − 1 frames to the points between them, and its largest row gain Σ|h|.

    A sinc under a Kaiser window (β = 8), as polyphase filter: one column for each new point. Shape
    [SPAN + TAPS − 1, SPAN · (OVERSAMPLING − 1)]; the samples themselves are the eighth phase.
    """
    matrix = np.zeros((SPAN + TAPS - 1, SPAN, OVERSAMPLING - 1))
    for phase in range(1, OVERSAMPLING):
        distance = np.arange(TAPS) - (TAPS // 2 - 1) - phase / OVERSAMPLING
        window = np.i0(8.0 * np.sqrt(np.clip(1 - (2 * distance / TAPS) ** 2, 0, 1))) / np.i0(8.0)
        taps = np.sinc(distance) * window
        for frame in range(SPAN):
            matrix[frame : frame + TAPS, frame, phase - 1] = taps / taps.sum()
    flat = matrix.reshape(len(matrix), -1)
    return flat.astype(np.float32), float(np.abs(flat).sum(axis=0).max())


def true_peak(samples: Block, *, loop: bool = False) -> float:
    """Largest magnitude between or at the samples, linear, over all channels; 0.0 for silence.

    samples: shape [channels, frames], silence before and after; loop also looks across the seam. Never below the
    largest sample.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0.0:
        return 0.0
    highest = max(_between(channel / peak) for channel in samples)
    if loop:
        lap = np.resize(np.arange(samples.shape[1]), max(2 * TAPS, samples.shape[1]))
        seam = samples[:, np.concatenate([lap[-TAPS:], lap[:TAPS]])] / peak
        highest = max(highest, *(_inside(channel) for channel in seam))
    return peak * max(1.0, highest)


def true_peak_dbtp(samples: Block, *, loop: bool = False) -> float:
    """`true_peak` in dB relative to full scale (dBTP); −inf for silence."""
    peak = true_peak(samples, loop=loop)
    return 20 * math.log10(peak) if peak > 0 else -math.inf


def _between(channel: NDArray[np.float64]) -> float:
    """Largest interpolated magnitude of a sound that silence surrounds. `channel` has peak ≤ 1."""
    return _inside(np.pad(channel, TAPS))


def _inside(channel: NDArray[np.float64]) -> float:
    """Largest interpolated magnitude where the kernel has samples on both sides."""
    matrix, gain = _interpolator()
    n_rows = math.ceil((len(channel) - TAPS + 1) / SPAN)
    padded = np.zeros(n_rows * SPAN + TAPS - 1, dtype=np.float32)
    padded[: min(len(channel), len(padded))] = channel[: len(padded)]
    rows = np.lib.stride_tricks.sliding_window_view(padded, SPAN + TAPS - 1)[::SPAN]
    # No point exceeds gain times the largest sample near it: rows that cannot reach the sample peak of 1 are left out.
    rows = rows[np.abs(rows).max(axis=1) * gain > 1.0]
    return float(np.abs(rows @ matrix).max(initial=0.0))
