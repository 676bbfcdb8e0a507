"""Bodies put together of closed parts, as tables and shelves of boxes are: each part has a lattice of its own, turned
and stretched as it lies, and they are glued where they touch.

One lattice for all would have to be as fine as the thinnest board is thick, however long the boards are.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfxgen.physics.meshing.distance import winding_at
from sfxgen.physics.meshing.fitted import axes_of_faces, box_share
from sfxgen.physics.meshing.joints import GAP, Piece, glued
from sfxgen.physics.meshing.stuffing import stuff
from sfxgen.physics.meshing.tetrahedra import EDGES, Level, Solid, box_of, curved
from sfxgen.physics.meshing.triangles import enclosed, groups
from sfxgen.physics.modal.shapes import Array, Index, Mesh

MOST_PARTS = 64
MOST_SEAMS = 4_000  # edges at which parts touch
DOFS_A_CUBE = 60.0  # of a lattice, its sides counted with half a cube more each
FLAT, LONG = 8.0, 64.0  # times as long as wide a cube may be, of a plate, which else would not bend, and of a rod
BAR = 2.5  # of the thinnest side: a body of two sides below that is a rod
CLOSER = (1.0, 1.5)  # times as many cubes, tried in turn
FINER = 3.0  # times as many degrees of freedom as asked for, at the most
BISECTIONS = 40
TOUCHING = 1e-5  # radians: faces that close enclose nothing
APART = 0.3  # of the part: marks nearer than that are one
OFF = 0.03  # share of its volume by which a part's mesh may be wrong
BOXY = 0.9  # of its skin lies in the faces of the box around it
OVERLAP = 0.1  # share of all volume that may lie in two parts: it counts twice
CUT = 0.05  # of a lattice's cube, by which its sharp edges are cut off


def parts_of(points: Array, faces: Index) -> list[Array] | None:
    """The closed parts [n, 3, 3] that triangles are put together of, turned outwards; None if they are not. Parts may
    share corners, edges and faces, which are there twice then."""
    first = faces.argmin(axis=1)[:, None]
    faces = np.unique(np.take_along_axis(faces, (first + np.arange(3)) % 3, axis=1), axis=0)
    ends = np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2)
    name = ends.min(axis=1) * len(points) + ends.max(axis=1)
    order = np.argsort(name, kind="stable")
    _, start, count = np.unique(name[order], return_index=True, return_counts=True)
    rising = ends[:, 0] < ends[:, 1]
    if (count > 2).sum() > MOST_SEAMS:
        return None
    if (count % 2).any() or (np.add.reduceat(rising[order], start) != count // 2).any():
        return None  # open, or not turned alike
    pairs = [np.stack([order[start[count == 2]], order[start[count == 2] + 1]], axis=1) // 3]
    for begin, n in zip(start[count > 2], count[count > 2], strict=True):
        pairs.append(_wedges(points, faces, order[begin : begin + n], rising))
    first, second = np.concatenate(pairs).T
    n, label = groups(first, second, len(faces))
    if n > MOST_PARTS:
        return None
    parts = [points[faces[label == i]] for i in range(n)]
    parts = [part if enclosed(part) > 0 else part[:, ::-1] for part in parts]
    return None if _nested(parts) else parts


def _wedges(points: Array, faces: Index, sides: Index, rising: NDArray[np.bool_]) -> Index:
    """Of the faces at one edge, whose sides 3 face + side are given, the pairs that bound one body there: from each
    that has it on its left, round the edge through the body, to the next that has it on its right."""
    face = sides // 3
    third = points[faces[face, (sides + 2) % 3]]
    low, high = np.sort([faces[face[0], sides[0] % 3], faces[face[0], (sides[0] + 1) % 3]])
    axis = (points[high] - points[low]) / np.linalg.norm(points[high] - points[low])
    across = third - points[low]
    across = across - (across @ axis)[:, None] * axis
    begin = across[0] / np.linalg.norm(across[0])
    angle = np.arctan2(across @ np.cross(axis, begin), across @ begin)
    up = rising[sides]
    through = (angle[up][None] - angle[~up][:, None]) % (2 * np.pi)
    through[(through < TOUCHING) | (through > 2 * np.pi - TOUCHING)] = 2 * np.pi  # back to back: two bodies that touch
    pairs = []
    for _ in range(len(through)):
        a, b = np.unravel_index(int(np.round(through, 6).argmin()), through.shape)
        pairs.append((face[~up][a], face[up][b]))
        through[a], through[:, b] = np.inf, np.inf
    return np.array(pairs, dtype=np.int64)


def _nested(parts: list[Array]) -> bool:
    """Whether a part lies within another: it may be a cavity."""
    low, high = (np.array([extreme(part, axis=(0, 1)) for part in parts]) for extreme in (np.min, np.max))
    boxed = ((low[:, None] > low[None]) & (high[:, None] < high[None])).all(axis=2)
    return any((winding_at(parts[i].reshape(-1, 3), parts[j]) > 0.5).all() for i, j in np.argwhere(boxed))


def filled_kit(parts: list[Array], dofs: int) -> Solid | None:
    """Second-order tetrahedra in the body that closed parts make up, of about so many degrees of freedom; None where
    these do not do, a part cannot be filled, or parts overlap by much."""
    placed = [_Placed.of(part) for part in parts]
    if len(placed) == 1 and not placed[0].is_box:
        return None  # nothing is gained
    marks = [_marks(one, parts) for one in placed]

    def many(cell: float) -> float:
        return sum(one.dofs(cell, own) for one, own in zip(placed, marks, strict=True))

    low, high = min(one.thin for one in placed) / 4, max(float(one.sides.max()) for one in placed)
    for _ in range(BISECTIONS):  # the shortest cubes that so many degrees of freedom allow
        cell = float(np.sqrt(low * high))
        low, high = (cell, high) if many(cell) > dofs else (low, cell)
    if many(high) > FINER * dofs:
        return None
    pieces = []
    for one, own in zip(placed, marks, strict=True):
        piece = _gridded(one, one.lines(high, own)) if one.is_box else _stuffed(one, one.lines(high, own))
        if piece is None:
            return None
        pieces.append(piece)
    return glued(pieces, high) if _overlap(pieces) < OVERLAP else None


@dataclass(frozen=True)
class _Placed:
    """A part, turned as its faces lie. turn: a rotation [3, 3] that places, as rows, are multiplied by; low, sides: [3]
    of the box around it then."""

    triangles: Array
    turn: Array
    low: Array
    sides: Array
    is_box: bool

    @staticmethod
    def of(triangles: Array) -> _Placed:
        turn = axes_of_faces(triangles, 0.0)
        along = triangles @ turn
        low, sides = along.min(axis=(0, 1)), np.ptp(along, axis=(0, 1))
        return _Placed(triangles, turn, low, sides, box_share(along, 10 * float(sides.min())) > BOXY)

    @property
    def thin(self) -> float:
        return float(self.sides.min())

    @property
    def is_rod(self) -> bool:
        return int((self.sides < BAR * self.thin).sum()) == 2

    def lines(self, cell: float, marks: list[Array]) -> list[Array]:
        """Along each axis, where cubes of no more than `cell` begin and end, from 0 to the side: at marks among others.
        What is no box has even ones."""
        slender = LONG if self.is_box and self.is_rod else FLAT
        least = (2 if self.is_rod else 1) if self.is_box else 3  # one cube cannot twist, nor two be round
        longest = min(cell, slender * min(cell, self.thin / least))
        found = []
        for side, own in zip(self.sides, marks, strict=True):
            ends = own if self.is_box else own[[0, -1]]
            each = np.maximum(np.ceil(np.diff(ends) / longest - 1e-6), -(-least // (len(ends) - 1))).astype(int)
            starts = [np.linspace(a, b, n, endpoint=False) for a, b, n in zip(ends[:-1], ends[1:], each, strict=True)]
            found.append(np.concatenate([*starts, [side]]))
        return found

    def dofs(self, cell: float, marks: list[Array]) -> float:
        """About the degrees of freedom of its mesh."""
        n = np.array([len(line) - 1 for line in self.lines(cell, marks)])
        return float(3 * (2 * n + 1).prod() if self.is_box else DOFS_A_CUBE * (n + 0.5).prod())


def _marks(one: _Placed, parts: list[Array]) -> list[Array]:
    """Along each axis of a part, from 0 to its side, where other parts that it may touch begin and end: there it bends
    most."""
    ends = [[0.0, side] for side in one.sides]
    for other in parts:
        along = other @ one.turn - one.low
        low, high = along.min(axis=(0, 1)), along.max(axis=(0, 1))
        if other is not one.triangles and ((low < one.sides + GAP * one.thin) & (high > -GAP * one.thin)).all():
            for axis in range(3):
                ends[axis] += [low[axis], high[axis]]
    return [_apart(np.array(some), APART * one.thin, side) for some, side in zip(ends, one.sides, strict=True)]


def _apart(marks: Array, least: float, side: float) -> Array:
    """Those from 0 to `side` that are not nearer than `least` to one before, or to the end."""
    kept = [0.0]
    for mark in np.sort(np.round(marks / least, 6)):  # in `least`, which rounding shall not decide by
        if kept[-1] + 0.9999 < mark < side / least - 0.9999:
            kept.append(float(mark))
    return np.array([*(least * mark for mark in kept), side])


def grid(lines: list[Array]) -> Mesh:
    """A box cut into cubes at lines along each axis, and each into six tetrahedra, all with one of its diagonals as an
    edge (Kuhn 1960): so they meet their neighbours', and all nodes lie on a grid twice as fine."""
    halved = [np.sort(np.concatenate([line, (line[1:] + line[:-1]) / 2])) for line in lines]
    shape = [len(line) for line in halved]
    nodes = np.stack(np.meshgrid(*halved, indexing="ij")).reshape(3, -1)
    first = np.stack(np.meshgrid(*(np.arange(0, n - 1, 2) for n in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    cells = []
    for order in itertools.permutations(range(3)):
        step = 2 * np.eye(3, dtype=np.int64)[list(order)]
        corners = np.concatenate([np.zeros((1, 3), dtype=np.int64), np.cumsum(step, axis=0)])
        if np.linalg.det(step) < 0:
            corners[[1, 2]] = corners[[2, 1]]
        steps = np.concatenate([corners, corners[EDGES].sum(axis=1) // 2])
        cells.append([np.ravel_multi_index((first + step).T, tuple(shape)) for step in steps])
    return Mesh(nodes, np.concatenate(cells, axis=1))


def _gridded(one: _Placed, lines: list[Array]) -> Piece:
    mesh = grid(lines)
    nodes = one.turn @ (mesh.nodes + one.low[:, None])
    scale = np.array([len(line) - 1 for line in lines]) / one.sides
    return Piece(one.triangles, one.turn * scale, Mesh(nodes, mesh.cells), 0.0)


def _stuffed(one: _Placed, lines: list[Array]) -> Piece | None:
    for closer in CLOSER:
        n = np.ceil([closer * (len(line) - 1) for line in lines])
        fitting = one.turn * (n / one.sides)
        level = Level(one.triangles @ fitting, 0.0, 1.0)
        mesh = stuff(level, *box_of(one.triangles @ fitting, 0.0), 1.0)
        if not len(mesh.cells):
            continue
        solid = curved(mesh, level)
        nodes = np.asarray(np.linalg.solve(fitting.T, solid.nodes), dtype=np.float64)
        piece = Piece(one.triangles, fitting, Mesh(nodes, solid.cells), CUT * float((one.sides / n).max()))
        if abs(piece.volume / enclosed(one.triangles) - 1) < OFF:
            return piece
    return None


def _overlap(pieces: list[Piece]) -> float:
    """The share of the volume that lies in more than one part."""
    total, twice = 0.0, 0.0
    for piece in pieces:
        corners = piece.mesh.nodes.T[piece.mesh.cells[:4].T]
        middles = corners.mean(axis=1)
        size = np.abs(np.linalg.det(corners[:, 1:] - corners[:, :1]))
        within = np.zeros(len(size), dtype=bool)
        for other in pieces:
            placed = middles @ other.fitting
            some = np.flatnonzero(other.beside(placed, placed, 0.0))
            if other is not piece and len(some):
                within[some] |= winding_at(middles[some], other.triangles) > 0.5
        total, twice = total + float(size.sum()), twice + float(size[within].sum())
    return twice / total
