"""Any surface of triangles made again with even ones, for shells.

As in Valette & Chassery, "Approximated Centroidal Voronoi Diagrams for Uniform Polygonal Mesh Coarsening" (2004): the
surface is cut finely, its points are gathered in even clusters, and wherever three clusters meet there is a triangle.
No chance: the same surface gives the same triangles. Rims and creases have clusters of their own, so they stay.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from sfxgen.physics.meshing.distance import split
from sfxgen.physics.meshing.triangles import areas, first_of_each, normals, point_normals, unique_points
from sfxgen.physics.modal.shapes import Array, Index

FINENESS = 3.5  # fine edges along a wanted one
CREASE_DEG = 40.0  # neighbours that turn by more than this meet in an edge that stays
ROUNDS = 12  # of clusters drawn to their middles
SHUT = 0.8  # of an edge: how near another cluster may begin
DUSTY, CELL = 8.0, 0.7  # points on a square of an edge's length; the cell they are merged in then, in edges
GOLDEN = 0.6180339887498949  # its multiples are spread evenly over the unit circle
SLIVER = 5e-4  # of an edge squared: triangles of less are none
WELD = 0.6  # of an edge: parts of the surface nearer than this hang together


def remeshed(points: Array, faces: Index, edge: float) -> tuple[Array, Index]:
    """The surface with edges of about that length: points [n, 3] and faces [m, 3], turned as the given ones are."""
    points, faces = fine(points, faces, edge / FINENESS)
    rim = _kept_edges(points, faces)
    sides = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    name = np.unique(sides.min(axis=1) * len(points) + sides.max(axis=1))
    sides = np.stack([name // len(points), name % len(points)], axis=1)
    whole, along = _graph(points, sides), _graph(points, rim)
    corners = _corners(points, rim)
    lines = _centred(points, along, _scattered(along, corners, np.unique(rim), edge), corners)
    seeds = _centred(points, whole, _scattered(whole, lines, np.arange(len(points)), edge), lines)
    owner = _owners(whole, seeds)
    edged = np.unique(rim)
    owner[edged] = _owners(along, lines)[edged]  # or a cluster from within would cut a corner off the rim
    found = np.searchsorted(seeds, owner)[faces]
    found = found[(found[:, 0] != found[:, 1]) & (found[:, 1] != found[:, 2]) & (found[:, 2] != found[:, 0])]
    return _welded(points[seeds], found[first_of_each(found)], edge)


def fine(points: Array, faces: Index, longest: float) -> tuple[Array, Index]:
    """The same surface with no edge much longer than that: of each triangle the longest side is halved until none is.

    Neighbours halve a side they share at the same points, so that they still meet. Needles leave dust, which is merged.
    """
    places, index = unique_points(split(points[faces], longest).reshape(-1, 3))
    index = index.reshape(-1, 3)
    area = float(areas(places[index]).sum())
    return _dusted(places, index, longest) if len(places) > DUSTY * area / longest**2 else (places, index)


def _dusted(points: Array, faces: Index, longest: float) -> tuple[Array, Index]:
    """Points of one cell of a grid made one, if they face the same way and are all on kept edges or all on none."""
    facing = (point_normals(len(points), faces, points[faces]) >= -1e-9) @ [1, 2, 4]
    on_edge = np.zeros(len(points), dtype=np.int64)
    on_edge[_kept_edges(points, faces)] = 1
    cells = np.floor((points - points.min(axis=0)) / (CELL * longest)).astype(np.int64)
    name = (
        np.ravel_multi_index(tuple(cells.T), tuple(cells.max(axis=0) + 1)) * 16 + 2 * facing.astype(np.int64) + on_edge
    )
    _, first, index = np.unique(name, return_index=True, return_inverse=True)
    faces = index[faces]
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    return points[first], faces[first_of_each(faces)]


def _kept_edges(points: Array, faces: Index) -> Index:
    """Edges [n, 2] that one face has alone, or more than two share, or whose two faces turn by CREASE_DEG."""
    normal = normals(points[faces])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-300)
    ends = np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2)
    name = ends.min(axis=1) * len(points) + ends.max(axis=1)
    order = np.argsort(name, kind="stable")
    name = name[order]
    start = np.flatnonzero(np.concatenate([[True], name[1:] != name[:-1]]))
    names, count = name[start], np.diff(start, append=len(name))
    kept = count != 2
    pair = start[count == 2]
    cosine = (normal[order[pair] // 3] * normal[order[pair + 1] // 3]).sum(axis=1)
    kept[count == 2] = np.abs(cosine) < np.cos(np.radians(CREASE_DEG))
    return np.stack([names[kept] // len(points), names[kept] % len(points)], axis=1)


def _graph(points: Array, edges: Index) -> csr_matrix:
    length = np.maximum(np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1), 1e-12)
    ways = np.concatenate([edges, edges[:, ::-1]])
    return coo_matrix((np.tile(length, 2), tuple(ways.T)), shape=(len(points),) * 2).tocsr()


def _corners(points: Array, rim: Index) -> Index:
    """Points where kept edges end, fork, or turn by more than CREASE_DEG."""
    n = np.bincount(rim.ravel(), minlength=len(points))
    toward = np.zeros((len(points), 3))
    unit = points[rim[:, 1]] - points[rim[:, 0]]
    unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-300)
    np.add.at(toward, rim[:, 0], unit)
    np.add.at(toward, rim[:, 1], -unit)
    turns = np.linalg.norm(toward, axis=1) > 2 * np.sin(np.radians(CREASE_DEG) / 2)
    return np.flatnonzero((n > 0) & ((n != 2) | turns))


def _scattered(graph: csr_matrix, given: Index, among: Index, edge: float) -> Index:
    """The given points and more of `among`, no two nearer on their way than SHUT edges, until there is no room.

    Darts are thrown at all points in a fixed order that is spread over them; what lies round one that sticks is shut.
    """
    shut = np.zeros(graph.shape[0], dtype=bool)
    if len(given):
        shut = dijkstra(graph, indices=given, min_only=True, limit=SHUT * edge) <= SHUT * edge
    chosen = list(given)
    for point in among[np.argsort(np.arange(len(among)) * GOLDEN % 1.0, kind="stable")]:
        if not shut[point]:
            chosen.append(point)
            shut |= dijkstra(graph, indices=point, limit=SHUT * edge) <= SHUT * edge
    return np.unique(np.array(chosen, dtype=np.int64))


def _owners(graph: csr_matrix, seeds: Index) -> Index:
    """Of each point the seed that it is nearest to on its way, -1 where none can be reached, [points]."""
    _, _, source = dijkstra(graph, indices=seeds, min_only=True, return_predecessors=True)
    return np.asarray(np.where(source < 0, -1, source), dtype=np.int64)


def _centred(points: Array, graph: csr_matrix, seeds: Index, fixed: Index) -> Index:
    """Lloyd's rounds: each seed that is not fixed moves to the point of its cluster nearest to the cluster's middle."""
    stays = np.isin(seeds, fixed)
    for _ in range(ROUNDS):
        owner = _owners(graph, seeds)
        reached = np.flatnonzero(owner >= 0)
        number = np.searchsorted(seeds, owner[reached])
        n = np.bincount(number, minlength=len(seeds))
        middle = np.stack([np.bincount(number, points[reached, k], len(seeds)) for k in range(3)], axis=1) / n[:, None]
        away = np.linalg.norm(points[reached] - middle[number], axis=1)
        order = np.lexsort((reached, np.round(away, 9), number))
        nearest = reached[order[np.searchsorted(number[order], np.arange(len(seeds)))]]
        moved = np.where(stays, seeds, nearest)
        order = np.argsort(moved)
        seeds, stays = moved[order], stays[order]
    return seeds


def _welded(points: Array, faces: Index, edge: float) -> tuple[Array, Index]:
    """Parts that do not hang together made one where they come nearer than WELD edges; unused points gone."""
    n = len(points)
    sides = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    _, part = connected_components(coo_matrix((np.ones(len(sides)), tuple(sides.T)), shape=(n, n)), directed=False)
    near = cKDTree(points).query_pairs(WELD * edge, output_type="ndarray")
    near = near[part[near[:, 0]] != part[near[:, 1]]]
    _, same = connected_components(coo_matrix((np.ones(len(near)), tuple(near.T)), shape=(n, n)), directed=False)
    count = np.bincount(same)
    middle = np.stack([np.bincount(same, points[:, k]) for k in range(3)], axis=1) / count[:, None]
    faces = same.astype(np.int64)[faces]
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    faces = faces[first_of_each(faces)]
    faces = faces[areas(middle[faces]) > SLIVER * edge**2]
    used, faces = np.unique(faces, return_inverse=True)
    return middle[used], faces.reshape(-1, 3)
