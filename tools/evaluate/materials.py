"""Can an outside judge hear what our bodies are made of? A classifier that has heard recordings alone, on our renders.

    python tools/evaluate/materials.py [--renders DIR]

Recordings of single blows on metal, wood, glass, stone and plastic come from the corpus of the library (built first
with `python tools/library/build.py --corpus-only`) and from the keys of a keyboard, which are of plastic. The judge of
`judge.py` embeds them; a linear classifier is fitted to them, every class of the same weight, and never sees a render.
It then names the material of our bodies of several shapes, sizes and strikers. Prints how well it does on recordings
that it was not fitted to, the confusion table over the renders, and its accuracy (Wilson's 95 % interval): of five
names, and of the two families that listeners tell apart by ear (Giordano & McAdams, JASA 119, 2006), what rings long,
metal and glass, and what does not.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "library"))

from debian import unpacked  # noqa: E402
from judge import embed  # noqa: E402

from sfxgen.draw import Draw  # noqa: E402
from sfxgen.generate.impact import render  # noqa: E402
from sfxgen.generate.recipe import Request  # noqa: E402
from sfxgen.manifest.impact import Impact  # noqa: E402

CORPUS = ROOT / "build" / "corpus"
# Captions of single blows in the corpus, by class.
HEARD = {
    "metal": r"metal footstep|digging metal|broken block metal|place node metal|materials metal (dull|light) hit|clang"
    r"|shield metal hit|cowbell|flint and steel",
    "wood": r"tree chop|materials wood (dull )?hit|shield wood hit|wood footstep|electronic wood|wooden bridge",
    "glass": r"break glass|glass footstep|materials glass",
    "stone": r"materials rock hit|hard footstep|place node hard|stone gate hit|cracky|stone-hit",
}
KEYBOARD, N_KEYS = "bucklespring-data", 24
OURS = {
    "metal": ("steel", "iron", "brass", "aluminium"),
    "wood": ("wood", "oak", "pine"),
    "glass": ("glass",),
    "stone": ("stone", "granite", "marble"),
    "plastic": ("plastic", "polycarbonate"),
}
CLASSES = tuple(OURS)
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
RINGING = ("metal", "glass")
RIDGE = 3e-3


def recordings() -> list[tuple[str, Path]]:
    """Class and file of every recording that the classifier hears."""
    index = json.loads((CORPUS / "index.json").read_text(encoding="utf-8"))
    found = [
        (name, CORPUS / row["wav"])
        for row in index
        for name, words in HEARD.items()
        if re.search(words, row["caption"]) and row["seconds"] < 2.5
    ]
    keys = sorted(unpacked(KEYBOARD, CORPUS).rglob("*-1.wav"))  # a key that goes down; -0 comes up
    step = max(1, len(keys) // N_KEYS)
    return [*found, *(("plastic", path) for path in keys[::step][:N_KEYS])]


def rendered(folder: Path) -> list[tuple[str, Path]]:
    """Class and file of every render."""
    folder.mkdir(parents=True, exist_ok=True)
    request, found = Request(), []
    for name, materials in OURS.items():
        for i, (shape, scale, striker) in enumerate(itertools.product(SHAPES, SCALES, STRIKERS)):
            material = materials[i % len(materials)]
            sides = [round(side * scale, 6) for side in shape["size_m"]]
            wall = {"wall_m": round(shape["wall_m"] * scale, 6)} if "wall_m" in shape else {}
            item = {**shape, **wall, "size_m": sides, "material": material}
            spec = Impact.model_validate({"object": item, "striker": striker, "damping": LYING, "speed_m_s": 1.5})
            (take,) = render(spec, [Draw(i)], request)
            path = folder / f"{name}_{material}_{shape['shape']}_{i:02d}.wav"
            samples = take.samples[0] / max(take.peak, 1e-9) * 0.7
            soundfile.write(path, np.pad(samples, (0, max(0, take.rate_hz // 4 - len(samples)))), take.rate_hz)
            found.append((name, path))
    return found


def fitted(features: NDArray[np.float32], labels: Sequence[str]) -> NDArray[np.float64]:
    """Weights [dimensions + 1, classes] of a multinomial logistic regression with a ridge, classes of equal weight."""
    x = torch.from_numpy(with_one(features))
    y = torch.tensor([CLASSES.index(label) for label in labels])
    share = torch.bincount(y, minlength=len(CLASSES)).clamp(min=1).double()
    of_row = (1 / share)[y] / len(CLASSES)
    weights = torch.zeros(x.shape[1], len(CLASSES), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        each = torch.nn.functional.cross_entropy(x @ weights, y, reduction="none")
        total = (each * of_row).sum() + RIDGE * weights[:-1].square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach().numpy()


def with_one(features: NDArray[np.float32]) -> NDArray[np.float64]:
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-9)
    return np.hstack([unit, np.ones((len(unit), 1))]).astype(np.float64)


def named(weights: NDArray[np.float64], features: NDArray[np.float32]) -> list[str]:
    return [CLASSES[i] for i in (with_one(features) @ weights).argmax(axis=1)]


def interval(right: int, n: int) -> str:
    """Wilson's 95 % interval, in per cent."""
    z, p = 1.96, right / n
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    return f"{p:.0%} ({low:.0%}–{high:.0%})"


def table(truth: Sequence[str], said: Sequence[str]) -> str:
    lines = [f"| {'is, and is called':18s} | " + " | ".join(CLASSES) + " |", "|---" * (len(CLASSES) + 1) + "|"]
    for name in CLASSES:
        row = [s for t, s in zip(truth, said, strict=True) if t == name]
        cells = (f"{row.count(other) / max(len(row), 1):.0%}" for other in CLASSES)
        lines.append(f"| {name} ({len(row)}) | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--renders", type=Path, help="folder to keep the renders in")
    asked = parser.parse_args()
    heard = recordings()
    labels, features = [name for name, _ in heard], embed([path for _, path in heard])
    print({name: labels.count(name) for name in CLASSES})
    left_out = []
    for i in range(len(heard)):
        others = np.arange(len(heard)) != i
        left_out += named(fitted(features[others], [labels[j] for j in np.flatnonzero(others)]), features[i : i + 1])
    right = sum(a == b for a, b in zip(labels, left_out, strict=True))
    print(f"\nrecordings, each left out of the fit: {interval(right, len(labels))}")
    print(table(labels, left_out))
    with tempfile.TemporaryDirectory() as temporary:
        made = rendered(asked.renders or Path(temporary))
        said = named(fitted(features, labels), embed([path for _, path in made]))
    truth = [name for name, _ in made]
    right = sum(a == b for a, b in zip(truth, said, strict=True))
    print(f"\nrenders ({len(made)}), chance 20 %: {interval(right, len(made))}")
    print(table(truth, said))
    right = sum((a in RINGING) == (b in RINGING) for a, b in zip(truth, said, strict=True))
    print(f"\nas what rings long or does not (of all, 40 % do): {interval(right, len(made))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
