"""Another sample rate, for sounds that start and end and for loops."""

from __future__ import annotations

import numpy as np

from sfxgen.master.filters import Block


def resample(samples: Block, from_hz: int, to_hz: int, *, periodic: bool) -> Block:
    """`samples` at the rate `to_hz`, round(frames · to / from) frames long (at least one where there was one).

    A one-shot goes through soxr at its VHQ setting. A periodic block goes through its discrete Fourier series: the
    harmonics that fit under the new Nyquist frequency are kept, so that the result is exactly periodic again. Its
    length is rounded to a whole frame, which moves the pitch by at most half a frame in a lap.
    """
    n_frames = samples.shape[1]
    if from_hz == to_hz or n_frames == 0:
        return samples
    n_out = max(1, round(n_frames * to_hz / from_hz))
    if periodic:
        return _fourier_series(samples, n_out)
    import soxr  # here, since `sfxgen plan` imports this module and never resamples

    out: Block = soxr.resample(np.ascontiguousarray(samples.T), from_hz, to_hz, quality="VHQ").T
    return np.pad(out[:, :n_out], ((0, 0), (0, max(0, n_out - out.shape[1]))))


def _fourier_series(samples: Block, n_out: int) -> Block:
    n_frames = samples.shape[1]
    harmonics = np.fft.rfft(samples)[:, : min(n_frames, n_out) // 2 + 1]
    if min(n_frames, n_out) % 2 == 0 and n_frames != n_out:
        # The bin at the shorter block's Nyquist frequency stands for two conjugate ones in the longer block.
        harmonics[:, -1] = harmonics[:, -1] * 0.5 if n_out > n_frames else harmonics[:, -1].real * 2.0
    series: Block = np.fft.irfft(harmonics, n_out) * (n_out / n_frames)
    return series
