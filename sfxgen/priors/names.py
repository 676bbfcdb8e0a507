"""How a project names its prior, and what stands for its weights in a key. Needs no torch and no model.

`library` is the one that ships; a path is a library (library.json) or a diffusers folder (model_index.json) in the
project; anything else is a hub id, pinned as `id@revision`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sfxgen.errors import BadInput
from sfxgen.library.places import INDEX_FILE, LEVELS_FILE, SHIPPED
from sfxgen.manifest.paths import is_path
from sfxgen.priors.folder import INDEX_FILE as MODEL_INDEX
from sfxgen.priors.folder import digest_of_folder

LIBRARY = "library"


def folder_of(name: str, root: Path) -> Path:
    """The folder that a path names, relative to the project."""
    return (root / Path(name).expanduser()).resolve()


def is_library(name: str, root: Path) -> bool:
    """Whether it is ours or a studio's own library, which may stand together with others."""
    return name == LIBRARY or (is_path(name) and (folder_of(name, root) / INDEX_FILE).is_file())


def check_names(names: tuple[str, ...], root: Path) -> None:
    """Raises BadInput for what cannot be opened whatever is installed."""
    for name in names:
        if is_path(name):
            folder = folder_of(name, root)
            if not folder.is_dir():
                raise BadInput(f"prior '{name}': there is no folder {folder}; `sfxgen library add` makes a library")
            if not any((folder / file).is_file() for file in (INDEX_FILE, MODEL_INDEX)):
                wanted = f"{INDEX_FILE} (a sound library) nor {MODEL_INDEX} (a diffusers pipeline)"
                raise BadInput(f"prior '{name}': {folder} holds neither {wanted}")
    others = [name for name in names if not is_library(name, root)]
    if others and len(names) > 1:
        raise BadInput(f"prior: '{others[0]}' cannot stand together with others; only sound libraries can")


def digest_of(names: tuple[str, ...], root: Path) -> str | None:
    """What stands for the weights of these priors; None where one is not at hand (a checkout without it)."""
    digests = [_digest_of(name, root) for name in names]
    return None if None in digests else hashlib.sha256(repr(digests).encode()).hexdigest()


def _digest_of(name: str, root: Path) -> str | None:
    if name == LIBRARY:
        return _file_digest(SHIPPED / INDEX_FILE, (SHIPPED / INDEX_FILE).stat().st_mtime_ns)
    if not is_path(name):
        return name
    folder = folder_of(name, root)
    if (folder / INDEX_FILE).is_file():
        return _file_digest(folder / INDEX_FILE, (folder / INDEX_FILE).stat().st_mtime_ns)
    if (folder / MODEL_INDEX).is_file():
        return digest_of_folder(folder, name)
    return None


@dataclass(frozen=True)
class Summary:
    """The library that ships: how many bytes, what is in it and under which licences, in words."""

    n_bytes: int
    about: str
    licences: str


def shipped_summary() -> Summary:
    """What `sfxgen priors` says of our own library."""
    exemplars = json.loads((SHIPPED / INDEX_FILE).read_text(encoding="utf-8"))["exemplars"]
    licences = sorted({exemplar["licence"].removeprefix("LicenseRef-") for exemplar in exemplars})
    n_bytes = sum((SHIPPED / file).stat().st_size for file in (INDEX_FILE, LEVELS_FILE))
    about = f"mono; closed form over {len(exemplars):,} captioned sounds; no download, no GPU"
    return Summary(n_bytes, about, ", ".join(licences))


@lru_cache
def _file_digest(path: Path, mtime_ns: int) -> str:
    """Of the content; the time stamp is there to forget what changed since."""
    del mtime_ns
    return hashlib.sha256(path.read_bytes()).hexdigest()
