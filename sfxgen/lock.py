"""`sfxgen.lock`: which files are ours, what they were made from, and how they measure.

It is committed beside the manifests, so that a machine without GPU, models or source recordings can tell whether
the assets are fresh. JSON with sorted keys: two people's changes to different sounds merge as text.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from sfxgen.credit import Credit
from sfxgen.errors import BadInput
from sfxgen.manifest.choice import Choice
from sfxgen.manifest.guide import Guided
from sfxgen.manifest.paths import inside
from sfxgen.manifest.project import LOCK_FILE

LOCK_VERSION = 1


@dataclass(frozen=True)
class LockedFile:
    """One finished audio file: its digest as written, its shape and its measures."""

    digest: str
    layer: str
    index: int
    rate_hz: int
    channels: int
    n_frames: int
    loop: tuple[int, int] | None
    loudness_lufs: float | None  # None: silence
    loudness_rule: str
    true_peak_dbtp: float | None


@dataclass(frozen=True)
class LockedSidecar:
    """A file that the engine and its users share with us: its digest as written, and the settings that we wrote."""

    digest: str
    settings: dict[str, str]


@dataclass(frozen=True)
class LockedSound:
    """One sound as it was last built. `parts` are digests of what its keys cover, by the words a reason would use.

    banks: the digests of its banks of modes, by path.
    """

    key: str
    raw_key: str
    parts: dict[str, str]
    files: dict[str, LockedFile]
    sidecars: dict[str, LockedSidecar] = field(default_factory=dict)
    choice: Choice | None = None
    warnings: tuple[str, ...] = ()
    credits: tuple[Credit, ...] = ()
    guided: Guided | None = None
    banks: dict[str, str] = field(default_factory=dict)


@dataclass
class Lock:
    """The whole file. `index` holds the digests of the files that describe all sounds together."""

    sounds: dict[str, LockedSound] = field(default_factory=dict)
    index: dict[str, str] = field(default_factory=dict)

    def digests(self) -> dict[str, str]:
        """Path → digest, as we wrote it, of every file that we ever made and still answer for."""
        owned = dict(self.index)
        for sound in self.sounds.values():
            owned.update({path: file.digest for path, file in sound.files.items()})
            owned.update({path: sidecar.digest for path, sidecar in sound.sidecars.items()})
            owned.update(sound.banks)
        return owned

    def to_text(self) -> str:
        data = {"version": LOCK_VERSION, "index": self.index, "sounds": {k: asdict(s) for k, s in self.sounds.items()}}
        return json.dumps(_ordered(data), indent=1, ensure_ascii=False) + "\n"


def _ordered(value: Any, as_named: bool = False) -> Any:
    """With keys in ascending order, but those of `materials` as they come: of parts that overlap the first named has
    the place."""
    if isinstance(value, dict):
        return {key: _ordered(value[key], key == "materials") for key in (value if as_named else sorted(value))}
    return [_ordered(part) for part in value] if isinstance(value, list | tuple) else value


def read_lock(root: Path) -> Lock:
    """The project's lock, empty where there is none. Raises BadInput with the cure where it cannot be understood."""
    path = root / LOCK_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Lock()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{LOCK_FILE} cannot be read: {error}") from error
    if "<<<<<<<" in text:
        raise BadInput(f"{LOCK_FILE} holds merge conflict markers; take either side whole, then run `sfxgen build`")
    try:
        data = json.loads(text)
        if data["version"] != LOCK_VERSION:
            found = data["version"]
            raise BadInput(f"{LOCK_FILE} has version {found}, this sfxgen writes {LOCK_VERSION}; update sfxgen")
        lock = TypeAdapter(Lock).validate_python({"sounds": data["sounds"], "index": data["index"]})
        if any(inside("", path) != path for path in lock.digests()):
            raise ValueError("a path leaves the project")  # else an orphan there would be removed
        return lock
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        cure = "restore it from version control, or delete it (sfxgen then leaves files alone that it cannot recognise)"
        raise BadInput(f"{LOCK_FILE} is damaged; {cure}") from error
