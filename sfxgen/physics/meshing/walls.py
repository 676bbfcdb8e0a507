"""The surface in the middle of a wall, where a mesh bounds the wall on both sides: a mug, a bottle, a car's body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from sfxgen.physics.meshing.triangles import areas, normals, point_normals, spread
from sfxgen.physics.modal.shapes import Array, Index

_NEAREST = 4  # points of the other side that are looked at
_THINNEST = 1e-3  # of the thickest: sides nearer than that touch, and bound no wall
_OPPOSITE = -0.7  # cosine between the normals of both sides of a wall, at the most
_SAMPLES = 6_000  # points by which a body is judged
_DAMPED = 1e-7  # keeps the matrix of sides definite
_ROUNDS = 12  # of inverse iteration


@dataclass(frozen=True)
class Middle:
    """points: [points, 3], faces: [faces, 3], walls: [faces], its thickness there."""

    points: Array
    faces: Index
    walls: Array

    @property
    def volume(self) -> float:
        """Of the wall."""
        return float((areas(self.points[self.faces]) * self.walls).sum())


def walled_volume(points: Array, faces: Index, thickest: float) -> float:
    """About the volume of the walls of at most `thickest` that a surface bounds on both sides, from _SAMPLES of it."""
    triangles = points[faces]
    places, face = spread(triangles, _SAMPLES)
    across_face = normals(triangles)[face]
    across_face /= np.linalg.norm(across_face, axis=1, keepdims=True)
    walls, _ = across(places, across_face, thickest, float(np.sqrt(areas(triangles).sum() / _SAMPLES)))
    return float(walls.mean() * areas(triangles).sum() / 2)


def across(points: Array, outwards: Array, thickest: float, spacing: float) -> tuple[Array, Index]:
    """How thick the wall is under each point of a skin, 0 where none of at most `thickest` is, [points]; and a point on
    its other side. outwards: [points, 3], unit normals; spacing: about how far points are apart.

    That is the nearest one inwards whose normal is opposite, in a space of places and normals; how thick, by the plane
    through it, so that points need not lie opposite one another.
    """
    weight = max(thickest, spacing)  # of normals beside places
    limit = float(np.hypot(1.5 * weight, weight * np.sqrt(2 + 2 * _OPPOSITE)))
    tree = cKDTree(np.hstack([points, weight * outwards]))
    found, near = tree.query(np.hstack([points, -weight * outwards]), k=_NEAREST, distance_upper_bound=limit)
    near = np.where(np.isfinite(found), near, 0).astype(np.int64)
    gap = points[:, None] - points[near]
    cosine = np.einsum("pc,pkc->pk", outwards, outwards[near])
    inward = np.einsum("pkc,pc->pk", gap, outwards) > 0
    depth = np.einsum("pkc,pkc->pk", gap, outwards[near]) / np.where(cosine < _OPPOSITE, cosine, -1.0)
    good = np.isfinite(found) & inward & (cosine < _OPPOSITE) & (depth > _THINNEST * thickest) & (depth < thickest)
    first = good.argmax(axis=1)
    rows = np.arange(len(points))
    return np.where(good.any(axis=1), depth[rows, first], 0.0), near[rows, first]


def middle(points: Array, faces: Index, thickest: float, edge: float) -> Middle:
    """One side of every wall of at most `thickest`, moved to its middle. Its rims, and what is no wall, are left out.

    points, faces: of small triangles of about that edge, turned outwards.
    """
    outwards = point_normals(len(points), faces, points[faces])
    walls, other = across(points, outwards, thickest, edge)
    of_wall = faces[(walls > 0)[faces].all(axis=1)]
    if not len(of_wall):
        return Middle(points, of_wall, walls[:0])
    one_side = of_wall[(_side(len(points), of_wall, other) > 0)[of_wall].all(axis=1)]
    moved = points - walls[:, None] / 2 * outwards
    used, index = np.unique(one_side, return_inverse=True)
    return Middle(moved[used], index.reshape(-1, 3).astype(np.int64), walls[one_side].mean(axis=1))


def _side(n: int, faces: Index, other: Index) -> Array:
    """A number for each point, which is > 0 on one side of every wall and < 0 on the other, [points]; 0 off walls.

    The slowest x of Σ (x_i - x_j)² over edges + Σ (x_i + x_other)²: as smooth as it can be while it is opposite on
    opposite points. So it changes sign along the rims, where both sides meet.
    """
    used, index = np.unique(faces, return_inverse=True)
    index = index.reshape(-1, 3)
    number = np.full(n, -1)
    number[used] = np.arange(len(used))
    ends = np.concatenate([index[:, [0, 1]], index[:, [1, 2]], index[:, [2, 0]]])
    pairs = np.stack([np.arange(len(used)), number[other[used]]], axis=1)
    pairs = pairs[pairs[:, 1] >= 0]
    rows, columns = np.concatenate([ends, pairs]).T
    sign = np.repeat([-1.0, 1.0], [len(ends), len(pairs)])
    links = coo_matrix((sign, (rows, columns)), shape=(len(used),) * 2)
    weight = np.bincount(np.concatenate([rows, columns]), minlength=len(used))
    matrix = (links + links.T + diags(weight + _DAMPED)).tocsc()
    factors = splu(matrix, "MMD_AT_PLUS_A", diag_pivot_thresh=0, options={"SymmetricMode": True})
    found = np.cos(np.arange(len(used), dtype=np.float64) ** 2)
    for _ in range(_ROUNDS):
        found = factors.solve(found)
        found /= np.linalg.norm(found)
    whole = np.zeros(n)
    whole[used] = found
    return whole
