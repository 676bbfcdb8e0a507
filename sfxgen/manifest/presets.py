"""Starting points with captions, and how well each fits a prompt."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sfxgen.manifest.document import Document
from sfxgen.words import embed, knows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SYNTH_KINDS = ("impact", "scene", "fm", "texture", "liquid")
GUIDED_KINDS = ("impact", "fm", "texture")  # a prompt steers these; others it only chooses
# Both calibrated by tools/evaluate/words.py on the calibration prompts of tests/prompts.yaml, see there.
WORDS_WEIGHT = 0.25  # of shared words beside the cosine's 1; from 0.1 to 0.5 makes no difference that shows
# The fit under which a stand-in is said to be one. It finds half of the calibration prompts that no preset fits, and
# takes 7 % of the others with it; held out it finds a quarter and takes 2 %. Do not rely on it.
UNFIT = 0.3
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

    @property
    def guidable(self) -> bool:
        """Whether a prompt can guide it; see `sound.guidable`."""
        return self.kind in GUIDED_KINDS and not {"contacts", "friction"} & self.body.keys()


@dataclass(frozen=True)
class Candidate:
    """A preset and how well it fits a prompt: 0 not better than presets fit any text, 1 the same words throughout.

    shared are the prompt's words that the preset's own texts hold, in any form.
    """

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
    """Presets by how well they fit a prompt, best first; equal ones keep the table's order.

    The fit is the cosine of the prompt's word vectors and the preset's (`sfxgen.words`: meaning), and for a smaller
    part the share of the prompt's words that the preset's texts hold (the same words mean the same even where the
    vectors blur them). What lies below `UNFIT` scores 0. tools/evaluate/words.py measures how often it is right.
    """
    covered, shared = _covered(prompt), _shared(prompt)
    alike = _alike(prompt)
    fits = {name: (alike[name] + WORDS_WEIGHT * covered[name]) / (1 + WORDS_WEIGHT) for name in presets()}
    ranked = sorted(
        (preset for preset in presets().values() if kind in (None, preset.kind)), key=lambda p: -fits[p.name]
    )
    return [Candidate(p, min(1.0, max(0.0, (fits[p.name] - UNFIT) / (1 - UNFIT))), shared[p.name]) for p in ranked]


def _alike(prompt: str) -> dict[str, float]:
    """Preset name → cosine of its texts with the prompt, −1 to 1; 0 throughout where no word of the prompt is known:
    what pieces of a made-up word mean is chance."""
    if not knows(prompt):
        return dict.fromkeys(presets(), 0.0)
    cosines = _vectors() @ embed([prompt])[0]
    return dict(zip(presets(), cosines.tolist(), strict=True))


@cache
def _vectors() -> NDArray[np.float32]:
    """The presets' unit vectors, [presets, dimensions]: name, caption and words as one text (measured better than the
    mean or the best of the three)."""
    return embed([f"{p.name.replace('_', ' ')}: {p.caption} {' '.join(p.words)}" for p in presets().values()])


def _covered(prompt: str) -> dict[str, float]:
    """Preset name → how much of the prompt its words cover: 0 nothing, 1 every word, by its name.

    Words are weighed by their rarity over the presets (inverse document frequency), so that "laser" counts for more
    than "short". A word of the name counts in full, one of `words` for 0.9 of it, one of the caption for 0.8. A word
    that no preset knows is taken for two that stand together, where both are known: "rainstorm".
    """
    known, frequency = _vocabulary(), _frequency()
    wanted = [part for stem in _stems(prompt) for part in _parts(stem)]
    weight = {stem: math.log(1 + len(known) / max(1, frequency[stem])) for stem in wanted}
    total = sum(weight.values()) or 1.0
    return {
        name: sum(weight[stem] * stems[stem] for stem in weight if stem in stems) / total
        for name, stems in known.items()
    }


def _shared(prompt: str) -> dict[str, tuple[str, ...]]:
    """Preset name → the prompt's words that it holds, as the prompt has them."""
    wanted = {word: [part for stem in _stems(word) for part in _parts(stem)] for word in _content_words(prompt)}
    return {
        name: tuple(word for word, parts in wanted.items() if any(part in stems for part in parts))
        for name, stems in _vocabulary().items()
    }


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
    return list(dict.fromkeys(_stem(word) for word in _content_words(text)))


def _content_words(text: str) -> list[str]:
    return [word for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in _STOP_WORDS]


def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            stem = word.removesuffix(suffix)
            return stem[:-1] if len(stem) > 3 and stem[-1] == stem[-2] and stem[-1] not in "ls" else stem
    return word
