"""`liquid:` → sounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sfxgen.audio import Audio
from sfxgen.draw import Draw
from sfxgen.generate.recipe import Request
from sfxgen.generate.takes import BLOCKS_A_SECOND, intensity_gain, n_frames_of, place_intensity, stray
from sfxgen.manifest.liquid import LIQUIDS, Bubbles, Liquid, Vessel
from sfxgen.manifest.texture import Band, Envelope, Texture
from sfxgen.physics import bubbles
from sfxgen.physics.air import SOUND_SPEED_M_S
from sfxgen.physics.modal.shapes import Array
from sfxgen.synths.bubbles import Crowd, ring_crowd
from sfxgen.synths.texture import TextureSynth, TextureVariation, draw_noise

ONGOING_S = 4.0  # length of what has no envelope when nothing says how long
RADIUS_OCTAVES = 1 / 3  # at jitter 1
EDGE_S = 0.005  # what is not a loop starts and ends within this
GRID_S = 0.001  # in which envelopes are read
LN_1000 = math.log(1000.0)
WINDOW_S = 0.04  # in which a vessel stands still
MODE_Q = 12.0  # of the air in it
END_CORRECTION = 0.61  # of an open end, in radii (Levine & Schwinger 1948)


def render(spec: Liquid, draws: Sequence[Draw], request: Request) -> list[Audio]:
    """One block of mono sound a draw, each from its own seed alone; a loop is exactly one period."""
    return [_render_one(spec, draw, request) for draw in draws]


def natural_duration_s(spec: Liquid) -> float:
    """Until every envelope has fallen by 60 dB and the last bubble has rung; 4 s for what goes on."""
    fluid, ends = LIQUIDS[spec.liquid], []
    parts: tuple[Bubbles | Band, ...] = (*spec.bubbles, *spec.spray)
    for part in parts:
        e = part.envelope or spec.envelope
        if e is None:
            return ONGOING_S
        rings_s = 0.0
        if isinstance(part, Bubbles):
            largest_m = np.array(part.radius_mm[1] * 1e-3)
            rings_s = part.ring * LN_1000 / float(bubbles.decay_per_s(largest_m, fluid))
        ends.append(e.delay_s + e.attack_s + e.hold_s + e.decay_s + rings_s)
    return math.ceil(max(ends) * BLOCKS_A_SECOND) / BLOCKS_A_SECOND


def _render_one(spec: Liquid, draw: Draw, request: Request) -> Audio:
    rng, rate_hz = draw.rng(), request.rate_hz
    intensity = place_intensity(draw, rng, spec.jitter)
    size = stray(rng, spec.jitter * RADIUS_OCTAVES)
    n_frames = n_frames_of(request.duration_s or natural_duration_s(spec), rate_hz, request.loop)
    block = np.zeros(n_frames)
    for crowd in spec.bubbles:
        block += ring_crowd(_crowd(spec, crowd, size, n_frames, request, rng), n_frames, rate_hz, request.loop)
    if spec.spray:
        block += _spray(spec, n_frames, request, rng)
    if spec.vessel:
        block = in_vessel(block, spec.vessel, rate_hz, request.loop)
    block *= intensity_gain(intensity) * 10 ** (spec.gain_db / 20)
    if not request.loop:
        block *= _edges(n_frames, rate_hz)
    return Audio.of(block, rate_hz)


def _crowd(
    spec: Liquid, crowd: Bubbles, size: float, n_frames: int, request: Request, rng: np.random.Generator
) -> Crowd:
    """The bubbles of one take: a Poisson process of the envelope's density, or a number of them drawn from it."""
    fluid, seconds = LIQUIDS[spec.liquid], n_frames / request.rate_hz
    density = density_of(crowd.envelope or spec.envelope, seconds, request.loop)
    if crowd.count:
        n = int(rng.integers(round(crowd.count[0]), round(crowd.count[1]) + 1))
    else:
        n = int(rng.poisson(crowd.rate_hz * float(density.sum()) * seconds / len(density)))
    reached = np.concatenate([[0.0], np.cumsum(density)])
    u = rng.uniform(size=(n, 4))
    onset = np.interp(u[:, 0] * reached[-1], reached, np.linspace(0, n_frames, len(reached)))
    low_m, high_m = (r * 1e-3 * size for r in crowd.radius_mm)
    radius_m = bubbles.radii_m(low_m, high_m, crowd.exponent, u[:, 1])
    level = crowd.level_db - crowd.spread_db * u[:, 2] + 30 * np.log10(radius_m / high_m)  # r^{3/2}: van den Doel 2005
    return Crowd(
        onset=onset,
        frequency_hz=bubbles.minnaert_hz(radius_m, fluid),
        decay_per_s=bubbles.decay_per_s(radius_m, fluid) / crowd.ring,
        amplitude=10 ** (level / 20),
        rise=crowd.rise[0] + (crowd.rise[1] - crowd.rise[0]) * u[:, 3],
    )


def density_of(envelope: Envelope | None, seconds: float, loop: bool) -> Array:
    """An envelope by steps of about GRID_S, 0 to 1: straight up, held, down by 60 dB over decay_s; a loop's comes round
    again with what passes its end."""
    n = max(1, round(seconds / GRID_S))
    if envelope is None:
        return np.ones(n)
    t = (np.arange(n) + 0.5) * seconds / n - envelope.delay_s
    rounds = 1 + math.ceil((envelope.delay_s + envelope.attack_s + envelope.hold_s + envelope.decay_s) / seconds)
    total = np.zeros(n)
    for turn in range(rounds if loop else 1):
        at = t + turn * seconds
        up = np.clip(at / envelope.attack_s, 0, 1) if envelope.attack_s else (at >= 0).astype(float)
        after = np.maximum(at - envelope.attack_s - envelope.hold_s, 0)
        total += up * np.exp(-LN_1000 * after / envelope.decay_s) * (after < envelope.decay_s)
    if not total.any():
        total[-1] = 1.0  # a sound that is cut before it begins
    return total


def _spray(spec: Liquid, n_frames: int, request: Request, rng: np.random.Generator) -> Array:
    """The bands of noise, by the texture synth."""
    texture = Texture(bands=spec.spray, envelope=spec.envelope)
    noise, gusts = draw_noise(texture, rng, n_frames, request.rate_hz)
    one = torch.ones(1, dtype=torch.float64)
    variation = TextureVariation(
        centre=one, time=one, gain=one, tilt_db=0 * one, band_db=torch.zeros(1, len(spec.spray)), noise=noise,
        gusts=gusts, showers=(),
    )  # fmt: skip
    with torch.inference_mode():
        block = TextureSynth(texture, n_frames, request.rate_hz, request.loop)(variation)
    return np.asarray(block[0].numpy(), dtype=np.float64)


def in_vessel(block: Array, vessel: Vessel, rate_hz: int, loop: bool) -> Array:
    """The sound as it comes out of a vessel that fills: raised at the odd quarter waves of its air, [frames].

    Windows of WINDOW_S, half overlapping, whose squares of a half sine add up to one; each is filtered as if the level
    stood. The block is a circle to them; a sound that is not a loop gets silence to run round through.
    """
    n = len(block)
    half = max(8, round(WINDOW_S * rate_hz / 2))
    count = max(2, -(-n // half) + (0 if loop else 2))
    edges = np.round(np.arange(count + 1) * (n / count if loop else half)).astype(int)  # hops of a loop fit its length
    circle = n if loop else int(edges[-1])
    source = np.pad(block, (0, circle - n))
    out = np.zeros(circle)
    for i in range(count):
        before, middle, after = edges[i - 1] if i else edges[count - 1] - circle, edges[i], edges[i + 1]
        frames = np.arange(before, after)
        window = np.concatenate([_quarter(middle - before), _quarter(after - middle)[::-1]])
        share = min(1.0, middle / max(n, 1))
        low, high = vessel.fill
        fill = (low + high) / 2 if loop else low + (high - low) * share
        piece = np.fft.rfft(source[frames % circle] * window**2, 1 << (4 * half - 1).bit_length())
        frequency_hz: Array = np.fft.rfftfreq(2 * (len(piece) - 1), 1 / rate_hz).astype(np.float64)
        wet = np.fft.irfft(piece * air_gain(frequency_hz, vessel, fill))
        np.add.at(out, np.arange(before, before + len(wet)) % circle, wet)
    return out[:n]


def air_gain(frequency_hz: Array, vessel: Vessel, fill: float) -> NDArray[np.complex128]:
    """Complex gain by the tones of the air above the liquid: a pipe closed at the liquid and open at the rim,
    f_n = (2 n - 1) c / (4 (L + 0.61 R)), each a resonance of MODE_Q, level_db above what passes besides."""
    length_m = vessel.height_m * (1 - fill) + END_CORRECTION * vessel.radius_m
    base_hz = SOUND_SPEED_M_S / (4 * length_m)
    size = 10 ** (vessel.level_db / 20) - 1
    gain = np.ones(len(frequency_hz), dtype=np.complex128)
    for number in (1, 3, 5, 7):
        ratio = frequency_hz / (number * base_hz)
        gain += size / number**0.5 * (1j * ratio / MODE_Q) / (1 - ratio**2 + 1j * ratio / MODE_Q)
    return gain


def _quarter(n: int) -> Array:
    """A rising quarter sine, [n]."""
    return np.sin(np.pi / 2 * (np.arange(n) + 0.5) / max(n, 1))


def _edges(n_frames: int, rate_hz: int) -> Array:
    n = min(n_frames // 2, round(EDGE_S * rate_hz))
    load = np.ones(n_frames)
    load[n_frames - n :] = 0.5 + 0.5 * np.cos(np.pi * np.arange(1, n + 1) / max(n, 1))
    return load
