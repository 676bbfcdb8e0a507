"""Faces within a body, as where its parts touch or run into one another: they bound nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from sfxgen.physics.meshing.distance import winding_at
from sfxgen.physics.meshing.triangles import normals, unique_points
from sfxgen.physics.modal.shapes import Array

STEP = 1e-4  # of the body's length: how far from a triangle it is asked what lies on either side


def may_have_inner(triangles: Array) -> bool:
    """Whether the surface [triangles, 3, 3] may have faces within: it is of several pieces, or more than two triangles
    share a side."""
    points, corners = unique_points(triangles.reshape(-1, 3))
    faces = corners.reshape(-1, 3)
    sides = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    shared = np.unique(sides[:, 0] * len(points) + sides[:, 1], return_counts=True)[1]
    graph = coo_matrix((np.ones(len(sides)), (sides[:, 0], sides[:, 1])), shape=(len(points),) * 2)
    return bool((shared > 2).any()) or connected_components(graph, directed=False)[0] > 1


def inner(pieces: Array, triangles: Array) -> NDArray[np.bool_]:
    """Which of the pieces [n, 3, 3] of a surface `triangles` lie within the body that this bounds."""
    middles, across = pieces.mean(axis=1), normals(pieces)
    step = STEP * float(np.ptp(middles, axis=0).max())
    across *= step / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-300)
    within = winding_at(middles + across, triangles) > 0.5
    within[within] = winding_at((middles - across)[within], triangles) > 0.5
    return np.asarray(within)
