"""The bodies of a scene as its manifest names them: their mass, what of them touches, and what rings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sfxgen.generate.objects import Solved, solved
from sfxgen.generate.recipe import Request
from sfxgen.manifest.impact import FromFile, Primitive
from sfxgen.manifest.materials import OwnMaterial, constants
from sfxgen.manifest.scene import SceneBody
from sfxgen.physics.air.field import Field
from sfxgen.physics.meshing.meshes import read_surface
from sfxgen.physics.meshing.triangles import enclosed, moments, spread
from sfxgen.physics.modal.families import Modes
from sfxgen.physics.modal.shapes import Array, Body
from sfxgen.physics.moving.hulls import fitting_m, pieces_of, principal, walls
from sfxgen.physics.moving.things import Solid, radius_m, solid

EDGE_SHARE, LEAST_EDGE_M, MOST_EDGE_M = 0.25, 0.0002, 0.005  # radius of edges, of the thickness
N_POINTS = 4_000  # of a mesh's surface, from which its hulls are made
FILLED = 0.7  # of the volume that a surface encloses: what is less is a shell, and what is more an open one


@dataclass(frozen=True)
class Kind:
    """What a line of `bodies` is, ready to be placed. radius_m: of the ball about its origin that holds it; low_m: how
    far its lowest point lies below its origin when it is upright, tall_m: and its highest above that. edge_m: radius of
    its edges. pieces, walls, fitting_m: as of a `Thing`. points: [n, 3], where its modes can be struck (m), in its
    frame; modes: of `rings`, which is rings_m long; field: of those modes."""

    body: Body
    size_m: float
    material: str | OwnMaterial
    solid: Solid
    bounce: float
    radius_m: float
    low_m: float
    tall_m: float
    edge_m: float
    pieces: tuple[Array, ...]
    walls: tuple[Array, ...]
    fitting_m: float
    rings: Body
    rings_m: float
    modes: Modes
    points: Array
    field: Field | None


def kind_of(line: SceneBody, request: Request, has_field: bool = False) -> Kind:
    """Of a line of `bodies`; has_field: with the sound field of its modes. Raises MeshUnusable."""
    item = line.object
    found = solved(item, request, has_field)
    return _from_file(line, item, found, request) if isinstance(item, FromFile) else _from_shape(line, item, found)


def _from_shape(line: SceneBody, item: Primitive, found: Solved) -> Kind:
    material = constants(item.material)
    body, size_m = found.body, found.size_m
    tall_m = body.extent[2] * size_m
    hung = body.shape in ("bowl", "bell")  # these have their origin at the rim
    return Kind(
        body=body,
        size_m=size_m,
        material=item.material,
        solid=solid(body, size_m, material.density_kg_m3, line.mass_kg),
        bounce=line.bounce,
        radius_m=radius_m(body, size_m),
        low_m=tall_m if hung else tall_m / 2,
        tall_m=tall_m,
        edge_m=_edge_m(line, body.thickness * size_m),
        pieces=(),
        walls=walls(body, size_m),
        fitting_m=fitting_m(body, size_m),
        rings=body,
        rings_m=size_m,
        modes=found.modes,
        points=found.modes.points * size_m,
        field=found.field,
    )


def _edge_m(line: SceneBody, thickness_m: float) -> float:
    natural = float(np.clip(EDGE_SHARE * thickness_m, LEAST_EDGE_M, MOST_EDGE_M))
    return line.edge_m if line.edge_m is not None else natural


def _from_file(line: SceneBody, item: FromFile, found: Solved, request: Request) -> Kind:
    """A mesh: its frame has the centre of mass as its origin and the principal axes, the shortest upright."""
    material = constants(item.material)
    modes, rings, size_m = found.modes, found.body, found.size_m
    surface = read_surface(request.root / item.file, item.file)
    scale = size_m / float(surface.extent.max())
    volume_m3 = float(modes.volume) * size_m**3
    within_m3 = abs(enclosed(surface.triangles * scale))
    filled = not item.wall_m and FILLED * within_m3 < volume_m3 < within_m3 / FILLED
    centre, covariance = moments(surface.triangles * scale, filled)
    axes, along = principal(covariance)
    if not filled:
        along = np.maximum(along, (rings.thickness * size_m) ** 2 / 12)  # of a flat sheet, rounding's
    mass = material.density_kg_m3 * volume_m3 if line.mass_kg is None else line.mass_kg
    outside = np.concatenate([surface.points, spread(surface.triangles, N_POINTS)[0]])
    points = (outside * scale - centre) @ axes
    thickness_m = rings.thickness * size_m
    if np.ptp(points[:, 2]) < thickness_m / 2:  # a sheet without the thickness that it has
        up = np.array([0.0, 0.0, thickness_m / 2])
        points = np.concatenate([points - up, points + up])
    low, high = points.min(axis=0), points.max(axis=0)
    sides = high - low
    longest = float(sides.max())
    body = Body("mesh", tuple(float(f"{side / longest:.6g}") for side in sides), thickness_m / longest)
    return Kind(
        body=body,
        size_m=longest,
        material=item.material,
        solid=Solid(mass, np.zeros(3), mass * (along.sum() - along)),
        bounce=line.bounce,
        radius_m=float(np.linalg.norm(points, axis=1).max()),
        low_m=float(-low[2]),
        tall_m=float(sides[2]),
        edge_m=_edge_m(line, thickness_m),
        pieces=pieces_of(points, 0.0 if filled else thickness_m, volume_m3),
        walls=(),
        fitting_m=0.0,
        rings=rings,
        rings_m=size_m,
        modes=modes,
        points=(modes.points * size_m - centre) @ axes,
        field=found.field,
    )
