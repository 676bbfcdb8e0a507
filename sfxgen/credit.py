"""Whose recordings a sound comes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Credit:
    """A recording that had a hand in a sound.

    name: within its library. source: the package or folder it came with. licence: an SPDX id, or "own". credit: whom
    to name. share: how much of the sound comes from it, 0 to 1.
    """

    name: str
    source: str
    licence: str
    credit: str
    share: float


def averaged(credits_of_takes: Sequence[Iterable[Credit]]) -> tuple[Credit, ...]:
    """The credits of a set of takes as one list, by share; each recording once."""
    shares: dict[str, float] = {}
    known: dict[str, Credit] = {}
    for credits_of_take in credits_of_takes:
        for credit in credits_of_take:
            known[credit.name] = credit
            shares[credit.name] = shares.get(credit.name, 0.0) + credit.share / len(credits_of_takes)
    of_all = [replace(known[name], share=round(share, 3)) for name, share in shares.items()]
    return tuple(sorted(of_all, key=lambda credit: (-credit.share, credit.name)))
