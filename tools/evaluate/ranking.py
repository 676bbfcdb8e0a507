"""Held-out ranking: does a recording's own prompt come first among 24, when its whole package was left out?

    python tools/evaluate/ranking.py            # the encoder and what it is compared with, about ten minutes of CPU
    python tools/evaluate/ranking.py --parts    # also what each part of the training is worth: much longer
    python tools/evaluate/ranking.py --kinds    # also the figures of each kind and what it is taken for
    python tools/evaluate/ranking.py --joining  # also other constants of the score, and what choosing them is worth

ranking.yaml says which recordings are of which kind, by rules over the words of their names, and which packages are
left out together. Needs build/corpus/ (tools/library/build.py) for those words.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tools" / "library"))

from encoder import SETTINGS, SHARES, Settings, counts, described, train  # noqa: E402

from sfxgen.library.places import SHIPPED  # noqa: E402
from sfxgen.library.store import Library, read_library  # noqa: E402
from sfxgen.priors.encoder import Encoder, Joining, Weights  # noqa: E402
from sfxgen.words import embed  # noqa: E402

RULES = Path(__file__).with_name("ranking.yaml")
CORPUS = ROOT / "build" / "corpus"
BOTH = "both: the encoder"
Scores = NDArray[np.float64]  # [recordings, prompts]


@dataclass(frozen=True, eq=False)
class Task:
    """library: everything. recordings: rows of it that are ranked. kinds: the own prompt of each. rounds: in which
    round each exemplar is left out, −1 in none; [exemplars]. x: descriptors [versions, exemplars, F]."""

    library: Library
    prompts: tuple[str, ...]
    recordings: NDArray[np.int64]
    kinds: NDArray[np.int64]
    rounds: NDArray[np.int64]
    x: Tensor

    @property
    def texts(self) -> Tensor:
        return torch.from_numpy(embed(self.prompts))

    def pooled(self, score: Callable[[NDArray[np.int64], NDArray[np.int64]], Tensor]) -> Scores:
        """Scores of all recordings; `score` gets what may be learned from and which recordings are asked for."""
        scores = np.zeros((len(self.recordings), len(self.prompts)))
        for number in np.unique(self.rounds[self.recordings]):
            rows = self.rounds[self.recordings] == number
            known = np.flatnonzero(self.rounds != number)
            scores[rows] = score(known, self.recordings[rows]).double().numpy()
        return scores


def read_task(settings: Settings = SETTINGS) -> Task:
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    library = read_library(SHIPPED)
    words = {entry["name"]: entry["caption"] for entry in json.loads((CORPUS / "index.json").read_text("utf-8"))}
    of_kind: dict[tuple[int, str], list[int]] = {}
    for row, exemplar in sorted(enumerate(library.exemplars), key=lambda item: item[1].name):
        kind = _kind(words.get(exemplar.name, ""), rules["kinds"])
        if kind is not None:
            of_kind.setdefault((kind, exemplar.source), []).append(row)
    chosen = sorted((row, kind) for (kind, _), rows in of_kind.items() for row in _thin(rows, rules["most_a_package"]))
    rounds = rounds_of(library, rules["left_out"])
    recordings, kinds = np.array(chosen).T
    prompts = tuple(kind["prompt"] for kind in rules["kinds"])
    return Task(library, prompts, recordings, kinds, rounds, described(library, settings))


def rounds_of(library: Library, left_out: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """In which round each exemplar is left out, −1 in none, [exemplars]. left_out: packages of each round."""
    round_of = {package: number for number, group in enumerate(left_out) for package in group}
    return np.array([round_of.get(exemplar.source, -1) for exemplar in library.exemplars])


def _kind(words: str, kinds: Sequence[dict[str, Any]]) -> int | None:
    for number, kind in enumerate(kinds):
        if re.search(kind["rule"], words) and not ("but" in kind and re.search(kind["but"], words)):
            return number
    return None


def _thin(rows: Sequence[int], most: int) -> list[int]:
    count = min(most, len(rows))
    return [rows[i * len(rows) // count] for i in range(count)]


Encoders = dict[bytes, Encoder]  # by what they were trained on


def trained(task: Task, settings: Settings) -> Encoders:
    """The encoder of each round."""
    made = {}
    for number in np.unique(task.rounds[task.recordings]):
        known = np.flatnonzero(task.rounds != number)
        x, exemplars = task.x[: settings.n_changed + 1, known], [task.library.exemplars[i] for i in known]
        made[known.tobytes()] = Encoder(train(x, exemplars, settings))
    return made


def encoder_scores(task: Task, encoders: Encoders, joining: Joining | None = None) -> dict[str, Scores]:
    """The encoder's score, and each of its two estimates alone."""

    def score(known: NDArray[np.int64], asked: NDArray[np.int64], what: str) -> Tensor:
        found = Encoder(encoders[known.tobytes()].weights, joining=joining)
        sounds = found.embed_described(task.x[0, asked])
        if what == "networks alone":
            return sounds @ found.embed_texts(task.prompts).T
        estimate = found.mixture_ratio if what == "mixture alone" else found.score_embedded
        return estimate(sounds, task.texts)

    named = ("networks alone", "mixture alone", BOTH)
    return {name: task.pooled(partial(score, what=name)) for name in named}


def joinings(task: Task, encoders: Encoders) -> dict[str, Scores]:
    """Scores under other constants; last, with those that rank the other rounds' recordings best: choosing unseen."""
    found: dict[str, Scores] = {}
    for constants in product((8.0, 15.0, 25.0), (10.0, 20.0, 35.0), (0.5, 1.0, 2.0)):
        name = "κ {:.0f}, β {:.0f}, share {}".format(*constants)
        found[name] = encoder_scores(task, encoders, Joining(*constants))[BOTH]
    rounds = task.rounds[task.recordings]
    unseen = np.zeros_like(next(iter(found.values())))
    for number in np.unique(rounds):
        others, here = rounds != number, rounds == number
        best = max(found, key=lambda name: _merit(found[name][others], task.kinds[others]))
        unseen[here] = found[best][here]
    return found | {"constants chosen on the other rounds": unseen}


def _merit(scores: Scores, kinds: NDArray[np.int64]) -> float:
    found = places(scores, kinds)
    return float((found < 0.75).mean() + (found < 2.75).mean())


def mixture_scores(task: Task, vectors: Tensor, joining: Joining) -> Scores:
    """The kernel mixture of Encoder over other unit vectors of all exemplars, [exemplars, dims]; untrained."""
    meanings = np.stack([embed(e.captions).mean(0) for e in task.library.exemplars])
    unit = functional.normalize(torch.from_numpy(meanings), dim=1)
    weight = torch.from_numpy(counts(task.library.exemplars)).float()

    def score(known: NDArray[np.int64], asked: NDArray[np.int64]) -> Tensor:
        bare = {name: torch.zeros(1) for name in Weights.__dataclass_fields__}
        sounds = {"sounds": vectors[known], "meanings": unit[known], "counts": weight[known]}
        return Encoder(Weights(**{**bare, **sounds}), joining=joining).mixture_ratio(vectors[asked], task.texts)

    return task.pooled(score)


def plain_vectors(library: Library) -> Tensor:
    """The feasibility run's: log-mels from their start, pooled to 32 × 64, centred, as unit vectors."""
    maps = []
    for index in range(len(library.exemplars)):
        levels = torch.from_numpy(library.levels_db(index))[None, None, :256].clamp_min(-60.0)
        levels = functional.pad(levels, (0, 0, 0, 256 - levels.shape[2]), value=-60.0)
        maps.append(functional.avg_pool2d(levels, (4, 4)).flatten())
    every = torch.stack(maps)
    return functional.normalize(every - every.mean(0), dim=1)


def whitened_vectors(x: Tensor, n_dimensions: int = 60) -> Tensor:
    """Descriptors by their principal components, each scaled by the fourth root of its variance, as unit vectors."""
    scaled = ((x - x.mean(0)) / (x.std(0) + 1e-6)).clamp(-4, 4)
    centred = scaled - scaled.mean(0)
    _, size, axes = torch.linalg.svd(centred, full_matrices=False)
    return functional.normalize(centred @ axes[:n_dimensions].T / size[:n_dimensions].sqrt(), dim=1)


def places(scores: Scores, kinds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Where each recording's own prompt comes, 0 first; ties count half."""
    own = scores[np.arange(len(kinds)), kinds][:, None]
    return np.asarray((scores > own).sum(1) + 0.5 * ((scores == own).sum(1) - 1))


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The interval of a share (Wilson 1927), 95 %."""
    p, square = hits / n, z * z / n
    middle, half = p + square / 2, z * math.sqrt(p * (1 - p) / n + square / (4 * n))
    return (middle - half) / (1 + square), (middle + half) / (1 + square)


def line(name: str, scores: Scores, kinds: NDArray[np.int64]) -> str:
    """A row of the table: first and first three with intervals; then the mean over kinds, each counting the same."""
    found = places(scores, kinds)
    cells, means = [], []
    for most in (1, 3):
        hit = found < most - 0.25
        low, high = wilson(int(hit.sum()), len(hit))
        cells.append(f"{100 * hit.mean():4.1f} % ({100 * low:2.0f}-{100 * high:2.0f})")
        means.append(np.mean([hit[kinds == kind].mean() for kind in np.unique(kinds)]))
    return f"{name:44s} {cells[0]:>16s} {cells[1]:>16s}   {100 * means[0]:4.1f} % {100 * means[1]:4.1f} %"


def kind_lines(task: Task, scores: Scores) -> list[str]:
    found, best = places(scores, task.kinds), scores.argmax(1)
    lines = []
    for kind, prompt in enumerate(task.prompts):
        of = task.kinds == kind
        wrong = Counter(task.prompts[b] for b in best[of] if b != kind).most_common(3)
        taken_for = ", ".join(f"{name} {count}" for name, count in wrong)
        first, three = (found[of] < 0.75).sum(), (found[of] < 2.75).sum()
        lines.append(f"{prompt:28s} n {of.sum():2d}  first {first:2d}  three {three:2d}  taken for: {taken_for}")
    return lines


def judge_vectors(task: Task) -> Tensor:
    """The outside judge's embeddings of the recordings, zeros for the rest (renders, speech); never trained on."""
    import judge

    wavs = {entry["name"]: entry["wav"] for entry in json.loads((CORPUS / "index.json").read_text("utf-8"))}
    rows = [i for i, e in enumerate(task.library.exemplars) if e.name in wavs]
    vectors = torch.zeros(len(task.library.exemplars), judge.N_DIMENSIONS)
    vectors[rows] = torch.from_numpy(judge.embed([CORPUS / wavs[task.library.exemplars[i].name] for i in rows]))
    return functional.normalize(vectors, dim=1)


def parts(task: Task) -> dict[str, Scores]:
    """The encoder without one of its parts each."""
    without = {
        "without changed versions": (task, replace(SETTINGS, n_changed=0)),
        "one network": (task, replace(SETTINGS, n_networks=1)),
        "without mixup": (task, replace(SETTINGS, mixed=0.01)),
        "without renders, speech and noises": (_recordings_only(task), SETTINGS),
    }
    return {name: encoder_scores(of, trained(of, how))[BOTH] for name, (of, how) in without.items()}


def _recordings_only(task: Task) -> Task:
    keep = [i for i, e in enumerate(task.library.exemplars) if e.use not in SHARES]
    place = {old: new for new, old in enumerate(keep)}
    recordings = np.array([place[int(row)] for row in task.recordings])
    return replace(
        task, library=task.library.subset(keep), recordings=recordings, rounds=task.rounds[keep], x=task.x[:, keep]
    )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", action="store_true", help="train without one part of the method each")
    parser.add_argument("--joining", action="store_true", help="other constants of the score")
    parser.add_argument("--kinds", action="store_true", help="print each kind's figures")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if not (CORPUS / "index.json").exists():
        print("ranking.py: build/corpus is missing; `python tools/library/build.py --corpus-only` makes it")
        return 1
    task = read_task(SETTINGS)
    n, n_prompts = len(task.recordings), len(task.prompts)
    print(f"{n} recordings, {n_prompts} prompts; chance {100 / n_prompts:.1f} % and {300 / n_prompts:.1f} %")
    print(f"{'':44s} {'first':>16s} {'first three':>16s}   mean over kinds", flush=True)
    for name, (vectors, joining) in _untrained(task).items():
        print(line(name, mixture_scores(task, vectors, joining), task.kinds), flush=True)
    encoders = trained(task, SETTINGS)
    found = encoder_scores(task, encoders)
    found |= joinings(task, encoders) if options.joining else {}
    found |= parts(task) if options.parts else {}
    for name, scores in found.items():
        print(line(name, scores, task.kinds), flush=True)
    if options.kinds:
        print(*kind_lines(task, found[BOTH]), sep="\n")
    return 0


def _untrained(task: Task) -> dict[str, tuple[Tensor, Joining]]:
    """What the encoder is compared with: vectors of all exemplars. The judge's lie close together: a sharper kernel."""
    usual, sharp = Joining(), Joining(kernel_sharpness=40.0)
    found = {
        "log-mel distance": (plain_vectors(task.library), usual),
        "whitened descriptors": (whitened_vectors(task.x[0]), usual),
    }
    try:
        return found | {"the outside judge's embeddings (reference)": (judge_vectors(task), sharp)}
    except Exception as error:  # a reference only; it needs a download
        print(f"without the outside judge: {error}")
        return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
