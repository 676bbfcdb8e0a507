"""The recordings and meshes that sounds are made of: their digests, and which of them are not there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from sfxgen.disk import Disk
from sfxgen.errors import Fault
from sfxgen.lock import Lock, LockedSound
from sfxgen.manifest.base import Spec
from sfxgen.manifest.linked import buffers
from sfxgen.manifest.paths import inside
from sfxgen.manifest.reader import Entry

_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))  # one text for one value


def digest(value: Any) -> str:
    """Of what JSON can say, as short hex."""
    return hashlib.sha256(_CANONICAL.encode(value).encode()).hexdigest()[:20]


def files_of(entry: Entry, root: Path) -> Iterator[str]:
    """The project-relative path of each source of a sound, and of the files that it names in turn."""
    for source in entry.sources:
        yield source
        yield from _linked(source, root)


def recording_part(recordings: Sequence[tuple[str, str | None]], locked: LockedSound | None) -> str:
    """One digest for all recordings. Where one is absent (a checkout without them), what the lock says is trusted."""
    digests = [found for _, found in recordings]
    if None in digests:
        return locked.parts.get("recording", "") if locked else ""
    return digest(digests) if digests else ""


def recipe_part(body: Spec, *words: str | None) -> str:
    """A digest of a sound's parameters; words: the prompt, where it has a hand in what is rendered."""
    recipe = body.model_dump_json()
    return digest([recipe, *words] if words else recipe)


def absent(entry: Entry, lock: Lock, disk: Disk) -> Iterator[Fault]:
    """The sources of a sound that are not there, unless the lock has what was made of them, as in a checkout without
    recordings."""
    gone = [
        (source, path, place)
        for source, place in zip(entry.sources, entry.source_places, strict=True)
        for path in (source, *_linked(source, disk.root))
        if disk.digest(path) is None
    ]
    locked, sound = lock.sounds.get(entry.name), entry.sound
    body = sound.body_from(entry.sources)
    if locked and locked.parts.get("recipe") in (recipe_part(body), recipe_part(body, sound.prompt)):
        return
    expected = "a mesh file" if sound.kind in ("impact", "scene") else "a recording"
    for source, path, place in gone:
        problem = f"{path} {'is no file' if disk.exists(path) else 'does not exist'}"
        problem += f", which {source} names" if path != source else ""
        cure = _alike(path, disk.root) or "check the path, which counts from the manifest"
        yield Fault(entry.manifest, *place, entry.name, problem, expected if path == source else "", cure)


def _linked(source: str, root: Path) -> Iterator[str]:
    folder = source.rpartition("/")[0]
    yield from (path for name in buffers(root / source) if (path := inside(folder, name)))


def _alike(path: str, root: Path) -> str:
    """The nearest name of its kind in its folder, as a cure."""
    wanted = root / path
    try:
        names = {found.stem: found.name for found in sorted(wanted.parent.iterdir()) if found.suffix == wanted.suffix}
    except OSError:
        return ""
    return "".join(f"did you mean '{names[stem]}'?" for stem in get_close_matches(wanted.stem, names, n=1))
