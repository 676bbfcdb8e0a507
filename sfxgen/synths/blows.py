"""Many blows on one body, all in one block matrix product."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sfxgen.synths.modal import BLOCK

Array = NDArray[np.float64]


def ring(
    frequency_hz: Array, decay_per_s: Array, at: NDArray[np.int64], amplitude: Array, held: NDArray[np.bool_],
    held_decay: float, floor: float, n_most: int, rate_hz: int,
) -> Array:  # fmt: skip
    """Σ over blows and modes of a e^{−d t} sin(2π f t) from each blow on, [n], each blow added to what still rings.

    frequency_hz, decay_per_s: [modes]; at: [blows] frames, ascending; amplitude: [blows, modes]. held: for each block
    of BLOCK frames whether something holds the body, so that it decays held_decay times as fast; free after the last.
    It ends where the motion has fallen to `floor` after the last blow, at most n_most frames long.

    The complex state of each mode is carried from block to block, P; the frames of a block are Im(P Q), where
    Q = e^{s i}. A blow within a block adds a row of its own, shifted to its frame.
    """
    n_blocks = -(-n_most // BLOCK)
    s = (-decay_per_s + 2j * np.pi * frequency_hz) / rate_hz
    s_held = (-decay_per_s * held_decay + 2j * np.pi * frequency_hz) / rate_hz
    block, offset = at // BLOCK, at % BLOCK
    rows = np.searchsorted(block, np.arange(n_blocks + 1))
    is_held = np.zeros(n_blocks, dtype=bool)
    is_held[: len(held)] = held[:n_blocks]
    rates = np.where(is_held[block.clip(0, n_blocks - 1), None], s_held, s)
    late = amplitude * np.exp(rates * (BLOCK - offset)[:, None])  # each blow's state where its block ends
    through = np.exp(s * BLOCK), np.exp(s_held * BLOCK)
    state, states = np.zeros(len(s), dtype=np.complex128), []
    for b in range(n_blocks):
        if b > (block[-1] if len(block) else -1) and float(np.linalg.norm(state)) < floor:
            break
        states.append(state)
        state = state * through[int(is_held[b])] + late[rows[b] : rows[b + 1]].sum(axis=0)
    if not states:
        return np.zeros(0)
    y = np.zeros((len(states), BLOCK), dtype=np.float32)
    for which, rate in ((False, s), (True, s_held)):
        q = np.exp(rate[:, None] * np.arange(BLOCK))
        q_parts = np.concatenate([q.imag, q.real]).astype(np.float32)
        chosen = np.flatnonzero(is_held[: len(states)] == which)
        if len(chosen):
            p = np.array(states)[chosen]
            y[chosen] += np.concatenate([p.real, p.imag], axis=1).astype(np.float32) @ q_parts
        own = np.flatnonzero((is_held[block.clip(0, n_blocks - 1)] == which) & (block < len(states)))
        waves = amplitude[own].astype(np.float32) @ q_parts[: len(s)]
        for wave, b, o in zip(waves, block[own], offset[own], strict=True):
            y[b, o:] += wave[: BLOCK - o]
    return y.ravel()[:n_most].astype(np.float64)
