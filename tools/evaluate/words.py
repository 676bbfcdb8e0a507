"""How well prompts find their preset, and how near the word vectors stay to their teacher.

    python tools/evaluate/words.py              # the held-out prompts, the figures that we report
    python tools/evaluate/words.py --calibrate  # the calibration prompts: what presets.py's two constants were set on

The teacher is the sentence embedder that the vectors were distilled from; where its package is not to be had, the rows
that need it are left out and a line says so.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.stats import spearmanr

from sfxgen.manifest import presets as search_module
from sfxgen.manifest.presets import presets, search
from sfxgen.words import embed

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "library"))  # the teacher lives with the command that distils it

from sentence_teacher import NoTeacher, Teacher  # noqa: E402

Floats = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Floats]
Apt = Mapping[str, Sequence[str]]
N_NEAREST = 10


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calibrate", action="store_true", help="the calibration prompts instead of the held-out ones")
    parser.add_argument("--misses", action="store_true", help="list the prompts whose first preset is not an apt one")
    options = parser.parse_args(arguments)
    apt, unfit = read_prompts(options.calibrate)
    teacher = _teacher()
    print(f"{len(apt)} prompts, {len(presets())} presets; share right with its 95 % Wilson interval")
    for name, scores in rows(list(apt), teacher).items():
        print(f"  {name:44s} first {share(scores, apt, 1)}   in first three {share(scores, apt, 3)}")
    show_stand_ins(list(apt), unfit)
    if options.calibrate:
        show_weights(apt)
    if teacher:
        show_agreement(list(apt), teacher)
    if options.misses:
        show_misses(apt)
    return 0


def read_prompts(calibrate: bool) -> tuple[Apt, list[str]]:
    """Prompts with their apt presets, and prompts that no preset fits."""
    name, key = ("prompts", "calibration") if calibrate else ("prompts_held_out", "prompts")
    data = yaml.safe_load((ROOT / "tests" / f"{name}.yaml").read_text(encoding="utf-8"))
    return data[key], data["nothing_fits"]


def rows(prompts: Sequence[str], teacher: Embed | None) -> dict[str, Floats]:
    """What is compared → scores [prompts, presets]."""
    table = {
        "shared words alone (as before)": _each(prompts, search_module._covered),
        "word vectors alone": _each(prompts, search_module._alike),
        "both, as `search` does it": searched(prompts),
    }
    for name, embedder in (("sentence embedder", teacher), ("word vectors", embed)):
        if embedder:
            for way, scores in aggregations(prompts, embedder).items():
                table[f"{name}, {way}"] = scores
    return table


def aggregations(prompts: Sequence[str], embedder: Embed) -> dict[str, Floats]:
    """Ways to hold a prompt against a preset's caption, name and words."""
    wanted, all_presets = embedder(prompts), list(presets().values())
    caption = wanted @ embedder([p.caption for p in all_presets]).T
    name = wanted @ embedder([p.name.replace("_", " ") for p in all_presets]).T
    joined = [f"{p.name.replace('_', ' ')}: {p.caption} {' '.join(p.words)}" for p in all_presets]
    whole = wanted @ embedder(joined).T
    words = sorted({word for p in all_presets for word in p.words})
    single = dict(zip(words, (wanted @ embedder(words).T).T, strict=True))
    best = np.stack([np.sort([single[word] for word in p.words], axis=0)[-3:].mean(0) for p in all_presets], axis=1)
    return {
        "caption": caption,
        "name, caption, words as one text": whole,
        "mean with caption, name, words": caption + name + whole + best,
    }


def searched(prompts: Sequence[str]) -> Floats:
    """Places in `search`'s own order, as scores that fall from 0."""
    order = {name: i for i, name in enumerate(presets())}
    scores = np.zeros((len(prompts), len(order)), np.float32)
    for row, prompt in enumerate(prompts):
        for place, candidate in enumerate(search(prompt)):
            scores[row, order[candidate.preset.name]] = -place
    return scores


def share(scores: Floats, apt: Apt, n_first: int) -> str:
    n_right = count(scores, apt, n_first)
    low, high = wilson(n_right, len(apt))
    return f"{n_right:3d}  {n_right / len(apt):5.1%} ({low:.0%} to {high:.0%})"


def count(scores: Floats, apt: Apt, n_first: int) -> int:
    """Prompts with an apt preset among the first; equal scores keep the table's order."""
    names = list(presets())
    first = np.argsort(-scores, axis=1, kind="stable")[:, :n_first]
    return sum(any(names[i] in good for i in row) for row, good in zip(first, apt.values(), strict=True))


def wilson(n_right: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson 1927)."""
    z = 1.96
    centre = (n_right + z * z / 2) / (n + z * z)
    half = z * math.sqrt(n_right * (n - n_right) / n + z * z / 4) / (n + z * z)
    return centre - half, centre + half


def show_stand_ins(prompts: Sequence[str], unfit: Sequence[str]) -> None:
    """How often "nothing fits" is said, rightly and wrongly."""
    wrongly = [prompt for prompt in prompts if search(prompt)[0].score == 0]
    rightly = [prompt for prompt in unfit if search(prompt)[0].score == 0]
    print(f"nothing fits: said of {len(rightly)} of {len(unfit)} prompts that no preset fits,", end=" ")
    print(f"and of {len(wrongly)} of {len(prompts)} that one fits {wrongly}")


def show_weights(apt: Apt) -> None:
    """The search's two constants over a grid."""
    covered, alike = _each(list(apt), search_module._covered), _each(list(apt), search_module._alike)
    for weight in (0.0, 0.1, 0.25, 0.5, 1.0):
        scores = (alike + np.float32(weight) * covered).astype(np.float32)
        print(f"  weight of shared words {weight:4.2f}: first {share(scores, apt, 1)}, three {share(scores, apt, 3)}")


def show_agreement(prompts: Sequence[str], teacher: Embed) -> None:
    """Cosines of the vectors beside the teacher's: prompts × presets' captions, prompts × the corpus's captions."""
    own = [preset.caption for preset in presets().values()]
    with (ROOT / "tools" / "library" / "corpus.csv").open(encoding="utf-8", newline="") as file:
        corpus = list(dict.fromkeys(row["caption"] for row in csv.DictReader(file)))
    for name, captions in (("presets' captions", own), ("corpus captions", corpus)):
        ours, theirs = (e(prompts) @ e(captions).T for e in (embed, teacher))
        whole = spearmanr(ours.ravel(), theirs.ravel()).statistic
        each = np.mean([spearmanr(a, b).statistic for a, b in zip(ours, theirs, strict=True) if a.any()])
        overlap = np.mean([len(set(a) & set(b)) for a, b in zip(_nearest(ours), _nearest(theirs), strict=True)])
        print(f"{len(prompts)} prompts × {len(captions)} {name}: Spearman {whole:.3f} over all pairs,", end=" ")
        print(f"{each:.3f} within a prompt; {overlap:.1f} of the nearest {N_NEAREST} in common", end=" ")
        print(f"(by chance {N_NEAREST**2 / len(captions):.1f})")


def show_misses(apt: Apt) -> None:
    for prompt, good in apt.items():
        found = search(prompt)[:3]
        if found[0].preset.name not in good:
            places = ", ".join(f"{c.preset.name} {c.score:.2f}" for c in found)
            print(f"  {prompt}: {places}; apt {', '.join(good)}")


def _nearest(cosines: Floats) -> NDArray[np.int64]:
    return np.argsort(-cosines, axis=1, kind="stable")[:, :N_NEAREST]


def _each(prompts: Sequence[str], measure: Callable[[str], dict[str, float]]) -> Floats:
    return np.array([[*measure(prompt).values()] for prompt in prompts], np.float32)


def _teacher() -> Embed | None:
    try:
        return Teacher().embed
    except NoTeacher as fault:
        print(f"without the sentence embedder: {fault}")
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
