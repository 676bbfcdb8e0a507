"""The surface in the middle of a wall, where a mesh bounds the wall on both sides: a mug, a bottle, a car's body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from sfxgen.physics.shapes import Array, Index

_NEAREST = 4  # points of the other side that are looked at
_OPPOSITE = -0.7  # cosine between the normals of both sides of a wall


@dataclass(frozen=True)
class Middle:
    """points: [points, 3], faces: [faces, 3], walls: [faces], its thickness there."""

    points: Array
    faces: Index
    walls: Array

    @property
    def volume(self) -> float:
        """Of the wall."""
        return float((areas(self.points, self.faces) * self.walls).sum())


def areas(points: Array, faces: Index) -> Array:
    """[faces]."""
    return np.asarray(np.linalg.norm(_doubled(points, faces), axis=1) / 2)


def _doubled(points: Array, faces: Index) -> Array:
    """Normals of the faces, of twice their area, [faces, 3]."""
    corners = points[faces]
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def point_normals(points: Array, faces: Index) -> Array:
    """[points, 3], outwards: the mean of each point's faces by their area."""
    normal = np.repeat(_doubled(points, faces), 3, axis=0)
    total = np.stack([np.bincount(faces.ravel(), normal[:, k], len(points)) for k in range(3)], axis=1)
    return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-300))


def across(points: Array, faces: Index, thickest: float) -> tuple[Array, Index]:
    """How thick the wall is under each point, 0 where none of at most `thickest` is, [points]; and a point on its other
    side.

    That is the nearest one inwards whose normal is opposite, in a space of places and normals; how thick, by the plane
    through it, so that points need not lie opposite one another.
    """
    normals = point_normals(points, faces)
    weight = thickest  # of normals beside places
    limit = float(np.hypot(1.5 * thickest, weight * np.sqrt(2 + 2 * _OPPOSITE)))
    tree = cKDTree(np.hstack([points, weight * normals]))
    found, near = tree.query(np.hstack([points, -weight * normals]), k=_NEAREST, distance_upper_bound=limit)
    near = np.where(np.isfinite(found), near, 0).astype(np.int64)
    gap = points[:, None] - points[near]
    cosine = np.einsum("pc,pkc->pk", normals, normals[near])
    inward = np.einsum("pkc,pc->pk", gap, normals) > 0
    depth = np.einsum("pkc,pkc->pk", gap, normals[near]) / np.where(cosine < _OPPOSITE, cosine, -1.0)
    good = np.isfinite(found) & inward & (cosine < _OPPOSITE) & (depth > 0) & (depth < thickest)
    first = good.argmax(axis=1)
    rows = np.arange(len(points))
    return np.where(good.any(axis=1), depth[rows, first], 0.0), near[rows, first]


def middle(points: Array, faces: Index, thickest: float) -> Middle:
    """One side of every wall of at most `thickest`, moved to its middle. Its rims, and what is no wall, are left out.

    points, faces: of small triangles, turned outwards.
    """
    walls, other = across(points, faces, thickest)
    of_wall = faces[(walls > 0)[faces].all(axis=1)]
    n = len(points)
    sides = np.concatenate([of_wall[:, [0, 1]], of_wall[:, [1, 2]]])
    count, part = connected_components(coo_matrix((np.ones(len(sides)), tuple(sides.T)), shape=(n, n)), directed=False)
    own = part[of_wall[:, 0]]
    size = np.bincount(own, areas(points, of_wall), count)
    kept = np.zeros(count, dtype=bool)
    members = np.unique(of_wall)
    for label in np.argsort(-size, kind="stable")[: int((size > 0).sum())]:
        mine = members[part[members] == label]
        kept[label] = kept[part[other[mine]]].mean() < 0.5  # else this wall is there by its other side
    chosen = of_wall[kept[own]]
    moved = points - walls[:, None] / 2 * point_normals(points, faces)
    used, index = np.unique(chosen, return_inverse=True)
    return Middle(moved[used], index.reshape(-1, 3), walls[chosen].mean(axis=1))
