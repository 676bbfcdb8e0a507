"""The recipe of `impact`: one solve of the body, then each variation is another blow on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from sfxgen.audio import Audio
from sfxgen.draw import Draw
from sfxgen.errors import SfxgenError
from sfxgen.generate.objects import other_materials, solved
from sfxgen.generate.recipe import Request
from sfxgen.generate.rooms import in_room
from sfxgen.manifest.excitation import Contacts
from sfxgen.manifest.impact import Impact, Mode, Tuning
from sfxgen.manifest.materials import constants, kin
from sfxgen.physics import strike
from sfxgen.physics.air.field import Field
from sfxgen.physics.contact import Contact
from sfxgen.physics.meshing.distance import winding_at
from sfxgen.physics.modal.shapes import Array
from sfxgen.physics.soft_contact import SoftContact, touching
from sfxgen.physics.strike import HIGHEST_HZ, LISTENER_M, LOWEST_HZ, Hearing, Partials
from sfxgen.synths.modal import ModalSynth

FULL_SCALE_PA = 200.0  # the pressure, a metre away, that is 1.0: 140 dB peak, a hammer on an anvil
END_DB = -70.0  # a take ends where its ringing has fallen this far
LONGEST_S = 12.0
LONGEST_CLICK_S = 0.2
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

    A take lasts `request.duration_s`, or until each blow has rung down by END_DB, at most LONGEST_S after the last.
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
    found = solved(spec.object, request, has_field=spec.radiation == "field")
    others = other_materials(spec.object)
    bodies = []
    for scale in scales:
        size_m, body = found.size_m * float(scale), found.body
        hearing = heard(spec, found.field, size_m) if found.field else None
        partials = strike.partials(found.modes, body, size_m, material, spec.damping, request.rate_hz, hearing, others)
        partials = tuned(partials, spec.tuning, request.rate_hz)
        sides = (spec.striker.radius_m, body.curvature / size_m, spec.striker.mass_kg, partials.mass_kg)
        bodies.append((partials, touching(kin(spec.striker.material), striker, material, *sides)))
    return bodies


def heard(spec: Impact, field: Field, size_m: float) -> Hearing:
    """How the body's modes are heard. Raises SfxgenError for a listener within the body, or too near to its skin."""
    if spec.listener_m and len(field.corners):
        place = np.array(spec.listener_m) / size_m
        away_m = float(np.linalg.norm(field.corners.mean(axis=1) - place, axis=1).min()) * size_m
        within = not field.is_sheet and float(winding_at(place[None], field.corners)[0]) > 0.5
        if within or away_m < field.nearest * size_m:
            where = "inside of the body" if within else f"{1000 * away_m:.2g} mm from the skin of the body"
            least = f"{1000 * field.nearest * size_m:.2g} mm"
            raise SfxgenError(
                f"impact.listener_m is [{', '.join(f'{at:g}' for at in spec.listener_m)}], {where}; "
                f"expected a place at least {least} off its skin: nearer its field is not known"
            )
    return Hearing(field, spec.listener_m)


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
    longest_s = request.duration_s or LONGEST_S
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
    level = 10 ** (spec.click_db / 20) / FULL_SCALE_PA / (partials.distance_m / LISTENER_M)
    return np.asarray(level * (waves[0] - waves[1]))


def _add(block: Array, start: int, wave: NDArray[np.floating]) -> None:
    room = max(0, min(len(wave), len(block) - start))
    block[start : start + room] += wave[:room]


def _faded(block: Array, rate_hz: int) -> Array:
    """A raised cosine over the last tenth, at most 0.2 s: a length that the manifest sets may cut the ringing."""
    n = min(len(block) // 10, rate_hz // 5)
    block[len(block) - n :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, n + 1) / max(n, 1))
    return block
