"""What is missing or wrong in a library: captions, licences, credits, damaged levels, the same sound twice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sfxgen.library.store import STEP_DB, Library

SAME_DB = 1.0  # mean difference of two log-mels, frame by frame, below which they are one recording
_SAME_FRAMES = 2
_SUMMARY_DB = 3.0  # two sounds with mean spectra further apart than this cannot be the same
_FREE = ("CC0", "LicenseRef-public-domain", "own")


def check(library: Library) -> tuple[str, ...]:
    """Findings, each one line that names the sound; none where all is well."""
    findings = []
    starts = library.starts
    for i, exemplar in enumerate(library.exemplars):
        codes = library.codes[starts[i] : starts[i + 1]]
        if not exemplar.captions:
            findings.append(f"{exemplar.name}: no caption, so that no prompt finds it; add one with a captions.csv")
        if not exemplar.licence:
            findings.append(f"{exemplar.name}: no licence")
        elif not exemplar.credit and not exemplar.licence.startswith(_FREE):
            findings.append(f"{exemplar.name}: its licence {exemplar.licence} asks for a credit, and there is none")
        if codes.size == 0 or codes.max() < 250:
            findings.append(f"{exemplar.name}: its levels are damaged (empty or without a loudest cell); add it anew")
    return (*findings, *(f"{second}: the same sound as {first}" for first, second in duplicates(library)))


def duplicates(library: Library) -> list[tuple[str, str]]:
    """Pairs of names whose log-mels are nearly the same, the earlier one first, sorted by place."""
    lengths = np.array([exemplar.n_frames for exemplar in library.exemplars])
    summaries = _mean_spectra(library)
    order = np.argsort(lengths, kind="stable")
    pairs = []
    for rank, i in enumerate(order):
        last = np.searchsorted(lengths[order], lengths[i] + _SAME_FRAMES, side="right")
        rest = order[rank + 1 : last]
        near = rest[np.abs(summaries[rest] - summaries[i]).mean(axis=1) < _SUMMARY_DB]
        pairs += [tuple(sorted((int(i), int(j)))) for j in near if _difference_db(library, int(i), int(j)) < SAME_DB]
    names = [exemplar.name for exemplar in library.exemplars]
    return [(names[first], names[second]) for first, second in sorted(pairs)]


def _mean_spectra(library: Library) -> NDArray[np.float64]:
    """Mean level (dB) in each band, [exemplars, bands]."""
    if not library.exemplars:
        return np.zeros((0, library.codes.shape[1]))
    sums = np.add.reduceat(library.codes.astype(np.float32), library.starts[:-1], axis=0).astype(np.float64)
    return sums / np.diff(library.starts)[:, None] * STEP_DB


def _difference_db(library: Library, first: int, second: int) -> float:
    starts = library.starts
    n = min(library.exemplars[first].n_frames, library.exemplars[second].n_frames)
    a, b = (library.codes[starts[i] : starts[i] + n].astype(np.int16) for i in (first, second))
    return float(np.abs(a - b).mean()) * STEP_DB
