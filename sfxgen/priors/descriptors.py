"""What a sound is like in a few hundred numbers: fixed descriptors of a log-mel, differentiable, each item by itself.

Only the stretch between the first and the last frame that is at most ACTIVE_DB below the loudest one counts, so that
silence before and after says nothing. Frames are weighed by how near they are to the loudest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from sfxgen import mel

ACTIVE_DB, QUIET_DB, FRAME_FLOOR_DB = 45.0, -70.0, -60.0
N_CEPSTRA = 24
LAGS = (1, 3, 8, 20)  # frames of 11.6 ms
AFTER_PEAK = (1, 2, 3, 4, 6, 8, 11, 15, 20, 28, 40, 56, 80, 110, 160)
BEFORE_PEAK = (1, 2, 4, 8, 16, 32, 64)
MODULATION_FRAMES = 256
MODULATION_EDGES = (1, 2, 3, 5, 8, 12, 18, 28, 44, 70, 128)  # bins of 0.34 Hz: 0.3 to 43 Hz
_TINY = 1e-6


@dataclass(frozen=True, eq=False)
class _Span:
    """The active stretches of a batch, filled up to the longest.

    levels, relative, power: [batch, n, bands], in dB, in dB below the frame's own, linear. frame_db: [batch, n] below
    the loudest frame. valid: 1 where there is a frame, [batch, n]; n_frames: their number [batch]. weight: of each
    frame, [batch, n], summing to 1.
    """

    levels: Tensor
    relative: Tensor
    power: Tensor
    frame_db: Tensor
    valid: Tensor
    n_frames: Tensor
    weight: Tensor

    def mean(self, values: Tensor) -> Tensor:
        """Weighted mean over time of [batch, n, k] → [batch, k]."""
        return torch.einsum("bn,bnk->bk", self.weight, values)

    def moments(self, values: Tensor) -> list[Tensor]:
        """Weighted mean and standard deviation over time, each [batch, k]."""
        mean = self.mean(values)
        return [mean, (self.mean((values - mean[:, None]).square()) + _TINY).sqrt()]

    def largest(self, values: Tensor) -> Tensor:
        """Over time, [batch, n, k] → [batch, k]."""
        return values.masked_fill(self.valid[..., None] == 0, -1e9).amax(1)

    def plain_mean(self, values: Tensor) -> Tensor:
        """Every frame alike, [batch, n, k] → [batch, k]."""
        return (values * self.valid[..., None]).sum(1) / self.n_frames[:, None]

    def change(self, values: Tensor, lag: int) -> Tensor:
        """Mean absolute difference of frames that lie `lag` apart, [batch, n, k] → [batch, k]; 0 where none do."""
        both = self.valid[:, lag:, None]
        differences = (values[:, lag:] - values[:, : max(0, values.shape[1] - lag)]).abs() * both
        return differences.sum(1) / both.sum(1).clamp_min(1.0)


def describe(levels_db: Tensor) -> Tensor:
    """Descriptors [batch, N_DESCRIPTORS] of levels below the loudest cell [batch, frames, N_MELS]."""
    span = _active(levels_db)
    bands = _pooled(span.levels, 32)
    parts = [
        *span.moments(_pooled(span.relative, 32)),
        span.largest(bands),
        span.plain_mean(bands),
        *span.moments(span.relative @ _cosines(levels_db.dtype, levels_db.device)),
        *(_pooled(span.change(bands, lag), 16) for lag in LAGS),
        *_tonality(span),
        *_envelope(span),
        *_shape(span),
        _modulation(span),
    ]
    return torch.cat(parts, 1)


def _active(levels_db: Tensor) -> _Span:
    levels = levels_db.clamp(mel.FLOOR_DB, 0.0)
    power = torch.pow(10.0, levels / 10.0)
    frame_db = 10.0 * torch.log10(power.sum(2) + 1e-9)
    frame_db = frame_db - frame_db.detach().amax(1, keepdim=True)
    heard = frame_db.detach() > -ACTIVE_DB
    place = torch.arange(levels.shape[1], device=levels.device).expand_as(heard)
    first = torch.where(heard, place, levels.shape[1]).amin(1)
    last = torch.where(heard, place, -1).amax(1)
    n_frames = last - first + 1
    at = torch.arange(int(n_frames.max()), device=levels.device)
    valid = (at < n_frames[:, None]).to(levels.dtype)
    index = torch.minimum(first[:, None] + at, last[:, None])
    levels, power = (x.gather(1, index[..., None].expand(-1, -1, x.shape[2])) for x in (levels, power))
    frame_db = frame_db.gather(1, index)
    weight = (1.0 + frame_db / ACTIVE_DB).clamp(0.02, 1.0) * valid
    levels = levels.clamp_min(QUIET_DB)
    below_loudest = frame_db + 10.0 * torch.log10(power.sum(2).detach().amax(1, keepdim=True))
    relative = (levels - below_loudest[..., None]).clamp_min(FRAME_FLOOR_DB)
    return _Span(levels, relative, power, frame_db, valid, n_frames, weight / weight.sum(1, keepdim=True))


def _tonality(span: _Span) -> list[Tensor]:
    """How far single bands stand out of the nine about them: on average over time, and in the average spectrum."""
    standing_out = span.mean((span.levels - _smoothed(span.levels)).clamp_min(0.0))
    spectrum = span.mean(span.levels)[:, None]
    steady = (spectrum - _smoothed(spectrum)).clamp_min(0.0)[:, 0]
    groups, steady_groups = (x.reshape(len(x), 16, -1) for x in (standing_out, steady))
    return [groups.mean(2), groups.amax(2), steady_groups.amax(2)]


def _envelope(span: _Span) -> list[Tensor]:
    """The level (dB) at fixed times after and before the loudest frame, and figures of its course."""
    frame_db, valid = span.frame_db, span.valid
    n_frames = span.n_frames.to(frame_db.dtype)
    masked = frame_db.detach().masked_fill(valid == 0, -1e9)
    peak = masked.argmax(1, keepdim=True)
    offsets = torch.tensor((*AFTER_PEAK, *(-k for k in BEFORE_PEAK)), device=frame_db.device)
    at = peak + offsets
    inside = (at >= 0) & (at < span.n_frames[:, None])
    points = frame_db.gather(1, at.clamp(0, frame_db.shape[1] - 1))
    rises = (frame_db[:, 1:] - frame_db[:, :-1]) * valid[:, 1:]
    steps = (n_frames - 1).clamp_min(1.0)
    mean = (frame_db * valid).sum(1) / n_frames
    spread = (((frame_db - mean[:, None]).square() * valid).sum(1) / n_frames + _TINY).sqrt()
    rise = torch.cat([rises, torch.zeros_like(frame_db[:, :1])], 1).clamp_min(0.0)
    figures = [
        torch.log(n_frames),
        torch.log(peak[:, 0] + 1.0),
        peak[:, 0] / n_frames,
        mean,
        spread,
        rises.abs().sum(1) / steps,
        rise.amax(1),
        (torch.sigmoid(rise - 6.0) * valid).sum(1) / (steps + 1.0),  # how often it jumps
    ]
    return [torch.where(inside, points, FRAME_FLOOR_DB), torch.stack(figures, 1)]


def _shape(span: _Span) -> list[Tensor]:
    """Course of the centroids (of levels and of power, in bands) and of the flatness: mean, spread, drift, change."""
    place = torch.arange(mel.N_MELS, dtype=span.levels.dtype, device=span.levels.device)
    loudness = span.relative - FRAME_FLOOR_DB
    of_levels = (loudness * place).sum(2) / loudness.sum(2).clamp_min(_TINY)
    of_power = (span.power * place).sum(2) / (span.power.sum(2) + 1e-9)
    flatness = torch.log(span.power + 1e-7).mean(2) - torch.log(span.power.mean(2) + 1e-9)
    courses = torch.stack([of_levels, of_power, flatness], 2)
    last = (span.n_frames - 1)[:, None, None].expand(-1, 1, courses.shape[2])
    drift = courses.gather(1, last)[:, 0] - courses[:, 0]
    return [*span.moments(courses), drift, span.change(courses, 1)]


def _modulation(span: _Span) -> Tensor:
    """Modulation spectra of eight band groups over the first 3 s (log amplitude), [batch, 80]."""
    groups = _pooled(span.levels, 8)
    swing = (groups - span.plain_mean(groups)[:, None]) * span.valid[..., None]
    swing = functional.pad(swing, (0, 0, 0, max(0, MODULATION_FRAMES - swing.shape[1])))[:, :MODULATION_FRAMES]
    spectrum = torch.view_as_real(torch.fft.rfft(swing, dim=1)).square().sum(-1)
    length = span.n_frames.clamp(max=MODULATION_FRAMES)[:, None, None]
    amplitude = ((spectrum + _TINY) / length).sqrt()
    pairs = pairwise(MODULATION_EDGES)
    return torch.log(torch.cat([amplitude[:, low:high].mean(1) for low, high in pairs], 1) + 0.1)


def _pooled(values: Tensor, n_groups: int) -> Tensor:
    """Means of neighbouring bands: […, bands] → […, n_groups]."""
    return values.reshape(*values.shape[:-1], n_groups, -1).mean(-1)


def _smoothed(levels: Tensor) -> Tensor:
    """Running mean over nine bands, the outermost repeated: [batch, n, bands] → the same."""
    return functional.avg_pool1d(functional.pad(levels, (4, 4), mode="replicate"), 9, 1)


@lru_cache
def _cosines(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The first columns of the orthogonal DCT-II over bands, [N_MELS, N_CEPSTRA]."""
    place = (torch.arange(mel.N_MELS, dtype=torch.float64) + 0.5) / mel.N_MELS
    waves = torch.cos(math.pi * place[:, None] * torch.arange(N_CEPSTRA)) * math.sqrt(2.0 / mel.N_MELS)
    return waves.to(dtype=dtype, device=device)
