"""`texture:` → sounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from sfxgen.audio import Audio
from sfxgen.draw import Draw
from sfxgen.generate.recipe import Request
from sfxgen.generate.takes import BLOCKS_A_SECOND, intensity_gain, n_frames_of, place_intensity, stray
from sfxgen.manifest.texture import Grains, Texture
from sfxgen.synths.texture import TextureSynth, TextureVariation, draw_noise, draw_shower

ONGOING_S = 4.0  # length of what has no envelope when nothing says how long
CENTRE_OCTAVES, TIME_OCTAVES, BAND_DB = 0.5, 0.35, 6.0  # at jitter 1
TILT_DB = 2.0  # dB an octave from intensity 0 to 1, about the sound's middle: soft is dull, ½ is as written


def render(spec: Texture, draws: Sequence[Draw], request: Request) -> list[Audio]:
    """One block of mono sound a draw, each from its own seed alone."""
    return [_render_one(spec, draw, request) for draw in draws]


def natural_duration_s(spec: Texture, stretch: float = 1.0) -> float:
    """Until the longest envelope, stretched, has fallen by 60 dB; 4 s for what goes on.

    Rounded up to 1/25 s: Fourier transforms of such lengths are several times faster than of any other.
    """
    envelopes = [part.envelope or spec.envelope for part in spec.bands]
    envelopes += [part.envelope or spec.envelope for part in spec.grains]
    ends = [e.delay_s + e.attack_s + e.hold_s + e.decay_s for e in envelopes if e is not None]
    natural_s = max(ends) * stretch if len(ends) == len(envelopes) else ONGOING_S
    return math.ceil(natural_s * BLOCKS_A_SECOND) / BLOCKS_A_SECOND


def middle_octaves(spec: Texture) -> float:
    """Where the sound's middle lies, in octaves about 1 kHz: the mean of bands and grains by their power."""
    powers = [10.0 ** (band.level_db / 10.0) for band in spec.bands] + [_power(grains) for grains in spec.grains]
    centres_hz = [band.centre_hz for band in spec.bands] + [math.prod(g.centre_hz) ** 0.5 for g in spec.grains]
    return float(np.average(np.log2(np.array(centres_hz) / 1000.0), weights=np.array(powers) + 1e-12))


def _power(grains: Grains) -> float:
    """Mean power of a shower: of a damped sine, level² · duration / (4 ln 1000), times how many there are."""
    mean_level = float(np.mean(10.0 ** (np.linspace(*grains.level_db, 9) / 10.0)))
    return grains.rate_hz * mean_level * math.prod(grains.duration_s) ** 0.5 / (4.0 * math.log(1000.0))


def _render_one(spec: Texture, draw: Draw, request: Request) -> Audio:
    rng = draw.rng()
    intensity = place_intensity(draw, rng, spec.jitter)
    centre = stray(rng, spec.jitter * CENTRE_OCTAVES)
    time = stray(rng, spec.jitter * TIME_OCTAVES)
    if request.loop:
        time = 1.0  # a loop keeps its rhythm
    band_db = rng.uniform(-BAND_DB, BAND_DB, (1, len(spec.bands))) * spec.jitter
    duration_s = request.duration_s or natural_duration_s(spec, time)
    n_frames = n_frames_of(duration_s, request.rate_hz, request.loop)
    tilt_db = TILT_DB * (intensity - 0.5)
    noise, gusts = draw_noise(spec, rng, n_frames, request.rate_hz)
    variation = TextureVariation(
        centre=_one(centre),
        time=_one(time),
        gain=_one(intensity_gain(intensity) * 10.0 ** (-tilt_db * middle_octaves(spec) / 20.0)),
        tilt_db=_one(tilt_db),
        band_db=torch.from_numpy(band_db),
        noise=noise,
        gusts=gusts,
        showers=tuple(
            draw_shower(grains, spec.envelope, rng, n_frames, request.rate_hz, request.loop) for grains in spec.grains
        ),
    )
    with torch.inference_mode():
        block = TextureSynth(spec, n_frames, request.rate_hz, request.loop)(variation)
    return Audio.of(block.numpy(), request.rate_hz)


def _one(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)
