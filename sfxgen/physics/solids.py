"""The modes of a body that a mesh file gives: read, filled with tetrahedra or made a shell, solved."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skfem import ElementTriP2
from skfem.quadrature import get_quadrature

from sfxgen.errors import MeshUnusable
from sfxgen.physics.elements import assembled, lowest_of_large
from sfxgen.physics.meshes import CLOSED_HOLES, Surface, read_surface, scaled_m
from sfxgen.physics.modes import N_MODES, N_RIGID, Modes
from sfxgen.physics.shapes import Array, Body, Mesh
from sfxgen.physics.sheets import Sheet, of_both_sides, of_wall
from sfxgen.physics.shells import Facets, assembled_shell, out_of_plane
from sfxgen.physics.tetrahedra import FEWEST_LAYERS, SIDES, USUAL_DOFS, Solid, TooThin, filled, skin_sides

VERSION = "3"  # part of the cache key: raise it when the same file would give other modes
N_SPOTS = 1536  # places of the skin where a blow may land, each of the same area
LOST = 0.02  # share of the volume whose loss is worth a word
USUAL_WALL = 1 / 60  # of the second side: the wall of an open surface for which none is written
THIN = 1 / 10  # of the second side: up to that, a wall is a shell; a thicker one is filled with tetrahedra
_HEADER = struct.Struct("<I")


@dataclass(frozen=True)
class Source:
    """A mesh file as a manifest names it. name: the path as messages say it; wall_m 0: solid."""

    path: Path
    name: str
    wall_m: float = 0.0
    unit: str = "m"
    size_m: float | None = None


@dataclass(frozen=True)
class Found:
    """What solving a mesh file gives. body, modes: relative to its longest side, which is `longest` in the file's own
    numbers. n_dofs: of the solve. notes: for a person, whatever its size."""

    modes: Modes
    body: Body
    longest: float
    n_dofs: int
    notes: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """A JSON head, then the modes; equal ones give equal bytes."""
        head = json.dumps(
            {"body": asdict(self.body), "longest": self.longest, "n_dofs": self.n_dofs, "notes": self.notes}
        ).encode()
        return _HEADER.pack(len(head)) + head + self.modes.to_bytes()

    @staticmethod
    def from_bytes(data: bytes) -> Found:
        (length,) = _HEADER.unpack_from(data)
        end = _HEADER.size + length
        head = json.loads(data[_HEADER.size : end])
        body = Body(**(head["body"] | {"size": tuple(head["body"]["size"])}))
        return Found(Modes.from_bytes(data[end:]), body, head["longest"], head["n_dofs"], tuple(head["notes"]))


def key(source: Source, poisson: float) -> str:
    """Names the result of `solve(source, poisson)` in a cache, by the file's content; a solid's serves every size.
    Raises MeshUnusable."""
    try:
        content = hashlib.sha256(source.path.read_bytes()).hexdigest()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MeshUnusable(f"cannot read {source.name}: {reason}; expected a mesh file; check its path") from error
    wall = (source.wall_m, source.unit, source.size_m) if source.wall_m else ()
    options = (source.path.suffix.lower(), wall, poisson, N_MODES, USUAL_DOFS)
    return f"solid-{VERSION}/{content}/{options!r}"


def solve(source: Source, poisson: float, n_modes: int = N_MODES, dofs: int = USUAL_DOFS) -> Found:
    """The lowest modes of the file's body, free and of one isotropic material. Raises MeshUnusable."""
    surface = read_surface(source.path, source.name)
    longest = float(surface.extent.max())
    size_m, _ = scaled_m(longest, source.name, source.unit, source.size_m)
    sheet, notes = _sheet(surface, source, size_m)
    if sheet:
        modes, n_dofs = solve_shell(sheet.facets, poisson, n_modes), 6 * len(sheet.facets.points)
        thickness = float(sheet.facets.walls.mean())
    else:
        solid, notes = _solid(surface, source, size_m, dofs)
        modes, n_dofs = solve_solid(solid.part, poisson, n_modes), 3 * solid.part.nodes.shape[1]
        # Four volumes over the skin are the diameter of a rod: what bends, in a body that no single side describes.
        rod = 4 * float(modes.volume / modes.skin_area)
        thickness = source.wall_m / size_m or min(rod, *(surface.extent / longest)) or rod
    sides = tuple(float(f"{s:.12g}") for s in surface.extent / longest)
    return Found(modes, Body("mesh", sides, thickness), longest, n_dofs, (*surface.notes, *notes))


def _sheet(surface: Surface, source: Source, size_m: float) -> tuple[Sheet | None, list[str]]:
    """The surface, scaled to a longest side of 1, as a shell, None for what is better solid; what is to be said of it.
    size_m: that side's length."""
    name, longest = source.name, float(surface.extent.max())
    points, faces, is_open = surface.points / longest, surface.faces, surface.holes > CLOSED_HOLES
    across = float(np.sort(surface.extent)[1]) / longest
    wall = source.wall_m / size_m
    sheet, notes = None, []
    if wall:
        sheet = of_wall(points, faces, wall) if wall <= THIN * across else None
    elif is_open or _is_thin(surface):
        sheet = of_both_sides(points, faces, not is_open)
        if sheet is None and is_open:
            wall = USUAL_WALL * across
            notes.append(
                f"{name} is open: {min(surface.holes, 1):.0%} of its surface is missing, so it rings as a wall of "
                f"{1000 * wall * size_m:.3g} mm; write wall_m, the thickness of its wall"
            )
            sheet = of_wall(points, faces, wall)
    if sheet and sheet.lost > LOST:
        notes.append(f"{name} has loose parts: the largest rings, and {sheet.lost:.0%} of the surface was left out")
    return sheet, notes


def _is_thin(surface: Surface) -> bool:
    """Whether the usual lattice cannot resolve what bends in a closed body: twice its volume over its skin."""
    corners = surface.triangles
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    volume, area = abs(float((corners[:, 0] * normals).sum())) / 6, float(np.linalg.norm(normals, axis=1).sum()) / 2
    return 2 * volume / area < FEWEST_LAYERS * float(np.cbrt(60 * volume / USUAL_DOFS))


def _solid(surface: Surface, source: Source, size_m: float, dofs: int) -> tuple[Solid, list[str]]:
    """The surface, scaled to a longest side of 1, filled; and what is to be said of it. size_m: that side's length."""
    name, notes = source.name, []
    if not source.wall_m and surface.holes > 0:
        notes.append(f"{name} has small holes and was taken as closed; where it is hollow, write wall_m")
    try:
        solid = filled(surface.triangles / float(surface.extent.max()), source.wall_m / size_m, dofs)
    except TooThin as error:  # such walls are shells
        raise MeshUnusable(
            f"{name} has a wall of {source.wall_m:g} m about a surface too intricate for it; expected at most "
            f"{THIN * float(np.sort(surface.extent)[1]) / float(surface.extent.max()) * size_m:.2g}"
        ) from error
    except ValueError as error:
        raise MeshUnusable(
            f"{name} encloses no volume; expected a solid, or wall_m, the thickness of its wall"
        ) from error
    if solid.lost > LOST:
        notes.append(f"{name} has loose parts: the largest rings, and {solid.lost:.0%} of the volume was left out")
    return solid, notes


def solve_solid(part: Mesh, poisson: float, n_modes: int = N_MODES) -> Modes:
    """The lowest modes of a mesh of tetrahedra of second order whose longest side is about 1."""
    K, M, volume = assembled(part, poisson)
    points, normals, areas, faces, values = _skin(part)
    thickness = min(1.0, 4 * volume / float(areas.sum()))
    eigenvalues, vectors = lowest_of_large(K, M, thickness, n_modes + N_RIGID)
    omega, vectors = np.sqrt(eigenvalues[N_RIGID:]), vectors[:, N_RIGID:]
    by_node = vectors.reshape(-1, 3, n_modes)
    shapes = np.zeros((len(points), n_modes))
    for i in range(6):
        outward = np.einsum("fqc,fcm->fqm", normals, by_node[faces[:, i]])
        shapes += (values[i][None, :, None] * outward).reshape(len(points), n_modes)
    return _collected(omega, shapes, points, areas, volume)


def solve_shell(shell: Facets, poisson: float, n_modes: int = N_MODES) -> Modes:
    """The lowest modes of a shell whose longest side is about 1. Both its sides radiate, and either may be struck."""
    fixed, crossed, M = assembled_shell(shell)
    K = ((fixed + poisson * crossed) / (1 - poisson**2)).tocsc()
    thickness = float(shell.walls.mean())
    eigenvalues, vectors = lowest_of_large(K, M, thickness, n_modes + N_RIGID)
    points, areas, shapes = out_of_plane(shell, vectors[:, N_RIGID:])
    volume = float(areas @ np.repeat(shell.walls, 3))
    return _collected(np.sqrt(eigenvalues[N_RIGID:]), shapes, points, areas, volume, sides=2)


def _collected(omega: Array, shapes: Array, points: Array, areas: Array, volume: float, sides: int = 1) -> Modes:
    """Modes from outward displacements [points, modes] over a skin; sides: how many times its area radiates."""
    spots = _spread(areas)
    away = np.linalg.norm(points - np.average(points, axis=0, weights=areas), axis=1)[spots]
    return Modes(
        omega=omega,
        shapes=shapes[spots],
        points=points[spots],
        areas=np.full(len(spots), areas.sum() / len(spots)),
        reach=(away - away.min()) / max(float(np.ptp(away)), 1e-12),
        skin=sides * (areas[:, None] * shapes**2).sum(axis=0),
        volume=np.array(volume),
        skin_area=np.array(sides * areas.sum()),
    )


def _skin(part: Mesh) -> tuple[Array, Array, Array, Array, Array]:
    """Quadrature over the skin: points [n, 3], normals [faces, per face, 3], areas [n]; of each face its six nodes
    [faces, 6], and their functions at its points [6, per face]."""
    triangle = ElementTriP2()
    rule, weights = get_quadrature(triangle, 4)
    values = np.array([triangle.lbasis(rule, i)[0] for i in range(6)])
    gradients = np.array([triangle.lbasis(rule, i)[1] for i in range(6)])
    cells = part.cells.T
    sides = skin_sides(cells[:, :4])
    faces = cells[sides[:, None] // 4, SIDES[sides % 4]]
    places = part.nodes.T[faces]  # [faces, 6, 3]
    along = np.einsum("fic,ibq->bfqc", places, gradients)
    normals = np.cross(along[0], along[1])
    size = np.linalg.norm(normals, axis=2)
    points = np.einsum("fic,iq->fqc", places, values).reshape(-1, 3)
    return points, normals / np.maximum(size, 1e-300)[..., None], (size * weights).ravel(), faces, values


def _spread(areas: Array) -> NDArray[np.int64]:
    """Indices of N_SPOTS points or all, that stand for equal shares of the area: every so many square metres one."""
    if len(areas) <= N_SPOTS:
        return np.arange(len(areas))
    wanted = (np.arange(N_SPOTS) + 0.5) / N_SPOTS * areas.sum()
    return np.asarray(np.minimum(np.searchsorted(np.cumsum(areas), wanted), len(areas) - 1), dtype=np.int64)
