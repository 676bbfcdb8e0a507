"""Mixtures of held-out recordings, and what their separation is measured by.

Recordings are of the 24 kinds of ranking.yaml, whose prompts they get. Both of a mixture lie in packages that are left
out together: `heldout.prior_without` knows neither.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import soundfile
import yaml
from numpy.typing import NDArray
from ranking import CORPUS, RULES, _kind

from sfxgen import mel
from sfxgen.library.features import active_part

LONGEST_S, SHORTEST_S = 2.5, 0.3
Samples = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Mixture:
    """references: the two recordings as they lie in it, equally strong, [2, samples]. number: of the left-out group."""

    references: Samples
    names: tuple[str, str]
    prompts: tuple[str, str]
    number: int

    @property
    def samples(self) -> Samples:
        """[samples], whole steps of 24 bits."""
        whole: Samples = (np.rint(self.references.astype(np.float64).sum(0) * 2**23) / 2**23).astype(np.float32)
        return whole


@cache
def rules() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    return found


@cache
def index() -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in json.loads((CORPUS / "index.json").read_text("utf-8"))}


def group_of(package: str) -> int | None:
    return next((number for number, group in enumerate(rules()["left_out"]) if package in group), None)


@cache
def by_kind() -> dict[int, list[str]]:
    """Names of the recordings of each kind that last long enough."""
    found: dict[int, list[str]] = {}
    for name, entry in sorted(index().items()):
        kind = _kind(entry["caption"], rules()["kinds"])
        if kind is not None and entry["seconds"] >= SHORTEST_S and group_of(entry["package"]) is not None:
            found.setdefault(kind, []).append(name)
    return found


def mixtures(count: int, seed: int, avoid: frozenset[str] = frozenset()) -> list[Mixture]:
    """Pairs of different kinds, the shorter recording somewhere within the longer, both of the same energy (0 dB)."""
    rng = np.random.default_rng(seed)
    kinds = sorted(by_kind())
    found: list[Mixture] = []
    while len(found) < count:
        a, b = (int(k) for k in rng.choice(kinds, 2, replace=False))
        number = int(rng.integers(len(rules()["left_out"])))
        pools = [
            [n for n in by_kind()[k] if group_of(index()[n]["package"]) == number and n not in avoid] for k in (a, b)
        ]
        if not all(pools):
            continue
        names = str(rng.choice(pools[0])), str(rng.choice(pools[1]))
        sounds = [recording(name) for name in names]
        if min(map(len, sounds)) < SHORTEST_S * mel.RATE_HZ:
            continue
        length = max(map(len, sounds))
        references = np.zeros((2, length))
        for row, sound in zip(references, sounds, strict=True):
            at = int(rng.integers(0, length - len(sound) + 1))
            row[at : at + len(sound)] = sound / np.sqrt(np.square(sound).sum())
        references *= 0.5 / np.abs(references.sum(0)).max()
        prompts = rules()["kinds"][a]["prompt"], rules()["kinds"][b]["prompt"]
        found.append(Mixture(references.astype(np.float32), names, prompts, number))
    return found


def recording(name: str, longest_s: float = LONGEST_S) -> NDArray[np.float64]:
    """The active part of a corpus recording, mono at mel.RATE_HZ, [samples]."""
    samples, _ = soundfile.read(CORPUS / index()[name]["wav"], dtype="float64", always_2d=True)
    mono = samples.mean(1) - samples.mean()
    start, end = active_part(mono, mel.RATE_HZ)
    return np.asarray(mono[start : min(end, start + int(longest_s * mel.RATE_HZ))])


def si_sdr_db(estimate: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    """Scale-invariant signal-to-distortion ratio (Le Roux et al. 2019, eq. 2), dB."""
    x, s = (np.asarray(v, np.float64) - np.mean(v, dtype=np.float64) for v in (estimate, reference))
    target = (x @ s) / max(float(s @ s), 1e-20) * s
    return float(10 * np.log10((np.square(target).sum() + 1e-12) / (np.square(x - target).sum() + 1e-12)))


def gains_db(stems: Sequence[NDArray[np.floating]], mixture: Mixture) -> list[float]:
    """By how much each stem is nearer to its reference than the mixture is."""
    return [
        si_sdr_db(stem, reference) - si_sdr_db(mixture.samples, reference)
        for stem, reference in zip(stems, mixture.references, strict=True)
    ]


def interval(values: NDArray[np.floating]) -> tuple[float, float]:
    """Mean and half the width of its 95 % interval (normal approximation) over independent cases."""
    return float(values.mean()), 1.96 * float(values.std(ddof=1)) / math.sqrt(len(values))
