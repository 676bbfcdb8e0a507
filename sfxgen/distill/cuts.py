"""How a recording is cut into parts before anybody says whose they are: several times, since no cut is sure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sfxgen.distill.components import alike, factors, joined

# By tools/evaluate/separation.py --chosen-on. What a factorisation finds depends on where it starts: stems that are the
# mean over several are nearer to the truth than those of one.
N_COMPONENTS, N_MORE = 24, 4  # for two sources; for each further one
N_ROUNDS = 100
N_SEEDS = 4
MOST_PARTS = 8
MOST_SUMS = 512  # of parts, over all cuts, that are held against the prompts: beyond it there are fewer seeds


@dataclass(frozen=True, eq=False)
class Cut:
    """A window in parts. shares: [parts, bins, frames], summing to 1. odds: what is known beforehand of whose each part
    is, log-odds [K, parts]."""

    shares: Tensor
    odds: Tensor


Cutter = Callable[[Tensor, int, int], Sequence[Cut]]  # (STFT [channels, bins, frames], how many sources, seed) → cuts


def by_courses(found: Tensor, n_sources: int, seed: int) -> list[Cut]:
    """Components of the magnitudes, joined by how they come and go to as many parts as there are sources, and to one
    more: what is nobody's alone."""
    magnitudes = found.abs().mean(0)
    counts = sorted({min(MOST_PARTS, n_sources), min(MOST_PARTS, n_sources + 1)})
    n_seeds = max(1, min(N_SEEDS, MOST_SUMS // sum(2**count for count in counts)))
    n_components = N_COMPONENTS + N_MORE * (n_sources - 2)
    cuts = []
    for start in (seed + 104_729 * number for number in range(n_seeds)):
        w, h = factors(magnitudes, n_components, start, N_ROUNDS)
        cuts += [Cut(joined(w, h, alike(h, count)), torch.zeros(n_sources, count)) for count in counts]
    return cuts
