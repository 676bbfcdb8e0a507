"""What the recipes of synthesised sounds share: lengths, and the draw of one take."""

from __future__ import annotations

import math

import numpy as np

from sfxgen.draw import Draw

BLOCKS_A_SECOND = 25  # 1/25 s is whole frames at every usual rate, 8 to 96 kHz, 11.025 kHz included
SOFTEST_DB = -12.0


def n_frames_of(duration_s: float, rate_hz: int, loop: bool) -> int:
    """Frames of a sound that shall last duration_s, at least two.

    A loop is rounded to a multiple of 1/25 s (1,920 frames at 48 kHz), so that it stays whole when it is resampled.
    """
    if duration_s <= 0:
        raise ValueError(f"duration_s must be positive, got {duration_s}")
    if loop:
        return round(max(1, round(duration_s * BLOCKS_A_SECOND)) * rate_hz / BLOCKS_A_SECOND)
    return max(2, round(duration_s * rate_hz))


def place_intensity(draw: Draw, rng: np.random.Generator, jitter: float) -> float:
    """Where in the draw's range of intensity this take lies: about its middle, as far out as jitter (0 to 1) says."""
    low, high = draw.intensity
    return low + (high - low) * (0.5 + 0.5 * jitter * float(rng.uniform(-1.0, 1.0)))


def intensity_gain(intensity: float) -> float:
    """Linear gain: −12 dB at intensity 0, 0 dB at 1."""
    return math.pow(10.0, SOFTEST_DB * (1.0 - intensity) / 20.0)


def stray(rng: np.random.Generator, octaves: float) -> float:
    """A factor, even in logarithm over ± octaves."""
    return float(2.0 ** rng.uniform(-octaves, octaves))
