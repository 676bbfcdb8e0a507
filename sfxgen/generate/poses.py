"""Where the bodies of a scene are and how they move when it begins."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sfxgen.draw import Draw
from sfxgen.generate.bodies import Kind, kind_of
from sfxgen.generate.recipe import Request
from sfxgen.manifest.scene import Scene
from sfxgen.physics.modal.shapes import Array
from sfxgen.physics.moving.grains import grains
from sfxgen.physics.moving.rigid import Crack
from sfxgen.physics.moving.things import GRAVITY_M_S2, NOTHING, ROUND, Thing, product, rotation

ROOM = 1.02  # between bounding spheres
GAP_M = 2e-5  # between what lies and what it lies on: nothing starts by pressing
THROWN_DEG = 20.0  # above the level
HEAPED = 0.6  # how high a heap grows, of the thicknesses of all that lies in it
YAW, SHIFT = 0.15, 0.06  # how unevenly a stack is stacked: turns (rad), and of its width


@dataclass(frozen=True)
class Placing:
    """things, and of each the line of `bodies` that it came from; kinds: of each line; before_s: what passes at least
    before the last has begun to be heard; fragile: thing → how many shards it breaks into; struck: at the start."""

    things: tuple[Thing, ...]
    kind: tuple[int, ...]
    kinds: tuple[Kind, ...]
    before_s: float
    fragile: dict[int, int]
    struck: tuple[Crack, ...] = ()


def placed(spec: Scene, draw: Draw, rng: np.random.Generator, request: Request) -> Placing:
    """The bodies of one take. All randomness is the draw's. Raises MeshUnusable."""
    place = rng.uniform(*draw.intensity)
    low, high = spec.height_m
    height = low * (high / low) ** place
    speed = spec.speed_m_s[0] + (spec.speed_m_s[1] - spec.speed_m_s[0]) * place
    kinds = [kind_of(line, request, spec.radiation == "field") for line in spec.bodies]
    counts = [int(rng.integers(body.count[0], body.count[1] + 1)) for body in spec.bodies]
    order = [k for k, count in enumerate(counts) for _ in range(count)]
    if spec.action != "topple":
        order = [order[i] for i in rng.permutation(len(order))]
    standing = [k for k in order if spec.bodies[k].stands]
    order = [k for k in order if not spec.bodies[k].stands]
    things = _ACTIONS[spec.action](spec, [kinds[k] for k in order], height, speed, rng)
    things += _standing([kinds[k] for k in standing], things, spec.action, rng)
    things = [replace(t, walls=t.walls if _is_entered(t, things) else ()) for t in things]
    latest = max(thing.start_s for thing in things)
    order += standing
    falls = spec.action in ("drop", "throw", "pile", "break")
    before = max(_falls_s(thing) for thing in things) if falls else 0.0
    ranges = {i: spec.shards(spec.bodies[k]) for i, k in enumerate(order)}
    fragile = {i: int(rng.integers(pair[0], pair[1] + 1)) for i, pair in ranges.items() if pair}
    struck: tuple[Crack, ...] = ()
    if spec.action == "break":
        struck = tuple(_blow(things[i], i, speed, rng) for i in fragile if not spec.bodies[order[i]].stands)
    return Placing(tuple(things), tuple(order), tuple(kinds), latest + before, fragile, struck)


def _falls_s(thing: Thing) -> float:
    """How long it takes to the level of the floor (s)."""
    up, height = float(thing.velocity[2]), float(thing.place[2])
    return (up + math.sqrt(up**2 + 2 * GRAVITY_M_S2 * height)) / GRAVITY_M_S2


def _is_entered(hollow: Thing, things: list[Thing]) -> bool:
    """Whether something could go into it."""
    return any(t is not hollow and not t.walls and t.reach_m < hollow.fitting_m for t in things)


def _standing(kinds: list[Kind], others: list[Thing], action: str, rng: np.random.Generator) -> list[Thing]:
    """Upright on the floor, the first below the others' middle, which it raises by its height, or ahead of them."""
    made, along = [], 0.0
    top = max((kind.tall_m for kind in kinds), default=0.0)
    if action != "roll":
        for i, thing in enumerate(others):
            others[i] = replace(thing, place=thing.place + np.array([0.0, 0.0, top if action != "topple" else 0.0]))
    middle = np.mean([thing.place for thing in others], axis=0)
    ahead = max(kind.radius_m for kind in kinds) + 0.5 if kinds and action in ("roll", "topple") else 0.0
    reach = max(float((t.place - middle)[0]) + t.reach_m for t in others)
    for kind in kinds:
        x = middle[0] + (reach + ahead if ahead else 0.0)
        place = np.array([x, middle[1] + along, kind.low_m + GAP_M])
        turn = _about(2, rng.uniform(0, 2 * math.pi))
        made.append(_thing(kind, place, turn, np.zeros(3), np.zeros(3)))
        along += 2 * ROOM * kind.radius_m
    return made


def _thing(kind: Kind, place: Array, turn: Array, velocity: Array, spin: Array, start_s: float = 0.0) -> Thing:
    return Thing(kind.body, kind.size_m, kind.material, kind.solid, place, turn, velocity, spin, kind.bounce, start_s,
                 kind.pieces, kind.walls, kind.fitting_m)  # fmt: skip


def _cluster(spec: Scene, kinds: list[Kind], height: float, rng: np.random.Generator, velocity: Array) -> list[Thing]:
    """A loose cluster, each body turned anyhow, its lowest at least at `height`."""
    room = 2 * ROOM * max(kind.radius_m for kind in kinds) + spec.spread_m
    side = math.ceil(len(kinds) ** (1 / 3) - 1e-9)
    things = []
    for i, kind in enumerate(kinds):
        cell = np.array([i % side, i // side % side, i // side**2], dtype=np.float64)
        shift = rng.uniform(-0.5, 0.5, 3) * spec.spread_m
        place = room * cell + shift + [0, 0, height + kind.radius_m + 0.5 * spec.spread_m]
        own = velocity * (1 + 0.1 * rng.uniform(-1, 1))
        things.append(_thing(kind, place, _any_turn(rng), own, _any_spin(spec, rng)))
    return things


def _drop(spec: Scene, kinds: list[Kind], height: float, speed: float, rng: np.random.Generator) -> list[Thing]:  # noqa: ARG001
    return _cluster(spec, kinds, height, rng, np.zeros(3))


def _throw(spec: Scene, kinds: list[Kind], height: float, speed: float, rng: np.random.Generator) -> list[Thing]:
    up = math.radians(THROWN_DEG)
    return _cluster(spec, kinds, height, rng, speed * np.array([math.cos(up), 0.0, math.sin(up)]))


def _roll(spec: Scene, kinds: list[Kind], height: float, speed: float, rng: np.random.Generator) -> list[Thing]:  # noqa: ARG001
    """In rows on the floor, round ones with their axes across the way and turning as fast as they go."""
    room = 2 * ROOM * max(kind.radius_m for kind in kinds) + spec.spread_m
    side = math.ceil(math.sqrt(len(kinds)) - 1e-9)
    things = []
    for i, kind in enumerate(kinds):
        yaw = YAW * rng.uniform(-1, 1)
        own = speed * (1 + 0.1 * rng.uniform(-1, 1))
        rolls = kind.body.shape in ROUND
        radius = float(kind.body.extent[0]) * kind.size_m / 2 if rolls else kind.low_m
        turn = product(_about(2, yaw), _about(0, -math.pi / 2)) if rolls else _about(2, yaw)
        place = np.array([room * (i // side), room * (i % side), radius + GAP_M])
        velocity = own * np.array([math.cos(yaw), math.sin(yaw), 0.0])
        turning = own / radius if rolls or kind.body.shape == "sphere" else 0.0
        spin = turning * np.array([-math.sin(yaw), math.cos(yaw), 0.0])
        things.append(_thing(kind, place, turn, velocity, _into(turn, spin)))
    return things


def _pile(spec: Scene, kinds: list[Kind], height: float, speed: float, rng: np.random.Generator) -> list[Thing]:  # noqa: ARG001
    """One after another above the same place, each once the one before has made room, from above the heap."""
    things: list[Thing] = []
    start, heap = 0.0, 0.0
    for kind in kinds:
        across = rng.uniform(-0.5, 0.5, 2) * (spec.spread_m + 0.3 * kind.radius_m)
        place = np.array([*across, height + kind.radius_m + heap])
        things.append(_thing(kind, place, _any_turn(rng), np.zeros(3), _any_spin(spec, rng), start))
        needs_s = math.sqrt(2 * 2.5 * max(k.radius_m for k in kinds) / GRAVITY_M_S2)
        start += max(spec.every_s * (1 + 0.3 * rng.uniform(-1, 1)), needs_s)
        heap += HEAPED * min(kind.body.extent) * kind.size_m
    return things


def _topple(spec: Scene, kinds: list[Kind], height: float, speed: float, rng: np.random.Generator) -> list[Thing]:  # noqa: ARG001
    """A stack that turns as a whole about its foot, `speed` at its top."""
    top = sum(kind.tall_m + GAP_M for kind in kinds)
    things, level = [], GAP_M
    for kind in kinds:
        middle = level + kind.low_m
        yaw = YAW * rng.uniform(-1, 1)
        across = SHIFT * kind.body.extent[0] * kind.size_m * rng.uniform(-1, 1, 2)
        turn = _about(2, yaw)
        omega = np.array([0.0, speed / top, 0.0])
        place = np.array([*across, middle])
        things.append(_thing(kind, place, turn, np.array([omega[1] * middle, 0.0, 0.0]), _into(turn, omega)))
        level += kind.tall_m + GAP_M
    return things


def _stand(spec: Scene, kinds: list[Kind], height: float, speed: float, rng: np.random.Generator) -> list[Thing]:  # noqa: ARG001
    """Side by side, upright, each turned anyhow about the vertical, its lowest point at `height`. What is flat stands
    on its edge, as a pane does."""
    things, along = [], 0.0
    for kind in kinds:
        flat = kind.body.shape == "plate" or (kind.body.shape == "cylinder" and kind.body.size[1] < 1)
        upright = _about(0, math.pi / 2) if flat else _about(0, 0.0)
        low = kind.body.extent[1] * kind.size_m / 2 if flat else kind.low_m
        turn = product(_about(2, rng.uniform(0, 2 * math.pi)), upright)
        along += ROOM * kind.radius_m
        things.append(_thing(kind, np.array([0.0, along, height + low]), turn,
                             np.zeros(3), np.zeros(3)))  # fmt: skip
        along += ROOM * kind.radius_m + spec.spread_m
    return things


def _blow(thing: Thing, index: int, speed: float, rng: np.random.Generator) -> Crack:
    """Of something heavy, level but for a little, somewhere on the side that it comes to."""
    turn = rotation(thing.turn[None])[0]
    flat = thing.body.shape == "plate" or (thing.body.shape == "cylinder" and thing.body.size[1] < 1)
    way = turn[:, 2] * (1 if rng.uniform() < 0.5 else -1) if flat else _level(rng)
    places = grains(thing.body).surface @ turn.T * thing.size_m
    # Of the points where it enters the body, one towards the middle.
    depth = places @ way
    across = places - depth[:, None] * way
    middle = places.mean(axis=0)
    off = across - (middle - (middle @ way) * way) - 0.25 * thing.reach_m * rng.standard_normal(3)
    score = np.linalg.norm(off, axis=1) + 0.3 * depth
    return Crack(index, NOTHING, thing.place + places[int(score.argmin())], way, speed, 0.0)


def _level(rng: np.random.Generator) -> Array:
    angle = rng.uniform(0, 2 * math.pi)
    way = np.array([math.cos(angle), math.sin(angle), -0.2])
    return np.asarray(way / np.linalg.norm(way))


_Action = Callable[[Scene, list[Kind], float, float, np.random.Generator], list[Thing]]
_ACTIONS: dict[str, _Action] = {"drop": _drop, "throw": _throw, "roll": _roll, "pile": _pile, "topple": _topple,
                               "break": _stand}  # fmt: skip


def _any_turn(rng: np.random.Generator) -> Array:
    """A quaternion, all rotations alike (Shoemake 1992: four normal variables)."""
    four = rng.standard_normal(4)
    return np.asarray(four / np.linalg.norm(four))


def _any_spin(spec: Scene, rng: np.random.Generator) -> Array:
    axis = rng.standard_normal(3)
    return np.asarray(2 * np.pi * rng.uniform(*spec.spin_hz) * axis / np.linalg.norm(axis))


def _about(axis: int, angle: float) -> Array:
    quaternion = np.zeros(4)
    quaternion[0], quaternion[1 + axis] = math.cos(angle / 2), math.sin(angle / 2)
    return quaternion


def _into(turn: Array, vector: Array) -> Array:
    """A vector of the world in the frame that `turn` turns, by v − 2 w (q × v) + 2 q × (q × v)."""
    w, q = turn[0], turn[1:]
    across = np.cross(q, vector)
    return np.asarray(vector - 2 * w * across + 2 * np.cross(q, across))
