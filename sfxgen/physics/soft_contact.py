"""The force between a soft striker and a hard body: a power law with loss, in place of Hertz's.

F = k δ^α (1 + μ δ̇): Hunt & Crossley, "Coefficient of restitution interpreted as damping in vibroimpact" (1975). With
δ = (m v^{1-α} / k)^{1/(α+1)} v x and the time in units of (m / (k v^{α-1}))^{1/(α+1)} the motion knows α and d = μ v
only, so that all but units is found once for each α.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import lambertw, polygamma

from sfxgen.manifest.materials import Material
from sfxgen.manifest.strikers import SOFT
from sfxgen.physics.contact import Contact, contact
from sfxgen.physics.modal.shapes import Array

SERIES_BELOW = 0.03  # of d: Lambert's W loses its digits next to its branch point
N_QUADRATURE = 800
LOSSES = np.concatenate([[1e-4], np.geomspace(1e-3, 10, 120)])  # of d, where the shape of the pulse is tabulated


@dataclass(frozen=True)
class SoftContact:
    """Two bodies that meet in a point, one of them soft.

    stiffness: k (N/m^α); exponent: α; loss_s_m: μ (s/m); mass_kg: m, 1/m = Σ 1/m_i.
    """

    stiffness: float
    exponent: float
    loss_s_m: float
    mass_kg: float

    def compression_m(self, speed_m_s: Array) -> Array:
        """The deepest δ: k δ^{α+1} / (α+1) = m (μ v - ln(1 + μ v)) / μ² (½ m v² without loss)."""
        d = np.maximum(self.loss_s_m * speed_m_s, LOSSES[0])
        work = self.mass_kg * speed_m_s**2 * (d - np.log1p(d)) / d**2
        return np.asarray(((self.exponent + 1) * work / self.stiffness) ** (1 / (self.exponent + 1)))

    def restitution(self, speed_m_s: Array) -> Array:
        """Speed after over speed before: what the law of force takes, whatever α."""
        return restitution(self.loss_s_m * speed_m_s)

    def impulse_n_s(self, speed_m_s: Array, restitution: float = 1.0) -> Array:
        """Momentum that passes from one to the other, (1 + e) m v, with the e of its own loss, not of a bounce."""
        del restitution
        return np.asarray((1 + self.restitution(speed_m_s)) * self.mass_kg * speed_m_s)

    def touching_s(self, speed_m_s: Array) -> Array:
        """How long the bodies touch. Without loss 2 √π Γ(1 + q) / Γ(½ + q) δ_max / v, q = 1 / (α + 1)."""
        duration, _ = _shape(self.exponent)
        return np.asarray(self._unit_s(speed_m_s) * np.interp(self.loss_s_m * speed_m_s, LOSSES, duration))

    def duration_s(self, speed_m_s: Array) -> Array:
        """The duration t_c of the pulse sin^α(π t / t_c) that spreads in time as the force does.

        Equal variances make equal spectra up to ω²; both fall as ω^{-(α+1)} far above 1 / t_c. Loss gives the force a
        tail that is long and weak, so that this is less than `touching_s`.
        """
        _, variance = _shape(self.exponent)
        spread = np.sqrt(np.interp(self.loss_s_m * speed_m_s, LOSSES, variance))
        return np.asarray(self._unit_s(speed_m_s) * spread / spread_of_sine(self.exponent))

    def _unit_s(self, speed_m_s: Array) -> Array:
        """The time in which the motion is told: (m / (k v^{α-1}))^{1/(α+1)}."""
        return np.asarray(
            (self.mass_kg / (self.stiffness * speed_m_s ** (self.exponent - 1))) ** (1 / (self.exponent + 1))
        )


def spread_of_sine(exponent: float) -> float:
    """Standard deviation in time of a pulse sin^α(π t / t_c), over t_c."""
    return float(np.sqrt(polygamma(1, exponent / 2 + 1) / (2 * np.pi**2)))


def touching(
    striker: str, first: Material, second: Material, radius_m: float, curvature_per_m: float, mass_kg: float,
    other_mass_kg: float,
) -> Contact | SoftContact:  # fmt: skip
    """How a striker of that material touches a skin: by its own law where it is soft, else by Hertz's.

    striker: the name of its material `first`. A round tip of radius R in a stuff whose stress is a power of its
    strain has F = E R^{2-α} δ^α (Hill, Storåkers & Zdunek 1989: the patch is self-similar); Hertz's is α = 3/2,
    E = 4/3 E*. What the struck body gives way is added as Hertz has it, 1/E = 1/E_striker + 3/4 (1 - ν²) / E_body.
    """
    hertz = contact(first, second, radius_m, curvature_per_m, mass_kg, other_mass_kg)
    soft = SOFT.get(striker)
    if soft is None:
        return hertz
    modulus_pa = 1 / (1 / soft.modulus_pa + 0.75 * (1 - second.poisson**2) / second.youngs_pa)
    stiffness = modulus_pa * hertz.radius_m ** (2 - soft.exponent)
    return SoftContact(stiffness, soft.exponent, soft.loss_s_m, hertz.mass_kg)


def restitution(loss: Array) -> Array:
    """e of d = μ v, from e d + ln(1 - e d) = ln(1 + d) - d: 1 - 2/3 d for small d (Marhefka & Orin 1999, eq. 12)."""
    d = np.asarray(loss, dtype=np.float64)
    series = 1 - 2 / 3 * d + 4 / 9 * d**2 - 44 / 135 * d**3 + 104 / 405 * d**4
    large = np.maximum(d, SERIES_BELOW)
    closed = (1 + lambertw(-(1 + large) * np.exp(-(1 + large))).real) / large
    return np.where(d < SERIES_BELOW, series, closed)


@lru_cache(maxsize=16)
def _shape(exponent: float) -> tuple[Array, Array]:
    """Of the pulse at each d of LOSSES, in the units of the module's head: its length, and the variance of its time.

    By the phase plane: since F dt = -m dv, impulse counts as speed lost, and x(v) is known in closed form. The times
    are integrals over v, with points that crowd where the bodies meet and part, as x^{-α} asks.
    """
    d, p = LOSSES[:, None], exponent + 1
    u = (np.arange(N_QUADRATURE) + 0.5) / N_QUADRATURE
    rising, falling = u**p, (1 - u) ** p
    lost, left = rising / (rising + falling), falling / (rising + falling)  # shares of the speed
    weight = p * (u * (1 - u)) ** (p - 1) / (rising + falling) ** 2 / N_QUADRATURE
    e = restitution(d)
    change = 1 + e
    v = 1 - change * lost
    # (d - ln(1 + d) - d v + ln(1 + d v)) / d², from whichever end is nearer, so that no digits are lost to the other.
    start = d * change * lost - np.log1p(d * change * lost / (1 + d * v))
    end = np.log1p(d * change * left / (1 - d * e)) - d * change * left
    work = np.where(lost < 0.5, start, end) / d**2
    x = (p * np.maximum(work, 1e-300)) ** (1 / p)
    dt = change * weight / (x**exponent * (1 + d * v))
    t = np.cumsum(dt, axis=1) - dt / 2
    mean = (t * weight).sum(axis=1, keepdims=True)
    return dt.sum(axis=1), ((t - mean) ** 2 * weight).sum(axis=1)
