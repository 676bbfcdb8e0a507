"""Bodies of several materials: a wooden handle on a steel blade, or parts that ring apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from sfxgen.physics.air.panels import Panels
from sfxgen.physics.modal.families import LAWS, N_RIGID, Basis, ModeFamily
from sfxgen.physics.modal.shapes import Array, Index

Matrices = tuple[tuple[csc_matrix, csc_matrix], csc_matrix, float]  # both of stiffness, mass, volume


@dataclass(frozen=True)
class Ingredient:
    """A material beside the first one of a body: Young's modulus and density over the first one's; Poisson's ratio."""

    stiffness: float
    density: float
    poisson: float


@dataclass(frozen=True)
class Mixture:
    """owner: of each element the number of its material; ingredients: of each material, the first being 1 and 1."""

    owner: Index
    ingredients: tuple[Ingredient, ...]

    def pieces(self, law: str, assemble: Callable[[NDArray[np.bool_]], Matrices]) -> Pieces:
        """assemble: the matrices of those elements alone, as LAWS[law] weighs them."""
        stiffness, masses, volume, mass = [], [], 0.0, 0.0
        for number, own in enumerate(self.ingredients):
            (first, second), M, size = assemble(self.owner == number)
            a, b = LAWS[law](own.poisson)
            stiffness.append((own.stiffness * (a * first + b * second)).tocsc())
            masses.append((own.density * M).tocsc())
            volume, mass = volume + size, mass + own.density * size
        return Pieces(tuple(stiffness), tuple(masses), volume, mass)


@dataclass(frozen=True)
class Pieces:
    """Of each material its part in the stiffness and in the mass, [dofs, dofs]. volume: of them all; mass: of them all,
    over the first one's density."""

    stiffness: tuple[csc_matrix, ...]
    masses: tuple[csc_matrix, ...]
    volume: float
    mass: float

    def matrices(self) -> Matrices:
        """Of the whole, for the law "fixed"."""
        K, M = (sum(parts[1:], parts[0]).tocsc() for parts in (self.stiffness, self.masses))
        return (csc_matrix(K.shape), K), M, self.volume

    def shares(self, basis: Basis) -> Array:
        """Of each material in the mass and stiffness of the basis, [2, materials, m, m]."""
        V = basis.vectors
        return np.array([[V.T @ (own @ V) for own in parts] for parts in (self.masses, self.stiffness)])


@dataclass(frozen=True)
class Apart:
    """A part that rings by itself: its modes, its longest side over that of the whole, and its material's number."""

    family: ModeFamily
    length: float
    material: int


def side_by_side(parts: Sequence[Apart], ingredients: Sequence[Ingredient], n_modes: int, n_spots: int) -> ModeFamily:
    """The modes of parts that do not touch as those of one body, struck where the blow lands: frequencies go as
    √(E/ρ)/L, and modal masses of 1 want φ as (ρ L³)^{-1/2}. It has no panels."""
    kept = [_spread(len(part.family.points), max(1, n_spots // len(parts))) for part in parts]
    ends = np.cumsum([0, *(len(spots) for spots in kept)])
    points = np.concatenate([p.length * p.family.points[spots] for p, spots in zip(parts, kept, strict=True)])
    areas = np.concatenate(
        [p.length**2 * p.family.areas[s] * len(p.family.areas) / len(s) for p, s in zip(parts, kept, strict=True)]
    )
    groups = []
    for i, part in enumerate(parts):
        own, (group,) = ingredients[part.material], part.family.groups
        weights = np.array(LAWS[part.family.law](own.poisson))
        stiffness = own.stiffness / own.density / part.length**2 * np.tensordot(weights, group.stiffness, 1)
        scale = 1 / np.sqrt(own.density * part.length**3)
        shapes = np.zeros((len(points), len(stiffness)))
        shapes[ends[i] : ends[i + 1]] = scale * group.shapes[kept[i]]
        shares = np.zeros((2, len(ingredients), *stiffness.shape))
        shares[0, part.material], shares[1, part.material] = np.eye(len(stiffness)), stiffness
        groups.append(
            replace(
                group,
                stiffness=np.stack([np.zeros_like(stiffness), stiffness]),
                shapes=shapes,
                skin=scale**2 * part.length**2 * group.skin,
                moved=np.zeros((0, len(stiffness))),
                shares=shares,
            )
        )
    away = np.linalg.norm(points - np.average(points, axis=0, weights=areas), axis=1)
    return ModeFamily(
        law="fixed",
        n_modes=n_modes,
        groups=tuple(groups),
        points=points,
        areas=areas,
        reach=(away - away.min()) / max(float(np.ptp(away)), 1e-12),
        volume=np.sum([ingredients[p.material].density * p.length**3 * p.family.volume for p in parts]),
        skin_area=np.sum([p.length**2 * p.family.skin_area for p in parts]),
        panels=Panels.none(),
        n_rigid=N_RIGID * len(parts),
    )


def _spread(n: int, wanted: int) -> Index:
    """Numbers of `wanted` of n points, or of all, evenly."""
    return np.unique(np.linspace(0, n - 1, min(n, wanted)).round().astype(np.int64))
