"""`enhance:` → the speech of a recording without what disturbs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from sfxgen.audio import Audio
from sfxgen.distill.enhance import enhance
from sfxgen.distill.optimise import nothing
from sfxgen.distill.separate import Settings
from sfxgen.distill.sharing import shared_out
from sfxgen.draw import Draw
from sfxgen.generate.recipe import Request
from sfxgen.generate.recorded import as_prior_takes_it, read_recording
from sfxgen.manifest.recordings import Enhance
from sfxgen.priors import open_prior
from sfxgen.priors.contract import Prior, reproducible


def render(spec: Enhance, draws: Sequence[Draw], request: Request) -> list[Audio]:
    """Each recording's speech at its own rate and channels. Raises SourceUnreadable, BadInput for words of the noise
    that the prior does not know."""
    if len(draws) != len(spec.source):
        raise ValueError(f"{len(draws)} draws for {len(spec.source)} recordings")
    prior = open_prior(request.prior, request.root, request.device)
    recordings = [read_recording(request.root / source, request.duration_s) for source in spec.source]
    return [
        cleaned(recording, prior, draw.seed, spec.noise, spec.amount, warn=request.warn)
        for recording, draw in zip(recordings, draws, strict=True)
    ]


def cleaned(
    audio: Audio,
    prior: Prior,
    seed: int,
    noise: str | None = None,
    amount: float = 1.0,
    settings: Settings | None = None,
    warn: Callable[[str], None] = nothing,
) -> Audio:
    """A recording without its noise: amount 0 leaves it as it is, bit for bit; 1 takes away all that is found."""
    if amount == 0.0 or audio.peak == 0.0:
        return audio
    with reproducible(prior):
        shares = enhance(as_prior_takes_it(audio, prior), prior, seed, noise, settings, warn=warn)
        taken = amount * shares.values[1]
        less = replace(shares, values=torch.stack([1.0 - taken, taken]))
        speech, _ = shared_out(audio.samples, audio.rate_hz, less)
    return Audio.of(speech, audio.rate_hz)
