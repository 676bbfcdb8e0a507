"""A bank of decaying sinusoids that is struck many times: the block form of `modal`, with blows inside of blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 256

Floats = NDArray[np.float64]


def ring_often(
    frequency_hz: Floats, decay_per_s: Floats, amplitude: Floats, at: NDArray[np.int64], n_frames: int, rate_hz: int
) -> Floats:
    """y[n] = Σ over blows i and modes m of a_im Im e^{s_m (n - at_i)}, from frame at_i on, s = -d + 2πi f; [n_frames].

    frequency_hz, decay_per_s: [modes]; amplitude: [blows, modes]; at: [blows] frames, 0 or more, in any order. What
    earlier blocks left is one state a mode at the head of each block; two matrix products then make all samples,
    and a third the first block of every blow. Angles are formed in float64, products in float32.
    """
    s = (-decay_per_s + 2j * np.pi * frequency_hz) / rate_hz
    n_blocks = -(-n_frames // BLOCK)
    within = np.exp(np.outer(s, np.arange(BLOCK)))
    sine, cosine = within.imag.astype(np.float32), within.real.astype(np.float32)
    block, offset = np.divmod(at, BLOCK)
    arriving = np.zeros((n_blocks + 1, len(s)), dtype=np.complex128)
    here = block < n_blocks
    left = amplitude[here] * np.exp(s * (BLOCK - offset[here])[:, None])
    np.add.at(arriving, block[here] + 1, left)
    state, step = arriving, np.exp(s * BLOCK)
    for n in range(1, n_blocks):
        state[n] += state[n - 1] * step
    real, imaginary = state[:n_blocks].real.astype(np.float32), state[:n_blocks].imag.astype(np.float32)
    y = (real @ sine + imaginary @ cosine).astype(np.float64).ravel()
    first = amplitude[here].astype(np.float32) @ sine  # [blows, BLOCK]
    for wave, start, used in zip(first, at[here], offset[here], strict=True):
        y[start : start + BLOCK - used] += wave[: BLOCK - used]
    return np.asarray(y[:n_frames])


def left_ringing(
    frequency_hz: Floats, decay_per_s: Floats, amplitude: Floats, at: NDArray[np.int64], rate_hz: int
) -> Floats:
    """How far each mode swings just after the last blow, [modes]."""
    s = (-decay_per_s + 2j * np.pi * frequency_hz) / rate_hz
    since = (at.max() - at)[:, None]
    return np.asarray(np.abs((amplitude * np.exp(s * since)).sum(axis=0)))
