"""What the players of banks of modes shall give: the bank's formulas as direct sums in float64, without recursion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfxgen.physics.contact import rough_spectrum

Array = NDArray[np.float64]
Bank = dict[str, Any]


@dataclass(frozen=True)
class Hit:
    """A blow that begins at a frame."""

    at: int
    speed_m_s: float
    place: float
    gain: float = 1.0


def amplitudes(bank: Bank, speed_m_s: float, place: float, rate_hz: float = 48_000) -> Array:
    """Of each mode after a blow, [modes]; 0 for those above 0.45 of the rate."""
    gains = np.array(bank["gain"]).reshape(bank["regions"], bank["modes"])
    stations = np.linspace(0, 1, bank["regions"])
    gain = np.array([np.interp(place, stations, column) for column in gains.T])
    frequency = np.array(bank["frequency_hz"])
    spectrum = rough_spectrum(2 * np.pi * frequency, np.array(contact_s(bank, speed_m_s)))
    spectrum *= frequency < 0.45 * rate_hz
    decay = np.array(bank["decay_per_s"])
    heard = -np.expm1(-2 * decay * bank["heard_s"]) / (4 * decay)
    own, wanted = ((spectrum**2 * g**2 * heard).sum() for g in (gain, np.array(bank["mean_gain"])))
    level = bank["impulse_kg"] * speed_m_s * np.sqrt(wanted / own) if own > 1e-30 else 0.0
    return np.asarray(level * spectrum * gain)


def contact_s(bank: Bank, speed_m_s: float) -> float:
    return float(bank["contact_s"] * speed_m_s ** bank["contact_exponent"])


def ring(bank: Bank, hits: Sequence[Hit], n_frames: int, rate_hz: int) -> Array:
    """Samples, [n_frames], of all modes of the bank below 0.45 of the rate."""
    sound = np.zeros(n_frames)
    frequency, decay = np.array(bank["frequency_hz"]), np.array(bank["decay_per_s"])
    for hit in hits:
        n = force_frames(bank, hit.speed_m_s, rate_hz)
        start = hit.at + n // 2
        time = np.arange(max(0, n_frames - start)) / rate_hz
        amplitude = amplitudes(bank, hit.speed_m_s, hit.place, rate_hz)
        for a, f, d in zip(amplitude, frequency, decay, strict=True):
            if a:
                sound[start:] += hit.gain * a * np.exp(-d * time) * np.sin(2 * np.pi * f * time)
        sound += knock(bank, hit, n, n_frames, rate_hz)
    return sound


def force_frames(bank: Bank, speed_m_s: float, rate_hz: int) -> int:
    return max(1, int(np.floor(min(contact_s(bank, speed_m_s), bank["longest_click_s"]) * rate_hz + 0.5)))


def knock(bank: Bank, hit: Hit, n_force: int, n_frames: int, rate_hz: int) -> Array:
    """Both spheres' answers to the force, as sums over its frames; the first of an answer counts half."""
    pulse = np.sin(np.pi * (np.arange(n_force) + 0.5) / n_force) ** 1.5
    pulse *= bank["impulse_kg"] * hit.speed_m_s * hit.gain / pulse.sum()
    time = np.arange(n_frames) / rate_hz
    answer = np.zeros(n_frames)
    for tau, gain in zip(bank["click_tau_s"], bank["click_gain"], strict=True):
        answer += gain * np.exp(-time / tau) * (np.cos(time / tau) - np.sin(time / tau))
    answer[0] /= 2
    force = np.zeros(n_frames)
    force[hit.at : hit.at + n_force] = pulse[: max(0, n_frames - hit.at)]
    return np.asarray(np.convolve(force, answer)[:n_frames])
