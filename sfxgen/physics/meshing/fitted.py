"""A lattice fitted to a box: turned as its faces lie, and stretched so that whole cubes fill it.

A lattice cuts off the edges of a body that it lies askew to; where the faces at an edge lie on planes of the lattice,
the edge stays.
"""

from __future__ import annotations

import itertools

import numpy as np

from sfxgen.physics.meshing.triangles import areas, normals
from sfxgen.physics.modal.shapes import Array

BOXY = 0.25  # of the surface lies in the faces of the box around it
STRETCHED = 1.42  # by which a cube may be longer or shorter than the usual one: between one and two
LEAST_SHARE = 0.1  # of the surface, that must face one way for the lattice to turn that way
ALIKE = 1e-3  # normals that differ by less are one


def fitted(triangles: Array, cell: float) -> Array:
    """The matrix [3, 3] by which places of a body, as rows, are turned and stretched into a lattice of such cubes that
    fits its faces, if it is a box or has much of one; else they stay."""
    turn = axes_of_faces(triangles)
    along = triangles @ turn
    if box_share(along, cell) < BOXY:
        return np.eye(3)
    cubes = np.ptp(along, axis=(0, 1)) / cell
    stretch = np.maximum(np.round(cubes), 1.0) / cubes
    return np.asarray(turn * np.where(np.abs(np.log(stretch)) < np.log(STRETCHED), stretch, 1.0))


def box_share(triangles: Array, cell: float) -> float:
    """The share of a surface that lies in the faces of the box around it, of a lattice of such cubes."""
    low, high = triangles.min(axis=(0, 1)), triangles.max(axis=(0, 1))
    on_face = [(np.abs(triangles - end) < 1e-4 * cell).all(axis=1).any(axis=1) for end in (low, high)]
    size = areas(triangles)
    return float(size[on_face[0] | on_face[1]].sum() / size.sum())


def axes_of_faces(triangles: Array, least_share: float = LEAST_SHARE) -> Array:
    """The way that most of the surface faces, and of those across it that which most of it faces, as axes: columns of
    a rotation [3, 3], in the order that turns least. least_share: of the surface, that faces a way that counts."""
    normal = normals(triangles)
    size = np.linalg.norm(normal, axis=1)
    names = np.round(normal / np.maximum(size, 1e-300)[:, None] / ALIKE).astype(np.int64)
    leading = np.take_along_axis(names, (names != 0).argmax(axis=1)[:, None], axis=1)
    forth = np.where(leading < 0, -1, 1)  # a face and its opposite count as one
    names, index = np.unique(names * forth, axis=0, return_inverse=True)
    total = np.stack([np.bincount(index.ravel(), x) for x in (normal * forth).T], axis=1)
    share = np.round(np.linalg.norm(total, axis=1) / max(size.sum(), 1e-300), 6)
    order = np.lexsort((*names.T, -np.abs(names).max(axis=1), -share))
    order = order[share[order] >= least_share]
    if not len(order):
        return np.eye(3)
    ways = total[order] / np.linalg.norm(total[order], axis=1, keepdims=True)
    across = np.flatnonzero(np.abs(ways @ ways[0]) < ALIKE)
    second = ways[across[0]] if len(across) else np.eye(3)[np.abs(ways[0]).argmin()]
    second = second - (second @ ways[0]) * ways[0]
    second /= np.linalg.norm(second)
    axes = np.stack([ways[0], second, np.cross(ways[0], second)], axis=1)
    # Of the six orders, and for each axis of both directions, those that are nearest to the given axes.
    axes = axes[
        :, max(itertools.permutations(range(3)), key=lambda p: round(float(np.abs(axes[range(3), p]).sum()), 9))
    ]
    axes *= np.where(np.round(np.diag(axes), 9) < 0, -1.0, 1.0)
    return np.stack([axes[:, 0], axes[:, 1], np.cross(axes[:, 0], axes[:, 1])], axis=1)
