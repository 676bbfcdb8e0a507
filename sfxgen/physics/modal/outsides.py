"""The outside of the bodies that a manifest can name in panels, from the skin of the part of it that is meshed."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from sfxgen.physics.air.panels import AROUND, Panels, edge_of, panelled
from sfxgen.physics.meshing.triangles import areas
from sfxgen.physics.meshing.triangles import normals as normals_of
from sfxgen.physics.modal.shapes import Array, Body, Index

# A side of a cell has nine points, 3 i + j: the eight triangles between them, as corners.
_HALVES: Index = np.array([[[0, 3, 4], [0, 4, 1]]]).repeat(4, axis=0) + np.array([0, 1, 3, 4])[:, None, None]
TRIANGLES: Index = _HALVES.reshape(8, 3)
_NOTHING = 1e-12  # area of what a side that shrinks to a line leaves
_FACING = 0.9
FLAT = 3.0  # times as wide as thick, at the least, is what radiates as a sheet


def skin_panels(
    body: Body, points: Array, normals: Array, flips: Array, signs: Array
) -> tuple[Panels, list[csr_matrix]]:
    """Panels of the whole body, and for each pattern of symmetry the matrix [panels, points] that takes the part's
    outward displacement to theirs.

    points, normals: [n, 3] of the part's skin, nine for each side of a cell; flips: [copies, 3], the reflections that
    make the body of the part; signs: [patterns, copies], of a pattern's outward displacement in each.
    """
    corners = (TRIANGLES + 9 * np.arange(len(points) // 9)[:, None, None]).reshape(-1, 3)
    triangles, outward = points[corners], normals[corners].mean(axis=1)
    outside = np.ones(len(corners), dtype=bool)
    if body.wall:  # what is inside of it does not radiate
        outside = (triangles.mean(axis=1) * outward).sum(axis=1) > 0
    edge = edge_of(len(flips) * float(areas(triangles[outside]).sum()))
    kind = _kind(body, edge)
    if kind == "none":
        return Panels.none(), [csr_matrix((0, len(points))) for _ in signs]
    kept = areas(triangles) > _NOTHING
    if kind != "whole":
        kept &= outside
    copies = np.arange(len(flips))
    if kind == "sheet":  # one of its faces, which moves as the mean of both
        thin = int(np.argmin(body.extent))
        kept &= outward[:, thin] > _FACING
        copies = np.flatnonzero(flips[:, thin] > 0)
        other = [int(np.flatnonzero((flips == flips[c] * _reflected(thin)).all(axis=1))[0]) for c in copies]
        signs = (signs[:, copies] - signs[:, other]) / 2
    triangles, corners, outward = triangles[kept], corners[kept], outward[kept]
    panels, means = panelled(np.concatenate([_turned(triangles * flips[c], outward * flips[c]) for c in copies]))
    to_triangles = csr_matrix(
        (np.full(corners.size, 1 / 3), (np.repeat(np.arange(len(corners)), 3), corners.ravel())),
        shape=(len(corners), len(points)),
    )
    n = len(corners)
    of_copies = [means[:, i * n : (i + 1) * n] @ to_triangles for i in range(len(copies))]
    return panels, [sum(sign * of_copy for sign, of_copy in zip(row, of_copies, strict=True)) for row in signs]


def _kind(body: Body, edge: float) -> str:
    """What of a body its panels shall cover: its "whole" skin; its "outside", where a thin wall is as well; a "sheet"
    in place of a thin flat body; "none" of what is so slender that panels of this edge would not go round it."""
    thin, across, _ = sorted(body.extent)
    if body.wall:
        if thin < AROUND * edge:
            return "none"
        return "outside" if body.shape == "box" or body.wall <= edge else "whole"
    if across < AROUND * edge:
        return "none"
    if thin > edge:
        return "whole"
    return "sheet" if across >= FLAT * thin else "none"


def _reflected(axis: int) -> Array:
    return np.where(np.arange(3) == axis, -1.0, 1.0)


def _turned(triangles: Array, outward: Array) -> Array:
    """Their corners in the order that makes their normals point outward."""
    inwards = (normals_of(triangles) * outward).sum(axis=1) < 0
    return np.where(inwards[:, None, None], triangles[:, ::-1], triangles)
