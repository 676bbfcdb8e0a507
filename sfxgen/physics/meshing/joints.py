"""Parts of a body, each meshed by itself, glued where they touch: springs between points of their skins.

The penalty method (Zienkiewicz & Taylor, "The Finite Element Method"), by which meshes need not fit one another.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix, diags, hstack, identity, vstack
from scipy.spatial import cKDTree
from skfem import ElementTriP2

from sfxgen.physics.meshing.distance import Distance, split, winding_at
from sfxgen.physics.meshing.tetrahedra import SIDES, Solid, skin_sides
from sfxgen.physics.meshing.triangles import areas, enclosed, groups, thickness
from sfxgen.physics.modal.elements import TETRAHEDRON, volume_of
from sfxgen.physics.modal.shapes import Array, Index, Mesh

GAP, ZONE = 0.5, 0.1  # of the thinner part: how far apart glued parts may be, and how unevenly
GLUE = 100.0  # stiffness of a joint over that of as thick a layer as the thinner part
FEWEST_TIES = 8  # nodes of one part at a joint; of fewer, points between them are glued as well
_NEAREST = 24  # cells about a point that may hold it
_SIDE = ElementTriP2()  # of a cell
SPACING, MOST_CUT = 0.3, 12  # of the thinner part: between points that are looked at; parts of a side, at the most


@dataclass(frozen=True)
class Piece:
    """A part, meshed. triangles: its skin; fitting: the matrix that takes places into its lattice of cubes of 1;
    rounded: by how much its sharp edges may be cut off."""

    triangles: Array
    fitting: Array
    mesh: Mesh
    rounded: float

    @cached_property
    def volume(self) -> float:
        return volume_of(self.mesh)

    @property
    def thickness(self) -> float:
        return thickness(self.triangles)

    @cached_property
    def skin(self) -> Index:
        """Of each side of its skin the nodes, [sides, 6]."""
        sides = skin_sides(self.mesh.cells[:4].T)
        return np.asarray(self.mesh.cells.T[sides[:, None] // 4, SIDES[sides % 4]])

    @cached_property
    def distance(self) -> Distance:
        return Distance(split(self.triangles, 4 * self.thickness))

    def away(self, points: Array) -> Array:
        """How far points [n, 3] are from its skin, less than 0 inside, [n]."""
        _, away = self.distance.nearest(points)
        inside = winding_at(points, self.triangles) > 0.5
        return np.where(inside, -away, away)

    @cached_property
    def _ends(self) -> tuple[Array, Array]:
        placed = self.triangles @ self.fitting
        return placed.min(axis=(0, 1)), placed.max(axis=(0, 1))

    def beside(self, low: Array, high: Array, gap: float) -> NDArray[np.bool_]:
        """Which boxes in its lattice, from low to high [n, 3] each, come nearer than `gap` to the box around it."""
        margin = gap * np.linalg.norm(self.fitting, axis=0)
        return np.asarray(((high > self._ends[0] - margin) & (low < self._ends[1] + margin)).all(axis=1))

    @cached_property
    def corners(self) -> Array:
        """Of each cell, in the lattice, [cells, 4, 3]."""
        return np.asarray((self.mesh.nodes.T @ self.fitting)[self.mesh.cells[:4].T])

    @cached_property
    def tree(self) -> cKDTree:
        return cKDTree(self.corners.mean(axis=1))

    def at(self, points: Array) -> csr_matrix:
        """The matrix [n, nodes] that gives its displacement at points [n, 3] in it, or nearly so."""
        places = points @ self.fitting
        k = min(_NEAREST, len(self.corners))
        _, near = map(np.asarray, self.tree.query(places, k=np.arange(1, k + 1)))
        corner = self.corners[near]
        edges = (corner[:, :, 1:] - corner[:, :, :1]).transpose(0, 1, 3, 2)
        local = np.linalg.solve(edges, (places[:, None] - corner[:, :, 0])[..., None])[..., 0]
        depth = np.minimum(local.min(axis=2), 1 - local.sum(axis=2))
        row = np.arange(len(points))
        best = np.round(depth, 9).argmax(axis=1)
        values = TETRAHEDRON.values(local[row, best].T).T
        nodes = self.mesh.cells.T[near[row, best]]
        n = self.mesh.nodes.shape[1]
        return coo_matrix((values.ravel(), (np.repeat(row, 10), nodes.ravel())), shape=(len(points), n)).tocsr()


def glued(pieces: list[Piece], cell: float) -> Solid:
    """The largest lot of parts that hang together. cell: the longest side of a cube of theirs."""
    n = len(pieces)
    ends = np.cumsum([0, *(piece.mesh.nodes.shape[1] for piece in pieces)])
    joined, ties = [], []
    for i, j in itertools.combinations(range(n), 2):
        found = _ties(pieces[i], pieces[j])
        if found is not None:
            of_both = np.concatenate([np.arange(*ends[i : i + 2]), np.arange(*ends[j : j + 2])])
            joined.append((i, j))
            ties.append(csr_matrix((found.data, of_both[found.indices], found.indptr), (found.shape[0], ends[-1])))
    first, second = np.array(joined, dtype=np.int64).reshape(-1, 2).T
    _, lot = groups(first, second, n)
    size = np.bincount(lot, [enclosed(piece.triangles) for piece in pieces])
    kept = lot == size.argmax()
    nodes = np.concatenate([piece.mesh.nodes for piece in pieces], axis=1)
    cells = np.concatenate([end + pieces[i].mesh.cells for i, end in enumerate(ends[:-1]) if kept[i]], axis=1)
    used, index = np.unique(cells, return_inverse=True)
    glue = vstack([csr_matrix((0, ends[-1])), *(rows for rows, (i, _) in zip(ties, joined, strict=True) if kept[i])])
    mesh = Mesh(nodes[:, used], index.reshape(cells.shape), None, glue.tocsc()[:, used].tocsr())
    return Solid(mesh, cell, float(1 - size.max() / size.sum()))


def _ties(one: Piece, other: Piece) -> csr_matrix | None:
    """Rows [ties, nodes of both] whose squares are the stiffness of the joint between two parts, for a shear modulus
    of 1; None where they are apart.

    Glued are the nodes of whichever part has more of them there: those of both would let neither bend. Where these are
    few, and where one part runs into the other, it is points between nodes too.
    """
    thin = min(one.thickness, other.thickness)
    both = [_near(a, b, GAP * thin) for a, b in ((one, other), (other, one))]
    nearest = min(float(near.away.min(initial=np.inf)) for near in both)
    if nearest > GAP * thin:
        return None
    limit = max(nearest, 0.0) + ZONE * thin + max(one.rounded, other.rounded)
    chosen = [near.is_node & (near.away <= limit) for near in both]
    counts = [int(rows.sum()) for rows in chosen]
    if max(counts) < FEWEST_TIES:
        chosen = [near.away <= limit for near in both]
    else:
        chosen[int(np.argmin(counts))][:] = False
        chosen = [rows | (~near.is_node & (near.away < -ZONE * thin)) for rows, near in zip(chosen, both, strict=True)]
    ties = []
    for near, rows, a, b in zip(both, chosen, (one, other), (other, one), strict=True):
        scale = diags(np.sqrt(GLUE * near.areas[rows] / thin))
        mine, theirs = scale @ near.moved[rows], -(scale @ b.at(near.places[rows]))
        ties.append(hstack([mine, theirs] if a is one else [theirs, mine]))
    return csr_matrix(vstack(ties))


@dataclass(frozen=True)
class _Near:
    """Points of the skin of one part that may be near another: places [n, 3]; moved: the matrix [n, nodes] that gives
    its displacement there; areas: of skin that each stands for; away: how far they are from the other, < 0 within it;
    is_node: which are nodes. The others lie between."""

    places: Array
    moved: csr_matrix
    areas: Array
    away: Array
    is_node: NDArray[np.bool_]


def _near(one: Piece, other: Piece, gap: float) -> _Near:
    """Of one part, nodes and points between them, where its box comes nearer than `gap` to that of the other."""
    nodes = one.mesh.nodes.T
    corners = (nodes @ other.fitting)[one.skin[:, :3]]
    faces = one.skin[other.beside(corners.min(axis=1), corners.max(axis=1), gap)]
    size = areas(nodes[faces[:, :3]])
    own = np.unique(faces)
    share = np.bincount(faces.ravel(), np.repeat(size / 6, 6), len(nodes))[own]
    longest = float(np.linalg.norm(np.ptp(nodes[faces[:, :3]], axis=1), axis=1).max(initial=0.0))
    cut = _cut(int(np.clip(np.ceil(longest / (SPACING * min(one.thickness, other.thickness))), 1, MOST_CUT)))
    values = np.array([_SIDE.lbasis(cut.T[1:], i)[0] for i in range(6)]).T
    rows, columns = np.repeat(np.arange(len(faces) * len(cut)), 6), np.repeat(faces, len(cut), axis=0).ravel()
    between = csr_matrix(
        (np.tile(values, (len(faces), 1)).ravel(), (rows, columns)), shape=(len(faces) * len(cut), len(nodes))
    )
    moved = vstack([identity(len(nodes), format="csr")[own], between]).tocsr()
    places, weight = moved @ nodes, np.concatenate([share, np.repeat(size / len(cut), len(cut))])
    placed = places @ other.fitting
    close = np.flatnonzero(other.beside(placed, placed, gap))
    places = places[close]
    return _Near(places, moved[close], weight[close], other.away(places), close < len(own))


def _cut(n: int) -> Array:
    """Middles of the n² triangles that a triangle is cut into, by its corners, [n², 3]."""
    i, j = (k.ravel() for k in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    up, down = i + j < n, i + j < n - 1
    a = np.concatenate([3 * i[up] + 1, 3 * i[down] + 2])
    b = np.concatenate([3 * j[up] + 1, 3 * j[down] + 2])
    return np.asarray(np.stack([a, b, 3 * n - a - b], axis=1) / (3 * n))
