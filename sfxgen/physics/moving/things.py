"""What moves in a rigid-body scene: bodies of real size, their mass and inertia, and what of them touches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull
from skfem.quadrature import get_quadrature

from sfxgen.manifest.materials import OwnMaterial
from sfxgen.physics.modal.elements import HEXAHEDRON
from sfxgen.physics.modal.shapes import Array, Body, mesh

GRAVITY_M_S2 = 9.81
FLOOR = -1  # stands for the floor where a body's index is expected
NOTHING = -2  # … and this for what is not there any more, or is no body: a blow from without, a crack
ROUND = ("cylinder", "tube", "bowl", "bell")
LEAST = 2e-15  # kg and kg m²: mujoco takes no body lighter than half of it
AROUND = 32  # corners a ring of the hull of a bowl or bell has


@dataclass(frozen=True)
class Solid:
    """A rigid body of real size. mass_kg; centre: [3], its centre of mass (m) in the frame of `shapes.mesh`;
    inertia: [3], about it (kg m²), along the axes of that frame, which are principal. Both are LEAST at least."""

    mass_kg: float
    centre: Array
    inertia: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "mass_kg", max(self.mass_kg, LEAST))
        object.__setattr__(self, "inertia", np.maximum(self.inertia, LEAST))


def solid(body: Body, size_m: float, density_kg_m3: float, mass_kg: float | None = None) -> Solid:
    """Mass, centre and inertia by quadrature over the body's mesh. mass_kg: another mass, evenly spread."""
    part = mesh(body)
    points, weights = get_quadrature(HEXAHEDRON.functions, 4)
    corners = part.nodes[:, part.cells]  # [3, 20, cells]
    jacobian = np.einsum("aec,ebq->cqab", corners, HEXAHEDRON.gradients(points), optimize=True)
    volume = np.abs(np.linalg.det(jacobian)) * weights * 2 ** len(body.mirrors)
    places = np.einsum("aec,eq->acq", corners, HEXAHEDRON.values(points), optimize=True)
    total = float(volume.sum())
    centre = np.array([0.0 if a in body.mirrors else float((places[a] * volume).sum()) / total for a in range(3)])
    second = np.array([float(((places[a] - centre[a]) ** 2 * volume).sum()) for a in range(3)])
    mass = density_kg_m3 * total * size_m**3 if mass_kg is None else mass_kg
    return Solid(mass, centre * size_m, mass / total * (second.sum() - second) * size_m**2)


@dataclass(frozen=True)
class Thing:
    """One body of a scene. place (m), turn (unit quaternion w x y z), velocity (m/s), spin (rad/s, in its own frame)
    are those of its frame at start_s, before which it is not there. bounce multiplies its restitution.
    pieces: what touches, where the shape does not say it: convex hulls of points [n, 3] (m) in its frame. walls: of a
    hollow body, what meets a thing that goes into it, of a radius below fitting_m."""

    body: Body
    size_m: float
    material: str | OwnMaterial
    solid: Solid
    place: Array
    turn: Array
    velocity: Array
    spin: Array
    bounce: float = 1.0
    start_s: float = 0.0
    pieces: tuple[Array, ...] = ()
    walls: tuple[Array, ...] = ()
    fitting_m: float = 0.0

    @property
    def reach_m(self) -> float:
        """Radius of the ball about the origin of its frame that holds it (m)."""
        if self.pieces:
            return max(float(np.linalg.norm(piece, axis=1).max()) for piece in self.pieces)
        return radius_m(self.body, self.size_m)


def radius_m(body: Body, size_m: float) -> float:
    """Of the ball about the origin of the body's frame that holds it (m)."""
    across = math.hypot(body.extent[0], 0.0 if body.shape in ROUND else body.extent[1]) / 2
    if body.shape == "sphere":
        return size_m / 2
    if body.shape in ("bowl", "bell"):
        return size_m * max(across, body.extent[2])
    return size_m * math.hypot(across, body.extent[2] / 2)


def hull(body: Body, size_m: float) -> Array:
    """Points on the outside of a bowl or bell, [n, 3] (m), in the frame of `shapes.mesh`: the rim at z = 0."""
    nodes = mesh(body).nodes
    radius, height = np.hypot(nodes[0], nodes[1]), nodes[2]
    outline = np.column_stack([radius, height])
    outline = outline[ConvexHull(outline).vertices]
    outline = outline[np.argsort(outline[:, 1], kind="stable")]
    rings = [(_widest(outline, z), z) for z in np.linspace(0, float(height.min()), 9)[:-1]]
    turn = 2 * np.pi * np.arange(AROUND) / AROUND
    points = [np.column_stack([r * np.cos(turn), r * np.sin(turn), np.full(AROUND, z)]) for r, z in rings]
    return np.asarray(np.concatenate([*points, [[0.0, 0.0, height.min()]]]) * size_m)


def _widest(outline: Array, z: float) -> float:
    """The greatest radius at a height of a convex outline of points (radius, height), which come by height."""
    best = 0.0
    for a in outline:
        for b in outline[outline[:, 1] >= a[1]]:
            if a[1] <= z <= b[1]:
                share = (z - a[1]) / (b[1] - a[1]) if b[1] > a[1] else 0.0
                best = max(best, float(a[0] + share * (b[0] - a[0])), float(a[0]) if share == 0 else 0.0)
    return best


def rotation(quaternion: Array) -> Array:
    """Rotation matrices [n, 3, 3] of quaternions [n, 4], w x y z, of any length."""
    w, x, y, z = (quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def product(left: Array, right: Array) -> Array:
    """The quaternion that turns by `right`, then by `left`."""
    w, v = left[0] * right[0] - left[1:] @ right[1:], np.cross(left[1:], right[1:])
    return np.array([w, *(left[0] * right[1:] + right[0] * left[1:] + v)])
