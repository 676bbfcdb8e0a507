"""Thin bodies from surfaces of triangles: the middle of their walls as a shell of even triangles, and its modes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from sfxgen.physics.meshing import walls
from sfxgen.physics.meshing.remesh import fine, remeshed
from sfxgen.physics.meshing.triangles import areas, enclosed
from sfxgen.physics.modal.shapes import Array, Index
from sfxgen.physics.modal.shells import Facets

NODES = 2_800  # of a shell, six degrees of freedom each
_EDGE_FINENESS = 2.0  # fine edges along one of the shell, where the two sides of walls are matched
_SAME_WALL = 0.7  # share of the volume of a closed surface that its walls must hold to be all there is of it
_WALLED = 0.75  # share of the area of an open surface that must face another side for its walls to be the mesh's own
_MEAN_WALLS = 6.0  # a wall is at most so many times the mean one


@dataclass(frozen=True)
class Sheet:
    """facets: the shell. lost: share of the area in loose parts, left out. own: its walls are those of the mesh."""

    facets: Facets
    lost: float
    own: bool


def of_wall(points: Array, faces: Index, wall: float) -> Sheet:
    """A shell of that wall about a surface, open or closed."""
    edge = _edge(float(areas(points[faces]).sum()))
    even_points, even_faces = remeshed(points, faces, edge)
    return _largest(Facets(even_points, even_faces, np.full(len(even_faces), wall)), own=False)


def of_both_sides(points: Array, faces: Index, closed: bool) -> Sheet | None:
    """A shell in the middle of walls whose both sides the surface holds; None where it is no such surface.

    points, faces: turned outwards.
    """
    area, volume = float(areas(points[faces]).sum()), abs(enclosed(points[faces]))
    thickest = _MEAN_WALLS * 2 * volume / area if closed else 0.1 * float(np.ptp(points, axis=0).max())
    if closed and not _SAME_WALL < walls.walled_volume(points, faces, thickest) / volume < 1 / _SAME_WALL:
        return None
    edge = _edge(area / 2)
    many, small = fine(points, faces, edge / _EDGE_FINENESS)
    middle = walls.middle(many, small, thickest)
    middle_area = float(areas(middle.points[middle.faces]).sum())
    if closed and not _SAME_WALL < middle.volume / volume < 1 / _SAME_WALL:
        return None
    if not closed and middle_area < _WALLED * area / 2:
        return None
    even_points, even_faces = remeshed(middle.points, middle.faces, _edge(middle_area))
    centres, even_centres = middle.points[middle.faces].mean(axis=1), even_points[even_faces].mean(axis=1)
    _, nearest = cKDTree(centres).query(even_centres)
    return _largest(Facets(even_points, even_faces, middle.walls[nearest]), own=True)


def _edge(area: float) -> float:
    """Of an even triangle, where NODES points share the area."""
    return float(np.sqrt(2 / np.sqrt(3) * area / NODES))


def _largest(facets: Facets, own: bool) -> Sheet:
    """The largest part that hangs together by edges."""
    ends = np.sort(np.concatenate([facets.faces[:, [0, 1]], facets.faces[:, [1, 2]], facets.faces[:, [2, 0]]]), axis=1)
    name = ends[:, 0] * len(facets.points) + ends[:, 1]
    order = np.argsort(name, kind="stable")
    same = np.flatnonzero(np.diff(name[order]) == 0)
    n = len(facets.faces)
    a, b = order[same] % n, order[same + 1] % n
    count, label = connected_components(coo_matrix((np.ones(len(a)), (a, b)), shape=(n, n)), directed=False)
    area = np.bincount(label, areas(facets.points[facets.faces]), count)
    kept = label == area.argmax()
    used, index = np.unique(facets.faces[kept], return_inverse=True)
    part = Facets(facets.points[used], index.reshape(-1, 3), facets.walls[kept])
    return Sheet(part, float(1 - area.max() / area.sum()), own)
