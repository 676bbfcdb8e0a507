"""`fm:` → sounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from sfxgen.audio import Audio
from sfxgen.draw import Draw
from sfxgen.generate.recipe import Request
from sfxgen.generate.takes import intensity_gain, n_frames_of, place_intensity, stray
from sfxgen.manifest.fm import Fm
from sfxgen.synths.fm import FmSynth, FmVariation
from sfxgen.synths.noise import white_spectrum

SUSTAINED_S = 0.5  # how long a sound that sustains is held when nothing says how long
PITCH_OCTAVES, TIME_OCTAVES, INDEX_OCTAVES = 1 / 6, 0.35, 0.5  # at jitter 1
BRIGHT_OCTAVES = 1.0  # modulation from intensity 0 to 1: soft is dull, hard is bright, ½ is as written


def render(spec: Fm, draws: Sequence[Draw], request: Request) -> list[Audio]:
    """One block of mono sound a draw, each from its own seed alone."""
    return [_render_one(spec, draw, request) for draw in draws]


def natural_duration_s(spec: Fm, stretch: float = 1.0) -> float:
    """Until the last note has faded by 60 dB, or was held a while; stretch multiplies it."""
    last_s = spec.notes[-1].at_s if spec.notes else 0.0
    heard = [part for part in (*spec.operators, spec.noise) if part.level > 0] or [spec.operators[0]]
    tails = [
        part.attack_s + part.hold_s + (SUSTAINED_S + part.release_s if part.sustain > 0 else part.decay_s)
        for part in heard
    ]
    return (last_s + max(tails)) * stretch


def _render_one(spec: Fm, draw: Draw, request: Request) -> Audio:
    rng = draw.rng()
    intensity = place_intensity(draw, rng, spec.jitter)
    pitch = stray(rng, spec.jitter * PITCH_OCTAVES) * _place_pitch(spec, rng)
    index = stray(rng, spec.jitter * INDEX_OCTAVES) * 2.0 ** (BRIGHT_OCTAVES * (intensity - 0.5))
    time = stray(rng, spec.jitter * TIME_OCTAVES)
    if request.loop:
        time = 1.0  # a loop keeps its rhythm
    duration_s = request.duration_s or natural_duration_s(spec, time)
    n_frames = n_frames_of(duration_s, request.rate_hz, request.loop)
    variation = FmVariation(
        pitch=_one(pitch),
        time=_one(time),
        index=_one(index),
        gain=_one(intensity_gain(intensity)),
        noise=torch.from_numpy(white_spectrum(rng, (1, n_frames // 2 + 1))),
    )
    with torch.inference_mode():
        block = FmSynth(spec, n_frames, request.rate_hz, request.loop)(variation)
    return Audio.of(block.numpy(), request.rate_hz)


def _place_pitch(spec: Fm, rng: np.random.Generator) -> float:
    """Where in the range of pitch_hz this take lies, as a factor to the range's geometric mean."""
    low_hz, high_hz = spec.pitch_hz
    return stray(rng, 0.5 * math.log2(high_hz / low_hz))


def _one(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)
