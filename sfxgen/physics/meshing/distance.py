"""How far a point is from a surface of triangles, and on which side of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sfxgen.physics.meshing.triangles import normals
from sfxgen.physics.modal.shapes import Array

Index = NDArray[np.int64]

_FIRST, _MOST = 8, 64  # triangles looked at for each point
_MARGIN = 1e-9  # of a triangle: more than distances near one are rounded by
MOST_BINS = 400  # of triangles along a side
ASIDE = np.array([4.1e-7, 6.2e-7, 7.3e-7])  # of the body's sides: rays that meet corners and edges would miss them
_CHUNK = 1 << 20  # pairs worked on at once: bounds memory


class Distance:
    """Distances to triangles [triangles, 3 corners, 3], of which none is longer than `longest`: see `split`."""

    def __init__(self, triangles: Array) -> None:
        self.triangles = triangles
        centres = triangles.mean(axis=1)
        self._radii = np.linalg.norm(triangles - centres[:, None], axis=2).max(axis=1)
        self._reach = float(self._radii.max())
        self._tree = cKDTree(centres)

    def nearest(self, points: Array, near: float = np.inf) -> tuple[Array, Array]:
        """For points [n, 3]: the nearest point of the surface [n, 3], and how far it is [n].

        Points farther than `near` are only told that they are. Of triangles much smaller than that, _FIRST are looked
        at; of others so many as make sure of the nearest one, but of no more than _MOST unless `near` is infinite.
        """
        is_exact = np.isinf(near)
        most = len(self.triangles) if is_exact else min(_MOST, len(self.triangles))
        limit = near + self._reach
        distance, index = self._tree.query(points, distance_upper_bound=limit)
        left = np.flatnonzero(index < len(self.triangles))
        distance = np.minimum(distance, limit)
        place = points.copy()
        k = min(_FIRST, len(self.triangles))
        bound = np.full(len(points), np.inf)
        while len(left):
            farthest = np.empty(len(left))
            for start in range(0, len(left), max(1, _CHUNK // k)):
                rows = slice(start, start + max(1, _CHUNK // k))
                some = left[rows]
                away, index = map(np.asarray, self._tree.query(points[some], k=np.arange(1, k + 1)))
                place[some], distance[some] = self._best(points[some], index, away, bound[some])
                farthest[rows] = away[:, -1]
            if k == most or (self._reach < 0.2 * near and not is_exact):
                break
            bound[left] = distance[left]
            unsure = left[farthest - self._reach < distance[left]]
            # Where the most are unsure of the nearest, as among needles, twice as many would not do either.
            k = min(2 * k if len(unsure) < len(left) / 2 or is_exact else _MOST, most)
            left = unsure
        return place, distance

    def _best(self, points: Array, index: Index, away: Array, bound: Array) -> tuple[Array, Array]:
        """Of each point's candidates [n, k], so far away by their centres, the nearest point [n, 3] and its distance
        [n]. Only of those that may be nearer than the first one, and than `bound` [n], the distance is worked out."""
        n, k = index.shape
        first = _closest(points, self.triangles[index[:, 0]])
        bound = np.minimum(bound, np.linalg.norm(first - points, axis=1)) + _MARGIN * self._reach
        rows, columns = np.nonzero(away - self._radii[index] <= bound[:, None])
        places = _closest(points[rows], self.triangles[index[rows, columns]])
        distance = np.full((n, k), np.inf)
        distance[rows, columns] = np.linalg.norm(places - points[rows], axis=1)
        best = distance.argmin(axis=1)
        number = np.zeros((n, k), dtype=np.int64)
        number[rows, columns] = np.arange(len(rows))
        every = np.arange(n)
        return places[number[every, best]], distance[every, best]

    def normals(self, points: Array) -> Array:
        """Of points on the surface [n, 3], the unit normal of a triangle that each lies on, [n, 3]."""
        k = min(_FIRST, len(self.triangles))
        _, index = map(np.asarray, self._tree.query(points, k=np.arange(1, k + 1)))
        corners = self.triangles[index]
        gap = _closest(np.repeat(points, k, axis=0), corners.reshape(-1, 3, 3)).reshape(-1, k, 3) - points[:, None]
        best = corners[np.arange(len(points)), np.linalg.norm(gap, axis=2).argmin(axis=1)]
        normal = normals(best)
        return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300))


def _closest(points: Array, triangles: Array) -> Array:
    """The point of each triangle nearest to each point: Ericson, "Real-Time Collision Detection" (2005), 5.1.5."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    ab, ac = b - a, c - a
    d1, d2 = _dot(ab, points - a), _dot(ac, points - a)
    d3, d4 = _dot(ab, points - b), _dot(ac, points - b)
    d5, d6 = _dot(ab, points - c), _dot(ac, points - c)
    va, vb, vc = d3 * d6 - d5 * d4, d5 * d2 - d1 * d6, d1 * d4 - d3 * d2
    total = va + vb + vc
    v, w = _ratio(vb, total), _ratio(vc, total)
    on_bc = (va <= 0) & (d4 >= d3) & (d5 >= d6)
    t = _ratio(d4 - d3, (d4 - d3) + (d5 - d6))
    v, w = np.where(on_bc, 1 - t, v), np.where(on_bc, t, w)
    on_ac = (vb <= 0) & (d2 >= 0) & (d6 <= 0)
    v, w = np.where(on_ac, 0.0, v), np.where(on_ac, _ratio(d2, d2 - d6), w)
    on_ab = (vc <= 0) & (d1 >= 0) & (d3 <= 0)
    v, w = np.where(on_ab, _ratio(d1, d1 - d3), v), np.where(on_ab, 0.0, w)
    at_c = (d6 >= 0) & (d5 <= d6)
    v, w = np.where(at_c, 0.0, v), np.where(at_c, 1.0, w)
    at_b = (d3 >= 0) & (d4 <= d3)
    v, w = np.where(at_b, 1.0, v), np.where(at_b, 0.0, w)
    at_a = (d1 <= 0) & (d2 <= 0)
    v, w = np.where(at_a, 0.0, v), np.where(at_a, 0.0, w)
    return np.asarray(a + v[:, None] * ab + w[:, None] * ac)


def _dot(a: Array, b: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", a, b))


def _ratio(a: Array, b: Array) -> Array:
    return np.asarray(a / np.where(b == 0, 1.0, b))


def split(triangles: Array, longest: float) -> Array:
    """The same surface in triangles of sides no longer than that: the longest side is halved until none is."""
    done = []
    while len(triangles):
        sides = np.linalg.norm(np.roll(triangles, -1, axis=1) - triangles, axis=2)
        worst = sides.argmax(axis=1)
        long = sides.max(axis=1) > longest
        done.append(triangles[~long])
        rows, first = np.flatnonzero(long), worst[long]
        a, b, c = (triangles[rows, (first + i) % 3] for i in range(3))
        middle = (a + b) / 2
        triangles = np.concatenate([np.stack([a, middle, c], axis=1), np.stack([middle, b, c], axis=1)])
    return np.concatenate(done)


def winding(points: Array, triangles: Array) -> Array:
    """How often the surface goes round each point, [n]: 1 inside of a closed surface that faces outwards, 0 outside.

    The generalised winding number (Jacobson, Kavan & Sorkine-Hornung 2013) is the mean over all directions of the
    signed crossings of a ray with the surface. Here it is the mean over the six directions of the axes, so that the
    points of a lattice share their rays: a hole in one direction is outvoted by the others, and parts may overlap.
    """
    total = np.zeros(len(points))
    for axis in range(3):
        turned, corners = np.roll(points, -axis, axis=1), np.roll(triangles, -axis, axis=2)
        total += _crossings_along_last(turned, corners)
    return np.asarray(total / 6)


def winding_at(points: Array, triangles: Array) -> Array:
    """As `winding`, of points that share no rays, [n]."""
    total = np.zeros(len(points))
    span = np.ptp(triangles, axis=(0, 1))
    for axis in range(3):
        turned, corners = np.roll(points + ASIDE * span, -axis, axis=1), np.roll(triangles, -axis, axis=2)
        point, face = _met(turned[:, :2], corners[..., :2])
        x, y, z = turned[point].T
        which, height, sign = _hits_of(face, np.arange(len(face)), x, y, corners)
        total += np.bincount(point[which], np.where(height > z[which], sign, -sign), len(points))
    return np.asarray(total / 6)


def _met(points: Array, triangles: Array) -> tuple[Index, Index]:
    """Pairs of a point [n, 2] and a triangle [m, 3, 2] that lie in one cell of a grid, every pair that meets among
    them."""
    low, high = triangles.min(axis=(0, 1)), triangles.max(axis=(0, 1))
    n = int(np.clip(2 * np.sqrt(len(triangles)), 1, MOST_BINS))
    edges = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, n + 1)[1:-1]
    first, last = (np.stack([np.searchsorted(e, c) for e, c in zip(edges, corner.T, strict=True)])
                   for corner in (triangles.min(axis=1), triangles.max(axis=1)))  # fmt: skip
    wide = last - first + 1
    face = np.repeat(np.arange(len(triangles)), wide[0] * wide[1])
    number = np.arange(len(face)) - np.repeat(np.cumsum(wide[0] * wide[1]) - wide[0] * wide[1], wide[0] * wide[1])
    cell = (first[0][face] + number // wide[1][face]) * n + first[1][face] + number % wide[1][face]
    order = np.argsort(cell, kind="stable")
    cell, face = cell[order], face[order]
    own = np.searchsorted(edges[0], points[:, 0]) * n + np.searchsorted(edges[1], points[:, 1])
    start, end = np.searchsorted(cell, own), np.searchsorted(cell, own, side="right")
    point = np.repeat(np.arange(len(points)), end - start)
    number = np.arange(len(point)) - np.repeat(np.cumsum(end - start) - (end - start), end - start)
    return point, face[start[point] + number]


def _crossings_along_last(points: Array, triangles: Array) -> Array:
    """Signed crossings of the two rays from each point along the last axis, their sum, [n]."""
    grain: float = 1e-7 * float(np.abs(points).max() + 1)
    xs, x_of = np.unique(np.round(points[:, 0] / grain).astype(np.int64), return_inverse=True)
    ys, y_of = np.unique(np.round(points[:, 1] / grain).astype(np.int64), return_inverse=True)
    column, height, sign = _hits(np.asarray(xs * grain), np.asarray(ys * grain), triangles)
    order = np.lexsort((height, column))
    column, height, sign = column[order], height[order], sign[order]
    upward = np.concatenate([[0.0], np.cumsum(sign)])
    own = x_of * len(ys) + y_of
    first, last = np.searchsorted(column, own), np.searchsorted(column, own, side="right")
    # Heights within a column are found by one search over (column, height) laid on a line.
    low = min(float(height.min(initial=0)), float(points[:, 2].min())) - 1.0
    span = max(float(height.max(initial=0)), float(points[:, 2].max())) + 1.0 - low
    line = column + (height - low) / span
    here = np.clip(np.searchsorted(line, own + (points[:, 2] - low) / span), first, last)
    below, above = upward[here] - upward[first], upward[last] - upward[here]
    return np.asarray(above - below)


def _hits(xs: Array, ys: Array, triangles: Array) -> tuple[Index, Array, Array]:
    """Where upright lines through the grid xs × ys meet triangles: line x·len(ys) + y, height, sign of the way out."""
    low, high = triangles[..., :2].min(axis=1), triangles[..., :2].max(axis=1)
    x0, x1 = np.searchsorted(xs, low[:, 0]), np.searchsorted(xs, high[:, 0])
    y0, y1 = np.searchsorted(ys, low[:, 1]), np.searchsorted(ys, high[:, 1])
    n = (x1 - x0) * (y1 - y0)
    met = np.flatnonzero(n > 0)
    found: list[tuple[Index, Array, Array]] = [(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0))]
    bounds = np.cumsum(n[met])
    start = 0
    while start < len(met):
        done = bounds[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(bounds, done + _CHUNK)))
        some = met[start:end]
        face = np.repeat(some, n[some])
        number = np.arange(len(face)) - np.repeat(np.cumsum(n[some]) - n[some], n[some])
        width = (y1 - y0)[face]
        x, y = x0[face] + number // width, y0[face] + number % width
        found.append(_hits_of(face, x * len(ys) + y, xs[x], ys[y], triangles))
        start = end
    column, height, sign = (np.concatenate(part) for part in zip(*found, strict=True))
    return column, height, sign


def _hits_of(face: Index, column: Index, x: Array, y: Array, triangles: Array) -> tuple[Index, Array, Array]:
    a, b, c = (triangles[face, i] for i in range(3))

    def side(p: Array, q: Array) -> Array:
        return np.asarray((q[:, 0] - p[:, 0]) * (y - p[:, 1]) - (q[:, 1] - p[:, 1]) * (x - p[:, 0]))

    wa, wb, wc = side(b, c), side(c, a), side(a, b)
    area = wa + wb + wc
    # On a shared edge only one of two neighbours counts: it is > 0 for one and < 0 for the other, and 0 for neither.
    inside = ((wa > 0) & (wb > 0) & (wc > 0)) | ((wa < 0) & (wb < 0) & (wc < 0))
    height = (wa * a[:, 2] + wb * b[:, 2] + wc * c[:, 2])[inside] / area[inside]
    return column[inside], height, np.sign(area[inside])
