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
_FAINT = 1e-6  # what a silent block counts for in a share
_FAR = 1e4  # nats: no evidence is stronger


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
    """What a batch mixes; batch is 1 where all items mix the same.

    x: [batch, blocks, K, cells]. active: how much of each block sounds, 0 to 1, [batch, blocks, K]. log_prior: log π,
    [batch, K]. owner: the exemplar that each component is a variant of, [batch, K]. grid: (blocks in time, in bands).
    sum_x, sum_xx: Σ x and Σ x² of each block, [batch, blocks, K]: they serve every step.
    """

    x: torch.Tensor
    active: torch.Tensor
    log_prior: torch.Tensor
    owner: torch.Tensor
    grid: tuple[int, int]

    sum_x: torch.Tensor
    sum_xx: torch.Tensor

    @staticmethod
    def of(
        x: torch.Tensor, active: torch.Tensor, log_prior: torch.Tensor, owner: torch.Tensor, grid: tuple[int, int]
    ) -> Components:
        """With the sums of x."""
        return Components(x, active, log_prior, owner, grid, x.sum(-1), torch.linalg.vecdot(x, x))


@dataclass(frozen=True, eq=False)
class Posterior:
    """log_weights: of each component at each block, [batch, blocks, K], normalised over K. gain: E[g | z, k], the same
    shape. block_evidence: log Σ_k of the joint density at each block, [batch, blocks], without what all mixtures share.
    log_evidence: log p(z) up to a constant, [batch], where weights are global.
    """

    log_weights: torch.Tensor
    gain: torch.Tensor
    block_evidence: torch.Tensor
    log_evidence: torch.Tensor

    @property
    def weights(self) -> torch.Tensor:
        return self.log_weights.exp()


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
    r_r = z.square().sum(-1, keepdim=True) - 2.0 * alpha * _dot(components.x, z) + alpha.square() * components.sum_xx
    m_r = components.active * (z.sum(-1, keepdim=True) - alpha * components.sum_x)
    m_m = n_cells * components.active.square()
    r_r, m_r, m_m = (gathered(s, components.grid, kernel) for s in (r_r, m_r, m_m))
    shared = v + spread * m_m
    log_likelihood = -0.5 * ((r_r - spread * m_r.square() / shared) / v + torch.log(shared / v))
    log_joint = components.log_prior[:, None, :] + log_likelihood
    gain = alpha * kernel.gain**2 * m_r / shared
    block_evidence = torch.logsumexp(log_joint, -1)
    evidence = block_evidence.mean(-1) - 0.5 * kernel.temper * z[0].numel() * torch.log(v[:, 0, 0])
    return Posterior(log_joint - block_evidence[..., None], gain, block_evidence, evidence)


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
    weights = found.weights
    lifted = _mix(weights, components.x) + (weights * found.gain * components.active).sum(-1, keepdim=True)
    return (1.0 - alpha * kappa) * lifted + kappa * z


def without_residual(components: Components, found: Posterior) -> torch.Tensor:
    """Σ w_k (x_k + g_k m_k) alone, [batch, blocks, cells]: what the exemplars say, without the chance η of each cell.

    Weights and gains pass smoothly from block to block, so that no seam can be heard.
    """
    x = from_blocks(components.x.transpose(1, 2), components.grid)
    size = x.shape[-2:]
    weights = _spread(found.weights, components.grid, size)
    lift = _spread((found.weights * found.gain * components.active).sum(-1, keepdim=True), components.grid, size)
    return to_blocks((weights * x).sum(1) + lift[:, 0])[0]


def _spread(per_block: torch.Tensor, grid: tuple[int, int], size: torch.Size) -> torch.Tensor:
    """[batch, blocks, K] → [batch, K, *size], linear between the blocks' middles."""
    square = per_block.transpose(1, 2).reshape(len(per_block), -1, *grid)
    return torch.nn.functional.interpolate(square, size=tuple(size), mode="bilinear", align_corners=False)


def _dot(x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """Σ_c x z: [batch or 1, blocks, K, cells], [batch, blocks, cells] → [batch, blocks, K]."""
    if len(x) == 1 and len(z) > 1:
        return (z.transpose(0, 1) @ x[0].transpose(1, 2)).transpose(0, 1)
    return (x @ z[..., None])[..., 0]


def _mix(weights: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Σ_k w x: [batch, blocks, K], [batch or 1, blocks, K, cells] → [batch, blocks, cells]."""
    if len(x) == 1 and len(weights) > 1:
        return (weights.transpose(0, 1) @ x[0]).transpose(0, 1)
    return (weights[..., None, :] @ x)[..., 0, :]


def gathered(per_block: torch.Tensor, grid: tuple[int, int], kernel: Kernel) -> torch.Tensor:
    """Tempered sums about every block, [batch, blocks, K] → the same; cells count the less the further off they are."""
    over_time = _neighbourhood(grid[0], kernel.frames / BLOCK_FRAMES, per_block)
    over_bands = _neighbourhood(grid[1], kernel.bands / BLOCK_BANDS, per_block)
    square = per_block.reshape(len(per_block), *grid, -1)
    square = torch.einsum("st,btfk->bsfk", over_time, square)
    square = torch.einsum("gf,bsfk->bsgk", over_bands, square)
    return kernel.temper * square.flatten(1, 2)


def _neighbourhood(n: int, width: float, like: torch.Tensor) -> torch.Tensor:
    """A Gaussian window about each of n places, 1 at its middle, [n, n]."""
    places = torch.arange(n, dtype=like.dtype, device=like.device)
    return torch.exp(-0.5 * ((places[:, None] - places) / width).square())


def shares(found: Posterior, components: Components, n_owners: int) -> torch.Tensor:
    """How much of each sound comes from each exemplar, [batch, n_owners], rows summing to 1.

    Blocks count by how much sounds in them: who gives the silence gives nothing.
    """
    sounding = found.weights * components.active.clamp_min(_FAINT)
    of_components = sounding.sum(1) / sounding.sum((1, 2)).unsqueeze(-1)
    index = components.owner.expand(len(of_components), -1)
    return torch.zeros(len(index), n_owners, dtype=of_components.dtype, device=index.device).scatter_add_(
        1, index, of_components
    )


def bounded(found: Posterior, components: Components, most: float, n_owners: int) -> Posterior:
    """The posterior with no exemplar's share above `most`, in [½, 1): its log prior is lowered until that holds.

    At most one exemplar can be above ½. Where P is its weight at a block and a, a′ are how much sounds there of it and
    of the others, its share is Σ P a / Σ (P a + (1 − P) a′); lowering the log prior by λ makes P = logistic(λ + log P /
    (1 − P)), and halving intervals finds λ. Where a mixture has no second exemplar, it stays as it is.
    """
    if not 0.5 <= most < 1.0:
        raise ValueError(f"most must lie in [0.5, 1), got {most}")
    top_share, top = shares(found, components, n_owners).max(1)
    if bool((top_share <= most).all()):
        return found
    of_top = (components.owner == top[:, None])[:, None, :].expand(found.log_weights.shape)
    its, its_activity = _part(found, components, of_top)
    rest, rest_activity = _part(found, components, ~of_top)
    low = torch.where(top_share > most, -_FAR, 0.0).to(its.dtype)
    high = torch.zeros_like(low)
    for _ in range(36):  # to 1.5e-7 nats, as fine as float32 is
        middle = 0.5 * (low + high)
        weight = torch.sigmoid(middle[:, None] + its - rest)
        mine = (weight * its_activity).sum(1)
        above = mine > most * (mine + ((1.0 - weight) * rest_activity).sum(1))
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    lowered = found.log_weights + torch.where(of_top, low[:, None, None], 0.0)
    return replace(found, log_weights=lowered.log_softmax(-1))


def _part(found: Posterior, components: Components, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the chosen components together at each block: log weight, and how much sounds; both [batch, blocks]."""
    log_weights = torch.where(chosen, found.log_weights, -torch.inf)
    total = torch.logsumexp(log_weights, -1)
    within = torch.exp(log_weights - total.clamp_min(-1e30)[..., None])
    return total, (within * components.active.clamp_min(_FAINT)).sum(-1)
