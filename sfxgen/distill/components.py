"""A spectrogram as a few parts that come and go: non-negative matrix factorisation."""

from __future__ import annotations

import torch
from torch import Tensor

N_ROUNDS = 60
FAINT = 1e-3  # of the mean magnitude: below it nothing is told apart
_LEAST = 1e-8  # keeps factors positive, and clear of denormal numbers, which are slow


def components(magnitudes: Tensor, count: int, seed: int, n_rounds: int = N_ROUNDS) -> Tensor:
    """Shares [count, bins, frames] of the parts at each place, summing to 1, of magnitudes [bins, frames] ≥ 0.

    Each part is one spectrum with one course over time, V ≈ W H by multiplicative updates of the generalised
    Kullback–Leibler divergence (Lee & Seung 2001, eq. 5), from random factors of the seed.
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
    parts = w.T[:, :, None] * h[:, None, :]
    return parts / parts.sum(0)
