"""How far a sound is from its target, in the maps that the prior compares sounds in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

FAINT = 1e-4  # of a magnitude's mean: below it logarithms say nothing


def emphasis(found: Sequence[Tensor], wanted: Sequence[Tensor], n_items: int, log_share: float = 0.0) -> Tensor:
    """Spectrogram emphasis (Audio-SDS, eq. 7) as a loss: ½ Σ_m mean (S_m(x) − sg S_m(x̂))², one number an item,
    [n_items], each of its own cells alone.

    found, wanted: maps [n_items · channels, …] at several sizes, each counting by its mean over cells. log_share > 0
    adds so much of the same over log magnitudes, which hears the quiet parts too; not for maps that are levels already.
    """
    total = torch.zeros(n_items, dtype=found[0].dtype, device=found[0].device)
    for mine, theirs in zip(found, wanted, strict=True):
        goal = theirs.detach()
        cells = 0.5 * (mine - goal).square()
        if log_share:
            of_items = goal.reshape(n_items, -1).mean(1).repeat_interleave(len(goal) // n_items)
            floor = FAINT * of_items.reshape(-1, *(1,) * (goal.dim() - 1)) + 1e-12
            cells = cells + log_share * 0.5 * (torch.log(mine + floor) - torch.log(goal + floor)).square()
        total = total + cells.reshape(n_items, -1).mean(1)
    return total


# What each time counts for beside x̂ − x. In ε the same difference is (σ/α)(ε − ε̂), so "flat" is SDS with w = σ/α.
WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {
    "flat": torch.ones_like,
    "late": lambda t: 1.0 - t,
    "early": lambda t: t,
}
