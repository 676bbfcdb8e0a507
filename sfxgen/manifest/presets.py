"""Starting points with captions, and the choice of one by a prompt's words."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from sfxgen.manifest.document import Document

SYNTH_KINDS = ("impact", "fm", "texture")
_STOP_WORDS = frozenset(
    {"a", "an", "and", "as", "at", "by", "effect", "for", "from", "in", "into", "is", "it", "its", "like", "of"}
    | {"off", "on", "or", "over", "someone", "something", "sound", "the", "to", "very", "with"}
    | {"one", "two", "three", "four", "five", "times"}
)

_SUFFIXES = ("ings", "ing", "ies", "ers", "er", "ed", "es", "s", "y", "e")


@dataclass(frozen=True)
class Preset:
    """A sound that is known to work. `body` is the kind's own mapping; `entry` the sound-level keys beside it."""

    name: str
    kind: str
    caption: str
    words: tuple[str, ...]
    body: dict[str, Any]
    entry: dict[str, Any]


@dataclass(frozen=True)
class Candidate:
    """A preset and how much of the prompt its words cover: 0 nothing, 1 every word, by its name."""

    preset: Preset
    score: float
    shared: tuple[str, ...]


@cache
def presets() -> dict[str, Preset]:
    """All presets by name, in the order of the kinds and of their files."""
    table: dict[str, Preset] = {}
    for kind in SYNTH_KINDS:
        document = Document(kind, (files("sfxgen.manifest") / "presets" / f"{kind}.yaml").read_bytes())
        for name, entry in document.data.items():
            rest = {key: value for key, value in entry.items() if key not in ("caption", "words", kind)}
            table[name] = Preset(name, kind, entry["caption"], tuple(entry.get("words", ())), entry[kind], rest)
    return table


def search(prompt: str, kind: str | None = None) -> list[Candidate]:
    """Presets by how well their words cover the prompt's, best first; equal scores keep the table's order.

    Words are weighed by their rarity over the presets (inverse document frequency), so that "laser" counts for more
    than "short". A word of the name counts in full, one of `words` for 0.9 of it, one of the caption for 0.8. A word
    that no preset knows is taken for two that stand together, where both are known: "rainstorm".
    """
    known, frequency = _vocabulary(), _frequency()
    wanted = [part for stem in _stems(prompt) for part in _parts(stem)]
    n_presets = len(known)
    weight = {stem: math.log(1 + n_presets / frequency[stem]) for stem in wanted if stem in frequency}
    total = sum(weight.values()) + sum(math.log(1 + n_presets) for stem in wanted if stem not in frequency)
    candidates = []
    for preset in presets().values():
        if kind not in (None, preset.kind):
            continue
        stems = known[preset.name]
        score = sum(weight[stem] * stems[stem] for stem in weight if stem in stems)
        shared = tuple(stem for stem in weight if stem in stems)
        candidates.append(Candidate(preset, score / total if total else 0.0, shared))
    return sorted(candidates, key=lambda candidate: -candidate.score)


@cache
def _vocabulary() -> dict[str, dict[str, float]]:
    """Preset name → stem → how much it counts."""
    table = {}
    for preset in presets().values():
        stems = dict.fromkeys(_stems(preset.caption), 0.8)
        stems.update(dict.fromkeys(_stems(" ".join(preset.words)), 0.9))
        stems.update(dict.fromkeys(_stems(preset.name), 1.0))
        table[preset.name] = stems
    return table


@cache
def _frequency() -> Counter[str]:
    """Stem → number of presets that know it."""
    return Counter(stem for stems in _vocabulary().values() for stem in stems)


def _parts(stem: str) -> tuple[str, ...]:
    """A stem as it is, or the two known ones that it is put together from."""
    known = _frequency()
    for at in range(3, len(stem) - 2) if stem not in known else ():
        parts = _stem(stem[:at]), stem[at:]
        if parts[0] in known and parts[1] in known:
            return parts
    return (stem,)


def _stems(text: str) -> list[str]:
    """The content words of a text, each cut to its stem once, in order: 'howling winds' → howl, wind."""
    words = re.findall(r"[a-z0-9]+", text.lower().replace("_", " "))
    return list(dict.fromkeys(_stem(word) for word in words if word not in _STOP_WORDS))


def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            stem = word.removesuffix(suffix)
            return stem[:-1] if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "ls" else stem
    return word
