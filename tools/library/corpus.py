"""The recordings of corpus.csv as mono 44.1 kHz WAV files with an index: what the shipped library is made from.

corpus.csv was read from the packages' own licence files (columns: package, path, seconds, rate_hz, channels, licence,
use, caption). `ARCHIVE.x/MEMBER` means a member of an archive.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from archives import members
from credit_lists import credits_of
from debian import unpacked

from sfxgen.master.resample import resample
from sfxgen.mel import RATE_HZ

LIST = Path(__file__).parent / "corpus.csv"
USES = ("effect", "percussion")  # single notes of instruments are no game sounds, and half of the list
# The spellings of Debian's copyright files as SPDX ids; of alternatives, the one that we take.
SPDX = {
    "CC0": "CC0-1.0",
    "PD": "LicenseRef-public-domain",
    "public-domain": "LicenseRef-public-domain",
    "BSD-3-clause": "BSD-3-Clause",
    "GPL-3 or CC-BY-3.0": "CC-BY-3.0",
    "CC-BY-SA-3.0 or CC-BY-3.0": "CC-BY-3.0",
    "zlib or GPL-2 or CC-BY-3.0": "CC-BY-3.0",
}
SOUND_ENDINGS = (".wav", ".ogg", ".oga", ".flac")


def build_corpus(folder: Path) -> list[dict[str, Any]]:
    """Unpack, decode and index. Writes folder/sounds/PACKAGE/NAME.wav and folder/index.json; gives the index."""
    with LIST.open(encoding="utf-8", newline="") as table:
        rows = [row for row in csv.DictReader(table) if row["use"] in USES]
    index: list[dict[str, Any]] = []
    for package in sorted({row["package"] for row in rows}):
        entries = list(_package(package, [row for row in rows if row["package"] == package], folder))
        print(f"{package}: {len(entries)} sounds", flush=True)
        index += entries
    (folder / "index.json").write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return index


def _package(package: str, rows: list[dict[str, str]], folder: Path) -> Iterator[dict[str, Any]]:
    files = unpacked(package, folder)
    credit, opened = credits_of(package, files), dict[str, dict[str, bytes]]()
    names = unique_names([row["path"] for row in rows])
    for row, name in zip(rows, names, strict=True):
        data = _content(files, row["path"], opened)
        if data is None:
            print(f"  {package}: {row['path']} is not in this version of the package; left out", flush=True)
            continue
        wav = folder / "sounds" / package / f"{name}.wav"
        wav.parent.mkdir(parents=True, exist_ok=True)
        rate_hz, n_samples = _convert(data, wav)
        yield {
            "name": f"{package}/{name}",
            "wav": wav.relative_to(folder).as_posix(),
            "package": package,
            "path": row["path"],
            "caption": row["caption"],
            "use": row["use"],
            "licence": SPDX.get(row["licence"], row["licence"]),
            "credit": credit(row["path"]),
            "seconds": round(n_samples / RATE_HZ, 3),
            "original_rate_hz": rate_hz,
        }


def _content(files: Path, path: str, opened: dict[str, dict[str, bytes]]) -> bytes | None:
    archive, _, member = path.partition(".x/")
    if not member:
        return (files / path).read_bytes() if (files / path).exists() else None
    if archive not in opened:
        opened[archive] = members(Path(archive).name, (files / archive).read_bytes())
    if archive.endswith(".cat"):  # the list spells a catalogue's titles without their punctuation
        return next((data for title, data in opened[archive].items() if title[:2] == member[:2]), None)
    return opened[archive].get(member)


def _convert(data: bytes, wav: Path) -> tuple[int, int]:
    """Any recording → mono, 44.1 kHz, 16 bits. Gives its own rate (Hz) and the new number of samples."""
    samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    mono = resample(samples.mean(axis=1, keepdims=True).T, rate_hz, RATE_HZ, periodic=False)[0]
    mono = mono / max(1.0, float(np.abs(mono).max(initial=0.0)))
    soundfile.write(wav, mono, RATE_HZ, subtype="PCM_16")
    return int(rate_hz), len(mono)


def unique_names(paths: list[str]) -> list[str]:
    """Short names that tell the paths of one package apart: without their common folders, archives and endings."""
    plain = [_plain(path) for path in paths]
    shared = 0
    while all(len(parts) > shared + 1 and parts[shared] == plain[0][shared] for parts in plain):
        shared += 1
    names = ["_".join(parts[shared:]) for parts in plain]
    taken: dict[str, int] = {}
    for at, name in enumerate(names):
        taken[name] = taken.get(name, 0) + 1
        names[at] = name if taken[name] == 1 else f"{name}_{taken[name]}"
    return names


def _plain(path: str) -> list[str]:
    archive, _, member = path.partition(".x/")
    if archive.endswith(".cat"):
        title = re.split(r"___?(?:By|Original|License)_", member.removesuffix(".wav"), flags=re.I)[0]
        return [*archive.split("/")[:-1], re.sub(r"\W+|_+", "_", title).strip("_").lower()]
    parts = [re.sub(r"\.(oc[a-z]|pk3|wad)(\.x)?$", "", part) for part in path.split("/")]
    if parts[-1].lower().endswith(SOUND_ENDINGS):
        parts[-1] = parts[-1].rpartition(".")[0]
    return [re.sub(r"[^A-Za-z0-9.#+-]+", "_", part) for part in parts]
