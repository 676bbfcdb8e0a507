"""Speech and what disturbs it, taken apart: the separation of two sources whose parts a tracked noise floor cuts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sfxgen.distill.components import components
from sfxgen.distill.cuts import Cut
from sfxgen.distill.denoise import speech_gain
from sfxgen.distill.optimise import nothing
from sfxgen.distill.separate import Settings, separate
from sfxgen.distill.sharing import Shares
from sfxgen.priors.contract import Prior

SPEECH = ("speech", "man speaking", "woman speaking")
NOISE = (
    *("rain", "wind blowing", "engine running", "fire crackling", "electric buzzing", "white noise", "mains hum"),
    *("water", "traffic", "clicks"),
)
N_SPEECH_PARTS = 3
# Log-odds of a part for where the noise floor puts it. Library priors have heard few voices: their evidence may add to
# the noise floor's, but no more (tools/evaluate/enhancement.py --odds).
ODDS = 2.0
CERTAINTY = 2.0  # less than in separation, where the prompts are all that is known


def enhance(
    audio: Tensor,
    prior: Prior,
    seed: int,
    noise: str | None = None,
    settings: Settings | None = None,
    odds: float = ODDS,
    warn: Callable[[str], None] = nothing,
) -> Shares:
    """Speech's and noise's shares, in this order, of a recording [channels, samples] as the prior takes it.

    noise: what disturbs, in plain words; one of NOISE where nobody says. Raises BadInput where the prior knows no word
    of it.
    """
    names = (noise,) if noise else NOISE

    def cut(found: Tensor, n_sources: int, seed: int) -> list[Cut]:
        return [by_noise_floor(found, n_sources, seed, odds)]

    settings = settings or Settings(certainty=CERTAINTY)
    return separate(audio, (SPEECH, names), prior, seed, settings, warn, cut)


def by_noise_floor(found: Tensor, n_sources: int, seed: int, odds: float) -> Cut:
    """What the noise floor leaves, cut into parts that come and go together; and the noise as the last part."""
    if n_sources != 2:
        raise ValueError(f"a noise floor parts two sources, not {n_sources}")
    power = found.abs().square().mean(0)
    gain = torch.from_numpy(speech_gain(power.double().numpy()).astype(np.float32))
    parts = components(power.sqrt() * gain, N_SPEECH_PARTS, seed) * gain
    shares = torch.cat([parts, (1.0 - gain)[None]])
    of_speech = torch.tensor([odds] * N_SPEECH_PARTS + [-odds])
    return Cut(shares, torch.stack([0.5 * of_speech, -0.5 * of_speech]))
