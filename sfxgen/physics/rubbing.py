"""The force between surfaces that slide or roll over one another: a load that the roughness of both shakes."""

from __future__ import annotations

import numpy as np

from sfxgen.physics.shapes import Array

SPACING_M = 1e-3  # of the roughness that still counts: finer grain is bridged by the contact
SHARE = 0.08  # rms of the shaking at high speed, relative to the load
HALF_SPEED_M_S = 0.3  # where it is half of that: slow surfaces settle into one another
WINDOW = 2  # frames a window


def surface_noise(force_n: Array, sweep_m_s: Array, frame_s: float, rate_hz: int, rng: np.random.Generator) -> Array:
    """The shaking force (N), one sample a 1/rate_hz, over all frames.

    force_n, sweep_m_s: [frames], the load and the speed at which the contact moves over the surfaces. White noise,
    low-passed where the grain passes, f = v / SPACING_M (first order), its rms the load times SHARE v / (v + v½).
    Frames of noise are filtered one by one and overlap by half (Hann), so that no seam clicks.
    """
    hop = round(frame_s * rate_hz)
    n = WINDOW * hop
    noise = rng.standard_normal((len(force_n), n))
    frequency_hz: Array = np.fft.rfftfreq(n, 1 / rate_hz).astype(np.float64)
    corner_hz = np.maximum(sweep_m_s / SPACING_M, 1.0)[:, None]
    power = 1 / (1 + (frequency_hz / corner_hz) ** 2)
    power[:, 0] = 0.0
    power /= np.maximum(power[:, 1:].mean(axis=1, keepdims=True), 1e-12)
    rms = SHARE * force_n * sweep_m_s / (sweep_m_s + HALF_SPEED_M_S)
    pieces = np.fft.irfft(np.fft.rfft(noise, axis=1) * np.sqrt(power), n, axis=1) * rms[:, None]
    pieces *= np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + 0.5) / n))  # powers of neighbours add up to one
    out = np.zeros(hop * (len(force_n) + 1))
    out[: hop * len(force_n)] += pieces[:, :hop].ravel()
    out[hop:] += pieces[:, hop:].ravel()
    return out
