"""The modes of vibration of a free elastic body, by finite elements."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from sfxgen.physics.elements import HEXAHEDRON, assembled, jacobians, lowest
from sfxgen.physics.shapes import NODES, Array, Body, Mesh, mesh, reach, struck

VERSION = "2"  # part of the cache key: raise it when the same body would give other modes
N_MODES = 64
N_RIGID = 6
EQUAL = 1e-8  # relative difference of eigenvalues that only rounding tells apart


@dataclass(frozen=True)
class Modes:
    """Modes of a body whose first size, density and Young's modulus are all 1; see `strike` for real ones.

    omega: [modes] angular frequencies, ascending, the six rigid motions left out.
    shapes: [points, modes], outward displacement at the points where a blow may land, for unit modal mass.
    points: [points, 3], areas: [points] of skin that each stands for, reach: [points], 0 middle to 1 end or rim.
    skin: [modes], the integral over the whole skin of the squared outward displacement.
    volume, skin_area: of the whole body.
    """

    omega: Array
    shapes: Array
    points: Array
    areas: Array
    reach: Array
    skin: Array
    volume: Array
    skin_area: Array

    def to_bytes(self) -> bytes:
        """The modes as an npz file; equal modes give equal bytes."""
        stream = io.BytesIO()
        np.savez(stream, **{f.name: getattr(self, f.name) for f in fields(self)})
        return stream.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> Modes:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return Modes(**arrays)


def key(body: Body, poisson: float) -> str:
    """Names the result of `solve(body, poisson)` in a cache."""
    return f"modes-{VERSION}/{body}/{poisson!r}/{N_MODES}"


def solve(body: Body, poisson: float, n_modes: int = N_MODES) -> Modes:
    """The lowest modes of a free body of linear, isotropic material; 0 < poisson < 0.5.

    The meshed part is solved for each parity: at a mirror plane an even pattern has no normal displacement, an odd one
    no other. Degenerate modes thereby fall into a fixed orientation, and each problem is an eighth of the whole.
    """
    part = mesh(body)
    K, M, volume = assembled(part, poisson)
    parities = list(itertools.product((1, -1), repeat=len(body.mirrors)))
    # Parities have nearly equal shares of the modes: ask each for a few more, and keep what lies below the
    # lowest of their last ones, so that no mode is missing between.
    share = -(-(n_modes + N_RIGID) // len(parities)) + 8
    first = 4 * body.thickness / max(body.extent) ** 2  # about the lowest bending mode of a bar, plate or shell
    free = [_free_dofs(part.nodes, body.mirrors, parity) for parity in parities]
    solutions = [_solve_parity(K, M, dofs, first, share) for dofs in free]
    complete = min(eigenvalues[-1] for eigenvalues, _ in solutions)
    eigenvalues = np.concatenate([w for w, _ in solutions])
    order = ascending(eigenvalues)
    order = order[eigenvalues[order] <= complete][N_RIGID : N_RIGID + n_modes]
    vectors = np.concatenate([v for _, v in solutions], axis=1)[:, order] / np.sqrt(len(parities))
    parity = np.repeat(np.array(parities), share, axis=0)[order]
    return _on_skin(body, part, volume, np.sqrt(eigenvalues[order]), vectors, parity)


def ascending(eigenvalues: Array) -> NDArray[np.int64]:
    """Their order; those that are equal but for rounding, which differs between processors, stay as they come."""
    order = np.argsort(eigenvalues, kind="stable")
    group = np.cumsum(np.diff(eigenvalues[order], prepend=-np.inf) > EQUAL * np.abs(eigenvalues[order]))
    return np.asarray(order[np.lexsort((order, group))])


def _free_dofs(nodes: Array, mirrors: tuple[int, ...], parity: tuple[int, ...]) -> NDArray[np.int64]:
    free = np.ones((nodes.shape[1], 3), dtype=bool)
    for axis, sign in zip(mirrors, parity, strict=True):
        on_plane = np.abs(nodes[axis]) < 1e-9
        held = np.arange(3) == axis if sign > 0 else np.arange(3) != axis
        free[np.ix_(on_plane, held)] = False
    return np.flatnonzero(free.ravel())


def _solve_parity(K: csc_matrix, M: csc_matrix, free: NDArray[np.int64], omega: float, n: int) -> tuple[Array, Array]:
    """The n lowest eigenvalues of one parity and their vectors over all dofs, [n] and [dofs, n], shifted by -omega²."""
    k, m = K[free][:, free].tocsc(), M[free][:, free].tocsc()
    eigenvalues, vectors = lowest(k, m, omega, n)
    full = np.zeros((K.shape[0], n))
    full[free] = vectors
    return eigenvalues, full


# Simpson's rule on a side of a cell: its nine points include corners and middles, so symmetry planes are among them.
_RULE = np.array(list(itertools.product((0.0, 0.5, 1.0), repeat=2)))
_RULE_WEIGHTS = np.outer([1, 4, 1], [1, 4, 1]).ravel() / 36


def _on_skin(body: Body, part: Mesh, volume: float, omega: Array, vectors: Array, parity: NDArray[np.int64]) -> Modes:
    """Collects the outward displacement over the skin of the meshed part, then mirrors it over the whole body."""
    points, normals, areas, shapes = [], [], [], []
    for axis, end in itertools.product(range(3), (0.0, 1.0)):
        local = np.insert(_RULE, axis, end, axis=1).T  # [3, 9]
        side = Mesh(part.nodes, part.cells[:, _outer_cells(part, body.mirrors, axis, end)])
        jacobian = jacobians(side, local)
        normal = np.cross(jacobian[..., (axis + 1) % 3], jacobian[..., (axis + 2) % 3])  # [cells, 9, 3]
        normal *= np.sign((normal * jacobian[..., axis]).sum(axis=-1, keepdims=True)) * (1 if end else -1)
        size = np.linalg.norm(normal, axis=-1)
        normal /= np.where(size > 0, size, 1.0)[..., None]
        functions = HEXAHEDRON.values(local)
        by_node = vectors.reshape(-1, 3, len(omega))[side.cells]  # [20, cells, 3, modes]
        shapes.append(np.einsum("cqd,nq,ncdm->cqm", normal, functions, by_node, optimize=True).reshape(-1, len(omega)))
        points.append((part.nodes[:, side.cells].transpose(0, 2, 1) @ functions).reshape(3, -1))
        normals.append(normal.reshape(-1, 3).T)
        areas.append((size * _RULE_WEIGHTS).ravel())
    everything = (np.concatenate(points, axis=1), np.concatenate(normals, axis=1), np.concatenate(areas))
    return _mirrored(body, omega, *everything, np.concatenate(shapes), parity, volume)


def _outer_cells(part: Mesh, mirrors: tuple[int, ...], axis: int, end: float) -> NDArray[np.int64]:
    """Cells whose side at `end` of the local `axis` belongs to the skin, not to a neighbour or a mirror plane."""
    corners = [np.flatnonzero(NODES[:8, a] == e) for a, e in itertools.product(range(3), (0.0, 1.0))]
    names = np.array([np.sort(part.cells[c], axis=0) for c in corners])  # [6 sides, 4, cells]: a side by its corners
    _, index, counts = np.unique(
        names.transpose(1, 0, 2).reshape(4, -1), axis=1, return_inverse=True, return_counts=True
    )
    alone = (counts[index] == 1).reshape(6, -1)[2 * axis + int(end)]
    on_plane = np.all(np.abs(part.nodes[:, names[2 * axis + int(end)]]) < 1e-9, axis=1)  # [3, cells]
    return np.flatnonzero(alone & ~on_plane[list(mirrors)].any(axis=0))


def _mirrored(
    body: Body, omega: Array, points: Array, normals: Array, areas: Array, shapes: Array, parity: NDArray[np.int64],
    volume: float,
) -> Modes:  # fmt: skip
    flips = list(itertools.product((1, -1), repeat=len(body.mirrors)))
    skin = len(flips) * (areas[:, None] * shapes**2).sum(axis=0)
    hit = struck(body, points, normals)
    distance = reach(body, points)[hit]
    whole_points, whole_shapes = [], []
    for flip in flips:
        signs = np.ones((3, 1))
        signs[list(body.mirrors), 0] = flip
        whole_points.append((points[:, hit] * signs).T)
        whole_shapes.append(shapes[hit] * np.prod(np.where(np.array(flip) < 0, parity, 1), axis=1))
    return Modes(
        omega=omega,
        shapes=np.concatenate(whole_shapes),
        points=np.concatenate(whole_points),
        areas=np.tile(areas[hit], len(flips)),
        reach=np.tile(distance, len(flips)),
        skin=skin,
        volume=np.array(len(flips) * volume),
        skin_area=np.array(len(flips) * areas.sum()),
    )
