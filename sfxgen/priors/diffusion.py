"""The diffusion arithmetic that every prior shares: schedules, predictions, guidance, DDIM.

Batch first; z is any shape. A clean z0 at time t in [0, 1] is noised to z = α(t) z0 + σ(t) ε with ε standard normal;
t = 0 is clean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch

Prediction = Literal["x0", "eps", "v", "flow"]
Denoise = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # (z, t [batch]) → x̂0


@dataclass(frozen=True, eq=False)
class Schedule:
    """α and σ as functions of t, shape [batch] → [batch]."""

    alpha: Callable[[torch.Tensor], torch.Tensor]
    sigma: Callable[[torch.Tensor], torch.Tensor]

    def at(self, t: torch.Tensor, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """α and σ at t [batch], each shaped to multiply `like` [batch, …] and of its dtype."""
        shape = (-1, *(1,) * (like.dim() - 1))
        return self.alpha(t).to(like).reshape(shape), self.sigma(t).to(like).reshape(shape)


def cosine() -> Schedule:
    """α = cos(πt/2), σ = sin(πt/2) (Nichol & Dhariwal 2021; Stable Audio)."""
    return Schedule(lambda t: torch.cos(0.5 * math.pi * t), lambda t: torch.sin(0.5 * math.pi * t))


def rectified_flow() -> Schedule:
    """α = 1 − t, σ = t (Liu et al. 2022, eq. 1; Stable Audio 3)."""
    return Schedule(lambda t: 1.0 - t, lambda t: t)


def discrete(alphas_cumprod: torch.Tensor) -> Schedule:
    """The table of a DDPM of T steps: t = (step + 1) / T, and t = 0 is clean. Between the steps ᾱ is interpolated.

    alphas_cumprod: ᾱ, shape [T], falling (Ho et al. 2020, eq. 4).
    """
    table = torch.cat([torch.ones(1, dtype=torch.float64), alphas_cumprod.detach().to("cpu", torch.float64)])

    def alpha_bar(t: torch.Tensor) -> torch.Tensor:
        place = t.detach().to("cpu", torch.float64).clamp(0.0, 1.0) * (len(table) - 1)
        low = place.floor().long().clamp(max=len(table) - 2)
        return (table[low] + (place - low) * (table[low + 1] - table[low])).to(t.device)

    return Schedule(lambda t: alpha_bar(t).sqrt(), lambda t: (1.0 - alpha_bar(t)).sqrt())


def to_x0(
    output: torch.Tensor, z: torch.Tensor, alpha: torch.Tensor, sigma: torch.Tensor, prediction: Prediction
) -> torch.Tensor:
    """A network's output at z → its estimate x̂0 of the clean z0.

    ε: (z − σ ε) / α. v = α ε − σ z0 (Salimans & Ho 2022, eq. 9): α z − σ v, where α² + σ² = 1. Flow: the velocity
    ε − z0, where α + σ = 1: z − σ v.
    """
    if prediction == "x0":
        return output
    if prediction == "eps":
        return (z - sigma * output) / alpha
    if prediction == "v":
        return alpha * z - sigma * output
    return z - sigma * output


def to_eps(x0: torch.Tensor, z: torch.Tensor, alpha: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """The noise that z holds if its clean part is x0."""
    return (z - alpha * x0) / sigma


def guided(conditional: torch.Tensor, unconditional: torch.Tensor, guidance: float) -> torch.Tensor:
    """Classifier-free guidance (Ho & Salimans 2022, eq. 6) on x̂0: 1 is the conditional model, 0 the unconditional.

    It is diffusers' `guidance_scale`. On x̂0 it equals guidance on ε and v, since at one z they are affine in it.
    """
    return unconditional + guidance * (conditional - unconditional)


def ddim_step(
    x0: torch.Tensor, z: torch.Tensor, t: torch.Tensor, t_next: torch.Tensor, schedule: Schedule
) -> torch.Tensor:
    """From t to t_next < t (both [batch]) without new noise: α′ x̂0 + σ′ ε̂ (Song et al. 2021, eq. 12 with σ = 0)."""
    alpha, sigma = schedule.at(t, z)
    alpha_next, sigma_next = schedule.at(t_next, z)
    return alpha_next * x0 + sigma_next * to_eps(x0, z, alpha, sigma)


def ddim(denoise: Denoise, z: torch.Tensor, times: Sequence[float] | torch.Tensor, schedule: Schedule) -> torch.Tensor:
    """Follow `times` down from the t of z. The last x̂0 is the result, so a final 0 needs no entry.

    times: falling, within (0, 1], shape [steps] for all items or [steps, batch] for each its own.
    """
    grid = torch.as_tensor(times, dtype=torch.float64, device="cpu")  # not every device has float64
    grid = grid[:, None].expand(-1, len(z)) if grid.dim() == 1 else grid
    x0 = denoise(z, grid[0])
    for t, t_next in pairwise(grid):
        z = ddim_step(x0, z, t, t_next, schedule)
        x0 = denoise(z, t_next)
    return x0


def draw_noise(shape: Sequence[int], generators: Sequence[torch.Generator], like: torch.Tensor) -> torch.Tensor:
    """Standard normal [batch, *shape], a generator an item, so that no item depends on its neighbours in the batch.

    Drawn on the CPU in float32: the same on every device.
    """
    rows = [torch.randn(tuple(shape), generator=generator, dtype=torch.float32) for generator in generators]
    return torch.stack(rows).to(like)
