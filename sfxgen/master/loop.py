"""A loop out of a recording: where it can return to its own past, and a crossfade that hides that it does.

Sounds that a synth made periodic need none of this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfxgen.master.filters import Block, fast_length

CROSSFADE_S = 0.25  # long enough to hide a change of texture; shorter where the recording is
SHORTEST_FRAMES = 64  # below this there is no room for a crossfade
HOP_S, WINDOW_HOPS = 0.01, 4
MOST_HOPS = 1500  # keeps the table of all pairs small for long recordings
BANDS = 20
FLOOR_DB = -60.0
ALIGN_S = 0.015  # how far the fine search moves an end: three quarters of a lap at 50 Hz
CANDIDATES = 16
LENGTH_WORTH_DB = 6.0  # how much worse a match may be for twice the length …
CORRELATION_WORTH_DB = 6.0  # … and for being in phase


@dataclass(frozen=True)
class Seam:
    """A place to loop: play [start, end), fading from what leads to `end` into what leads to `start`.

    correlation: normalised cross-correlation of the two stretches of `crossfade` frames, −1 to 1.
    level_change_db: level of the stretch before `end` over that before `start` (dB).
    """

    start: int
    end: int
    crossfade: int
    correlation: float
    level_change_db: float


def find_seam(samples: Block, rate_hz: int) -> Seam | None:
    """The best pair of places in a recording [channels, frames]; None when it is too short or silent.

    Coarse: all pairs of times at a 10 ms grid, by the mean difference of their short-time band levels (dB) over the
    stretch that will be crossfaded, which keeps rhythm as well as colour. Fine: the best pairs are aligned frame by
    frame by normalised cross-correlation, and the one that matches best in both, weighed against its length, wins.
    """
    n_frames = samples.shape[1]
    if n_frames < SHORTEST_FRAMES or not samples.any():
        return None  # no room for a crossfade, or nothing to fade
    crossfade = min(round(CROSSFADE_S * rate_hz), n_frames // 5)
    seams = [
        (difference_db, _align(samples, rate_hz, start, end, crossfade))
        for difference_db, start, end in _similar_pairs(samples, rate_hz, crossfade)
    ]

    def cost(candidate: tuple[float, Seam]) -> float:
        difference_db, seam = candidate
        worth_db = LENGTH_WORTH_DB * math.log2((seam.end - seam.start) / n_frames)
        return difference_db - CORRELATION_WORTH_DB * seam.correlation - worth_db

    return min(seams, key=cost)[1]


def close(samples: Block, seam: Seam) -> Block:
    """The loop as a block of its own, [channels, end − start]: after its last frame comes its first.

    The gains are a raised cosine u and 1 − u over √(u² + (1−u)² + 2ρu(1−u)), which keeps the power of two stretches of
    correlation ρ constant: equal gain for like ones (ρ = 1, where equal power would bulge by 3 dB), equal power for
    unlike ones (ρ = 0, where equal gain would dip by 3 dB). Fink, Holters and Zölzer, "Signal-matched power-
    complementary cross-fading and dry-wet mixing", DAFx 2016.
    """
    n, rho = seam.crossfade, min(1.0, max(0.0, seam.correlation))
    u = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, n + 1) / (n + 1))
    power = np.sqrt(u**2 + (1 - u) ** 2 + 2 * rho * u * (1 - u))
    before_start = samples[:, seam.start - n : seam.start]
    before_end = samples[:, seam.end - n : seam.end]
    body = samples[:, seam.start : seam.end - n]
    return np.concatenate([body, (before_end * (1 - u) + before_start * u) / power], axis=1)


def _similar_pairs(samples: Block, rate_hz: int, crossfade: int) -> list[tuple[float, int, int]]:
    """Up to CANDIDATES (difference in dB, start, end), times in frames, spread over the recording."""
    n_frames = samples.shape[1]
    hop = max(1, min(max(round(HOP_S * rate_hz), math.ceil(n_frames / MOST_HOPS)), crossfade // 4))
    levels = _band_levels_db(samples, hop)
    difference = _mean_difference(levels, crossfade // hop)
    at = np.arange(len(levels) + 1)
    start, end = at[:, None], at[None, :]
    length = (end - start) * hop
    allowed = (start * hop >= crossfade) & (length >= max(crossfade, n_frames // 3)) & (end * hop <= n_frames)
    worth_db = LENGTH_WORTH_DB * np.log2(np.maximum(length, 1) / n_frames)
    cost = np.where(allowed, difference - worth_db, np.inf)
    pairs: list[tuple[float, int, int]] = []
    reach = max(1, crossfade // hop // 4)
    for _ in range(CANDIDATES):
        i, j = (int(k) for k in np.unravel_index(int(cost.argmin()), cost.shape))
        if not np.isfinite(cost[i, j]):
            break
        pairs.append((float(difference[i, j]), i * hop, j * hop))
        cost[max(0, i - reach) : i + reach + 1, max(0, j - reach) : j + reach + 1] = np.inf
    return pairs


def _mean_difference(levels: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    """How unlike the `span` hops before time i are to those before time j. Shape [hops + 1, hops + 1], dB.

    The mean of |difference| over the bands and then along the diagonal; infinite where there is no such stretch.
    """
    n_hops = len(levels)
    of_hops = np.zeros((n_hops, n_hops))
    for band in levels.T:
        of_hops += np.abs(band[:, None] - band[None, :])
    of_spans = np.full((n_hops + 1, n_hops + 1), np.inf)
    n_spans = n_hops - span + 1
    of_spans[span:, span:] = sum(of_hops[k : k + n_spans, k : k + n_spans] for k in range(span))
    of_spans /= span * levels.shape[1]
    return of_spans


def _band_levels_db(samples: Block, hop: int) -> NDArray[np.float64]:
    """Level of each hop in bands of equal ratio (dB under the loudest, not below FLOOR_DB). Shape [hops, bands]."""
    width = WINDOW_HOPS * hop
    around = np.pad(samples, ((0, 0), ((width - hop) // 2, width)), mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(around, width, axis=1)[:, : samples.shape[1] - hop + 1 : hop]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(width + 1)[:-1]))).sum(axis=0)
    edges = np.unique(np.geomspace(1, power.shape[1] - 1, BANDS + 1).astype(int))[:-1]
    banded = np.add.reduceat(power, edges, axis=1)
    floor = banded.max() * 10 ** (FLOOR_DB / 10)
    levels: NDArray[np.float64] = 10 * np.log10(np.maximum(banded, floor) / banded.max())
    return levels


def _align(samples: Block, rate_hz: int, start: int, end: int, crossfade: int) -> Seam:
    """The seam near (start, end) whose two stretches correlate best; only the end moves, by up to ALIGN_S."""
    reach = round(ALIGN_S * rate_hz)
    first = max(start, end - crossfade - reach)
    last = min(samples.shape[1], end + reach)
    like = samples[:, start - crossfade : start]
    around = samples[:, first:last]
    n_fft = fast_length(around.shape[1] + crossfade)
    spectra = np.fft.rfft(around, n_fft) * np.conj(np.fft.rfft(like, n_fft))
    n_places = around.shape[1] - crossfade + 1
    product = np.fft.irfft(spectra, n_fft)[:, :n_places].sum(axis=0)
    energy = np.concatenate([[0.0], np.cumsum(np.square(around).sum(axis=0))])
    of_place = energy[crossfade:] - energy[:-crossfade]
    of_like = float(np.square(like).sum())
    tiny = 1e-12 * energy[-1] + np.finfo(float).tiny
    correlation = product / np.sqrt(np.maximum(of_place, tiny) * max(of_like, tiny))
    best = int(correlation.argmax())
    level_change_db = 10 * math.log10(max(float(of_place[best]), tiny) / max(of_like, tiny))
    return Seam(start, first + best + crossfade, crossfade, float(correlation[best]), level_change_db)
