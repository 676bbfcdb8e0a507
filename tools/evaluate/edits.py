"""Edits judged: does a recording move towards the prompt, and how far from itself? `python tools/evaluate/edits.py`.

48 pairs of a recording and the prompt of another kind (ranking.yaml). The prior of each pair knows neither the
recording's package nor any recording that the judge compares with. Two say how near the result is to the prompt: the
prior's own score, by an encoder that the edit never asks, and the outside judge (judge.py) by the cosine of the three
nearest real recordings of the kind. Both rows are also given for the other kinds, on average: an edit that only spoils
the sound would rise there as well.

Every second pair was used to choose the settings; the table is of the others. --tune prints the first half for other
settings. Needs build/corpus/; sounds are kept below build/edits/.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import heldout
import numpy as np
import soundfile
import torch
from judge import embed, similarity
from numpy.typing import NDArray
from ranking import CORPUS, ROOT, Task

from sfxgen import mel
from sfxgen.audio import Audio
from sfxgen.codec import decode
from sfxgen.distill.edit import Steering, Wish, edit
from sfxgen.distill.heard import heard
from sfxgen.distill.ranking import fits
from sfxgen.distill.vocabulary import ALIKE
from sfxgen.words import similarity as word_similarity

FOLDER = ROOT / "build" / "edits"
N_PAIRS, NEAREST, LONGEST_S, SEED = 48, 3, 2.0, 1
STRENGTHS = (0.25, 0.5, 1.0)
Row = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Pair:
    """A recording and the prompt it shall move towards. number: of its round; source, target: kinds."""

    name: str
    audio: Audio
    number: int
    source: int
    target: int


@dataclass(frozen=True, eq=False)
class Result:
    """What an edit did. fit, judged: rise towards the target; others_…: towards the other kinds, on average. db: RMS
    distance of the log-mels. kept: cosine of the judge's embeddings before and after. own: rise towards what it was."""

    fit: float
    others_fit: float
    judged: float
    others_judged: float
    own_judged: float
    db: float
    kept: float


class Court:
    """All that judges: held-out priors and the judge's embeddings of the recordings."""

    def __init__(self, task: Task) -> None:
        self.task, self.priors = task, heldout.held_out(task)
        files = {e["name"]: CORPUS / e["wav"] for e in json.loads((CORPUS / "index.json").read_text("utf-8"))}
        self.names = [task.library.exemplars[row].name for row in task.recordings]
        self.files = [files[name] for name in self.names]
        self.rounds = task.rounds[task.recordings]
        self.known = embed(self.files)

    def pairs(self) -> list[Pair]:
        """Kinds in turn; the recording and the target by a fixed draw among what the kind's rounds allow."""
        rng = np.random.default_rng(0)
        apart = word_similarity(self.task.prompts, self.task.prompts) < ALIKE
        n_kinds = len(self.task.prompts)
        found: list[Pair] = []
        while len(found) < N_PAIRS:
            kind = len(found) % n_kinds
            row = int(rng.choice(np.flatnonzero(self.task.kinds == kind)))
            counts = np.bincount(self.task.kinds[self.rounds == self.rounds[row]], minlength=n_kinds)
            target = int(rng.choice(np.flatnonzero((counts >= NEAREST) & apart[kind])))
            audio = decode(self.files[row])
            audio = Audio.of(audio.samples[:, : round(LONGEST_S * audio.rate_hz)], audio.rate_hz)
            found.append(Pair(self.names[row], audio, int(self.rounds[row]), kind, target))
        return found

    def judged(self, pair: Pair, vector: NDArray[np.float32]) -> Row:
        """How near to each kind, [kinds]; NaN where its round has none. The recording itself is left out."""
        cosines = similarity(vector[None], self.known)[0].astype(np.float64)
        cosines[(self.rounds != pair.number) | (np.array(self.names) == pair.name)] = np.nan
        best = np.full(len(self.task.prompts), np.nan)
        for kind in range(len(best)):
            of_kind = -np.sort(-cosines[self.task.kinds == kind])[:NEAREST]
            if not np.isnan(of_kind).all():
                best[kind] = np.nanmean(of_kind)
        return best

    def result(self, pair: Pair, steering: Steering, from_source: bool) -> Result:
        prior = self.priors[pair.number]
        source = self.task.prompts[pair.source] if from_source else None
        after = edited(prior, pair, Wish(self.task.prompts[pair.target], source), steering)
        before, then = (embed([saved(one)])[0] for one in (pair.audio, after))
        near = self.judged(pair, then) - self.judged(pair, before)
        fit = (fits(prior, after, self.task.prompts) - fits(prior, pair.audio, self.task.prompts)).numpy()
        others = np.array([kind not in (pair.source, pair.target) for kind in range(len(near))])
        return Result(
            fit[pair.target],
            fit[others].mean(),
            near[pair.target],
            float(np.nanmean(near[others])),
            near[pair.source],
            apart_db(prior, pair.audio, after),
            float(similarity(before[None], then[None])[0, 0]),
        )


def edited(prior: heldout.HeldOut, pair: Pair, wish: Wish, steering: Steering) -> Audio:
    return edit(prior, pair.audio, wish, SEED, steering)


def apart_db(prior: heldout.HeldOut, one: Audio, other: Audio) -> float:
    """RMS over the cells of both log-mels that sound in either."""
    a, b = (mel.log_mel(heard(audio, prior)[:, 0]) for audio in (one, other))
    sounds = torch.maximum(a, b) > mel.FLOOR_DB + 12.0
    return float((a - b)[sounds].square().mean().sqrt())


def saved(audio: Audio) -> Path:
    """A file with this sound, for the judge."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{hashlib.sha256(audio.samples.tobytes()).hexdigest()[:20]}.wav"
    if not path.exists():
        soundfile.write(path, audio.samples.T, audio.rate_hz, subtype="FLOAT")
    return path


def line(name: str, results: Sequence[Result]) -> str:
    """Means with bootstrapped 95 % intervals over pairs; how many pairs rise; the worst one."""
    n = len(results)
    picks = np.random.default_rng(0).integers(n, size=(4000, n))

    def cell(values: Sequence[float], digits: int) -> str:
        found = np.array(values)
        low, high = np.percentile(found[picks].mean(1), [2.5, 97.5])
        return f"{found.mean():+.{digits}f} ({low:+.{digits}f} {high:+.{digits}f})"

    own = np.nanmean([one.own_judged for one in results])
    rises = sum(one.fit > 0 for one in results), sum(one.judged > one.others_judged for one in results)
    return (
        f"{name:34s} fit {cell([r.fit for r in results], 2)}, others {np.mean([r.others_fit for r in results]):+.2f}; "
        f"judge {cell([r.judged for r in results], 3)}, beyond others "
        f"{cell([r.judged - r.others_judged for r in results], 3)}, own {own:+.3f}; "
        f"{np.mean([r.db for r in results]):.1f} dB, kept {np.mean([r.kept for r in results]):.3f}; "
        f"up {rises[0]}/{n} by fit, {rises[1]}/{n} by the judge; worst fit {min(r.fit for r in results):+.2f}"
    )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tune", action="store_true", help="other settings, on the pairs that were used to choose")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if not (CORPUS / "index.json").exists():
        print("edits.py: build/corpus is missing; `python tools/library/build.py --corpus-only` makes it")
        return 1
    court = Court(heldout.task())
    pairs = court.pairs()[0 if options.tune else 1 :: 2]
    print(f"{len(pairs)} pairs; means and 95 % intervals", flush=True)
    if options.tune:
        for name, steering in _others().items():
            print(line(name, [court.result(pair, steering, False) for pair in pairs]), flush=True)
        return 0
    found = {}
    for strength in STRENGTHS:
        found[strength] = [court.result(pair, Steering(strength=strength), False) for pair in pairs]
        print(line(f"strength {strength}", found[strength]), flush=True)
    own = [court.result(pair, Steering(strength=1.0), True) for pair in pairs]
    print(line("strength 1.0, from its own prompt", own), flush=True)
    distances = np.array([[one.db for one in results] for results in found.values()])
    monotone = (np.diff(distances, axis=0) > 0).all(0)
    print(f"further from itself with every step of strength: {monotone.sum()} of {len(pairs)}")
    return 0


def _others() -> dict[str, Steering]:
    usual = Steering(strength=0.7)
    return {
        "usual": usual,
        "guidance 1": replace(usual, guidance=1.0),
        "guidance 5": replace(usual, guidance=5.0),
        "t 0.02-0.2": replace(usual, t=(0.02, 0.2)),
        "t 0.2-0.8": replace(usual, t=(0.2, 0.8)),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
