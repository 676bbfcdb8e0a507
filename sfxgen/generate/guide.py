"""A prompt and a synth's starts → the synth tuned to the prompt: rank, search, descend, keep the best.

What comes out is a spec like any that a person writes, so variations, layers and loops need no prior any more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sfxgen.audio import Audio
from sfxgen.distill.optimise import Run, Settings, Start, Step, Walk, distil, render
from sfxgen.distill.ranking import misfit
from sfxgen.distill.search import Score, agreement_with, best_of, evolved, scores_of
from sfxgen.generate import tunable_fm, tunable_texture
from sfxgen.generate.fm import natural_duration_s as fm_duration_s
from sfxgen.generate.recipe import Request
from sfxgen.generate.texture import natural_duration_s as texture_duration_s
from sfxgen.generate.trace import Trace
from sfxgen.generate.tunable_fm import FmRenderer
from sfxgen.generate.tunable_impact import ImpactRenderer
from sfxgen.generate.tunable_texture import TextureRenderer
from sfxgen.manifest.base import Spec
from sfxgen.manifest.fm import Fm
from sfxgen.manifest.guide import Guide, Guided
from sfxgen.manifest.impact import Impact
from sfxgen.manifest.texture import Band, Grains, Texture
from sfxgen.priors.contract import Prior, reproducible

SHORTEST_S, LONGEST_S = 0.5, 1.5  # of what is guided; what goes on longer is alike throughout, or rings away
WINDOW_S = 0.25  # lengths are whole multiples of this, so that sounds can share a batch
UNSEEN = 1009  # away from the seeds of all noises that a search or a descent uses
# Kinds whose presets the words choose better than the prior's score does, as an outside judge hears them
# (tools/evaluate/guidance.py).
BY_WORDS = {"impact"}
DRAWN = {"fm": tunable_fm.drawn, "texture": tunable_texture.drawn}


@dataclass(frozen=True)
class Wish:
    """One sound to be guided. The first start is as written, or as the nearest preset has it.

    digest: of all that the outcome follows from. seed: of its random choices. is_open: the prompt alone chose the
    starts, so that random ones may stand beside them.
    """

    digest: str
    prompt: str
    starts: tuple[Begin, ...]
    settings: Guide
    seed: int
    is_open: bool


@dataclass(frozen=True)
class Begin:
    """A kind, the name of its preset ("": none) and the whole body."""

    kind: str
    preset: str
    body: Spec


@dataclass(frozen=True, eq=False)
class Try:
    """A start, and what it came from."""

    candidate: Begin
    start: Start

    def at(self, start: Start) -> Try:
        return replace(self, start=start)

    @property
    def name(self) -> str:
        return f"{self.candidate.kind} '{self.candidate.preset}'" if self.candidate.preset else self.candidate.kind


def guide(wish: Wish, prior: Prior, request: Request, run: Run | None = None) -> Guided:
    """Tune one sound. Raises SfxgenError where the prior cannot follow the prompt or every start is silent."""
    (found,) = guide_together([wish], prior, [request], [run or Run()])
    return found


def guide_together(
    wishes: Sequence[Wish],
    prior: Prior,
    requests: Sequence[Request],
    runs: Sequence[Run],
    trace: Path | None = None,
) -> list[Guided]:
    """Tune several sounds, the descent of those of one length as one batch through the prior. Searching goes sound by
    sound: it is cheap beside the descent."""
    with reproducible(prior):
        every = zip(wishes, requests, runs, strict=True)
        searches = [Search(wish, prior, request, run) for wish, request, run in every]
        for search in searches:
            search.begin()
        for key in dict.fromkeys(search.batch_key for search in searches):
            descend([search for search in searches if search.batch_key == key], prior, trace)
        for search in searches:
            search.polish()
        return [search.outcome() for search in searches]


class Search:
    """One sound on its way. ranked: the first of the starts; finalists: what the descent begins from;
    tries: all that the outcome is chosen from, the start as written first."""

    def __init__(self, wish: Wish, prior: Prior, request: Request, run: Run) -> None:
        self.wish, self.prior, self.request, self.run = wish, prior, request, run
        self.ongoing = request.loop or all(_goes_on(candidate) for candidate in wish.starts)
        natural_s = max(_natural_s(candidate, prior, wish.prompt) for candidate in wish.starts)
        wanted_s = min(LONGEST_S, max(SHORTEST_S, request.duration_s or natural_s))
        self.seconds = min(prior.window_s, math.ceil(round(wanted_s / WINDOW_S, 6)) * WINDOW_S)
        self.score: Score = agreement_with(prior, wish.prompt, self.seconds, self.ongoing)
        self.ranked: Try | None = None
        self.finalists: list[Try] = []
        self.tries: list[Try] = []

    @property
    def batch_key(self) -> tuple[object, ...]:
        return (self.seconds, self.ongoing, self.wish.settings)

    def begin(self) -> None:
        """Rank all starts, search from the best."""
        settings = self.wish.settings
        tries = [Try(c, self._start(c)) for c in (*self.wish.starts, *self._random())]
        kinds = sorted({t.candidate.kind for t in tries})
        ranked = {kind: self._ranked([t for t in tries if t.candidate.kind == kind]) for kind in kinds}
        if len(kinds) > 1:  # they compete: the best of each, searched a little, and the winner goes on
            searched = [self._evolved(ranked[kind][0], settings.generations // 2) for kind in kinds]
            self.finalists = [self._best(searched)]
        else:
            chosen = ranked[kinds[0]][: settings.starts]
            self.finalists = [self._evolved(t, settings.generations - settings.generations // 2) for t in chosen]
        self.ranked = ranked[self.finalists[0].candidate.kind][0]
        self.tries = [tries[0], self.ranked, *self.finalists]

    def _ranked(self, tries: list[Try]) -> list[Try]:
        """Starts of one kind, the best first."""
        if tries[0].candidate.kind in BY_WORDS:
            return tries
        found = scores_of([t.start for t in tries], self.prior, self.score)
        return [tries[int(i)] for i in torch.argsort(found, descending=True, stable=True)]

    def polish(self) -> None:
        """Search on from the best: the descent has led near to sounds of the prompt, a search sharpens what tells them
        from others."""
        settings = self.wish.settings
        if settings.generations // 2:
            _, best = self.best()
            self.tries.append(self._evolved(best, settings.generations // 2))

    def best(self) -> tuple[Try, Try]:
        """The start as written, and the best of all stages by the prior's score, with noise that none of them saw."""
        fresh = [t.at(replace(t.start, seed=t.start.seed + UNSEEN)) for t in self.tries]
        return fresh[0], self._best(fresh)

    def outcome(self) -> Guided:
        """What was found, as a spec."""
        written, best = self.best()
        before, after = (float(scores_of([t.start], self.prior, self.score)[0]) for t in (written, best))
        renderer: Any = best.start.renderer
        body = best.candidate.body if best is written else renderer.spec_at(best.start.first)
        rivals = sorted({candidate.kind for candidate in self.wish.starts} - {best.candidate.kind})
        over = f", before {' and '.join(rivals)}" if rivals else ""
        kept = "as it was" if best is written else f"score {before:.1f} → {after:.1f}"
        return Guided(
            digest=self.wish.digest,
            kind=best.candidate.kind,
            preset=best.candidate.preset,
            body=body.model_dump(mode="json"),
            before=round(before, 3),
            after=round(after, 3),
            steps=self.wish.settings.steps,
            why=f"guided by {self.prior.name} from {best.name}{over}: {kept}",
            warnings=self._warnings(best),
        )

    def _warnings(self, best: Try) -> tuple[str, ...]:
        """Where the sound fits what it might be taken for clearly better than its own prompt."""
        with torch.no_grad():
            audio = render([best.start], best.start.first[None], [best.start.seed], self.prior)[0]
        sound = Audio.of(audio.float().cpu().numpy(), self.prior.rate_hz)
        better = " and ".join(f"'{name}'" for name in misfit(self.prior, sound, self.wish.prompt)[:3])
        return (f"to the prior {self.prior.name} it sounds more like {better} than like its prompt",) if better else ()

    def random_start(self) -> Try:
        """Any start of the kinds that the wish has: drawn, or of an impact one of its presets."""
        every = self._random() or list(self.wish.starts[::-1])
        return Try(every[0], self._start(every[0]))

    def _start(self, candidate: Begin) -> Start:
        renderer = _renderer(candidate, self.seconds, self.prior.rate_hz, self.request)
        return Start(renderer, self.wish.prompt, self.wish.seed % 2**31)

    def _random(self) -> list[Begin]:
        """Random starts, of kinds that are left open: a start that a person wrote is theirs."""
        rng = np.random.Generator(np.random.PCG64(self.wish.seed))
        kinds = sorted({candidate.kind for candidate in self.wish.starts if candidate.kind in DRAWN})
        if not self.wish.is_open or not kinds:
            return []
        return [
            Begin(kind, "", DRAWN[kind](rng)) for kind in kinds for _ in range(self.wish.settings.draws // len(kinds))
        ]

    def _evolved(self, one: Try, generations: int) -> Try:
        return one.at(evolved(one.start, self.prior, self.score, generations, self.run.cancelled))

    def _best(self, tries: Sequence[Try]) -> Try:
        start, _ = best_of([t.start for t in tries], self.prior, self.score)
        return next(t for t in tries if t.start is start)


def descend(searches: Sequence[Search], prior: Prior, folder: Path | None = None) -> None:
    """Score distillation from all finalists of sounds of one length and one setting, as one batch."""
    settings = searches[0].wish.settings
    starts = [t.start for search in searches for t in search.finalists]
    if not settings.steps:
        return
    guidance = prior.usual_guidance if settings.guidance is None else settings.guidance
    how = Settings(
        n_steps=settings.steps,
        target=settings.method,
        guidance=(guidance, guidance),
        n_denoising=settings.denoising,
    )
    prompts = [start.prompt for start in starts]
    condition = prior.condition(prompts, searches[0].seconds, ongoing=searches[0].ongoing)
    run = _together(searches)
    trace = Trace(starts, [_names(start) for start in starts], how.n_steps, prior) if folder else None
    if trace:
        run = replace(run, on_step=trace.on_step)
    thetas = iter(distil(starts, prior, condition, how, run))
    if trace and folder:
        trace.write(folder)
    for search in searches:
        search.tries += [t.at(replace(t.start, theta=next(thetas))) for t in search.finalists]


def _names(start: Start) -> list[str]:
    renderer: Any = start.renderer
    names: list[str] = renderer.names
    return names


def _together(searches: Sequence[Search]) -> Run:
    """One run for a batch. Only a sound by itself is resumed: the batch of a later try may be another."""
    runs = [search.run for search in searches]
    if len(runs) == 1:
        return runs[0]

    def on_step(step: Step, walk: Walk) -> None:
        for run in runs:
            run.on_step(step, walk)

    return Run(on_step=on_step, cancelled=lambda: any(run.cancelled() for run in runs), warn=runs[0].warn)


def _renderer(candidate: Begin, seconds: float, rate_hz: int, request: Request) -> Any:
    body = candidate.body
    if isinstance(body, Fm):
        return FmRenderer(body, seconds, rate_hz)
    if isinstance(body, Texture):
        return TextureRenderer(body, seconds, rate_hz)
    if isinstance(body, Impact):
        return ImpactRenderer(body, seconds, rate_hz, replace(request, rate_hz=rate_hz))
    raise ValueError(f"{candidate.kind} cannot be guided")


def _natural_s(candidate: Begin, prior: Prior, prompt: str) -> float:
    if isinstance(candidate.body, Fm):
        return fm_duration_s(candidate.body)
    if isinstance(candidate.body, Texture):
        return texture_duration_s(candidate.body)
    return prior.natural_s(prompt)


def _goes_on(candidate: Begin) -> bool:
    body = candidate.body
    if not isinstance(body, Texture):
        return False
    parts: tuple[Band | Grains, ...] = (*body.bands, *body.grains)
    return body.envelope is None and all(part.envelope is None for part in parts)
