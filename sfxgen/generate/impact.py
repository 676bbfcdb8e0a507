"""The recipe of `impact`: one solve of the body, then each variation is another blow on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from sfxgen.audio import Audio
from sfxgen.draw import Draw
from sfxgen.errors import SfxgenError
from sfxgen.generate.recipe import Request
from sfxgen.generate.rooms import in_room
from sfxgen.manifest.excitation import Contacts
from sfxgen.manifest.impact import AnyBody, FromFile, Impact, Mode, Tuning
from sfxgen.manifest.materials import Material, constants, kin
from sfxgen.physics import solids, strike
from sfxgen.physics.air import field
from sfxgen.physics.air.field import Field
from sfxgen.physics.contact import Contact
from sfxgen.physics.meshing.meshes import read_surface, scaled_m
from sfxgen.physics.meshing.tetrahedra import USUAL_DOFS
from sfxgen.physics.modal import modes as modal_analysis
from sfxgen.physics.modal.families import ModeFamily, Modes
from sfxgen.physics.modal.mixtures import Ingredient
from sfxgen.physics.modal.modes import N_MODES
from sfxgen.physics.modal.shapes import Array, Body
from sfxgen.physics.soft_contact import SoftContact, touching
from sfxgen.physics.strike import HIGHEST_HZ, LOWEST_HZ, Hearing, Partials
from sfxgen.synths.modal import ModalSynth

FULL_SCALE_PA = 200.0  # the pressure, a metre away, that is 1.0: 140 dB peak, a hammer on an anvil
END_DB = -70.0  # a take ends where its ringing has fallen this far
LONGEST_S = 12.0
LONGEST_CLICK_S = 0.2
MOST_MODES = 320
TINY = 1e-12  # keeps divisions and logarithms finite


@dataclass(frozen=True)
class Blow:
    """One contact: when, where on the skin, how hard and how long; α of its pulse sin^α, and how fast."""

    at_s: float
    point: int
    impulse_n_s: float
    contact_s: float
    exponent: float = 1.5
    speed_m_s: float = 0.0


def render(spec: Impact, draws: Sequence[Draw], request: Request) -> list[Audio]:
    """One mono take a draw, in pascals at a metre over FULL_SCALE_PA: harder takes are louder and brighter.

    A take lasts `request.duration_s`, or until each blow has rung down by END_DB, at most LONGEST_S.
    """
    if spec.contacts or spec.friction:
        from sfxgen.generate import contacts, friction  # which are made of what is here

        dry = [
            friction.take(spec, spec.friction, draw, request)
            if spec.friction
            else contacts.take(spec, spec.contacts or Contacts(), draw, request)
            for draw in draws
        ]
        return [Audio.of(_finished(spec, block, request), request.rate_hz) for block in dry]
    partials, contact = struck(spec, request)
    takes = [_blows(spec, contact, partials, draw) for draw in draws]
    return [Audio.of(_take(spec, partials, blows, request), request.rate_hz) for blows in takes]


def struck(spec: Impact, request: Request) -> tuple[Partials, Contact | SoftContact]:
    """The body's partials, tuned as the spec says, and how striker and body touch."""
    return struck_bodies(spec, request, (1.0,))[0]


def struck_bodies(
    spec: Impact, request: Request, scales: Sequence[float] | Array
) -> list[tuple[Partials, Contact | SoftContact]]:
    """As `struck`, of bodies alike whose sizes are that of the object times scales: one solve serves all."""
    material, striker = constants(spec.object.material), constants(spec.striker.material)
    modes, body, whole_m = solved(spec.object, material, request)
    hearing = heard(spec, request)
    bodies = []
    for scale in scales:
        size_m = whole_m * float(scale)
        partials = strike.partials(
            modes, body, size_m, material, spec.damping, request.rate_hz, hearing, other_materials(spec.object)
        )
        partials = tuned(partials, spec.tuning, request.rate_hz)
        sides = (spec.striker.radius_m, body.curvature / size_m, spec.striker.mass_kg, partials.mass_kg)
        bodies.append((partials, touching(kin(spec.striker.material), striker, material, *sides)))
    return bodies


def heard(spec: Impact, request: Request) -> Hearing | None:
    """How the body's modes are heard; None: by the quick law. Raises SfxgenError for a listener within a mesh."""
    if spec.radiation == "quick":
        return None
    if spec.listener_m and isinstance(spec.object, FromFile):
        _check_outside(spec.object, spec.listener_m, request)
    return Hearing(field_of(spec.object, request), spec.listener_m)


def _check_outside(item: FromFile, listener_m: tuple[float, float, float], request: Request) -> None:
    surface = read_surface(request.root / item.file, item.file)
    scale = scaled_m(float(surface.extent.max()), item.file, item.unit, item.size_m)[0] / float(surface.extent.max())
    low, high = surface.points.min(axis=0) * scale, surface.points.max(axis=0) * scale
    if ((low <= listener_m) & (listener_m <= high)).all():
        box = ", ".join(f"{a:.3g} to {b:.3g}" for a, b in zip(low, high, strict=True))
        place = ", ".join(f"{at:g}" for at in listener_m)
        raise SfxgenError(
            f"impact.listener_m is [{place}], inside of {item.file}; expected a place (m) beyond its box, {box}"
        )


def field_of(item: AnyBody, request: Request) -> Field:
    """The sound field of the object's modes, from the cache where it is known: one serves every size."""
    material = constants(item.material)
    ratio = float(f"{material.bar_speed_m_s / strike.SOUND_SPEED_M_S:.9g}")
    if isinstance(item, FromFile):
        of_modes = solids.key(source_of(item, request), material.poisson, panels=True)
    else:
        of_modes = modal_analysis.key(body_of(item), material.poisson, panels=True)
    reach = () if item.exact_hz is None else (item.exact_hz, item.size_m)
    key = f"field-{field.VERSION}/{of_modes}/{material.poisson!r}/{ratio!r}/{reach}"

    def solve() -> bytes:
        modes, _, _ = solved(item, material, request, panels=True)
        return field.field(modes, ratio, request.tell).to_bytes()

    return Field.from_bytes(request.cached(key, solve))


def source_of(item: FromFile, request: Request) -> solids.Source:
    own, others = constants(item.material), []
    for name, other in item.materials.items():
        material = constants(other)
        stiffness, density = material.youngs_pa / own.youngs_pa, material.density_kg_m3 / own.density_kg_m3
        others.append((name, Ingredient(float(f"{stiffness:.9g}"), float(f"{density:.9g}"), material.poisson)))
    apart = item.parts == "apart"
    return solids.Source(
        request.root / item.file, item.file, item.wall_m, item.unit, item.size_m, tuple(others), apart, item.mesher
    )


def other_materials(item: AnyBody) -> tuple[Material, ...]:
    """Of the parts that are not of the body's own, in the order of the manifest."""
    return tuple(constants(other) for other in item.materials.values()) if isinstance(item, FromFile) else ()


def solved(item: AnyBody, material: Material, request: Request, panels: bool = False) -> tuple[Modes, Body, float]:
    """The modes of the object's proportions, from the cache where they are known, and its first size (m): N_MODES, or
    so many more that they reach `exact_hz`."""
    n_modes = N_MODES
    while True:
        modes, body, size_m = _solved(item, material, request, panels, n_modes)
        reached_hz = float(modes.omega[-1]) * material.bar_speed_m_s / size_m / (2 * np.pi)
        if item.exact_hz is None or reached_hz >= item.exact_hz:
            return modes, body, size_m
        if n_modes == MOST_MODES:
            request.warn(
                f"the object's modes are solved up to {reached_hz:,.0f} Hz, not to the {item.exact_hz:,.0f} of "
                f"exact_hz: there are more than {MOST_MODES} of them"
            )
            return modes, body, size_m
        n_modes = min(MOST_MODES, 2 * n_modes)


def _solved(
    item: AnyBody, material: Material, request: Request, panels: bool, n_modes: int
) -> tuple[Modes, Body, float]:
    """As `solved`; more modes take finer meshes."""
    poisson, finer = material.poisson, math.sqrt(n_modes / N_MODES)
    if isinstance(item, FromFile):
        source, dofs = source_of(item, request), round(USUAL_DOFS * finer)
        key = solids.key(source, poisson, panels, n_modes, dofs)
        data = request.cached(
            key, lambda: solids.solve(source, poisson, n_modes, dofs, panels, request.tell).to_bytes()
        )
        found = solids.Found.from_bytes(data)
        size_m, notes = scaled_m(found.longest, item.file, item.unit, item.size_m)
        for note in (*found.notes, *notes):
            request.warn(note)
        return found.family.at(poisson), found.body, size_m
    body = replace(body_of(item), fineness=float(f"{finer:.6g}"))
    key = modal_analysis.key(body, poisson, panels, n_modes)
    data = request.cached(key, lambda: modal_analysis.family(body, poisson, n_modes, panels).to_bytes())
    return ModeFamily.from_bytes(data).at(poisson), body, item.size_m[0]


def tuned(partials: Partials, tuning: Tuning, rate_hz: int) -> Partials:
    """The partials moved as `tuning` says; those that leave the range of hearing are gone."""
    if tuning == Tuning():
        return partials
    n = len(partials.frequency_hz)
    own = [*tuning.modes, *[Mode()] * max(0, n - len(tuning.modes))][:n]
    semitones = tuning.semitones + np.array([mode.semitones for mode in own])
    ring = tuning.ring * np.array([mode.ring for mode in own])
    frequency_hz = partials.frequency_hz * 2.0 ** (semitones / 12.0)
    heard = (frequency_hz >= LOWEST_HZ) & (frequency_hz <= min(HIGHEST_HZ, 0.45 * rate_hz))
    return replace(
        partials,
        frequency_hz=frequency_hz[heard],
        decay_per_s=(partials.decay_per_s / ring)[heard],
        gain=partials.gain[:, heard],
    )


def body_of(item: AnyBody) -> Body:
    """The proportions of a manifest's object. Twelve digits: equal ones share a solve whatever the rounding."""
    if isinstance(item, FromFile):
        raise ValueError("a mesh has no proportions of its own; see `solids`")
    first, *rest = item.size_m
    ratios = (1.0, *(float(f"{side / first:.12g}") for side in rest))
    return Body(item.shape, ratios, float(f"{getattr(item, 'wall_m', 0.0) / first:.12g}"))


def body_struck(spec: Impact, request: Request) -> tuple[Partials, list[Blow]]:
    """The partials, and the blows of a take in the middle of all ranges, without their spread."""
    partials, contact = struck(spec, request)
    steady = spec.model_copy(update={"bounces": spec.bounces.model_copy(update={"spread": 0.0})})
    return partials, _blows(steady, contact, partials, Draw(0, (0.5, 0.5)))


def clicks(spec: Impact, blows: Sequence[Blow], partials: Partials, rate_hz: int) -> list[Array]:
    """The knock of each blow, its middle in its own middle."""
    return [_click(spec, blow, partials, rate_hz) for blow in blows]


def _blows(spec: Impact, contact: Contact | SoftContact, partials: Partials, draw: Draw) -> list[Blow]:
    rng = draw.rng()
    points, share = strike.hit_area(partials, spec.hit)
    low, high = spec.speed_m_s
    speed = low * (high / low) ** rng.uniform(*draw.intensity)
    interval = spec.bounces.first_s * speed / high  # a ball thrown up at v returns after 2 v / g
    blows, at = [], 0.0
    for _ in range(spec.bounces.count + 1):
        impulse = float(contact.impulse_n_s(np.array(speed), spec.bounces.restitution))
        contact_s = spec.tuning.contact * float(contact.duration_s(np.array(speed)))
        blows.append(Blow(at, int(rng.choice(points, p=share)), impulse, contact_s, contact.exponent, speed))
        at += interval * (1 + spec.bounces.spread * rng.uniform(-1, 1))
        speed *= spec.bounces.restitution * (1 + spec.bounces.spread * rng.uniform(-1, 1))
        interval *= spec.bounces.restitution
    return blows


def _take(spec: Impact, partials: Partials, blows: Sequence[Blow], request: Request) -> Array:
    """The samples of one take. It is made alone, so that adding a variation changes no byte of the others."""
    rate_hz = request.rate_hz
    knocks = clicks(spec, blows, partials, rate_hz)
    lead = max(len(wave) for wave in knocks) // 2  # what precedes the middle of the first contact
    starts = [round(blow.at_s * rate_hz) for blow in blows]
    longest_s = min(LONGEST_S, request.duration_s or LONGEST_S)
    ringing = _ringing(partials, _amplitudes(spec, partials, blows), starts, round(longest_s * rate_hz), rate_hz)
    natural = lead + max(len(ringing), starts[-1] + lead)
    block = np.zeros(round(request.duration_s * rate_hz) if request.duration_s else natural)
    _add(block, lead, ringing)
    for start, wave in zip(starts, knocks, strict=True):
        _add(block, lead + start - len(wave) // 2, wave)
    return _finished(spec, block, request)


def _finished(spec: Impact, block: Array, request: Request) -> Array:
    """In its room; with its end faded, or as one period of a loop."""
    n_frames = len(block)
    if spec.listener_m:
        block = block / math.hypot(*spec.listener_m)  # pascals at a metre until here
    if spec.room:
        block = in_room(block, spec.room, request.rate_hz)
        if request.loop:  # what rings on after the end rings in the next round
            block = np.pad(block, (0, -len(block) % n_frames)).reshape(-1, n_frames).sum(axis=0)
    if request.loop:
        return block
    return _faded(block[: n_frames if request.duration_s else None], request.rate_hz)


def _ringing(partials: Partials, amplitude: Array, starts: Sequence[int], n_most: int, rate_hz: int) -> Array:
    """The body's sound from the first blow on: each blow adds to the motion that the earlier ones have left.

    amplitude: [blows, modes]; starts: the frame of each blow, ascending from 0. It ends where the motion has fallen
    by END_DB from the hardest blow, at most n_most frames after the last blow.
    """
    s = -partials.decay_per_s + 2j * np.pi * partials.frequency_hz
    state, pieces = np.zeros(len(s), dtype=np.complex128), []
    floor = max(TINY, float(np.linalg.norm(amplitude, axis=1).max(initial=0)) * 10 ** (END_DB / 20))
    for i, start in enumerate(starts):
        state = state + amplitude[i]
        if i + 1 < len(starts):
            n = starts[i + 1] - start
        else:
            needed_s = np.log(np.maximum(np.abs(state), floor) / floor) / partials.decay_per_s
            n = min(int(np.ceil(needed_s.max(initial=0) * rate_hz)), n_most)
        pieces.append(_free_motion(partials, state, n, rate_hz))
        state = state * np.exp(s * n / rate_hz)
    return np.concatenate(pieces)


def _free_motion(partials: Partials, state: NDArray[np.complex128], n_frames: int, rate_hz: int) -> Array:
    """Σ Im(state e^{st}) over the modes, [n_frames]."""
    parts = (partials.frequency_hz, partials.decay_per_s, np.abs(state)[None], np.angle(state)[None])
    frequency_hz, decay_per_s, amplitude, phase = (torch.from_numpy(part) for part in parts)
    with torch.inference_mode():
        sound = ModalSynth(frequency_hz, decay_per_s, amplitude, rate_hz, phase)(n_frames)
    return np.asarray(sound[0].numpy(), dtype=np.float64)


def _amplitudes(spec: Impact, partials: Partials, blows: Sequence[Blow]) -> Array:
    """Amplitude of each partial after each blow, relative to full scale, [blows, modes].

    Where a blow lands sets its timbre, not its energy, which is the mean over all places that `hit` allows: a set
    then grows louder with speed alone, and no take is lost because it fell near a node.
    """
    points = np.array([blow.point for blow in blows])
    impulses, contacts = np.array([blow.impulse_n_s for blow in blows]), np.array([blow.contact_s for blow in blows])
    exponent = blows[0].exponent
    amplitude = strike.amplitudes(partials, points, impulses, contacts, exponent)
    wanted = strike.mean_energy(partials, spec.hit, impulses, contacts, exponent)
    own = np.maximum(strike.energy(partials, amplitude), TINY)
    return np.asarray(amplitude * (np.sqrt(wanted / own) / FULL_SCALE_PA)[:, None])


def _click(spec: Impact, blow: Blow, partials: Partials, rate_hz: int) -> Array:
    """The knock of the two bodies as a whole, which move apart: their fields have opposite signs."""
    n = 2 ** int(np.ceil(np.log2((2 * min(blow.contact_s, LONGEST_CLICK_S) + 0.005) * rate_hz)))
    sides = (
        (spec.striker.mass_kg, constants(spec.striker.material).density_kg_m3),
        (partials.mass_kg, constants(spec.object.material).density_kg_m3),
    )
    waves = [strike.click(*side, blow.impulse_n_s, blow.contact_s, rate_hz, n, blow.exponent) for side in sides]
    return np.asarray(10 ** (spec.click_db / 20) / FULL_SCALE_PA * (waves[0] - waves[1]))


def _add(block: Array, start: int, wave: NDArray[np.floating]) -> None:
    room = max(0, min(len(wave), len(block) - start))
    block[start : start + room] += wave[:room]


def _faded(block: Array, rate_hz: int) -> Array:
    """A raised cosine over the last tenth, at most 0.2 s: a length that the manifest sets may cut the ringing."""
    n = min(len(block) // 10, rate_hz // 5)
    block[len(block) - n :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, n + 1) / max(n, 1))
    return block
