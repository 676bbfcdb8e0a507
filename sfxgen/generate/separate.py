"""`separate:` → a recording taken apart into the sounds in it, a file for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from sfxgen.audio import Audio
from sfxgen.distill.naming import Ask, names_for
from sfxgen.distill.optimise import nothing
from sfxgen.distill.separate import Settings, separate
from sfxgen.distill.sharing import shared_out
from sfxgen.draw import Draw
from sfxgen.errors import BadInput
from sfxgen.generate.recipe import Request
from sfxgen.generate.recorded import as_prior_takes_it, read_recording
from sfxgen.manifest.recordings import Separate
from sfxgen.priors import open_prior
from sfxgen.priors.contract import Prior, reproducible


def render(spec: Separate, draws: Sequence[Draw], request: Request) -> list[Audio]:
    """A block of sound a stem, in the order of spec.stem_names, at the recording's own rate and channels.

    Added up, the stems are the recording. Raises SourceUnreadable, BadInput for a prompt that the prior cannot follow.
    """
    if len(draws) != len(spec.stem_names):
        raise ValueError(f"{len(draws)} draws for {len(spec.stem_names)} stems")
    audio = read_recording(request.root / spec.source[0], request.duration_s)
    prior = open_prior(request.prior, request.root, request.device)
    prompts = tuple(spec.stems.values()) or found_prompts(audio, spec.count, prior, draws[0].seed)
    return apart(audio, prompts, prior, draws[0].seed, warn=request.warn)


def apart(
    audio: Audio,
    prompts: Sequence[str],
    prior: Prior,
    seed: int,
    settings: Settings | None = None,
    warn: Callable[[str], None] = nothing,
) -> list[Audio]:
    """The stems of a recording, one a prompt, at its own rate and channels; added up they are the recording."""
    with reproducible(prior):
        shares = separate(as_prior_takes_it(audio, prior), prompts, prior, seed, settings, warn)
        stems = shared_out(audio.samples, audio.rate_hz, shares)
    return [Audio.of(stem, audio.rate_hz) for stem in stems]


def found_prompts(audio: Audio, count: int, prior: Prior, seed: int, ask: Ask | None = None) -> tuple[str, ...]:
    """Names of the sounds in a recording: see `naming.names_for`."""
    if audio.peak == 0.0:
        raise BadInput("the recording is silent: there is nothing to find names for")
    with reproducible(prior), torch.no_grad():
        return names_for(as_prior_takes_it(audio, prior), count, prior, seed, ask=ask)
