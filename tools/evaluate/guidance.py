"""What guidance adds, stage by stage: `python tools/evaluate/guidance.py [--seeds 3] [--kinds fm impact texture]`.

24 prompts × seeds for each kind, from the presets that the words find and from random starts: a random start, the
nearest preset, the best start by the prior's score, that evolved, and the guided sound. Each is asked two ways which of
the 24 prompts it fits: by the prior itself (what guidance steers by), and by an outside judge that the prior never saw
(judge.py: nearest to real recordings of that kind). Means over prompts with bootstrapped intervals, the worst prompts
of each kind, and a sheet of spectrograms (--pictures DIR). Needs build/corpus/ (tools/library/build.py --corpus-only).

    --methods    targets, numbers of denoising steps and both forms of SDS instead, each for the same time of descent

Sounds are kept below build/guidance/ for the next time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from judge import embed
from numpy.typing import NDArray
from ranking import CORPUS, ROOT, places, read_task
from samples import Judged, row

from sfxgen import mel
from sfxgen.cache import Cache
from sfxgen.distill.optimise import Run, Settings, distil, render
from sfxgen.generate.guide import Begin, Search, Try, Wish, descend
from sfxgen.generate.recipe import Request
from sfxgen.manifest.guide import Guide
from sfxgen.manifest.presets import search as find_presets
from sfxgen.manifest.sound import KINDS
from sfxgen.priors import open_prior
from sfxgen.priors.contract import Prior
from sfxgen.priors.library import LibraryPrior

FOLDER = ROOT / "build" / "guidance"
STAGES = ("random start", "nearest preset", "best start", "evolved", "descended", "guided")
N_PRESETS = 4
BUDGET_S = 2.0  # of one descent, for --methods
STRUCK = (
    "footsteps",
    "glass breaking",
    "door opening and closing",
    "metal clang",
    "hitting wood",
    "rocks and gravel",
    "bell ringing",
    "button click",
    "drum hit",
)
N_STEPS_ALIKE = 12  # of both forms of SDS, whatever they take
METHODS = {
    "Decoder-SDS, 1 step": Settings(n_denoising=1),
    "Decoder-SDS, 2 steps": Settings(n_denoising=2),
    "Decoder-SDS, 5 steps": Settings(n_denoising=5),
    "Decoder-SDS, 10 steps": Settings(n_denoising=10),
    "SDI, 5 steps": Settings(target="sdi", n_denoising=5),
    "ISM, 5 steps": Settings(target="ism", n_denoising=5),
    "CSD": Settings(target="csd"),
}
FORMS = {
    "through the decoder": Settings(),
    "through the encoder": Settings(encoder=True),
}


class Decoding(LibraryPrior):
    """The library prior as a latent one is used: sounds are compared as sounds, by their spectra at several sizes.

    Its own z is what it compares, so that both forms of SDS would be one. Each map counts relative to its mean, since
    z says nothing of loudness.
    """

    levels = False

    def features(self, audio: torch.Tensor) -> tuple[torch.Tensor, ...]:
        n_decoded = (self.z_shape(audio.shape[-1] / self.rate_hz)[0] - 1) * mel.HOP_SAMPLES
        maps = Prior.features(self, torch.nn.functional.pad(audio, (0, n_decoded - audio.shape[-1])))
        return tuple(map_ / map_.mean((1, 2), keepdim=True).clamp_min(1e-12) for map_ in maps)

    def features_of(self, z0: torch.Tensor, generators: Sequence[torch.Generator]) -> tuple[torch.Tensor, ...]:
        return self.features(self.decode(z0, generators))


@dataclass(frozen=True)
class Task:
    """One sound to be guided: the number of its prompt, and so on. what: the stages or the methods."""

    kind: str
    number: int
    prompt: str
    seed: int
    what: str


def make(task: Task) -> dict[str, str]:
    """Stage → path of its sound; from the folder where it was made before."""
    torch.set_num_threads(1)
    place = FOLDER / _code() / task.what / f"{task.kind}_{task.number:02d}_{task.seed}"
    notes = place / "notes.json"
    if not notes.exists():
        place.mkdir(parents=True, exist_ok=True)
        prior = open_prior(("library",), ROOT)
        request = Request(cached=Cache(ROOT / "build" / "guidance" / "modes").cached)
        made = stages(task, prior, request) if task.what == "stages" else methods(task, prior, request)
        for name, audio in made.items():
            soundfile.write(place / f"{name}.wav", (audio / audio.abs().max().clamp_min(1e-9)).numpy(), prior.rate_hz)
        notes.write_text(json.dumps(list(made)), "utf-8")
    return {name: str(place / f"{name}.wav") for name in json.loads(notes.read_text("utf-8"))}


def stages(task: Task, prior: Prior, request: Request) -> dict[str, torch.Tensor]:
    """The sound of each stage, [frames], all with noise that guidance did not see."""
    search = begun(task, prior, request)
    descend([search], prior)
    _, descended = search.best()
    search.polish()
    written, best = search.best()
    assert search.ranked is not None
    tries = (search.random_start(), written, search.ranked, search.finalists[0], descended, best)
    return {name: _heard(one, prior) for name, one in zip(STAGES, tries, strict=True)}


def methods(task: Task, prior: Prior, request: Request) -> dict[str, torch.Tensor]:
    """The nearest preset, and what each method makes of it in the same time."""
    search = begun(task, prior, request, Guide(generations=0, starts=1, draws=0))
    written = search.tries[0]
    made = {"nearest preset": _heard(written, prior)}
    condition = prior.condition([task.prompt], search.seconds, ongoing=search.ongoing)

    def descended(name: str, settings: Settings, by: Prior) -> None:
        (theta,) = distil([written.start], by, condition, settings)
        made[name.replace(",", "").replace(" ", "_")] = _heard(written.at(replace(written.start, theta=theta)), prior)

    def within_budget(settings: Settings, by: Prior) -> Settings:
        began = time.process_time()
        distil([written.start], by, condition, replace(settings, n_steps=3))
        return replace(settings, n_steps=max(4, round(BUDGET_S * 3 / max(time.process_time() - began, 1e-3))))

    for name, settings in METHODS.items():
        descended(name, within_budget(settings, prior), prior)
    assert isinstance(prior, LibraryPrior)
    decoding = Decoding(prior.library, prior.name)
    for name, settings in FORMS.items():
        descended(f"{name}, same time", within_budget(settings, decoding), decoding)
        descended(f"{name}, {N_STEPS_ALIKE} steps", replace(settings, n_steps=N_STEPS_ALIKE), decoding)
    return made


def begun(task: Task, prior: Prior, request: Request, guide: Guide | None = None) -> Search:
    found = find_presets(task.prompt, task.kind)[:N_PRESETS]
    starts = tuple(Begin(task.kind, c.preset.name, KINDS[task.kind].model_validate(c.preset.body)) for c in found)
    seed = int.from_bytes(hashlib.sha256(f"{task}".encode()).digest()[:4], "little")
    search = Search(Wish("", task.prompt, starts, guide or Guide(), seed, True), prior, request, Run())
    search.begin()
    return search


def _heard(one: Try, prior: Prior) -> torch.Tensor:
    with torch.no_grad():
        audio = render([one.start], one.start.first[None], [one.start.seed + 50_021], prior)
    return audio[0].mean(0)


def _code() -> str:
    """Of the code between a prompt and a sound."""
    root = ROOT / "sfxgen"
    wanted = (
        "distill/*.py",
        "generate/guide.py",
        "generate/tunable*.py",
        "synths/*.py",
        "priors/*.py",
        "manifest/guide.py",
    )
    paths = [path for pattern in wanted for path in sorted(root.glob(pattern))]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:12]


def by_prior(wavs: Sequence[str], prompts: Sequence[str], prior: Prior) -> NDArray[np.float64]:
    """Of each sound to each prompt, [wavs, prompts]."""
    rows = []
    for wav in wavs:
        audio, _ = soundfile.read(wav, dtype="float32")
        rows.append(prior.fit(torch.from_numpy(audio)[None, None], prompts)[0].numpy())
    return np.stack(rows)


def report(made: Sequence[dict[str, str]], tasks: Sequence[Task], judged: Judged, prior: Prior) -> None:
    """A row a stage, by either; then the prompts that fare worst."""
    prompts = judged.task.prompts
    kinds = np.array([task.number for task in tasks])
    nobody = np.zeros((len(made), len(judged.names)), bool)
    for name in made[0]:
        wavs = [stages[name] for stages in made]
        own = by_prior(wavs, prompts, prior)
        heard = judged.scores(embed([Path(wav) for wav in wavs]), nobody)
        print(row(f"{name}: the prior", own, kinds))
        print(row(f"{' ' * len(name)}  the judge", heard, kinds), flush=True)
        if tasks[0].kind == "impact":
            struck = np.isin(kinds, [n for n, prompt in enumerate(prompts) if prompt in STRUCK])
            print(row(f"{' ' * len(name)}  … of what is struck", heard[struck], kinds[struck]), flush=True)
    last = places(heard, kinds)
    worst = sorted(np.unique(kinds), key=lambda kind: -last[kinds == kind].mean())[:5]
    print("worst by the judge:", ", ".join(f"{prompts[k]} (place {1 + last[kinds == k].mean():.0f})" for k in worst))


def picture(made: Sequence[dict[str, str]], tasks: Sequence[Task], path: Path) -> None:
    """A row a prompt, a column a stage, of the first seed."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    firsts = [(task, sounds) for task, sounds in zip(tasks, made, strict=True) if task.seed == 0]
    names = list(made[0])
    columns = 2 * len(names)
    n_rows = math.ceil(len(firsts) / 2)
    figure, axes = pyplot.subplots(n_rows, columns, figsize=(2 * columns, 1.6 * n_rows), squeeze=False)
    for place, (task, sounds) in enumerate(firsts):
        for column, name in enumerate(names):
            audio, _ = soundfile.read(sounds[name], dtype="float32")
            axis = axes[place % n_rows, column + len(names) * (place // n_rows)]
            axis.imshow(
                mel.log_mel(torch.from_numpy(audio)[None])[0].T, origin="lower", aspect="auto", vmin=-76, vmax=0
            )
            axis.set(xticks=[], yticks=[])
            axis.set_title(task.prompt if column == 0 else name, fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=60)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kinds", nargs="+", choices=("fm", "impact", "texture"), default=["fm", "impact", "texture"])
    parser.add_argument("--prompts", type=int, default=24, help="only so many of them, for a quick look")
    parser.add_argument("--methods", action="store_true")
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if not (CORPUS / "index.json").exists():
        print("guidance.py: build/corpus is missing; `python tools/library/build.py --corpus-only` makes it")
        return 1
    judged, prior = Judged(read_task()), open_prior(("library",), ROOT)
    prompts = judged.task.prompts
    numbers = range(0, len(prompts), max(1, len(prompts) // options.prompts))
    what = "methods" if options.methods else "stages"
    for kind in options.kinds:
        tasks = [Task(kind, n, prompts[n], seed, what) for n in numbers for seed in range(options.seeds)]
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            made = pool.map(make, tasks, chunksize=1)
        print(f"\n{kind}: {len(tasks)} sounds\n{'':50s} {'first':>16s} {'first three':>16s}")
        report(made, tasks, judged, prior)
        if options.pictures:
            picture(made, tasks, options.pictures / f"{kind}_{what}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
