"""Scenes of random bodies, actions and poses, and every preset: no NaN, no click, no energy from nowhere."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from scene_samples import PRESETS, REQUEST, centroid_hz, scene
from sound_measures import clicks

from sfxgen.audio import Audio
from sfxgen.draw import Draw
from sfxgen.generate import breaking, ringers
from sfxgen.generate.scene import course_of, render
from sfxgen.manifest.scene import Scene
from sfxgen.synths.blows import ring

BODIES: list[dict[str, Any]] = [
    {"shape": "bar", "size_m": [0.2, 0.02, 0.003], "material": "steel"},
    {"shape": "plate", "size_m": [0.2, 0.15, 0.002], "material": "steel"},
    {"shape": "box", "size_m": [0.1, 0.1, 0.1], "material": "wood"},
    {"shape": "sphere", "size_m": [0.03], "material": "glass"},
    {"shape": "cylinder", "size_m": [0.03, 0.002], "material": "brass"},
    {"shape": "tube", "size_m": [0.05, 0.3], "wall_m": 0.003, "material": "steel"},
    {"shape": "bowl", "size_m": [0.14, 0.07], "wall_m": 0.003, "material": "ceramic"},
    {"shape": "bell", "size_m": [0.12, 0.1], "wall_m": 0.004, "material": "bronze"},
]


def any_scene(seed: int) -> Scene:
    """A scene of one to three bodies of any kind and action, drawn from the seed."""
    rng = np.random.default_rng(seed)
    action = str(rng.choice(["drop", "throw", "roll", "pile", "topple", "break"]))
    chosen = [BODIES[i] for i in rng.integers(0, len(BODIES), int(rng.integers(1, 4)))]
    bodies: list[dict[str, Any]] = [{"object": item, "bounce": float(rng.uniform(0.3, 1.2))} for item in chosen]
    for body in bodies:
        if action == "break" or rng.uniform() < 0.2:
            body["breaks"] = int(rng.integers(3, 14))
        elif body is bodies[-1] and len(bodies) > 1 and rng.uniform() < 0.2:
            body["stands"] = True
    return scene(
        bodies=bodies,
        action=action,
        height_m=float(rng.uniform(0.02, 3)),
        speed_m_s=float(rng.uniform(0, 5)),
        slope_deg=float(rng.choice([0, 0, 20])),
        slope_m=float(rng.choice([0.2, 3])),
        floor={"material": str(rng.choice(["stone", "oak", "steel"]))},
        longest_s=0.25,
    )


def with_blows(spec: Scene, draw: Draw) -> tuple[Audio, list[int]]:
    """A take, and the frames at which its bodies are struck."""
    begins: list[int] = []

    def noted(*given: Any) -> Any:
        begins.extend(given[2].tolist())
        return ring(*given)

    with patch.object(ringers, "ring", noted), patch.object(breaking, "ring", noted):
        return render(spec, [draw], REQUEST)[0], begins


def check_sane(seed: int) -> float:
    """No NaN, no energy from nowhere, no click anywhere nor at either end. Returns the energy of its bodies at most,
    relative to what was put in."""
    spec, draw = any_scene(seed), Draw(seed)
    course = course_of(spec, draw, REQUEST, draw.rng())[1]
    assert course.energy <= 1.02, seed
    audio, begins = with_blows(spec, draw)
    wave = audio.samples[0].astype(float)
    assert np.isfinite(wave).all(), seed
    assert audio.peak < 50, seed
    assert abs(wave[-1]) <= 1e-3 * max(audio.peak, 1e-9), seed
    assert abs(wave[0]) <= 0.02 * max(audio.peak, 1e-9), seed
    assert not clicks(wave, audio.rate_hz, begins), (seed, clicks(wave, audio.rate_hz, begins))
    return course.energy


def test_a_click_is_told_from_a_blow() -> None:
    """A ring that is cut off or begins in its middle clicks; one that begins at 0, or a knock, does not."""
    t = np.arange(9_600) / 48_000
    for frequency in (200.0, 3_000.0, 15_000.0):
        ringing = np.where(t > 0.05, np.exp(-20 * (t - 0.05)) * np.sin(2 * np.pi * frequency * (t - 0.05)), 0.0)
        assert not clicks(ringing, 48_000, [2_400])
        knock = np.exp(-(((t - 0.1) / 1e-4) ** 2))
        assert not clicks(ringing + knock, 48_000, [2_400])
    low = np.sin(2 * np.pi * 200 * t) * np.exp(-5 * t)
    assert clicks(np.where(t < 0.1013, low, 0.0), 48_000)
    assert clicks(low + np.where(t > 0.0507, 0.2, 0.0), 48_000)


@pytest.mark.parametrize("block", range(5))
def test_fifty_scenes_are_sane(block: int) -> None:
    for seed in range(10 * block, 10 * block + 10):
        check_sane(seed)


@pytest.mark.parametrize("seed", [74, 181, 212])
def test_what_breaks_beside_others_stays_sane(seed: int) -> None:
    """Shards beside the wall of a bowl, a coin that stands on a bell, a box in the middle of its bounce: each gained
    energy once, since something began within something."""
    check_sane(seed)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_a_sane_take(name: str) -> None:
    preset = PRESETS[name]
    assert set(preset) <= {"caption", "words", "scene"}
    assert preset["words"] == [word.lower() for word in preset["words"]]
    spec = Scene.model_validate(preset["scene"]).model_copy(update={"longest_s": 1.0})
    (audio,) = render(spec, [Draw(1)], REQUEST)
    assert 5e-4 < audio.peak < 10
    assert 0.2 < audio.duration_s < 12
    assert 80 < centroid_hz(audio) < 14_000
