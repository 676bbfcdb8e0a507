"""`impact:` with `contacts:`: each blow becomes a shower of small ones, on several bodies.

Collisions as in Cook, "Physically Informed Sonic Modeling (PhISM)" (1997): independent, fewer and weaker as energy is
lost; here each is a blow of the modal model with its own place, speed and body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sfxgen.draw import Draw
from sfxgen.generate.impact import END_DB, LONGEST_S, TINY, Blow, _add, _amplitudes, _blows, _click, struck_bodies
from sfxgen.generate.recipe import Request
from sfxgen.manifest.excitation import Contacts
from sfxgen.manifest.impact import Impact
from sfxgen.physics import strike
from sfxgen.physics.contact import Contact
from sfxgen.physics.modal.shapes import Array
from sfxgen.physics.soft_contact import SoftContact
from sfxgen.physics.strike import Partials
from sfxgen.synths.often import left_ringing, ring_often

DYING = 3.0  # the first contacts of `dying` come e³ times as densely as the last
MEAN_ENERGY = 0.2  # of the exponential law, the strongest 1
CLICKS_AN_OCTAVE = 12  # durations of contact whose knocks are told apart


@dataclass(frozen=True)
class Shower:
    """Contacts of one take, [n] each: when (s, ascending from 0), their energies (the strongest 1) and bodies."""

    at_s: Array
    energy: Array
    body: NDArray[np.int64]


def take(spec: Impact, contacts: Contacts, draw: Draw, request: Request) -> Array:
    """The samples of one take, without its room, [frames]."""
    rng = np.random.Generator(np.random.PCG64([draw.seed, 1]))
    bodies = struck_bodies(spec, request, sizes(contacts, rng))
    blows = _blows(spec, bodies[0][1], bodies[0][0], draw)
    drawn = [shower(contacts, rng) for _ in blows]
    at_s = np.concatenate([blow.at_s + one.at_s for blow, one in zip(blows, drawn, strict=True)])
    speed = np.concatenate([b.speed_m_s * np.sqrt(one.energy) for b, one in zip(blows, drawn, strict=True)])
    which = np.concatenate([one.body for one in drawn])
    layers = []
    for number, (partials, contact) in enumerate(bodies):
        mine = which == number
        if mine.any():
            own = _body_blows(spec, partials, contact, at_s[mine], speed[mine], rng)
            layers.append(_sound(spec, partials, own, request))
    lead = max(before for before, _ in layers)
    block = np.zeros(max(lead - before + len(layer) for before, layer in layers))
    for before, layer in layers:
        _add(block, lead - before, layer)
    if request.duration_s:
        wanted = np.zeros(round(request.duration_s * request.rate_hz))
        _add(wanted, 0, block)
        return wanted
    return block


def sizes(contacts: Contacts, rng: np.random.Generator) -> Array:
    """Of the bodies, times the object's: spread evenly over the range in logarithm, each a little off its place."""
    low, high = np.log(contacts.size)
    places = (np.arange(contacts.bodies) + rng.uniform(size=contacts.bodies)) / contacts.bodies
    return np.asarray(np.exp(low + (high - low) * rng.permutation(places)))


def shower(contacts: Contacts, rng: np.random.Generator) -> Shower:
    """What one blow becomes; its first contact is the blow itself, at 0 and with all its energy."""
    low, high = contacts.count
    n = int(rng.integers(round(low), round(high) + 1))
    u = np.sort(rng.uniform(size=n - 1))
    if contacts.course == "dying":  # the inverse of the distribution 1 - e^{-kx}, cut at 1
        u = -np.log1p(-u * -np.expm1(-DYING)) / DYING
    energy = energies(contacts, rng, n - 1) * 10 ** (-contacts.fade_db / 10 * u)
    body = rng.integers(contacts.bodies, size=n)
    at_s = np.concatenate([[0.0], u * contacts.spread_s])
    return Shower(at_s, np.concatenate([[1.0], energy]), body)


def energies(contacts: Contacts, rng: np.random.Generator, n: int) -> Array:
    """n energies from 10^(-range_db / 10) to 1, by the inverse of the law's distribution."""
    u, least = rng.uniform(size=n), 10 ** (-contacts.range_db / 10)
    if contacts.energies == "exponential":
        first, last = (np.exp(-e / MEAN_ENERGY) for e in (least, 1.0))
        return np.asarray(-MEAN_ENERGY * np.log(first + u * (last - first)))
    power = 1 - contacts.exponent
    return np.asarray((least**power + u * (1 - least**power)) ** (1 / power))


def _body_blows(
    spec: Impact,
    partials: Partials,
    contact: Contact | SoftContact,
    at_s: Array,
    speed: Array,
    rng: np.random.Generator,
) -> list[Blow]:
    points, share = strike.hit_area(partials, spec.hit)
    places = rng.choice(points, size=len(at_s), p=share)
    impulse = contact.impulse_n_s(speed, spec.bounces.restitution)
    contact_s = spec.tuning.contact * contact.duration_s(speed)
    rows = zip(at_s, places, impulse, contact_s, strict=True)
    return [Blow(float(t), int(p), float(i), float(c), contact.exponent) for t, p, i, c in rows]


def _sound(spec: Impact, partials: Partials, blows: Sequence[Blow], request: Request) -> tuple[int, Array]:
    """One body's contacts, until all has fallen by END_DB or LONGEST_S after the last, and the frame that is its time
    0."""
    rate_hz = request.rate_hz
    amplitude = _amplitudes(spec, partials, blows)
    at = np.array([round(blow.at_s * rate_hz) for blow in blows])
    bank = (partials.frequency_hz, partials.decay_per_s, amplitude, at)
    floor = max(TINY, float(np.linalg.norm(amplitude, axis=1).max(initial=0)) * 10 ** (END_DB / 20))
    swing = np.maximum(left_ringing(*bank, rate_hz), floor)
    needed_s = float((np.log(swing / floor) / partials.decay_per_s).max(initial=0))
    n_frames = int(at.max()) + int(np.ceil(min(needed_s, LONGEST_S) * rate_hz)) + 1
    if request.duration_s:
        n_frames = min(n_frames, round(request.duration_s * rate_hz))
    return _with_clicks(spec, partials, blows, at, ring_often(*bank, n_frames, rate_hz), rate_hz)


def _with_clicks(
    spec: Impact, partials: Partials, blows: Sequence[Blow], at: NDArray[np.int64], ringing: Array, rate_hz: int
) -> tuple[int, Array]:
    """With the knock of each contact, and the frame that is time 0. Knocks of nearly one duration are one wave."""
    steps = [round(CLICKS_AN_OCTAVE * np.log2(blow.contact_s)) for blow in blows]
    waves = {
        step: _click(
            spec, replace(blows[0], impulse_n_s=1.0, contact_s=2 ** (step / CLICKS_AN_OCTAVE)), partials, rate_hz
        )
        for step in dict.fromkeys(steps)
    }
    lead = max(len(wave) for wave in waves.values()) // 2
    block = np.zeros(lead + max(len(ringing), int(at.max()) + lead))
    _add(block, lead, ringing)
    for blow, start, step in zip(blows, at, steps, strict=True):
        wave = waves[step]
        _add(block, lead + int(start) - len(wave) // 2, blow.impulse_n_s * wave)
    return lead, block
