"""The file of word vectors: tokens, 8-bit codes [tokens, dimensions], and a scale for each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numpy loads when the first text is embedded, not with the command line
    import numpy as np
    from numpy.typing import NDArray

FILE = Path(__file__).parent / "vectors.npz"


@dataclass(frozen=True)
class Vectors:
    """rows: token → row. codes int8 [rows, dimensions] times scale float32 [rows] give the vectors; their lengths are
    the tokens' weights in a sum."""

    rows: dict[str, int]
    codes: NDArray[np.int8]
    scale: NDArray[np.float32]

    @property
    def n_dimensions(self) -> int:
        return int(self.codes.shape[1])

    def take(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """The vectors of some rows, float32 [n, dimensions]."""
        import numpy as np

        chosen = np.asarray(rows, np.int64)
        vectors: NDArray[np.float32] = self.codes[chosen] * self.scale[chosen, None]
        return vectors


@cache
def load() -> Vectors:
    """The vectors that come with the package, read once."""
    return read(FILE)


def read(path: Path) -> Vectors:
    import numpy as np

    with np.load(path) as data:
        names = data["tokens"].tobytes().decode("ascii").split("\n")
        codes, scale = data["codes"], data["scale"].astype(np.float32)
    return Vectors({name: row for row, name in enumerate(names)}, codes, scale)


def write(path: Path, tokens: Sequence[str], vectors: NDArray[np.float32]) -> None:
    """Codes each row to 8 bits by its own largest value. The same vectors give the same bytes."""
    import numpy as np

    peak = np.abs(vectors).max(axis=1)
    scale = np.maximum(peak / 127, 1e-8).astype(np.float16)
    codes = np.clip(np.rint(vectors / np.maximum(scale.astype(np.float32), 1e-8)[:, None]), -127, 127).astype(np.int8)
    names = np.frombuffer("\n".join(tokens).encode("ascii"), np.uint8)
    # Not compressed: codes are near to noise, and a plain member loads ten times as fast.
    np.savez(path, tokens=names, codes=codes, scale=scale)
