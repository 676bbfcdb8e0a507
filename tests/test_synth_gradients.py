"""What distillation walks along: every renderer's gradient against differences, parameter by parameter, in float64.

The modal synth's own gradients are in test_modal.py.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sfxgen.generate.tunable import SynthRenderer
from sfxgen.generate.tunable_fm import FmRenderer
from sfxgen.generate.tunable_impact import ImpactRenderer
from sfxgen.generate.tunable_texture import TextureRenderer
from sfxgen.manifest.fm import Fm
from sfxgen.manifest.impact import Impact
from sfxgen.manifest.texture import Texture

RATE_HZ, SECONDS = 16_000, 0.06
SHAPE = {"attack_s": 0.004, "hold_s": 0.003, "decay_s": 0.05, "sustain": 0.4, "release_s": 0.01}
# Everything is in use, away from the limits where a synth clamps.
FM = Fm.model_validate(
    {
        "pitch_hz": 300.0,
        "operators": [
            {"level": 0.6, "ratio": 1.0, "detune_hz": 2.0, **SHAPE},
            {"level": 0.4, "ratio": 2.5, "detune_hz": -3.0, **SHAPE},
            {"level": 0.3, "hz": 777.0, **SHAPE},
        ],
        "modulation": [[0.0, 1.4, 0.0], [0.0, 0.0, 0.8], [0.0, 0.0, 0.0]],
        "sweep": {"start_semitones": 5.0, "end_semitones": -2.0, "time_s": 0.02},
        "vibrato": {"rate_hz": 40.0, "depth_semitones": 0.7},
        "tremolo": {"rate_hz": 50.0, "depth": 0.5},
        "noise": {"level": 0.2, "centre_hz": 2000.0, "width_octaves": 1.5, **SHAPE},
    }
)
TEXTURE = Texture.model_validate(
    {
        "bands": [
            {"centre_hz": 500.0, "width_octaves": 0.8, "level_db": -12.0, "gust_db": 3.0, "gust_hz": 40.0},
            {"centre_hz": 1500.0, "level_db": -15.0, "gust_db": 2.0, "wander_octaves": 0.3, "rise_octaves": 0.5},
        ],
        "grains": [{"rate_hz": 300.0, "centre_hz": [900.0, 2500.0], "chirp_octaves": 0.4, "level_db": [-25.0, -12.0]}],
        "envelope": {"delay_s": 0.003, "attack_s": 0.008, "hold_s": 0.01, "decay_s": 0.1},
        "tilt_db_per_octave": -2.0,
    }
)
IMPACT = Impact.model_validate(
    {
        "object": {"shape": "bar", "size_m": [0.3, 0.03, 0.006], "material": "steel"},
        "speed_m_s": 2.0,
        "room": {"bands": [{"centre_hz": 500.0, "level_db": -12, "t60_s": 0.3}, {"centre_hz": 2000.0, "t60_s": 0.2}]},
    }
)


def in_float64(renderer: SynthRenderer) -> SynthRenderer:
    """Its waveforms too, so that a difference of two of them means something."""
    vars(renderer._synth)["dtype"] = torch.float64
    return renderer


RENDERERS: dict[str, Callable[[], SynthRenderer]] = {
    "fm": lambda: in_float64(FmRenderer(FM, SECONDS, RATE_HZ)),
    "texture": lambda: in_float64(TextureRenderer(TEXTURE, SECONDS, RATE_HZ)),
    "impact": lambda: in_float64(ImpactRenderer(IMPACT, SECONDS, RATE_HZ)),
}


@pytest.fixture(params=RENDERERS)
def renderer(request: pytest.FixtureRequest) -> SynthRenderer:
    return RENDERERS[request.param]()


def off_centre(renderer: SynthRenderer) -> Tensor:
    """A θ within the limits, half a step from where it starts at most, and at no limit."""
    theta = torch.rand(len(renderer.low), generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 0.5
    room = torch.minimum(-renderer.low, renderer.high)
    return torch.where(room > 0.5, theta, torch.where(renderer.high > 0.5, 0.25, -0.25))


def test_gradients_match_differences(renderer: SynthRenderer) -> None:
    """Of a random weighting of the samples, for each parameter: to 1e-4 or 1e-5 of the gradient's length."""
    step, relative, of_length = 1e-5, 1e-4, 1e-5
    theta = off_centre(renderer).requires_grad_()
    audio = renderer(theta, 3)
    assert audio.dtype == torch.float64
    weights = torch.randn(audio.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((audio * weights).sum(), theta)
    assert gradient.isfinite().all()
    names = renderer.names
    assert len(names) == len(theta)

    def value(index: int, by: float) -> float:
        moved = theta.detach().clone()
        moved[index] += by
        return float((renderer(moved, 3) * weights).sum())

    for index, name in enumerate(names):
        difference = (value(index, step) - value(index, -step)) / (2 * step)
        tolerance = of_length * float(gradient.norm())
        assert float(gradient[index]) == pytest.approx(difference, rel=relative, abs=tolerance), (name, index)


def test_every_parameter_is_heard(renderer: SynthRenderer) -> None:
    """None that distillation is given is dead; but a single mode of a body may lie still where it is struck."""
    theta = off_centre(renderer)
    still = renderer(theta, 3)
    names = renderer.names
    assert names
    for index, name in enumerate(names):
        moved = theta.clone()
        moved[index] += 0.05
        change = float((renderer(moved, 3) - still).norm() / still.norm())
        assert change > 1e-6 or name.startswith("mode_"), (name, index)


@pytest.mark.parametrize("name", ["fm", "texture"])
def test_the_noise_is_the_seeds(name: str) -> None:
    renderer = RENDERERS[name]()
    theta = off_centre(renderer)
    assert torch.equal(renderer(theta, 3), renderer(theta, 3))
    assert not torch.equal(renderer(theta, 3), renderer(theta, 4))


@pytest.mark.parametrize("name", ["fm", "texture"])
def test_float32_gradients_are_those_of_float64(name: str) -> None:
    """What is used: the direction agrees to 1e-3."""
    directions = []
    for dtype in (torch.float64, torch.float32):
        one = RENDERERS[name]()
        vars(one._synth)["dtype"] = dtype
        theta = off_centre(one).requires_grad_()
        audio = one(theta, 3)
        assert audio.dtype == dtype
        weights = torch.randn(audio.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        (gradient,) = torch.autograd.grad((audio * weights).sum(), theta)
        directions.append(gradient / gradient.norm())
    assert (directions[0] - directions[1]).norm() < 1e-3


def test_limits_are_where_a_manifest_ends() -> None:
    """At its limits a tuned sound is still a spec that a manifest may hold, and finite."""
    for one in (FmRenderer(FM, SECONDS, RATE_HZ), TextureRenderer(TEXTURE, SECONDS, RATE_HZ)):
        assert (one.low <= 0).all()
        assert (one.high >= 0).all()
        for theta in (one.low, one.high):
            assert one(theta, 3).isfinite().all()
            assert type(one.spec).model_validate(one.spec_at(theta).model_dump()) == one.spec_at(theta)
