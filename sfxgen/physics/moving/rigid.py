"""Rigid bodies that fall, bounce, roll and pile up, by mujoco: what touched what, when and how hard.

The contacts of the simulation are springs that are far softer than real ones. Momentum and restitution are right, the
time of a contact is not: `events` reads impulses and speeds from the log, and Hertz says how long a contact lasts.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfxgen.physics.modal.shapes import Array
from sfxgen.physics.moving.colliders import Ground, Meeting, model_of
from sfxgen.physics.moving.things import FLOOR, GRAVITY_M_S2, ROUND, Thing, rotation

SHORTEST_S, LONGEST_S = 0.5e-3, 2e-3  # of a simulated contact
DEEPEST = 0.8  # how far a contact may press in, of the thinnest side: deeper, thin bodies pass through one another
GAIN = 1.02  # energy, relative to what was put in, above which a run is called unstable and made again, finer
REST = 3e-3  # a body whose every point is slower than this share of the fastest speed, so 50 dB softer …
REST_S = 0.15  # … for this long is at rest
CHECK_STEPS = 64
TOUCHING_M = 1e-6  # less is no overlap
CLEARINGS = 40
# A run that gains energy is made again: contact time, restitution and friction times these. Springs and dashpots that
# mujoco scales by the inertia at the contact are not conservative where friction changes from grip to slip within one.
# What is light and caught between a heavy body and the floor is pressed through: in the last tries pairs of masses more
# unequal than the last number pass through one another.
TRIES = (
    (1.0, 1.0, 1.0, math.inf), (0.5, 0.7, 0.5, math.inf), (0.5, 0.4, 0.2, math.inf),
    (1.0, 0.7, 0.5, 8.0), (0.5, 0.4, 0.2, 8.0), (0.25, 0.2, 0.05, 4.0),
)  # fmt: skip


class Unstable(Exception):
    """The simulation gained energy or left the numbers, however fine its steps."""


@dataclass(frozen=True)
class Crack:
    """A blow that a thing does not stand. index: it; other: what it met; place: where (m); normal: [3], into it;
    speed_m_s: at which they neared along it; depth_m: how far the two overlap already."""

    index: int
    other: int
    place: Array
    normal: Array
    speed_m_s: float
    depth_m: float


@dataclass(frozen=True)
class Log:
    """Every contact at every step. All [n], in order of time; pairs (first, second) as indices of things, or FLOOR.

    step; first < second; place: [n, 3] (m); normal: [n, 3], out of first into second; force_n: along it, ≥ 0;
    approach_m_s: the relative speed along it, > 0 while they near; slip_m_s: across it; sweep_m_s: how fast the place
    moves over the surfaces, which rolling does without slip.
    local: [n, 2, 3], the place in the frames of first and second (m; the floor's is the world's); local_normal: alike.
    step_s, n_steps: the simulation's. impulse_n_s: [3], all that the floor gave (friction too); energy: what the
    bodies had at most, relative to what was put in (1: nothing gained). momentum: [things, 3] at the end.
    pose: [things, 7], motion: [things, 6] at the end, as `Thing` has them. cracks: what ended the run, if anything did;
    then the end is the step before.
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
    pose: Array
    motion: Array
    cracks: tuple[Crack, ...] = ()


def fall(
    things: Sequence[Thing], ground: Ground, lasts_s: float, fragile: Sequence[float] = (), contact_s: float = 0.0
) -> Log:
    """Let the things move under gravity above the ground until all rest or one cracks, at most lasts_s.

    fragile: the speed (m/s) at which a blow cracks each thing; none: none does. contact_s: length of a contact, 0: as
    these things want it; a run that goes on where another ended must have that one's. Raises Unstable where a run gains
    energy in all of TRIES.
    """
    contact_s, weak = contact_s or contact_of(things), np.array(fragile if len(fragile) else [np.inf] * len(things))
    for finer, softer, smoother, unequal in TRIES:
        log = _run(things, ground, lasts_s, Meeting(finer * contact_s, softer, smoother, unequal), weak, contact_s)
        if log is not None:
            return log
    raise Unstable


def pressed(things: Sequence[Thing], ground: Ground) -> set[int]:
    """Those of the things that are within another or the floor where they begin."""
    import mujoco

    mujoco.set_mju_user_warning(_unheard)
    model = model_of(mujoco, things, ground, Meeting(LONGEST_S))
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    deep = np.asarray(data.contact.dist) < -TOUCHING_M
    found = model.geom_bodyid[np.asarray(data.contact.geom)[deep]] - 1
    return {int(i) for i in found.ravel() if i != FLOOR}


def contact_of(things: Sequence[Thing], fragile: Collection[int] = ()) -> float:
    """Length of a simulated contact: a body at the fastest speed presses in by v t / π. fragile: of which shards will
    be there, as thin as their wall."""
    thin = [t.pieces or t.walls or i in fragile for i, t in enumerate(things)]
    sides = [t.body.thickness if thin[i] else min(t.body.extent) for i, t in enumerate(things)]
    thinnest = min(side * t.size_m for side, t in zip(sides, things, strict=True))
    return float(np.clip(math.pi * DEEPEST * thinnest / _fastest_m_s(things), SHORTEST_S, LONGEST_S))


def _fastest_m_s(things: Sequence[Thing]) -> float:
    """The fastest that any thing can fall to the floor (m/s), at least 0.1."""
    squares = [float(t.velocity @ t.velocity) + 2 * GRAVITY_M_S2 * max(0.0, float(t.place[2])) for t in things]
    return max(0.1, math.sqrt(max(squares)))


def _run(
    things: Sequence[Thing], floor: Ground, lasts_s: float, meeting: Meeting, weak: Array, usual_s: float
) -> Log | None:
    """One run; None where it gained energy."""
    import mujoco  # 0.1 s, and only scenes need it

    mujoco.set_mju_user_warning(_unheard)
    model, slope = model_of(mujoco, things, floor, meeting), math.radians(floor.slope_deg)
    data = mujoco.MjData(model)
    n, step_s = len(things), float(model.opt.timestep)
    masses = np.array([t.solid.mass_kg for t in things])
    inertias, centres = np.array([t.solid.inertia for t in things]), np.array([t.solid.centre for t in things])
    reach = np.array([t.reach_m for t in things])
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
    fragile = bool(np.isfinite(weak).any())
    cracks: tuple[Crack, ...] = ()
    n_steps = round(lasts_s / step_s)
    budget = start_energy + _stored_j(model, data, masses, usual_s)
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
            touching = _touching(model, data, step, where, before)
            cracks = _cracks(touching, weak, data.contact.dist) if fragile else ()
            if cracks:
                break
            kept.append(touching)
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
    if cracks:
        data.qpos[:], data.qvel[:] = where, before
    mujoco.mj_kinematics(model, data)
    log = _log(things, kept, step, step_s, meeting.contact_s, 1 + most, masses, motion, data, centres)
    return replace(log, cracks=cracks)


def _stored_j(model: Any, data: Any, masses: Array, contact_s: float) -> float:
    """What is in the springs of the contacts at the start, at most (J): ½ k d², k = m (π / t)², m the reduced mass."""
    heavy = np.concatenate([[np.inf], masses])[model.geom_bodyid[np.asarray(data.contact.geom)]].reshape(-1, 2)
    depth = np.minimum(np.asarray(data.contact.dist), 0.0)
    return float(((np.pi / contact_s * depth) ** 2 / (1 / heavy).sum(axis=1)).sum()) / 2


def _unheard(_: str) -> None:
    """mujoco's warnings would go to a file in the current folder; what they warn of shows in the energy."""


def _clear(mujoco: Any, model: Any, data: Any, due: NDArray[np.int64], pose: Array, reach: Array) -> None:
    """Raise what is let go within something else until it touches nothing."""
    for i in due:
        for _ in range(CLEARINGS):
            mujoco.mj_forward(model, data)
            if not (model.geom_bodyid[data.contact.geom] == i + 1).any():
                break
            pose[i, 2] += reach[i] / 4


def _energy_of(thing: Thing, gravity: Array, place: Array) -> float:
    """What a thing brings in where it is let go (J)."""
    mass, turn = thing.solid.mass_kg, rotation(thing.turn[None])[0]
    arm = turn @ thing.solid.centre
    velocity = thing.velocity + np.cross(turn @ thing.spin, arm)
    turning = float((thing.solid.inertia * thing.spin**2).sum()) / 2
    return mass * float(velocity @ velocity) / 2 + turning - mass * float((place + arm) @ gravity)


def _touching(model: Any, data: Any, step: int, where: Array, before: Array) -> tuple[Any, ...]:
    """The contacts of the step just made, copied out of the simulation."""
    contact = data.contact
    address = np.asarray(contact.efc_address)
    rows = np.minimum(address[:, None] + np.arange(3), max(data.nefc - 1, 0))  # elliptic cone: normal, two across
    forces = np.where(address[:, None] >= 0, data.efc_force[rows] if data.nefc else 0.0, 0.0)
    bodies = model.geom_bodyid[contact.geom].astype(np.int64)
    return step, bodies, np.array(contact.pos), np.array(contact.frame), forces, where, before


def _cracks(touching: tuple[Any, ...], weak: Array, distance: Array) -> tuple[Crack, ...]:
    """The blows of this step that something does not stand, the hardest on each."""
    _, bodies, places, frames, forces, where, before = touching
    pose, motion = where.reshape(-1, 7), before.reshape(-1, 6)
    hardest: dict[int, Crack] = {}
    for (a, b), place, frame, force, gap in zip(bodies - 1, places, frames, forces, distance, strict=True):
        if force[0] <= 0 or not np.isfinite([weak[i] for i in (a, b) if i != FLOOR]).any():
            continue
        speeds = [_speed_at(pose[i], motion[i], place) if i != FLOOR else np.zeros(3) for i in (a, b)]
        normal = frame[:3]  # out of a into b
        nearing = float((speeds[0] - speeds[1]) @ normal)
        for index, other, sign in ((int(a), int(b), -1.0), (int(b), int(a), 1.0)):
            known = hardest.get(index)
            if index != FLOOR and nearing >= weak[index] and (known is None or nearing > known.speed_m_s):
                depth = max(0.0, -float(gap))
                hardest[index] = Crack(index, other, place.copy(), sign * normal, nearing, depth)
    return tuple(hardest[index] for index in sorted(hardest))


def _speed_at(pose: Array, motion: Array, place: Array) -> Array:
    spin = rotation(pose[None, 3:])[0] @ motion[3:]
    return np.asarray(motion[:3] + np.cross(spin, place - pose[:3]))


def _log(
    things: Sequence[Thing], kept: Sequence[tuple[Any, ...]], n_steps: int, step_s: float, contact_s: float,
    energy: float, masses: Array, motion: Array, data: Any, centres: Array,
) -> Log:  # fmt: skip
    """The kept contacts as arrays, pairs in order, with the speeds at which they meet."""
    turn = data.xmat.reshape(-1, 3, 3)[1:]
    spin, arm = np.einsum("iab,ib->ia", turn, motion[:, 3:]), np.einsum("iab,ib->ia", turn, centres)
    momentum = masses[:, None] * (motion[:, :3] + np.cross(spin, arm))
    ends = (np.array(data.qpos).reshape(-1, 7), np.array(data.qvel).reshape(-1, 6))
    if not kept:
        no, none, pairs = np.zeros(0), np.zeros((0, 3)), np.zeros((0, 2, 3))
        whole = np.zeros(0, dtype=np.int64)
        found = (whole, whole, whole, none, none, no, no, no, no, pairs, pairs)
        return Log(*found, step_s, n_steps, contact_s, np.zeros(3), energy, momentum, *ends)
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
        turned = rotation(at[:, 3:])
        here = place - at[:, :3]
        point = np.einsum("nab,na->nb", turned, here)
        speed = moving[:, :3] + np.cross(np.einsum("nab,nb->na", turned, moving[:, 3:]), here)
        on_floor = (index == FLOOR)[:, None]
        local.append(np.where(on_floor, place, point))
        local_normal.append(np.where(on_floor, normal, np.einsum("nab,na->nb", turned, normal)))
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
    return Log(*found, step_s, n_steps, contact_s, impulse, energy, momentum, *ends)


def _across(velocity: Array, normal: Array) -> Array:
    """Speed across a normal, [n]."""
    return np.asarray(np.linalg.norm(velocity - (velocity * normal).sum(1, keepdims=True) * normal, axis=1))
