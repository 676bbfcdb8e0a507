"""The recipe of `scene`: poses from the draw, a rigid-body run, then every body and the floor rings by what hit it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import oaconvolve
from scipy.spatial import cKDTree

from sfxgen.audio import Audio
from sfxgen.draw import Draw
from sfxgen.errors import SfxgenError
from sfxgen.generate.impact import FULL_SCALE_PA, body_of
from sfxgen.generate.poses import placed
from sfxgen.generate.recipe import Request
from sfxgen.manifest.materials import MATERIALS, Material
from sfxgen.manifest.scene import Scene
from sfxgen.physics import modes as modal_analysis
from sfxgen.physics import strike
from sfxgen.physics.modes import Modes
from sfxgen.physics.colliders import Ground
from sfxgen.physics.rigid import Unstable, fall
from sfxgen.physics.rubbing import surface_noise
from sfxgen.physics.scene import FRAME_S, Blows, Rub, events, touched
from sfxgen.physics.shapes import Array, Body
from sfxgen.physics.strike import Partials
from sfxgen.physics.things import FLOOR, Thing
from sfxgen.synths.blows import ring
from sfxgen.synths.modal import BLOCK

END_DB = -70.0  # a body is silent where its ringing has fallen this far below its hardest blow
LONGEST_S = 12.0
LEAD_S = 0.01  # what precedes the middle of the first contact
HELD = 3.0  # how much faster a body decays while it lies: the "about 3" of `impact.damping`
FLOOR_SIZE_M = (2.0, 1.6)  # the part of a floor that sounds
FLOOR_OFFSET_M = (0.23, 0.17)  # of the scene from its middle, where many modes have a node
MOST_BLOWS = 2000  # on one body: the loudest
EDGEWISE = 0.1  # how much of a blow on the narrow side of a plate bends it
CLICK_DB = -45.0  # knocks softer than this beside the hardest are left out
RUB_S = 1.5  # length of a body's answer to rubbing
LEAVING_S = 0.6
STILL_M_S = 5e-3  # rubbing slower than this is not heard


@dataclass(frozen=True)
class Ringer:
    """A body that sounds. points: [points, 3], where it can be struck (m), in its frame; flat: struck on its faces."""

    partials: Partials
    points: Array
    flat: bool
    half: Array


def render(spec: Scene, draws: Sequence[Draw], request: Request) -> list[Audio]:
    """One mono take a draw, in pascals at a metre over FULL_SCALE_PA, from the first contact on.

    Each starts from poses of its own; the draw's intensity sets height and speed. A take lasts `request.duration_s`, or
    until all that rings has fallen by END_DB, at most LONGEST_S.
    """
    return [Audio.of(_take(spec, draw, request), request.rate_hz) for draw in draws]


def _take(spec: Scene, draw: Draw, request: Request) -> Array:
    rng = draw.rng()
    placing = placed(spec, draw, rng)
    things = placing.things
    lasts_s = spec.longest_s + placing.before_s
    try:
        log = fall(things, Ground(spec.floor.material, spec.slope_deg, spec.floor.bounce), lasts_s)
    except Unstable:
        raise SfxgenError(
            "the bodies of this scene cannot be followed: they gain energy, however little they bounce; "
            "make them less thin or less unequal in mass, or lower height_m"
        ) from None
    blows, rubs = events(log, things, spec.floor.material, [placing.edge_m[k] for k in placing.kind])
    if log.n_steps * log.step_s > lasts_s - 0.01:
        blows, rubs = _leaving(blows, rubs, lasts_s)
    start_s = _start_s(blows, rubs) - LEAD_S
    rate_hz, longest_s = request.rate_hz, min(LONGEST_S, request.duration_s or LONGEST_S)
    n_most = round(longest_s * rate_hz)
    lying = touched(log, len(things), BLOCK / rate_hz, max(1, math.ceil(log.n_steps * log.step_s * rate_hz / BLOCK)))
    skip = round(start_s * rate_hz / BLOCK)
    ringers = {k: _ringer(body_of(b.object), b.object.size_m[0], b.object.material, b.damping, request)
               for k, b in enumerate(spec.bodies)}  # fmt: skip
    voices = [(i, ringers[k], things[i].size_m) for i, k in enumerate(placing.kind)]
    parts = [_voice(i, r, blows, start_s, np.roll(lying[i], -skip), n_most, rate_hz) for i, r, _ in voices]
    floor = _floor(spec, request)
    if floor is not None:
        parts.append(_voice(FLOOR, floor, blows, start_s, np.zeros(1, dtype=bool), n_most, rate_hz))
    parts += _clicks(spec, blows, things, start_s, rate_hz)
    sounding = {i: r for i, r, _ in voices} | ({FLOOR: floor} if floor else {})
    parts += _rubbed(spec, rubs, sounding, start_s, n_most, rate_hz, rng)
    natural = min(n_most, max((len(part) for part in parts), default=0))
    block = np.zeros(round(request.duration_s * rate_hz) if request.duration_s else max(natural, rate_hz // 20))
    for part in parts:
        n = min(len(part), len(block))
        block[:n] += part[:n]
    return _faded(block / FULL_SCALE_PA, rate_hz)


def _leaving(blows: Blows, rubs: Sequence[Rub], lasts_s: float) -> tuple[Blows, list[Rub]]:
    """What still moves when it is no longer followed goes softly: forces fade over the last LEAVING_S."""

    def gain(at_s: Array) -> Array:
        left: Array = np.clip((lasts_s - at_s) / LEAVING_S, 0.0, 1.0)
        return np.asarray(np.sin(np.pi / 2 * left) ** 2, dtype=np.float64)

    softer = replace(blows, impulse_n_s=np.asarray(blows.impulse_n_s * gain(blows.at_s)))
    frames = np.arange(max((len(rub.force_n) for rub in rubs), default=0), dtype=np.float64)
    fade = gain(np.asarray(FRAME_S * frames))
    return softer, [replace(rub, force_n=np.asarray(rub.force_n * fade[: len(rub.force_n)])) for rub in rubs]


def _start_s(blows: Blows, rubs: Sequence[Rub]) -> float:
    """When the first thing is heard."""
    begins = [float(blows.at_s[0])] if len(blows.at_s) else []
    begins += [FRAME_S * int(np.argmax(rub.sweep_m_s > STILL_M_S)) for rub in rubs if (rub.sweep_m_s > STILL_M_S).any()]
    return min(begins, default=LEAD_S)


def _ringer(body: Body, size_m: float, material_name: str, damping: float, request: Request) -> Ringer:
    material: Material = MATERIALS[material_name]
    found = request.cached(
        modal_analysis.key(body, material.poisson), lambda: modal_analysis.solve(body, material.poisson).to_bytes()
    )
    modes = Modes.from_bytes(found)
    partials = strike.partials(modes, body, size_m, material, damping, request.rate_hz)
    half = np.array(body.extent) * size_m / 2
    return Ringer(partials, modes.points * size_m, body.shape in ("bar", "plate"), half)


def _floor(spec: Scene, request: Request) -> Ringer | None:
    if spec.floor.thickness_m is None:
        return None
    long_m, wide_m = FLOOR_SIZE_M
    body = Body("plate", (1.0, wide_m / long_m, float(f"{spec.floor.thickness_m / long_m:.12g}")))
    return _ringer(body, long_m, spec.floor.material, spec.floor.damping, request)


def _struck(ringer: Ringer, index: int, local: Array, normal: Array) -> tuple[NDArray[np.int64], Array]:
    """The points of the skin nearest to places [n, 3], and how much of each blow along `normal` moves them, [n]."""
    if index == FLOOR:
        spot = local * [1.0, 1.0, 0.0] + [*FLOOR_OFFSET_M, float(ringer.half[2])]
        spot[:, :2] = np.clip(spot[:, :2], -ringer.half[:2], ringer.half[:2])
        along = np.ones(len(local))
    else:
        # A little inwards across the blow: at an edge the face that is struck is then the nearest.
        out = (local * normal).sum(1, keepdims=True) * normal
        spot = local - 0.15 * (local - out)
        along = np.maximum(np.abs(normal[:, 2]), EDGEWISE) if ringer.flat else np.ones(len(local))
    return np.asarray(cKDTree(ringer.points).query(spot)[1], dtype=np.int64), along


def _voice(
    index: int, ringer: Ringer, blows: Blows, start_s: float, lying: NDArray[np.bool_], n_most: int, rate_hz: int
) -> Array:
    """The sound of one body (Pa at a metre), [n], from start_s on."""
    rows, sides = np.nonzero(np.stack([blows.first == index, blows.second == index], axis=1))
    at = np.rint((blows.at_s[rows] - start_s) * rate_hz).astype(np.int64)
    keep = at < n_most
    if keep.sum() > MOST_BLOWS:
        keep &= blows.impulse_n_s[rows] >= np.sort(blows.impulse_n_s[rows][keep])[-MOST_BLOWS]
    rows, sides, at = rows[keep], sides[keep], at[keep]
    if not len(rows) or not len(ringer.partials.frequency_hz):
        return np.zeros(0)
    points, along = _struck(ringer, index, blows.local[rows, sides], blows.local_normal[rows, sides])
    amplitude = strike.amplitudes(ringer.partials, points, blows.impulse_n_s[rows] * along, blows.contact_s[rows])
    floor = float(np.linalg.norm(amplitude, axis=1).max()) * 10 ** (END_DB / 20)
    partials = ringer.partials
    return ring(partials.frequency_hz, partials.decay_per_s, at, amplitude, lying, HELD, floor, n_most, rate_hz)


def _clicks(spec: Scene, blows: Blows, things: Sequence[Thing], start_s: float, rate_hz: int) -> list[Array]:
    """The knocks of all bodies, which are set moving as a whole."""
    if not len(blows.at_s):
        return []
    loud = np.flatnonzero(blows.impulse_n_s >= blows.impulse_n_s.max() * 10 ** (CLICK_DB / 20))
    longest_s = 2 * min(0.2, float(blows.contact_s[loud].max())) + 0.01
    block = np.zeros(round((float(blows.at_s[loud].max()) - start_s + longest_s) * rate_hz))
    gain = 10 ** (spec.click_db / 20)
    for i in loud:
        contact_s = min(float(blows.contact_s[i]), 0.2)
        n = 2 ** int(np.ceil(np.log2((2 * contact_s + 0.005) * rate_hz)))
        wave = np.zeros(n)
        for sign, index in ((-1.0, int(blows.first[i])), (1.0, int(blows.second[i]))):
            if index == FLOOR:
                continue
            thing = things[index]
            volume = float(np.prod(thing.body.extent)) * thing.size_m**3
            mass = thing.solid.mass_kg
            wave += sign * strike.click(mass, mass / volume, float(blows.impulse_n_s[i]), contact_s, rate_hz, n)
        begin = round((float(blows.at_s[i]) - start_s) * rate_hz) - n // 2
        cut = max(0, -begin)
        end = min(len(block), begin + n)
        block[begin + cut : end] += gain * wave[cut : end - begin]
    return [block]


def _rubbed(
    spec: Scene, rubs: Sequence[Rub], ringers: dict[int, Ringer], start_s: float, n_most: int, rate_hz: int,
    rng: np.random.Generator,
) -> list[Array]:  # fmt: skip
    """What sliding and rolling makes of each body of each pair."""
    parts = []
    skip = max(0, round(start_s * rate_hz))
    for rub in rubs:
        if rub.sweep_m_s.max() < STILL_M_S:
            continue
        force = 10 ** (spec.rubbing_db / 20) * surface_noise(rub.force_n, rub.sweep_m_s, FRAME_S, rate_hz, rng)
        force = force[skip : skip + n_most]
        for side, index in enumerate((rub.first, rub.second)):
            ringer = ringers.get(index)
            if ringer is None or not len(ringer.partials.frequency_hz):
                continue
            up = np.array([[0.0, 0.0, 1.0]])
            points, _ = _struck(ringer, index, rub.local[None, side], up)
            gain = ringer.partials.gain[points]
            floor = float(np.linalg.norm(gain)) * 1e-3
            answer = ring(
                ringer.partials.frequency_hz, ringer.partials.decay_per_s * HELD, np.zeros(1, dtype=np.int64), gain,
                np.zeros(1, dtype=bool), 1.0, floor, round(RUB_S * rate_hz), rate_hz,
            )  # fmt: skip
            parts.append(np.asarray(oaconvolve(force, answer / rate_hz)[:n_most]))
    return parts


def _faded(block: Array, rate_hz: int) -> Array:
    """A raised cosine over the last tenth, at most 0.2 s: what still rolls or rings may be cut."""
    n = min(len(block) // 10, rate_hz // 5)
    block[len(block) - n :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, n + 1) / max(n, 1))
    return block
