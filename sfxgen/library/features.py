"""From a sound to its exemplar: the active part, cut and measured on the house's log-mel grid, many at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sfxgen import mel
from sfxgen.library.store import Exemplar, Library, encode

LONGEST_S = 6.0
SHORTEST_S, SHORTEST_ACTIVE_S = 0.02, 0.004  # a click of an interface is loud for 5 ms of its file
ACTIVE_DB = -60.0  # below the loudest window: what lies there at either end is cut
SILENT = 1e-4  # peak; −80 dB of full scale is dither
_WINDOW_S = 0.003
_BATCH_SAMPLES = 1 << 21


@dataclass(frozen=True)
class Facts:
    """What is known of a sound beside its samples: an Exemplar without what is measured."""

    name: str
    captions: tuple[str, ...]
    source: str
    licence: str
    credit: str
    use: str
    digest: str


@dataclass(frozen=True, eq=False)
class Sound:
    """samples: the active part, float32 [samples] at mel.RATE_HZ. top_hz: nothing above it was recorded."""

    facts: Facts
    samples: NDArray[np.float32]
    top_hz: float


class Unusable(Exception):
    """Why a recording is no exemplar, in a few words: "silent"."""


def digest_of(data: bytes) -> str:
    """Tells files apart: the first 16 hexadecimal digits of SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


def sound_of(
    facts: Facts,
    samples: NDArray[np.float32],
    rate_hz: int,
    *,
    original_rate_hz: int | None = None,
    longest_s: float = LONGEST_S,
) -> Sound:
    """A recording [channels, samples] as mono at the house's rate, cut to its active part and to longest_s.

    original_rate_hz: where it was converted before, what its own rate was. Raises Unusable.
    """
    mono = samples.mean(axis=0, dtype=np.float64)
    mono -= mono.mean() if mono.size else 0.0  # 8-bit recordings often lie beside zero, and would never count as quiet
    if len(mono) < SHORTEST_S * rate_hz:
        raise Unusable(f"too short: {1000 * len(mono) / rate_hz:.0f} ms; expected at least {1000 * SHORTEST_S:.0f} ms")
    start, end = active_part(mono, rate_hz)
    if end - start < SHORTEST_ACTIVE_S * rate_hz:
        raise Unusable(f"too short: only {1000 * (end - start) / rate_hz:.0f} ms of it sound")
    cut = mono[start : min(end, start + int(longest_s * rate_hz))]
    top_hz = min(mel.HIGH_HZ, (original_rate_hz or rate_hz) / 2)
    return Sound(facts, _at_house_rate(cut, rate_hz), top_hz)


def active_part(mono: NDArray[np.floating], rate_hz: int) -> tuple[int, int]:
    """Where the sound [samples] begins and ends: the windows of 3 ms within ACTIVE_DB of the loudest.

    Raises Unusable for silence.
    """
    if np.abs(mono).max(initial=0.0) < SILENT:
        raise Unusable("silent")
    width = max(1, round(_WINDOW_S * rate_hz))
    padded = np.pad(mono, (0, -len(mono) % width)).astype(np.float64)
    energy = np.square(padded).reshape(-1, width).mean(axis=1)
    loud = np.flatnonzero(energy >= energy.max() * 10.0 ** (ACTIVE_DB / 10.0))
    return int(loud[0]) * width, min(len(mono), (int(loud[-1]) + 1) * width)


def library_of(sounds: Sequence[Sound]) -> Library:
    """Their exemplars in the same order, measured in batches of similar length.

    Float64 throughout: how sounds are batched then never shows in the 8-bit codes.
    """
    codes: list[NDArray[np.uint8]] = [np.zeros((0, mel.N_MELS), np.uint8)] * len(sounds)
    order = sorted(range(len(sounds)), key=lambda i: len(sounds[i].samples))
    at = 0
    while at < len(order):
        batch = order[at : at + 1]
        while at + len(batch) < len(order):
            longest = len(sounds[order[at + len(batch)]].samples)
            if longest * (len(batch) + 1) > _BATCH_SAMPLES:
                break
            batch.append(order[at + len(batch)])
        for i, measured in zip(batch, _measure([sounds[i].samples for i in batch]), strict=True):
            codes[i] = measured
        at += len(batch)
    exemplars = tuple(
        Exemplar(**vars(sound.facts), top_hz=sound.top_hz, n_frames=len(rows))
        for sound, rows in zip(sounds, codes, strict=True)
    )
    return Library(exemplars, np.concatenate([np.zeros((0, mel.N_MELS), np.uint8), *codes]))


def _measure(batch: Sequence[NDArray[np.float32]]) -> list[NDArray[np.uint8]]:
    longest = max(len(samples) for samples in batch)
    block = torch.zeros(len(batch), longest, dtype=torch.float64)
    for row, samples in zip(block, batch, strict=True):
        row[: len(samples)] = torch.from_numpy(samples)
    levels = mel.log_mel(block).numpy()
    return [encode(rows[: mel.n_frames_for(len(samples))]) for rows, samples in zip(levels, batch, strict=True)]


def _at_house_rate(mono: NDArray[np.floating], rate_hz: int) -> NDArray[np.float32]:
    if rate_hz == mel.RATE_HZ:
        return np.ascontiguousarray(mono, np.float32)
    import soxr  # here, since most libraries are at the house's rate

    out: NDArray[np.float32] = soxr.resample(np.ascontiguousarray(mono, np.float32), rate_hz, mel.RATE_HZ, quality="HQ")
    return out
