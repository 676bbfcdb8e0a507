"""Convex pieces of bodies, for what touches what, and principal axes."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull, cKDTree

from sfxgen.physics.modal.shapes import Array, Body
from sfxgen.physics.moving.grains import grains

MOST_CORNERS = 32  # of a convex piece
SECTORS = 12  # round the wall of a bowl or tube
BACKED = 0.08  # by so much of the diameter their backs are thicker
CONCAVE = 0.6  # a mesh that fills less of its hull than this is told in N_PIECES convex pieces
N_PIECES = 14


def principal(spread: Array) -> tuple[Array, Array]:
    """Axes as columns, right-handed, the widest spread first, and the spread along them."""
    values, vectors = np.linalg.eigh(spread)
    first, second = vectors[:, 2], vectors[:, 1]
    first, second = (v * np.sign(v[np.abs(v).argmax()]) for v in (first, second))
    return np.column_stack([first, second, np.cross(first, second)]), values[::-1].copy()


def corners_of(points: Array) -> Array:
    """The corners of the convex hull of points [n, 3], at most MOST_CORNERS: those that lie farthest out in evenly
    spread directions."""
    points = points[ConvexHull(points).vertices]
    if len(points) <= MOST_CORNERS:
        return points
    k = np.arange(MOST_CORNERS) + 0.5
    polar, around = np.arccos(1 - 2 * k / MOST_CORNERS), np.pi * (1 + 5**0.5) * k  # a spiral over the ball
    ways = np.column_stack([np.cos(around) * np.sin(polar), np.sin(around) * np.sin(polar), np.cos(polar)])
    # Along the body's own proportions, else a flat one would give its faces nearly nothing but its outline.
    scale = np.maximum(np.ptp(points, axis=0), 1e-9)
    return np.asarray(points[np.unique(((points / scale) @ ways.T).argmax(axis=0))])


def walls(body: Body, size_m: float) -> tuple[Array, ...]:
    """The wall of a bowl, bell or tube as convex pieces [n, 3] (m), so that things can be in it: SECTORS round it, in
    as many rings as are about as high as wide, and a bottom. Outwards they are thicker than the wall, so that what
    presses in is always pushed back in."""
    if body.shape not in ("bowl", "bell", "tube"):
        return ()
    points = grains(body).surface
    tall = body.extent[2]
    n_rings = max(1, min(4, round(tall / 0.35)))
    along = points[:, 2] - points[:, 2].min()
    ring = np.minimum((n_rings * along / (tall * (1 + 1e-9))).astype(np.int64), n_rings - 1)
    sector = np.floor((np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) + 1) * SECTORS).astype(np.int64) % SECTORS
    name = 1 + ring * SECTORS + sector
    if body.shape != "tube":
        name[np.hypot(points[:, 0], points[:, 1]) < 0.2] = 0
    pieces = []
    for k in np.unique(name):
        mine = points[name == k]
        middle = mine.mean(axis=0) * [1.0, 1.0, float(body.shape != "tube")]
        out = middle / np.linalg.norm(middle) if k else np.array([0.0, 0.0, -1.0])
        pieces.append(corners_of(np.concatenate([mine, mine + BACKED * out])) * size_m)
    return tuple(pieces)


def fitting_m(body: Body, size_m: float) -> float:
    """Radius of the ball that goes into a bowl, bell or tube (m); 0 for other shapes."""
    return (0.5 - body.wall) * size_m if body.shape in ("bowl", "bell", "tube") else 0.0


def pieces_of(points: Array, wall_m: float, volume_m3: float) -> tuple[Array, ...]:
    """Convex pieces of a surface given by evenly spread points [n, 3] (m): its hull, or several pieces where the
    body fills little of that. wall_m: thickness of a shell, 0 for what is solid within its surface."""
    whole = ConvexHull(points)
    if volume_m3 > CONCAVE * whole.volume:
        return (corners_of(points),)
    seeds = [int(np.linalg.norm(points - points.mean(axis=0), axis=1).argmax())]
    away = np.full(len(points), np.inf)
    for _ in range(N_PIECES - 1):
        away = np.minimum(away, np.linalg.norm(points - points[seeds[-1]], axis=1))
        seeds.append(int(away.argmax()))
    owner = cKDTree(points[seeds]).query(points)[1]
    ball = max(wall_m / 2, 1e-4 * float(np.ptp(points))) * np.concatenate([np.eye(3), -np.eye(3)])
    groups = [points[owner == k] for k in range(N_PIECES)]
    return tuple(corners_of((group[:, None] + ball).reshape(-1, 3)) for group in groups if len(group))
