"""The decoded corpus as sounds with captions: glossary.csv puts into words what names of games leave out.

glossary.csv (package, name, captions): the first row whose pattern fits a sound's whole name gives its captions, parted
by semicolons. Nobody listened: it only spells out the names ("puka" is a small creature, "dssgcock" a shotgun).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import soundfile

from sfxgen.library.captions import captions_from_name
from sfxgen.library.features import Facts, Sound, Unusable, digest_of, sound_of

GLOSSARY = Path(__file__).parent / "glossary.csv"


def recordings(index: Sequence[Mapping[str, Any]], folder: Path) -> Iterator[Sound]:
    """The index of corpus.build_corpus, whose WAV files lie in `folder`. What is silent or too short is told."""
    with GLOSSARY.open(encoding="utf-8", newline="") as table:
        glossary = [(row["package"], re.compile(row["name"]), row["captions"]) for row in csv.DictReader(table)]
    for entry in index:
        try:
            yield _sound(entry, folder / entry["wav"], _given(entry, glossary))
        except Unusable as error:
            print(f"  {entry['name']} left out: {error}", flush=True)


def _sound(entry: Mapping[str, Any], wav: Path, given: Sequence[str]) -> Sound:
    facts = Facts(
        name=entry["name"],
        captions=captions_from_name("", given),
        source=entry["package"],
        licence=entry["licence"],
        credit=entry["credit"],
        use=entry["use"],
        digest=digest_of(wav.read_bytes()),
    )
    samples, rate_hz = soundfile.read(wav, dtype="float32", always_2d=True)
    return sound_of(facts, samples.T, rate_hz, original_rate_hz=entry["original_rate_hz"])


def _given(entry: Mapping[str, Any], glossary: Sequence[tuple[str, re.Pattern[str], str]]) -> list[str]:
    name = entry["name"].partition("/")[2]
    for package, pattern, captions in glossary:
        if package == entry["package"] and pattern.fullmatch(name):
            return [caption.strip() for caption in captions.split(";")]
    return [entry["caption"]]
