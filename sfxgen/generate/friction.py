"""`impact:` with `friction:`: the body rung by what rubs or rolls over it."""

from __future__ import annotations

import numpy as np

from sfxgen.draw import Draw
from sfxgen.generate.impact import END_DB, FULL_SCALE_PA, LONGEST_S, _free_motion, struck
from sfxgen.generate.recipe import Request
from sfxgen.generate.takes import n_frames_of
from sfxgen.manifest.excitation import Friction
from sfxgen.manifest.impact import Impact
from sfxgen.physics import friction, strike
from sfxgen.physics.friction import SPOTS, Roughness
from sfxgen.physics.modal.shapes import Array
from sfxgen.physics.strike import LISTENER_M, Partials

NEAR_M = 0.1  # what rubs is quiet, and heard from near: 20 dB above a blow at LISTENER_M


def take(spec: Impact, rub: Friction, draw: Draw, request: Request) -> Array:
    """The samples of one take, without its room, [frames]; a loop is exactly one period.

    One product of spectra: of the force, and of the body's answer to an impulse, which the modal synth renders.
    """
    rate_hz = request.rate_hz
    rng = np.random.Generator(np.random.PCG64([draw.seed, 2]))
    partials, contact = struck(spec, request)
    n_rub = n_frames_of(request.duration_s or rub.duration_s, rate_hz, request.loop)
    path = friction.path(_speed(spec, rub, draw, n_rub, request, rng), rate_hz)
    spots = SPOTS if rub.how == "slide" else 1
    stiffness, spot_m = friction.pressed(contact, spec.striker.radius_m, rub.force_n / spots)
    usual = friction.roughness(spec.striker.material, spec.object.material)
    rough = Roughness(rub.roughness_um or usual.rms_um, usual.exponent if rub.exponent is None else rub.exponent)
    height = friction.profile(rough, rub.spot_m or spot_m, path, rate_hz, rng) / np.sqrt(spots)
    pushed = friction.force(height, spots * stiffness, contact.mass_kg, rub.force_n, rate_hz)
    if rub.how == "roll":
        pushed *= 1 + rub.uneven * friction.turning(path, spec.striker.radius_m, request.loop, rng)
    gain = _gain(spec, partials, rng)
    if request.loop:
        return _rung(partials, gain, pushed, rate_hz)
    pushed *= _pressed_and_lifted(rub, n_rub, rate_hz)
    tail = 0 if request.duration_s else round(rate_hz * min(LONGEST_S, _ring_s(partials, gain)))
    return _rung(partials, gain, np.concatenate([pushed, np.zeros(tail)]), rate_hz, round(rate_hz * LONGEST_S))


def _speed(spec: Impact, rub: Friction, draw: Draw, n_frames: int, request: Request, rng: np.random.Generator) -> Array:
    """The speed at each frame (m/s): from start to end, or in a loop there and back, straying a little."""
    low, high = spec.speed_m_s
    top = low * (high / low) ** rng.uniform(*draw.intensity)
    t = np.arange(n_frames) / n_frames
    course = 0.5 - 0.5 * np.cos(2 * np.pi * t) if request.loop else t
    speed = top * (rub.start + (rub.end - rub.start) * course)
    n = max(1, round(rub.unsteady_hz * n_frames / request.rate_hz))
    white = rng.standard_normal(n) + 1j * rng.standard_normal(n)
    wave = np.fft.irfft(np.concatenate([[0], white]), n_frames) if n < n_frames // 2 else np.zeros(n_frames)
    size = float(np.abs(wave).max(initial=0))
    return np.asarray(speed * (1 + rub.unsteady * wave / size if size else 1.0))


def _pressed_and_lifted(rub: Friction, n_frames: int, rate_hz: int) -> Array:
    """Raised cosines at both ends, shortened together where they do not fit."""
    times = np.array([rub.rise_s, rub.fall_s]) * rate_hz
    n_rise, n_fall = (times * min(1.0, n_frames / max(times.sum(), 1e-9))).astype(int)
    load = np.ones(n_frames)
    load[:n_rise] = 0.5 - 0.5 * np.cos(np.pi * np.arange(n_rise) / max(n_rise, 1))
    load[n_frames - n_fall :] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, n_fall + 1) / max(n_fall, 1))
    return load


def _gain(spec: Impact, partials: Partials, rng: np.random.Generator) -> Array:
    """RMS over where it is rubbed, with the signs of one place in it, [modes] (full scale a newton second)."""
    points, share = strike.hit_area(partials, spec.hit)
    place = int(rng.choice(points, p=share))
    size = np.sqrt(share @ partials.gain[points] ** 2)
    nearer = 1.0 if spec.listener_m else LISTENER_M / NEAR_M
    return np.asarray(size * np.where(partials.gain[place] < 0, -1.0, 1.0) * nearer / FULL_SCALE_PA)


def _ring_s(partials: Partials, gain: Array) -> float:
    """How long an impulse rings until all has fallen by END_DB (s)."""
    size = np.abs(gain)
    floor = max(float(np.linalg.norm(size)) * 10 ** (END_DB / 20), 1e-30)
    return float((np.log(np.maximum(size, floor) / floor) / partials.decay_per_s).max(initial=0))


def _rung(partials: Partials, gain: Array, pushed: Array, rate_hz: int, n_clear: int = 0) -> Array:
    """The modes driven by a force (N), [frames]: on a circle of its length, or with n_clear frames of silence after it
    a linear convolution, the ringing that is left then being none."""
    n_frames = len(pushed)
    if n_clear:
        n_clear = min(n_clear, round(rate_hz * _ring_s(partials, gain)) + 1)
        n_circle = 1 << (n_frames + n_clear - 1).bit_length()
        pushed = np.concatenate([pushed, np.zeros(n_circle - n_frames)])
    n_circle = len(pushed)
    state = friction.response(partials.frequency_hz, partials.decay_per_s, gain, n_circle, rate_hz)
    answer = _free_motion(partials, state, n_circle, rate_hz)
    spectrum = np.fft.rfft(pushed) * np.fft.rfft(answer)
    return np.asarray(np.fft.irfft(spectrum, n_circle)[:n_frames] / rate_hz)
