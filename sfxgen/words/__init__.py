"""What texts about sounds mean, as vectors: the sum of word vectors that were distilled from a sentence embedder.

The vectors (`vectors.npz`) come from all-MiniLM-L6-v2 by `tools/library/distil_words.py`, their words in part from
WordNet 3.0: NOTICE.txt beside them has both credits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from sfxgen.words.tokens import tokens
from sfxgen.words.vectors import load

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_AT_ONCE = 4096  # texts; bounds the memory


def embed(texts: Sequence[str]) -> NDArray[np.float32]:
    """Unit vectors, float32 [n, dimensions]; zeros for a text of which no part is known. Cosines are dot products."""
    import numpy as np

    blocks = [_embed_block(texts[start : start + _AT_ONCE]) for start in range(0, len(texts), _AT_ONCE)]
    return np.concatenate(blocks) if blocks else np.zeros((0, load().n_dimensions), np.float32)


def similarity(a: Sequence[str], b: Sequence[str]) -> NDArray[np.float32]:
    """Cosines of all pairs of two lists of texts, float32 [len(a), len(b)], −1 to 1."""
    cosines: NDArray[np.float32] = embed(a) @ embed(b).T
    return cosines


def knows(text: str) -> bool:
    """Whether a word of the text is known otherwise than by its letters: "rainstorms" is, "xyzzy" is not."""
    table = load().rows
    return any(not any(part.startswith("##") for part in unit) for unit in tokens(text, table))


def _embed_block(texts: Sequence[str]) -> NDArray[np.float32]:
    import numpy as np

    rows = [_rows(text) for text in texts]
    sums = np.zeros((len(texts), load().n_dimensions), np.float32)
    filled = [i for i, found in enumerate(rows) if found]
    if filled:
        starts = np.cumsum([0, *(len(rows[i]) for i in filled[:-1])])
        sums[filled] = np.add.reduceat(load().take([row for found in rows for row in found]), starts)
    unit: NDArray[np.float32] = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
    return unit


@lru_cache(maxsize=65_536)
def _rows(text: str) -> tuple[int, ...]:
    table = load().rows
    return tuple(table[part] for unit in tokens(text, table) for part in unit)
