"""A spectrogram as a few parts that come and go: non-negative matrix factorisation, and what of it goes together."""

from __future__ import annotations

import torch
from torch import Tensor

N_ROUNDS = 60
FAINT = 1e-3  # of the mean magnitude: below it nothing is told apart
_LEAST = 1e-8  # keeps factors positive, and clear of denormal numbers, which are slow


def components(magnitudes: Tensor, count: int, seed: int, n_rounds: int = N_ROUNDS) -> Tensor:
    """Shares [count, bins, frames] of the parts at each place, summing to 1, of magnitudes [bins, frames] ≥ 0; each
    part is one spectrum with one course over time."""
    return joined(*factors(magnitudes, count, seed, n_rounds), torch.arange(count))


def factors(magnitudes: Tensor, count: int, seed: int, n_rounds: int = N_ROUNDS) -> tuple[Tensor, Tensor]:
    """Spectra W [bins, count], each summing to 1, and courses H [count, frames], all positive, so that V ≈ W H.

    Multiplicative updates of the generalised Kullback–Leibler divergence (Lee & Seung 2001, eq. 5), from random
    factors of the seed.
    """
    v = magnitudes.detach().to("cpu", torch.float32)
    v = v / v.mean().clamp_min(1e-20) + FAINT
    generator = torch.Generator().manual_seed(seed)
    w = torch.rand(v.shape[0], count, generator=generator) * 0.8 + 0.2
    h = torch.rand(count, v.shape[1], generator=generator) * 0.8 + 0.2
    for _ in range(n_rounds):
        h = (h * (w.T @ (v / (w @ h))) / w.sum(0)[:, None]).clamp_min(_LEAST)
        w = (w * ((v / (w @ h)) @ h.T) / h.sum(1)).clamp_min(_LEAST)
        size = w.sum(0)
        w, h = w / size, h * size[:, None]
    return w, h


def alike(courses: Tensor, n_groups: int) -> Tensor:
    """In which of n_groups groups, none empty, each course of courses [count, frames] > 0 is: 0, 1, …, [count].

    Agglomeration that adds least to the squared distances within the groups (Ward 1963). The distance is Hellinger's,
    between courses as distributions over time: how loud a component is says nothing about whose it is.
    """
    from scipy.cluster.hierarchy import cut_tree, linkage

    over_time = courses.double() / courses.double().sum(1, keepdim=True)
    tree = linkage(over_time.sqrt().numpy(), "ward")
    return torch.from_numpy(cut_tree(tree, [n_groups])[:, 0]).long()


def joined(w: Tensor, h: Tensor, groups: Tensor) -> Tensor:
    """Shares [groups, bins, frames] of what the components of each group make together; groups: as of `alike`."""
    parts = torch.stack([w[:, groups == group] @ h[groups == group] for group in range(int(groups.max()) + 1)])
    return parts / parts.sum(0)
