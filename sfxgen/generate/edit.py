"""`edit:` → a recording moved towards the entry's prompt."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from sfxgen.audio import Audio
from sfxgen.credit import Credit, averaged
from sfxgen.distill.edit import Steering, Wish, edit
from sfxgen.distill.heard import heard
from sfxgen.draw import Draw
from sfxgen.errors import BadInput
from sfxgen.generate.recipe import Request
from sfxgen.generate.recorded import read_recording
from sfxgen.manifest.recordings import Edit
from sfxgen.priors import open_prior
from sfxgen.priors.contract import Prior, reproducible


def render(spec: Edit, draws: Sequence[Draw], request: Request) -> list[Audio]:
    """One try a draw, at the recording's own rate and channels, cut to request.duration_s where that is given.

    The source comes as a path from request.root. Raises SourceUnreadable, BadInput for silence.
    """
    (source,) = spec.source
    recording = read_recording(request.root / source, request.duration_s)
    if spec.strength == 0.0:
        return [recording] * len(draws)
    prior = open_prior(request.prior, request.root, request.device)
    wish, steering = Wish(request.prompt, spec.from_prompt), Steering(strength=spec.strength)
    try:
        with reproducible(prior):
            blocks = [edit(prior, recording, wish, draw.seed, steering) for draw in draws]
            request.credit(averaged([_credits(prior, block, request.prompt) for block in blocks]))
    except BadInput as error:
        raise BadInput(f"{source}: {error}") from error
    return blocks


@torch.no_grad()
def _credits(prior: Prior, audio: Audio, prompt: str) -> list[Credit]:
    """Whose recordings the prompt's part of an edit is like; of its first stretch, as long as the prior takes."""
    z0 = prior.encode(heard(audio, prior)[..., : math.floor(prior.window_s * prior.rate_hz)])
    seconds = min(audio.duration_s, prior.window_s)
    return prior.credits(z0, prior.condition([prompt], seconds))[0]
