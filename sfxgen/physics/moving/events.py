"""From the log of a rigid-body run to what makes sound: blows (place, impulse, contact time) and rubbing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from sfxgen.manifest.materials import OwnMaterial, constants
from sfxgen.physics.contact import Contact
from sfxgen.physics.modal.shapes import Array
from sfxgen.physics.moving.colliders import STEPS_A_CONTACT
from sfxgen.physics.moving.rigid import Log
from sfxgen.physics.moving.things import FLOOR, Thing

WINDOW_STEPS = STEPS_A_CONTACT + 3  # a blow is the impulse of so many steps from its first; what follows is rubbing
GAP_STEPS = 3  # a contact that is lost for fewer goes on
QUIETEST = 1e-3  # blows softer than this share of the body's hardest are left out
HARDEST = 3.0  # impulse over (reduced mass × approach) beyond which the rest is weight, not blow
FLATTEST_M = 0.05  # radius of a contact between two faces, which are never quite even
SLOWEST_M_S = 1e-3
LYING = 0.97  # of a normal along the thinnest axis of a body: there it meets others with a face
FRAME_S = 0.005  # rubbing forces are means over such frames: a low-pass at about 100 Hz, since solvers chatter
CELL = 1.2  # places on a body are told apart by the rounding of this times their share of the half extent


@dataclass(frozen=True)
class Blows:
    """What struck whom, in order of time. All [n]: at_s; first, second: indices of things, or FLOOR; impulse_n_s;
    contact_s, by Hertz; approach_m_s; slip_m_s; local, local_normal: [n, 2, 3], see `rigid.Log`."""

    at_s: Array
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    impulse_n_s: Array
    contact_s: Array
    approach_m_s: Array
    slip_m_s: Array
    local: Array
    local_normal: Array

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Blows:
        return Blows(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})


def joined(parts: Sequence[Blows]) -> Blows:
    """All of them, in order of time."""
    whole = Blows(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Blows)})
    return whole.where(np.argsort(whole.at_s, kind="stable"))


@dataclass(frozen=True)
class Rub:
    """A pair that slides or rolls. force_n, sweep_m_s: [frames] of FRAME_S, from the start of the run; local: [2, 3],
    the mean place on each (m), weighted by force, local_normal: alike. contact: how they touch there. begin: frames
    before the first."""

    first: int
    second: int
    force_n: Array
    sweep_m_s: Array
    local: Array
    local_normal: Array
    contact: Contact
    begin: int = 0


def events(
    log: Log, things: Sequence[Thing], floor: str | OwnMaterial, edges_m: Sequence[float]
) -> tuple[Blows, list[Rub]]:
    """Blows and rubbing of a run. edges_m: radius of the edges and corners of each thing."""
    n = len(log.step)
    if n == 0:
        whole, none = np.zeros(0, dtype=np.int64), np.zeros(0)
        pairs = np.zeros((0, 2, 3))
        return Blows(none, whole, whole, none, none, none, none, pairs, pairs), []
    key = _keys(log, things)
    order = np.lexsort((log.step, key))
    key, step, force = key[order], log.step[order], log.force_n[order]
    begins = (np.diff(key, prepend=key[0] - 1) != 0) | (np.diff(step, prepend=step[0]) > GAP_STEPS)
    starts = np.flatnonzero(begins)
    run = np.cumsum(begins) - 1
    early = step - step[starts][run] < WINDOW_STEPS
    impulse: Array = np.add.reduceat(np.where(early, force, 0.0), starts).astype(np.float64) * log.step_s
    approach = np.maximum.reduceat(np.where(early, log.approach_m_s[order], 0.0), starts)
    weight = np.where(early, force, 0.0) + 1e-12
    local = _mean(log.local[order], weight, starts)
    head = order[starts]
    first, second = log.first[head], log.second[head]
    reduced = np.array([_reduced(things, a, b) for a, b in zip(first, second, strict=True)])
    impulse = np.asarray(np.minimum(impulse, HARDEST * reduced * approach), dtype=np.float64)
    blows = Blows(
        at_s=np.asarray(log.step[head] * log.step_s, dtype=np.float64),
        first=first,
        second=second,
        impulse_n_s=impulse,
        contact_s=np.zeros(len(head)),
        approach_m_s=approach,
        slip_m_s=log.slip_m_s[head],
        local=local,
        local_normal=log.local_normal[head],
    )
    blows = blows.where(_heard(blows, len(things)))
    blows = blows.where(np.argsort(blows.at_s, kind="stable"))
    times = [contact_s(blows, i, things, floor, edges_m) for i in range(len(blows.at_s))]
    return replace(blows, contact_s=np.array(times)), _rubs(log, order[~early], things, floor, edges_m)


def _keys(log: Log, things: Sequence[Thing]) -> NDArray[np.int64]:
    """One number for each pair and place on its bodies, coarsely: what bears it from step to step is one contact."""
    key = (log.first + 1) * (len(things) + 1) + log.second + 1
    halves = np.array([np.array(t.body.extent) * t.size_m / 2 for t in things])
    for side, index in enumerate((log.first, log.second)):
        cell = np.rint(CELL * log.local[:, side] / halves[np.maximum(index, 0)]).clip(-3, 3).astype(np.int64) + 3
        number = cell @ np.array([49, 7, 1])
        key = key * 343 + np.where(index == FLOOR, 0, number)
    return np.asarray(key)


def _mean(values: Array, weight: Array, starts: NDArray[np.int64]) -> Array:
    """Weighted means over runs of the first axis, which begin at `starts`."""
    total = np.add.reduceat(weight, starts)
    shape = (-1, *(1,) * (values.ndim - 1))
    return np.asarray(np.add.reduceat(values * weight.reshape(shape), starts) / total.reshape(shape))


def _reduced(things: Sequence[Thing], first: int, second: int) -> float:
    return 1 / sum(1 / things[i].solid.mass_kg for i in (first, second) if i != FLOOR)


def _heard(blows: Blows, n_things: int) -> NDArray[np.bool_]:
    """Blows that count for one of the bodies."""
    hardest = np.zeros(n_things + 1)
    for index in (blows.first, blows.second):
        np.maximum.at(hardest, index, blows.impulse_n_s)
    hardest[FLOOR] = np.inf
    floor = QUIETEST * np.minimum(hardest[blows.first], hardest[blows.second])
    return np.asarray((blows.impulse_n_s >= floor) & (blows.impulse_n_s > 0))


def contact_s(
    blows: Blows, i: int, things: Sequence[Thing], floor: str | OwnMaterial, edges_m: Sequence[float]
) -> float:
    """Hertz's contact time at the speed of a blow."""
    ends = (int(blows.first[i]), int(blows.second[i]))
    touching = touching_at(ends, blows.local[i], blows.local_normal[i], things, floor, edges_m)
    return float(touching.duration_s(np.array(max(float(blows.approach_m_s[i]), SLOWEST_M_S))))


def touching_at(
    ends: tuple[int, int], local: Array, local_normal: Array, things: Sequence[Thing], floor: str | OwnMaterial,
    edges_m: Sequence[float],
) -> Contact:  # fmt: skip
    """How two things touch at a place, local, local_normal: [2, 3] as in `Blows`: the reduced mass as the contact feels
    it, turning included, and the radii there."""
    compliance, curvature, per_kg = 0.0, 0.0, 0.0
    for side, index in enumerate(ends):
        material = constants(floor if index < 0 else things[index].material)
        compliance += (1 - material.poisson**2) / material.youngs_pa
        if index < 0:
            continue
        thing, place, normal = things[index], local[side], local_normal[side]
        lever = np.cross(place - thing.solid.centre, normal)
        per_kg += 1 / thing.solid.mass_kg + float((lever**2 / thing.solid.inertia).sum())
        curvature += curvature_per_m(thing, place, normal, edges_m[index])
    return Contact(1 / compliance, 1 / max(curvature, 1 / FLATTEST_M), 1 / per_kg)


def curvature_per_m(thing: Thing, place: Array, normal: Array, edge_m: float) -> float:
    """Curvature of the skin at a place in the body's frame (1/m): of its edge or corner, its round side, or 0."""
    extent = np.array(thing.body.extent) * thing.size_m / 2
    shape = thing.body.shape
    if shape == "sphere":
        return float(1 / extent[0])
    if shape in ("bowl", "bell"):
        return 1 / edge_m if place[2] > -0.05 * 2 * extent[2] else float(1 / extent[0])
    out = np.abs(place) / extent
    if thing.pieces:  # of no plain shape: it meets others with its edges, unless it lies flat
        return 0.0 if abs(normal[2]) > LYING and out[:2].max() < 0.5 else 1 / edge_m
    if shape in ("cylinder", "tube"):
        on_end, on_side = out[2] > 0.92, float(np.hypot(out[0], out[1])) > 0.92
        return 1 / edge_m if on_end and on_side else 0.0 if on_end else float(0.5 / extent[0])
    return 1 / edge_m if (out > 0.92).sum() >= 2 else 0.0


def _rubs(
    log: Log, kept: NDArray[np.int64], things: Sequence[Thing], floor: str | OwnMaterial, edges_m: Sequence[float]
) -> list[Rub]:
    """The contacts that last, frame by frame for each pair."""
    n_frames = int(np.ceil(log.n_steps * log.step_s / FRAME_S)) + 1
    kept = kept[log.force_n[kept] > 0]
    pair = log.first[kept] * 10_000 + log.second[kept]
    rubs = []
    for name in np.unique(pair):
        rows = kept[pair == name]
        frame = (log.step[rows] * log.step_s / FRAME_S).astype(np.int64)
        moving = log.force_n[rows] * log.sweep_m_s[rows]
        force, swept = (
            np.asarray(np.bincount(frame, values, n_frames), dtype=np.float64) * log.step_s / FRAME_S
            for values in (log.force_n[rows], moving)
        )
        weight = log.force_n[rows] * (log.sweep_m_s[rows] + 1e-9)
        local, normal = (
            (values[rows] * weight[:, None, None]).sum(0) / weight.sum() for values in (log.local, log.local_normal)
        )
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        sweep = np.asarray(swept / np.maximum(force, 1e-12))
        ends = (int(log.first[rows[0]]), int(log.second[rows[0]]))
        touching = touching_at(ends, local, normal, things, floor, edges_m)
        rubs.append(Rub(*ends, force, sweep, local, normal, touching))
    return rubs


def touched(log: Log, n_things: int, frame_s: float, n_frames: int) -> NDArray[np.bool_]:
    """Whether each thing bears on something for most of each frame, [things, n_frames]."""
    share = np.zeros((n_things, n_frames))
    per_frame = max(1.0, frame_s / log.step_s)
    for index in (log.first, log.second):
        on = index != FLOOR
        flat = np.unique(index[on] * (log.n_steps + 1) + log.step[on])
        thing, step = flat // (log.n_steps + 1), flat % (log.n_steps + 1)
        frame = np.minimum((step * log.step_s / frame_s).astype(np.int64), n_frames - 1)
        np.add.at(share, (thing, frame), 1 / per_frame)
    return np.asarray(share > 0.5)
