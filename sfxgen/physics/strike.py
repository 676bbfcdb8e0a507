"""From the modes of a unit body to the partials that one blow sets ringing, in pascals at a metre.

Pressure is found from radiated power: each mode counts with the square root of the power that its outward motion
radiates, averaged over all directions. How much that is a quick law says, or the body's own sound field, which also
knows the pressure at a listener's place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfxgen.manifest.materials import Material
from sfxgen.physics.air import SOUND_SPEED_M_S
from sfxgen.physics.air.field import Field
from sfxgen.physics.contact import pulse_spectrum, rough_spectrum
from sfxgen.physics.modal.families import Modes
from sfxgen.physics.modal.shapes import Array, Body

AIR_IMPEDANCE = 413.0  # ρ₀ c (Pa s/m) at 20 °C
LISTENER_M = 1.0
HEARD_S = 0.03  # blows are held alike in their first 30 ms, the knock that the ear sums up at once
LOWEST_HZ = 20.0
HIGHEST_HZ = 20_000.0
TWINS = 2e-4  # relative distance of frequencies that finite elements give to modes of one frequency
Pressure = Array | NDArray[np.complex128]
GOLDEN_ANGLE = np.pi * (3 - np.sqrt(5))
N_DENSE = 384  # modes above the solved ones that stand for all up to HIGHEST_HZ


@dataclass(frozen=True)
class Hearing:
    """How the sound of the lowest modes reaches the ear. listener_m: place in the body's frame; None: all round."""

    field: Field
    listener_m: tuple[float, float, float] | None = None

    def distance_m(self, modes: Modes, size_m: float) -> float:
        """From the middle of the box around the skin; LISTENER_M for all round."""
        if self.listener_m is None:
            return LISTENER_M
        middle = (modes.points.min(axis=0) + modes.points.max(axis=0)) / 2 * size_m
        return float(np.linalg.norm(np.array(self.listener_m) - middle))


@dataclass(frozen=True)
class Partials:
    """What a body of real size and material can sound. All [modes], ascending in frequency.

    frequency_hz, decay_per_s (of the amplitude); gain: [points, modes], peak pressure at the listener for a blow of
    1 N s with a flat spectrum at each point of the skin (Pa/(N s)). mass_kg: of the body; distance_m: to the listener.
    """

    frequency_hz: Array
    decay_per_s: Array
    gain: Array
    reach: Array
    areas: Array
    mass_kg: float
    distance_m: float = LISTENER_M


def partials(
    modes: Modes, body: Body, size_m: float, material: Material, damping: float, rate_hz: int,
    hearing: Hearing | None = None, others: Sequence[Material] = (),
) -> Partials:  # fmt: skip
    """The audible partials, LOWEST_HZ to the lower of HIGHEST_HZ and 0.45 of the rate.

    modes: of `body` at the material's Poisson ratio; size_m: the body's first size; damping multiplies the
    internal damping d = (α + η ω + β ω²) / 2, to which that by radiation is added. hearing: by the field of those modes
    where it knows them; without it all by the quick law, which has no directions. others: the further
    materials of a body of several, each of which damps a mode by its share.
    """
    speed = material.bar_speed_m_s
    highest = 2 * np.pi * min(HIGHEST_HZ, 0.45 * rate_hz)
    mass = material.density_kg_m3 * size_m**3 * float(modes.volume)
    omega, shapes, skin = _with_dense_modes(modes, highest * size_m / speed)
    omega = omega * speed / size_m
    per_mass = 1 / (material.density_kg_m3 * size_m**3)
    radiated = radiation_efficiency(omega, body, size_m, material) * skin * size_m**2 * per_mass  # σ ∫ φ² dS (m²/kg)
    distance_m = hearing.distance_m(modes, size_m) if hearing else LISTENER_M
    known = np.flatnonzero(hearing.field.known) if hearing else np.zeros(0, dtype=np.int64)
    if hearing:
        radiated[known] = hearing.field.radiated[known] * size_m**2 * per_mass
    pressure: Pressure = _all_round(radiated, shapes) / (distance_m / LISTENER_M)
    if hearing and hearing.listener_m is not None:
        # Modes that the field does not know have no direction: the mean, in phases that do not add up.
        pressure = pressure * np.exp(1j * GOLDEN_ANGLE * np.arange(len(pressure)))
        there = hearing.field.at(np.array(hearing.listener_m) / size_m)
        pressure[known] = AIR_IMPEDANCE * np.sqrt(per_mass) * there[known]
    audible = (omega >= 2 * np.pi * LOWEST_HZ) & (omega <= highest)
    omega, shapes, radiated, pressure = omega[audible], shapes[:, audible], radiated[audible], pressure[audible]
    internal = _internal(omega, (material, *others), modes.shares, audible)
    # A modal velocity q̇ holds the energy q̇²/2 and radiates ρ₀ c σ ∫φ² dS q̇²/2 on average.
    decay = damping * internal + AIR_IMPEDANCE * radiated / 2
    gain = shapes * np.sqrt(per_mass) * pressure
    join = _added if np.iscomplexobj(gain) else _twins_joined
    joined = join(omega / (2 * np.pi), decay, gain)
    return Partials(*joined, modes.reach, modes.areas, mass, distance_m)


def _all_round(radiated: Array, shapes: Array) -> Array:
    """Pressure by the power P at r, P = 4 π r² p²/(2 ρ₀ c); its sign is that of the motion at a corner of the skin."""
    corner = _signs(shapes[-1], np.abs(shapes).max(0))
    return np.asarray(AIR_IMPEDANCE * np.sqrt(radiated / (4 * np.pi)) / LISTENER_M * corner)


def _internal(omega: Array, materials: Sequence[Material], shares: Array, audible: NDArray[np.bool_]) -> Array:
    """(α + η ω + β ω²) / 2 of the audible modes: α by a material's share of the kinetic energy, what grows with ω by
    that of the elastic one. Modes above the solved ones have the mean shares."""
    alpha, eta, beta = np.array([[m.alpha_per_s, m.loss_factor, m.beta_s] for m in materials]).T
    if not shares.shape[1]:
        return np.asarray((alpha[0] + eta[0] * omega + beta[0] * omega**2) / 2)
    above = len(audible) - shares.shape[2]
    mean = shares.mean(axis=2, keepdims=True).repeat(above, axis=2)
    mass, elastic = np.concatenate([shares, mean], axis=2)[:, :, audible]
    return np.asarray((alpha @ mass + (eta @ elastic) * omega + (beta @ elastic) * omega**2) / 2)


def radiation_efficiency(omega: Array, body: Body, size_m: float, material: Material) -> Array:
    """Power radiated, relative to a large piston of the same mean square velocity: (k a)⁴ / (4 + (k a)⁴).

    That is exact for a sphere of radius a that moves to and fro, where front and back cancel at low frequencies. In
    a mode they cancel over the lesser of half the middle side of the body and the reach 1/k_b of its bending waves,
    so that a thin plate is weak below its coincidence frequency, k_b = k.
    """
    thickness = body.thickness * size_m
    squared = 12 * material.density_kg_m3 * (1 - material.poisson**2) / (material.youngs_pa * thickness**2)
    bending_per_m = np.sqrt(omega) * squared**0.25
    a = np.minimum(sorted(body.extent)[1] * size_m / 2, 1 / bending_per_m)
    ka4 = (omega / SOUND_SPEED_M_S * a) ** 4
    return np.asarray(ka4 / (4 + ka4))


def hit_area(partials_: Partials, hit: tuple[float, float]) -> tuple[NDArray[np.int64], Array]:
    """The points of the skin whose reach is in the range, else the nearest, and the share of the area of each."""
    low, high = hit
    distance = np.maximum(np.maximum(low - partials_.reach, partials_.reach - high), 0)
    points = np.flatnonzero(distance <= distance.min() + 1e-9)
    return points, partials_.areas[points] / partials_.areas[points].sum()


def amplitudes(
    partials_: Partials, points: NDArray[np.int64], impulse_n_s: Array, contact_s: Array, exponent: float = 1.5
) -> Array:
    """Peak pressure of each partial at LISTENER_M (Pa), [blows, modes], for blows at these points of the skin."""
    return np.asarray(_pulses(partials_, impulse_n_s, contact_s, exponent) * partials_.gain[points])


def energy(partials_: Partials, amplitude: Array) -> Array:
    """Energy within HEARD_S, ∫ p² dt = Σ a² (1 - e^{-2 d T}) / (4 d), partials taken apart (Pa² s), [blows]."""
    decay = partials_.decay_per_s
    return np.asarray((amplitude**2 * -np.expm1(-2 * decay * HEARD_S) / (4 * decay)).sum(axis=-1))


def mean_energy(
    partials_: Partials, hit: tuple[float, float], impulse_n_s: Array, contact_s: Array, exponent: float = 1.5
) -> Array:
    """Mean of `energy` over the area of `hit` (Pa² s), [blows]."""
    points, share = hit_area(partials_, hit)
    rms_gain = np.sqrt(share @ partials_.gain[points] ** 2)
    return energy(partials_, _pulses(partials_, impulse_n_s, contact_s, exponent) * rms_gain)


def _pulses(partials_: Partials, impulse_n_s: Array, contact_s: Array, exponent: float) -> Array:
    """Size of the force's spectrum at each partial (N s), [blows, modes]."""
    omega = 2 * np.pi * partials_.frequency_hz
    return impulse_n_s[:, None] * rough_spectrum(omega, contact_s[:, None], exponent)


def click(
    mass_kg: float,
    density_kg_m3: float,
    impulse_n_s: float,
    contact_s: float,
    rate_hz: int,
    n: int,
    exponent: float = 1.5,
) -> Array:
    """The sound of a rigid ball set moving by the pulse (Pa at LISTENER_M), n frames, the pulse's middle at n // 2.

    The field of an oscillating sphere, far off, its directions averaged; Chadwick, Zheng & James, "Precomputed
    acceleration noise for improved rigid-body sound" (2012). A raised cosine takes it to 0 at 0.45 of the rate.
    """
    radius_m = (3 * mass_kg / (4 * np.pi * density_kg_m3)) ** (1 / 3)
    frequency_hz: Array = np.fft.rfftfreq(n, 1 / rate_hz)[1:].astype(np.float64)
    omega = 2 * np.pi * frequency_hz
    ka = omega * radius_m / SOUND_SPEED_M_S
    velocity = impulse_n_s * pulse_spectrum(omega, np.array(contact_s), exponent) / (1j * omega * mass_kg)
    pressure = AIR_IMPEDANCE * radius_m / (LISTENER_M * np.sqrt(3)) * velocity * ka**2 / (ka**2 - 2j * ka - 2)
    band = np.clip((0.45 - frequency_hz / rate_hz) / 0.1, 0, 1)
    spectrum = np.concatenate([[0.0], pressure * np.sin(np.pi / 2 * band) ** 2])
    return np.roll(np.fft.irfft(spectrum * rate_hz, n), n // 2)


def _twins_joined(frequency_hz: Array, decay_per_s: Array, gain: Array) -> tuple[Array, Array, Array]:
    """Modes of one frequency made one partial, whose power is their sum.

    Round and square bodies have pairs, and spheres more: one pattern turned about the axis. Their fields reach
    different directions, so their powers add; as sines with signs they would cancel at some places of the skin.
    """
    starts = np.flatnonzero(np.diff(frequency_hz, prepend=-np.inf) > TWINS * frequency_hz)
    if len(starts) == len(frequency_hz):
        return frequency_hz, decay_per_s, gain
    size = np.sqrt(np.add.reduceat(gain**2, starts, axis=1))
    return frequency_hz[starts], decay_per_s[starts], size * _signs(gain[:, starts], size)


def _added(frequency_hz: Array, decay_per_s: Array, gain: NDArray[np.complex128]) -> tuple[Array, Array, Array]:
    """As `_twins_joined`, at a listener's place: there the pressures of modes of one frequency add. gain: complex."""
    starts = np.flatnonzero(np.diff(frequency_hz, prepend=-np.inf) > TWINS * frequency_hz)
    joined = np.add.reduceat(gain, starts, axis=1)
    size = np.abs(joined)
    loudest = joined[size.argmax(axis=0), np.arange(len(starts))]
    in_phase = (joined * np.conj(loudest)).real
    return frequency_hz[starts], decay_per_s[starts], size * _signs(in_phase, np.abs(loudest) * size.max(axis=0))


def _signs(values: Array, scale: Array) -> Array:
    """−1 or 1; 1 at a node, where the sign is rounding's, which differs between processors."""
    return np.where(values < -1e-6 * scale, -1.0, 1.0)


def _with_dense_modes(modes: Modes, highest: float) -> tuple[Array, Array, Array]:
    """The solved modes, and above them as many as a plate has: bending has a constant density of modes.

    A large sheet has thousands in the audible range. They are drawn once for all, by the statistics of a random
    wave field: evenly spread frequencies, at any point of the skin a normal variable of variance 1 / mass. Where there
    are more than N_DENSE, each stands for several.
    """
    top = float(modes.omega[-1])
    half = len(modes.omega) // 2
    density = half / (top - float(modes.omega[-1 - half]))
    n_all = density * (highest - top)
    if n_all < 1:
        return modes.omega, modes.shapes, modes.skin
    n = min(int(n_all), N_DENSE)
    rng = np.random.Generator(np.random.PCG64(len(modes.omega)))
    omega = top + (np.arange(n) + rng.uniform(size=n)) * (highest - top) / n
    shapes = rng.standard_normal((len(modes.shapes), n)) * np.sqrt(n_all / n / float(modes.volume))
    skin = np.full(n, float(modes.skin_area / modes.volume))
    return np.concatenate([modes.omega, omega]), np.hstack([modes.shapes, shapes]), np.concatenate([modes.skin, skin])
