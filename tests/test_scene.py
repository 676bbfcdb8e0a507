"""Scenes: what is heard of them, and absurd input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scene_samples import REQUEST, boxes, cached, centroid_hz, scene

from sfxgen.audio import Audio
from sfxgen.draw import Draw
from sfxgen.generate.recipe import Request
from sfxgen.generate.scene import render
from sfxgen.manifest.scene import MOST_BODIES, Scene
from sfxgen.physics import friction as friction_model
from sfxgen.physics.contact import Contact
from sfxgen.plan import plan_project
from sfxgen.synths.blows import ring
from sfxgen.synths.modal import BLOCK


def energy(audio: Audio) -> float:
    return float((audio.samples.astype(float) ** 2).sum())


# --- sound ------------------------------------------------------------------------------------------------------------


def test_blows_in_blocks_are_the_sum_of_damped_sines() -> None:
    rng = np.random.default_rng(1)
    frequency, decay = rng.uniform(100, 15_000, 20), rng.uniform(20, 200, 20)
    at = np.sort(rng.integers(0, 6_000, 30))
    amplitude = rng.standard_normal((30, 20))
    free = np.zeros(0, dtype=bool)
    made = ring(frequency, decay, at, amplitude, free, 3.0, 1e-3, 20_000, 48_000)
    n = np.arange(len(made))
    later = (n[None] - at[:, None]).clip(0)[:, None] / 48_000
    waves = np.sin(2 * np.pi * frequency[:, None] * later) * np.exp(-decay[:, None] * later)
    direct = np.einsum("km,kmn->n", amplitude, waves)
    assert len(made) > 6_000
    np.testing.assert_allclose(made, direct, atol=2e-5 * np.abs(direct).max())


def test_a_body_that_lies_rings_shorter_without_a_seam() -> None:
    frequency, decay = np.array([1_000.0]), np.array([10.0])
    held = np.arange(40) % 4 >= 2
    made = ring(frequency, decay, np.array([0]), np.ones((1, 1)), held, 3.0, 1e-3, 40 * BLOCK, 48_000)
    rate = np.where(np.repeat(held, BLOCK), 30.0, 10.0)[: len(made)]
    passed = np.concatenate([[0.0], np.cumsum(rate)[:-1]]) / 48_000
    expected = np.exp(-passed) * np.sin(2 * np.pi * 1_000 * np.arange(len(made)) / 48_000)
    assert len(made) > 10 * BLOCK
    np.testing.assert_allclose(made, expected, atol=1e-5)


def rub_force(load_n: float, speed_m_s: float, wheel_m: float = 0.0, floor: str = "stone") -> Any:
    """The heights under a steel ball for two seconds, and their force, by the model that `friction:` has."""
    contact, hop, n_frames = Contact(5e10, 0.01, 0.03), 240, 400
    path = friction_model.path(np.full(hop * n_frames, speed_m_s), 48_000)
    rng = np.random.default_rng(1)
    height = friction_model.profile(friction_model.roughness("glass", floor), 1e-5, path, 48_000, rng, wheel_m)
    return height, friction_model.changing_force(height, contact, 1, np.full(n_frames, load_n), hop, 48_000)


def middle_hz(wave: Any) -> float:
    power = np.abs(np.fft.rfft(wave)) ** 2
    return float((power * np.fft.rfftfreq(len(wave), 1 / 48_000)).sum() / power.sum())


def test_rubbing_follows_load_and_speed() -> None:
    """Heavier is louder; faster is louder and brighter; without a load there is silence."""
    assert np.std(rub_force(2, 1)[1]) > 1.2 * np.std(rub_force(1, 1)[1])
    assert np.std(rub_force(1, 2)[1]) > 1.2 * np.std(rub_force(1, 0.3)[1])
    assert middle_hz(rub_force(1, 2)[1]) > 1.2 * middle_hz(rub_force(1, 0.3)[1])
    assert not rub_force(0, 1)[1].any()


def test_rubbing_under_a_steady_load_is_that_of_friction() -> None:
    """Window by window or all at once: the same force, but for what lies below a window's resolution."""
    height, force = rub_force(20.0, 1.0, floor="glass")
    stiffness, _ = friction_model.pressed(Contact(5e10, 0.01, 0.03), 0.01, 20.0)
    whole = friction_model.force(height, stiffness, 0.03, 20.0, 48_000)
    assert np.std(force) == pytest.approx(np.std(whole), rel=0.15)
    assert np.corrcoef(force[4_800:-4_800], whole[4_800:-4_800])[0, 1] > 0.95


def test_a_wheel_rides_over_what_is_narrower_than_itself() -> None:
    """The larger the wheel, the less it moves; its path is bent by 1/R at most, in the mean."""
    small, large = (rub_force(1, 1, wheel_m)[0] for wheel_m in (0.01, 0.3))
    assert np.std(large) < 0.9 * np.std(small) < 0.9 * np.std(rub_force(1, 1)[0])
    step_m = 1 / 48_000
    for wheel_m, height in ((0.01, small), (0.3, large)):
        assert np.std(np.diff(height, 2) / step_m**2) < 1.02 / wheel_m


def test_faster_is_louder_and_brighter_and_heavier_is_louder() -> None:
    """Means over poses: where a body lands decides much of a single take."""

    def takes(height_m: float, **more: Any) -> list[Audio]:
        spec = scene(bodies=boxes(**more), height_m=height_m, longest_s=0.4, spin_hz=0)
        return render(spec, [Draw(seed) for seed in range(6)], REQUEST)

    low, high, heavy = takes(0.05), takes(1.0), takes(0.05, side_m=0.2)
    loud = {name: np.mean([energy(t) for t in made]) for name, made in (("low", low), ("high", high), ("heavy", heavy))}
    assert loud["high"] > 5 * loud["low"]
    assert loud["heavy"] > 2 * loud["low"]
    assert np.mean([centroid_hz(t) for t in high]) > np.mean([centroid_hz(t) for t in low])


def test_layers_range_over_height() -> None:
    spec = scene(bodies=boxes(2), height_m=[0.05, 1.5], longest_s=0.4)
    soft, hard = (render(spec, [Draw(s, layer) for s in range(3)], REQUEST) for layer in ((0.0, 0.2), (0.8, 1.0)))
    assert np.mean([energy(t) for t in hard]) > 4 * np.mean([energy(t) for t in soft])


def test_takes_differ_and_come_back_the_same() -> None:
    spec = scene(bodies=boxes([1, 3]), floor={"material": "oak", "thickness_m": 0.02}, longest_s=0.4)
    draws = [Draw(seed) for seed in range(3)]
    first, second = render(spec, draws, REQUEST), render(spec, draws, Request())
    assert [a.samples.tobytes() for a in first] == [a.samples.tobytes() for a in second]
    assert len({a.samples.tobytes() for a in first}) == 3
    (alone,) = render(spec, draws[1:2], REQUEST)
    assert alone.samples.tobytes() == first[1].samples.tobytes()


def test_a_floor_of_boards_sounds_and_firm_ground_does_not() -> None:
    firm = render(scene(bodies=boxes(), longest_s=0.3), [Draw(1)], REQUEST)[0]
    boards = scene(bodies=boxes(), longest_s=0.3, floor={"material": "oak", "thickness_m": 0.02})
    assert energy(render(boards, [Draw(1)], REQUEST)[0]) > 1.5 * energy(firm)


def test_a_length_that_the_manifest_sets_is_kept() -> None:
    spec = scene(bodies=boxes(), longest_s=0.3)
    (audio,) = render(spec, [Draw(0)], Request(duration_s=0.5, cached=cached))
    assert audio.n_frames == 24_000
    assert abs(float(audio.samples[0, -1])) < 1e-6


def test_what_falls_late_is_heard_or_it_is_said() -> None:
    said: list[str] = []
    late = scene(bodies=boxes(4), action="pile", every_s=5, longest_s=1)
    (short,) = render(late, [Draw(1)], Request(cached=cached, warn=said.append))
    assert said == ["its bodies move on after 12 s, where it ends; to hear more, write duration_s"]
    said.clear()
    (whole,) = render(late, [Draw(1)], Request(cached=cached, warn=said.append, duration_s=17))
    assert not said
    assert short.duration_s <= 12
    assert whole.samples[0, 14 * 48_000 :].std() > 0.1 * whole.samples[0, : 3 * 48_000].std()


def test_what_is_thrown_high_is_followed_until_it_lands() -> None:
    (take,) = render(scene(bodies=boxes(), action="throw", speed_m_s=30, longest_s=0.1), [Draw(1)], REQUEST)
    assert take.peak > 1e-3


def test_a_long_contact_is_not_cut_at_its_start() -> None:
    """Of a crate as large as a house, which meets the floor for 30 ms."""
    large = {"shape": "box", "size_m": [20.0, 20.0, 20.0], "wall_m": 0.05, "material": "rubber"}
    (take,) = render(scene(bodies=[{"object": large}], height_m=1, longest_s=0.5), [Draw(1)], REQUEST)
    assert abs(float(take.samples[0, 0])) < 1e-3 * take.peak


def test_shards_too_light_for_the_simulation_break_all_the_same() -> None:
    bead = {"shape": "tube", "size_m": [0.001, 0.0006], "wall_m": 0.0002, "material": "glass"}
    (take,) = render(scene(bodies=[{"object": bead, "breaks": 12}], action="break"), [Draw(1)], REQUEST)
    assert 0 < take.peak < 50


# --- manifest ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"bodies": []}, "at least 1"),
        ({"bodies": boxes(mass_kg=0)}, "greater than 0"),
        ({"bodies": boxes(0)}, f"from 1 to {MOST_BODIES}"),
        ({"bodies": boxes(1.5)}, "whole number"),
        ({"bodies": boxes([4, 2])}, "the lower first"),
        ({"bodies": boxes(30) + boxes(30)}, f"60 bodies in all; expected at most {MOST_BODIES}"),
        ({"height_m": 1000}, "from 0.005 to 20"),
        ({"speed_m_s": -1}, "from 0 to 30"),
        ({"slope_deg": 90}, "less than or equal to 60"),
        ({"action": "explode"}, "'drop'"),
        ({"floor": {"material": "lava"}}, "expected one of aluminium"),
        ({"bodies": [{"count": 2}]}, "object"),
    ],
)
def test_faults_name_what_was_expected(section: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Scene.model_validate(section)
    assert words in str(caught.value)


def test_a_prompt_chooses_a_scene_and_does_not_guide_it(tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    text = "version: 1\nsounds:\n  a: {scene: {}, prompt: barrel rolling over concrete}\n"
    (tmp_path / "sounds" / "a.yaml").write_text(text, encoding="utf-8")
    (planned,) = plan_project(tmp_path).plan.sounds
    assert planned.choice is not None
    assert (planned.job.kind, planned.choice.preset, planned.choice.rivals) == ("scene", "barrel_roll", ())
    assert planned.job.prior == ()
