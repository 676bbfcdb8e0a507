"""The modes of bodies that are meshed already: tetrahedra of second order, or thin shells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from skfem import ElementTriP2
from skfem.quadrature import get_quadrature

from sfxgen.events import untold
from sfxgen.physics.air.panels import panelled_if_fine
from sfxgen.physics.meshing.inner import inner
from sfxgen.physics.meshing.tetrahedra import SIDES, skin_sides
from sfxgen.physics.meshing.triangles import areas as areas_of
from sfxgen.physics.modal.elements import assembled_parts
from sfxgen.physics.modal.families import N_RIGID, ONE_MATERIAL, ModeFamily, one_group, subspace
from sfxgen.physics.modal.mixtures import Matrices, Mixture
from sfxgen.physics.modal.modes import N_MODES, along
from sfxgen.physics.modal.ordering import unknowns_dissected
from sfxgen.physics.modal.shapes import Array, Mesh
from sfxgen.physics.modal.shells import Facets, assembled_shell, out_of_plane

N_SPOTS = 1536  # places of the skin where a blow may land, each of the same area
Chosen = NDArray[np.bool_]


def family_of_solid(
    part: Mesh, poisson: float, n_modes: int = N_MODES, panels: bool = False, mixture: Mixture | None = None,
    tell: Callable[[str], None] = untold,
) -> ModeFamily:  # fmt: skip
    """The lowest modes of a mesh of tetrahedra of second order whose longest side is about 1. mixture: of its cells."""

    def of(cells: Chosen) -> Matrices:
        ties = part.ties if cells[0] else None  # all with the first cell: they hold next to no energy
        return assembled_parts(Mesh(part.nodes, part.cells[:, cells], part.unknowns, ties))

    pieces = mixture.pieces("solid", of) if mixture else None
    matrices, M, volume = pieces.matrices() if pieces else assembled_parts(part)
    law = "fixed" if pieces else "solid"
    triangles, points, areas, outward = _skin(part)
    thickness = min(1.0, 4 * volume / float(areas.sum()))
    places = part.nodes.T[np.unique(part.moving(np.arange(part.nodes.shape[1])), return_index=True)[1]]
    order = unknowns_dissected(M if part.ties is None else M + matrices[1], places)
    basis = subspace(matrices, M, law, poisson, thickness, n_modes + N_RIGID, order, tell=tell)
    moved = outward @ basis.vectors
    shares, mass = (pieces.shares(basis), pieces.mass) if pieces else (ONE_MATERIAL, volume)
    family = one_group(law, n_modes, basis, moved, points, areas, _spread(areas), mass, shares=shares)
    return _panelled(family, triangles, areas, moved) if panels else family


def family_of_shell(
    shell: Facets, poisson: float, n_modes: int = N_MODES, panels: bool = False, mixture: Mixture | None = None,
    tell: Callable[[str], None] = untold,
) -> ModeFamily:  # fmt: skip
    """The lowest modes of a shell whose longest side is about 1. Both its sides radiate, and either may be struck.
    mixture: of its faces."""
    volumes = areas_of(shell.points[shell.faces]) * shell.walls

    def of(faces: Chosen) -> Matrices:
        return *assembled_shell(Facets(shell.points, shell.faces[faces], shell.walls[faces])), volumes[faces].sum()

    pieces = mixture.pieces("shell", of) if mixture else None
    matrices, M, volume = pieces.matrices() if pieces else of(np.ones(len(volumes), dtype=bool))
    law = "fixed" if pieces else "shell"
    order = unknowns_dissected(M, shell.points)
    basis = subspace(matrices, M, law, poisson, float(shell.walls.mean()), n_modes + N_RIGID, order, tell=tell)
    points, areas, outward = out_of_plane(shell, basis.vectors)
    shares, mass = (pieces.shares(basis), pieces.mass) if pieces else (ONE_MATERIAL, volume)
    family = one_group(law, n_modes, basis, outward, points, areas, _spread(areas), mass, sides=2, shares=shares)
    return _panelled(family, shell.points[shell.faces], areas, outward) if panels else family


def _panelled(family: ModeFamily, triangles: Array, areas: Array, moved: Array) -> ModeFamily:
    """With panels; areas, moved: of points of the triangles, as many in each, [points], and the basis's outward
    displacement there, [points, m]."""
    panels, means = panelled_if_fine(triangles)
    (group,) = family.groups
    share = areas.reshape(len(triangles), -1, 1)
    share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-300)
    group = replace(group, moved=means @ (share * moved.reshape(len(triangles), -1, moved.shape[1])).sum(axis=1))
    return replace(family, panels=panels, groups=(group,))


def _skin(part: Mesh) -> tuple[Array, Array, Array, csr_matrix]:
    """Triangles [faces, 3, 3] of the skin; quadrature over it: points [n, 3], as many in each triangle, areas [n], and
    the matrix [n, dofs] of their outward displacement."""
    triangle = ElementTriP2()
    rule, weights = get_quadrature(triangle, 4)
    values = np.array([triangle.lbasis(rule, i)[0] for i in range(6)])
    gradients = np.array([triangle.lbasis(rule, i)[1] for i in range(6)])
    cells = part.cells.T
    sides = skin_sides(cells[:, :4])
    faces = cells[sides[:, None] // 4, SIDES[sides % 4]]
    places = part.nodes.T[faces]  # [faces, 6, 3]
    if part.ties is not None:  # what parts hide of one another is no skin
        open_air = ~inner(places[:, :3], places[:, :3])
        faces, places = faces[open_air], places[open_air]
    tangents = np.einsum("fic,ibq->bfqc", places, gradients)
    normals = np.cross(tangents[0], tangents[1]).reshape(-1, 3)
    size = np.linalg.norm(normals, axis=1)
    points = np.einsum("fic,iq->fqc", places, values).reshape(-1, 3)
    nodes, n_rule = part.moving(faces), len(weights)
    outward = along(
        normals / np.maximum(size, 1e-300)[:, None],
        np.repeat(nodes, n_rule, axis=0),
        np.tile(values.T, (len(faces), 1)),
        3 * part.n_unknowns,
    )
    return places[:, :3], points, size * np.tile(weights, len(faces)), outward


def _spread(areas: Array) -> NDArray[np.int64]:
    """Indices of N_SPOTS points or all, that stand for equal shares of the area: every so many square metres one."""
    if len(areas) <= N_SPOTS:
        return np.arange(len(areas))
    wanted = (np.arange(N_SPOTS) + 0.5) / N_SPOTS * areas.sum()
    return np.asarray(np.minimum(np.searchsorted(np.cumsum(areas), wanted), len(areas) - 1), dtype=np.int64)
