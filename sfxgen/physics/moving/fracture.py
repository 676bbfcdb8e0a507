"""A body that breaks: cut into Voronoi cells about random points, most of them near the blow, which fly apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree

from sfxgen.physics.modal.shapes import Array, Body
from sfxgen.physics.moving.grains import grains
from sfxgen.physics.moving.hulls import corners_of, principal
from sfxgen.physics.moving.things import Solid, Thing, product, rotation

CORE = 0.25  # of the body's size: how far from the blow the shards are as small as at it
LEAST_GRAINS = 12  # a smaller cell goes to its neighbours
APART = 0.96  # the hull of a shard, of its cell: so that neighbours do not press on one another from the start
STOPPED = 0.6  # of the speed of the blow: what a body has lost of it when it breaks, at most …
STRONGEST_M_S = 1.5  # … so much: it stands no more, and what is left of the speed its shards keep
FLYING = 0.25  # of the energy that this costs: goes into the flight of the shards; cracks, heat and sound take the rest
CRUMBLING = 0.5  # restitution of shards, times that of the body: their edges are sharp and give way
SPINNING = 0.3  # of that: into their turning


@dataclass(frozen=True)
class Shard:
    """A piece of a body. place (m), turn: of its frame in that of the body: its origin the centre of mass, its axes the
    principal ones, the longest first. share: of the body's volume; wall_m: what bends in it, its thickness if thin;
    area_m2: of one face; slender: length over width; hull: [n, 3] (m), in its frame."""

    solid: Solid
    place: Array
    turn: Array
    share: float
    wall_m: float
    area_m2: float
    slender: float
    hull: Array


def split(body: Body, size_m: float, whole: Solid, n: int, struck: Array, rng: np.random.Generator) -> list[Shard]:
    """The body in about n shards, by a blow at `struck` [3] (m, in its frame). Together they have its mass, and its
    centre and inertia within the size of a grain.

    Cells about points drawn from the body, their density falling with the distance r from the blow as
    1 / (CORE + r)²: cells are convex, so that the hulls of shards never overlap, even of a curved wall.
    """
    found = grains(body)
    near = struck / size_m
    weight = found.volumes / (CORE * max(body.extent) + np.linalg.norm(found.places - near, axis=1)) ** 2
    seeds = found.places[rng.choice(len(weight), size=n, replace=False, p=weight / weight.sum())]
    owner = cKDTree(seeds).query(found.places)[1]
    kept = np.bincount(owner, minlength=n) >= LEAST_GRAINS
    if not kept.all() and kept.any():
        seeds = seeds[kept]
        owner = cKDTree(seeds).query(found.places)[1]
    corner_owner = cKDTree(seeds).query(found.surface)[1]
    total = float(found.volumes.sum())
    density = whole.mass_kg / total / size_m**3
    shards = []
    for k in range(len(seeds)):
        mine = owner == k
        corners = np.concatenate([found.surface[corner_owner == k], found.places[mine]]) * size_m
        shards.append(_shard(body, size_m, found.places[mine] * size_m, found.volumes[mine] * size_m**3, corners,
                             density, total * size_m**3))  # fmt: skip
    return shards


def _shard(
    body: Body, size_m: float, places: Array, volumes: Array, corners: Array, density: float, whole_m3: float
) -> Shard:
    volume = float(volumes.sum())
    centre = volumes @ places / volume
    spread = (places - centre).T @ ((places - centre) * volumes[:, None]) / volume
    axes, spread_along = principal(spread)
    grain = float(volumes.mean()) ** (1 / 3)
    spread_along = np.maximum(spread_along, grain**2 / 12)
    mass = density * volume
    inertia = mass * (spread_along.sum() - spread_along)
    local = (corners - centre) @ axes
    hull = APART * corners_of(local)
    sides = np.sqrt(12 * spread_along)
    wall = (body.wall or (min(body.extent) if body.shape in ("bar", "plate", "cylinder") else 0.0)) * size_m
    wall_m = min(wall, float(sides[2])) if 0 < wall < sides[1] else float(sides[2])
    return Shard(
        solid=Solid(mass, np.zeros(3), inertia),
        place=centre,
        turn=_quaternion(axes),
        share=volume / whole_m3,
        wall_m=wall_m,
        area_m2=volume / wall_m,
        slender=float(sides[0] / sides[1]),
        hull=hull,
    )


def _quaternion(axes: Array) -> Array:
    """Of a rotation matrix (Shepperd 1978: from the largest of the four, so that nothing small divides)."""
    trace = float(np.trace(axes))
    q = np.array([trace, *np.diag(axes)])
    k = int(q.argmax())
    if k == 0:
        v = [1 + trace, axes[2, 1] - axes[1, 2], axes[0, 2] - axes[2, 0], axes[1, 0] - axes[0, 1]]
    else:
        i, j, m = k - 1, k % 3, (k + 1) % 3
        v = [0.0] * 4
        v[0] = axes[m, j] - axes[j, m]
        v[1 + i] = 1 + axes[i, i] - axes[j, j] - axes[m, m]
        v[1 + j], v[1 + m] = axes[j, i] + axes[i, j], axes[m, i] + axes[i, m]
    four = np.array(v)
    return np.asarray(four / np.linalg.norm(four))


@dataclass(frozen=True)
class Stop:
    """What a blow takes from a body that breaks under it. impulse_n_s: along its normal; energy_j: of the blow,
    ½ m v² with the mass that the contact feels; lost_j: of it, what is not motion of the whole any more."""

    impulse_n_s: float
    energy_j: float
    lost_j: float


def stop(things: Sequence[Thing | None], place: Array, normal: Array, speed_m_s: float) -> Stop:
    """Of a blow between two things, None for one that does not give way (the floor), at a place of the world."""
    per_kg = 0.0
    for thing in things:
        if thing is None:
            continue
        turn = rotation(thing.turn[None])[0]
        lever = turn.T @ np.cross(place - thing.place - turn @ thing.solid.centre, normal)
        per_kg += 1 / thing.solid.mass_kg + float((lever**2 / thing.solid.inertia).sum())
    taken = min(STOPPED * speed_m_s, STRONGEST_M_S)
    return Stop(taken / per_kg, speed_m_s**2 / per_kg / 2, taken * (2 * speed_m_s - taken) / per_kg / 2)


def pushed(thing: Thing, place: Array, impulse: Array) -> Thing:
    """The thing after an impulse [3] (N s) at a place of the world."""
    turn = rotation(thing.turn[None])[0]
    arm = turn @ thing.solid.centre
    spin = thing.spin + turn.T @ np.cross(place - thing.place - arm, impulse) / thing.solid.inertia
    centre_speed = thing.velocity + np.cross(turn @ thing.spin, arm) + impulse / thing.solid.mass_kg
    return replace(thing, velocity=centre_speed - np.cross(turn @ spin, arm), spin=np.asarray(spin))


def fragments(
    thing: Thing, shards: Sequence[Shard], place: Array, normal: Array, flying_j: float, rng: np.random.Generator
) -> list[Thing]:
    """The shards as they fly from where the thing is: they keep its momentum and angular momentum, and have flying_j
    more energy. place: of the blow (m), normal: into the body."""
    turn = rotation(thing.turn[None])[0]
    mass = np.array([s.solid.mass_kg for s in shards])
    centre = np.array([thing.place + turn @ s.place for s in shards])
    turns = [product(thing.turn, s.turn) for s in shards]
    axes = rotation(np.array(turns))
    inertia = np.einsum("iab,ib,icb->iac", axes, np.array([s.solid.inertia for s in shards]), axes)
    flight, spin = _flight(mass, inertia, centre, place, normal, flying_j, rng)
    spin_whole = turn @ thing.spin
    velocity = thing.velocity + np.cross(spin_whole, centre - thing.place) + flight
    flat = [max(np.ptp(s.hull, axis=0)) for s in shards]
    made = []
    for i, shard in enumerate(shards):
        extent = np.ptp(shard.hull, axis=0) / flat[i]
        body = Body("plate", tuple(float(f"{side:.6g}") for side in extent))
        own = axes[i].T @ (spin_whole + spin[i])
        made.append(Thing(body, float(flat[i]), thing.material, shard.solid, centre[i], turns[i], velocity[i], own,
                          CRUMBLING * thing.bounce, thing.start_s, (shard.hull,)))  # fmt: skip
    return made


def _flight(
    mass: Array, inertia: Array, centre: Array, place: Array, normal: Array, energy_j: float, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Velocities and spins, [n, 3] each, of that energy, without momentum or angular momentum: away from the blow,
    faster the nearer, and back where it came from rather than on."""
    away = centre - place
    distance = np.linalg.norm(away, axis=1, keepdims=True)
    size = float(distance.max())
    way = away / np.maximum(distance, 1e-9) + 0.6 * rng.standard_normal(away.shape)
    along = (way @ normal)[:, None] * normal
    way = way - along + 0.5 * np.abs(way @ normal)[:, None] * normal
    velocity = way * np.exp(-distance / (0.6 * size)) * np.exp(0.5 * rng.standard_normal((len(mass), 1)))
    spin = rng.standard_normal(away.shape)
    turning = float(np.einsum("ia,iab,ib->", spin, inertia, spin))
    moving = float((mass * (velocity**2).sum(1)).sum())
    spin *= np.sqrt(SPINNING / (1 - SPINNING) * moving / max(turning, 1e-300))
    middle = mass @ centre / mass.sum()
    arm = centre - middle
    velocity -= mass @ velocity / mass.sum()
    moment = (mass[:, None] * np.cross(arm, velocity)).sum(0) + np.einsum("iab,ib->a", inertia, spin)
    square = (mass * (arm**2).sum(1)).sum() * np.eye(3) - (mass[:, None] * arm).T @ arm
    omega = np.linalg.solve(square + inertia.sum(0), moment)
    velocity -= np.cross(omega, arm)
    spin -= omega
    made = (mass * (velocity**2).sum(1)).sum() / 2 + np.einsum("ia,iab,ib->", spin, inertia, spin) / 2
    gain = float(np.sqrt(energy_j / max(made, 1e-300)))
    return np.asarray(gain * velocity), np.asarray(gain * spin)
