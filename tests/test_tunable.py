"""Synths as guidance turns them: the spec of θ sounds as θ does, and what a body's tuning and its room do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sfxgen.draw import Draw
from sfxgen.generate import impact
from sfxgen.generate.recipe import Request
from sfxgen.generate.rooms import room_impulse
from sfxgen.generate.tunable_fm import FmRenderer
from sfxgen.generate.tunable_impact import ImpactRenderer
from sfxgen.generate.tunable_texture import TextureRenderer
from sfxgen.manifest.fm import Fm
from sfxgen.manifest.impact import Impact
from sfxgen.manifest.presets import presets
from sfxgen.manifest.sound import KINDS


@pytest.mark.parametrize("name", ["laser_retro", "coin", "alarm", "wind_howling", "rain_light", "explosion_near"])
def test_the_spec_of_the_start_sounds_as_the_start(name: str) -> None:
    """θ = 0 written back as a spec and made free again is the same sound, to the rounding of four digits."""
    preset = presets()[name]
    spec = KINDS[preset.kind].model_validate(preset.body)
    first = FmRenderer(spec, 0.4, 44_100) if isinstance(spec, Fm) else TextureRenderer(spec, 0.4, 44_100)  # type: ignore[arg-type]
    zero = torch.zeros(len(first.low), dtype=torch.float64)
    again = first.spec_at(zero)
    assert type(again).model_validate(again.model_dump(mode="json"), strict=False) == again
    second = FmRenderer(again, 0.4, 44_100) if isinstance(again, Fm) else TextureRenderer(again, 0.4, 44_100)
    a, b = first(zero, 5)[0].detach(), second(torch.zeros(len(second.low), dtype=torch.float64), 5)[0].detach()
    assert a.abs().max() > 0.01
    assert (a - b).square().mean() < 0.02 * a.square().mean()


@pytest.mark.parametrize("name", ["laser_retro", "wind_howling", "sword_clang", "coin_drop"])
def test_every_corner_of_the_knobs_is_a_valid_spec(name: str) -> None:
    preset = presets()[name]
    spec = KINDS[preset.kind].model_validate(preset.body)
    renderer = {"fm": FmRenderer, "texture": TextureRenderer, "impact": ImpactRenderer}[preset.kind](spec, 0.3, 44_100)
    rng = np.random.default_rng(0)
    for _ in range(4):
        corner = torch.from_numpy(np.where(rng.random(len(renderer.low)) < 0.5, renderer.low, renderer.high))
        found = renderer.spec_at(corner)
        assert type(found).model_validate(found.model_dump(mode="json"), strict=False) == found
        assert torch.isfinite(renderer(corner, 0)).all()


def test_a_tuned_body_rings_as_it_says() -> None:
    """An octave up and half as long, on a bar whose partials are far apart."""
    spec = Impact.model_validate(
        {"object": {"shape": "bar", "size_m": [0.3, 0.03, 0.006]}, "click_db": -60, "speed_m_s": 1.0}
    )
    higher = spec.model_copy(update={"tuning": spec.tuning.model_copy(update={"semitones": 12.0, "ring": 0.5})})
    before, after = (impact.struck(s, Request())[0] for s in (spec, higher))
    kept = len(after.frequency_hz)
    assert kept > 5
    np.testing.assert_allclose(after.frequency_hz, 2.0 * before.frequency_hz[:kept], rtol=1e-9)
    np.testing.assert_allclose(after.decay_per_s, 2.0 * before.decay_per_s[:kept], rtol=1e-9)


def test_a_room_dies_away_in_its_time_and_leaves_the_blow() -> None:
    dry = Impact.model_validate({"object": {"shape": "sphere", "size_m": [0.01], "material": "rubber"}, "click_db": 12})
    room = {"bands": [{"centre_hz": 1000, "t60_s": 0.5}]}
    wet = Impact.model_validate({**dry.model_dump(mode="json"), "room": room}, strict=False)
    a, b = (impact.render(spec, [Draw(1)], Request())[0] for spec in (dry, wet))
    assert b.duration_s > a.duration_s + 0.3
    answer = room_impulse(wet.room, 24_000, 48_000).numpy()  # type: ignore[arg-type]
    energy = np.cumsum(answer[::-1] ** 2)[::-1]  # Schroeder 1965, eq. 1
    level_db = 10.0 * np.log10(energy / energy[0])
    first, last = int(np.argmax(level_db < -5)), int(np.argmax(level_db < -25))
    assert 3.0 * (last - first) / 48_000 == pytest.approx(0.5, rel=0.1)
    assert 10.0 * np.log10(np.sum(answer**2)) == pytest.approx(-20.0, abs=1.0)


def test_the_struck_synth_is_the_recipe() -> None:
    """Guidance's renderer and the recipe agree on the middle blow, in spectrum within 3 dB on average."""
    from sfxgen import mel

    spec = Impact.model_validate(presets()["cooking_pot"].body)
    renderer = ImpactRenderer(spec, 0.8, 44_100)
    mine = mel.log_mel(renderer(torch.zeros(len(renderer.low), dtype=torch.float64), 0).detach())[0]
    takes = impact.render(spec, [Draw(1, (0.5, 0.5))], Request(rate_hz=44_100, duration_s=0.8))
    theirs = mel.log_mel(torch.from_numpy(takes[0].samples.copy()))[0]
    assert (mine - theirs)[: len(theirs) // 2].abs().mean() < 3.0
