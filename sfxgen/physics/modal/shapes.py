"""Meshes of second order for the bodies that a manifest can name, built block by block with no mesher.

Every body is symmetric about the planes x = 0 and y = 0, all but the bowl and the bell about z = 0 as well, so
only that quarter or eighth is meshed; `modes` solves it once for each pattern of even and odd reflections.
Cells are hexahedra with curved sides and 20 nodes; a shell has one cell through its wall. Lengths are relative to
the body's first size: frequencies scale exactly, so one solve serves every size and material of those proportions.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from skfem import ElementHexS2

Array = NDArray[np.float64]
Index = NDArray[np.int64]

# A block of cells: how many along each side of the unit cube, and where a point of that cube lies in the body.
Block = tuple[tuple[int, int, int], Callable[[Array], Array]]

NODES: Array = np.asarray(ElementHexS2.doflocs)  # [20, 3] in the unit cube: 8 corners, then the middles of 12 edges


@dataclass(frozen=True)
class Body:
    """The proportions of a body, all relative to its first size.

    shape, size: bar, plate, box: (1, width, thickness or height); sphere: (1,), its diameter;
        cylinder, tube: (1, length), bowl, bell: (1, depth), where 1 is the outer diameter (of the mouth);
        mesh: the box around it, relative to its longest side: see `solids`.
    wall: thickness of the wall of a tube, bowl, bell or hollow box; 0 for a solid body. Of a mesh, of what bends in it.
    fineness: cells along a side, relative to the usual mesh.
    """

    shape: str
    size: tuple[float, ...]
    wall: float = 0.0
    fineness: float = 1.0

    @property
    def mirrors(self) -> tuple[int, ...]:
        """The axes whose zero plane mirrors the body."""
        return (0, 1) if self.shape in ("bowl", "bell") else (0, 1, 2)

    @property
    def extent(self) -> tuple[float, float, float]:
        """The sides of the box around the body."""
        first, *rest = self.size
        if self.shape in ("bar", "plate", "box", "mesh"):
            return first, rest[0], rest[1]
        return first, first, rest[0] if rest else first

    @property
    def thickness(self) -> float:
        """What bends: the wall of a shell, else the least of the sides."""
        return self.wall or min(self.extent)

    @property
    def curvature(self) -> float:
        """Sum of the two principal curvatures of the struck skin over two: 2 for a ball, 1 for a cylinder's side.

        A mesh counts as flat: next to its own radius that of the striker's tip is small.
        """
        if self.shape in ("sphere", "bowl"):
            return 2.0
        round_side = self.shape in ("tube", "bell") or (self.shape == "cylinder" and self.size[1] >= 1)
        return 1.0 if round_side else 0.0


@dataclass(frozen=True)
class Mesh:
    """nodes: [3, nodes] places; cells: [20, cells] the nodes of each cell, in the order of NODES.

    Or [10, cells] for tetrahedra: corners, then the middles of edges 01, 12, 02, 03, 13, 23.
    unknowns: [nodes], of each node the number of the motion it takes part in, from 0; None: each has its own. Nodes
    with one number move as one, wherever they are.
    ties: [ties, unknowns], rows t of springs between them: each adds tᵀt to the stiffness, along each axis, for a shear
    modulus of 1.
    """

    nodes: Array
    cells: NDArray[np.int64]
    unknowns: NDArray[np.int64] | None = None
    ties: csr_matrix | None = None

    @property
    def n_unknowns(self) -> int:
        """How many motions of three degrees of freedom there are."""
        return self.nodes.shape[1] if self.unknowns is None else int(self.unknowns.max()) + 1

    def moving(self, nodes: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of the motions of nodes."""
        return nodes if self.unknowns is None else np.asarray(self.unknowns[nodes])


def mesh(body: Body) -> Mesh:
    """The part of `body` with positive x, y (and z), the origin in its middle.

    A bowl or bell is whole along z: its rim lies at 0, its bottom at -depth.
    """
    return _join(_BLOCKS[body.shape](body))


def struck(body: Body, points: Array, normals: Array) -> NDArray[np.bool_]:
    """Which points [3, n] of the skin a blow can reach: not the inside of a shell, nor the narrow sides of a plate."""
    outside = (points * normals).sum(axis=0) > 0
    flat = body.shape in ("bar", "plate")
    return np.asarray(outside & (np.abs(normals[2]) > 0.9) if flat else outside)


def reach(body: Body, points: Array) -> Array:
    """How far struck points [3, n] lie from the middle of the body (0) towards its end, edge or rim (1)."""
    relative: Array = np.abs(points) / (np.array(body.extent)[:, None] / 2)
    if body.shape in ("bar", "tube") or (body.shape == "cylinder" and body.size[1] >= 1):
        return np.asarray(relative[0] if body.shape == "bar" else relative[2])
    if body.shape == "plate":
        return np.asarray(np.maximum(relative[0], relative[1]))
    if body.shape == "box":  # on a face one coordinate is at its end: the next one tells how far out we are
        return np.asarray(np.sort(relative, axis=0)[1])
    if body.shape == "cylinder":  # a disc: from the middle of its face to its edge
        return np.asarray(np.hypot(relative[0], relative[1]))
    return np.asarray(relative[2] if body.shape == "sphere" else 1 + points[2] / body.size[1])


def _cells(length: float, cell: float, low: int, high: int, fineness: float) -> int:
    return max(1, round(float(np.clip(length / cell, low, high)) * fineness))


def _brick(body: Body) -> list[Block]:
    if body.wall:
        return _hollow_brick(body)
    half = np.array(body.extent) / 2
    longest, second = sorted(half)[:0:-1]
    cell = (np.prod(np.maximum(half, longest / 6)) / 36) ** (1 / 3)  # some 36 cells, thin sides counted as a sixth
    along = cell / 1.5 if longest > 4 * second else cell  # a bar's many bends along it want them closer
    n = [_cells(side, along if side == longest else cell, 1, 16, body.fineness) for side in half]
    return [((n[0], n[1], n[2]), lambda x: x * half[:, None])]


def _hollow_brick(body: Body) -> list[Block]:
    """Along each axis the inside, then the wall: all but the innermost of the eight blocks."""
    half = np.array(body.extent) / 2
    inner = half - body.wall

    def block(place: tuple[int, ...]) -> Block:
        in_wall = np.array(place) == 1
        start, width = np.where(in_wall, inner, 0.0)[:, None], np.where(in_wall, body.wall, inner)[:, None]
        n = [
            1 if p else _cells(side, half.max() / 4, 2, 4, body.fineness) for p, side in zip(place, inner, strict=True)
        ]
        return (n[0], n[1], n[2]), lambda x: start + x * width

    return [block(place) for place in itertools.product((0, 1), repeat=3) if any(place)]


def _quarter_disc(n: int, n_rings: int, n_layers: int, place: Callable[[Array], Array]) -> list[Block]:
    """A quarter of a round plate: a square in its middle, a block on either side of the diagonal.

    So no cell has a corner of 0 or 180 degrees. place maps points [3, k] = (x, y of the unit disc, layer 0…1).
    """
    square = 0.5

    def side(x: Array) -> Array:
        slope: Array = np.tan(x[1] * np.pi / 4)
        edge: Array = np.array([np.ones_like(slope), slope])
        return np.asarray((1 - x[0]) * square * edge + x[0] * edge / np.hypot(1, slope))

    def middle(x: Array) -> Array:
        return place(np.concatenate([square * np.tan(x[:2] * np.pi / 4), x[2:]]))

    return [
        ((n, n, n_layers), middle),
        ((n_rings, n, n_layers), lambda x: place(np.concatenate([side(x), x[2:]]))),
        ((n_rings, n, n_layers), lambda x: place(np.concatenate([side(x)[::-1], x[2:]]))),
    ]


def _cylinder(body: Body) -> list[Block]:
    half = body.size[1] / 2
    cell = 1.0 if half > 1.5 else 0.5 if half > 0.1 else 0.34  # a rod bends as a whole, a disc in many rings
    n = _cells(1.0, cell, 1, 9, body.fineness)
    n_layers = _cells(half, 0.3, 1, 12, body.fineness)
    return _quarter_disc(n, n, n_layers, lambda x: np.array([x[0] / 2, x[1] / 2, x[2] * half]))


def _tube(body: Body) -> list[Block]:
    half = body.size[1] / 2

    def place(x: Array) -> Array:
        angle, radius = np.pi / 2 * x[0], 0.5 - body.wall * (1 - x[1])
        return np.array([radius * np.cos(angle), radius * np.sin(angle), x[2] * half])

    return [((_cells(1.0, 0.2, 1, 9, body.fineness), 1, _cells(half, 0.25, 2, 12, body.fineness)), place)]


def _shell_of_revolution(flare: float) -> Callable[[Body], list[Block]]:
    """A bowl (flare 0: half a spheroid) or a bell, whose mouth opens outwards: radius (1 - flare) sin ψ + flare s⁴."""

    def blocks(body: Body) -> list[Block]:
        depth = body.size[1]

        def place(x: Array) -> Array:
            s = np.hypot(x[0], x[1])  # 0 at the bottom, 1 at the rim
            turn, psi = np.arctan2(x[1], x[0]), s * np.pi / 2
            radius, z = ((1 - flare) * np.sin(psi) + flare * s**4) / 2, -depth * np.cos(psi)
            d_radius = ((1 - flare) * np.pi / 2 * np.cos(psi) + 4 * flare * s**3) / 2
            d_z = depth * np.pi / 2 * np.sin(psi)
            inwards = (1 - x[2]) * body.wall / np.hypot(d_radius, d_z)
            radius, z = radius - inwards * d_z, z + inwards * d_radius
            return np.array([radius * np.cos(turn), radius * np.sin(turn), z])

        n = _cells(1.0, 0.34, 1, 9, body.fineness)
        return _quarter_disc(n, n + (depth >= 1), 1, place)

    return blocks


def _ball(body: Body) -> list[Block]:
    """A cube in the middle and a block on each of its three outer faces."""
    cube = 0.4

    def middle(x: Array) -> Array:
        return cube / 2 * np.tan(x * np.pi / 4)

    def side(axis: int) -> Callable[[Array], Array]:
        def place(x: Array) -> Array:
            a, b = np.tan(x[1] * np.pi / 4), np.tan(x[2] * np.pi / 4)
            face = np.array([np.ones_like(a), a, b])
            points = (1 - x[0]) * cube * face + x[0] * face / np.linalg.norm(face, axis=0)
            return np.roll(points / 2, axis, axis=0)

        return place

    n = _cells(1.0, 0.5, 1, 9, body.fineness)
    return [((n, n, n), middle), *(((n, n, n), side(axis)) for axis in range(3))]


_BLOCKS: dict[str, Callable[[Body], list[Block]]] = {
    "bar": _brick,
    "plate": _brick,
    "box": _brick,
    "sphere": _ball,
    "cylinder": _cylinder,
    "tube": _tube,
    "bowl": _shell_of_revolution(0.0),
    "bell": _shell_of_revolution(0.45),
}


def _join(blocks: Sequence[Block]) -> Mesh:
    """One mesh of all blocks: nodes that fall on the same point become one."""
    nodes = np.concatenate([_block_nodes(block) for block in blocks], axis=1)  # [3, cells, 20]
    flat = nodes.reshape(3, -1)
    _, first, index = np.unique(np.round(flat, 8) + 0.0, axis=1, return_index=True, return_inverse=True)
    return Mesh(flat[:, first], index.reshape(-1, 20).T)


def _block_nodes(block: Block) -> Array:
    counts, place = block
    lowest = np.array(list(itertools.product(*(range(k) for k in counts))), dtype=float)
    cube = (lowest[:, None, :] + NODES) / np.array(counts)  # [cells, 20, 3]
    return place(cube.reshape(-1, 3).T).reshape(3, len(lowest), 20)
