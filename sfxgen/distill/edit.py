"""A recording moved towards a prompt by delta denoising, held by its own spectrogram (Hertz et al. 2023)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sfxgen.audio import Audio
from sfxgen.distill.heard import SILENT_DBFS, Block, at_rate, heard, level_db, stretches
from sfxgen.distill.targets import Asked, delta
from sfxgen.errors import BadInput, SfxgenError
from sfxgen.priors.contract import Prior
from sfxgen.priors.diffusion import draw_noise

AT_ONCE_S = 12.0  # longer recordings go through in stretches that overlap by OVERLAP of this
OVERLAP = 0.25
QUIET_DB = 50.0  # below the peak: what begins and ends so quietly stays as it is
EDGE_S = 0.01  # in which an edit begins where the recording goes on before it
GUIDANCE_OF_LEVELS = 3.0  # unguided, a mixture's two estimates hardly differ
LONGER = 1.5  # than such sounds last by themselves: the prompt is then taken as of something that goes on


@dataclass(frozen=True)
class Steering:
    """How to edit.

    strength: of the pull towards the prompt, 0 to 1; 1 − strength is that of the anchor, the recording's spectrogram.
    guidance: if None the prior's usual one, but GUIDANCE_OF_LEVELS where z is levels. t: the range that times are drawn
    from. rate: share of the way at a step. n_draws: times and noises of a step.
    """

    strength: float = 0.5
    n_steps: int = 16
    rate: float = 0.25
    guidance: float | None = None
    t: tuple[float, float] = (0.05, 0.4)
    n_draws: int = 2


@dataclass(frozen=True)
class Wish:
    """What a recording shall become. source_prompt: what it is now; what pulls is the difference between both. Without
    it the difference is that to the prior's unconditional model."""

    prompt: str
    source_prompt: str | None = None


def edit(prior: Prior, audio: Audio, wish: Wish, seed: int, steering: Steering | None = None) -> Audio:
    """A recording of any length, rate and channels, edited; the same length, rate and channels.

    The change is found in the prior's representation and added to the recording, so that strength 0, and a target
    prompt that is the source prompt, give back its very samples. Raises BadInput for silence, SfxgenError where the
    prior gives NaN.
    """
    steering = steering or Steering()
    if not 0.0 <= steering.strength <= 1.0:
        raise BadInput(f"strength is {steering.strength:g}; expected 0 (the recording as it is) to 1")
    if steering.strength == 0.0:
        return audio
    part = _sounding(audio)
    samples = audio.samples[:, part]
    if not samples.shape[1]:
        raise BadInput("it is silent: there is nothing to edit")
    change = _change(prior, Audio.of(samples, audio.rate_hz), wish, seed, steering)
    change = _fitted(at_rate(change, prior.rate_hz, audio.rate_hz), samples.shape[1])
    out = np.array(audio.samples)
    out[:, part] += _eased(change, round(EDGE_S * audio.rate_hz), part.start > 0, part.stop < audio.n_frames)
    return Audio.of(out, audio.rate_hz)


def _change(prior: Prior, audio: Audio, wish: Wish, seed: int, steering: Steering) -> Block:
    """What is added to a recording, [its channels, frames at the prior's rate]."""
    own = torch.from_numpy(at_rate(audio.samples, audio.rate_hz, prior.rate_hz))[None].to(prior.device, prior.dtype)
    as_heard = heard(audio, prior)
    longest = math.floor(min(AT_ONCE_S, prior.window_s) * prior.rate_hz)
    n_overlap = round(OVERLAP * longest)
    total = torch.zeros_like(own)
    before = 0  # where the stretch before ends
    for at in stretches(own.shape[-1], longest, longest - n_overlap):
        there = own[..., at]
        if level_db(there[0].float().cpu().numpy()) < SILENT_DBFS:
            change = torch.zeros_like(there)
        else:
            change = _edited(prior, there, as_heard[..., at], wish, seed, steering) - there
        n_fade = before - at.start
        if n_fade > 0:  # both are changes of the same sound: they add up as they are
            fade = torch.linspace(0.0, 1.0, n_fade, dtype=own.dtype, device=own.device)
            total[..., at.start : before] *= 1.0 - fade
            change[..., :n_fade] *= fade
        total[..., at] += change
        before = at.stop
    return np.asarray(total[0].float().cpu().numpy())


def _edited(prior: Prior, own: Tensor, as_heard: Tensor, wish: Wish, seed: int, steering: Steering) -> Tensor:
    """One stretch at the prior's rate, [1, channels, frames]; as_heard: with the prior's channels."""
    with torch.no_grad():
        z0 = prior.encode(as_heard)
    goal = moved_z(prior, z0, as_heard.shape[-1] / prior.rate_hz, wish, seed, steering)
    if torch.equal(goal, z0):
        return own
    return prior.moved(own, z0, goal, [torch.Generator().manual_seed(seed)])


def moved_z(prior: Prior, z0: Tensor, seconds: float, wish: Wish, seed: int, steering: Steering) -> Tensor:
    """Where z0 [1, …] goes. With the plain anchor it ends at z0 + strength · (x̂ of the prompt − x̂ of the source)."""
    n = steering.n_draws
    ongoing = seconds >= LONGER * prior.natural_s(wish.prompt)
    condition = prior.repeated(prior.condition([wish.prompt], seconds, ongoing=ongoing), n)
    source = prior.unconditional(condition)
    if wish.source_prompt:
        source = prior.repeated(prior.condition([wish.source_prompt], seconds, ongoing=ongoing), n)
    usual = GUIDANCE_OF_LEVELS if prior.levels else prior.usual_guidance
    guidance = usual if steering.guidance is None else steering.guidance
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
        towards = (target(z, t, eps, asked) - z0).mean(0, keepdim=True) - offset
        if not towards.isfinite().all():
            raise SfxgenError(f"prior {prior.name} gives no number for this recording and prompt (NaN)")
        step = steering.strength * towards - (1.0 - steering.strength) * pull(offset)
        offset = offset + steering.rate * _cooling(number, steering.n_steps) * step
    return z0 + offset


def _anchor(prior: Prior, z0: Tensor, seed: int) -> Callable[[Tensor], Tensor]:
    """What leads back from an offset, like it. Where z is levels, a spectrogram, it is the offset itself.

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
        pairs = zip(prior.features_of(z, [torch.Generator().manual_seed(seed)]), kept, strict=True)
        loss = torch.stack([(mine - own).square().sum() / own.square().sum() for mine, own in pairs]).sum()
        (gradient,) = torch.autograd.grad(loss, z)
        step: Tensor = gradient * (offset.norm() / gradient.norm().clamp_min(1e-20)).clamp(max=z0.numel())
        return step

    return pull


def _cooling(number: int, n_steps: int) -> float:
    """Half a cosine from 1 to 0.1: the last steps average over more draws."""
    return 0.55 + 0.45 * math.cos(math.pi * number / max(1, n_steps - 1))


def _sounding(audio: Audio) -> slice:
    """From the first to the last frame that is not QUIET_DB below the peak, with a little before and after."""
    loud = np.flatnonzero(np.abs(audio.samples).max(0) > audio.peak * 10.0 ** (-QUIET_DB / 20.0))
    if not len(loud):
        return slice(0, 0)
    margin = round(EDGE_S * audio.rate_hz)
    return slice(max(0, int(loud[0]) - margin), min(audio.n_frames, int(loud[-1]) + 1 + margin))


def _eased(change: Block, n_edge: int, at_start: bool, at_end: bool) -> Block:
    """Faded in, out or both, so that an edit inside a recording begins and ends unheard."""
    n_edge = min(n_edge, change.shape[1] // 2)
    ramp = np.linspace(0.0, 1.0, n_edge, dtype=np.float32)
    eased = np.array(change)
    if at_start:
        eased[:, :n_edge] *= ramp
    if at_end:
        eased[:, change.shape[1] - n_edge :] *= ramp[::-1]
    return eased


def _fitted(samples: Block, n_frames: int) -> Block:
    """Cut or filled with silence to so many frames."""
    return np.pad(samples[:, :n_frames], ((0, 0), (0, max(0, n_frames - samples.shape[1]))))
