"""The library prior without the packages that a round of ranking.yaml leaves out: neither its encoder nor its exemplars
know them. Training takes about a minute a round and is kept below build/heldout/.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from ranking import ROOT, Task, read_task

sys.path.append(str(ROOT / "tools" / "library"))

from encoder import SETTINGS, described, train

from sfxgen.library.store import Library
from sfxgen.mel import log_mel
from sfxgen.priors.encoder import Encoder, read_encoder, write_encoder
from sfxgen.priors.library import LibraryPrior

FOLDER = ROOT / "build" / "heldout"


class HeldOut(LibraryPrior):
    """The library prior of one round, with the round's own encoder."""

    def __init__(self, library: Library, encoder: Encoder) -> None:
        super().__init__(library)
        self.encoder = encoder

    @torch.no_grad()
    def fit(self, audio: torch.Tensor, prompts: Sequence[str], seeds: Sequence[int] = ()) -> torch.Tensor:
        """As the library prior's, by this encoder."""
        del seeds
        return self.encoder.score(log_mel(audio.mean(1)), prompts).double()


def task() -> Task:
    """ranking.yaml's recordings; descriptors of changed versions are left to those who train."""
    return read_task(replace(SETTINGS, n_changed=0))


def held_out(task: Task) -> dict[int, HeldOut]:
    """The prior of each round."""
    made = {}
    for number in np.unique(task.rounds[task.recordings]).tolist():
        known = np.flatnonzero(task.rounds != number)
        library = task.library.subset(known.tolist())
        made[number] = HeldOut(library, _encoder(task.library, known, library))
    return made


def _encoder(whole: Library, known: np.ndarray[tuple[int], np.dtype[np.int64]], library: Library) -> Encoder:
    recipe = Path(ROOT / "tools" / "library" / "encoder.py").read_bytes() + known.tobytes()
    recipe += repr([exemplar.captions for exemplar in library.exemplars]).encode()
    path = FOLDER / f"{hashlib.sha256(recipe).hexdigest()[:16]}.npz"
    if not path.exists():
        write_encoder(path, train(_descriptors(whole)[:, known], library.exemplars, SETTINGS))
    return read_encoder(path)


@cache
def _descriptors(library: Library) -> torch.Tensor:
    return described(library, SETTINGS)
