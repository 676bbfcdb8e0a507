"""Parameters towards what a prior takes a prompt to sound like: Adam on the loss of score distillation.

Many starts of many sounds go through the prior as one batch; each has its own parameters, prompt and random numbers, so
that none depends on its neighbours.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from sfxgen.distill.losses import WEIGHTS, emphasis
from sfxgen.distill.parts import Parts
from sfxgen.distill.targets import TARGETS, Asked, Target
from sfxgen.errors import SfxgenError
from sfxgen.priors.contract import Condition, Prior
from sfxgen.priors.diffusion import draw_noise

ADAM_BETAS, ADAM_EPS = (0.9, 0.99), 1e-12
CHECKPOINT_STEPS = 25


class Renderer(Protocol):
    """g(θ): a differentiable renderer. θ = (0, …, 0) is its start, and 1 a step of each parameter that can be heard.

    low, high: how far each parameter may go, [P]. That a synth sets the size of its own steps takes the place of
    learning rates by group: Adam walks alike in all of them.
    """

    low: Tensor
    high: Tensor

    def __call__(self, theta: Tensor, seed: int) -> Tensor:
        """θ [P] → audio [channels, frames] at the prior's rate. seed: of the sound's own noise."""


@dataclass(frozen=True, eq=False)
class Start:
    """Where one optimisation begins. seed: of its noise; theta: [P], the renderer's own start if None."""

    renderer: Renderer
    prompt: str
    seed: int
    theta: Tensor | None = None

    @property
    def first(self) -> Tensor:
        return torch.zeros_like(self.renderer.low) if self.theta is None else self.theta


@dataclass(frozen=True)
class Settings:
    """How to distil.

    target: a name in TARGETS. guidance: (first, last) of the run, 1 is the condition alone. t_first, t_last: the range
    that t is drawn from at the first and the last step. n_pairs: (t, ε) a step; antithetic: every second one mirrors
    the one before, t in its range and ε at 0. n_denoising: steps of the partial chain. weight: a name in WEIGHTS.
    log_share: see emphasis. encoder: compare in the prior's z, with the gradient through its encoder (plain SDS), in
    place of Decoder-SDS. patience, still: stop a start whose parameters moved less than `still` over so many steps.
    n_noises: of the sound itself, taken in turn, so that no parameter fits the chance of one of them.
    """

    n_steps: int = 60
    rate: float = 0.1
    target: str = "sds"
    guidance: tuple[float, float] = (1.0, 1.0)
    t_first: tuple[float, float] = (0.7, 0.9)
    t_last: tuple[float, float] = (0.15, 0.35)
    n_pairs: int = 1
    antithetic: bool = True
    n_denoising: int = 2
    weight: str = "flat"
    log_share: float = 0.1
    encoder: bool = False
    patience: int = 15
    still: float = 0.02
    n_noises: int = 4


@dataclass(frozen=True)
class Step:
    """What one step did: number from 0, its mean t, the loss of each start, and the maps that were wanted of them."""

    number: int
    t: float
    losses: tuple[float, ...]
    wanted: tuple[Tensor, ...]


@dataclass(eq=False)
class Walk:
    """All starts on their way: θ padded to one length [starts, P], Adam's moments, and who no longer moves; before: θ
    when that was last looked at."""

    theta: Tensor
    first_moment: Tensor
    second_moment: Tensor
    n_done: int = 0
    still: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.bool))
    before: Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.float64))

    @staticmethod
    def of(starts: Sequence[Start]) -> Walk:
        width = max(len(start.first) for start in starts)
        theta = torch.stack([_padded(start.first, width) for start in starts])
        nothing_yet = torch.zeros_like(theta)
        return Walk(theta, nothing_yet, nothing_yet, 0, torch.zeros(len(starts), dtype=torch.bool), theta)

    def to_bytes(self) -> bytes:
        packed = io.BytesIO()
        arrays = {name: value.numpy() for name, value in vars(self).items() if isinstance(value, Tensor)}
        np.savez(packed, allow_pickle=False, n_done=np.array(self.n_done), **arrays)
        return packed.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> Walk:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            found = {name: torch.from_numpy(arrays[name]) for name in arrays.files if name != "n_done"}
            return Walk(**found, n_done=int(arrays["n_done"]))

    def descend(self, gradient: Tensor, rate: float) -> None:
        """Adam (Kingma & Ba 2015, algorithm 1) for the starts that still move."""
        b1, b2 = ADAM_BETAS
        n = self.n_done + 1
        self.first_moment = b1 * self.first_moment + (1 - b1) * gradient
        self.second_moment = b2 * self.second_moment + (1 - b2) * gradient.square()
        step = self.first_moment / (1 - b1**n) / ((self.second_moment / (1 - b2**n)).sqrt() + ADAM_EPS)
        self.theta = self.theta - rate * step * ~self.still[:, None]


def nothing(*said: object) -> None:
    """Listens to nobody."""
    del said


@dataclass(frozen=True, eq=False)
class Run:
    """What steers a run from outside.

    on_step: told after each step. cancelled: asked before each; once yes, the walk ends where it is. resume: the bytes
    of an earlier walk, keep: gets them now and then, so that a killed run goes on where it was. warn: for a person.
    """

    on_step: Callable[[Step, Walk], None] = nothing
    cancelled: Callable[[], bool] = lambda: False
    resume: bytes | None = None
    keep: Callable[[bytes], None] = nothing
    warn: Callable[[str], None] = nothing


def distil(
    starts: Sequence[Start],
    prior: Prior,
    condition: Condition,
    settings: Settings,
    run: Run | None = None,
    target: Target | None = None,
) -> list[Tensor]:
    """θ of every start after the walk, each [P]. condition: a row a start. target: in place of settings.target.

    A start whose gradient is not finite at a step stands still there. Raises SfxgenError where all are so.
    """
    run = run or Run()
    walk = Walk.from_bytes(run.resume) if run.resume else Walk.of(starts)
    width = walk.theta.shape[1]
    low = torch.stack([_padded(start.renderer.low, width) for start in starts])
    high = torch.stack([_padded(start.renderer.high, width) for start in starts])
    chosen = target or TARGETS[settings.target]
    parts = Parts(run.warn)
    while walk.n_done < settings.n_steps and not walk.still.all() and not run.cancelled():
        theta = walk.theta.clone().requires_grad_()
        # Anew at each step, so that a walk that is resumed draws what it would have drawn.
        generators = [torch.Generator().manual_seed(start.seed + 7919 * walk.n_done) for start in starts]
        t, losses, wanted = _losses(starts, theta, prior, condition, settings, chosen, generators, walk.n_done, parts)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        gradient = theta.grad if theta.grad is not None else torch.zeros_like(theta)
        sound = torch.isfinite(gradient).all(1) & torch.isfinite(losses.detach())
        if not sound.any():
            raise SfxgenError("guidance found no finite gradient: the prior or the sound gives NaN for this prompt")
        walk.descend(
            torch.where(sound[:, None], gradient, 0.0), settings.rate * _cooling(walk.n_done, settings.n_steps)
        )
        walk.theta = torch.minimum(torch.maximum(walk.theta, low), high)
        run.on_step(Step(walk.n_done, t, tuple(losses.tolist()), wanted), walk)
        walk.n_done += 1
        if walk.n_done % settings.patience == 0:
            walk.still = walk.still | ((walk.theta - walk.before).abs().amax(1) < settings.still)
            walk.before = walk.theta
        if walk.n_done % CHECKPOINT_STEPS == 0:
            run.keep(walk.to_bytes())
    return [walk.theta[i, : len(start.first)] for i, start in enumerate(starts)]


def _losses(
    starts: Sequence[Start],
    theta: Tensor,
    prior: Prior,
    condition: Condition,
    settings: Settings,
    target: Target,
    generators: Sequence[torch.Generator],
    number: int,
    parts: Parts,
) -> tuple[float, Tensor, tuple[Tensor, ...]]:
    """The mean t, the loss of each start, and what was wanted of them at one step."""
    progress = number / max(1, settings.n_steps - 1)
    seeds = [start.seed + number % settings.n_noises for start in starts]
    audio = render(starts, theta, seeds, prior)
    detached = audio.detach()
    with torch.no_grad():
        (z0,) = parts.each(lambda rows: (prior.encode(detached[rows]),), len(starts))
    guidance = settings.guidance[0] + (settings.guidance[1] - settings.guidance[0]) * progress
    asked = Asked(prior, condition, guidance, settings.n_denoising)
    wanted: list[Tensor] = []
    times, noises = _draws(z0, settings, progress, generators)
    weights = [WEIGHTS[settings.weight](t).double() for t in times]
    total = torch.stack(weights).sum(0)
    for t, eps, weight in zip(times, noises, weights, strict=True):

        def goal(rows: slice, t: Tensor = t, eps: Tensor = eps) -> tuple[Tensor, ...]:
            some = replace(asked, condition=condition.rows(rows), place=rows)
            z = target(z0[rows], t[rows].to(z0.device), eps[rows], some)
            # Copies, so that a part that is tried again, smaller, draws the same.
            return (z,) if settings.encoder else prior.features_of(z, [g.clone_state() for g in generators[rows]])

        share = weight / total.clamp_min(1e-12)  # of (t, ε) pairs that count differently, in their mean
        maps = [_times_each(map_.detach(), share) for map_ in parts.each(goal, len(starts))]
        wanted = maps if not wanted else [sum_ + map_ for sum_, map_ in zip(wanted, maps, strict=True)]
    found = (prior.encode(audio),) if settings.encoder else prior.features(audio)
    log_share = 0.0 if settings.encoder or prior.levels else settings.log_share
    losses = emphasis(found, wanted, len(starts), log_share).cpu()
    return float(torch.stack(times).mean()), losses * total / len(times), tuple(wanted)


def _times_each(map_: Tensor, share: Tensor) -> Tensor:
    """A map [items · channels, …] times one number an item."""
    each = share.repeat_interleave(len(map_) // len(share)).to(map_)
    return map_ * each.reshape(-1, *(1,) * (map_.dim() - 1))


def _draws(
    z0: Tensor, settings: Settings, progress: float, generators: Sequence[torch.Generator]
) -> tuple[list[Tensor], list[Tensor]]:
    """n_pairs times [batch] and noises like z0, each item's from its own generator.

    Antithetic: every second pair is the one before it mirrored, the time in its range and the noise at 0.
    """
    low, high = (a + (b - a) * progress for a, b in zip(settings.t_first, settings.t_last, strict=True))
    times: list[Tensor] = []
    noises: list[Tensor] = []
    for number in range(settings.n_pairs):
        if settings.antithetic and number % 2:
            times.append(low + high - times[-1])
            noises.append(-noises[-1])
            continue
        times.append(torch.cat([torch.rand(1, generator=g) for g in generators]) * (high - low) + low)
        noises.append(draw_noise(z0.shape[1:], generators, z0))
    return times, noises


def render(starts: Sequence[Start], theta: Tensor, seeds: Sequence[int], prior: Prior) -> Tensor:
    """Audio of all starts [starts, channels, frames] as the prior takes it; shorter ones end in silence."""
    blocks = [
        start.renderer(theta[i, : len(start.first)], seed)
        for i, (start, seed) in enumerate(zip(starts, seeds, strict=True))
    ]
    n_frames = max(block.shape[-1] for block in blocks)
    padded = [torch.nn.functional.pad(block, (0, n_frames - block.shape[-1])) for block in blocks]
    audio = torch.stack(padded).to(prior.device, prior.dtype)
    return audio.expand(-1, prior.channels, -1) if audio.shape[1] == 1 else audio


def _cooling(number: int, n_steps: int) -> float:
    """Half a cosine from 1 to 0.1: the last steps settle."""
    return 0.55 + 0.45 * math.cos(math.pi * number / max(1, n_steps))


def _padded(row: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(row.double(), (0, width - len(row)))
