"""Sounds sampled from the library prior, judged from outside: `python tools/evaluate/samples.py [--seeds 8]`.

24 prompts × 8 seeds through the path that the `text` kind takes. The judge is an embedding of sound effects that no
part of sfxgen was trained on (judge.py); a sound is of the kind whose recordings are nearest to it. Real recordings
give the ceiling, other prompts the floor. What a sample was mixed from is left out of the recordings it is held to,
in a stricter row also the whole series that it belongs to (footstep 1, footstep 2, …), whoever is left out himself.

Prompts count the same in every row, and intervals are bootstrapped over prompts: eight seeds are not eight prompts.

--pictures DIR writes a sheet of spectrograms. Needs build/corpus/ (tools/library/build.py --corpus-only). Sounds are
kept below build/samples/ for the next time.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from judge import embed, similarity
from nearness import apart_db, nearest_db
from numpy.typing import NDArray
from ranking import CORPUS, Scores, Task, places, read_task
from sampling import Sample, heard, sampled, through_resynthesis

from sfxgen import mel
from sfxgen.priors.library import KERNEL

WHOLE = replace(KERNEL, frames=math.inf, bands=math.inf, temper=0.0049)  # weights for the sound as a whole
NEAREST = 3  # recordings of a kind that it is known by
_ENDING = re.compile(r"[\d\W_]*$")  # what tells the members of a series apart
Mask = NDArray[np.bool_]


class Judged:
    """The recordings of a task as the judge knows them, and the rows of the table that are held against them."""

    def __init__(self, task: Task) -> None:
        exemplars = [task.library.exemplars[row] for row in task.recordings]
        files = {e["name"]: CORPUS / e["wav"] for e in json.loads((CORPUS / "index.json").read_text("utf-8"))}
        self.task, self.names = task, [exemplar.name for exemplar in exemplars]
        self.known = embed([files[name] for name in self.names])
        sources = np.array([exemplar.source for exemplar in exemplars])
        series = np.array([_ENDING.sub("", name) for name in self.names])
        self.itself: Mask = np.eye(len(self.names), dtype=bool)
        self.same_series: Mask = series[:, None] == series
        self.same_package: Mask = sources[:, None] == sources

    def print_real(self, name: str, vectors: NDArray[np.float32]) -> None:
        """One vector a recording, held to the others: by itself, its series and its package left out."""
        for what, mask in (
            ("itself left out", self.itself),
            ("its series left out", self.same_series),
            ("its package left out", self.same_package),
        ):
            print(row(f"{name}, {what}", self.scores(vectors, mask), self.task.kinds), flush=True)

    def print_sampled(self, title: str, made: Sequence[Sample]) -> None:
        vectors = embed([sample.wav for sample in made])
        kinds = np.array([sample.kind for sample in made])
        mixed: Mask = np.array([[name in sample.shares for name in self.names] for sample in made])
        series: Mask = (mixed.astype(int) @ self.same_series.astype(int)) > 0
        fair = self.scores(vectors, mixed)
        print(row(f"{title}, held to all", self.scores(vectors, np.zeros_like(mixed)), kinds))
        print(row("… what it was mixed from left out", fair, kinds))
        print(row("… and the series of that", self.scores(vectors, series), kinds))
        print(row("… mixed from left out, other prompts", fair, kinds, others=True), flush=True)

    def scores(self, vectors: NDArray[np.float32], left_out: Mask) -> Scores:
        """How near each is to each kind, [n, kinds]: the mean of its best cosines there, −1 where nobody is left."""
        cosines = np.where(left_out, np.nan, similarity(vectors, self.known))
        best = np.full((len(vectors), len(self.task.prompts)), -1.0)
        for kind in range(best.shape[1]):
            of_kind = np.sort(-cosines[:, self.task.kinds == kind], axis=1)[:, :NEAREST]  # NaN comes last
            rest = ~np.isnan(of_kind[:, 0])
            best[rest, kind] = -np.nanmean(of_kind[rest], axis=1)
        return best


def row(name: str, scores: Scores, kinds: NDArray[np.int64], others: bool = False) -> str:
    """First and first three, means over prompts with bootstrapped intervals; then how many had no recording of their
    kind left. others: held to every prompt but the own one, on average."""
    n_kinds = scores.shape[1]
    turns = range(1, n_kinds) if others else range(1)
    found = np.stack([places(scores, (kinds + turn) % n_kinds) for turn in turns])
    nobody = int((scores[np.arange(len(kinds)), kinds] == -1.0).sum())
    cells = []
    for most in (1, 3):
        hits = (found < most - 0.25).mean(0)
        by_prompt = np.array([hits[kinds == kind].mean() for kind in np.unique(kinds)])
        picks = np.random.default_rng(0).integers(len(by_prompt), size=(4000, len(by_prompt)))
        low, high = np.percentile(by_prompt[picks].mean(1), [2.5, 97.5])
        cells.append(f"{100 * by_prompt.mean():4.1f} % ({100 * low:2.0f}-{100 * high:2.0f})")
    return f"{name:50s} {cells[0]:>16s} {cells[1]:>16s} {nobody:8d}"


def print_distances(task: Task, through: Sequence[Path], sheets: dict[str, list[Sample]]) -> None:
    """Least, fifth percentile and median distance (dB) to the nearest exemplar of the whole library."""
    library, own = task.library, task.recordings.tolist()
    levels = [library.levels_db(exemplar) for exemplar in own]
    print(f"\n{'RMS dB from the nearest exemplar':50s} {'least':>8s} {'5 %':>8s} {'median':>8s}")
    copies = [apart_db(heard(wav), mine) for wav, mine in zip(through, levels, strict=True)]
    print(spread("a copy, through the resynthesis, from itself", copies))
    print(spread("real recordings, from the nearest other", nearest_db(levels, library, own)[0]))
    for title, made in sheets.items():
        print(spread(f"{title}, as drawn", nearest_db([sample.drawn_db for sample in made], library)[0]))
        print(spread(f"{title}, as heard", nearest_db([sample.heard_db for sample in made], library)[0]))
        print(spread("… largest share of one recording", [max(s.shares.values(), default=0.0) for s in made]))


def spread(name: str, found: Sequence[float] | NDArray[np.float64]) -> str:
    low, middle = np.quantile(found, [0.05, 0.5])
    return f"{name:50s} {min(found):8.2f} {low:8.2f} {middle:8.2f}"


def picture(made: Sequence[Sample], task: Task, path: Path, n_seeds: int = 4) -> None:
    """A row of spectrograms a prompt, in two columns of prompts; time runs linearly over each sound's own length."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    n_rows = math.ceil(len(task.prompts) / 2)
    figure, axes = pyplot.subplots(n_rows, 2 * n_seeds, figsize=(18, 22))
    for kind, prompt in enumerate(task.prompts):
        of_kind = [sample for sample in made if sample.kind == kind][:n_seeds]
        for column, sample in enumerate(of_kind):
            axis = axes[kind % n_rows, column + n_seeds * (kind // n_rows)]
            axis.imshow(sample.heard_db.T, origin="lower", aspect="auto", vmin=mel.FLOOR_DB, vmax=0)
            seconds = len(sample.heard_db) / mel.FRAMES_A_SECOND
            axis.set(xticks=[], yticks=[], title=f"{prompt}, {seconds:.1f} s" if column == 0 else "")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=60)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if not (CORPUS / "index.json").exists():
        print("samples.py: build/corpus is missing; `python tools/library/build.py --corpus-only` makes it")
        return 1
    task = read_task()
    judged = Judged(task)
    print(f"{len(task.recordings)} recordings, {len(task.prompts)} prompts × {options.seeds} seeds, means over prompts")
    print(f"{'':50s} {'first':>16s} {'first three':>16s} {'nobody':>8s}")
    judged.print_real("real recordings", judged.known)
    through = through_resynthesis(task)
    judged.print_real("resynthesised recordings", embed(through))
    sheets = {}
    for title, kernel in (("sampled, local weights", KERNEL), ("sampled, weights for the whole sound", WHOLE)):
        sheets[title] = sampled(task, kernel, options.seeds)
        judged.print_sampled(title, sheets[title])
    print_distances(task, through, sheets)
    if options.pictures:
        for title, made in sheets.items():
            picture(made, task, options.pictures / f"{title.replace(', ', '_').replace(' ', '_')}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
