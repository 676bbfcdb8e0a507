"""A recording moved towards a prompt by delta denoising, held by its own spectrogram (Hertz et al. 2023)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sfxgen.distill.targets import Asked, delta
from sfxgen.errors import SfxgenError
from sfxgen.priors.contract import Prior
from sfxgen.priors.diffusion import draw_noise


@dataclass(frozen=True)
class Steering:
    """How to edit.

    strength: of the pull towards the prompt, 0 to 1; 1 − strength is that of the anchor, the recording's spectrogram.
    guidance: the prior's usual one if None. t: the range that times are drawn from. rate: share of the way at a step.
    n_draws: times and noises of a step.
    """

    strength: float = 0.5
    n_steps: int = 40
    rate: float = 0.2
    guidance: float | None = None
    t: tuple[float, float] = (0.2, 0.8)
    n_draws: int = 4


def edit(
    prior: Prior,
    audio: Tensor,
    prompt: str,
    seed: int,
    source_prompt: str = "",
    steering: Steering | None = None,
    ongoing: bool = False,
) -> Tensor:
    """A recording [1, channels, frames] of up to the prior's window, edited; the same shape.

    source_prompt: what it is now; the difference between the two prompts is what pulls. Without one the difference is
    that to the unconditional model. Raises SfxgenError where the prior gives NaN.
    """
    steering = steering or Steering()
    with torch.no_grad():
        z0 = prior.encode(audio)
    goal = z0 + _offset(prior, z0, audio.shape[-1] / prior.rate_hz, prompt, seed, source_prompt, steering, ongoing)
    if torch.equal(goal, z0):
        return audio
    return prior.moved(audio, z0, goal, [torch.Generator().manual_seed(seed)])


def _offset(
    prior: Prior,
    z0: Tensor,
    seconds: float,
    prompt: str,
    seed: int,
    source_prompt: str,
    steering: Steering,
    ongoing: bool,
) -> Tensor:
    """Where z0 goes, like z0. With the plain anchor and a target that holds still it ends at strength · (x̂ − x̂_s)."""
    n = steering.n_draws
    condition = prior.condition([prompt] * n, seconds, ongoing=ongoing)
    source = (
        prior.condition([source_prompt] * n, seconds, ongoing=ongoing)
        if source_prompt
        else prior.unconditional(condition)
    )
    guidance = prior.usual_guidance if steering.guidance is None else steering.guidance
    asked, target = Asked(prior, condition, guidance), delta(z0.expand(n, *z0.shape[1:]), source)
    pull = _anchor(prior, z0, seed)
    generator = torch.Generator().manual_seed(seed)
    low, high = steering.t
    offset = torch.zeros_like(z0)
    for number in range(steering.n_steps):
        places = (torch.arange(n) + torch.rand(n, generator=generator)) / n  # one in each nth of the range
        t = (low + (high - low) * places).to(z0.device)
        eps = draw_noise(z0.shape[1:], [generator] * n, z0)
        z = (z0 + offset).expand(n, *z0.shape[1:])
        towards = (target(z, t, eps, asked) - z).mean(0, keepdim=True)
        if not towards.isfinite().all():
            raise SfxgenError(f"prior {prior.name} gives no number for this recording and prompt (NaN)")
        step = steering.strength * towards - (1.0 - steering.strength) * pull(offset)
        offset = offset + steering.rate * _cooling(number, steering.n_steps) * step
    return offset


def _anchor(prior: Prior, z0: Tensor, seed: int) -> Callable[[Tensor], Tensor]:
    """What leads back from an offset, like it. Where z is levels it is the offset itself.

    Elsewhere it is the gradient of Σ_m ‖S_m(decoded) − S_m(of z0)‖² / ‖S_m(of z0)‖², no longer than the offset, so that
    a steep decoder cannot throw it about.
    """
    if prior.levels:
        return lambda offset: offset
    with torch.no_grad():
        kept = prior.features_of(z0, [torch.Generator().manual_seed(seed)])

    def pull(offset: Tensor) -> Tensor:
        if not offset.any():
            return offset
        z = (z0 + offset).requires_grad_()
        found = prior.features_of(z, [torch.Generator().manual_seed(seed)])
        loss = sum((mine - own).square().sum() / own.square().sum() for mine, own in zip(found, kept, strict=True))
        (gradient,) = torch.autograd.grad(loss, z)
        return gradient * (offset.norm() / gradient.norm().clamp_min(1e-20)).clamp(max=z0.numel())

    return pull


def _cooling(number: int, n_steps: int) -> float:
    """Half a cosine from 1 to 0.1: the last steps average over more draws."""
    return 0.55 + 0.45 * math.cos(math.pi * number / max(1, n_steps - 1))
