"""The force between striker and body, by Hertz's theory of elastic contact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, gammasgn

from sfxgen.manifest.materials import Material
from sfxgen.physics.modal.shapes import Array

SPOTS_ACROSS = 10  # micro-contacts along a diameter of the contact: set so that a soft blow keeps its treble


@dataclass(frozen=True)
class Contact:
    """Two bodies that meet in a point.

    modulus_pa: E*, 1/E* = Σ (1 - ν²)/E; radius_m: R, 1/R = Σ 1/R_i; mass_kg: m, 1/m = Σ 1/m_i.
    """

    modulus_pa: float
    radius_m: float
    mass_kg: float

    exponent = 1.5  # α of the law of force k δ^α

    @property
    def stiffness(self) -> float:
        """k in the law of force F = k δ^{3/2} (N/m^{3/2}): 4/3 E* √R."""
        return 4 / 3 * self.modulus_pa * float(np.sqrt(self.radius_m))

    def duration_s(self, speed_m_s: Array) -> Array:
        """How long the bodies touch, t_c = 2.868 (m² / (R E*² v))^{1/5} (Johnson, Contact Mechanics, eq. 11.24)."""
        return np.asarray(2.868 * (self.mass_kg**2 / (self.radius_m * self.modulus_pa**2 * speed_m_s)) ** 0.2)

    def impulse_n_s(self, speed_m_s: Array, restitution: float) -> Array:
        """Momentum that passes from one to the other, (1 + e) m v."""
        return (1 + restitution) * self.mass_kg * speed_m_s


def contact(
    first: Material, second: Material, radius_m: float, curvature_per_m: float, mass_kg: float, other_mass_kg: float
) -> Contact:
    """A striker of tip radius `radius_m` on a skin of that curvature (0: flat)."""
    compliance = sum((1 - m.poisson**2) / m.youngs_pa for m in (first, second))
    return Contact(1 / compliance, 1 / (1 / radius_m + curvature_per_m), 1 / (1 / mass_kg + 1 / other_mass_kg))


def pulse_spectrum(omega: Array, duration_s: Array, exponent: float = 1.5) -> Array:
    """Spectrum of a pulse sin^α(π t / t_c) of unit impulse, taken about its middle, where it is real.

    With α = 3/2 the shape is that of Hunter (1957) for Hertz's force. Closed form by Gradshteyn & Ryzhik 3.631:
    ∫ sin^{ν-1} x cos(b (x - π/2)) dx over [0, π] = π 2^{1-ν} Γ(ν) / (Γ((ν+b+1)/2) Γ((ν-b+1)/2)),
    here with ν = α + 1 and b = ω t_c / π.
    So a contact shorter than a sample keeps its impulse and its true spectrum. omega (rad/s) and duration_s
    broadcast; the value at 0 is 1.
    """
    b = np.asarray(omega * duration_s / np.pi, dtype=np.float64)
    middle = exponent / 2 + 1
    upper, lower = middle + b / 2, middle - b / 2
    # 1/Γ is 0 at the poles of Γ, where scipy's logarithm is +inf and its sign NaN.
    size = np.exp(2 * gammaln(middle) - gammaln(upper) - gammaln(lower))
    return np.asarray(size * np.nan_to_num(gammasgn(lower)))


def rough_spectrum(omega: Array, duration_s: Array, exponent: float = 1.5) -> Array:
    """Size of the spectrum of a contact between rough skins, of unit impulse: arguments as in `pulse_spectrum`.

    Real skins touch in spots. With k spots along a diameter of the contact, k² share the impulse, and its rim,
    which grows and shrinks across all k, passes each in about t_c / k. If they meet at independent times whose mean
    rate makes up the smooth pulse, the force is shot noise, and its energy spectrum is that of the mean plus that of
    the single events: |F|² = (1 - 1/k²) |H(ω t_c)|² + |H(ω t_c / k)|² / k² (Campbell's theorem; Rice, "Mathematical
    analysis of random noise", 1944, part I). k is chosen, not a measured roughness. It fills the
    zeros of the smooth pulse and slows the fall of its treble in slow blows; below 1 / t_c it changes nothing.
    """
    smooth, spot = (pulse_spectrum(omega, duration_s / k, exponent) for k in (1, SPOTS_ACROSS))
    share = 1 / SPOTS_ACROSS**2
    return np.asarray(np.sqrt((1 - share) * smooth**2 + share * spot**2))
