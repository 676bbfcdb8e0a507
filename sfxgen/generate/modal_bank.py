"""A struck body as a bank of modes, from which a game rings it itself: `runtime: modal`.

The bank holds what `impact` knows of the body, in numbers that no sample rate is in. A blow at speed v (m/s) and
place p (0 middle … 1 end, edge or rim) is worked out by a player (`export/players/`) as `impact` does it:

    J = impulse_kg v,  t_c = contact_s v^contact_exponent,  F_m = F(2π f_m t_c)      (physics.contact.rough_spectrum)
    g_m = gain of mode m at p, in proportion between the two nearest of the `regions` places 0, 1/(R-1), … 1
    a_m = J F_m g_m √(Σ (F ḡ)² h / Σ (F g)² h),  h_m = (1 - e^{-2 d_m T}) / (4 d_m),  T = heard_s
    y(t) = Σ a_m e^{-d_m t} sin(2π f_m t) from the middle of the contact on

and the knock of the two bodies is Σ_i click_gain_i (force * h_i)(t), h(t) = e^{-t/τ} (cos(t/τ) - sin(t/τ)), the answer
of a rigid sphere of radius c τ in closed form (the spectrum of `strike.click`), to a force J sin^{3/2}(π t / t_c).
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfxgen.generate.impact import FULL_SCALE_PA, LONGEST_CLICK_S, struck
from sfxgen.generate.recipe import Request
from sfxgen.manifest.impact import Impact
from sfxgen.manifest.materials import constants
from sfxgen.physics.air import SOUND_SPEED_M_S
from sfxgen.physics.contact import SPOTS_ACROSS, rough_spectrum
from sfxgen.physics.modal.shapes import Array
from sfxgen.physics.soft_contact import spread_of_sine
from sfxgen.physics.strike import AIR_IMPEDANCE, HEARD_S, Partials, hit_area

FORMAT, VERSION = "sfxgen-modal", 1  # raise where an old player would misread a bank; players check both
N_REGIONS = 8
MOST_MODES = 128
FAINT_DB = -60.0  # a mode below this, beside the whole blow, is left out
NEAR = 0.02  # points of the skin this much farther from a region's place than the nearest one may stand for it
AT_NODE = 1e-6  # of a mode's largest gain: less is rounding, which differs between processors
PULSE_EXPONENT = 1.5  # of the force that players know, J sin^{3/2}
TINY = 1e-30


def modal_bank(name: str, spec: Impact, request: Request, gain_db: float) -> dict[str, Any]:
    """The bank of a sound, plain numbers and flat lists (Unity's JsonUtility reads nothing else).

    gain_db: what mastering gave the sound's files (dB); it is in the gains, so that a blow has the level of the WAV.
    Modes come loudest first: a player that can afford n of them takes the first n. Bounces and a room are the game's.

    Keys: format, version, name; modes M and regions R; speed_m_s [lowest, highest] and hit [nearest, farthest] of the
    manifest; impulse_kg (momentum passed on, over speed), contact_s (contact time at 1 m/s by the power law),
    contact_exponent, spots (micro-contacts across, see rough_spectrum), heard_s; frequency_hz, decay_per_s, mean_gain
    [M] (ḡ, RMS over the area of `hit`), gain [R M], region by region (1/(N s), of full scale 1.0); click_tau_s,
    click_gain [2] (s, 1/(N s): striker and body), longest_click_s;
    level_db (gain_db).
    """
    partials, touching = struck(spec, request)
    low, high = spec.speed_m_s
    # Neither is a power of the speed where the striker is soft, nor its pulse a sin^{3/2}: right at the middle speed.
    middle, ends_m_s = np.sqrt(low * high), np.array([low, high]) * (1.0 if high > low else [0.9, 1 / 0.9])
    as_hertz = spec.tuning.contact * spread_of_sine(touching.exponent) / spread_of_sine(PULSE_EXPONENT)
    durations = as_hertz * np.asarray(touching.duration_s(np.array([middle, *ends_m_s])), dtype=np.float64)
    exponent = float(np.log(durations[2] / durations[1]) / np.log(ends_m_s[1] / ends_m_s[0]))
    level = 10 ** (gain_db / 20)
    scale = level / FULL_SCALE_PA
    points, share = hit_area(partials, spec.hit)
    mean_gain = np.sqrt(share @ partials.gain[points] ** 2)
    ends = [_weights(partials, duration) for duration in durations[1:]]
    gain = partials.gain[_stations(partials, durations[0])]
    gain = np.where(np.abs(gain) < AT_NODE * np.abs(partials.gain).max(axis=0, initial=0), 0.0, gain)
    kept = _loudest(np.vstack([mean_gain, gain]), ends, partials.frequency_hz)
    weights = _weights(partials, durations[0])
    whole, left = float(mean_gain**2 @ weights), float(mean_gain[kept] ** 2 @ weights[kept])
    mean_gain = mean_gain * np.sqrt(whole / left) if left > TINY else mean_gain  # for those that are left out
    radii, clicks = _click(spec, partials)
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": name,
        "modes": len(kept),
        "regions": N_REGIONS,
        "speed_m_s": [low, high],
        "hit": list(spec.hit),
        "impulse_kg": _rounded(touching.impulse_n_s(middle, spec.bounces.restitution) / middle),
        "contact_s": _rounded(durations[0] / middle**exponent),
        "contact_exponent": _rounded(exponent),
        "spots": SPOTS_ACROSS,
        "heard_s": HEARD_S,
        "frequency_hz": _rounded(partials.frequency_hz[kept], 9),
        "decay_per_s": _rounded(partials.decay_per_s[kept]),
        "mean_gain": _rounded(scale * mean_gain[kept], 6),
        "gain": _rounded((scale * gain[:, kept]).ravel(), 6),
        "click_tau_s": _rounded(radii / SOUND_SPEED_M_S),
        "click_gain": _rounded(level * clicks),
        "longest_click_s": LONGEST_CLICK_S,
        "level_db": gain_db,
    }


def to_bytes(bank: dict[str, Any]) -> bytes:
    """The bank as JSON, a key a line; equal banks give equal bytes."""
    lines = [f" {json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in bank.items()]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _weights(partials: Partials, contact_s: float) -> Array:
    """What a squared gain counts in a blow of 1 N s: its energy in the first `HEARD_S`, see strike.energy. [modes]."""
    spectrum = rough_spectrum(2 * np.pi * partials.frequency_hz, np.array(contact_s))
    decay = partials.decay_per_s
    return np.asarray(spectrum**2 * -np.expm1(-2 * decay * HEARD_S) / (4 * decay))


def _stations(partials: Partials, contact_s: float) -> NDArray[np.int64]:
    """A point of the skin for each region, at reach 0, 1/7, … 1: of those there, the one that sounds most like all.

    A real point, not their mean: a node of the body stays a node of the bank. Its modes shall have the sizes of the
    area's RMS, and what it sounds in the first HEARD_S the energy that its modes have one by one: where the two modes
    of a nearly round body are in step or cancel, it has twice as much or none.
    """
    weights, together = _weights(partials, contact_s), _together(partials)
    found = []
    for reach in np.linspace(0, 1, N_REGIONS):
        distance = np.abs(partials.reach - reach)
        near = np.flatnonzero(distance <= distance.min() + NEAR)
        size = partials.gain[near] * np.sqrt(weights)
        typical = np.sqrt(partials.areas[near] @ size**2 / partials.areas[near].sum())
        away = ((np.abs(size) - typical) ** 2).sum(axis=1) / max(float((typical**2).sum()), TINY)
        own = np.maximum((size**2).sum(axis=1), TINY)
        heard = np.maximum(((size @ together) * size).sum(axis=1), TINY * own)
        away += np.log(heard / own) ** 2
        found.append(near[np.flatnonzero(away <= away.min() * (1 + 1e-6) + TINY)[0]])  # of equal ones the first
    return np.array(found)


def _together(partials: Partials) -> Array:
    """How far two modes that begin together stay in step while HEARD_S lasts, [modes, modes]: 1 a mode with itself.

    ∫ e^{-(d + e) t} cos((ω - χ) t) dt over [0, T] = Re (1 - e^{-z T}) / z, z = d + e - i(ω - χ), over the root of the
    product of both modes' own.
    """
    s = partials.decay_per_s + 2j * np.pi * partials.frequency_hz
    z = s[:, None] + s.conj()[None, :]
    integral = (-np.expm1(-z * HEARD_S) / z).real
    own = np.sqrt(np.diagonal(integral))
    return np.asarray(integral / own[:, None] / own)


def _loudest(gain: Array, ends: list[Array], frequency_hz: Array) -> NDArray[np.int64]:
    """Modes by level, the loudest first: half where blows land, half all over the skin. gain: [1 + regions, modes], the
    first row where blows land; ends: weights of the slowest and of the fastest blow, of which the louder counts.

    Levels count in tenths of a decibel, so that rounding swaps none.
    """
    loudest = np.zeros(len(frequency_hz))
    for weights in ends:
        energy = gain**2 * weights * _a_weighting(frequency_hz) ** 2
        share = energy / np.maximum(energy.sum(axis=1, keepdims=True), TINY)
        loudest = np.maximum(loudest, 0.5 * share[0] + 0.5 * share[1:].mean(axis=0))
    db = np.round(10 * np.log10(np.maximum(loudest, TINY)), 1)
    order = np.argsort(-db, kind="stable")
    return np.asarray(order[db[order] >= FAINT_DB][:MOST_MODES])


def _a_weighting(frequency_hz: Array) -> Array:
    """How loud a faint tone is beside one of 1 kHz but for 2 dB, IEC 61672-1, equation (E.6) without its constant."""
    f2 = frequency_hz**2
    return np.asarray(
        12194**2 * f2**2 / ((f2 + 20.6**2) * np.sqrt((f2 + 107.7**2) * (f2 + 737.9**2)) * (f2 + 12194**2))
    )


def _click(spec: Impact, partials: Partials) -> tuple[Array, Array]:
    """Radius (m) of striker and body as spheres, and their gain at the listener (1/(N s)): see strike.click."""
    mass_kg = np.array([spec.striker.mass_kg, partials.mass_kg])
    density = np.array([constants(item.material).density_kg_m3 for item in (spec.striker, spec.object)])
    radius_m = np.cbrt(3 * mass_kg / (4 * np.pi * density))
    gain = AIR_IMPEDANCE * radius_m / (partials.distance_m * np.sqrt(3) * mass_kg) * np.array([1.0, -1.0])
    return radius_m, gain * 10 ** (spec.click_db / 20) / FULL_SCALE_PA


def _rounded(values: Any, digits: int = 7) -> Any:
    """To so many significant digits: what two machines' arithmetic differs in stays out of the file."""
    if np.ndim(values):
        return [_rounded(value, digits) for value in values]
    return float(f"{float(values):.{digits}g}")
