"""The surface in the middle of a wall, where a mesh bounds the wall on both sides: a mug, a bottle, a car's body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from sfxgen.physics.shapes import Array, Index

_NEAREST = 4  # points of the other side that are looked at
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


def walled_volume(points: Array, faces: Index, thickest: float) -> float:
    """About the volume of the walls of at most `thickest` that a surface bounds on both sides, from _SAMPLES of it."""
    area = areas(points, faces)
    share = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    face = np.minimum(np.searchsorted(np.cumsum(area), share * area.sum()), len(faces) - 1)
    # Places within the triangles: the sequence of Roberts, evenly spread over a square that is folded to a triangle.
    u, v = (np.arange(_SAMPLES)[:, None] * [0.7548776662466927, 0.5698402909980532] % 1.0).T
    u, v = np.where(u + v > 1, 1 - u, u)[:, None], np.where(u + v > 1, 1 - v, v)[:, None]
    a, b, c = points[faces[face]].transpose(1, 0, 2)
    normals = _doubled(points, faces[face]) / (2 * area[face, None])
    walls, _ = across(a + u * (b - a) + v * (c - a), normals, thickest)
    return float(walls.mean() * area.sum() / 2)


def across(points: Array, normals: Array, thickest: float) -> tuple[Array, Index]:
    """How thick the wall is under each point of a skin, 0 where none of at most `thickest` is, [points]; and a point on
    its other side. normals: [points, 3], outwards.

    That is the nearest one inwards whose normal is opposite, in a space of places and normals; how thick, by the plane
    through it, so that points need not lie opposite one another.
    """
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
    normals = point_normals(points, faces)
    walls, other = across(points, normals, thickest)
    of_wall = faces[(walls > 0)[faces].all(axis=1)]
    if not len(of_wall):
        return Middle(points, of_wall, walls[:0])
    one_side = of_wall[(_side(len(points), of_wall, other) > 0)[of_wall].all(axis=1)]
    moved = points - walls[:, None] / 2 * normals
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
