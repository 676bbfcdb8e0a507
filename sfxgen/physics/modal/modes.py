"""The modes of vibration of a free elastic body that a manifest names, by finite elements."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix

from sfxgen.physics.air.panels import Panels
from sfxgen.physics.modal import families
from sfxgen.physics.modal.elements import HEXAHEDRON, assembled_parts, jacobians
from sfxgen.physics.modal.families import N_RIGID, ONE_MATERIAL, Basis, Group, ModeFamily, Modes
from sfxgen.physics.modal.outsides import skin_panels
from sfxgen.physics.modal.shapes import NODES, Array, Body, Index, Mesh, mesh, reach, struck

VERSION = "3"  # part of the cache key: raise it when the same body would give other modes
N_MODES = 64
SPARE = 8  # modes of each parity beyond its share
MARGIN = 4  # … and beyond those, for other Poisson ratios


def key(body: Body, poisson: float, panels: bool = False, n_modes: int = N_MODES) -> str:
    """Names the result of `family` with these in a cache."""
    of_body = f"{body}/{families.centre(poisson)!r}/{n_modes}{'/panels' * panels}"
    return f"modes-{VERSION}.{families.VERSION}/{of_body}"


def family(body: Body, poisson: float, n_modes: int = N_MODES, panels: bool = False) -> ModeFamily:
    """The lowest modes of a free body of linear, isotropic material at Poisson ratios about 0 <= poisson < 0.5; with
    the panels of its skin if these are asked for."""
    return _family(body, families.centre(poisson), n_modes, panels)


def solve(body: Body, poisson: float, n_modes: int = N_MODES, panels: bool = False) -> Modes:
    """The lowest modes at that very ratio."""
    return _family(body, poisson, n_modes, panels).at(poisson)


def _family(body: Body, poisson: float, n_modes: int, panels: bool = False) -> ModeFamily:
    """The meshed part is solved for each parity: at a mirror plane an even pattern has no normal displacement, an odd
    one no other. Degenerate modes thereby fall into a fixed orientation, and each problem is an eighth of the whole.
    """
    part = mesh(body)
    matrices, M, volume = assembled_parts(part)
    points, normals, areas, outward = _skin(body, part)
    parities = list(itertools.product((1, -1), repeat=len(body.mirrors)))
    # Parities have nearly equal shares of the modes: ask each for a few more; `at` keeps what lies below the lowest of
    # their last ones, so that no mode is missing between.
    share = -(-(n_modes + N_RIGID) // len(parities)) + SPARE
    first = 4 * body.thickness / max(body.extent) ** 2  # about the lowest bending mode of a bar, plate or shell
    free = [_free_dofs(part.nodes, body.mirrors, parity) for parity in parities]
    bases = [_of_parity(matrices, M, dofs, poisson, first, share) for dofs in free]
    hit = struck(body, points.T, normals.T)
    flips = np.ones((len(parities), 3))
    flips[:, list(body.mirrors)] = parities
    signs = np.array([[np.prod(np.where(np.array(f) < 0, p, 1)) for f in parities] for p in parities], dtype=np.float64)
    skins = skin_panels(body, points, normals, flips, signs) if panels else None
    groups = []
    for i, basis in enumerate(bases):
        moved = outward @ basis.vectors / np.sqrt(len(parities))
        skin = len(parities) * (moved.T @ (areas[:, None] * moved))
        of_panels = skins[1][i] @ moved if skins else moved[:0]
        groups.append(Group(basis.stiffness, moved[hit], skin, of_panels, signs[i], ONE_MATERIAL, basis.n_sure))
    return ModeFamily(
        law="solid",
        n_modes=n_modes,
        groups=tuple(groups),
        points=np.concatenate([points[hit] * flip for flip in flips]),
        areas=np.tile(areas[hit], len(flips)),
        reach=np.tile(reach(body, points.T)[hit], len(flips)),
        volume=np.array(len(flips) * volume),
        skin_area=np.array(len(flips) * areas.sum()),
        panels=skins[0] if skins else Panels.none(),
    )


def _free_dofs(nodes: Array, mirrors: tuple[int, ...], parity: Sequence[int]) -> NDArray[np.int64]:
    free = np.ones((nodes.shape[1], 3), dtype=bool)
    for axis, sign in zip(mirrors, parity, strict=True):
        on_plane = np.abs(nodes[axis]) < 1e-9
        held = np.arange(3) == axis if sign > 0 else np.arange(3) != axis
        free[np.ix_(on_plane, held)] = False
    return np.flatnonzero(free.ravel())


def _of_parity(
    matrices: tuple[csc_matrix, csc_matrix], M: csc_matrix, free: Index, poisson: float, omega: float, n: int
) -> Basis:
    """The modes of one parity, n of them sure, over all dofs; omega: about the lowest frequency."""
    first, second = (matrix[free][:, free].tocsc() for matrix in matrices)
    small = families.subspace((first, second), M[free][:, free].tocsc(), "solid", poisson, omega, n, margin=MARGIN)
    vectors = np.zeros((M.shape[0], small.vectors.shape[1]))
    vectors[free] = small.vectors
    return Basis(vectors, small.stiffness, small.n_sure)


# Simpson's rule on a side of a cell: its nine points include corners and middles, so symmetry planes are among them.
_RULE = np.array(list(itertools.product((0.0, 0.5, 1.0), repeat=2)))
_RULE_WEIGHTS = np.outer([1, 4, 1], [1, 4, 1]).ravel() / 36


def _skin(body: Body, part: Mesh) -> tuple[Array, Array, Array, csr_matrix]:
    """Of the skin of the meshed part: points [n, 3], outward normals [n, 3], areas [n], and the matrix [n, dofs] that
    gives their outward displacement."""
    points, normals, areas, nodes, values = [], [], [], [], []
    for axis, end in itertools.product(range(3), (0.0, 1.0)):
        local = np.insert(_RULE, axis, end, axis=1).T  # [3, 9]
        side = Mesh(part.nodes, part.cells[:, _outer_cells(part, body.mirrors, axis, end)])
        jacobian = jacobians(side, local)
        normal = np.cross(jacobian[..., (axis + 1) % 3], jacobian[..., (axis + 2) % 3])  # [cells, 9, 3]
        normal *= np.sign((normal * jacobian[..., axis]).sum(axis=-1, keepdims=True)) * (1 if end else -1)
        size = np.linalg.norm(normal, axis=-1)
        normal /= np.where(size > 0, size, 1.0)[..., None]
        functions = HEXAHEDRON.values(local)  # [20, 9]
        points.append((part.nodes[:, side.cells].transpose(0, 2, 1) @ functions).reshape(3, -1).T)
        normals.append(normal.reshape(-1, 3))
        areas.append((size * _RULE_WEIGHTS).ravel())
        nodes.append(np.repeat(side.cells.T, len(_RULE), axis=0))
        values.append(np.tile(functions.T, (side.cells.shape[1], 1)))
    normal, node, value = np.concatenate(normals), np.concatenate(nodes), np.concatenate(values)
    return np.concatenate(points), normal, np.concatenate(areas), along(normal, node, value, 3 * part.nodes.shape[1])


def along(normals: Array, nodes: Index, values: Array, n_dofs: int) -> csr_matrix:
    """The matrix [points, n_dofs] that gives displacements along normals [points, 3] at points whose own nodes
    [points, k] count with values [points, k]; dof 3 i + c is displacement c of node i."""
    entries = values[:, :, None] * normals[:, None, :]
    columns = 3 * nodes[:, :, None] + np.arange(3)
    rows = np.broadcast_to(np.arange(len(normals))[:, None, None], columns.shape)
    return coo_matrix((entries.ravel(), (rows.ravel(), columns.ravel())), shape=(len(normals), n_dofs)).tocsr()


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
