"""The force between two rough bodies that slide or roll over one another.

A fractal profile is read at the speed of the contact (van den Doel, Kry & Pai, "FoleyAutomatic", 2001, section 4), as
far as a patch of contact can feel it, and pushes through the springiness of the contact against the striker's mass
(Remington, "Wheel/rail noise", 1976).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from sfxgen.manifest.materials import OwnMaterial, kin
from sfxgen.physics.contact import Contact
from sfxgen.physics.modal.shapes import Array
from sfxgen.physics.soft_contact import SoftContact

LONGEST_M, SHORTEST_M = 1e-2, 1e-5  # wavelengths between which a roughness is meant; flat beyond the longest
CONTACT_LOSS = 0.6  # loss factor of the spring of the contact
LIFTED_AT = 0.4  # rms force over the load where contacts begin to part: crests of 2.5 σ unload it
SPOTS = 100  # that a flat side touches in
TURN_HARMONICS = 3  # of the striker's turning


@dataclass(frozen=True)
class Roughness:
    """rms_um: height (µm) between LONGEST_M and SHORTEST_M; exponent: power falls as wave number to minus this."""

    rms_um: float
    exponent: float


# Machined metals 0.4 to 3 µm, cast and sawn ones more (ISO 4287's usual Rq); woods and stones as finished. Most
# fractured and worn surfaces have exponents of 1.5 to 2.5 (Majumdar & Bhushan 1990; Persson et al. 2005).
_SMOOTH, _USUAL = Roughness(0.1, 2.0), Roughness(2.0, 2.0)
ROUGHNESS: Final[dict[str, Roughness]] = {
    "glass": _SMOOTH,
    "ceramic": Roughness(0.5, 2.0),
    "polycarbonate": Roughness(0.3, 2.0),
    "plastic": Roughness(1.5, 2.0),
    "steel": Roughness(1.0, 1.8),
    "aluminium": Roughness(1.0, 1.8),
    "iron": Roughness(8.0, 1.8),
    "brass": Roughness(0.8, 1.8),
    "bronze": Roughness(3.0, 1.8),
    "wood": Roughness(15.0, 1.6),
    "oak": Roughness(12.0, 1.6),
    "pine": Roughness(20.0, 1.6),
    "bamboo": Roughness(8.0, 1.8),
    "stone": Roughness(60.0, 1.5),
    "granite": Roughness(30.0, 1.5),
    "marble": Roughness(3.0, 1.8),
    "concrete": Roughness(200.0, 1.4),
    "brick": Roughness(150.0, 1.4),
    "ice": Roughness(1.0, 2.2),
    "bone": Roughness(8.0, 2.0),
    "leather": Roughness(20.0, 2.0),
    "rubber": Roughness(10.0, 2.0),
    "flesh": Roughness(30.0, 2.4),
    "felt": Roughness(80.0, 1.6),
}


@dataclass(frozen=True)
class Path:
    """Where the contact is: place_m at each frame and after the last, [frames + 1], rising; on a circle the last is
    where it starts over. top_m_s: the highest speed."""

    place_m: Array
    top_m_s: float


def roughness(first: str | OwnMaterial, second: str | OwnMaterial) -> Roughness:
    """Of two materials: heights add in power, the rougher one says how they are spread."""
    pair = sorted((ROUGHNESS.get(kin(name), _USUAL) for name in (first, second)), key=lambda r: r.rms_um)
    return Roughness(float(np.hypot(pair[0].rms_um, pair[1].rms_um)), pair[1].exponent)


def path(speed_m_s: Array, rate_hz: int) -> Path:
    """From the speed at each frame, > 0, [frames]."""
    return Path(np.concatenate([[0.0], np.cumsum(speed_m_s) / rate_hz]), float(speed_m_s.max()))


def pressed(contact: Contact | SoftContact, radius_m: float, force_n: float) -> tuple[float, float]:
    """Stiffness dF/dδ (N/m) and radius of the patch √(R δ) (m) at a load; for Hertz's law a = (3 F R / 4 E*)^{1/3}."""
    depth = (force_n / contact.stiffness) ** (1 / contact.exponent)
    return float(_spring(contact, np.array(force_n))), float(np.sqrt(radius_m * depth))


def profile(
    rough: Roughness, spot_m: float, path_: Path, rate_hz: int, rng: np.random.Generator, wheel_m: float = 0.0
) -> Array:
    """Height under the contact at each frame (m), [frames]; exactly periodic over the whole path.

    Drawn on a circle of the path's length, so finely that at the top speed a frame is a point of it, and read there
    by a periodic cubic spline. Density by wave number: k^{-β}, flat below 2π / LONGEST_M, times what a patch of
    radius a feels, 1 / (1 + π/4 (k a)³) (Remington 1976). wheel_m: radius of what rolls, 0 for what does not: it rides
    on the crests and bends over no hollow that is narrower than itself. So what the profile adds at wave number k
    counts as 1 / (1 + R² κ²)², with the mean square of its curvature κ up to there: the whole is then bent by 1 / R at
    most, since ∫ d(κ²) / (1 + R² κ²)² < 1 / R².
    """
    length_m = float(path_.place_m[-1])
    n = max(4, int(np.ceil(length_m / (path_.top_m_s / rate_hz) - 1e-6)))
    k: Array = 2 * np.pi / length_m * np.arange(1, n // 2 + 1, dtype=np.float64)
    density = spectral_density(rough, k) / (1 + np.pi / 4 * (k * spot_m) ** 3)
    if wheel_m:
        density /= (1 + wheel_m**2 * np.cumsum(density * k**4) * (2 * np.pi / length_m)) ** 2
    white = (rng.standard_normal(len(k)) + 1j * rng.standard_normal(len(k))) * np.sqrt(0.5)
    half = np.concatenate([[0], white * np.sqrt(density * (2 * np.pi / length_m) / 2) * n])
    if n % 2 == 0:
        half[-1] = 0
    heights = np.fft.irfft(half, n)
    where = path_.place_m[:-1] * (n / length_m)
    return np.asarray(map_coordinates(heights, where[None], order=3, mode="grid-wrap"))


def spectral_density(rough: Roughness, k: Array) -> Array:
    """One-sided power by wave number (m³, k in rad/m): it makes rms_um between the two wavelengths."""
    k_low, k_high = 2 * np.pi / LONGEST_M, 2 * np.pi / SHORTEST_M
    beta = rough.exponent
    ratio = k_high / k_low
    area = k_low * (np.log(ratio) if abs(beta - 1) < 1e-9 else (ratio ** (1 - beta) - 1) / (1 - beta))
    return np.asarray((rough.rms_um * 1e-6) ** 2 / area * np.maximum(k / k_low, 1) ** -beta)


def force(height_m: Array, stiffness_n_m: float, mass_kg: float, load_n: float, rate_hz: int) -> Array:
    """The alternating force (N) of a profile that passes under a mass on the spring of its contact, [frames], periodic.

    F = y / (1 / k (1 + iη) - 1 / (m ω²)): far above √(k/m) the mass stands still and F = k y, far below it follows,
    F = -m ω² y. Where this would lift the striker off, contacts part and meet again, and the force falls back to the
    mean proportion of itself and LIFTED_AT of the load: since it goes as speed, the level then goes as √(v F), as
    FoleyAutomatic has it (loudness by the power that friction takes).
    """
    n = len(height_m)
    spectrum = np.fft.rfft(height_m) * _push(n, np.array([stiffness_n_m]), mass_kg, rate_hz)[0]
    alternating = np.fft.irfft(spectrum, n)
    rms = float(np.sqrt(np.mean(alternating**2)))
    return np.asarray(alternating / np.sqrt(1 + rms / (LIFTED_AT * load_n)))


def _push(n: int, stiffness_n_m: Array, mass_kg: float, rate_hz: int) -> NDArray[np.complex128]:
    """Force over height, [stiffnesses, n // 2 + 1], 0 at 0 Hz."""
    omega = 2 * np.pi * np.fft.rfftfreq(n, 1 / rate_hz)[1:]
    spring = stiffness_n_m[:, None] * (1 + 1j * CONTACT_LOSS)
    pushed = 1 / (1 / spring - 1 / (mass_kg * omega**2))
    return np.concatenate([np.zeros((len(stiffness_n_m), 1)), pushed], axis=1)


def changing_force(height_m: Array, contact: Contact, spots: int, load_n: Array, hop: int, rate_hz: int) -> Array:
    """As `force`, under a load that comes and goes: load_n: [frames], of `hop` samples each, ≥ 0; height_m:
    [hop × frames]; spots that share the load. [hop × frames].

    Windows of two frames, roots of Hann's, overlap by half, so that no seam clicks; each has the stiffness of its load.
    """
    n = 2 * hop
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + 0.5) / n))
    padded = np.pad(height_m, (hop, hop), mode="edge")
    pieces = sliding_window_view(padded, n)[::hop]
    pieces = (pieces - pieces.mean(axis=1, keepdims=True)) * window
    whole = np.pad(load_n, 1)
    load = np.asarray((whole[:-1] + whole[1:]) / 2)
    spring = spots * _spring(contact, np.maximum(load / spots, 1e-9))
    alternating = np.fft.irfft(np.fft.rfft(pieces, axis=1) * _push(n, spring, contact.mass_kg, rate_hz), n, axis=1)
    rms = np.sqrt(np.mean(alternating**2, axis=1))
    alternating *= (window / np.sqrt(1 + rms / np.maximum(LIFTED_AT * load, 1e-12))[:, None]) * (load > 0)[:, None]
    out = np.zeros(hop * (len(load) + 1))
    out[: hop * len(load)] += alternating[:, :hop].ravel()
    out[hop:] += alternating[:, hop:].ravel()
    return out[hop:-hop]


def _spring(contact: Contact | SoftContact, force_n: Array) -> Array:
    """Stiffness dF/dδ (N/m) at a load."""
    return np.asarray(contact.exponent * force_n / (force_n / contact.stiffness) ** (1 / contact.exponent))


def turning(path_: Path, radius_m: float, whole: bool, rng: np.random.Generator) -> Array:
    """How a wheel's own shape presses as it turns, within ±1, [frames]: a few harmonics of v / (2π R).

    whole: so that the path is a whole number of turns, one at least.
    """
    turns = path_.place_m[-1] / (2 * np.pi * radius_m)
    angle = path_.place_m[:-1] / radius_m
    if whole:
        angle = angle * (max(1, round(turns)) / turns)
    order = np.arange(1, TURN_HARMONICS + 1)
    size = rng.uniform(0.5, 1, TURN_HARMONICS) / order
    waves = np.cos(angle[:, None] * order + rng.uniform(0, 2 * np.pi, TURN_HARMONICS))
    return np.asarray(waves @ size / size.sum())


def response(
    frequency_hz: Array, decay_per_s: Array, gain: Array, n_frames: int, rate_hz: int
) -> NDArray[np.complex128]:
    """States whose free motion over n_frames is the modes' answer to an impulse, come round a circle again and again.

    Σ_r g e^{s (n + r N)} = g e^{s n} / (1 - e^{s N}): with it a circular convolution is the steady state of a loop.
    """
    s = -decay_per_s + 2j * np.pi * frequency_hz
    return np.asarray(gain / (1 - np.exp(s * n_frames / rate_hz)))
