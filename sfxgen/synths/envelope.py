"""Envelopes over time, smooth enough to be optimised."""

from __future__ import annotations

import math

import torch
from torch import Tensor

LN_1000 = math.log(1000.0)  # a fall by 60 dB
SHORTEST_S = 1e-4  # times are kept as logarithms, so none is 0: this is some five frames at 48 kHz


def log_time(seconds: float) -> float:
    """ln of a time in seconds, at least that of SHORTEST_S."""
    return math.log(max(seconds, SHORTEST_S))


def half_cosine(x: Tensor) -> Tensor:
    """0 for x ≤ 0, 1 for x ≥ 1, half a cosine wave between; its slope is continuous."""
    return 0.5 - 0.5 * torch.cos(math.pi * x.clamp(0.0, 1.0))


def attack_hold_decay(
    t_s: Tensor, attack_s: Tensor, hold_s: Tensor, decay_s: Tensor, sustain: Tensor | float = 0.0
) -> Tensor:
    """Level, 0 to 1, at t_s after the onset; 0 before it. All arguments broadcast; times in seconds.

    A half cosine up over attack_s, 1 for hold_s, then sustain + (1 − sustain)·1000^(−t/decay_s).
    """
    falling_s = (t_s - attack_s - hold_s).clamp(min=0.0)
    fall = sustain + (1.0 - sustain) * torch.exp(-LN_1000 * falling_s / decay_s)
    return half_cosine(t_s / attack_s) * fall


def release(left_s: Tensor, release_s: Tensor) -> Tensor:
    """1 until release_s before the end, then half a cosine down to 0. left_s: time to the end, in seconds."""
    return half_cosine(left_s / release_s)
