"""A room as filtered noise: white noise in bands, each dying away in its own time (Moorer 1979; Audio-SDS)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LN_MILLION = math.log(1e6)  # power falls by 60 dB
LOWEST_HZ = 30.0  # of echoes, which all have one sign and would pile up below
EDGE_OCTAVES = 0.5  # over which a band passes into the next


def impulse(white: Tensor, centre_hz: Tensor, level_db: Tensor, log_t60: Tensor, n_frames: int, rate_hz: int) -> Tensor:
    """The reverberation of a click of one frame and height 1, without the click: [n_frames].

    white: complex [n_frames // 2 + 1] with E|X|² = 1, the room's own chance. B bands, rising: centre_hz; level_db: the
    energy that the room adds in the band, beside the direct sound's (dB); log_t60: log of the time in which it falls by
    60 dB (s).
    """
    t_s = torch.arange(n_frames, dtype=torch.float64, device=white.device) / rate_hz
    noise = torch.fft.irfft(white * math.sqrt(n_frames) * _shares(centre_hz, n_frames, rate_hz), n=n_frames)
    t60_s = torch.exp(log_t60)
    scale = torch.exp(level_db * (math.log(10.0) / 20.0)) / torch.sqrt(t60_s * rate_hz / LN_MILLION)
    decay = torch.exp(-0.5 * LN_MILLION * t_s / t60_s[:, None])
    answer: Tensor = (scale[:, None] * decay * noise).sum(0)
    return answer


def of_echoes(heights: Tensor, centre_hz: Tensor, rate_hz: int) -> Tensor:
    """The answer of a room whose echoes have a height in each band, [n_frames]. heights: float64 [B, n_frames];
    centre_hz: [B], rising."""
    n_frames = heights.shape[1]
    n_fast = 2 * n_frames  # the bands ring both ways: what comes before the start wraps to the end and is cut
    f_hz = torch.arange(n_fast // 2 + 1, dtype=torch.float64) * (rate_hz / n_fast)
    bands = _shares(centre_hz, n_fast, rate_hz) ** 2 * (f_hz / LOWEST_HZ).clamp_max(1.0) ** 2
    answer: Tensor = torch.fft.irfft((torch.fft.rfft(heights, n=n_fast) * bands).sum(0), n=n_fast)[:n_frames]
    return answer


def reverberated(dry: Tensor, room: Tensor) -> Tensor:
    """The direct sound and what the room adds, [..., frames + len(room) - 1]; dry: [..., frames], room: an impulse."""
    n = dry.shape[-1] + room.shape[-1] - 1
    fast = 1 << (n - 1).bit_length()
    wet = torch.fft.irfft(torch.fft.rfft(dry, n=fast) * torch.fft.rfft(room.to(dry), n=fast), n=fast)[..., :n]
    both: Tensor = torch.nn.functional.pad(dry, (0, n - dry.shape[-1])) + wet
    return both


def _shares(centre_hz: Tensor, n_frames: int, rate_hz: int) -> Tensor:
    """Of each band at each frequency, [B, n_frames // 2 + 1]; their squares sum to 1. The outer bands go on to the
    ends."""
    f_hz = torch.arange(n_frames // 2 + 1, dtype=torch.float64, device=centre_hz.device) * (rate_hz / n_frames)
    octaves = torch.log2(f_hz.clamp_min(1.0)[None] / centre_hz[:, None])
    edges = 0.5 * torch.log2(centre_hz[1:] / centre_hz[:-1])
    up = torch.ones_like(octaves)
    up[1:] = _rise(octaves[1:] + edges[:, None])
    down = torch.ones_like(octaves)
    down[:-1] = 1.0 - _rise(octaves[1:] + edges[:, None])
    return torch.sqrt((up * down).clamp_min(0.0))


def _rise(octaves: Tensor) -> Tensor:
    """0 to 1 over EDGE_OCTAVES about 0."""
    return 0.5 - 0.5 * torch.cos(math.pi * (octaves / EDGE_OCTAVES + 0.5).clamp(0.0, 1.0))
