"""The skin of a body in some hundreds of even triangles, for its sound field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.spatial import cKDTree

from sfxgen.physics.meshing.remesh import remeshed
from sfxgen.physics.meshing.triangles import areas, enclosed, normals, unique_points
from sfxgen.physics.modal.shapes import Array, Index

MOST = 1000
AROUND = 2.5  # panels across a body, at the least, or they do not go round it
KEPT = 0.15  # by which panels may change the area of a skin, or the volume in it
_WIDER = 1.1  # edges, where there are too many


@dataclass(frozen=True)
class Panels:
    """corners: [panels, 3, 3], relative to the body's first size, turned outwards; is_sheet: of a thin wall, in its
    middle, in place of a closed skin."""

    corners: Array
    is_sheet: bool

    @staticmethod
    def none() -> Panels:
        return Panels(np.zeros((0, 3, 3)), False)


def panelled_if_fine(triangles: Array) -> tuple[Panels, csr_matrix]:
    """As `panelled`, of a skin of any shape: none for what panels do not go round."""
    panels, means = panelled(triangles)
    area = float(areas(triangles).sum())
    keeps = abs(float(areas(panels.corners).sum()) - area) < KEPT * area
    if not panels.is_sheet:
        volume = abs(enclosed(triangles))
        keeps &= abs(abs(enclosed(panels.corners)) - volume) < KEPT * volume
        keeps &= _across(triangles) > AROUND * edge_of(area)
    return (panels, means) if keeps else (Panels.none(), csr_matrix((0, len(triangles))))


def _across(triangles: Array) -> float:
    """The second of a body's sides along its principal axes."""
    middles = triangles.mean(axis=1)
    _, axes = np.linalg.eigh(np.cov(middles.T, aweights=areas(triangles)))
    return float(np.sort(np.ptp(triangles.reshape(-1, 3) @ axes, axis=0))[1])


def edge_of(area: float) -> float:
    """The side of a panel where MOST of them cover that area."""
    return float(np.sqrt(4 / np.sqrt(3) * area / MOST))


def panelled(triangles: Array, least_edge: float = 0.0) -> tuple[Panels, csr_matrix]:
    """The panels of a skin [triangles, 3, 3], all turned alike, and the matrix [panels, triangles] that gives their
    mean displacement along their normals from that of the triangles along theirs. A skin without a rim is closed, any
    other a sheet. least_edge: for fewer than MOST."""
    points, number = unique_points(np.round(triangles, 9).reshape(-1, 3) + 0.0)
    faces = number.reshape(-1, 3)
    is_sheet = not _is_closed(faces)
    if not is_sheet and enclosed(triangles) < 0:
        panels, means = panelled(triangles[:, ::-1], least_edge)
        return panels, -means
    edge = max(least_edge, edge_of(float(areas(triangles).sum())))
    while True:
        places, found = remeshed(points, faces, edge)
        if len(found) <= MOST:
            break
        edge *= _WIDER
    corners = places[found if is_sheet else _without_flaps(found)]
    return Panels(corners, is_sheet), _means(corners, triangles, edge)


def _is_closed(faces: Index) -> bool:
    """Whether each side of a triangle is that of one other, which runs the other way."""
    ways = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    there, back = (np.unique(w, axis=0, return_counts=True) for w in (ways, ways[:, ::-1]))
    return bool(np.array_equal(there[0], back[0]) and (there[1] == 1).all())


def _without_flaps(faces: Index) -> Index:
    """Faces of a closed skin without those that hang on it: at four clusters that meet remeshing gives one too many."""
    while True:
        sides = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
        _, which, count = np.unique(sides, axis=0, return_inverse=True, return_counts=True)
        shared = count[which].reshape(3, -1)
        flaps = (shared == 1).any(axis=0) & (shared > 2).any(axis=0)
        if not flaps.any():
            return faces
        faces = faces[~flaps]


def _means(corners: Array, triangles: Array, edge: float) -> csr_matrix:
    """Each triangle counts in the panel that is nearest and faces its way; a panel with none has the nearest one's."""
    size = areas(triangles)
    facing = normals(triangles) / np.maximum(2 * size, 1e-300)[:, None]
    outwards = normals(corners)
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    panels = np.hstack([corners.mean(axis=1), edge * outwards])
    parts = np.hstack([triangles.mean(axis=1), edge * facing])
    owner = np.asarray(cKDTree(panels).query(parts)[1], dtype=np.int64)
    rows, columns, weights = owner, np.arange(len(triangles)), size
    empty = np.setdiff1d(np.arange(len(panels)), owner)
    if len(empty):
        rows = np.concatenate([rows, empty])
        columns = np.concatenate([columns, cKDTree(parts).query(panels[empty])[1]])
        weights = size[columns]
    weights = np.maximum(weights, 1e-300)
    of_panel = np.bincount(rows, weights, len(panels))
    return coo_matrix((weights / of_panel[rows], (rows, columns)), shape=(len(panels), len(triangles))).tocsr()
