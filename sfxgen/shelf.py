"""`sfxgen library …`: a studio's own recordings as a prior, and what the one that ships holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from sfxgen.library.places import SHIPPED
from sfxgen.priors.names import LIBRARY

DEFAULT = Path("library")  # below the project's folder


def folder_of(root: Path, library: str | None) -> Path:
    """The folder of the library that an option names: `library` is the one that ships; none is the project's own."""
    if library == LIBRARY:
        return SHIPPED
    return root / (library or DEFAULT)


def add(root: Path, folder: Path, library: str | None, table: Path | None, licence: str, credit: str) -> Iterator[str]:
    """Add every recording under `folder`; a line for all that happened. Raises SfxgenError."""
    from sfxgen.errors import BadInput
    from sfxgen.library.add import add_folder

    target = folder_of(root, library)
    if target == SHIPPED:
        raise BadInput(f"the library '{LIBRARY}' ships with sfxgen and stays as it is; name a folder with --library")
    done = add_folder(folder, target, table=table, licence=licence, credit=credit)
    for file, why in done.left_out:
        yield f"left out: {file}: {why}"
    counts = f"{len(done.added)} added, {len(done.replaced)} replaced, {len(done.unchanged)} unchanged"
    yield f"{target}: {counts}, {len(done.left_out)} left out; {len(done.library.exemplars)} sounds in all"
    named = f"./{target.relative_to(root).as_posix()}" if target.is_relative_to(root) else target.as_posix()
    yield f"use it in sfxgen.yaml: `prior: {named}`, or on top of ours: `prior: [library, {named}]`"


def rows(root: Path, library: str | None, words: str = "") -> Iterator[tuple[str, ...]]:
    """(name, captions, seconds, licence, credit) of every exemplar; with words, the nearest 20 and how near each is."""
    from sfxgen.library.search import Captions, nearest
    from sfxgen.library.store import read_library

    held = read_library(folder_of(root, library))
    order: Sequence[int] = range(len(held.exemplars))
    fits = {}
    if words:
        similarity = Captions.of(held).similarity([words])
        order = nearest(similarity, 20)[0].tolist()
        fits = {i: f"{similarity[0, i]:.2f}" for i in order}
    for i in order:
        e = held.exemplars[i]
        facts = (e.name, "; ".join(e.captions), f"{e.seconds:.2f}", e.licence, e.credit)
        yield (*facts, fits[i]) if words else facts


def remove(root: Path, library: str | None, names: Sequence[str]) -> Iterator[str]:
    """Take sounds out by name or glob. Raises BadInput."""
    from sfxgen.errors import BadInput
    from sfxgen.library.add import remove as remove_from

    target = folder_of(root, library)
    if target == SHIPPED:
        raise BadInput(f"the library '{LIBRARY}' ships with sfxgen and stays as it is")
    for name in remove_from(target, names):
        yield f"removed {name}"


def check(root: Path, library: str | None) -> list[str]:
    """What is missing or wrong in it. Raises BadInput."""
    from sfxgen.library.check import check as findings_in
    from sfxgen.library.store import read_library

    return list(findings_in(read_library(folder_of(root, library))))
