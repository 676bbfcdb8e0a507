"""The impact recipe: manifest to sound, and the presets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from keeping import keeping
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.signal import butter, sosfiltfilt

import sfxgen
from sfxgen.audio import Audio
from sfxgen.draw import Draw
from sfxgen.generate.impact import _ringing, render, struck
from sfxgen.generate.objects import body_of, solved
from sfxgen.generate.recipe import Request
from sfxgen.manifest.impact import Impact
from sfxgen.manifest.materials import MATERIALS
from sfxgen.master.loudness import read
from sfxgen.physics import strike
from sfxgen.physics.modal.modes import solve

PRESETS: dict[str, Any] = yaml.safe_load(
    (Path(sfxgen.__file__).parent / "manifest" / "presets" / "impact.yaml").read_text(encoding="utf-8")
)
REQUEST = keeping()


def at_intensity(*places: float, seed: int = 1) -> list[Draw]:
    return [Draw(seed, (place, place)) for place in places]


def centroid_hz(audio: Audio) -> float:
    power = np.abs(np.fft.rfft(audio.samples[0].astype(float))) ** 2
    return float((np.fft.rfftfreq(audio.n_frames, 1 / audio.rate_hz) * power).sum() / power.sum())


def energy(audio: Audio) -> float:
    return float((audio.samples.astype(float) ** 2).sum())


def t60_s(samples: NDArray[np.floating], rate_hz: int) -> float:
    """Schroeder's backward integration, -5 to -25 dB."""
    integral = np.cumsum(samples[::-1].astype(float) ** 2)[::-1]
    level = 10 * np.log10(integral / integral[0] + 1e-30)
    start, end = (int(np.argmax(level < db)) for db in (-5, -25))
    assert end > start
    return 3 * (end - start) / rate_hz


# --- physics, heard ---------------------------------------------------------------------------------------------------


def test_an_empty_section_makes_a_sound() -> None:
    (audio,) = render(Impact(), [Draw(0)], REQUEST)
    assert audio.n_channels == 1
    assert audio.rate_hz == 48_000
    assert 0.01 < audio.peak < 10


def test_the_partials_of_the_sound_are_those_of_the_body() -> None:
    """The strongest line of a struck glass ball lies at a mode that finite elements give; it decays at its rate."""
    spec = Impact.model_validate(
        {"object": {"shape": "sphere", "size_m": [0.3], "material": "glass"}, "click_db": -60, "hit": 0.5}
    )
    (audio,) = render(spec, [Draw(3)], REQUEST)
    glass, body = MATERIALS["glass"], body_of(spec.object)
    partials = strike.partials(solve(body, glass.poisson), body, 0.3, glass, 1.0, 48_000)
    spectrum = np.abs(np.fft.rfft(audio.samples[0], 1 << 17))
    line_hz = float(np.fft.rfftfreq(1 << 17, 1 / 48_000)[spectrum.argmax()])
    nearest = int(np.abs(partials.frequency_hz - line_hz).argmin())
    assert partials.frequency_hz[nearest] == pytest.approx(line_hz, rel=2e-3)

    # The lowest modes turn about the middle and radiate nothing; the lowest that sounds is the ball become an egg.
    loud = np.abs(partials.gain).max(axis=0)
    egg = int(np.flatnonzero(loud > 0.1 * loud.max())[0])
    near = partials.frequency_hz[egg] * np.array([0.9, 1.1])
    band = butter(4, near, "bandpass", fs=48_000, output="sos")
    ringing = sosfiltfilt(band, audio.samples[0].astype(float))[480:]
    assert t60_s(ringing, 48_000) == pytest.approx(6.908 / partials.decay_per_s[egg], rel=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_harder_is_louder_and_brighter(seed: int) -> None:
    spec = Impact.model_validate({"speed_m_s": [0.2, 5], "hit": 0.5, "striker": {"material": "wood"}})
    takes = render(spec, at_intensity(0, 0.5, 1, seed=seed), REQUEST)
    energies, centroids = [energy(t) for t in takes], [centroid_hz(t) for t in takes]
    assert energies == sorted(energies)
    assert energies[2] > 10 * energies[0]
    assert centroids == sorted(centroids)
    assert centroids[2] > 1.1 * centroids[0]


def test_louder_wherever_it_lands() -> None:
    """Layers must not overlap: the softest of the hard blows beats the loudest of the soft ones, all over the plate."""
    spec = Impact.model_validate({"speed_m_s": [1, 4], "hit": [0, 1]})
    soft = render(spec, [Draw(seed, (0.0, 0.3)) for seed in range(12)], REQUEST)
    hard = render(spec, [Draw(seed, (0.7, 1.0)) for seed in range(12)], REQUEST)
    assert max(t.peak for t in soft) < min(t.peak for t in hard)


def test_variations_differ_and_come_back_the_same() -> None:
    spec = Impact.model_validate(PRESETS["wood_crate"]["impact"])
    draws = [Draw(seed) for seed in range(4)]
    first, second = render(spec, draws, REQUEST), render(spec, draws, Request())
    assert len(first) == 4
    assert [a.samples.tobytes() for a in first] == [a.samples.tobytes() for a in second]
    assert len({a.samples.tobytes() for a in first}) == 4


def test_a_take_does_not_depend_on_its_company() -> None:
    """Rendered alone or with others, the same bytes: one more variation leaves the first ones as they were."""
    spec = Impact.model_validate(PRESETS["pipe_hit"]["impact"])
    draws = [Draw(seed) for seed in range(3)]
    together = render(spec, draws, REQUEST)
    assert len(together) == 3
    for draw, take in zip(draws, together, strict=True):
        (alone,) = render(spec, [draw], REQUEST)
        assert alone.samples.tobytes() == take.samples.tobytes()


def test_damping_shortens_and_a_large_body_is_lower() -> None:
    bar = {"shape": "bar", "size_m": [0.4, 0.03, 0.006], "material": "steel"}
    free = render(Impact.model_validate({"object": bar}), [Draw(1)], REQUEST)[0]
    held = render(Impact.model_validate({"object": bar, "damping": 10}), [Draw(1)], REQUEST)[0]
    assert held.duration_s < free.duration_s / 4
    large = {**bar, "size_m": [0.8, 0.06, 0.012]}
    low = render(Impact.model_validate({"object": large}), [Draw(1)], REQUEST)[0]
    assert centroid_hz(low) < centroid_hz(free)


def test_a_length_that_the_manifest_sets_is_kept_and_ends_quietly() -> None:
    spec = Impact.model_validate(PRESETS["church_bell"]["impact"])
    takes = render(spec, [Draw(i) for i in range(2)], Request(duration_s=0.75, cached=REQUEST.cached))
    for take in takes:
        assert take.n_frames == 36_000
        assert np.abs(take.samples[0, -20:]).max() < 1e-3 * take.peak


def test_what_rings_long_rings_for_as_long_as_is_asked() -> None:
    steel = {"like": "steel", "alpha_per_s": 0.1, "beta_s": 0, "loss_factor": 0}
    spec = Impact.model_validate({"object": {"shape": "bar", "size_m": [0.5, 0.03, 0.01], "material": steel}})
    (take,) = render(spec, [Draw(1)], Request(duration_s=20, cached=REQUEST.cached))
    seconds = take.samples[0].reshape(20, -1).std(axis=1)
    assert (seconds[1:-1] < seconds[:-2]).all()
    assert (seconds[11:-1] > 0.7 * seconds[10:-2]).all(), "it does not end after 12 s"


def test_a_low_rate_leaves_the_high_partials_out() -> None:
    """At 16 kHz no partial above 7.2 kHz is made, and none comes back as an alias: what is left sounds the same."""
    spec = Impact.model_validate(PRESETS["hand_bell"]["impact"])
    (audio,) = render(spec, [Draw(1)], Request(rate_hz=16_000, cached=REQUEST.cached))
    assert audio.rate_hz == 16_000
    bronze, body = MATERIALS["bronze"], body_of(spec.object)
    partials = strike.partials(
        solve(body, bronze.poisson), body, PRESETS["hand_bell"]["impact"]["object"]["size_m"][0], bronze, 1.0, 16_000
    )
    assert len(partials.frequency_hz) > 0
    assert partials.frequency_hz.max() <= 7_200
    spectrum = np.abs(np.fft.rfft(audio.samples[0]))
    frequency = np.fft.rfftfreq(audio.n_frames, 1 / 16_000)
    far = np.abs(frequency[:, None] - partials.frequency_hz).min(axis=1) > 150
    assert far.any()
    assert spectrum[far].max() < 0.05 * spectrum.max()


def test_bounces_come_ever_sooner_and_softer() -> None:
    """Intervals and peaks shrink by the restitution where `spread` is 0."""
    spec = Impact.model_validate(
        {
            "object": {"shape": "box", "size_m": [0.05, 0.04, 0.03], "material": "wood"},
            "bounces": {"count": 3, "first_s": 0.3, "restitution": 0.5, "spread": 0},
            "speed_m_s": 2,
            "hit": 0.3,
        }
    )
    (audio,) = render(spec, [Draw(2)], REQUEST)
    loud = np.abs(audio.samples[0])
    onsets = [int(np.argmax(loud > 0.2 * loud.max()))]
    for interval in (0.3, 0.15, 0.075):
        expected = onsets[-1] + round(interval * 48_000)
        window = loud[expected - 240 : expected + 480]
        assert window.max() < 0.75 * loud[onsets[-1] : onsets[-1] + 480].max()
        onsets.append(expected - 240 + int(np.argmax(window > 0.2 * window.max())))
    np.testing.assert_allclose(np.diff(onsets) / 48_000, [0.3, 0.15, 0.075], atol=2e-3)


def test_a_second_blow_adds_to_the_ringing_of_the_first() -> None:
    """The motion carried on from blow to blow is the sum of what each blow alone would have left."""
    spec = Impact.model_validate({"object": {"shape": "bell", "material": "bronze"}})
    bronze, body = MATERIALS["bronze"], body_of(spec.object)
    partials = strike.partials(solve(body, bronze.poisson), body, 0.12, bronze, 1.0, 48_000)
    amplitude, starts = partials.gain[[3, 40, 99]], [0, 5_001, 7_500]
    together = _ringing(partials, amplitude, starts, 40_000, 48_000)
    apart = np.zeros_like(together)
    for row, start in zip(amplitude, starts, strict=True):
        alone = _ringing(partials, row[None], [0], 48_000, 48_000)[: len(apart) - start]
        apart[start : start + len(alone)] += alone
    assert np.abs(together).max() > 0
    np.testing.assert_allclose(together, apart, atol=1e-4 * np.abs(together).max())


def test_a_body_too_small_to_ring_still_clicks() -> None:
    spec = Impact.model_validate({"object": {"shape": "sphere", "size_m": [0.002], "material": "steel"}})
    (audio,) = render(spec, [Draw(1)], REQUEST)
    assert audio.peak > 0
    assert audio.duration_s < 0.1


def test_one_solve_serves_every_size_and_material_of_one_shape() -> None:
    keys: list[str] = []

    def noting(key: str, make: Callable[[], bytes]) -> bytes:
        keys.append(key)
        return REQUEST.cached(key, make)

    for size, material in ((0.1, "granite"), (0.7, "granite"), (0.3, "marble")):  # both have ν = 0.25
        item = {"shape": "box", "size_m": [size, size * 0.5, size * 0.25], "material": material}
        render(Impact.model_validate({"object": item}), [Draw(0)], Request(cached=noting))
    assert len(keys) == 3
    assert len(set(keys)) == 1


# --- manifest -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"object": {"shape": "bar", "material": "stel"}}, "expected one of aluminium"),
        ({"object": {"shape": "bar", "size_m": [1.0, 0.1]}}, "size_m"),
        ({"object": {"shape": "tube", "size_m": [0.02, 1.0], "wall_m": 0.01}}, "at most 0.008"),
        ({"object": {"shape": "plate", "size_m": [10.0, 10.0, 0.001]}}, "thickness of at least 0.005 m"),
        ({"object": {"shape": "pyramid"}}, "shape"),
        ({"speed_m_s": 0}, "from 0.01 to 50"),
        ({"hit": [0.5, 0.2]}, "from 0 to 1"),
        ({"striker": {"mass_kg": -1}}, "mass_kg"),
        ({"bounces": {"count": 1.5}}, "count"),
    ],
)
def test_faults_name_what_was_expected(section: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Impact.model_validate(section)
    assert words in str(caught.value)


def test_the_schema_lists_shapes_and_materials() -> None:
    schema = Impact.model_json_schema()
    names, own = schema["$defs"]["Bar"]["properties"]["material"]["oneOf"]
    assert names["enum"] == sorted(MATERIALS)
    assert own["$ref"].endswith("OwnMaterial")
    assert len(schema["properties"]["object"]["discriminator"]["mapping"]) == 9
    fields = [f for part in (schema, *schema["$defs"].values()) for f in part["properties"].items()]
    assert [name for name, field in fields if "description" not in field and name != "shape"] == []


# --- presets --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_three_sane_takes(name: str) -> None:
    preset = PRESETS[name]
    assert set(preset) <= {"caption", "words", "duration_s", "loop", "impact"}
    assert preset["words"] == [word.lower() for word in preset["words"]]
    spec = Impact.model_validate(preset["impact"])
    takes = render(spec, at_intensity(0, 0.5, 1), Request(duration_s=preset.get("duration_s"), cached=REQUEST.cached))
    for take in takes:
        # Full scale is 140 dB a metre away: a slammed door may pass it before mastering.
        assert 2e-4 < take.peak < 10
        assert 0.005 < take.duration_s < 12
        assert 80 < centroid_hz(take) < 14_000
    assert energy(takes[0]) < energy(takes[1]) < energy(takes[2])


@pytest.mark.parametrize("name", PRESETS)
def test_variations_of_a_preset_lie_within_12_db(name: str) -> None:
    """K-weighted level (BS.1770-4) of eight draws over the preset's whole range of speeds and places."""
    spec = Impact.model_validate(PRESETS[name]["impact"])
    request = Request(duration_s=PRESETS[name].get("duration_s"), cached=REQUEST.cached)
    takes = render(spec, [Draw(s) for s in range(8)], request)
    loudest = max(take.peak for take in takes)  # quiet sets are raised before they are gated
    levels = [read(take.samples.astype(float) / loudest, take.rate_hz).lufs() for take in takes]
    assert len(levels) == 8
    assert max(levels) - min(levels) < 12


@pytest.mark.parametrize("name", ["sword_clang", "wood_crate", "glass_bottle", "stone_hit", "wood_stick"])
def test_layers_of_a_preset_are_ordered(name: str) -> None:
    """The mean level (LUFS) and spectral centroid of hard blows exceed those of soft ones at the same places."""
    spec = Impact.model_validate(PRESETS[name]["impact"])
    soft, hard = (render(spec, [Draw(s, layer) for s in range(6)], REQUEST) for layer in ((0.0, 0.3), (0.7, 1.0)))
    levels = [
        np.mean([read(take.samples.astype(float), take.rate_hz).lufs() for take in takes]) for takes in (soft, hard)
    ]
    assert levels[1] > levels[0] + 3
    assert np.mean([centroid_hz(take) for take in hard]) > np.mean([centroid_hz(take) for take in soft])


def test_metal_rings_wood_thuds_and_glass_is_clear() -> None:
    def made(name: str) -> Audio:
        return render(Impact.model_validate(PRESETS[name]["impact"]), at_intensity(0.5), REQUEST)[0]

    ring = {name: t60_s(made(name).samples[0], 48_000) for name in ("church_bell", "sword_clang", "wine_glass")}
    assert ring["church_bell"] > 2 * ring["sword_clang"]
    assert min(ring.values()) > 0.3
    for dull in ("wood_block", "wood_crate", "stone_hit"):
        assert t60_s(made(dull).samples[0], 48_000) < 0.2
    assert centroid_hz(made("wine_glass")) > 2 * centroid_hz(made("wood_knock"))
    assert centroid_hz(made("door_slam")) < 800


def test_modes_are_solved_up_to_the_frequency_that_is_asked_for() -> None:
    """As many as reach it, on a finer mesh; the first forty stay within 1.5 %, and the most is said."""
    said: list[str] = []
    found = {}
    for hz in (None, 12_000, 19_000):
        item = {"shape": "plate", "size_m": [0.3, 0.2, 0.003], "material": "steel", "exact_hz": hz}
        thing = Impact.model_validate({"object": item}, strict=False).object
        result = solved(thing, Request(warn=said.append))
        found[hz] = result.modes.omega * MATERIALS["steel"].bar_speed_m_s / result.size_m / (2 * np.pi)
    assert found[None][-1] < 12_000 <= found[12_000][-1]
    assert 2 * len(found[None]) < len(found[12_000])
    np.testing.assert_allclose(found[12_000][:40], found[None][:40], rtol=0.015)
    assert said == []
    box = {"shape": "box", "size_m": [0.6, 0.5, 0.4], "wall_m": 0.004, "exact_hz": 15_000}
    struck(Impact.model_validate({"object": box}, strict=False), Request(warn=said.append))
    assert len(said) == 1
    assert "not to the 15,000 of exact_hz: there are more than 320" in said[0]
