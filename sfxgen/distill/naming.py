"""What is in a recording: names of sounds that together say most of its parts, found by the prior alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sfxgen.distill.components import components
from sfxgen.distill.separate import SILENT, windows_of
from sfxgen.distill.sharing import spectrum, waveform
from sfxgen.distill.vocabulary import ALIKE, NAMES
from sfxgen.errors import BadInput, SfxgenError
from sfxgen.priors.contract import Prior
from sfxgen.words import similarity

N_PARTS = 4  # of a window: few, so that each says enough of what it is
N_ASKED = 24  # names that somebody else chooses from
Ask = Callable[[Sequence[str], int], Sequence[str]]  # (names, the likeliest first; how many prompts) → prompts


def names_for(
    audio: Tensor, count: int, prior: Prior, seed: int, names: Sequence[str] = NAMES, ask: Ask | None = None
) -> tuple[str, ...]:
    """Prompts for so many stems of a recording [channels, samples] at the prior's rate and channels.

    Each window is cut into parts; a name counts by how likely it is for the parts that no name chosen before it says
    better, weighed by their power. Names that mean nearly the same are not chosen twice. ask: shown the ranked names,
    says what the prompts shall be (a person, a language model). Raises BadInput for silence and SfxgenError where `ask`
    gives another number of prompts.
    """
    if count > len(names):
        raise BadInput(f"{count} stems were asked for, and only {len(names)} names of sounds are known")
    likely, weight = _likely(audio, prior, seed, names)
    ranked = [names[i] for i in (weight @ likely).argsort(descending=True, stable=True).tolist()]
    if ask is None:
        return _chosen(likely, weight, count, names)
    prompts = tuple(prompt.strip() for prompt in ask(ranked[:N_ASKED], count) if prompt.strip())
    if len(prompts) != count:
        raise SfxgenError(
            f"{count} prompts were asked for, and {len(prompts)} came back: {', '.join(prompts) or 'none'}"
        )
    return prompts


@torch.no_grad()
def _likely(audio: Tensor, prior: Prior, seed: int, names: Sequence[str]) -> tuple[Tensor, Tensor]:
    """How likely each name is for each part of each window [parts, names], and the parts' shares of the power."""
    rows, powers = [], []
    for number, (start, end) in enumerate(windows_of(audio.shape[-1], prior)):
        piece = audio[:, start:end]
        if float(piece.abs().max()) < SILENT:
            continue
        found = spectrum(piece.float(), prior.rate_hz)
        shares = components(found.abs().mean(0), N_PARTS, seed + number)
        parts = waveform(shares[:, None] * found, prior.rate_hz, piece.shape[-1])
        fits = prior.fit(torch.cat([parts, piece[None].float()]).to(prior.device, prior.dtype), names).double().cpu()
        # Scales of fits differ from prior to prior: in standard deviations of a part's fits over all names.
        rows.append(((fits - fits.mean(1, keepdim=True)) / fits.std(1, keepdim=True).clamp_min(1e-12)).softmax(1))
        power = parts.double().square().sum((1, 2))
        powers.append(torch.cat([power, power.sum(0, keepdim=True)]))
    if not rows:
        raise BadInput("the recording is silent: there is nothing to find names for")
    weight = torch.cat(powers)
    return torch.cat(rows), weight / weight.sum()


def _chosen(likely: Tensor, weight: Tensor, count: int, names: Sequence[str]) -> tuple[str, ...]:
    """Greedily, each time the name that adds most to Σ_parts weight · max over the chosen names of likely."""
    alike = torch.from_numpy(similarity(names, names)) >= ALIKE
    covered = torch.zeros(len(likely), dtype=likely.dtype)
    barred = torch.zeros(len(names), dtype=torch.bool)
    chosen: list[int] = []
    for _ in range(count):
        gain = (weight[:, None] * (likely - covered[:, None]).clamp_min(0.0)).sum(0) + 1e-6 * (weight @ likely)
        gain[barred] = -1.0
        for taken in chosen:  # where all are barred, any that is not taken
            gain[taken] = -2.0
        best = int(gain.argmax())
        chosen.append(best)
        covered = torch.maximum(covered, likely[:, best])
        barred |= alike[best]
    return tuple(names[i] for i in chosen)
