"""Bending frequencies in closed form, for the tests of modes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq

from sfxgen.physics.modal.shapes import Array


def roots(function: Callable[[float], float], low: float, high: float, n: int) -> list[float]:
    """The first n roots of a smooth function above `low`, from its changes of sign."""
    grid = np.linspace(low, high, 2_000)
    values = np.array([function(x) for x in grid])
    changes = np.flatnonzero(np.sign(values[1:]) != np.sign(values[:-1]))
    assert len(changes) >= n
    return [float(brentq(function, grid[i], grid[i + 1])) for i in changes[:n]]


def nearest_error(found: Array, expected: list[float]) -> float:
    """Largest relative distance from an expected frequency to the one nearest to it."""
    assert len(found) > 0
    assert len(expected) > 0
    return max(float(np.abs(found - e).min()) / e for e in expected)


def timoshenko(length: float, radius_of_gyration: float, shear_factor: float, poisson: float, n: int) -> list[float]:
    """Bending frequencies of a free bar of unit modulus and density, by Timoshenko's equations.

    Even and odd shapes are A cosh ax + B cos bx and A sinh ax + B sin bx, free of moment and shear at the ends.
    """
    shear = shear_factor / (2 * (1 + poisson))
    r2, half = radius_of_gyration**2, length / 2

    def determinants(omega: float) -> tuple[float, float]:
        p, q = omega**2, omega**2 / shear
        root = np.sqrt((p - q) ** 2 / 4 + p / r2)
        a, b = np.sqrt(root - (p + q) / 2), np.sqrt(root + (p + q) / 2)
        even = (a**2 + q) * np.sin(b * half) / b - (q - b**2) * np.cos(b * half) * np.tanh(a * half) / a
        odd = (a**2 + q) * np.tanh(a * half) * np.cos(b * half) / b + (q - b**2) * np.sin(b * half) / a
        return float(even), float(odd)

    highest = 0.9 * np.sqrt(shear / r2)
    both = [roots(lambda w, i=i: determinants(w)[i], 1e-3, highest, (n + 1) // 2) for i in (0, 1)]  # type: ignore[misc]
    return sorted(both[0] + both[1])[:n]
