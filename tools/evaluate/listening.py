"""Ranking, detection and misfits on recordings whose whole package was left out: `python tools/evaluate/listening.py`.

Prints how sure the tool is and how often it is right (LibraryPrior.nats_a_fit), what detection finds in recordings laid
one after another, and how often `misfit` cries wolf (LibraryPrior.clear_fit). About nine minutes of CPU at
first, four of them training. Needs build/corpus/ (tools/library/build.py --corpus-only).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import heldout
import numpy as np
import torch
from numpy.typing import NDArray
from ranking import CORPUS, Task, wilson

from sfxgen.audio import Audio
from sfxgen.codec import decode
from sfxgen.disk import Disk
from sfxgen.distill.heard import at_rate
from sfxgen.distill.ranking import Looking, beside, detect, fits, misfit, misfits
from sfxgen.distill.vocabulary import ALIKE, NAMES, neighbours
from sfxgen.draw import Draw
from sfxgen.generate import generate
from sfxgen.generate.recipe import Request
from sfxgen.lock import Lock
from sfxgen.manifest.presets import Preset, presets
from sfxgen.manifest.project import project_from_text
from sfxgen.mel import RATE_HZ
from sfxgen.plan import make_plan
from sfxgen.priors import open_prior
from sfxgen.priors.library import LibraryPrior
from sfxgen.words import similarity

N_SCENES, N_IN_A_SCENE, LONGEST_S, GAP_S = 40, 5, 4.0, 0.5
N_NEIGHBOURS = 8
EDGES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 1.01)


class Held:
    """The recordings of a task with what the round that never saw their package says of every prompt and name."""

    def __init__(self, task: Task) -> None:
        self.task, self.priors = task, heldout.held_out(task)
        self.names = (*task.prompts, *NAMES)
        wavs = {entry["name"]: entry["wav"] for entry in json.loads((CORPUS / "index.json").read_text("utf-8"))}
        self.audio = [decode(CORPUS / wavs[task.library.exemplars[row].name]) for row in task.recordings]
        self.rounds = task.rounds[task.recordings]
        pairs = zip(self.audio, self.rounds.tolist(), strict=True)
        self.scores = torch.stack([fits(self.priors[number], audio, self.names) for audio, number in pairs])

    def columns(self, names: Sequence[str]) -> list[int]:
        return [self.names.index(name) for name in names]


def share(hits: NDArray[np.bool_] | Sequence[bool]) -> str:
    low, high = wilson(int(np.sum(hits)), len(hits))
    return f"{100 * np.mean(hits):5.1f} % ({100 * low:.0f}-{100 * high:.0f}) of {len(hits)}"


def print_certainty(held: Held) -> None:
    """How often the first is right where the tool is so sure, among the 24 prompts and among prompt and all names."""
    own = torch.from_numpy(held.task.kinds)
    n = len(held.task.prompts)
    of_all = torch.full((len(own), len(NAMES) + 1), -1e9, dtype=torch.float64)
    for row, kind in enumerate(held.task.kinds.tolist()):
        columns = held.columns([held.task.prompts[kind], *beside([held.task.prompts[kind]])])
        of_all[row, : len(columns)] = held.scores[row, columns]
    tables = {f"{n} prompts": (held.scores[:, :n], own), "own prompt and all names": (of_all, torch.zeros_like(own))}
    for name, (scores, right) in tables.items():
        print(f"\nprobability said and share right, {name}")
        losses = {
            nats: float(torch.nn.functional.cross_entropy(nats * scores, right))
            for nats in (0.25, 0.35, 0.45, 0.5, 0.55, 0.65, 0.8)
        }
        print("  log loss by nats a fit: " + ", ".join(f"{nats}: {loss:.3f}" for nats, loss in losses.items()))
        said, first = ((LibraryPrior.nats_a_fit or 0.0) * scores).softmax(1).max(1)
        for low, high in pairwise(EDGES):
            inside = (said >= low) & (said < high)
            if inside.any():
                hits = (first == right)[inside].numpy()
                print(f"  said {float(said[inside].mean()):.2f}: right {share(hits)}")


def scene(held: Held, number: int, seed: int) -> tuple[Audio, list[tuple[float, float, str]]]:
    """Recordings of one round one after another, and what is where."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(np.flatnonzero(held.rounds == number))
    blocks, truth, at_s, used = [], [], 0.0, set()
    for row in rows.tolist():
        kind = int(held.task.kinds[row])
        audio = held.audio[row]
        if kind in used or audio.duration_s > LONGEST_S:
            continue
        used.add(kind)
        mono = at_rate(audio.samples.mean(0, keepdims=True), audio.rate_hz, RATE_HZ)[0]
        mono = mono * np.float32(0.1 / max(1e-6, float(np.sqrt(np.mean(mono**2)))))
        truth.append((at_s, at_s + len(mono) / RATE_HZ, held.task.prompts[kind]))
        blocks += [mono, np.zeros(round(GAP_S * RATE_HZ), np.float32)]
        at_s += len(mono) / RATE_HZ + GAP_S
        if len(used) == N_IN_A_SCENE:
            break
    return Audio.of(np.concatenate(blocks), RATE_HZ), truth


def print_detection(held: Held) -> None:
    """Of the recordings in a scene, how many are found under their prompt; of what is found, how much is so."""
    prompts = held.task.prompts
    others = beside(prompts)
    numbers = np.resize(np.unique(held.rounds), N_SCENES).tolist()
    scenes = [(number, *scene(held, number, seed)) for seed, number in enumerate(numbers)]
    print(f"\n{N_SCENES} scenes of {N_IN_A_SCENE} recordings, 24 prompts beside {len(others)} names")
    for window_s, least in ((1.0, 0.2), (2.0, 0.1), (2.0, 0.2), (2.0, 0.3), (4.0, 0.2)):
        found_all: list[bool] = []
        right_all: list[bool] = []
        for number, audio, truth in scenes:
            found = detect(held.priors[number], audio, prompts, others, Looking(window_s, window_s / 4, least))
            here = [
                [p == one.prompt and one.start_s < end and one.end_s > start for start, end, p in truth]
                for one in found
            ]
            right_all += [any(row) for row in here]
            found_all += [any(row[i] for row in here) for i in range(len(truth))]
        print(f"  window {window_s} s, from {least}: found {share(found_all)}, right {share(right_all)}", flush=True)


def print_misfits(held: Held) -> None:
    """How often a recording is said to be no sound of its own prompt, and of another kind's prompt."""
    prompts = held.task.prompts
    near = [held.columns(neighbours(prompt, N_NEIGHBOURS)) for prompt in prompts]
    apart = similarity(prompts, prompts) < ALIKE
    print("\nmisfits among recordings: own prompt (a false alarm), prompt of another kind (a find)")
    for clear in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0):

        def warned(row: int, kind: int, clear: float = clear) -> bool:
            scores = held.scores[row, [kind, *near[kind]]]
            return bool(misfits(scores, [held.names[i] for i in near[kind]], clear))

        own = [warned(row, kind) for row, kind in enumerate(held.task.kinds.tolist())]
        others = [
            warned(row, other)
            for row, kind in enumerate(held.task.kinds.tolist())
            for other in range(len(prompts))
            if apart[kind, other]
        ]
        print(f"  clear fit {clear}: {share(own)}, {share(others)}")


def print_presets() -> None:
    """The same of our presets under their captions, and under those of presets that mean something else.

    Our encoder was trained on renders of them: real misfits will be found less surely than these.
    """
    prior = open_prior(("library",), Path())
    every = list(presets().values())
    apart = similarity([p.caption for p in every], [p.caption for p in every]) < ALIKE
    own, others = [], []
    for number, preset in enumerate(every):
        audio = _rendered(preset)
        own.append(bool(misfit(prior, audio, preset.caption)))
        strangers = np.flatnonzero(apart[number])
        stranger = every[strangers[7 * number % len(strangers)]]
        others.append(bool(misfit(prior, audio, stranger.caption)))
        if own[-1]:
            print(f"  {preset.name}: {preset.caption}")
    print(f"misfits among presets: own caption {share(own)}, another's {share(others)}")


def _rendered(preset: Preset) -> Audio:
    entry = {**preset.entry, preset.kind: {"preset": preset.name}}
    project = project_from_text(CORPUS, json.dumps({"version": 1, "sounds": {"sound": entry}}))
    job = make_plan(project, Lock(), Disk(CORPUS), "plain").sounds[0].job
    return generate(job.kind, job.body, [Draw(1)], Request(duration_s=job.duration_s, loop=job.loop))[0]


def main() -> int:
    torch.set_num_threads(1)
    if not (CORPUS / "index.json").exists():
        print("listening.py: build/corpus is missing; `python tools/library/build.py --corpus-only` makes it")
        return 1
    held = Held(heldout.task())
    print_certainty(held)
    print_misfits(held)
    print_detection(held)
    print_presets()
    return 0


if __name__ == "__main__":
    sys.exit(main())
