"""The exact denoiser of a kernel mixture: clean sounds lie about exemplars, at an unknown gain.

Clean x of component k is x_k + g m_k + σ_k η: exemplar x_k, gain g ~ N(0, σ_g²) on the cells m_k where it sounds, and
white η. Noised, z = α x + σ ε. The posterior mean of x given z is then known in closed form: a softmax over the
components, each with its own posterior gain and residual (Bishop 2006, eqs. 2.113–2.117 for each; Kamb & Ganguli 2024
for what follows).

Two things widen it beyond its exemplars. Weights are local: the evidence for a component at a place in time and
frequency is gathered about that place, so that parts of different exemplars recombine; an infinite width is the plain
mixture. And evidence is tempered: neighbouring cells of a log-mel say nearly the same, so n cells count as fewer.

Grids are cut into blocks of cells, shape [batch, blocks, components, cells]: a step is two batched matrix products.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

BLOCK_FRAMES, BLOCK_BANDS = 8, 8


@dataclass(frozen=True)
class Kernel:
    """How wide the mixture is, in units of z.

    residual: σ_k. gain: σ_g. frames, bands: standard deviations of the neighbourhood that evidence is gathered from;
    infinity: all of the sound. temper: what part of a cell each cell counts for, in (0, 1].
    """

    residual: float
    gain: float
    frames: float = math.inf
    bands: float = math.inf
    temper: float = 1.0


@dataclass(frozen=True, eq=False)
class Components:
    """What a batch mixes.

    x: [batch, blocks, K, cells]. active: how much of each block sounds, 0 to 1, [batch, blocks, K]. log_prior: log π,
    [batch, K]. owner: the exemplar that each component is a variant of, [batch, K]. grid: (blocks in time, in bands).
    """

    x: torch.Tensor
    active: torch.Tensor
    log_prior: torch.Tensor
    owner: torch.Tensor
    grid: tuple[int, int]

    @property
    def sums(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Σ x and Σ x² of each block, [batch, blocks, K]."""
        return self.x.sum(-1), self.x.square().sum(-1)


@dataclass(frozen=True, eq=False)
class Posterior:
    """weights: of each component at each block, [batch, blocks, K], summing to 1 over K. gain: E[g | z, k], the same
    shape. log_evidence: log p(z) up to a constant that is the same for all mixtures, [batch], where weights are global.
    """

    weights: torch.Tensor
    gain: torch.Tensor
    log_evidence: torch.Tensor


def to_blocks(x: torch.Tensor) -> tuple[torch.Tensor, tuple[int, int]]:
    """[…, frames, bands] → ([…, blocks, cells], grid). Both sides must be whole blocks."""
    *lead, n_frames, n_bands = x.shape
    grid = n_frames // BLOCK_FRAMES, n_bands // BLOCK_BANDS
    cut = x.reshape(*lead, grid[0], BLOCK_FRAMES, grid[1], BLOCK_BANDS).transpose(-3, -2)
    return cut.reshape(*lead, grid[0] * grid[1], BLOCK_FRAMES * BLOCK_BANDS), grid


def from_blocks(blocks: torch.Tensor, grid: tuple[int, int]) -> torch.Tensor:
    """The inverse of to_blocks."""
    *lead, _, _ = blocks.shape
    cut = blocks.reshape(*lead, grid[0], grid[1], BLOCK_FRAMES, BLOCK_BANDS).transpose(-3, -2)
    return cut.reshape(*lead, grid[0] * BLOCK_FRAMES, grid[1] * BLOCK_BANDS)


def posterior(
    z: torch.Tensor, alpha: torch.Tensor, sigma: torch.Tensor, components: Components, kernel: Kernel
) -> Posterior:
    """Weights and gains at z [batch, blocks, cells]; alpha, sigma: [batch, 1, 1].

    With r = z − α x_k, v = α² σ_k² + σ² and sums over the (tempered) neighbourhood,
    log w_k = log π_k − ½ (Σ r² − c (Σ m r)²) / v − ½ log(1 + α² σ_g² Σ m² / v), c = α² σ_g² / (v + α² σ_g² Σ m²).
    """
    n_cells = z.shape[-1]
    v = (alpha * kernel.residual).square() + sigma.square()
    spread = (alpha * kernel.gain).square()
    sum_x, sum_xx = components.sums
    cross = torch.einsum("bnkc,bnc->bnk", components.x, z)
    r_r = z.square().sum(-1, keepdim=True) - 2.0 * alpha * cross + alpha.square() * sum_xx
    m_r = components.active * (z.sum(-1, keepdim=True) - alpha * sum_x)
    m_m = n_cells * components.active.square()
    r_r, m_r, m_m = (gathered(s, components.grid, kernel) for s in (r_r, m_r, m_m))
    shared = v + spread * m_m
    log_likelihood = -0.5 * ((r_r - spread * m_r.square() / shared) / v + torch.log(shared / v))
    log_joint = components.log_prior[:, None, :] + log_likelihood
    gain = alpha * kernel.gain**2 * m_r / shared
    evidence = torch.logsumexp(log_joint, -1).mean(-1) - 0.5 * kernel.temper * z[0].numel() * torch.log(v[:, 0, 0])
    return Posterior(torch.softmax(log_joint, -1), gain, evidence)


def mean(
    z: torch.Tensor,
    alpha: torch.Tensor,
    sigma: torch.Tensor,
    components: Components,
    kernel: Kernel,
    found: Posterior,
) -> torch.Tensor:
    """E[x | z] = Σ w_k (x_k + g_k m_k) (1 − α κ) + κ z with κ = α σ_k² / v; [batch, blocks, cells]."""
    kappa = alpha * kernel.residual**2 / ((alpha * kernel.residual).square() + sigma.square())
    mixed = torch.einsum("bnk,bnkc->bnc", found.weights, components.x)
    lifted = mixed + (found.weights * found.gain * components.active).sum(-1, keepdim=True)
    return (1.0 - alpha * kappa) * lifted + kappa * z


def gathered(per_block: torch.Tensor, grid: tuple[int, int], kernel: Kernel) -> torch.Tensor:
    """Tempered sums about every block, [batch, blocks, K] → the same.

    Scaled so that a uniform grid gives everywhere what the sum over all of it would: narrow or wide, evidence counts
    the same.
    """
    over_time = _neighbourhood(grid[0], kernel.frames / BLOCK_FRAMES, per_block)
    over_bands = _neighbourhood(grid[1], kernel.bands / BLOCK_BANDS, per_block)
    square = per_block.reshape(len(per_block), *grid, -1)
    square = torch.einsum("st,btfk->bsfk", over_time, square)
    square = torch.einsum("gf,bsfk->bsgk", over_bands, square)
    return square.flatten(1, 2) * (kernel.temper * grid[0] * grid[1])


def _neighbourhood(n: int, width: float, like: torch.Tensor) -> torch.Tensor:
    """Gaussian averages over n places, [n, n], rows summing to 1."""
    places = torch.arange(n, dtype=like.dtype, device=like.device)
    nearness = torch.exp(-0.5 * ((places[:, None] - places) / width).square())
    return nearness / nearness.sum(1, keepdim=True)


def shares(found: Posterior, components: Components, n_owners: int) -> torch.Tensor:
    """How much of each sound comes from each exemplar, [batch, n_owners], rows summing to 1.

    Blocks count by how much sounds in them: who gives the silence gives nothing.
    """
    sounding = found.weights * components.active.clamp_min(1e-6)
    of_components = sounding.sum(1) / sounding.sum((1, 2)).unsqueeze(-1)
    index = components.owner
    return torch.zeros(len(index), n_owners, dtype=of_components.dtype, device=index.device).scatter_add_(
        1, index, of_components
    )


def bounded(found: Posterior, components: Components, most: float, n_owners: int) -> Posterior:
    """The posterior with no exemplar's share above `most`, in [½, 1): its log prior is lowered until that holds.

    At most one exemplar can be above ½; halving intervals finds how much to take off. Where a mixture has no second
    exemplar, it stays as it is.
    """
    if not 0.5 <= most < 1.0:
        raise ValueError(f"most must lie in [0.5, 1), got {most}")
    top_share, top = shares(found, components, n_owners).max(1)
    if bool((top_share <= most).all()):
        return found
    of_top = components.owner == top[:, None]
    log_weights = torch.log(found.weights.clamp_min(1e-30))
    low, high = torch.zeros_like(top_share), torch.full_like(top_share, 100.0)
    high = torch.where((top_share > most) & ~of_top.all(1), high, low)

    def lowered(by: torch.Tensor) -> Posterior:
        weights = torch.softmax(log_weights - (by[:, None] * of_top)[:, None, :], -1)
        return replace(found, weights=weights)

    for _ in range(30):
        middle = 0.5 * (low + high)
        above = shares(lowered(middle), components, n_owners).gather(1, top[:, None])[:, 0] > most
        low, high = torch.where(above, middle, low), torch.where(above, high, middle)
    return lowered(high)
