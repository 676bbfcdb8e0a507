"""The course of a scene: rigid-body runs one after another, each until something breaks, as one list of events."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sfxgen.physics.modal.shapes import Array
from sfxgen.physics.moving.colliders import Ground
from sfxgen.physics.moving.events import FRAME_S, Blows, Rub, contact_s, events, joined, touched
from sfxgen.physics.moving.fracture import FLYING, Shard, Stop, fragments, pushed, split, stop
from sfxgen.physics.moving.rigid import Crack, Log, contact_of, fall, pressed
from sfxgen.physics.moving.things import NOTHING, Thing, rotation

BREAKING_M_S = 0.7  # a slower blow leaves whole what may break: a fall of 25 mm
SHRINKING, SHRINKINGS = 0.85, 12
SHARP_M = 0.0003  # radius of the edges of shards


@dataclass(frozen=True)
class Break:
    """at_s: when; index: what broke, ids: its shards among the things, whose shapes are `shards`. other: what it met,
    NOTHING where that is told elsewhere; place (m), normal (into it), speed_m_s: of the blow; stop: what it took."""

    at_s: float
    index: int
    ids: tuple[int, ...]
    shards: tuple[Shard, ...]
    other: int
    place: Array
    normal: Array
    speed_m_s: float
    stop: Stop


@dataclass(frozen=True)
class Course:
    """things: all that were there at any time, as each began; indices of the rest count in it. lying: [things, frames],
    whether each bears on something. ends_s: when all rested, or the last moment that was followed. energy: at most,
    relative to what was put in, of all runs."""

    things: tuple[Thing, ...]
    blows: Blows
    rubs: tuple[Rub, ...]
    breaks: tuple[Break, ...]
    lying: NDArray[np.bool_]
    ends_s: float
    energy: float


@dataclass(frozen=True)
class Setting:
    """ground; lasts_s: how long to follow; frame_s: of `Course.lying`. edges_m: radius of the edges of each thing at
    the start; fragile: thing → into how many shards it breaks; struck: blows from without that break things at once."""

    ground: Ground
    lasts_s: float
    frame_s: float
    edges_m: Sequence[float]
    fragile: Mapping[int, int]
    struck: Sequence[Crack] = ()


def follow(start: Sequence[Thing], setting: Setting, rng: np.random.Generator) -> Course:
    """What happens to the things. All randomness, that of the cracks, is rng's. Raises Unstable."""
    things, edges = list(start), list(setting.edges_m)
    here = list(range(len(things)))
    state = dict(enumerate(things))
    at_s, energy = 0.0, 1.0
    blows: list[Blows] = []
    rubs: list[Rub] = []
    breaks: list[Break] = []
    lying: list[tuple[float, list[int], NDArray[np.bool_]]] = []
    cracks = list(setting.struck)
    one_s = contact_of(things, setting.fragile)
    while True:
        broken = _broken(cracks, state, setting.fragile, at_s, len(things), rng)
        blows += [_last_blow(one, things, state, edges, setting) for one, _ in broken]
        for one, pieces in broken:
            breaks.append(one)
            things += pieces
            edges += [SHARP_M] * len(pieces)
            del state[one.index]
            state.update(zip(one.ids, pieces, strict=True))
        if broken:
            _free({i for one, _ in broken for i in one.ids}, state, things, setting.ground)
        here = sorted(state)
        left_s = setting.lasts_s - at_s
        weak = [BREAKING_M_S if i in setting.fragile else math.inf for i in here]
        log = fall([state[i] for i in here], setting.ground, left_s, weak, one_s)
        energy = max(energy, log.energy)
        ids = np.array(here, dtype=np.int64)
        own = [state[i] for i in here]
        found, rubbed = events(log, own, setting.ground.material, [edges[i] for i in here])
        blows.append(_of_all(found, ids, at_s))
        rubs += [_later(rub, ids, at_s) for rub in rubbed]
        n_frames = max(1, math.ceil(log.n_steps * log.step_s / setting.frame_s))
        lying.append((at_s, here, touched(log, len(here), setting.frame_s, n_frames)))
        at_s += log.n_steps * log.step_s
        if not log.cracks:
            break
        state = {i: _moved(state[i], log, k) for k, i in enumerate(here)}
        cracks = [replace(c, index=here[c.index], other=c.other if c.other < 0 else here[c.other]) for c in log.cracks]
    return Course(tuple(things), joined(blows), tuple(rubs), tuple(breaks),
                  _all_lying(lying, len(things), setting.frame_s), at_s, energy)  # fmt: skip


def _broken(
    cracks: Sequence[Crack], state: dict[int, Thing], fragile: Mapping[int, int], at_s: float, n_things: int,
    rng: np.random.Generator,
) -> list[tuple[Break, list[Thing]]]:  # fmt: skip
    """The blows' impulses, then the shards of each thing; `state` is as the blows leave it."""
    stops: dict[int, Stop] = {}
    for crack in cracks:
        both = [crack.index, crack.other]
        pair = [state[i] if i >= 0 else None for i in both]
        stopped = stop(pair, crack.place, crack.normal, crack.speed_m_s)
        mutual = any(c.index == crack.other and c.other == crack.index for c in cracks)
        stops[crack.index] = replace(stopped, lost_j=stopped.lost_j / (1 + mutual))
        if mutual and crack.index > crack.other:
            continue
        for i, sign in zip(both, (1.0, -1.0), strict=True):
            if i >= 0:
                state[i] = pushed(state[i], crack.place, sign * stopped.impulse_n_s * crack.normal)
    made = []
    for crack in cracks:
        thing = state[crack.index]
        thing = replace(thing, place=thing.place + crack.depth_m * crack.normal)
        local = rotation(thing.turn[None])[0].T @ (crack.place - thing.place)
        shards = split(thing.body, thing.size_m, thing.solid, fragile[crack.index], local, rng)
        stopped = stops[crack.index]
        flying = FLYING * stopped.lost_j
        pieces = fragments(thing, shards, crack.place, crack.normal, flying, rng)
        ids = tuple(range(n_things, n_things + len(pieces)))
        n_things += len(pieces)
        told = crack.index > crack.other and any(c.index == crack.other and c.other == crack.index for c in cracks)
        way = (NOTHING if told else crack.other, crack.place, crack.normal, crack.speed_m_s)
        made.append((Break(at_s, crack.index, ids, tuple(shards), *way, stopped), pieces))
    return made


def _free(new: set[int], state: dict[int, Thing], things: list[Thing], ground: Ground) -> None:
    """Shards that begin within something, which pressed into the body that they are of, touch with less of themselves:
    nothing shall fly off by being within another."""
    for _ in range(SHRINKINGS):
        here = [i for i in sorted(state) if state[i].start_s == 0]
        within = {here[k] for k in pressed([state[i] for i in here], ground)} & new
        if not within:
            return
        for i in within:
            smaller = tuple(np.asarray(SHRINKING * piece) for piece in state[i].pieces)
            state[i] = things[i] = replace(state[i], pieces=smaller)


def _last_blow(
    broken: Break, things: Sequence[Thing], state: dict[int, Thing], edges: Sequence[float], setting: Setting
) -> Blows:
    """The blow under which a thing broke, on it and on what it met."""
    places, normals = [], []
    for i in (broken.index, broken.other):
        turn, origin = (rotation(state[i].turn[None])[0], state[i].place) if i >= 0 else (np.eye(3), np.zeros(3))
        places.append(turn.T @ (broken.place - origin))
        normals.append(turn.T @ broken.normal)
    local, normal = np.array([places]), np.array([normals])
    row = Blows(
        np.array([broken.at_s]), np.array([broken.index]), np.array([broken.other]),
        np.array([broken.stop.impulse_n_s]),
        np.zeros(1), np.array([broken.speed_m_s]), np.zeros(1), local, normal,
    )  # fmt: skip
    return replace(row, contact_s=np.array([contact_s(row, 0, things, setting.ground.material, edges)]))


def _of_all(blows: Blows, ids: NDArray[np.int64], at_s: float) -> Blows:
    first, second = (np.where(side < 0, side, ids[np.maximum(side, 0)]) for side in (blows.first, blows.second))
    return replace(blows, at_s=np.asarray(blows.at_s + at_s), first=first, second=second)


def _later(rub: Rub, ids: NDArray[np.int64], at_s: float) -> Rub:
    first, second = (i if i < 0 else int(ids[i]) for i in (rub.first, rub.second))
    return replace(rub, first=first, second=second, begin=rub.begin + round(at_s / FRAME_S))


def _moved(thing: Thing, log: Log, k: int) -> Thing:
    """The thing as a run left it; what was not there yet waits on."""
    lasted = log.n_steps * log.step_s
    if thing.start_s >= lasted:
        return replace(thing, start_s=thing.start_s - lasted)
    pose, motion = log.pose[k], log.motion[k]
    turn = pose[3:] / np.linalg.norm(pose[3:])
    return replace(thing, place=pose[:3], turn=turn, velocity=motion[:3], spin=motion[3:], start_s=0.0)


def _all_lying(
    parts: Sequence[tuple[float, list[int], NDArray[np.bool_]]], n_things: int, frame_s: float
) -> NDArray[np.bool_]:
    begins = [round(at_s / frame_s) for at_s, _, _ in parts]
    n_frames = max(begin + part.shape[1] for begin, (_, _, part) in zip(begins, parts, strict=True))
    whole = np.zeros((n_things, n_frames), dtype=bool)
    for begin, (_, ids, part) in zip(begins, parts, strict=True):
        whole[ids, begin : begin + part.shape[1]] |= part
    return whole
