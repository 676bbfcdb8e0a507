"""From a surface of triangles to tetrahedra of second order that fill it, fitted to a number of degrees of freedom."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sfxgen.physics.meshing.distance import Distance, split, winding
from sfxgen.physics.meshing.fitted import fitted
from sfxgen.physics.meshing.inner import inner, may_have_inner
from sfxgen.physics.meshing.stuffing import Tetrahedra, compact, stuff, volumes
from sfxgen.physics.meshing.triangles import areas, enclosed, groups
from sfxgen.physics.modal.elements import jacobians
from sfxgen.physics.modal.shapes import Array, Mesh

Index = NDArray[np.int64]

USUAL_DOFS = 20_000
MOST_DOFS = 120_000  # a factorisation of a solid of that many, and its lowest 64 modes, stay below 4 GB
DOFS_A_MODE = 100  # that many fewer for each further one
ATTEMPTS = 8  # at a lattice of so many unknowns; memory bounds the last of them
FEWEST_LAYERS = 1.3  # cubes of the lattice through a wall, at the least: with fewer it has holes
TIED = 0.75  # cubes: parts nearer than that are glued together
MOST_MOVED = 0.45  # of an edge's length, by which its middle may leave it
FOLDED = 0.1
FLAT = 1e-7  # of its skin and length: a volume below that is none
EDGES = np.array([[0, 1], [1, 2], [0, 2], [0, 3], [1, 3], [2, 3]])  # of a cell, in the order of its nodes 4 to 9
# The four sides of a cell, turned outwards: three corners, then the middles of the edges between them.
SIDES = np.array([[0, 2, 1, 6, 5, 4], [0, 1, 3, 4, 8, 7], [1, 2, 3, 5, 9, 8], [0, 3, 2, 7, 9, 6]])


class TooThin(ValueError):
    """The lattice that memory allows cannot resolve the wall; least: the wall that it could."""

    def __init__(self, least: float) -> None:
        super().__init__(f"walls below {least:g} cannot be resolved")
        self.least = least


class TooSlender(ValueError):
    """The lattice that memory allows cannot resolve a body so thin for its length."""


class Level:
    """The signed distance that `stuff` meshes: of a solid, or with a wall of that which lies within wall / 2."""

    def __init__(self, triangles: Array, wall: float, cell: float) -> None:
        self._triangles, self._wall, self._near = triangles, wall, 1.1 * cell + wall / 2
        pieces = split(triangles, cell)
        if not wall and may_have_inner(triangles):
            pieces = pieces[~inner(pieces, triangles)]
        self._distance = Distance(pieces)

    def __call__(self, points: Array, start: Array | None) -> Array:
        place, distance = self._distance.nearest(points, self._near)
        if self._wall:
            return distance - self._wall / 2
        if start is None:
            return np.where(winding(points, self._triangles) > 0.5, -distance, distance)
        # On an edge that leaves the body, what has left it moves away from the surface.
        return distance * np.where(((points - place) * (points - start)).sum(axis=1) < 0, -1.0, 1.0)

    def onto(self, points: Array) -> Array:
        """The nearest points of the body's skin."""
        place, distance = self._distance.nearest(points, self._near)
        if not self._wall:
            return place
        away = (points - place) / np.maximum(distance, 1e-300)[:, None]
        return np.where(distance[:, None] > 0, place + away * self._wall / 2, points)

    def ridge(self, ends: Array) -> Array:
        """Of edges [n, 2, 3] whose ends lie on the skin, their middles, moved to where the ends' tangent planes meet.

        So a sharp edge of the body, across which a lattice without eyes for it cuts, is given back. Edges whose ends
        face within 30° of one another are left as they are.
        """
        middle = ends.mean(axis=1)
        if self._wall:
            return np.asarray(middle)
        first, second = self._distance.normals(ends[:, 0]), self._distance.normals(ends[:, 1])
        cosine = (first * second).sum(axis=1)
        sharp = np.abs(cosine) < np.cos(np.radians(30))
        up, down = (((end - middle) * n).sum(axis=1) for end, n in ((ends[:, 0], first), (ends[:, 1], second)))
        rest = np.where(sharp, 1 - cosine**2, 1.0)
        a, b = (up - cosine * down) / rest, (down - cosine * up) / rest
        return np.asarray(np.where(sharp[:, None], middle + a[:, None] * first + b[:, None] * second, middle))


@dataclass(frozen=True)
class Solid:
    """part: cells of 10 nodes. cell: the lattice's cube. lost: share of the volume in loose parts, left out."""

    part: Mesh
    cell: float
    lost: float


def most_dofs(n_modes: int) -> int:
    """Degrees of freedom whose solve for so many modes stays below 4 GB."""
    return MOST_DOFS - DOFS_A_MODE * max(0, n_modes - 64)


def filled(triangles: Array, wall: float = 0.0, dofs: int = USUAL_DOFS, most: int = MOST_DOFS) -> Solid:
    """Tetrahedra in the body that `triangles` [n, 3, 3] bound, or where wall > 0 in a wall of that about them.

    dofs: about how many degrees of freedom it shall have; walls and thin parts may take up to `most`. Raises
    TooThin, TooSlender; ValueError where nothing of the body is left.
    """
    low, high = box_of(triangles, wall)
    cell = _first_cell(triangles, wall, float((high - low).max()), dofs, most)
    for attempt in range(ATTEMPTS):
        fitting = np.eye(3) if wall else fitted(triangles, cell)
        mesh = stuff(Level(triangles @ fitting, wall, cell), *box_of(triangles @ fitting, wall), cell)
        found = 3 * (len(mesh.points) + len(_edges(mesh.cells)[0])) if len(mesh.cells) else 0
        limit = most if wall else dofs
        fits = min(1.15 * limit, 1.05 * most)
        if found and (found <= fits if wall else 0.75 * limit < found <= fits):
            break
        if attempt >= 3 and 0 < found <= 1.05 * most:  # thin parts come and go with the lattice
            break
        cell *= (found / limit) ** (1 / 3) if found else 0.6
        if wall and cell * FEWEST_LAYERS > wall:
            raise TooThin(cell * FEWEST_LAYERS)
    if found > 1.05 * MOST_DOFS or (not found and _is_body(triangles)):
        raise TooSlender
    if not found:
        raise ValueError("the lattice meets nothing of the body")
    mesh, lost, part = _hung_together(replace(mesh, points=mesh.points @ np.linalg.inv(fitting)), TIED * cell)
    whole = curved(mesh, Level(triangles, wall, cell))
    return Solid(_tied(whole, part, TIED * cell) if part.max() else whole, cell, lost)


def _is_body(triangles: Array) -> bool:
    """Whether they enclose a volume, however thin."""
    return enclosed(triangles) > FLAT * float(areas(triangles).sum()) * float(np.ptp(triangles, axis=(0, 1)).max())


def box_of(triangles: Array, wall: float) -> tuple[Array, Array]:
    return triangles.min(axis=(0, 1)) - wall / 2, triangles.max(axis=(0, 1)) + wall / 2


def _first_cell(triangles: Array, wall: float, longest: float, dofs: int, most: int = MOST_DOFS) -> float:
    """A cube of the lattice that should give so many degrees of freedom, some 60 a cube."""
    if wall:
        area = float(areas(triangles).sum())
        least = float(np.sqrt(130 * area / most))  # 130 dofs for each square of a cube's side
        if least * FEWEST_LAYERS > wall:
            raise TooThin(least * FEWEST_LAYERS)
        return wall / FEWEST_LAYERS
    volume = abs(enclosed(triangles))
    return float(np.clip((60 * volume / dofs) ** (1 / 3), longest / 100, longest / 3))


def _edges(cells: Index) -> tuple[Index, Index]:
    """All edges [edges, 2] once, and of each cell its six, [cells, 6]."""
    ends = np.sort(cells[:, EDGES].reshape(-1, 2), axis=1)
    n = int(cells.max()) + 1
    names, index = np.unique(ends[:, 0] * n + ends[:, 1], return_inverse=True)
    return np.stack([names // n, names % n], axis=1), index.reshape(-1, 6)


def skin_sides(cells: Index) -> Index:
    """Sides that belong to one cell only, as 4 cell + side, ascending."""
    corners = np.sort(cells[:, SIDES[:, :3]].reshape(-1, 3), axis=1)
    n = int(cells.max()) + 1
    _, index, counts = np.unique(
        (corners[:, 0] * n + corners[:, 1]) * n + corners[:, 2], return_inverse=True, return_counts=True
    )
    return np.flatnonzero(counts[index] == 1)


def _hung_together(mesh: Tetrahedra, gap: float) -> tuple[Tetrahedra, float, Index]:
    """The parts that hang together by sides of cells, or come nearer to one another than `gap`: the largest lot of
    them, the share of volume of the others, and of each cell its part, [cells], 0 throughout where there is only one.
    """
    corners = np.sort(mesh.cells[:, SIDES[:, :3]].reshape(-1, 3), axis=1)
    order = np.lexsort(corners.T)
    pairs = np.flatnonzero((corners[order][1:] == corners[order][:-1]).all(axis=1))
    n = len(mesh.cells)
    count, label = groups(order[pairs] // 4, order[pairs + 1] // 4, n)
    if count == 1:
        return mesh, 0.0, label
    of_point = np.zeros(len(mesh.points), dtype=np.int64)
    of_point[mesh.cells] = label[:, None]
    skin = np.unique(corners[np.setdiff1d(order, np.concatenate([order[pairs], order[pairs + 1]]))])
    near = skin[cKDTree(mesh.points[skin]).query_pairs(gap, output_type="ndarray")]
    _, lot = groups(of_point[near[:, 0]], of_point[near[:, 1]], count)
    size = np.bincount(lot[label], volumes(mesh.points, mesh.cells))
    kept = lot[label] == size.argmax()
    _, part = np.unique(label[kept], return_inverse=True)
    lost = float(1 - size.max() / size.sum())
    return compact(mesh.points, mesh.cells[kept], mesh.on_surface), lost, part.astype(np.int64)


def _tied(mesh: Mesh, part: Index, gap: float) -> Mesh:
    """Parts (of each cell its own) glued where they come nearer than `gap`: a node of one skin moves as the nearest of
    the other does."""
    of_node = np.zeros(mesh.nodes.shape[1], dtype=np.int64)
    of_node[mesh.cells] = part
    sides = skin_sides(mesh.cells[:4].T)
    skin = np.unique(mesh.cells.T[sides[:, None] // 4, SIDES[sides % 4]])
    places = mesh.nodes.T[skin]
    near = cKDTree(places).query_pairs(gap, output_type="ndarray")
    near = near[of_node[skin[near[:, 0]]] != of_node[skin[near[:, 1]]]]
    distance = np.round(np.linalg.norm(places[near[:, 0]] - places[near[:, 1]], axis=1) / gap, 9)
    order = np.lexsort((*near.T[::-1], distance))
    a, b = skin[near[order]].T
    first = np.unique(a, return_index=True)[1]  # of each node only the nearest one: more would make the joint rigid
    _, group = groups(a[first], b[first], len(of_node))
    return Mesh(mesh.nodes, mesh.cells, group)


def curved(mesh: Tetrahedra, level: Level) -> Mesh:
    """Second order: a node in the middle of each edge, on the skin moved onto it, and to sharp edges, where its cells
    stay well shaped."""
    edges, of_cell = _edges(mesh.cells)
    ends = mesh.points[edges]
    middle = ends.mean(axis=1)
    cells = np.concatenate([mesh.cells, len(mesh.points) + of_cell], axis=1)
    skin = skin_sides(mesh.cells)
    outer = np.unique(cells[skin[:, None] // 4, SIDES[skin % 4, 3:]]) - len(mesh.points)
    length = np.linalg.norm(ends[outer, 1] - ends[outer, 0], axis=1)
    choices = [middle.copy(), middle.copy(), middle]
    for choice, moved in zip(choices, (level.ridge(ends[outer]), level.onto(middle[outer])), strict=False):
        small = np.linalg.norm(moved - middle[outer], axis=1) < MOST_MOVED * length
        choice[outer[small]] = moved[small]
    is_ridge = (choices[0] != middle).any(axis=1)
    choices[0] = np.where(is_ridge[:, None], choices[0], choices[1])
    return _well_shaped(mesh.points, choices, cells)


_NODES = np.concatenate(
    [
        np.vstack([np.zeros(3), np.eye(3)]),
        [[0.5, 0, 0], [0.5, 0.5, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5, 0, 0.5], [0, 0.5, 0.5]],
    ]
).T


def _well_shaped(points: Array, choices: list[Array], cells: Index) -> Mesh:
    """Each edge's middle by the first choice [edges, 3] that leaves its cells well shaped; the last ones are straight.

    A cell is nearly folded where its Jacobian is somewhere below FOLDED of the straight one.
    """
    straight = Mesh(np.concatenate([points, choices[-1]]).T, cells.T)
    whole = np.linalg.det(jacobians(straight, _NODES[:, :1]))[:, 0]
    chosen = np.zeros(len(choices[0]), dtype=np.int64)
    while True:
        places = np.stack(choices)[chosen, np.arange(len(chosen))]
        part = Mesh(np.concatenate([points, places]).T, cells.T)
        bad = np.linalg.det(jacobians(part, _NODES)).min(axis=1) < FOLDED * whole
        back = np.unique(cells[bad][:, 4:]) - len(points)
        back = back[chosen[back] < len(choices) - 1]
        if not len(back):
            return part
        chosen[back] += 1
