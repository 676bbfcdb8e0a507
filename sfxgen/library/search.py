"""Which exemplars of a library a prompt means, by the words of their captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfxgen.library.store import Library
from sfxgen.words import embed


@dataclass(frozen=True, eq=False)
class Captions:
    """The captions of all exemplars as unit vectors [captions, dims], and whose each is [captions]."""

    vectors: NDArray[np.float32]
    owners: NDArray[np.int64]
    n_exemplars: int

    @staticmethod
    def of(library: Library) -> Captions:
        captions = [caption for exemplar in library.exemplars for caption in exemplar.captions]
        owners = np.repeat(np.arange(len(library.exemplars)), [len(e.captions) for e in library.exemplars])
        return Captions(embed(captions), owners, len(library.exemplars))

    def similarity(self, prompts: Sequence[str]) -> NDArray[np.float32]:
        """Of each exemplar's best caption to each prompt, −1 to 1, shape [prompts, exemplars]."""
        every = self.vectors @ embed(list(prompts)).T
        best = np.full((self.n_exemplars, every.shape[1]), -1.0, np.float32)
        np.maximum.at(best, self.owners, every)
        return best.T


def nearest(similarity: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """The best exemplars of each row, best first, [prompts, count]; equal ones in the library's order."""
    return np.argsort(-similarity, axis=1, kind="stable")[:, :count]
