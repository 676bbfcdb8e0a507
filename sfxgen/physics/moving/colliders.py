"""The scene as mujoco has it: what touches what, how stiff a contact is and what it gives back."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sfxgen.manifest.materials import OwnMaterial
from sfxgen.physics.modal.shapes import Array
from sfxgen.physics.moving.hulls import BACKED
from sfxgen.physics.moving.restitution import HIGHEST, friction, restitution
from sfxgen.physics.moving.things import FLOOR, GRAVITY_M_S2, ROUND, Thing, hull, rotation

STEPS_A_CONTACT = 16  # time steps in a simulated contact: below 10 a bounce may gain energy; more hold restitution
IMPEDANCE = (0.99, 0.99, 0.001, 0.5, 2.0)  # mujoco's solimp: nearly hard, so that restitution comes out as asked
ROLLING = 4e-3  # rolling resistance over radius: a hard ball on a floor that is not perfectly even
TURNING_S = 3.0  # in which the spin of other round bodies dies away: rolling resistance, without its cost in rows


@dataclass(frozen=True)
class Ground:
    """The floor: it falls towards +x by slope_deg, up to x = slope_m, from where it is level; bounce multiplies its
    restitution."""

    material: str | OwnMaterial
    slope_deg: float = 0.0
    bounce: float = 1.0
    slope_m: float = math.inf


@dataclass(frozen=True)
class Meeting:
    """How bodies meet in one run: length of a contact (s); what restitution and friction are multiplied by;
    the ratio of masses beyond which they do not."""

    contact_s: float
    softer: float = 1.0
    smoother: float = 1.0
    unequal: float = math.inf


def solref(restitution_: float, contact_s: float) -> tuple[float, float]:
    """mujoco's (−k, −b) of a contact that returns that share of the speed; contact_s: half an undamped swing.

    Spring and dashpot that never pull: they part when the force is 0, so that e = exp(−ζ (π − 2 asin ζ) / √(1 − ζ²))
    (Schwager & Pöschel, "Coefficient of restitution and linear-dashpot model revisited", 2007). ζ by bisection;
    k = (π/t)², b = 2 ζ √k. They touch for (π − 2 asin ζ) / √(k (1 − ζ²)): t when nothing is lost, 0.64 t at most loss.
    """
    low, high = 0.0, 0.999
    for _ in range(40):
        zeta = (low + high) / 2
        e = math.exp(-zeta * (math.pi - 2 * math.asin(zeta)) / math.sqrt(1 - zeta**2))
        low, high = (zeta, high) if e > restitution_ else (low, zeta)
    k = (math.pi / contact_s) ** 2
    return -k, -2 * zeta * math.sqrt(k)


def model_of(mujoco: Any, things: Sequence[Thing], floor: Ground, meeting: Meeting) -> Any:
    spec = mujoco.MjSpec()
    slope = math.radians(floor.slope_deg)
    spec.option.timestep = meeting.contact_s / STEPS_A_CONTACT
    spec.option.gravity = [GRAVITY_M_S2 * math.sin(slope), 0.0, -GRAVITY_M_S2 * math.cos(slope)]
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    # Explicit steps feed energy into slender bodies that spin; implicit ones take a little (of very fast spins, much).
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], contype=0, conaffinity=0)
    floors = ["floor"]
    if slope and math.isfinite(floor.slope_m):  # the world is turned by the slope: what is level leans back in it
        half = -slope / 2
        spec.worldbody.add_geom(
            name="level", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], contype=0, conaffinity=0,
            pos=[floor.slope_m, 0.0, 0.0], quat=[math.cos(half), 0.0, math.sin(half), 0.0],
        )  # fmt: skip
        floors.append("level")
    names: list[tuple[list[str], list[str]]] = []
    for i, thing in enumerate(things):
        body = spec.worldbody.add_body(name=f"b{i}", pos=thing.place, quat=thing.turn)
        body.add_freejoint()
        body.explicitinertial = True
        body.mass, body.ipos, body.inertia = thing.solid.mass_kg, thing.solid.centre, thing.solid.inertia
        names.append(_add_geoms(mujoco, spec, body, thing, i))
        for j in range(FLOOR, i):
            if j != FLOOR and _ratio(thing, things[j]) > meeting.unequal:
                continue
            e = restitution(thing.material, floor.material if j == FLOOR else things[j].material) * thing.bounce
            e *= meeting.softer * (floor.bounce if j == FLOOR else things[j].bounce)
            mu = friction(thing.material, floor.material if j == FLOOR else things[j].material)
            rolling = ROLLING * _ball_m(thing)
            settings = {
                "condim": 6 if j == FLOOR and rolling else 3,
                "friction": [meeting.smoother * mu, meeting.smoother * mu, 0.1 * rolling, rolling, rolling],
                "solref": solref(min(HIGHEST, e), meeting.contact_s),
                "solimp": IMPEDANCE,
            }
            others = floors if j == FLOOR else _parts(things, names, j, i)
            for other, own in itertools.product(others, names[i][0] if j == FLOOR else _parts(things, names, i, j)):
                pair = spec.add_pair(name=f"{other}-{own}", geomname1=other, geomname2=own)
                for name, value in settings.items():
                    setattr(pair, name, value)
    model = spec.compile()
    for i, thing in enumerate(things):
        if thing.body.shape in ROUND:
            model.dof_damping[6 * i + 3 : 6 * i + 6] = thing.solid.inertia / TURNING_S
    return model


def _ratio(first: Thing, second: Thing) -> float:
    """Of the heavier mass to the lighter."""
    low, high = sorted((first.solid.mass_kg, second.solid.mass_kg))
    return high / low


def _ball_m(thing: Thing) -> float:
    """Radius of a ball (m), 0 for the others."""
    return thing.body.extent[0] * thing.size_m / 2 if thing.body.shape == "sphere" else 0.0


def _parts(things: Sequence[Thing], names: Sequence[tuple[list[str], list[str]]], own: int, other: int) -> list[str]:
    """What of a thing meets another: its outside, or its walls where that goes into it."""
    return names[own][1] if names[own][1] and _enters(things[own], things[other]) else names[own][0]


def _enters(hollow: Thing, other: Thing) -> bool:
    """Whether a thing may go into a hollow one: it is small enough, and begins in it, before its mouth, or far enough
    from its wall, which is thicker outwards than it should be."""
    if other.walls or other.reach_m >= hollow.fitting_m:
        return False
    local = rotation(hollow.turn[None])[0].T @ (other.place - hollow.place)
    ahead = hollow.body.shape == "tube" or local[2] > -hollow.body.extent[2] * hollow.size_m
    if ahead and math.hypot(local[0], local[1]) < hollow.fitting_m:
        return True
    back_m = BACKED * hollow.size_m
    return float(np.linalg.norm(local)) > hollow.reach_m + back_m + other.reach_m


def _add_geoms(mujoco: Any, spec: Any, body: Any, thing: Thing, index: int) -> tuple[list[str], list[str]]:
    """Names of the parts of a thing that touch: of its outside, and of its walls."""
    wall_names = [f"w{index}_{k}" for k in range(len(thing.walls))]
    for name, piece in zip(wall_names, thing.walls, strict=True):
        _add_hull(mujoco, spec, body, piece, name)
    return _add_outside(mujoco, spec, body, thing, index), wall_names


def _add_hull(mujoco: Any, spec: Any, body: Any, points: Array, name: str) -> None:
    mesh = spec.add_mesh(name=name, uservert=points.ravel())
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_CONVEX
    body.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, contype=0, conaffinity=0)


def _add_outside(mujoco: Any, spec: Any, body: Any, thing: Thing, index: int) -> list[str]:
    pieces = thing.pieces or ((hull(thing.body, thing.size_m),) if thing.body.shape in ("bowl", "bell") else ())
    names = [f"g{index}_{k}" for k in range(len(pieces))]
    for name, piece in zip(names, pieces, strict=True):
        _add_hull(mujoco, spec, body, piece, name)
    if names:
        return names
    extent = np.array(thing.body.extent) * thing.size_m / 2
    kind, size = mujoco.mjtGeom.mjGEOM_BOX, extent.tolist()
    if thing.body.shape == "sphere":
        kind, size = mujoco.mjtGeom.mjGEOM_SPHERE, [extent[0], 0, 0]
    elif thing.body.shape in ("cylinder", "tube"):
        kind, size = mujoco.mjtGeom.mjGEOM_CYLINDER, [extent[0], extent[2], 0]
    body.add_geom(name=f"g{index}_0", type=kind, size=size, contype=0, conaffinity=0)
    return [f"g{index}_0"]
