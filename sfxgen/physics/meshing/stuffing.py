"""Tetrahedra in a body that is given by a function of place, by isosurface stuffing.

Implements the uniform method of Labelle & Shewchuk, "Isosurface Stuffing: Fast Tetrahedral Meshes with Good Dihedral
Angles" (SIGGRAPH 2007): a body-centred cubic lattice is laid over the body, lattice points near the surface are moved
onto it, and the tetrahedra that still cross it are cut. All dihedral angles lie within DIHEDRAL_DEG. No search and
no chance: the same function gives the same mesh.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfxgen.physics.modal.shapes import Array

Index = NDArray[np.int64]
# value(points [n, 3], start [n, 3] or None): the level at the points, below 0 inside. Where `start` is given, the
# points lie on edges that begin inside at `start` and end outside: a hint on which side of the surface they are.
Level = Callable[[Array, Array | None], Array]

DIHEDRAL_DEG = (10.7843, 164.7375)  # the paper's table 1, for the two fractions below
LONG_FRACTION = 0.24999  # of an edge: a cut nearer to its end than this moves the end onto the surface
SHORT_FRACTION = 0.41189
SECANT_STEPS = 6


@dataclass(frozen=True)
class Tetrahedra:
    """points: [points, 3]; cells: [cells, 4], all of positive volume; on_surface: [points] those that lie on it."""

    points: Array
    cells: Index
    on_surface: NDArray[np.bool_]


@dataclass(frozen=True)
class _Lattice:
    """points: [points, 3] corners of cubes, then their centres; even: [points], every second one along a long edge.

    value: [points], the level at each. cells: [cells, 4], with a point inside each; their long edges are 0–1 and 2–3,
    the four others are short.
    """

    points: Array
    even: NDArray[np.bool_]
    value: Array
    cells: Index


def stuff(level: Level, low: Array, high: Array, cell: float) -> Tetrahedra:
    """The body where `level` is below 0, which must lie within the box from `low` to `high` ([3] each).

    cell: side of the lattice's cubes, of 12 tetrahedra each. Parts thinner than `cell` are met by chance. The mesh
    may be empty. Beyond 1.1 cells from the surface the level's size does not matter.
    """
    lattice = _lattice(level, low, high, cell)
    edges, is_long, cuts = _cuts(lattice, level)
    points, side = _warped(lattice.points, lattice.value, edges, is_long, cuts)
    return _cut_cells(points, side, lattice.even, lattice.cells, edges, cuts)


def _lattice(level: Level, low: Array, high: Array, cell: float) -> _Lattice:
    """The part of the lattice that the body reaches. Its centre lies beside that of the box, by odd fractions.

    So a face of the body that lies along the axes falls between lattice points, and no two opposite ones fall alike.
    """
    counts = np.ceil((high - low) / cell - 1e-6).astype(int) + 2
    origin = (low + high) / 2 - (counts / 2 + np.array([0.0131, 0.0173, 0.0217])) * cell
    cubes = np.stack(np.meshgrid(*(np.arange(n) for n in counts), indexing="ij"), axis=-1).reshape(-1, 3)
    at_centre = level(origin + cell * (cubes + 0.5), None)
    # A cell with a point inside has both its centres within a cube's side of it.
    near = (at_centre < 1.001 * cell).reshape(tuple(counts))
    cells = _lattice_cells(counts, near)
    n_corners = int(np.prod(counts + 1))
    used, cells = np.unique(cells, return_inverse=True)
    corner = used[used < n_corners]
    ijk = np.stack(np.unravel_index(corner, tuple(counts + 1)), axis=-1)
    centre = used[len(corner) :] - n_corners
    points = origin + cell * np.concatenate([ijk, cubes[centre] + 0.5])
    value = np.concatenate([level(points[: len(corner)], None), at_centre[centre]])
    even = np.concatenate([ijk, cubes[centre]]).sum(axis=1) % 2 == 0
    cells = cells.reshape(-1, 4)
    return _Lattice(points, even, value, cells[(value[cells] < 0).any(axis=1)])


def _lattice_cells(counts: Index, near: NDArray[np.bool_]) -> Index:
    """Round each pair of neighbouring near centres, four tetrahedra: one for each side of the square between them."""

    def corner(ijk: Index) -> Index:
        return np.asarray(np.ravel_multi_index(tuple(ijk.T), tuple(counts + 1)))

    def centre(ijk: Index) -> Index:
        return np.asarray(np.prod(counts + 1) + np.ravel_multi_index(tuple(ijk.T), tuple(counts)))

    cells = []
    for axis in range(3):
        u, v = np.eye(3, dtype=int)[[(axis + 1) % 3, (axis + 2) % 3]]
        step = np.eye(3, dtype=int)[axis]
        here, there = (np.take(near, np.arange(*ends), axis) for ends in ((0, counts[axis] - 1), (1, counts[axis])))
        first = np.argwhere(here & there)
        square = [first + step + offset for offset in (0 * u, u, u + v, v)]
        for a, b in itertools.pairwise([*square, square[0]]):
            cells.append(np.stack([centre(first), centre(first + step), corner(a), corner(b)], axis=1))
    return np.concatenate(cells)


_PAIRS = np.array(list(itertools.combinations(range(4), 2)))  # the first and the last are the long edges


def _cuts(lattice: _Lattice, level: Level) -> tuple[Index, NDArray[np.bool_], Array]:
    """Where the surface cuts the cells' edges: [cuts, 2] (inside end, outside end), whether long, places [cuts, 3]."""
    points, value, cells = lattice.points, lattice.value, lattice.cells
    ends = cells[:, _PAIRS].reshape(-1, 2)
    long = np.tile((_PAIRS == [0, 1]).all(axis=1) | (_PAIRS == [2, 3]).all(axis=1), len(cells))
    cut = (value[ends] < 0).sum(axis=1) == 1
    ends, long = ends[cut], long[cut]
    ends = np.where(value[ends[:, :1]] < 0, ends, ends[:, ::-1])
    edges, first = np.unique(ends, axis=0, return_index=True)
    start, along = points[edges[:, 0]], points[edges[:, 1]] - points[edges[:, 0]]
    t = _crossings(value[edges], lambda t: level(start + t[:, None] * along, start))
    return edges, long[first], start + t[:, None] * along


def _crossings(ends: Array, value: Callable[[Array], Array]) -> Array:
    """The fraction of each edge at which its value is 0, by false position (the Illinois variant), [edges]."""
    left, right = np.zeros(len(ends)), np.ones(len(ends))
    f_left, f_right = ends[:, 0].copy(), np.maximum(ends[:, 1], 1e-300)
    t = f_left / (f_left - f_right)
    for _ in range(SECANT_STEPS):
        f = value(t)
        inside = f < 0
        f_right = np.where(inside, f_right / 2, f)
        f_left = np.where(inside, f, f_left / 2)
        left, right = np.where(inside, t, left), np.where(inside, right, t)
        gap = f_right - f_left
        t = np.where(gap > 0, (left * f_right - right * f_left) / np.where(gap > 0, gap, 1.0), t)
    return np.clip(t, 0.0, 1.0)


def _warped(
    points: Array, value: Array, edges: Index, is_long: NDArray[np.bool_], cuts: Array
) -> tuple[Array, NDArray[np.int8]]:
    """The lattice with each point that a cut comes too near to moved there, to the nearest if there are several.

    Gives the points and their sides: 1 inside, 0 on the surface, -1 outside.
    """
    ends = edges.ravel()
    place = np.repeat(cuts, 2, axis=0)
    distance = np.linalg.norm(place - points[ends], axis=1)
    length = np.repeat(np.linalg.norm(points[edges[:, 1]] - points[edges[:, 0]], axis=1), 2)
    limit = np.where(np.repeat(is_long, 2), LONG_FRACTION, SHORT_FRACTION) * length
    near = np.flatnonzero(distance < limit)
    near = near[np.lexsort((near, distance[near], ends[near]))]
    moved, first = np.unique(ends[near], return_index=True)
    side = np.where(value < 0, 1, -1).astype(np.int8)
    side[moved] = 0
    points = points.copy()
    points[moved] = place[near[first]]
    return points, side


def _cut_cells(
    points: Array, side: NDArray[np.int8], even: NDArray[np.bool_], cells: Index, edges: Index, cuts: Array
) -> Tetrahedra:
    """What lies inside of each cell, as tetrahedra: whole, or cut by the paper's stencils."""
    n = len(points)
    names = edges[:, 0] * n + edges[:, 1]  # ascending, since `edges` came sorted
    cells = cells[(side[cells] > 0).any(axis=1)]
    order = np.argsort(-side[cells], axis=1, kind="stable")  # inside ones first, then those on the surface
    sorted_cells = np.take_along_axis(cells, order, axis=1)

    def cut(a: Index, b: Index) -> Index:
        """The point at which edge a–b, a inside, meets the surface: b itself where it lies on the surface."""
        found = n + np.minimum(np.searchsorted(names, a * n + b), len(names) - 1)
        return np.where(side[b] == 0, b, found)

    def first_wins(a: Index, at: Index) -> NDArray[np.bool_]:
        """Of the quadrilateral a, b, cut(b, c), cut(a, c): whether the diagonal begins at a, by the face alone.

        at: [3, cells] places of a, b, c in their cell, which tell long edges from short ones.
        """
        ab_is_long, bc_is_long = (at[i] // 2 == at[i + 1] // 2 for i in (0, 1))
        return np.where(ab_is_long, even[a], bc_is_long)

    count = np.stack([(side[cells] == s).sum(axis=1) for s in (1, 0, -1)], axis=1)
    pieces = [sorted_cells[count[:, 2] == 0]]

    chosen = (count[:, 0] == 1) & (count[:, 2] > 0)
    a, *others = sorted_cells[chosen].T
    pieces.append(np.stack([a, *(cut(a, b) for b in others)], axis=1))

    chosen = (count == [2, 1, 1]).all(axis=1)
    a, b, z, c = sorted_cells[chosen].T
    wins = first_wins(a, order[chosen].T[[0, 1, 3]])
    ac, bc = cut(a, c), cut(b, c)
    pieces.append(np.stack([a, b, np.where(wins, bc, ac), z], axis=1))
    pieces.append(np.stack([np.where(wins, a, b), ac, bc, z], axis=1))

    everywhere = np.concatenate([points, cuts])
    chosen = (count == [2, 0, 2]).all(axis=1)
    a, b, c, d = sorted_cells[chosen].T
    top, bottom = (a, cut(a, c), cut(a, d)), (b, cut(b, c), cut(b, d))
    by_c = first_wins(a, order[chosen].T[[0, 1, 2]])
    by_d = first_wins(a, order[chosen].T[[0, 1, 3]])
    shorter = _length(everywhere, top[1], bottom[2]) <= _length(everywhere, top[2], bottom[1])
    free = np.where(by_c & ~by_d, False, np.where(by_d & ~by_c, True, shorter))  # the surface's own: no cycle
    pieces += _prism(top, bottom, by_c, free, by_d)

    chosen = (count == [3, 0, 1]).all(axis=1)
    a, b, c, d = sorted_cells[chosen].T
    at = order[chosen].T
    pairs = [first_wins(p, at[[i, j, 3]]) for p, i, j in ((a, 0, 1), (b, 1, 2), (a, 0, 2))]
    pieces += _prism((a, b, c), (cut(a, d), cut(b, d), cut(c, d)), *pairs)

    is_on = np.concatenate([side == 0, np.ones(len(cuts), dtype=bool)])
    return compact(everywhere, np.concatenate(pieces), is_on)


def _length(points: Array, a: Index, b: Index) -> Array:
    return np.asarray(np.linalg.norm(points[a] - points[b], axis=1))


def _prism(
    top: tuple[Index, Index, Index],
    bottom: tuple[Index, Index, Index],
    first_second: NDArray[np.bool_],
    second_third: NDArray[np.bool_],
    first_third: NDArray[np.bool_],
) -> list[Index]:
    """Three tetrahedra of each triangular prism; the flags say whose top corner each side's diagonal begins at.

    The three diagonals must not run in a cycle. Then the corners have an order: all diagonals begin at the first
    one's top, none at the last one's.
    """
    wins = np.stack(
        [0 + first_second + first_third, 0 + ~first_second + second_third, 0 + ~first_third + ~second_third]
    )
    order = np.argsort(-wins, axis=0, kind="stable")
    (a, b, c), (p, q, r) = (np.take_along_axis(np.stack(side), order, axis=0) for side in (top, bottom))
    return [np.stack(cell, axis=1) for cell in ((a, b, c, r), (a, b, q, r), (a, p, q, r))]


def compact(points: Array, cells: Index, on_surface: NDArray[np.bool_]) -> Tetrahedra:
    """Only the points that cells use, each cell turned to positive volume."""
    used, cells = np.unique(cells, return_inverse=True)
    cells = cells.reshape(-1, 4)
    points, on_surface = points[used], on_surface[used]
    negative = volumes(points, cells) < 0
    cells[negative] = cells[negative][:, [1, 0, 2, 3]]
    return Tetrahedra(points, cells, on_surface)


def volumes(points: Array, cells: Index) -> Array:
    """Signed volumes of tetrahedra, [cells]."""
    a, b, c, d = (points[cells[:, i]] for i in range(4))
    return np.asarray(np.einsum("ij,ij->i", np.cross(b - a, c - a), d - a) / 6)


def dihedral_angles_deg(points: Array, cells: Index) -> Array:
    """The six angles between the sides of each tetrahedron (degrees), [cells, 6]."""
    corners = points[cells]
    normals = [
        np.cross(corners[:, j] - corners[:, i], corners[:, k] - corners[:, i])
        for i, j, k in ((1, 3, 2), (0, 2, 3), (0, 3, 1), (0, 1, 2))
    ]
    units = np.stack([n / np.linalg.norm(n, axis=1, keepdims=True) for n in normals], axis=1)
    cosines = [-(units[:, i] * units[:, j]).sum(axis=1) for i, j in itertools.combinations(range(4), 2)]
    return np.asarray(np.degrees(np.arccos(np.clip(np.stack(cosines, axis=1), -1, 1))))
