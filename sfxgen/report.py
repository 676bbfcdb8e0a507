"""`sfxgen report`: what the lock knows of the finished sounds, and whose recordings they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sfxgen.errors import BadInput
from sfxgen.lock import LockedSound, read_lock
from sfxgen.manifest.faults import nearest
from sfxgen.manifest.project import LOCK_FILE


@dataclass(frozen=True)
class Credited:
    """A recording, whom to name for it under which licence, and how much of each sound comes from it (0 to 1)."""

    name: str
    source: str
    licence: str
    credit: str
    sounds: dict[str, float]


def built_sounds(root: Path, names: Sequence[str] = ()) -> dict[str, LockedSound]:
    """The sounds that were built, by name. Raises BadInput for a name that is none of them."""
    sounds = read_lock(root).sounds
    if not sounds:
        raise BadInput(f"{LOCK_FILE} names no sound; run `sfxgen build` first")
    for name in names:
        if name not in sounds:
            hint = nearest(name, list(sounds)) or f"{LOCK_FILE} names {len(sounds)}"
            raise BadInput(f"no sound '{name}' was built; {hint}")
    return {name: sound for name, sound in sounds.items() if not names or name in names}


def credited(sounds: dict[str, LockedSound]) -> Iterator[Credited]:
    """Every recording that has a hand in one of these sounds, by licence, person and name."""
    found: dict[tuple[str, str, str, str], dict[str, float]] = {}
    for sound_name, sound in sounds.items():
        for credit in sound.credits:
            key = (credit.licence, credit.credit, credit.source, credit.name)
            found.setdefault(key, {})[sound_name] = credit.share
    for (licence, credit_to, source, name), of_sounds in sorted(found.items()):
        yield Credited(name, source, licence, credit_to, of_sounds)
