"""What a sound is, by a prior: how well it fits prompts, as a whole and over time, and what it might be taken for.

A fit is what `Prior.fit` says: a diffusion classifier (Li et al. 2023), or what a prior has in its place. Fits compare
prompts for one sound; probabilities are of these prompts alone, and only where somebody measured what a fit is worth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfxgen.audio import Audio
from sfxgen.distill.heard import SILENT_DBFS, Block, heard, level_db, sounding_parts, stretches
from sfxgen.distill.vocabulary import ALIKE, NAMES, neighbours
from sfxgen.errors import BadInput, SfxgenError
from sfxgen.priors.contract import Prior
from sfxgen.words import similarity

AT_ONCE = 16  # windows in one call of the prior
QUIET_DB = 45.0  # below the loudest window: nothing is looked for there
STANDS_OUT = 3.0  # standard deviations over all prompts, where no probability is known


@dataclass(frozen=True)
class Fit:
    """How well a sound fits a prompt.

    fit: higher is better, comparable among prompts of one sound. probability: that it is this prompt if it is one of
    those asked for or of the names beside them; None where the prior's fits were never measured against truth.
    """

    prompt: str
    fit: float
    probability: float | None


@dataclass(frozen=True)
class Found:
    """A prompt that a stretch of a sound fits, start_s to end_s. probability, fit: of its surest window."""

    start_s: float
    end_s: float
    prompt: str
    fit: float
    probability: float | None


@dataclass(frozen=True)
class Looking:
    """How to look for sounds over time.

    window_s: of a look. What lies between two silences goes whole where it is no longer than that, else in windows of
    this length every hop_s. least: the probability from which on a look counts. join_s: two stretches of the same
    prompt no further apart than this are one, and so are two sounds with no more silence between them.
    """

    window_s: float = 2.0
    hop_s: float = 0.5
    least: float = 0.1
    join_s: float = 0.3


def beside(prompts: Sequence[str], names: Sequence[str] = NAMES) -> tuple[str, ...]:
    """The names that mean something else than every one of the prompts: what else a sound may be."""
    cosines = similarity(names, prompts) if prompts else torch.zeros(len(names), 1).numpy()
    return tuple(name for name, row in zip(names, cosines, strict=True) if row.max() < ALIKE and name not in prompts)


def rank(prior: Prior, audio: Audio, prompts: Sequence[str], others: Sequence[str] = ()) -> list[Fit]:
    """The prompts by how well the whole sound fits them, best first. others: names that it may be as well; they take
    their share of the probability and are not listed.

    Raises BadInput for silence.
    """
    scores = fits(prior, audio, [*prompts, *others])
    shares = _probabilities(prior, scores[None])
    found = [Fit(p, float(scores[i]), None if shares is None else float(shares[0, i])) for i, p in enumerate(prompts)]
    return sorted(found, key=lambda one: -one.fit)


def fits(prior: Prior, audio: Audio, prompts: Sequence[str]) -> Tensor:
    """How well a whole sound fits each prompt, [prompts]. One longer than the prior's window counts by the mean over
    overlapping windows, silent ones left out. Raises BadInput for silence."""
    longest = math.floor(prior.window_s * audio.rate_hz)
    windows = [audio.samples[:, at] for at in stretches(audio.n_frames, longest, max(1, longest // 2))]
    loud = _sounding(windows)
    if not loud:
        raise BadInput("it is silent: there is nothing to rank")
    return _scores(prior, [Audio.of(windows[i], audio.rate_hz) for i in loud], prompts).mean(0)


def detect(
    prior: Prior, audio: Audio, prompts: Sequence[str], others: Sequence[str] = (), looking: Looking | None = None
) -> list[Found]:
    """Where in a sound which prompts are heard, by time. Nothing is found in silence. others: as for rank."""
    looking = looking or Looking()
    rate_hz = audio.rate_hz
    places = _places(audio, looking, prior.window_s)
    windows = [audio.samples[:, at] for at in places]
    loud = _sounding(windows)
    if not loud:
        return []
    scores = _scores(prior, [Audio.of(windows[i], rate_hz) for i in loud], [*prompts, *others])
    shares = _probabilities(prior, scores)
    found = []
    for column, prompt in enumerate(prompts):
        counts = _standing_out(scores)[:, column] if shares is None else shares[:, column] >= looking.least
        for row in torch.nonzero(counts)[:, 0].tolist():
            at, share = places[loud[row]], None if shares is None else float(shares[row, column])
            found.append(Found(at.start / rate_hz, at.stop / rate_hz, prompt, float(scores[row, column]), share))
    return _joined(found, looking.join_s)


def misfit(prior: Prior, audio: Audio, prompt: str, count: int = 8) -> tuple[str, ...]:
    """The neighbours of a prompt that a sound fits clearly better, best first; () for one that fits well enough.

    Many sounds are a little like a neighbour or two: nothing is said before half of them fit clearly better. Clearly is
    what prior.clear_fit says; nothing is ever said where a prior has none, nor of silence.
    """
    if prior.clear_fit is None or audio.peak == 0.0:
        return ()
    audio = Audio.of(audio.samples / audio.peak, audio.rate_hz)  # what was not mastered yet may be of any level
    near = neighbours(prompt, count)
    return misfits(fits(prior, audio, [prompt, *near]), near, prior.clear_fit)


def misfits(scores: Tensor, near: Sequence[str], clear_fit: float) -> tuple[str, ...]:
    """The same from scores [1 + neighbours], the own prompt's first."""
    better = [(score, name) for score, name in zip((scores[1:] - scores[0]).tolist(), near, strict=True)]
    clearly = [name for score, name in sorted(better, key=lambda one: -one[0]) if score > clear_fit]
    return tuple(clearly) if 2 * len(clearly) >= len(near) > 0 else ()


def _scores(prior: Prior, windows: Sequence[Audio], prompts: Sequence[str]) -> Tensor:
    """[windows, prompts], float64."""
    blocks = [heard(window, prior) for window in windows]
    rows = []
    for at in range(0, len(blocks), AT_ONCE):
        part = blocks[at : at + AT_ONCE]
        longest = max(block.shape[-1] for block in part)
        padded = [torch.nn.functional.pad(block, (0, longest - block.shape[-1])) for block in part]
        rows.append(prior.fit(torch.cat(padded), prompts).double().cpu())
    scores = torch.cat(rows)
    if not scores.isfinite().all():
        raise SfxgenError(f"prior {prior.name} gives no number for how well this sound fits its prompts (NaN)")
    return scores


def _probabilities(prior: Prior, scores: Tensor) -> Tensor | None:
    return None if prior.nats_a_fit is None else (prior.nats_a_fit * scores).softmax(-1)


def _standing_out(scores: Tensor) -> Tensor:
    """Where a prompt is the best of a window and lies far above the others, [windows, prompts]."""
    spread = (scores - scores.mean(1, keepdim=True)) / scores.std(1, keepdim=True, correction=0).clamp_min(1e-30)
    return (spread >= STANDS_OUT) & (scores == scores.amax(1, keepdim=True))


def _places(audio: Audio, looking: Looking, longest_s: float) -> list[slice]:
    """Where to look, in frames."""
    longest = max(1, round(min(looking.window_s, longest_s) * audio.rate_hz))
    hop = min(longest, max(1, round(looking.hop_s * audio.rate_hz)))
    places = []
    for part in sounding_parts(audio, QUIET_DB, looking.join_s):
        inside = stretches(part.stop - part.start, longest, hop)
        places += [slice(part.start + at.start, part.start + at.stop) for at in inside]
    return places


def _sounding(windows: Sequence[Block]) -> list[int]:
    """Which windows are neither silent nor far below the loudest."""
    levels = [level_db(window) for window in windows]
    least = max(SILENT_DBFS, max(levels, default=-math.inf) - QUIET_DB)
    return [i for i, level in enumerate(levels) if level >= least]


def _joined(found: Sequence[Found], join_s: float) -> list[Found]:
    """Stretches of one prompt that touch or nearly do as one, by time."""
    joined: list[Found] = []
    for one in sorted(found, key=lambda one: (one.prompt, one.start_s)):
        last = joined[-1] if joined else None
        if last is None or last.prompt != one.prompt or one.start_s > last.end_s + join_s:
            joined.append(one)
            continue
        surest = max(last, one, key=lambda each: each.fit if each.probability is None else each.probability)
        joined[-1] = replace(surest, start_s=last.start_s, end_s=max(last.end_s, one.end_s))
    return sorted(joined, key=lambda one: (one.start_s, one.prompt))
