"""Sounds sampled from the library prior, judged from outside: `python tools/evaluate/samples.py [--seeds 8]`.

24 prompts × 8 seeds through the path that the `text` kind takes. The judge is an embedding of sound effects that no
part of sfxgen was trained on (judge.py); a sound is of the kind whose recordings are nearest to it. Real recordings
give the ceiling, other prompts the floor. What a sample was mixed from is left out of the recordings it is held to.

--pictures DIR writes a sheet of spectrograms. Needs build/corpus/ (tools/library/build.py --corpus-only).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from judge import embed, similarity
from numpy.typing import NDArray
from ranking import CORPUS, ROOT, Task, line, read_task

from sfxgen import mel
from sfxgen.priors.library import CENTRE_DB, KERNEL, SCALE_DB, LibraryPrior
from sfxgen.priors.mixture import Kernel

FOLDER = ROOT / "build" / "samples"
WHOLE = replace(KERNEL, frames=np.inf, bands=np.inf, temper=0.005)  # weights for the sound as a whole
NEAREST = 3  # recordings of a kind that it is known by
SOUNDING_DB = -60.0


@dataclass(frozen=True)
class Sample:
    """One sampled sound: its prompt's number, its file, its log-mel (dB), and the recordings that it was mixed from."""

    kind: int
    wav: Path
    levels_db: NDArray[np.float32]
    mixed_from: frozenset[str]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    task = read_task()
    names = [task.library.exemplars[row].name for row in task.recordings]
    sources = np.array([task.library.exemplars[row].source for row in task.recordings])
    wavs = {entry["name"]: CORPUS / entry["wav"] for entry in json.loads((CORPUS / "index.json").read_text("utf-8"))}
    known = embed([wavs[name] for name in names])
    own = np.eye(len(names), dtype=bool)
    print(f"{len(names)} recordings of {len(task.prompts)} kinds; chance {1 / len(task.prompts):.1%} first")
    print(f"{'':44s} {'first':>16s} {'first three':>16s}   mean over kinds")
    print(line("real recordings, itself left out", scores(known, known, own, task), task.kinds))
    same = sources[:, None] == sources
    print(line("real recordings, their package left out", scores(known, known, same, task), task.kinds))
    through = embed(resynthesised(task))
    print(line("real recordings through the resynthesis", scores(through, known, own, task), task.kinds))
    sheets = {}
    for title, kernel in (("local weights", KERNEL), ("weights for the whole sound", WHOLE)):
        made = sampled(task, kernel, options.seeds, title)
        kinds = np.array([sample.kind for sample in made])
        vectors = embed([sample.wav for sample in made])
        mixed = np.array([[name in sample.mixed_from for name in names] for sample in made])
        judged = scores(vectors, known, mixed, task)
        print(line(f"sampled, {title}", judged, kinds))
        print(line("  … with what they were mixed from", scores(vectors, known, 0 * mixed > 0, task), kinds))
        print(line("  … held against other prompts", judged, (kinds + 7) % len(task.prompts)))
        print(f"  … to the nearest that it was mixed from: {distances(made, task)}")
        sheets[title] = made
    print(f"real recordings to the nearest other of their kind: {real_distances(task)}")
    if options.pictures:
        for title, made in sheets.items():
            picture(made, task, options.pictures / f"{title.replace(' ', '_')}.png")
    return 0


def scores(
    queries: NDArray[np.float32], known: NDArray[np.float32], left_out: NDArray[np.bool_], task: Task
) -> NDArray[np.float64]:
    """How near each query is to each kind, [queries, kinds]: the mean of its best cosines with that kind's."""
    cosines = np.where(left_out, -1.0, similarity(queries, known))
    best = []
    for kind in range(len(task.prompts)):
        of_kind = np.sort(cosines[:, task.kinds == kind], axis=1)[:, -NEAREST:]
        best.append(of_kind.mean(1))
    return np.stack(best, 1).astype(np.float64)


def sampled(task: Task, kernel: Kernel, n_seeds: int, title: str) -> list[Sample]:
    """All prompts with all seeds, as generate/text.py makes them."""
    prior = LibraryPrior(task.library, kernel=kernel)
    folder = FOLDER / title.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for kind, prompt in enumerate(task.prompts):
        generators = [torch.Generator().manual_seed(1000 * kind + seed) for seed in range(n_seeds)]
        condition = prior.condition([prompt] * n_seeds, prior.natural_s(prompt))
        condition = prior.drawn(condition, generators)
        z0 = prior.sample_z0(condition, generators)
        blocks = prior.decode(z0, generators)
        for seed, (block, credits) in enumerate(zip(blocks, prior.credits(z0, condition), strict=True)):
            wav = folder / f"{kind:02d}_{seed}.wav"
            soundfile.write(wav, block[0].numpy() / float(block.abs().max()), mel.RATE_HZ)
            levels_db = mel.log_mel(block)[0].numpy()
            made.append(Sample(kind, wav, levels_db, frozenset(credit.name for credit in credits)))
    return made


def resynthesised(task: Task) -> list[Path]:
    """The recordings' own levels through the decoder alone."""
    prior = LibraryPrior(task.library)
    folder = FOLDER / "through"
    folder.mkdir(parents=True, exist_ok=True)
    wavs = []
    for number, row in enumerate(task.recordings.tolist()):
        levels_db = torch.from_numpy(
            np.pad(task.library.levels_db(row), ((0, 4), (0, 0)), constant_values=mel.FLOOR_DB)
        )
        block = prior.decode((levels_db[None] - CENTRE_DB) / SCALE_DB, [torch.Generator().manual_seed(1)])
        wavs.append(folder / f"{number:03d}.wav")
        soundfile.write(wavs[-1], block[0, 0].numpy() / float(block.abs().max()), mel.RATE_HZ)
    return wavs


def distances(made: Sequence[Sample], task: Task) -> str:
    """RMS difference (dB) of each log-mel from what it was mixed from, the nearest exemplar of it."""
    of_name = {exemplar.name: row for row, exemplar in enumerate(task.library.exemplars)}
    found = [min(apart_db(s.levels_db, task.library.levels_db(of_name[n])) for n in s.mixed_from) for s in made]
    return _spread(found)


def real_distances(task: Task) -> str:
    """The same of every recording from the nearest other of its kind."""
    levels = [task.library.levels_db(row) for row in task.recordings.tolist()]
    found = []
    for number, kind in enumerate(task.kinds):
        others = [i for i in np.flatnonzero(task.kinds == kind).tolist() if i != number]
        found.append(min(apart_db(levels[number], levels[i]) for i in others))
    return _spread(found)


def apart_db(mine: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """RMS difference of two log-mels over the cells where either sounds, the best of shifts up to two frames."""
    n = max(len(mine), len(theirs)) + 2
    best = np.inf
    for shift in (-2, -1, 0, 1, 2):
        a, b = np.full((2, n, mine.shape[1]), SOUNDING_DB, np.float32)
        a[max(shift, 0) :][: len(mine)] = np.maximum(mine, SOUNDING_DB)
        b[max(-shift, 0) :][: len(theirs)] = np.maximum(theirs, SOUNDING_DB)
        sounding = (a > SOUNDING_DB) | (b > SOUNDING_DB)
        best = min(best, float(np.sqrt(np.square(a - b)[sounding].mean())))
    return best


def _spread(found: Sequence[float]) -> str:
    return f"least {min(found):.1f} dB, 5 % under {np.quantile(found, 0.05):.1f} dB, median {np.median(found):.1f} dB"


def picture(made: Sequence[Sample], task: Task, path: Path, n_seeds: int = 4) -> None:
    """A row of spectrograms a prompt."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(12, 2 * n_seeds, figsize=(18, 22))
    for kind, prompt in enumerate(task.prompts):
        of_kind = [sample for sample in made if sample.kind == kind][:n_seeds]
        for column, sample in enumerate(of_kind):
            axis = axes[kind % 12, column + n_seeds * (kind // 12)]
            axis.imshow(sample.levels_db.T, origin="lower", aspect="auto", vmin=-76, vmax=0)
            axis.set(xticks=[], yticks=[], title=prompt if column == 0 else "")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=60)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
