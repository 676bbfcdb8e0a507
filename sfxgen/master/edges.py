"""The ends of a sound: standing offset, silence before and after, fades."""

from __future__ import annotations

import math

import numpy as np

from sfxgen.master.filters import Biquad, Block, Filter, run

DC_CUTOFF_HZ = 5.0
DC_TAIL_S = 0.6  # what is left of the 5 Hz blocker's response is 220 dB down then
OFFSET_FRAME_S = 0.02


def remove_dc(samples: Block, rate_hz: int, *, periodic: bool) -> Block:
    """Take out what is constant, leaving no step and no ramp ahead of the sound.

    periodic: the mean goes, exactly. Otherwise two steps: the offset that stands all through the sound (a converter's)
    is subtracted; what is left below 5 Hz goes through the causal DC blocker y[n] = x[n] − x[n−1] + R y[n−1]
    (J. O. Smith, Introduction to Digital Filters, "DC blocker"), which cannot ring before the onset. The plain mean
    would put a step at both ends of a sound that starts and ends in silence but is lopsided in between.
    """
    if samples.shape[1] == 0:
        return samples
    if periodic:
        centred: Block = samples - samples.mean(axis=1, keepdims=True)
        return centred
    radius = math.exp(-2 * math.pi * DC_CUTOFF_HZ / rate_hz)
    blocker = Biquad((1 + radius) / 2, -(1 + radius) / 2, 0.0, -radius, 0.0)  # unity gain at the Nyquist frequency
    return run(samples - _standing_offset(samples, rate_hz), rate_hz, Filter((blocker,), rate_hz, DC_TAIL_S))


def _standing_offset(samples: Block, rate_hz: int) -> Block:
    """The offset present at the start, at the end and typically in between, for each channel. Shape [channels, 1].

    Of the means of the first, the middle (median) and the last frame of 20 ms the one nearest to zero, and zero where
    their signs differ (the minmod limiter): a sound that rises from or decays to zero has no standing offset.
    """
    size = max(1, min(round(OFFSET_FRAME_S * rate_hz), samples.shape[1] // 3))
    whole = samples[:, : samples.shape[1] // size * size]
    means = whole.reshape(samples.shape[0], -1, size).mean(axis=2)
    three = np.stack([means[:, 0], np.median(means, axis=1), samples[:, -size:].mean(axis=1)])
    same_sign = (np.sign(three) == np.sign(three[0])).all(axis=0)
    return np.where(same_sign, np.sign(three[0]) * np.abs(three).min(axis=0), 0.0)[:, None]


def trim(samples: Block, rate_hz: int, threshold_db: float, guard_s: float, tail_s: float) -> Block:
    """Cut both ends where the sound stays below `threshold_db` relative to its peak.

    guard_s is left before the first frame above the threshold, tail_s after the last (for the fade-out to lie on), as
    far as the sound has them. All channels are cut alike. Silence is returned as it is.
    """
    level = np.abs(samples).max(axis=0, initial=0.0)
    if not level.any():
        return samples
    loud = np.flatnonzero(level >= level.max() * 10 ** (threshold_db / 20))
    start = max(0, int(loud[0]) - round(guard_s * rate_hz))
    return samples[:, start : int(loud[-1]) + 1 + round(tail_s * rate_hz)]


def fade(samples: Block, rate_hz: int, fade_in_s: float, fade_out_s: float) -> Block:
    """Raised-cosine fades; the first frame of a fade-in and the last of a fade-out are zero.

    Fades that together are longer than the sound are both shortened in proportion.
    """
    n_frames = samples.shape[1]
    shrink = min(1.0, n_frames / max((fade_in_s + fade_out_s) * rate_hz, 1e-9))
    n_in, n_out = int(fade_in_s * rate_hz * shrink), int(fade_out_s * rate_hz * shrink)
    gains = np.ones(n_frames)
    gains[:n_in] = 0.5 - 0.5 * np.cos(np.pi * np.arange(n_in) / max(n_in, 1))
    gains[n_frames - n_out :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, n_out + 1) / max(n_out, 1))
    return samples * gains
