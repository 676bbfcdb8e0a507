"""The recipe of `scene`: poses from the draw, a rigid-body run, then every body and the floor rings by what hit it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sfxgen.audio import Audio
from sfxgen.draw import Draw
from sfxgen.errors import SfxgenError
from sfxgen.generate.breaking import CRACK_SPEED, Showering, releases, shard_ringers, splinters
from sfxgen.generate.impact import FULL_SCALE_PA, LONGEST_CLICK_S
from sfxgen.generate.poses import Placing, placed
from sfxgen.generate.recipe import Request
from sfxgen.generate.ringers import Ringer, floor_of, ringer_of, voice
from sfxgen.generate.rooms import in_room
from sfxgen.generate.rubbing import STILL_M_S, rubbed
from sfxgen.manifest.materials import constants
from sfxgen.manifest.scene import Scene
from sfxgen.physics import strike
from sfxgen.physics.modal.shapes import Array
from sfxgen.physics.moving.colliders import Ground
from sfxgen.physics.moving.course import Break, Course, Setting, follow
from sfxgen.physics.moving.events import FRAME_S, Blows, Rub, joined
from sfxgen.physics.moving.rigid import Unstable
from sfxgen.physics.moving.things import FLOOR, Thing
from sfxgen.synths.modal import BLOCK

LONGEST_S = 12.0
LEAD_S = 0.01  # what precedes the middle of the first contact
CLICK_DB = -45.0  # knocks softer than this beside the hardest are left out
LEAVING_S = 0.6
SETTLED_S, SETTLING_M_S = 0.06, 0.05
CRACKED_S = 0.001  # how long a body still rings as a whole when it breaks, and that much longer the larger it is
SILENT = 12.0  # times of decay after which nothing is left


def render(spec: Scene, draws: Sequence[Draw], request: Request) -> list[Audio]:
    """One mono take a draw, in pascals at a metre over FULL_SCALE_PA, from the first contact on.

    Each starts from poses of its own; the draw's intensity sets height and speed. A take lasts `request.duration_s`, or
    until all that rings has fallen by END_DB, at most LONGEST_S.
    """
    return [Audio.of(_take(spec, draw, request), request.rate_hz) for draw in draws]


def _take(spec: Scene, draw: Draw, request: Request) -> Array:
    rng = draw.rng()
    rate_hz, longest_s = request.rate_hz, request.duration_s or LONGEST_S
    placing, course = course_of(spec, draw, request, rng)
    lasts_s = spec.longest_s + placing.before_s
    things, blows, rubs = course.things, course.blows, list(course.rubs)
    if course.ends_s > lasts_s - 0.01:
        blows, rubs = _leaving(blows, rubs, lasts_s)
    blows = joined([_settled(blows), *(releases(broken, things, rng) for broken in course.breaks)])
    start_s = _start_s(blows, rubs) - LEAD_S
    if not request.duration_s and course.ends_s > start_s + LONGEST_S:
        request.warn(f"its bodies move on after {LONGEST_S:g} s, where it ends; to hear more, write duration_s")
    n_most = round(longest_s * rate_hz)
    skip = round(start_s * rate_hz / BLOCK)
    ringers = _ringers(spec, placing, course, request, rng)
    ends_s = {broken.index: broken.at_s - start_s for broken in course.breaks}
    parts = []
    for i, ringer in ringers.items():
        lying = np.zeros(1, dtype=bool) if i == FLOOR else np.roll(course.lying[i], -skip)
        wave = voice(i, ringer, blows, start_s, lying, n_most, rate_hz)
        parts.append(_cracked(wave, ends_s[i], things[i], rate_hz) if i in ends_s else wave)
    for broken in course.breaks:
        showering = Showering(spec.floor.material, _damping(spec, placing, broken), start_s, n_most)
        parts += splinters(broken, things, showering, request, rng)
    parts += _clicks(spec, blows, things, start_s, rate_hz)
    parts += rubbed(spec, rubs, things, ringers, start_s, n_most, rate_hz, rng)
    natural = min(n_most, max((len(part) for part in parts), default=0))
    block = np.zeros(round(request.duration_s * rate_hz) if request.duration_s else max(natural, rate_hz // 20))
    for part in parts:
        n = min(len(part), len(block))
        block[:n] += part[:n]
    return _faded(_in_room(block / FULL_SCALE_PA, spec, request), rate_hz)


def _in_room(block: Array, spec: Scene, request: Request) -> Array:
    """With what its room adds, within the length that was asked for."""
    if not spec.room:
        return block
    return in_room(block, spec.room, request.rate_hz)[: len(block) if request.duration_s else None]


def course_of(spec: Scene, draw: Draw, request: Request, rng: np.random.Generator) -> tuple[Placing, Course]:
    """Where the bodies of one take begin and what happens to them. rng: the draw's. Raises SfxgenError."""
    placing = placed(spec, draw, rng, request)
    lasts_s, frame_s = spec.longest_s + placing.before_s, BLOCK / request.rate_hz
    ahead_m = max(float(thing.place[0]) + thing.reach_m for thing in placing.things)
    ground = Ground(spec.floor.material, spec.slope_deg, spec.floor.bounce, ahead_m + spec.slope_m)
    edges_m = [placing.kinds[k].edge_m for k in placing.kind]
    try:
        return placing, follow(
            placing.things, Setting(ground, lasts_s, frame_s, edges_m, placing.fragile, placing.struck), rng
        )
    except Unstable:
        raise SfxgenError(
            "the bodies of this scene cannot be followed: they gain energy, however little they bounce; "
            "make them less thin or less unequal in mass, or lower height_m"
        ) from None


def _ringers(
    spec: Scene, placing: Placing, course: Course, request: Request, rng: np.random.Generator
) -> dict[int, Ringer]:
    """Thing, or FLOOR → what rings of it."""
    lines = [ringer_of(kind, line.damping, request.rate_hz)
             for kind, line in zip(placing.kinds, spec.bodies, strict=True)]  # fmt: skip
    found = {i: lines[k] for i, k in enumerate(placing.kind)}
    floor = floor_of(spec, request)
    if floor is not None:
        found[FLOOR] = floor
    for broken in course.breaks:
        material = course.things[broken.index].material
        found |= shard_ringers(broken, material, _damping(spec, placing, broken), request, rng)
    return found


def _damping(spec: Scene, placing: Placing, broken: Break) -> float:
    return spec.bodies[placing.kind[broken.index]].damping


def _cracked(wave: Array, at_s: float, thing: Thing, rate_hz: int) -> Array:
    """A body's ringing, which ends as cracks run through it."""
    length_m = max(thing.body.extent) * thing.size_m
    over_s = CRACKED_S + 3 * length_m / (CRACK_SPEED * constants(thing.material).bar_speed_m_s)
    begin = max(0, round(at_s * rate_hz))
    wave = wave[: begin + round(SILENT * over_s * rate_hz)]
    wave[begin:] *= np.exp(-np.arange(max(0, len(wave) - begin)) / (over_s * rate_hz))
    return wave


def _leaving(blows: Blows, rubs: Sequence[Rub], lasts_s: float) -> tuple[Blows, list[Rub]]:
    """What still moves when it is no longer followed goes softly: forces fade over the last LEAVING_S."""

    def gain(at_s: Array) -> Array:
        left: Array = np.clip((lasts_s - at_s) / LEAVING_S, 0.0, 1.0)
        return np.asarray(np.sin(np.pi / 2 * left) ** 2, dtype=np.float64)

    softer = replace(blows, impulse_n_s=np.asarray(blows.impulse_n_s * gain(blows.at_s)))
    frames = np.arange(max((rub.begin + len(rub.force_n) for rub in rubs), default=0), dtype=np.float64)
    fade = gain(np.asarray(FRAME_S * frames))
    return softer, [
        replace(rub, force_n=np.asarray(rub.force_n * fade[rub.begin : rub.begin + len(rub.force_n)])) for rub in rubs
    ]


def _settled(blows: Blows) -> Blows:
    """Without those by which what stands at the start comes to bear on the floor."""
    real = blows.approach_m_s > SETTLING_M_S
    first_s = float(blows.at_s[real][0]) if real.any() else 0.0
    return blows.where(real | (blows.at_s > max(SETTLED_S, first_s)))


def _start_s(blows: Blows, rubs: Sequence[Rub]) -> float:
    """When the first thing is heard."""
    before = np.maximum(np.minimum(blows.contact_s, LONGEST_CLICK_S) - LEAD_S, 0.0) / 2  # of what is huge or soft
    begins = [float((blows.at_s - before).min())] if len(blows.at_s) else []
    begins += [
        FRAME_S * (rub.begin + int(np.argmax(rub.sweep_m_s > STILL_M_S)))
        for rub in rubs
        if (rub.sweep_m_s > STILL_M_S).any()
    ]
    return min(begins, default=LEAD_S)


def _clicks(spec: Scene, blows: Blows, things: Sequence[Thing], start_s: float, rate_hz: int) -> list[Array]:
    """The knocks of all bodies, which are set moving as a whole."""
    if not len(blows.at_s):
        return []
    loud = np.flatnonzero(blows.impulse_n_s >= blows.impulse_n_s.max() * 10 ** (CLICK_DB / 20))
    longest_s = 2 * min(LONGEST_CLICK_S, float(blows.contact_s[loud].max())) + 0.01
    block = np.zeros(round((float(blows.at_s[loud].max()) - start_s + longest_s) * rate_hz))
    gain = 10 ** (spec.click_db / 20)
    for i in loud:
        contact_s = min(float(blows.contact_s[i]), LONGEST_CLICK_S)
        n = 2 ** int(np.ceil(np.log2((2 * contact_s + 0.005) * rate_hz)))
        wave = np.zeros(n)
        for sign, index in ((-1.0, int(blows.first[i])), (1.0, int(blows.second[i]))):
            if index < 0:
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


def _faded(block: Array, rate_hz: int) -> Array:
    """A raised cosine over the last tenth, at most 0.2 s: what still rolls or rings may be cut."""
    n = min(len(block) // 10, rate_hz // 5)
    block[len(block) - n :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, n + 1) / max(n, 1))
    return block
