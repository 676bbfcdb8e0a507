"""Before the descent: which starts are worth it, and how far a search without gradients carries them.

Gradients of a spectrogram do not lead across a wide gap in pitch or time, so where a walk begins decides most. Starts
are ranked by the prior; an evolution strategy then improves the best (as CTAG tunes a synth with CLAP: Cherep et al.,
"Creative Text-to-Audio Generation via Synthesizer Programming", ICML 2024).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from cmaes import SepCMA
from torch import Tensor

from sfxgen.distill.optimise import Start, render
from sfxgen.errors import SfxgenError
from sfxgen.priors.contract import Prior

STEP = 1.0  # σ of the first generation, in audible steps
POPULATION = 8
Score = Callable[[Tensor], Tensor]  # audio [batch, channels, frames] → [batch], higher is better


def agreement_with(prior: Prior, prompt: str, seconds: float, ongoing: bool = False) -> Score:
    """How well sounds agree with a prompt. A sound that is silent or not finite is worse than any."""
    one = prior.condition([prompt], seconds, ongoing=ongoing)

    def score(audio: Tensor) -> Tensor:
        level = audio.abs().flatten(1).amax(1).cpu()
        fair = torch.isfinite(level) & (level > 1e-7)
        found = prior.agreement(
            torch.where(fair.to(audio.device)[:, None, None], audio, 0.0), prior.repeated(one, len(audio))
        )
        return torch.where(fair & torch.isfinite(found), found, -torch.inf)

    return score


@torch.no_grad()
def scores_of(starts: Sequence[Start], prior: Prior, score: Score) -> Tensor:
    """Of each start as it stands, [starts]; rendered one by one, so that none depends on the others."""
    found = [score(render([start], start.first[None], [start.seed], prior)) for start in starts]
    return torch.cat(found)


@torch.no_grad()
def evolved(start: Start, prior: Prior, score: Score, n_generations: int, cancelled: Callable[[], bool]) -> Start:
    """The start moved to the best place that a separable CMA-ES finds (Ros & Hansen 2008); never to a worse one.

    All candidates keep the start's own noise, so that they differ by their parameters alone.
    """
    if n_generations == 0 or not len(start.renderer.low):
        return start
    low, high = start.renderer.low.numpy(), start.renderer.high.numpy()
    free = high - low > 1e-9
    best, best_score = start.first, float(scores_of([start], prior, score)[0])
    if not free.any():
        return start
    bounds = np.stack([low, high], 1)[free]
    strategy = SepCMA(
        mean=start.first.numpy()[free], sigma=STEP, bounds=bounds, seed=start.seed % 2**31, population_size=POPULATION
    )
    for _ in range(n_generations):
        if cancelled():
            break
        asked = [strategy.ask() for _ in range(strategy.population_size)]
        tried = [_filled(start.first, free, x) for x in asked]
        found = scores_of([replace(start, theta=theta) for theta in tried], prior, score)
        losses = torch.nan_to_num(-found, posinf=1e9).tolist()
        strategy.tell(list(zip(asked, losses, strict=True)))
        top = int(found.argmax())
        if float(found[top]) > best_score:
            best, best_score = tried[top], float(found[top])
    return replace(start, theta=best)


def best_of(starts: Sequence[Start], prior: Prior, score: Score) -> tuple[Start, float]:
    """The start that scores best, the first of equals. Raises SfxgenError where none gives a sound."""
    found = scores_of(starts, prior, score)
    top = int(found.argmax())
    if not torch.isfinite(found[top]):
        raise SfxgenError("every start is silent or not finite; write the sound's own parameters otherwise")
    return starts[top], float(found[top])


def _filled(like: Tensor, free: np.typing.NDArray[np.bool_], values: np.typing.NDArray[np.float64]) -> Tensor:
    theta = like.clone()
    theta[torch.from_numpy(free)] = torch.from_numpy(values)
    return theta
