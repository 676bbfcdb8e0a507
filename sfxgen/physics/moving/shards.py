"""The modes of shards: of a small family of plates and blocks, brought to each shard by the laws of scale.

Thin plates of one outline bend at ω ∝ t / L² √(E/ρ), so that one solve serves all that are thinner; sizes and materials
scale as for any body. The outlines of shards are irregular: their modes stray from the rectangle's at random.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sfxgen.physics.modal.families import Modes
from sfxgen.physics.modal.shapes import Body

SLENDER = (1.0, 1.5, 2.3)  # length over width: a shard takes the nearest
THIN = (0.025, 0.07, 0.16)  # thickness over length, of plates …
STOUT = (0.35, 0.6, 1.0)  # … and of blocks
STRAYING = 0.06  # of the modes of a shard beside those of a rectangle
N_POINTS = 192  # of its skin, where it may be struck


def of_proportions(area_m2: float, wall_m: float, slender: float) -> tuple[Body, float, float]:
    """Of a shard of that area, thickness, and length over width: the member of the family, the length of the shard (m)
    and its thickness over the member's, both of length 1."""
    ratio = _nearest(SLENDER, slender)
    length_m = float(np.sqrt(area_m2 * ratio))
    thin = wall_m / length_m
    if thin > (THIN[-1] + STOUT[0]) / 2:
        solid_m = float(np.cbrt(area_m2 * wall_m * ratio / _nearest(STOUT, thin)))
        return Body("box", (1.0, round(1 / ratio, 6), _nearest(STOUT, thin))), solid_m, 1.0
    member = _nearest(THIN, thin)
    return Body("plate", (1.0, round(1 / ratio, 6), member)), length_m, thin / member


def _nearest(values: tuple[float, ...], wanted: float) -> float:
    return min(values, key=lambda value: abs(float(np.log(value / wanted))))


def thinned(modes: Modes, body: Body, ratio: float) -> tuple[Modes, Body]:
    """The plate made so many times as thick: stiffness goes as t³ and mass as t, so that ω goes as t; modal masses of 1
    want φ as t^{-1/2}."""
    if ratio == 1.0:
        return modes, body
    thinner = replace(
        modes,
        omega=modes.omega * ratio,
        shapes=modes.shapes / np.sqrt(ratio),
        points=modes.points * np.array([1.0, 1.0, ratio]),
        skin=modes.skin / ratio,
        volume=modes.volume * ratio,
    )
    return thinner, Body(body.shape, (*body.size[:2], body.size[2] * ratio))


def irregular(modes: Modes, rng: np.random.Generator) -> Modes:
    """With modes that stray, at N_POINTS of its skin."""
    omega = modes.omega * np.exp(STRAYING * rng.standard_normal(len(modes.omega)))
    order = np.argsort(omega)
    n = len(modes.points)
    points = np.sort(rng.choice(n, size=min(N_POINTS, n), replace=False))
    return Modes(
        omega=omega[order],
        shapes=modes.shapes[np.ix_(points, order)],
        points=modes.points[points],
        areas=modes.areas[points] * n / len(points),
        reach=modes.reach[points],
        skin=modes.skin[order],
        volume=modes.volume,
        skin_area=modes.skin_area,
        panels=modes.panels,
        moved=modes.moved[:, order],
        shares=modes.shares[:, :, order],
    )
