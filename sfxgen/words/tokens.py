"""Text → tokens: words and word pairs that have a vector, and pieces of the words that have none."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterator

# What sound designers write in file names. An empty list leaves the word out.
_SHORT_FORMS = {
    "sfx": [],
    "fx": [],
    "amb": ["ambience"],
    "anim": ["animal"],
    "expl": ["explosion"],
    "foot": ["footstep"],
    "fs": ["footstep"],
    "mtl": ["metal"],
    "veh": ["vehicle"],
    "wpn": ["weapon"],
}
_SILENT = frozenset({"a", "an", "the", "of", "and", "or", "to", "is", "its", "it", "as", "by", "at", "sound", "effect"})
_ENDINGS = ("s", "es", "ed", "ing", "er", "ers", "ings", "y", "ly")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_PIECE = "##"  # a piece that goes on a word, as in WordPiece (Wu et al. 2016)


def words(text: str) -> list[str]:
    """The words that carry meaning, lower-cased and without accents: "SFX_DoorSlam_02" → door, slam.

    A text of nothing but function words keeps them.
    """
    plain = unicodedata.normalize("NFKD", _CAMEL.sub(" ", text)).encode("ascii", "ignore").decode().lower()
    found = re.findall(r"[a-z0-9]+", plain.replace("'s ", " "))
    named = [word for part in found for word in _SHORT_FORMS.get(part, [part])]
    return [word for word in named if word not in _SILENT and not word.isdigit()] or named


def tokens(text: str, known: Container[str]) -> Iterator[list[str]]:
    """One list for each unit of meaning: a pair ["wind chime"], a word ["bell"], or the parts of a word that is not
    known. What has no known part is left out."""
    sequence = words(text)
    at = 0
    while at < len(sequence):
        pair = " ".join(sequence[at : at + 2])
        if at + 1 < len(sequence) and pair in known:
            yield [pair]
            at += 2
            continue
        if parts := parts_of(sequence[at], known):
            yield parts
        at += 1


def parts_of(word: str, known: Container[str]) -> list[str]:
    """The word itself, its base form, the two words that it is put together from, or its pieces; the first that is
    known in full."""
    if word in known:
        return [word]
    if base := _base(word, known):
        return [base]
    for at in range(len(word) - 3, 2, -1):
        left, right = word[:at], word[at:]
        ending = right if right in known else _base(right, known)
        if left in known and ending:
            return [left, ending]
    return pieces(word, known)


def _base(word: str, known: Container[str]) -> str:
    """A known word of which this one is a form: hopped → hop, crunchier → "", dices → dice. "" where there is none."""
    for ending in _ENDINGS:
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < 3:
            continue
        forms = [
            stem,
            stem + "e",
            stem[:-1] + "y" if stem[-1] == "i" else "",
            stem[:-1] if stem[-1] == stem[-2] else "",
        ]
        for form in forms:
            if len(form) >= 3 and form in known:
                return form
    return ""


def pieces(word: str, known: Container[str]) -> list[str]:
    """Greedy longest match from the left, as WordPiece does it; [] where it comes to no end."""
    found: list[str] = []
    at = 0
    while at < len(word):
        mark = _PIECE if at else ""
        for end in range(len(word), at, -1):
            if mark + word[at:end] in known:
                found.append(mark + word[at:end])
                at = end
                break
        else:
            return []
    return found
