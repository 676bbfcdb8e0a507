"""Bubbles of air in a liquid: their pitch, how they die away, and their sizes."""

from __future__ import annotations

import numpy as np

from sfxgen.manifest.liquid import Fluid
from sfxgen.physics.modal.shapes import Array

HEAT_RATIO = 1.4  # γ of air
ATMOSPHERE_PA = 101_325.0
WATER_KG_M3 = 998.2
RADIATION, THERMAL = 0.13, 0.0072  # in water, with r in metres


def minnaert_hz(radius_m: Array, fluid: Fluid) -> Array:
    """Pitch of a bubble, √(3 γ p₀ / ρ) / (2π r) (Minnaert 1933): 3.29 m Hz / r in water at one atmosphere."""
    return np.asarray(np.sqrt(3 * HEAT_RATIO * ATMOSPHERE_PA / fluid.density_kg_m3) / (2 * np.pi * radius_m))


def decay_per_s(radius_m: Array, fluid: Fluid) -> Array:
    """Decay of the amplitude, 0.13 / r + 0.0072 r^{-3/2} + 2 μ / (ρ r²).

    Radiation and heat as van den Doel, "Physically based models for liquid sounds" (2005), has them for water; the
    first goes as ω² r / 2c and so as 1/ρ, the second as √ω / r. Friction in the liquid: Devin 1959, δ = 4 μ / (ρ ω r²),
    which water does without and mud does not.
    """
    lighter = WATER_KG_M3 / fluid.density_kg_m3
    viscous = 2 * fluid.viscosity_pa_s / (fluid.density_kg_m3 * radius_m**2)
    return np.asarray(RADIATION * lighter / radius_m + THERMAL * lighter**0.25 * radius_m**-1.5 + viscous)


def radii_m(low_m: float, high_m: float, exponent: float, u: Array) -> Array:
    """Radii of the density r^-exponent between two ends, from u of 0 to 1: the inverse of its distribution.

    Under breaking waves 3/2 below the Hinze scale, about 1 mm, and 10/3 above (Deane & Stokes 2002).
    """
    if high_m == low_m:
        return np.full_like(u, low_m)
    power = 1 - exponent
    if abs(power) < 1e-9:
        return np.asarray(low_m * (high_m / low_m) ** u)
    return np.asarray((low_m**power + u * (high_m**power - low_m**power)) ** (1 / power))
