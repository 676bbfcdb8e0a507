"""Rigid bodies that fall, bounce, roll and pile up, by mujoco: what touched what, when and how hard.

The contacts of the simulation are springs that are far softer than real ones. Momentum and restitution are right, the
time of a contact is not: `scene` reads impulses and speeds from the log, and Hertz says how long a contact lasts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skfem.quadrature import get_quadrature

from sfxgen.physics.elements import HEXAHEDRON
from sfxgen.physics.restitution import HIGHEST, friction, restitution
from sfxgen.physics.shapes import Array, Body, mesh

GRAVITY_M_S2 = 9.81
FLOOR = -1  # stands for the floor where a body's index is expected
STEPS_A_CONTACT = 16  # time steps in a simulated contact: below 10 a bounce may gain energy; more hold restitution
SHORTEST_S, LONGEST_S = 0.5e-3, 2e-3  # of a simulated contact
DEEPEST = 0.8  # how far a contact may press in, of the thinnest side: deeper, thin bodies pass through one another
IMPEDANCE = (0.99, 0.99, 0.001, 0.5, 2.0)  # mujoco's solimp: nearly hard, so that restitution comes out as asked
ROUND = ("cylinder", "tube", "bowl", "bell")
AROUND = 32  # corners a ring of the hull of a bowl or bell has
GAIN = 1.02  # energy, relative to what was put in, above which a run is called unstable and made again, finer
REST = 3e-3  # a body whose every point is slower than this share of the fastest speed, so 50 dB softer …
REST_S = 0.15  # … for this long is at rest
CHECK_STEPS = 64
CLEARINGS = 40
# A run that gains energy is made again: contact time, restitution and friction times these. Springs and dashpots that
# mujoco scales by the inertia at the contact are not conservative where friction changes from grip to slip within one.
TRIES = ((1.0, 1.0, 1.0), (0.5, 0.7, 0.5), (0.5, 0.4, 0.2), (0.25, 0.2, 0.05))


class Unstable(Exception):
    """The simulation gained energy or left the numbers, however fine its steps."""


@dataclass(frozen=True)
class Solid:
    """A rigid body of real size. mass_kg; centre: [3], its centre of mass (m) in the frame of `shapes.mesh`;
    inertia: [3], about it (kg m²), along the axes of that frame, which are principal."""

    mass_kg: float
    centre: Array
    inertia: Array


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
    are those of its frame at start_s, before which it is not there. bounce multiplies its restitution."""

    body: Body
    size_m: float
    material: str
    solid: Solid
    place: Array
    turn: Array
    velocity: Array
    spin: Array
    bounce: float = 1.0
    start_s: float = 0.0


@dataclass(frozen=True)
class Ground:
    """The floor: it falls towards +x by slope_deg; bounce multiplies its restitution."""

    material: str
    slope_deg: float = 0.0
    bounce: float = 1.0


@dataclass(frozen=True)
class Meeting:
    """How bodies meet in one run: length of a contact (s); what restitution and friction are multiplied by."""

    contact_s: float
    softer: float = 1.0
    smoother: float = 1.0


@dataclass(frozen=True)
class Log:
    """Every contact at every step. All [n], in order of time; pairs (first, second) as indices of things, or FLOOR.

    step; first < second; place: [n, 3] (m); normal: [n, 3], out of first into second; force_n: along it, ≥ 0;
    approach_m_s: the relative speed along it, > 0 while they near; slip_m_s: across it; sweep_m_s: how fast the place
    moves over the surfaces, which rolling does without slip.
    local: [n, 2, 3], the place in the frames of first and second (m; the floor's is the world's); local_normal: alike.
    step_s, n_steps: the simulation's. impulse_n_s: [3], all that the floor gave (friction too); energy: what the
    bodies had at most, relative to what was put in (1: nothing gained). momentum: [things, 3] at the end.
    """

    step: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    place: Array
    normal: Array
    force_n: Array
    approach_m_s: Array
    slip_m_s: Array
    sweep_m_s: Array
    local: Array
    local_normal: Array
    step_s: float
    n_steps: int
    contact_s: float
    impulse_n_s: Array
    energy: float
    momentum: Array


def fall(things: Sequence[Thing], floor: str, lasts_s: float, slope_deg: float = 0.0, bounce: float = 1.0) -> Log:
    """Let the things move under gravity above a floor of that material until all rest, at most lasts_s.

    slope_deg: the floor falls towards +x by so much. Raises Unstable where a run gains energy in all of TRIES.
    """
    ground, contact_s = Ground(floor, slope_deg, bounce), _contact_s(things)
    for finer, softer, smoother in TRIES:
        log = _run(things, ground, lasts_s, Meeting(finer * contact_s, softer, smoother))
        if log is not None:
            return log
    raise Unstable


def radius_m(body: Body, size_m: float) -> float:
    """Of the ball about the origin of the body's frame that holds it (m)."""
    across = math.hypot(body.extent[0], 0.0 if body.shape in ROUND else body.extent[1]) / 2
    if body.shape == "sphere":
        return size_m / 2
    if body.shape in ("bowl", "bell"):
        return size_m * max(across, body.extent[2])
    return size_m * math.hypot(across, body.extent[2] / 2)


def _contact_s(things: Sequence[Thing]) -> float:
    """Length of a simulated contact: a body at the fastest speed presses in by v t / π."""
    thinnest = min(min(t.body.extent) * t.size_m for t in things)
    return float(np.clip(math.pi * DEEPEST * thinnest / _fastest_m_s(things), SHORTEST_S, LONGEST_S))


def _fastest_m_s(things: Sequence[Thing]) -> float:
    """The fastest that any thing can fall to the floor (m/s), at least 0.1."""
    squares = [float(t.velocity @ t.velocity) + 2 * GRAVITY_M_S2 * max(0.0, float(t.place[2])) for t in things]
    return max(0.1, math.sqrt(max(squares)))


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


def _model(mujoco: Any, things: Sequence[Thing], floor: Ground, meeting: Meeting) -> Any:
    spec = mujoco.MjSpec()
    slope = math.radians(floor.slope_deg)
    spec.option.timestep = meeting.contact_s / STEPS_A_CONTACT
    spec.option.gravity = [GRAVITY_M_S2 * math.sin(slope), 0.0, -GRAVITY_M_S2 * math.cos(slope)]
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    # Explicit steps feed energy into slender bodies that spin; implicit ones take a little (of very fast spins, much).
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], contype=0, conaffinity=0)
    for i, thing in enumerate(things):
        body = spec.worldbody.add_body(name=f"b{i}", pos=thing.place, quat=thing.turn)
        body.add_freejoint()
        body.explicitinertial = True
        body.mass, body.ipos, body.inertia = thing.solid.mass_kg, thing.solid.centre, thing.solid.inertia
        _add_geom(mujoco, spec, body, thing, f"g{i}")
        for j in range(FLOOR, i):
            other = "floor" if j == FLOOR else f"g{j}"
            e = restitution(thing.material, floor.material if j == FLOOR else things[j].material) * thing.bounce
            e *= meeting.softer * (floor.bounce if j == FLOOR else things[j].bounce)
            mu = friction(thing.material, floor.material if j == FLOOR else things[j].material)
            rolling = ROLLING * _ball_m(thing)
            pair = spec.add_pair(name=f"p{i}_{j}", geomname1=other, geomname2=f"g{i}")
            pair.condim = 6 if j == FLOOR and rolling else 3
            pair.friction = [meeting.smoother * mu, meeting.smoother * mu, 0.1 * rolling, rolling, rolling]
            pair.solref, pair.solimp = solref(min(HIGHEST, e), meeting.contact_s), IMPEDANCE
    model = spec.compile()
    for i, thing in enumerate(things):
        if thing.body.shape in ROUND:
            model.dof_damping[6 * i + 3 : 6 * i + 6] = thing.solid.inertia / TURNING_S
    return model


ROLLING = 4e-3  # rolling resistance over radius: a hard ball on a floor that is not perfectly even
TURNING_S = 3.0  # in which the spin of other round bodies dies away: rolling resistance, without its cost in rows


def _ball_m(thing: Thing) -> float:
    """Radius of a ball (m), 0 for the others."""
    return thing.body.extent[0] * thing.size_m / 2 if thing.body.shape == "sphere" else 0.0


def _add_geom(mujoco: Any, spec: Any, body: Any, thing: Thing, name: str) -> None:
    extent = np.array(thing.body.extent) * thing.size_m / 2
    kind, size = mujoco.mjtGeom.mjGEOM_BOX, extent.tolist()
    if thing.body.shape == "sphere":
        kind, size = mujoco.mjtGeom.mjGEOM_SPHERE, [extent[0], 0, 0]
    elif thing.body.shape in ("cylinder", "tube"):
        kind, size = mujoco.mjtGeom.mjGEOM_CYLINDER, [extent[0], extent[2], 0]
    elif thing.body.shape in ("bowl", "bell"):
        spec.add_mesh(name=name, uservert=hull(thing.body, thing.size_m).ravel())
        body.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, contype=0, conaffinity=0)
        return
    body.add_geom(name=name, type=kind, size=size, contype=0, conaffinity=0)


def hull(body: Body, size_m: float) -> Array:
    """Points on the outside of a bowl or bell, [n, 3] (m), in the frame of `shapes.mesh`: the rim at z = 0."""
    nodes = mesh(body).nodes
    radius, height = np.hypot(nodes[0], nodes[1]), nodes[2]
    rings = [(float(radius[np.abs(height - z) < 0.02].max()), z) for z in np.linspace(0, height.min(), 9)[:-1]]
    turn = 2 * np.pi * np.arange(AROUND) / AROUND
    points = [np.column_stack([r * np.cos(turn), r * np.sin(turn), np.full(AROUND, z)]) for r, z in rings]
    return np.asarray(np.concatenate([*points, [[0.0, 0.0, height.min()]]]) * size_m)


def _run(things: Sequence[Thing], floor: Ground, lasts_s: float, meeting: Meeting) -> Log | None:
    """One run; None where it gained energy."""
    import mujoco  # 0.1 s, and only scenes need it

    mujoco.set_mju_user_warning(_unheard)
    model, slope = _model(mujoco, things, floor, meeting), math.radians(floor.slope_deg)
    data = mujoco.MjData(model)
    n, step_s = len(things), float(model.opt.timestep)
    masses = np.array([t.solid.mass_kg for t in things])
    inertias, centres = np.array([t.solid.inertia for t in things]), np.array([t.solid.centre for t in things])
    reach = np.array([radius_m(t.body, t.size_m) for t in things])
    gravity = np.array(model.opt.gravity)
    starts = np.array([round(t.start_s / step_s) for t in things])
    pose, motion = data.qpos.reshape(n, 7), data.qvel.reshape(n, 6)

    def put(which: NDArray[np.int64]) -> None:
        for i in which:
            pose[i] = [*things[i].place, *things[i].turn]
            motion[i] = [*things[i].velocity, *things[i].spin]
            model.body_gravcomp[i + 1] = 0.0

    def energy() -> float:
        here = (starts == 0) | (starts < step)
        turn = data.xmat.reshape(-1, 3, 3)[1:]
        arm = np.einsum("iab,ib->ia", turn, centres)
        spin = np.einsum("iab,ib->ia", turn, motion[:, 3:])
        velocity = motion[:, :3] + np.cross(spin, arm)
        parts = masses * (velocity**2).sum(1) / 2 + (inertias * motion[:, 3:] ** 2).sum(1) / 2
        return float((parts - masses * ((pose[:, :3] + arm) @ gravity))[here].sum())

    waiting = np.flatnonzero(starts > 0)
    model.body_gravcomp[waiting + 1] = 1.0
    pose[waiting, 2], motion[waiting] = 1e3 + 10.0 * waiting, 0.0
    step = 0
    put(np.flatnonzero(starts == 0))
    mujoco.mj_forward(model, data)
    # The ground of the potential: the floor at the far end of what a slope lets them roll.
    lowest = float(masses.sum()) * math.sin(slope) * GRAVITY_M_S2 * 0.5 * GRAVITY_M_S2 * math.sin(slope) * lasts_s**2
    start_energy, fastest = energy(), _fastest_m_s(things)
    most, still, kept = 0.0, 0, []
    n_steps = round(lasts_s / step_s)
    budget = start_energy
    while step < n_steps:
        due = np.flatnonzero(starts == step) if step else waiting[:0]
        if len(due):
            put(due)
            _clear(mujoco, model, data, due, pose, reach)
            budget = budget + sum(_energy_of(things[i], gravity, pose[i, :3]) for i in due)
        before = data.qvel.copy()
        where = data.qpos.copy()
        mujoco.mj_step(model, data)
        if data.ncon:
            kept.append(_touching(data, step, where, before))
        step += 1
        if step % CHECK_STEPS == 0:
            mujoco.mj_kinematics(model, data)
            now = energy()
            if not np.isfinite(now):
                return None
            most = max(most, (now - budget) / max(abs(budget) + lowest, 1e-12))
            if most > GAIN - 1:
                return None
            speed = np.linalg.norm(motion[:, :3], axis=1) + np.linalg.norm(motion[:, 3:], axis=1) * reach
            still = still + CHECK_STEPS if (speed < REST * fastest).all() and (starts < step).all() else 0
            if still * step_s > REST_S:
                break
    mujoco.mj_kinematics(model, data)
    return _log(things, kept, step, step_s, meeting.contact_s, 1 + most, masses, motion, data, centres)


def _unheard(_: str) -> None:
    """mujoco's warnings would go to a file in the current folder; what they warn of shows in the energy."""


def _clear(mujoco: Any, model: Any, data: Any, due: NDArray[np.int64], pose: Array, reach: Array) -> None:
    """Raise what is let go within something else until it touches nothing."""
    for i in due:
        for _ in range(CLEARINGS):
            mujoco.mj_forward(model, data)
            if not (np.asarray(data.contact.geom) == i + 1).any():
                break
            pose[i, 2] += reach[i] / 4


def _energy_of(thing: Thing, gravity: Array, place: Array) -> float:
    """What a thing brings in where it is let go (J)."""
    mass, turn = thing.solid.mass_kg, _rotation(thing.turn[None])[0]
    arm = turn @ thing.solid.centre
    velocity = thing.velocity + np.cross(turn @ thing.spin, arm)
    turning = float((thing.solid.inertia * thing.spin**2).sum()) / 2
    return mass * float(velocity @ velocity) / 2 + turning - mass * float((place + arm) @ gravity)


def _touching(data: Any, step: int, where: Array, before: Array) -> tuple[Any, ...]:
    """The contacts of the step just made, copied out of the simulation."""
    contact = data.contact
    address = np.asarray(contact.efc_address)
    rows = np.minimum(address[:, None] + np.arange(3), max(data.nefc - 1, 0))  # elliptic cone: normal, two across
    forces = np.where(address[:, None] >= 0, data.efc_force[rows] if data.nefc else 0.0, 0.0)
    return step, np.array(contact.geom), np.array(contact.pos), np.array(contact.frame), forces, where, before


def _log(
    things: Sequence[Thing], kept: Sequence[tuple[Any, ...]], n_steps: int, step_s: float, contact_s: float,
    energy: float, masses: Array, motion: Array, data: Any, centres: Array,
) -> Log:  # fmt: skip
    """The kept contacts as arrays, pairs in order, with the speeds at which they meet."""
    turn = data.xmat.reshape(-1, 3, 3)[1:]
    spin, arm = np.einsum("iab,ib->ia", turn, motion[:, 3:]), np.einsum("iab,ib->ia", turn, centres)
    momentum = masses[:, None] * (motion[:, :3] + np.cross(spin, arm))
    if not kept:
        no, none, pairs = np.zeros(0), np.zeros((0, 3)), np.zeros((0, 2, 3))
        whole = np.zeros(0, dtype=np.int64)
        found = (whole, whole, whole, none, none, no, no, no, no, pairs, pairs)
        return Log(*found, step_s, n_steps, contact_s, np.zeros(3), energy, momentum)
    counts = np.array([len(item[1]) for item in kept])
    row = np.repeat(np.arange(len(kept)), counts)
    step = np.array([item[0] for item in kept])[row]
    geom, place, frame = (np.concatenate([item[k] for item in kept]) for k in (1, 2, 3))
    forces = np.concatenate([item[4] for item in kept])  # [n, 3] in the frame of the contact
    where = np.array([item[5] for item in kept]).reshape(len(kept), -1, 7)
    before = np.array([item[6] for item in kept]).reshape(len(kept), -1, 6)
    frame = frame.reshape(-1, 3, 3)
    swap = geom[:, 0] > geom[:, 1]
    first, second = np.where(swap, geom[:, 1], geom[:, 0]) - 1, np.where(swap, geom[:, 0], geom[:, 1]) - 1
    sign = np.where(swap, -1.0, 1.0)[:, None]
    normal = frame[:, 0] * sign
    # mujoco's force acts on the second geom along the frame's axes.
    vector = np.einsum("nk,nka->na", forces, frame) * sign
    local, local_normal, velocity, centre = [], [], [], []
    rounded = np.array([t.body.shape in (*ROUND, "sphere") for t in things])
    for index in (first, second):
        at, moving = where[row, np.maximum(index, 0)], before[row, np.maximum(index, 0)]
        rotation = _rotation(at[:, 3:])
        here = place - at[:, :3]
        point = np.einsum("nab,na->nb", rotation, here)
        speed = moving[:, :3] + np.cross(np.einsum("nab,nb->na", rotation, moving[:, 3:]), here)
        on_floor = (index == FLOOR)[:, None]
        local.append(np.where(on_floor, place, point))
        local_normal.append(np.where(on_floor, normal, np.einsum("nab,na->nb", rotation, normal)))
        velocity.append(np.where(on_floor, 0.0, speed))
        turns = (index != FLOOR) & rounded[np.maximum(index, 0)]
        centre.append(np.where(turns[:, None], moving[:, :3], velocity[-1]))
    relative = velocity[1] - velocity[0]
    along = (relative * normal).sum(1)
    slip, rolled = _across(relative, normal), _across(centre[1] - centre[0], normal)
    impulse = vector[first == FLOOR].sum(0) * step_s
    speeds = (-along, slip, np.asarray(np.maximum(slip, rolled)))
    places = (np.stack(local, 1), np.stack(local_normal, 1))
    force = np.asarray(np.maximum(forces[:, 0], 0.0))
    found = (step, first, second, place, normal, force, *speeds, *places)
    return Log(*found, step_s, n_steps, contact_s, impulse, energy, momentum)


def _across(velocity: Array, normal: Array) -> Array:
    """Speed across a normal, [n]."""
    return np.asarray(np.linalg.norm(velocity - (velocity * normal).sum(1, keepdims=True) * normal, axis=1))


def _rotation(quaternion: Array) -> Array:
    """Rotation matrices [n, 3, 3] of quaternions [n, 4], w x y z, of any length."""
    w, x, y, z = (quaternion / np.linalg.norm(quaternion, axis=1, keepdims=True)).T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)
