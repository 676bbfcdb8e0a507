"""The modes of one body at every Poisson ratio of a band, from one solve.

A body's stiffness is a sum of two matrices with coefficients that depend on Poisson's ratio ν alone. Its modes at one ν
and how they would begin to change with it span a space in which those at other ν are found by a matrix of some hundred
rows: the reduced basis of Noor & Peters, "Reduced basis technique for nonlinear analysis of structures" (1980). Young's
modulus, density and size only scale the frequencies: see `strike`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from sfxgen.events import untold
from sfxgen.physics.air.panels import Panels
from sfxgen.physics.modal.elements import Factors, lowest_by, orthonormal
from sfxgen.physics.modal.shapes import Array, Index

VERSION = "2"  # part of the cache keys: raise it when the same solve would give other modes
BANDS = ((0.17, 0.1), (0.38, 0.29), (0.475, 0.44), (0.495, 0.487), (0.5, 0.4975))  # up to which ν, and solved at which
N_RIGID = 6
MARGIN = 16  # modes beyond those asked for: at another ν they mix with them
EQUAL = 1e-8  # relative difference of eigenvalues that only rounding tells apart
_OF_BODY = ("points", "areas", "reach", "volume", "skin_area")
_OF_GROUP = ("stiffness", "shapes", "skin", "moved", "copies", "shares")
ONE_MATERIAL: Array = np.zeros((2, 0, 1, 1))  # of which nobody needs to know the shares
_NEW = 1e-9  # squared size of a change, relative to the largest, below which it is rounding


def centre(poisson: float) -> float:
    """The ratio at which one solve serves a band of them around `poisson`, 0 <= poisson < 0.5: modes within 0.2 %, or
    0.4 % below a ratio of 0.1 and above 0.499."""
    return next(solved for limit, solved in BANDS if poisson <= limit)


def solid_law(poisson: float) -> tuple[float, float]:
    """Of the two matrices of isotropic elasticity for unit Young's modulus: Lamé's λ and μ."""
    return poisson / ((1 + poisson) * (1 - 2 * poisson)), 1 / (2 * (1 + poisson))


def shell_law(poisson: float) -> tuple[float, float]:
    """Of the two matrices of plane stress: ν / (1 - ν²) and 1 / (1 - ν²)."""
    return poisson / (1 - poisson**2), 1 / (1 - poisson**2)


def fixed_law(poisson: float) -> tuple[float, float]:  # noqa: ARG001
    """Of a matrix that holds its ratios already, as of a body of several materials, the second of two."""
    return 0.0, 1.0


LAWS = {"solid": solid_law, "shell": shell_law, "fixed": fixed_law}


@dataclass(frozen=True)
class Modes:
    """Modes of a body whose first size, density and Young's modulus are all 1; see `strike` for real ones.

    omega: [modes] angular frequencies, ascending, the six rigid motions left out.
    shapes: [points, modes], outward displacement at the points where a blow may land, for unit modal mass.
    points: [points, 3], areas: [points] of skin that each stands for, reach: [points], 0 middle to 1 end or rim.
    skin: [modes], the integral over the whole skin of the squared outward displacement.
    volume: the body's mass over its density, of several materials over the first one's; skin_area: of the whole body.
    panels, moved: the skin in panels and their outward displacement, [panels, modes]; none unless asked for.
    shares: [2, materials, modes], of a mode's kinetic and of its elastic energy in each material where there are
    several; none where there is one.
    """

    omega: Array
    shapes: Array
    points: Array
    areas: Array
    reach: Array
    skin: Array
    volume: Array
    skin_area: Array
    panels: Panels
    moved: Array
    shares: Array


@dataclass(frozen=True)
class Basis:
    """vectors [dofs, m], orthonormal by the mass; stiffness [2, m, m], both matrices in them; n_sure: how many of the
    lowest modes it gives."""

    vectors: Array
    stiffness: Array
    n_sure: int


def subspace(
    matrices: tuple[csc_matrix, csc_matrix], M: csc_matrix, law: str, poisson: float, omega: float, n: int,
    order: Index | None = None, margin: int = MARGIN, tell: Callable[[str], None] = untold,
) -> Basis:  # fmt: skip
    """A space that holds the n lowest modes at `poisson` and nearly so those at ratios around it.

    matrices: as LAWS[law] weighs them; omega: about the lowest frequency; order: of elimination; tell: is told how it
    goes on.
    """
    a, b = LAWS[law](poisson)
    K = (a * matrices[0] + b * matrices[1]).tocsc()
    tell(f"{K.shape[0]:,} unknowns")
    factors = Factors((K + omega**2 * M).tocsc(), order)
    margin = min(margin, K.shape[0] - 1 - n)
    _, vectors = lowest_by(factors, M, omega, n + margin, margin, tell)
    # The change of a mode with ν is (λ M - K)⁺ K' v, nearly -(K + ω² M)⁻¹ K' v but for its share in the other modes.
    change = factors.solve(np.asfortranarray(matrices[0] @ vectors))
    del factors  # the most of the memory
    for _ in range(2):
        change -= vectors @ (vectors.T @ (M @ change))
    gram = change.T @ (M @ change)
    size, axes = np.linalg.eigh((gram + gram.T) / 2)
    new = size > _NEW * max(float(size.max()), 1e-300)
    basis = orthonormal(np.hstack([vectors, change @ (axes[:, new] / np.sqrt(size[new]))]), M)
    stiffness = np.stack([basis.T @ (matrix @ basis) for matrix in matrices])
    return Basis(basis, (stiffness + stiffness.transpose(0, 2, 1)) / 2, n)


@dataclass(frozen=True)
class Group:
    """The modes of one pattern of symmetry. stiffness: [2, m, m]; shapes: [spots, m], outward displacement of the basis
    at the places where a blow may land, of the part that was solved; skin: [m, m], integral over the whole skin of the
    products of outward displacements; moved: [panels, m], outward displacement of all panels, those of mirror images
    too; copies: [copies], the sign of the part in each of its mirror images; shares: [2, materials, m, m], each
    material's part in the mass and in the stiffness of the basis, where there are several."""

    stiffness: Array
    shapes: Array
    skin: Array
    moved: Array
    copies: Array
    shares: Array
    n_sure: int


@dataclass(frozen=True)
class ModeFamily:
    """points, areas, reach, volume, skin_area, panels: as of `Modes`; n_rigid: how many of the lowest move no part in
    itself."""

    law: str
    n_modes: int
    groups: tuple[Group, ...]
    points: Array
    areas: Array
    reach: Array
    volume: Array
    skin_area: Array
    panels: Panels
    n_rigid: int = N_RIGID

    def at(self, poisson: float) -> Modes:
        """The modes at a ratio of the band that was solved for, the rigid motions left out."""
        weights = np.array(LAWS[self.law](poisson))
        solved = [np.linalg.eigh(np.tensordot(weights, group.stiffness, 1)) for group in self.groups]
        sure = [values[: group.n_sure] for group, (values, _) in zip(self.groups, solved, strict=True)]
        complete = min(float(values[-1]) for values in sure)
        eigenvalues = np.concatenate(sure)
        order = ascending(eigenvalues)
        order = order[eigenvalues[order] <= complete][self.n_rigid : self.n_rigid + self.n_modes]
        outputs = (_outputs(group, vectors) for group, (_, vectors) in zip(self.groups, solved, strict=True))
        shapes, skin, moved, shares = zip(*outputs, strict=True)
        share = np.concatenate(shares, axis=2)[:, :, order]
        share[1] /= eigenvalues[order]
        return Modes(
            omega=np.sqrt(eigenvalues[order]),
            shapes=np.concatenate(shapes, axis=1)[:, order],
            points=self.points,
            areas=self.areas,
            reach=self.reach,
            skin=np.concatenate(skin)[order],
            volume=self.volume,
            skin_area=self.skin_area,
            panels=self.panels,
            moved=np.concatenate(moved, axis=1)[:, order],
            shares=share,
        )

    def to_bytes(self) -> bytes:
        """An npz file; equal families give equal bytes."""
        arrays = {name: getattr(self, name) for name in _OF_BODY}
        arrays |= {"panels": self.panels.corners, "is_sheet": np.array(self.panels.is_sheet)}
        for i, group in enumerate(self.groups):
            arrays |= {f"{i}.{name}": getattr(group, name) for name in _OF_GROUP}
        n_sure = [group.n_sure for group in self.groups]
        stream = io.BytesIO()
        np.savez(stream, law=np.array(self.law), n=np.array([self.n_modes, self.n_rigid, *n_sure]), **arrays)
        return stream.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> ModeFamily:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            n_modes, n_rigid, *n_sure = (int(n) for n in arrays["n"])
            groups = tuple(
                Group(**{name: arrays[f"{i}.{name}"] for name in _OF_GROUP}, n_sure=n) for i, n in enumerate(n_sure)
            )
            panels = Panels(arrays["panels"], bool(arrays["is_sheet"]))
            whole = {name: arrays[name] for name in _OF_BODY}
            return ModeFamily(str(arrays["law"]), n_modes, groups, **whole, panels=panels, n_rigid=n_rigid)


def _outputs(group: Group, vectors: Array) -> tuple[Array, Array, Array, Array]:
    """Of a group's sure modes: shapes at all copies of the spots, [copies spots, n], the skin's integrals, [n], how the
    panels move, [panels, n], and mass and stiffness in each material, [2, materials, n]."""
    vectors = vectors[:, : group.n_sure]
    shapes = group.shapes @ vectors
    signs = _signs(shapes)
    skin = np.einsum("im,ij,jm->m", vectors, group.skin, vectors, optimize=True)
    shares = np.zeros((2, group.shares.shape[1], vectors.shape[1]))
    for which, material in np.ndindex(shares.shape[:2]):
        shares[which, material] = ((group.shares[which, material] @ vectors) * vectors).sum(axis=0)
    whole = np.concatenate([sign * signs * shapes for sign in group.copies])
    return whole, skin, group.moved @ vectors * signs, shares


def _signs(shapes: Array) -> Array:
    """Of each column's first entry that is as large as any: a symmetric pattern has several, equal but for rounding,
    which differs from processor to processor."""
    size = np.abs(shapes)
    first = (size > (1 - 1e-6) * size.max(axis=0)).argmax(axis=0)
    return np.where(shapes[first, np.arange(shapes.shape[1])] < 0, -1.0, 1.0)


def ascending(eigenvalues: Array) -> NDArray[np.int64]:
    """Their order; those that are equal but for rounding, which differs between processors, stay as they come."""
    order = np.argsort(eigenvalues, kind="stable")
    group = np.cumsum(np.diff(eigenvalues[order], prepend=-np.inf) > EQUAL * np.abs(eigenvalues[order]))
    return np.asarray(order[np.lexsort((order, group))])


def one_group(
    law: str, n_modes: int, basis: Basis, outward: Array, points: Array, areas: Array, spots: Sequence[int] | Index,
    volume: float, sides: int = 1, shares: Array = ONE_MATERIAL,
) -> ModeFamily:  # fmt: skip
    """The family of a body without symmetries. outward: [points, m], displacement of the basis over a skin of `areas`
    [points], of which blows land on `spots`; volume: as of `Modes`; sides: how many times that skin radiates."""
    away = np.linalg.norm(points - np.average(points, axis=0, weights=areas), axis=1)[spots]
    skin = sides * (outward.T @ (areas[:, None] * outward))
    moved = np.zeros((0, outward.shape[1]))
    return ModeFamily(
        law=law,
        n_modes=n_modes,
        groups=(Group(basis.stiffness, outward[spots], skin, moved, np.ones(1), shares, basis.n_sure),),
        points=points[spots],
        areas=np.full(len(spots), areas.sum() / len(spots)),
        reach=(away - away.min()) / max(float(np.ptp(away)), 1e-12),
        volume=np.array(volume),
        skin_area=np.array(sides * areas.sum()),
        panels=Panels.none(),
    )
