"""How near log-mels lie to the nearest exemplar of a library: RMS difference (dB) over the cells where either sounds.

Exact over the whole library and the shifts in time of SHIFTS. Levels count from SOUNDING_DB up, so that silence is 0;
then Σ (a − b)² = Σ a² + Σ b² − 2 Σ ab, and the cells where either sounds are counted in the same way: one matrix
product each for all exemplars and a batch of sounds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfxgen.library.store import Library

SOUNDING_DB = -60.0  # below the loudest cell
SHIFTS = (-2, -1, 0, 1, 2)  # frames
_MARGIN = max(SHIFTS)
_AT_ONCE = 16  # sounds


def nearest_db(
    levels_db: Sequence[NDArray[np.float32]], library: Library, own: Sequence[int] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Of each sound [frames, bands]: the distance (dB) of the nearest exemplar, and which one; float and int [n].

    Levels are first set to 0 dB at the loudest cell, as a library's are. own: the exemplar that each sound itself is,
    which does not count.
    """
    table, sizes = _table(library)
    order = np.argsort([len(levels) for levels in levels_db], kind="stable")
    found, which = np.zeros(len(order)), np.zeros(len(order), np.int64)
    for part in np.split(order, np.arange(_AT_ONCE, len(order), _AT_ONCE)):
        square = _distances([levels_db[i] for i in part], table, sizes)
        if own is not None:
            square[torch.arange(len(part)), torch.tensor([own[i] for i in part])] = torch.inf
        best = square.min(1)
        found[part], which[part] = best.values.sqrt().numpy(), best.indices.numpy()
    return found, which


def apart_db(mine: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """The same distance of two log-mels."""
    table = torch.zeros(1, len(theirs) + 2 * _MARGIN, theirs.shape[1])
    table[0, _MARGIN : _MARGIN + len(theirs)] = _above_silence(theirs)
    return float(_distances([mine], table, _sizes(table))[0, 0].sqrt())


def _distances(levels_db: Sequence[NDArray[np.float32]], table: Tensor, sizes: Tensor) -> Tensor:
    """Mean squares (dB²) of the best shift: [sounds, exemplars]."""
    n_frames = max(len(levels) for levels in levels_db) + 2 * _MARGIN
    shifted = torch.zeros(len(levels_db), len(SHIFTS), n_frames, table.shape[2])
    for row, levels in enumerate(levels_db):
        for column, shift in enumerate(SHIFTS):
            shifted[row, column, _MARGIN + shift :][: len(levels)] = _above_silence(levels)
    common = min(n_frames, table.shape[1])
    theirs = table[:, :common].flatten(1)
    mine = shifted[:, :, :common].flatten(2).flatten(0, 1)
    products, cells = mine @ theirs.T, (mine > 0).float() @ (theirs > 0).float().T
    own = _sizes(shifted.flatten(0, 1))
    squares = own[0, :, None] + sizes[0] - 2.0 * products
    either = own[1, :, None] + sizes[1] - cells
    means = (squares / either.clamp_min(1.0)).clamp_min(0.0)
    return means.reshape(len(levels_db), len(SHIFTS), len(table)).amin(1)


def _table(library: Library) -> tuple[Tensor, Tensor]:
    """All exemplars [exemplars, frames, bands], _MARGIN frames of silence at either end, and their sizes."""
    starts = library.starts
    longest = max(exemplar.n_frames for exemplar in library.exemplars)
    table = torch.zeros(len(library.exemplars), longest + 2 * _MARGIN, library.codes.shape[1])
    for row in range(len(table)):
        n_frames = int(starts[row + 1] - starts[row])
        table[row, _MARGIN : _MARGIN + n_frames] = _above_silence(library.levels_db(row))
    return table, _sizes(table)


def _sizes(x: Tensor) -> Tensor:
    """Σ x² and how many cells sound: [n, frames, bands] → [2, n]."""
    flat = x.flatten(1)
    return torch.stack([torch.linalg.vecdot(flat, flat), (flat > 0).sum(1).float()])


def _above_silence(levels_db: NDArray[np.float32]) -> Tensor:
    """dB above SOUNDING_DB below the loudest cell, at least 0; the same shape."""
    return torch.from_numpy(levels_db - levels_db.max() - SOUNDING_DB).float().clamp_min(0.0)
