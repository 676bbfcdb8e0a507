"""A library on disk and in memory: what each exemplar is, where it comes from, and its log-mel in 8 bits."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sfxgen.disk import write_atomically
from sfxgen.errors import BadInput
from sfxgen.library.places import INDEX_FILE, LEVELS_FILE

FORMAT = 1
STEP_DB = 0.3
FRAMES_A_SECOND = 44_100 / 512  # the grid of sfxgen.mel, which loads torch


@dataclass(frozen=True)
class Exemplar:
    """One sound of a library.

    name: unique within its library, such as "minetest-data/default_dig_metal". captions: what it sounds like, the most
    telling first. source: the package or folder it came from. licence: an SPDX id or "own". credit: whom to name.
    use: effect, percussion, instrument, speech, noise or render. top_hz: nothing above it was recorded.
    digest: of the file it was made from. n_frames: of its log-mel.
    """

    name: str
    captions: tuple[str, ...]
    source: str
    licence: str
    credit: str
    use: str
    top_hz: float
    digest: str
    n_frames: int

    @property
    def seconds(self) -> float:
        return self.n_frames / FRAMES_A_SECOND


@dataclass(frozen=True, eq=False)
class Library:
    """Exemplars and their levels: codes is uint8 [all frames, N_MELS]; those of exemplar i are rows
    starts[i] to starts[i + 1]. Code 0 is mel.FLOOR_DB below the exemplar's loudest cell, 255 the loudest."""

    exemplars: tuple[Exemplar, ...]
    codes: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.codes.dtype != np.uint8 or self.codes.ndim != 2 or len(self.codes) != self.starts[-1]:
            raise ValueError(
                f"codes must be uint8 [{self.starts[-1]}, bands], got {self.codes.dtype} {self.codes.shape}"
            )

    @property
    def starts(self) -> NDArray[np.int64]:
        return np.concatenate(([0], np.cumsum([e.n_frames for e in self.exemplars], dtype=np.int64)))

    def levels_db(self, index: int) -> NDArray[np.float32]:
        """One exemplar's levels (dB below its loudest cell), float32 [frames, N_MELS]."""
        start = int(self.starts[index])
        return decode(self.codes[start : start + self.exemplars[index].n_frames])

    def subset(self, keep: Sequence[int]) -> Library:
        """The library with only these exemplars, in this order."""
        starts = self.starts
        rows = [self.codes[starts[i] : starts[i + 1]] for i in keep]
        empty = np.zeros((0, self.codes.shape[1]), np.uint8)
        return Library(tuple(self.exemplars[i] for i in keep), np.concatenate([empty, *rows]))

    def plus(self, other: Library) -> Library:
        """Both, this one first."""
        return Library(self.exemplars + other.exemplars, np.concatenate([self.codes, other.codes]))


def encode(levels_db: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Levels in dB below the loudest cell → codes of 0.3 dB."""
    codes: NDArray[np.uint8] = np.clip(np.rint(255.0 + levels_db / STEP_DB), 0, 255).astype(np.uint8)
    return codes


def decode(codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The inverse of encode, to half a step."""
    return (codes.astype(np.float32) - 255.0) * np.float32(STEP_DB)


def read_library(folder: Path) -> Library:
    """Raises BadInput where there is none or it is damaged."""
    try:
        index = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
        packed = (folder / LEVELS_FILE).read_bytes()
    except FileNotFoundError as error:
        raise BadInput(f"no sound library in {folder}; `sfxgen library add FOLDER` makes one") from error
    except (OSError, ValueError) as error:
        raise BadInput(f"the sound library in {folder} cannot be read: {error}") from error
    try:
        if index["format"] != FORMAT:
            raise BadInput(f"the sound library in {folder} has format {index['format']}, this sfxgen reads {FORMAT}")
        exemplars = tuple(Exemplar(**{**e, "captions": tuple(e["captions"])}) for e in index["exemplars"])
        steps = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(index["bands"], -1)
        codes = np.ascontiguousarray(np.add.accumulate(steps, axis=1, dtype=np.uint8).T)
        return Library(exemplars, codes)
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise BadInput(f"the sound library in {folder} is damaged; make it anew with `sfxgen library add`") from error


def write_library(folder: Path, library: Library) -> None:
    """Both files, each whole: the same library gives the same bytes. Raises CannotWrite.

    Levels are stored band by band as differences from frame to frame, modulo 256, which deflate packs well.
    """
    codes = np.ascontiguousarray(library.codes.T)
    steps = np.diff(codes, axis=1, prepend=np.zeros((len(codes), 1), np.uint8))
    folder.mkdir(parents=True, exist_ok=True)
    packed = zlib.compress(steps.tobytes(), 9)
    write_atomically(folder / LEVELS_FILE, packed)
    index = {
        "format": FORMAT,
        "bands": library.codes.shape[1],
        "levels_sha256": hashlib.sha256(packed).hexdigest(),  # so that the index alone stands for the whole
        "exemplars": [asdict(exemplar) for exemplar in library.exemplars],
    }
    write_atomically(folder / INDEX_FILE, (json.dumps(index, indent=0, ensure_ascii=False) + "\n").encode())
