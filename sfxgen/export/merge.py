"""Files that a person and we both write: what is ours to change, and what is theirs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping


def merge(current: Mapping[str, str], written: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """The value that each wanted key shall have: a three-way merge.

    current: what the file says now. written: what we wrote last time. wanted: what we would write today.
    A key that is absent, or still says what we wrote, is ours and takes the wanted value. Any other value is a
    person's choice and stays. Numbers are compared as numbers, and one that is right already keeps its spelling:
    engines rewrite 0 as 0.0.
    """
    merged = {}
    for key, value in wanted.items():
        now = current.get(key)
        is_theirs = now is not None and not (key in written and _same(now, written[key]))
        merged[key] = now if now is not None and (is_theirs or _same(now, value)) else value
    return merged


def _same(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return one == other


def with_newlines_kept(text: str, edit: Callable[[str], str]) -> str:
    """edit() applied to a text with plain newlines; a file with Windows line ends keeps them."""
    edited = edit(text.replace("\r\n", "\n"))
    return edited.replace("\n", "\r\n") if "\r\n" in text else edited


def unclaimed_digest(path: str, taken: set[str], spell: Callable[[int], str]) -> str:
    """An identifier made from the path by SHA-256, spelled by spell(digest), and none of those taken.

    A clash is real where a person renamed a file together with its sidecar: the old path's identifier went along.
    """
    salt = 0
    while True:
        digest = hashlib.sha256(f"sfxgen:{salt}:{path}".encode()).digest()
        spelled = spell(int.from_bytes(digest))
        if spelled not in taken:
            return spelled
        salt += 1
