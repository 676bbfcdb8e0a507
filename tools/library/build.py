"""Makes the library that ships with sfxgen: `python tools/library/build.py`, in the project's environment.

Fetches the Debian packages of corpus.csv (2.3 GB, once; needs apt-get and dpkg, no root), decodes their recordings to
build/corpus/ (sounds/ and index.json), renders our own sounds, and writes sfxgen/library/data/. The same packages and
the same code give the same bytes.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import one_thread  # noqa: F401

# isort: split
from corpus import build_corpus
from debian import CannotFetch
from noises import noise_sounds
from notices import write_notices
from recordings import recordings
from renders import impact_sounds, preset_sounds
from speech import speech_sounds

from sfxgen.library.check import check, duplicates
from sfxgen.library.features import library_of
from sfxgen.library.places import INDEX_FILE, LEVELS_FILE, SHIPPED
from sfxgen.library.store import Library, write_library

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "corpus", help="packages and decoded sounds")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="where the library is written")
    parser.add_argument("--corpus-only", action="store_true", help="stop after the recordings")
    options = parser.parse_args(arguments)
    try:
        index = build_corpus(options.cache)
        if options.corpus_only:
            return 0
        sounds = [*recordings(index, options.cache), *speech_sounds(options.cache)]
        sounds += [*noise_sounds(), *preset_sounds(), *impact_sounds()]
    except CannotFetch as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    library = _without_repeats(library_of(sounds))
    write_library(options.out, library)
    write_notices(library, options.out)
    _report(library, options.out)
    return 0


def _without_repeats(library: Library) -> Library:
    """Games share recordings, and some ship one under several names: the first stays."""
    place = {exemplar.name: i for i, exemplar in enumerate(library.exemplars)}
    repeats = {place[second] for _, second in duplicates(library)}
    print(f"{len(repeats)} repeated recordings left out", flush=True)
    return library.subset([i for i in range(len(library.exemplars)) if i not in repeats])


def _report(library: Library, folder: Path) -> None:
    for what in ("use", "licence", "source"):
        counts = Counter(getattr(exemplar, what) for exemplar in library.exemplars)
        print(f"by {what}: " + ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    sizes = {name: (folder / name).stat().st_size / 1e6 for name in (INDEX_FILE, LEVELS_FILE)}
    print(f"{len(library.exemplars)} sounds; " + ", ".join(f"{name} {size:.1f} MB" for name, size in sizes.items()))
    for finding in check(library):
        print(f"check: {finding}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
