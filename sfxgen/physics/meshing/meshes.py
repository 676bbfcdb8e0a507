"""A mesh file (.glb, .gltf, .obj, .stl, .ply) as a clean surface of triangles, mended where that is safe."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from sfxgen.errors import MeshUnusable
from sfxgen.manifest.impact import MESH_ENDINGS
from sfxgen.physics.meshing import gltf
from sfxgen.physics.meshing.triangles import areas, first_of_each, volumes
from sfxgen.physics.meshing.wavefront import numbered
from sfxgen.physics.modal.shapes import Array, Index

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254}
MOST_FACES = 250_000  # more are merged on a fine grid: the ear does not hear them
GRID = 160  # of that grid, cells along the longest side
SHORTEST_M, LONGEST_M = 1e-4, 1_000.0  # a body beyond that is a wrong unit
SUSPICIOUS_M = 20.0
FARTHEST = 20_000  # lengths from the origin: numbers of single precision there are off by a thousandth of its length
NOTHING = 1e-9  # area over the longest side squared: what has less, and hangs together with nothing else, is left out
MERGED_HOLES = 0.01  # what merging itself tears open
CLOSED_HOLES = 0.1  # holes of less than this share of the area are taken as closed


@dataclass(frozen=True)
class Surface:
    """points [points, 3], in the file's own numbers, and faces [faces, 3], turned outwards. given: [n, 3], the faces as
    the file turns them, those of parts that touch there twice. holes: share of the area that is missing.

    notes: what a person should know of how it was read, a sentence each, with {name} where the file's belongs.
    """

    points: Array
    faces: Index
    given: Index
    holes: float
    notes: tuple[str, ...] = ()

    @property
    def triangles(self) -> Array:
        """Their corners, [faces, 3, 3]."""
        return np.asarray(self.points[self.faces])

    @property
    def extent(self) -> Array:
        """Sides of the box around it, [3]."""
        return np.asarray(np.ptp(self.points, axis=0))


@dataclass(frozen=True)
class Part:
    """A part of a file, placed as its scene says. names: of its node, its mesh and its material, if it has them."""

    names: tuple[str, ...]
    points: Array
    faces: Index


def read_surface(path: Path, name: str) -> Surface:
    """All parts of the file, placed as its scene says, as one surface. name: as messages call the file. Raises
    MeshUnusable."""
    parts = _parts(path, name)
    starts = np.cumsum([0, *(len(part.points) for part in parts)])
    faces = np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=False)])
    surface = _surface(np.concatenate([part.points for part in parts]), faces, name)
    away = float(np.abs(surface.points).max() / surface.extent.max())
    if away > FARTHEST:
        raise MeshUnusable(
            f"{name} lies {away:,.0f} times its length from its origin, where its numbers are too coarse to tell its "
            "shape; move it to the origin and export it again"
        )
    return surface


def read_parts(path: Path, name: str) -> tuple[tuple[tuple[str, ...], Surface], ...]:
    """Names and surface of each part of the file that has one, in the order of their names; where but one has, of what
    hangs together in it. Raises MeshUnusable."""
    each = [(part.names, _mended(part.points, part.faces, name)) for part in _parts(path, name, apart=True)]
    parts = [(names, surface) for names, surface in each if len(surface.faces)]
    if len(parts) > 1:
        return tuple(parts)
    names, whole = (parts or each)[0]
    _need_triangles(whole, name)
    sides = np.concatenate([whole.faces[:, :2], whole.faces[:, 1:]])
    n = len(whole.points)
    graph = coo_matrix((np.ones(len(sides)), (sides[:, 0], sides[:, 1])), shape=(n, n))
    count, label = connected_components(graph, directed=False)
    of_face = label[whole.faces[:, 0]]
    return tuple(((*names, str(i + 1)), _surface(whole.points, whole.faces[of_face == i], name)) for i in range(count))


def _surface(points: Array, faces: Index, name: str) -> Surface:
    surface = _mended(points, faces, name)
    _need_triangles(surface, name)
    return surface


def _mended(points: Array, faces: Index, name: str) -> Surface:
    if not np.isfinite(points).all():
        raise MeshUnusable(
            f"{name} has {int((~np.isfinite(points)).any(axis=1).sum())} points that are no numbers; export it again"
        )
    return cleaned(points, faces)


def _need_triangles(surface: Surface, name: str) -> None:
    if not len(surface.faces):
        raise MeshUnusable(f"{name} holds no surface: all its triangles are empty; expected a mesh with a volume")


def scaled_m(longest: float, name: str, unit: str = "m", size_m: float | None = None) -> tuple[float, tuple[str, ...]]:
    """The longest side (m) of a file whose own numbers reach so far, and what is to be said of it.

    unit: of these numbers (glTF means metres); size_m: the longest side to scale it to. Raises MeshUnusable.
    """
    if size_m is not None:
        return size_m, ()
    longest_m = longest * METRES[unit]
    if longest_m > LONGEST_M or longest_m < SHORTEST_M:
        raise MeshUnusable(
            f"{name} is {longest_m:.3g} m long; expected {SHORTEST_M:g} to {LONGEST_M:g} m; write unit: mm, cm or in, "
            "or size_m"
        )
    suspicious = longest_m > SUSPICIOUS_M
    return longest_m, (
        (f"{name} is {longest_m:.3g} m long; if its numbers are millimetres, write unit: mm",) if suspicious else ()
    )


def _parts(path: Path, name: str, apart: bool = False) -> list[Part]:
    """All meshes in the file, in the order of their names; apart: the objects of an .obj too, and what of them is of
    another material. trimesh is imported here: only a job with a mesh needs it."""
    import trimesh

    if path.suffix.lower() not in MESH_ENDINGS:
        raise MeshUnusable(
            f"{name} is no mesh that sfxgen reads; expected a file that ends in {', '.join(MESH_ENDINGS)}"
        )
    if not path.is_file():
        raise MeshUnusable(
            f"{name} does not exist; expected a mesh file; check the path, which counts from the manifest"
        )
    log = logging.getLogger("trimesh")
    level = log.level
    log.setLevel(logging.CRITICAL)  # what it says of textures is nobody's concern here
    try:
        scene, known = _scene(path, name, apart)
        found = []
        for node in sorted(scene.graph.nodes_geometry):
            transform, geometry = scene.graph[node]
            part = scene.geometry[geometry]
            if not isinstance(part, trimesh.Trimesh) or not len(part.faces):
                continue
            points = np.asarray(part.vertices, dtype=np.float64) @ transform[:3, :3].T + transform[:3, 3]
            turn = -1 if np.linalg.det(transform[:3, :3]) < 0 else 1
            painted = getattr(getattr(part.visual, "material", None), "name", None)
            names = dict.fromkeys(str(word) for word in known.get(node, (node, geometry, painted)) if word)
            found.append(Part(tuple(names), points, np.asarray(part.faces, dtype=np.int64)[:, ::turn]))
    except MeshUnusable:
        raise
    except Exception as error:  # its readers raise whatever the damage makes of them
        raise MeshUnusable(
            f"{name} cannot be read as a mesh ({type(error).__name__}: {error}); export it again"
        ) from error
    finally:
        log.setLevel(level)
    if not found:
        raise MeshUnusable(f"{name} holds no triangles; expected a mesh with a surface; export it with its mesh")
    if any(part.faces.min() < 0 or part.faces.max() >= len(part.points) for part in found):
        raise MeshUnusable(f"{name} has triangles with points that are not there; export it again")
    return sorted(found, key=lambda part: part.names) if known else found


def _scene(path: Path, name: str, apart: bool) -> tuple[Any, dict[str, tuple[str, ...]]]:
    """The file as trimesh has it, and the names of its nodes where those are but numbers. apart: see `_parts`."""
    import trimesh

    if path.suffix.lower() in gltf.ENDINGS:
        gltf.check(path, name)
        beside: Any = gltf.Beside(path, name)
        return trimesh.load_scene(path, process=False, resolver=beside), {}
    if path.suffix.lower() != ".obj":
        return trimesh.load_scene(path, process=False), {}
    if not apart:
        return trimesh.load_scene(path, process=False, skip_materials=True, split_objects=False), {}
    data = path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # as older exporters write names; the numbers are the same
    text, names = numbered(text)
    stream = io.BytesIO(text.encode())
    scene = trimesh.load_scene(stream, file_type="obj", process=False, skip_materials=True, split_objects=True)
    return scene, {str(i): each or (path.name,) for i, each in enumerate(names)}


def cleaned(points: Array, faces: Index) -> Surface:
    """Equal points made one, empty and doubled triangles gone, all turned outwards.

    More than MOST_FACES triangles are merged first, on a grid of GRID cells along the longest side.
    """
    notes: list[str] = []
    longest = float(np.ptp(points, axis=0).max(initial=0)) or 1.0
    if len(faces) > MOST_FACES:
        notes.append(f"{{name}} has {len(faces):,} triangles; details below 1/{GRID} of its length were merged")
    grain = longest / GRID if len(faces) > MOST_FACES else 1e-6 * longest
    cells = np.round((points - points.min(axis=0)) / grain).astype(np.int64)
    _, first, index = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    points, faces = points[first], index.reshape(-1)[faces]
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    faces = faces[_has_area(points, faces, NOTHING * longest**2)]
    used, index = np.unique(faces, return_inverse=True)
    points, given = points[used], index.reshape(-1, 3)
    faces = given[first_of_each(given)]
    if not len(faces):
        return Surface(points, faces, given, 0.0)
    faces = _outwards(points, _consistent(faces))
    holes = _holes(points, faces)
    if notes and holes < MERGED_HOLES:
        holes = 0.0
    return Surface(points, faces, given, holes, tuple(notes))


def _has_area(points: Array, faces: Index, least: float) -> NDArray[np.bool_]:
    """Whether what each face hangs together with has an area: a line of triangles beside a body is no part of it, but
    one within its skin closes it."""
    sides = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = coo_matrix((np.ones(len(sides)), (sides[:, 0], sides[:, 1])), shape=(len(points), len(points)))
    count, label = connected_components(graph, directed=False)
    of_face = label[faces[:, 0]]
    area = np.bincount(of_face, areas(points[faces]), count)
    return np.asarray(area[of_face] > least)


def _sides(faces: Index) -> tuple[Index, NDArray[np.bool_]]:
    """The undirected sides of all faces as numbers, [3 faces], and whether each runs from the lower point."""
    ends = np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2)
    low, high = ends.min(axis=1), ends.max(axis=1)
    return low * (int(faces.max()) + 1) + high, ends[:, 0] == low


def _pairs(faces: Index) -> tuple[Index, Index, NDArray[np.bool_]]:
    """Neighbours across sides that two faces share: both, and whether they are turned alike."""
    name, rising = _sides(faces)
    order = np.argsort(name, kind="stable")
    _, start, count = np.unique(name[order], return_index=True, return_counts=True)
    first, second = order[start[count == 2]], order[start[count == 2] + 1]
    return first // 3, second // 3, rising[first] != rising[second]


def _consistent(faces: Index) -> Index:
    """Neighbours turned alike. Each face is two nodes of a graph, as it is and turned; what agrees is joined."""
    a, b, alike = _pairs(faces)
    n = len(faces)
    to = np.where(alike, b, b + n), np.where(alike, b + n, b)
    rows, columns = np.concatenate([a, a + n]), np.concatenate(to)
    _, label = connected_components(
        coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(2 * n, 2 * n)), directed=False
    )
    # Of a patch and its mirror image, that is kept which holds its first face as it is; a Möbius strip has one label.
    turned = label[n:] < label[:n]
    return np.where(turned[:, None], faces[:, ::-1], faces)


def _outwards(points: Array, faces: Index) -> Index:
    """The parts that enclose a negative volume turned round, unless they are cavities in a larger part's box."""
    a, b, _ = _pairs(faces)
    n = len(faces)
    count, label = connected_components(coo_matrix((np.ones(len(a)), (a, b)), shape=(n, n)), directed=False)
    corners = points[faces] - points.mean(axis=0)
    volume = np.bincount(label, volumes(corners), count)
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    np.minimum.at(low, label, corners.min(axis=1))
    np.maximum.at(high, label, corners.max(axis=1))
    largest = int(np.abs(volume).argmax())
    wrong = volume < 0
    if not wrong[largest]:
        wrong &= ~((low > low[largest]) & (high < high[largest])).all(axis=1)
    return np.where(wrong[label][:, None], faces[:, ::-1], faces)


def _holes(points: Array, faces: Index) -> float:
    """Area of the discs round which the open sides would run, over that of all faces."""
    name, _ = _sides(faces)
    _, first, count = np.unique(name, return_index=True, return_counts=True)
    lone = first[count == 1]
    area = float(areas(points[faces]).sum())
    if not len(lone):
        return 0.0
    ends = np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2)[lone]
    _, label = connected_components(
        coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(points), len(points))), directed=False
    )
    around = np.bincount(label[ends[:, 0]], np.linalg.norm(points[ends[:, 1]] - points[ends[:, 0]], axis=1))
    return float((around**2).sum()) / (4 * np.pi * max(area, 1e-300))
