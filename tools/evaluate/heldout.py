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
import yaml
from ranking import ROOT, RULES, Task, read_task, rounds_of

sys.path.append(str(ROOT / "tools" / "library"))

from encoder import SETTINGS, described, train

from sfxgen.library.places import SHIPPED
from sfxgen.library.store import Library, read_library
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
    return {number: prior_without(number) for number in np.unique(task.rounds[task.recordings]).tolist()}


@cache
def prior_without(number: int) -> HeldOut:
    """The prior of one round: without the packages that it leaves out."""
    whole = read_library(SHIPPED)
    left_out = yaml.safe_load(RULES.read_text(encoding="utf-8"))["left_out"]
    known = np.flatnonzero(rounds_of(whole, left_out) != number)
    library = whole.subset(known.tolist())
    return HeldOut(library, _encoder(whole, known, library))


def _encoder(whole: Library, known: np.ndarray[tuple[int], np.dtype[np.int64]], library: Library) -> Encoder:
    recipe = Path(ROOT / "tools" / "library" / "encoder.py").read_bytes() + known.tobytes()
    recipe += repr([exemplar.captions for exemplar in library.exemplars]).encode()
    path = FOLDER / f"{hashlib.sha256(recipe).hexdigest()[:16]}.npz"
    if not path.exists():
        print(f"training an encoder on {len(known)} of {len(whole.exemplars)} sounds (about a minute)", flush=True)
        write_encoder(path, train(_descriptors(whole)[:, known], library.exemplars, SETTINGS))
    return read_encoder(path)


@cache
def _descriptors(library: Library) -> torch.Tensor:
    return described(library, SETTINGS)
