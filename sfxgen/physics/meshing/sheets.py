"""Thin bodies from surfaces of triangles: the middle of their walls as a shell of even triangles, and its modes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from sfxgen.physics.meshing import walls
from sfxgen.physics.meshing.inner import inner, may_have_inner
from sfxgen.physics.meshing.remesh import SLIVER, fine, remeshed
from sfxgen.physics.meshing.triangles import areas, enclosed, groups
from sfxgen.physics.modal.shapes import Array, Index
from sfxgen.physics.modal.shells import Facets

NODES = 2_800  # of a shell, six degrees of freedom each
_EDGE_FINENESS = 2.0  # fine edges along one of the shell, where the two sides of walls are matched
_SAME_WALL = (0.7, 1.2)  # of the volume of a closed surface, what its walls hold if they are all there is of it
_WALLED = 0.75  # share of the area of an open surface that must face another side for its walls to be the mesh's own
_NEAR = 16  # points about the end of a wall that are looked at
_ASIDE = 0.7  # edges: how far aside of it the nearest point of a skin may be
_JOINT = 0.75  # walls and edges: how far before it a wall may end
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
    if closed and not _are_all(walls.walled_volume(points, faces, thickest) / volume):
        return None
    edge = _edge(area / 2)
    many, small = fine(points, faces, edge / _EDGE_FINENESS)
    if closed and may_have_inner(points[faces]):
        small = small[~inner(many[small], points[faces])]
    middle = walls.middle(many, small, thickest, edge / _EDGE_FINENESS)
    middle_area = float(areas(middle.points[middle.faces]).sum())
    if closed and not _are_all(middle.volume / volume):
        return None
    if not closed and middle_area < _WALLED * area / 2:
        return None
    even_points, even_faces = remeshed(middle.points, middle.faces, _edge(middle_area))
    centres, even_centres = middle.points[middle.faces].mean(axis=1), even_points[even_faces].mean(axis=1)
    _, nearest = cKDTree(centres).query(even_centres)
    return _largest(_joined(Facets(even_points, even_faces, middle.walls[nearest])), own=True)


def _are_all(share: float) -> bool:
    """Whether walls of that share of the volume are all there is; what is thick both ways counts as several."""
    return _SAME_WALL[0] < share < _SAME_WALL[1]


def _edge(area: float) -> float:
    """Of an even triangle, where NODES points share the area."""
    return float(np.sqrt(2 / np.sqrt(3) * area / NODES))


def _joined(facets: Facets) -> Facets:
    """Parts that do not hang together made one where a wall of one ends at a wall of another: it is lengthened to the
    middle of that."""
    of_face = _by_edges(facets)
    if not of_face.any():
        return facets
    n, faces = len(facets.points), facets.faces
    wall, part = np.zeros(n), np.zeros(n, dtype=np.int64)
    np.maximum.at(wall, faces, facets.walls[:, None])
    part[faces] = of_face[:, None]
    ends, count = np.unique(np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0, return_counts=True)
    edge = float(np.median(np.linalg.norm(facets.points[ends[:, 0]] - facets.points[ends[:, 1]], axis=1)))
    rim = np.unique(ends[count == 1])
    away, near = map(np.asarray, cKDTree(facets.points).query(facets.points[rim], k=np.arange(1, min(_NEAR, n) + 1)))
    good = (part[near] != part[rim][:, None]) & (away < np.hypot(_ASIDE * edge, _JOINT * (wall[near] + edge)))
    to, found = np.arange(n), good.any(axis=1)
    to[rim[found]] = near[found, good[found].argmax(axis=1)]
    group = groups(np.arange(n), to, n)[1]
    first = np.lexsort((np.arange(n), np.isin(np.arange(n), rim), group))  # what is no end stays where it is
    joined = first[np.unique(group[first], return_index=True)[1]][group][faces]
    whole = areas(facets.points[joined]) > SLIVER * edge**2
    return Facets(facets.points, joined[whole], facets.walls[whole])


def _by_edges(facets: Facets) -> Index:
    """Of each face, the number of those that it hangs together with by edges."""
    ends = np.sort(np.concatenate([facets.faces[:, [0, 1]], facets.faces[:, [1, 2]], facets.faces[:, [2, 0]]]), axis=1)
    name = ends[:, 0] * len(facets.points) + ends[:, 1]
    order = np.argsort(name, kind="stable")
    same = np.flatnonzero(np.diff(name[order]) == 0)
    n = len(facets.faces)
    return groups(order[same] % n, order[same + 1] % n, n)[1]


def _largest(facets: Facets, own: bool) -> Sheet:
    """The largest part that hangs together by edges."""
    label = _by_edges(facets)
    area = np.bincount(label, areas(facets.points[facets.faces]))
    kept = label == area.argmax()
    used, index = np.unique(facets.faces[kept], return_inverse=True)
    part = Facets(facets.points[used], index.reshape(-1, 3), facets.walls[kept])
    return Sheet(part, float(1 - area.max() / area.sum()), own)
