"""Captions of a recording from its name and folders: several ways in which a person might ask for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

import yaml

MOST = 6  # captions of one sound: more only slow the search down
_SHORT = 4  # words; a longer caption is a sentence, which another phrase would spoil
_FOLDERS = 2  # how many of the innermost folders are read
_SUFFIXES = ("ings", "ing", "ers", "ies", "ed", "es", "er", "s", "e", "y")


Round = tuple[tuple[frozenset[str], str], ...]


@dataclass(frozen=True)
class _Words:
    """words.yaml, ready for use. same, alike: each round of phrases as (stems, phrase)."""

    noise: frozenset[str]
    short: dict[str, str]
    same: tuple[Round, ...]
    alike: tuple[Round, ...]
    ucs_heads: dict[str, str]
    ucs_tails: dict[str, str]


def captions_from_name(path: str, given: Sequence[str] = ()) -> tuple[str, ...]:
    """Up to MOST captions of the sound at `path` (with / between its parts), the most telling first.

    given: captions that are known already, such as a CSV's or a tag's; they come first. Then what the name says, the
    same within its folder, its UCS category, and the same with other words for the same sound. May be empty: "003.wav"
    says nothing.
    """
    place = PurePosixPath(path)
    stem = re.sub(r"\.(?:wav|ogg|oga|opus|flac|mp3|aiff?|m4a|wma|caf)$", "", place.name, flags=re.I)
    category, title = split_ucs(stem)
    name = _clean(title)
    folders = [_clean(folder) for folder in place.parts[:-1] if folder != "/"][-_FOLDERS:]
    own = [" ".join(name), " ".join(_merged(folders, name)), " ".join(_merged([category.split()], name))]
    known = [*map(_tidy, given), *(caption for caption in own if caption), category]
    return _distinct([*known, *_said_otherwise(known)])[:MOST]


def split_ucs(stem: str) -> tuple[str, str]:
    """A UCS file name (CatID_FXName_CreatorID_SourceID…) → the category in words and FXName; else ("", stem).

    Two parts are enough where the first is a category: many take no more from UCS than that.
    """
    cat_id, _, rest = stem.partition("_")
    category = _category(cat_id.partition("-")[0])
    return (category, rest.split("_")[0]) if category and rest else ("", stem)


def _category(cat_id: str) -> str:
    words = _words()
    match = re.fullmatch(r"([A-Z]{2,5}?)([A-Z][a-z]+)?", cat_id)
    if match is None or match[1] not in words.ucs_heads:
        return ""
    head, tail = words.ucs_heads[match[1]], match[2] or ""
    if not tail or tail == "Misc":
        return head.rstrip("*")
    what = words.ucs_tails.get(tail, tail.lower())
    return f"{head[:-1]} {what}" if head.endswith("*") else f"{what} {head}"


def _clean(name: str) -> list[str]:
    """The telling words of a name: "Door_Metal-openFast03" → door, metal, open, fast."""
    words = _words()
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    plain = re.findall(r"[^\W\d_]+", spaced.lower())
    expanded = [part for word in plain for part in words.short.get(word, word).split()]
    kept = [word for word in expanded if word not in words.noise and len(word) > 1]
    return list(dict.fromkeys(kept))


def _merged(folders: Iterable[Sequence[str]], name: Sequence[str]) -> list[str]:
    """Folder words before the name's, each word once: [doors], [steel, door, open] → steel door open."""
    taken = {_stem(word) for word in name}
    before = [word for folder in folders for word in folder if _stem(word) not in taken]
    return [*dict.fromkeys(before), *name]


def _said_otherwise(captions: Sequence[str]) -> Iterable[str]:
    """Each round of phrases that a short caption touches, once, with the next two of it in the phrase's place."""
    words = _words()
    rounds = [(group, True) for group in words.alike] + [(group, False) for group in words.same]
    left = dict(enumerate(rounds))
    for caption in captions:
        for number, (group, is_whole) in list(left.items()):
            others = list(_others(caption.split(), group, is_whole))
            if others:
                del left[number]
                yield from others


def _others(words: Sequence[str], group: Round, is_whole: bool) -> Iterable[str]:
    """The caption with another phrase of the round. is_whole: one word counts only where it is the whole caption."""
    stems = {_stem(word) for word in words}
    found = [i for i, (phrase, _) in enumerate(group) if phrase <= stems]
    found = [i for i in found if not is_whole or len(group[i][0]) >= min(2, len(stems))]
    if not found or len(words) > _SHORT:
        return
    longest = max(found, key=lambda i: len(group[i][0]))
    rest = [word for word in words if _stem(word) not in group[longest][0]]
    for phrase, text in (*group[longest + 1 :], *group[:longest])[:2]:
        if not phrase <= stems:
            yield " ".join([*(word for word in rest if _stem(word) not in phrase), text])


def _distinct(captions: Iterable[str]) -> tuple[str, ...]:
    """Without empty ones and without those that have the same words as an earlier one, in whatever order."""
    seen: dict[frozenset[str], str] = {}
    for caption in captions:
        if caption:
            seen.setdefault(frozenset(caption.lower().split()), caption)
    return tuple(seen.values())


def _tidy(caption: str) -> str:
    return " ".join(caption.split()).strip(" .")


def _stems(text: str) -> frozenset[str]:
    return frozenset(_stem(word) for word in re.findall(r"\w+", text.lower()))


def _stem(word: str) -> str:
    """Opens, opened, opening → open: crude, and enough to see that two words are forms of one."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            root = word[: -len(suffix)]
            return root[:-1] if len(root) > 3 and root[-1] == root[-2] and suffix in ("ing", "ed", "er") else root
    return word


@lru_cache(maxsize=1)
def _words() -> _Words:
    table: dict[str, Any] = yaml.safe_load((files("sfxgen.library") / "data" / "words.yaml").read_text("utf-8"))
    same, alike = (
        tuple(tuple((_stems(phrase), phrase) for phrase in group) for group in table[key]) for key in ("same", "alike")
    )
    heads, tails = table["ucs_heads"], table["ucs_tails"]
    return _Words(frozenset(table["noise"].split()), table["short"], same, alike, heads, tails)
