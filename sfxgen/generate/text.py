"""`text:` → sounds sampled from the project's prior."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sfxgen.audio import Audio
from sfxgen.credit import averaged
from sfxgen.draw import Draw
from sfxgen.errors import BadInput
from sfxgen.generate.recipe import Request
from sfxgen.generate.takes import intensity_gain, place_intensity
from sfxgen.manifest.text import Text
from sfxgen.priors import open_prior
from sfxgen.priors.contract import Prior, reproducible

LONGER = 1.5  # a sound asked to last so much longer than its kind does goes on evenly
LOOP_MARGIN = 1.25  # what a loop is searched in
TAKE_JITTER = 0.5  # of its range of intensity that the takes of a set spread over


def render(spec: Text, draws: Sequence[Draw], request: Request) -> list[Audio]:
    """One block of sound a draw, at the prior's own rate and channels, each from its own seed alone.

    Raises BadInput for a sound longer than the prior's window, SfxgenError where the prior cannot be had.
    """
    prior = open_prior(request.prior, request.root, request.device)
    with reproducible(prior):
        return _render(spec, draws, request, prior)


def _render(spec: Text, draws: Sequence[Draw], request: Request, prior: Prior) -> list[Audio]:
    natural_s = prior.natural_s(request.prompt)
    seconds = request.duration_s or natural_s
    ongoing = request.loop or seconds >= LONGER * natural_s
    seconds *= LOOP_MARGIN if request.loop else 1.0
    if seconds > prior.window_s:
        raise BadInput(f"{seconds:g} s is longer than the prior {prior.name} can make at once ({prior.window_s:g} s)")
    plain = prior.condition([request.prompt] * len(draws) * spec.best_of, seconds, ongoing=ongoing)
    generators = [_generator(draw, number) for draw in draws for number in range(spec.best_of)]
    condition = prior.drawn(plain, generators)
    z0 = prior.sample_z0(condition, generators, spec.steps, spec.guidance)
    if spec.best_of > 1:
        scores = prior.agreement_of(z0, plain).reshape(len(draws), spec.best_of)
        kept = [row * spec.best_of + int(best) for row, best in enumerate(scores.argmax(1))]
        z0, condition, generators = z0[kept], condition.rows(kept), [generators[i] for i in kept]
    request.credit(averaged(prior.credits(z0, condition)))
    with torch.inference_mode():
        blocks = prior.decode(z0, generators).float().cpu().numpy()
    n_frames = round(seconds * prior.rate_hz)
    return [
        Audio.of(_gain(draw) * block[:, :n_frames], prior.rate_hz) for block, draw in zip(blocks, draws, strict=True)
    ]


def _generator(draw: Draw, number: int) -> torch.Generator:
    """Of one of a draw's samples: the first is the one that there is without others."""
    return torch.Generator().manual_seed((draw.seed + 0x9E3779B97F4A7C15 * number) % 2**64)


def _gain(draw: Draw) -> np.float32:
    return np.float32(intensity_gain(place_intensity(draw, draw.rng(), TAKE_JITTER)))
