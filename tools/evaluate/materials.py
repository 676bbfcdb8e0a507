"""Can an outside judge hear what our bodies are made of? A classifier that has heard recordings alone, on our renders.

    python tools/evaluate/materials.py [--renders DIR]

The recordings are blows on metal, wood, glass, stone and plastic from many packages (`struck.py`, which fetches them
once). The judge of `judge.py` embeds them, each at three speeds and as heard in N_HEARD random rooms, by other
microphones and over other noise (`recorded.py`); a linear classifier is fitted to the mean of these, every class of
the same weight and large sources held down, and never sees a render. How good a judge it is, recordings say whose
whole source was left out of its fit; its ridge and its speeds were chosen by that. Then it names the material of three
sets of renders, heard in such rooms as well: else it would go by the rooms and the noise that recordings have and
renders have not.

- the same for every material: seven shapes in three sizes, struck by two strikers. What differs is the material alone.
- usual things: the bodies and strikers of the shipped library's grid (tools/library/bodies.py), which were written
  down before this test and for another purpose: glasses, planks, slabs, pans, lying or held as they usually are.
- what happens in the recordings: steps, drops, dice, keys, tools, breaking (`happenings.py`).

Prints the confusion tables and the mean of the five classes' shares of right names, with 95 % intervals by the
bootstrap: over sources for recordings, over things for renders, since blows on one thing are no independent trials.
Also of the two families that listeners tell apart by ear (Giordano & McAdams, JASA 119, 2006): what rings long, metal
and glass, and what does not. And how recordings of the larger sources fare.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from happenings import IMPACTS, PRESETS, SCENES
from judge import embed_heard
from numpy.typing import NDArray
from struck import recordings

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "library"))

from bodies import BODIES  # noqa: E402
from bodies import STRIKERS as USUAL_STRIKERS  # noqa: E402
from debian import CannotFetch  # noqa: E402

from sfxgen.draw import Draw  # noqa: E402
from sfxgen.generate import impact, scene  # noqa: E402
from sfxgen.generate.recipe import Request  # noqa: E402
from sfxgen.manifest.impact import Impact  # noqa: E402
from sfxgen.manifest.presets import presets  # noqa: E402
from sfxgen.manifest.scene import Scene  # noqa: E402

OURS = {
    "metal": ("steel", "iron", "brass", "aluminium"),
    "wood": ("wood", "oak", "pine"),
    "glass": ("glass",),
    "stone": ("stone", "granite", "marble"),
    "plastic": ("plastic", "polycarbonate"),
}
CLASSES = tuple(OURS)
WORDS = {"wooden": "wood", "brick": "stone", "concrete": "stone", "marble": "stone"}  # of the grid, as our classes
# Things of a house and a game, each in three sizes and with two strikers: none is typical of one class alone.
SHAPES: tuple[dict[str, Any], ...] = (
    {"shape": "bar", "size_m": [0.25, 0.03, 0.008]},
    {"shape": "plate", "size_m": [0.25, 0.18, 0.005]},
    {"shape": "box", "size_m": [0.14, 0.1, 0.08], "wall_m": 0.004},
    {"shape": "cylinder", "size_m": [0.02, 0.2]},
    {"shape": "bowl", "size_m": [0.12, 0.08], "wall_m": 0.003},
    {"shape": "tube", "size_m": [0.05, 0.2], "wall_m": 0.003},
    {"shape": "box", "size_m": [0.09, 0.06, 0.04]},
)
SCALES = (1.0, 2.0, 3.5)
STRIKERS = ("hammer", {"material": "wood", "mass_kg": 0.2, "radius_m": 0.02})
LYING = 1.5  # damping, times that of the material alone
USUAL_SPEEDS_M_S = (0.5, 4.5)  # soft and hard, as in the grid
RINGING = ("metal", "glass")
N_TAKES = 4  # of what happens, from the softest to the hardest
RIDGE = 3e-4
N_BOOTSTRAP = 4000
FEWEST = 10
N_HEARD = 4


@dataclass(frozen=True)
class Case:
    """A sound whose material is known. `group`: what it shares with others of its kind, a source or a thing."""

    material: str
    group: str
    wav: Path


def alike(folder: Path) -> Iterator[Case]:
    """Renders of the same shapes, sizes and blows for every material."""
    for name, materials in OURS.items():
        for i, (shape, scale, striker) in enumerate(itertools.product(SHAPES, SCALES, STRIKERS)):
            material = materials[i % len(materials)]
            sides = [round(side * scale, 6) for side in shape["size_m"]]
            wall = {"wall_m": round(shape["wall_m"] * scale, 6)} if "wall_m" in shape else {}
            item = {**shape, **wall, "size_m": sides, "material": material}
            spec = {"object": item, "striker": striker, "damping": LYING, "speed_m_s": 1.5}
            path = folder / f"alike_{name}_{material}_{shape['shape']}_{i:02d}.wav"
            yield Case(name, f"{shape} {scale}", rendered(spec, Draw(i), path))


def usual(folder: Path) -> Iterator[Case]:
    """Renders of things that are usual of their material, as they usually lie."""
    for thing, body in BODIES.items():
        name = material_of(thing)
        if name not in CLASSES:
            continue
        for i, (striker, speed_m_s) in enumerate(itertools.product(USUAL_STRIKERS, USUAL_SPEEDS_M_S)):
            spec = {"object": body.spec, "striker": USUAL_STRIKERS[striker][0], "speed_m_s": speed_m_s, **body.more}
            yield Case(name, thing, rendered(spec, Draw(i), folder / f"usual_{thing}_{striker}_{i}.wav"))


def material_of(thing: str) -> str:
    """What a body of the grid is made of: one of our classes, or another word."""
    word = BODIES[thing].word
    return WORDS.get(word, word)


def happening(folder: Path) -> Iterator[Case]:
    """Renders of what the recordings are of."""
    for name in CLASSES:
        of_presets = {preset: (presets()[preset].kind, presets()[preset].body) for preset in PRESETS[name]}
        own = {what: ("impact", spec) for what, spec in IMPACTS[name].items()}
        scenes = {what: ("scene", spec) for what, spec in SCENES[name].items()}
        for what, (kind, spec) in (of_presets | own | scenes).items():
            for i in range(N_TAKES):
                draw = Draw(i, (i / N_TAKES, (i + 1) / N_TAKES))
                yield Case(name, what, rendered(spec, draw, folder / f"happening_{name}_{what}_{i}.wav", kind))


def rendered(spec: dict[str, Any], draw: Draw, path: Path, kind: str = "impact") -> Path:
    """One take, at one level and a quarter of a second long at least."""
    if kind == "scene":
        (take,) = scene.render(Scene.model_validate(spec), [draw], Request())
    else:
        (take,) = impact.render(Impact.model_validate(spec), [draw], Request())
    samples = take.samples[0] / max(take.peak, 1e-9) * 0.7
    soundfile.write(path, np.pad(samples, (0, max(0, take.rate_hz // 4 - len(samples)))), take.rate_hz)
    return path


def fitted(features: NDArray[np.float32], cases: Sequence[Case]) -> NDArray[np.float64]:
    """Weights [dimensions + 1, classes] of a multinomial logistic regression with a ridge.

    Classes weigh the same. In a class a group of n weighs √n: more than one recording, less than n strangers.
    """
    x = torch.from_numpy(with_one(features))
    y = torch.tensor([CLASSES.index(case.material) for case in cases])
    sizes = Counter((case.material, case.group) for case in cases)
    each = torch.tensor([sizes[case.material, case.group] ** -0.5 for case in cases], dtype=torch.float64)
    of_class = torch.zeros(len(CLASSES), dtype=torch.float64).index_add(0, y, each)
    of_row = each / of_class[y] / len(CLASSES)
    weights = torch.zeros(x.shape[1], len(CLASSES), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        misfit = torch.nn.functional.cross_entropy(x @ weights, y, reduction="none")
        total = (misfit * of_row).sum() + RIDGE * weights[:-1].square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach().numpy()


def with_one(features: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.hstack([features, np.ones((len(features), 1))]).astype(np.float64)


def named(weights: NDArray[np.float64], features: NDArray[np.float32]) -> list[str]:
    return [CLASSES[i] for i in (with_one(features) @ weights).argmax(axis=1)]


def strangers(features: NDArray[np.float32], cases: Sequence[Case]) -> list[str]:
    """What each recording is called by a classifier that has heard nothing of its source."""
    said = [""] * len(cases)
    for group in sorted({case.group for case in cases}):
        own = np.array([case.group == group for case in cases])
        weights = fitted(features[~own], [case for case, out in zip(cases, own, strict=True) if not out])
        for i, name in zip(np.flatnonzero(own), named(weights, features[own]), strict=True):
            said[i] = name
    return said


def mean_share(cases: Sequence[Case], right: Sequence[bool]) -> str:
    """The mean over the classes of the share that is right, in per cent, and its 95 % interval by the bootstrap."""
    rng, means = np.random.default_rng(0), np.zeros(N_BOOTSTRAP)
    shares = []
    for name in CLASSES:
        groups = sorted({case.group for case in cases if case.material == name})
        place = {group: i for i, group in enumerate(groups)}
        tally = np.zeros((len(groups), 2))  # right, all
        for case, good in zip(cases, right, strict=True):
            if case.material == name:
                tally[place[case.group]] += (good, 1)
        drawn = tally[rng.integers(len(groups), size=(N_BOOTSTRAP, len(groups)))].sum(axis=1)
        means += drawn[:, 0] / drawn[:, 1] / len(CLASSES)
        shares.append(tally[:, 0].sum() / tally[:, 1].sum())
    low, high = np.quantile(means, (0.025, 0.975))
    return f"{np.mean(shares):.0%} ({low:.0%}–{high:.0%})"


def report(title: str, cases: Sequence[Case], said: Sequence[str]) -> None:
    def share(same: Callable[[str, str], bool]) -> str:
        return mean_share(cases, [same(case.material, name) for case, name in zip(cases, said, strict=True)])

    families = share(lambda a, b: (a in RINGING) == (b in RINGING))
    print(f"\n{title}, {len(cases)}: {share(str.__eq__)} of five, chance 20 %")
    print(f"as what rings long or does not, always the same 60 %: {families}\n")
    print(f"| {'is, and is called':18s} | " + " | ".join(CLASSES) + " |")
    print("|---" * (len(CLASSES) + 1) + "|")
    for name in CLASSES:
        row = [heard for case, heard in zip(cases, said, strict=True) if case.material == name]
        print(
            f"| {name} ({len(row)}) | " + " | ".join(f"{row.count(c) / max(len(row), 1):.0%}" for c in CLASSES) + " |"
        )


def report_sources(cases: Sequence[Case], said: Sequence[str]) -> None:
    """How many of each source are named rightly, of those that have FEWEST of a material."""
    right = Counter(
        (case.material, case.group) for case, name in zip(cases, said, strict=True) if case.material == name
    )
    of_all = Counter((case.material, case.group) for case in cases)
    print()
    for name in CLASSES:
        sources = sorted(source for material, source in of_all if material == name and of_all[name, source] >= FEWEST)
        print(f"{name}: " + ", ".join(f"{source} {right[name, source]}/{of_all[name, source]}" for source in sources))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renders", type=Path, help="folder to keep the renders in")
    asked = parser.parse_args()
    try:
        heard = [Case(found.material, found.source, found.wav) for found in recordings()]
    except CannotFetch as error:
        print(f"materials.py: {error}", file=sys.stderr)
        return 1
    for name in CLASSES:
        sources = Counter(case.group for case in heard if case.material == name)
        print(f"{name}: {sources.total()} of {len(sources)} sources")
    features = embed_heard([case.wav for case in heard], N_HEARD)
    said = strangers(features, heard)
    report("recordings whose source is left out of the fit", heard, said)
    report_sources(heard, said)
    weights = fitted(features, heard)
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.renders or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        sets = {
            "renders, the same for every material": alike,
            "renders of usual things": usual,
            "renders of what happens in the recordings": happening,
        }
        for title, make in sets.items():
            cases = list(make(folder))
            report(title, cases, named(weights, embed_heard([case.wav for case in cases], N_HEARD)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
