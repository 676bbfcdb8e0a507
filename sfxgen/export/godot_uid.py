"""Godot's resource identifiers."""

from __future__ import annotations

from sfxgen.export.merge import unclaimed_digest

DIGITS = "abcdefghijklmnopqrstuvwxy012345678"


def uid_text(number: int) -> str:
    """A non-negative 63-bit number as Godot spells it: base 34 in DIGITS, the most significant digit first."""
    text = ""
    while number:
        number, digit = divmod(number, len(DIGITS))
        text = DIGITS[digit] + text
    return "uid://" + (text or DIGITS[0])


def uid_for(res_path: str, taken: set[str]) -> str:
    """A uid made from the path, the same on every machine, and none of those taken."""
    return unclaimed_digest(res_path, taken, lambda digest: uid_text(digest >> (256 - 63)))
