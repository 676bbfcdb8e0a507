"""Recursive filters applied by FFT.

`scipy.signal` would do the same, but importing it takes 1.3 s here, more than mastering a hundred effects does.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.float64]  # samples, shape [channels, frames]: mastering computes in double precision
MAX_FFT = 1 << 17


class Biquad(NamedTuple):
    """H(z) = (b0 + b1 z⁻¹ + b2 z⁻²) / (1 + a1 z⁻¹ + a2 z⁻²)."""

    b0: float
    b1: float
    b2: float
    a1: float
    a2: float


class Filter(NamedTuple):
    """A cascade of sections, the rate that its coefficients are for, and the time in which its response dies."""

    sections: tuple[Biquad, ...]
    rate_hz: int
    tail_s: float


@lru_cache(maxsize=32)
def _response(design: Filter, rate_hz: int, n_fft: int) -> NDArray[np.complex128]:
    """The filter's response at the bins of an rfft of n_fft frames of a sound at rate_hz. Shape [n_fft // 2 + 1].

    A filter made for another rate is read off at the same frequencies in Hz, and held above its Nyquist frequency.
    """
    cycles = np.minimum(np.arange(n_fft // 2 + 1) / n_fft * (rate_hz / design.rate_hz), 0.5)
    delay = np.exp(-2j * np.pi * cycles)
    response = np.ones(len(delay), dtype=np.complex128)
    for s in design.sections:
        response *= (s.b0 + delay * (s.b1 + delay * s.b2)) / (1.0 + delay * (s.a1 + delay * s.a2))
    return response


def fast_length(n: int) -> int:
    """The least m·2^k ≥ n with m of 8, 9, 10, 12 or 15: lengths whose FFT is fast, at most 25 % above n."""
    return min(m << max(0, (-(-n // m) - 1).bit_length()) for m in (8, 9, 10, 12, 15))


def run(samples: Block, rate_hz: int, design: Filter) -> Block:
    """`samples` [channels, frames] through the filter from rest, in the same shape.

    By overlap-add (Oppenheim and Schafer, Discrete-Time Signal Processing, section 8.7).
    """
    n_frames = samples.shape[1]
    tail_frames = math.ceil(design.tail_s * rate_hz)
    n_fft = min(fast_length(n_frames + tail_frames), MAX_FFT)
    hop = n_fft - tail_frames
    response = _response(design, rate_hz, n_fft)
    out = np.zeros((samples.shape[0], n_frames + n_fft))
    for start in range(0, n_frames, hop):
        spectrum = np.fft.rfft(samples[:, start : start + hop], n_fft)
        out[:, start : start + n_fft] += np.fft.irfft(spectrum * response, n_fft)
    return out[:, :n_frames]
