"""Text-conditioned diffusion priors behind one contract: our library, Stable Audio, Stable Audio 3, AudioLDM2."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sfxgen.priors.names import LIBRARY, check_names, digest_of, folder_of, is_library

if TYPE_CHECKING:
    from sfxgen.priors.contract import Prior


def open_prior(names: tuple[str, ...], root: Path, device: str = "auto") -> Prior:
    """The prior that a project names, kept warm in this process. Several names: libraries that are used as one.

    device: auto, cpu, cuda, mps … Raises SfxgenError with the cure where it cannot be had here.
    """
    check_names(names, root)
    return _opened(names, root, device, digest_of(names, root) or "")


@lru_cache(maxsize=2)
def _opened(names: tuple[str, ...], root: Path, device: str, digest: str) -> Prior:
    if not all(is_library(name, root) for name in names):
        from sfxgen.priors.hub import open_pipeline

        (name,) = names
        return open_pipeline(name, root, device)
    from sfxgen.library.places import SHIPPED
    from sfxgen.library.store import read_library
    from sfxgen.priors.library import LibraryPrior

    libraries = [read_library(SHIPPED if name == LIBRARY else folder_of(name, root)) for name in names]
    whole = libraries[0]
    for library in libraries[1:]:
        whole = whole.plus(library)
    return LibraryPrior(whole, " + ".join(names), digest)
