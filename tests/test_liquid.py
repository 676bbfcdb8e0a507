"""Liquids: bubbles against their closed forms, loops without a seam, and the presets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sound_measures import centroid_hz

from sfxgen.audio import Audio
from sfxgen.draw import Draw
from sfxgen.generate.liquid import _crowd, air_gain, density_of, in_vessel, natural_duration_s, render
from sfxgen.generate.recipe import Request
from sfxgen.manifest.liquid import LIQUIDS, Bubbles, Liquid, Vessel
from sfxgen.manifest.presets import presets
from sfxgen.manifest.texture import Envelope
from sfxgen.physics.bubbles import decay_per_s, minnaert_hz, radii_m
from sfxgen.synths.bubbles import Crowd, ring_crowd

RATE_HZ = 48_000
WATER = LIQUIDS["water"]
LIQUID_PRESETS = [name for name, preset in presets().items() if preset.kind == "liquid"]


def crowd(**rows: list[float]) -> Crowd:
    n = len(next(iter(rows.values())))
    usual = {"onset": 0.0, "frequency_hz": 1000.0, "decay_per_s": 50.0, "amplitude": 1.0, "rise": 0.0}
    return Crowd(**{key: np.array(rows.get(key, [value] * n), dtype=np.float64) for key, value in usual.items()})


def rms(audio: Audio) -> float:
    return float(np.sqrt(np.mean(audio.samples.astype(float) ** 2)))


# --- one bubble -----------------------------------------------------------------------------------------------------


def test_a_bubble_has_minnaerts_pitch() -> None:
    """f r = 3.29 m Hz at 1 atm in water, 3.26 at 1 bar; what is rendered keeps it within 0.1 %, by its crossings."""
    assert float(minnaert_hz(np.array(1.0), WATER)) == pytest.approx(3.287, rel=1e-3)
    assert float(minnaert_hz(np.array(1.0), WATER)) * np.sqrt(100_000 / 101_325) == pytest.approx(3.265, rel=1e-3)
    bubble = {"radius_mm": 3.0, "count": 1, "spread_db": 0, "rise": 0, "ring": 5}
    shot = {"attack_s": 0, "hold_s": 0.001, "decay_s": 0.001}
    spec = Liquid.model_validate({"bubbles": [bubble], "envelope": shot, "jitter": 0})
    (audio,) = render(spec, [Draw(1)], Request(duration_s=0.3))
    y = audio.samples[0].astype(float)
    rising = np.flatnonzero((y[:-1] < 0) & (y[1:] >= 0))
    rising = rising[np.maximum.accumulate(np.abs(y[::-1]))[::-1][rising] > 1e-3 * audio.peak]
    assert len(rising) > 20
    exact = rising - y[rising] / (y[rising + 1] - y[rising])
    found_hz = (len(exact) - 1) / (exact[-1] - exact[0]) * RATE_HZ
    assert found_hz == pytest.approx(float(minnaert_hz(np.array(3e-3), WATER)), rel=1e-3)


def test_a_bubble_dies_away_as_it_should() -> None:
    """0.13 / r + 0.0072 r^{-3/2} in water; viscosity is nothing there and everything in mud."""
    r = np.array([0.5e-3, 1e-3, 5e-3])
    np.testing.assert_allclose(decay_per_s(r, WATER), 0.13 / r + 0.0072 * r**-1.5, rtol=0.02)
    mud = LIQUIDS["mud"]
    viscous = 2 * mud.viscosity_pa_s / (mud.density_kg_m3 * r**2)
    assert np.all(decay_per_s(r, mud) > viscous)
    np.testing.assert_allclose(decay_per_s(r[:1], mud), viscous[:1], rtol=0.02)
    y = ring_crowd(crowd(decay_per_s=[80.0]), 4_800, RATE_HZ, circle=False)
    peaks = np.abs(y).reshape(-1, 48).max(axis=1)  # 1 ms, one period
    slope = np.polyfit(np.arange(60) * 1e-3, np.log(peaks[:60]), 1)[0]
    assert slope == pytest.approx(-80, rel=0.01)


def test_radiation_is_that_of_a_pulsating_sphere() -> None:
    """δ_rad = ω r / c, so d = ω² r / 2c: 0.13 of van den Doel's is that within 12 %."""
    omega_r = 2 * np.pi * float(minnaert_hz(np.array(1.0), WATER))
    assert omega_r**2 / (2 * 1482) == pytest.approx(0.13, rel=0.12)


def test_a_rising_bubble_climbs_by_its_rise_in_the_time_to_one_over_e() -> None:
    y = ring_crowd(crowd(decay_per_s=[10.0], rise=[0.5]), RATE_HZ // 2, RATE_HZ, circle=False)
    crossing = np.flatnonzero((y[:-1] < 0) & (y[1:] >= 0))
    exact = (crossing - y[crossing] / (y[crossing + 1] - y[crossing])) / RATE_HZ
    middle, pitch_hz = (exact[1:] + exact[:-1]) / 2, 1 / np.diff(exact)
    found = np.interp([0.05, 0.1, 0.2], middle, pitch_hz)
    np.testing.assert_allclose(found, [1250, 1500, 2000], rtol=2e-3)


def test_many_bubbles_are_the_sum_of_each() -> None:
    rng = np.random.default_rng(0)
    n = 200
    rows = {
        "onset": list(rng.uniform(0, 9_600, n)),
        "frequency_hz": list(rng.uniform(200, 9_000, n)),
        "decay_per_s": list(rng.uniform(30, 900, n)),
        "amplitude": list(rng.normal(size=n)),
        "rise": list(rng.uniform(0, 0.3, n)),
    }
    together = ring_crowd(crowd(**rows), 9_600, RATE_HZ, circle=False)
    apart = np.zeros(9_600)
    for i in range(n):
        apart += ring_crowd(crowd(**{key: [values[i]] for key, values in rows.items()}), 9_600, RATE_HZ, circle=False)
    np.testing.assert_allclose(together, apart, atol=1e-9)
    on_circle = ring_crowd(crowd(**rows), 9_600, RATE_HZ, circle=True)
    late = ring_crowd(crowd(**rows), 9_600 * 5, RATE_HZ, circle=False).reshape(5, -1).sum(axis=0)
    np.testing.assert_allclose(on_circle, late, atol=1e-9)


def test_nothing_rings_above_nyquist() -> None:
    y = ring_crowd(crowd(frequency_hz=[21_700.0, 15_000.0], rise=[0.0, 4.0]), 4_800, RATE_HZ, circle=False)
    alone = ring_crowd(crowd(frequency_hz=[15_000.0], rise=[0.0]), 48, RATE_HZ, circle=False)
    assert np.abs(y[:20]).max() == pytest.approx(np.abs(alone[:20]).max(), rel=0.02)
    assert not y[2_000:].any()  # passed 21.6 kHz after 2.2 ms


@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.5, 3.0])
def test_radii_follow_their_power_law(exponent: float) -> None:
    r = radii_m(1e-3, 1e-2, exponent, np.random.default_rng(0).uniform(size=50_000))
    assert 1e-3 <= r.min() < r.max() <= 1e-2
    counts, edges = np.histogram(np.log(r), 8)
    slope = np.polyfit((edges[1:] + edges[:-1]) / 2, np.log(counts), 1)[0]
    assert slope == pytest.approx(1 - exponent, abs=0.06)  # in bins of the logarithm


# --- crowds, courses, vessels ---------------------------------------------------------------------------------------


def test_bubbles_come_as_often_as_they_should() -> None:
    """A Poisson process: over many takes mean and variance are both rate times the envelope's area."""
    spec = Liquid.model_validate({"envelope": {"attack_s": 0.4, "hold_s": 0.5, "decay_s": 0.001}})
    drawn = [
        _crowd(spec, Bubbles(rate_hz=100), 1.0, 2 * RATE_HZ, Request(), np.random.default_rng(seed))
        for seed in range(500)
    ]
    counts = [len(each.onset) for each in drawn]
    assert np.mean(counts) == pytest.approx(70, rel=0.02)
    assert np.var(counts) == pytest.approx(70, rel=0.2)
    at_s = np.concatenate([each.onset for each in drawn]) / RATE_HZ
    assert at_s.max() < 0.91
    assert (at_s < 0.4).mean() == pytest.approx(2 / 7, abs=0.02)
    few = [
        _crowd(spec, Bubbles(count=(2, 5)), 1.0, RATE_HZ, Request(), np.random.default_rng(seed)) for seed in range(50)
    ]
    assert {len(each.onset) for each in few} == {2, 3, 4, 5}


def test_an_envelope_says_when() -> None:
    density = density_of(Envelope(delay_s=0.2, attack_s=0.1, hold_s=0.2, decay_s=0.3), 1.0, loop=False)
    assert len(density) == 1000
    assert not density[:200].any()
    assert density[250] == pytest.approx(0.505)
    assert density[300:500].min() == 1
    assert density[600] == pytest.approx(10 ** (-3 * 100.5 / 300), rel=1e-6)
    assert not density[801:].any()
    wrapped = density_of(Envelope(delay_s=0.9, attack_s=0, hold_s=0.2, decay_s=0.01), 1.0, loop=True)
    assert wrapped[950] == wrapped[50] == 1
    assert wrapped[500] == 0


def test_a_vessel_rings_at_odd_quarter_waves_that_rise_as_it_fills() -> None:
    vessel = Vessel(height_m=0.2, radius_m=0.03, fill=(0.0, 0.8), level_db=20)
    f = np.arange(50.0, 4_000.0)
    for fill, length in ((0.0, 0.2183), (0.5, 0.1183)):
        gain = np.abs(air_gain(f, vessel, fill))
        first = float(f[gain.argmax()])
        assert first == pytest.approx(343 / (4 * length), rel=0.01)
        third = f > 2 * first
        assert float(f[third][gain[third].argmax()]) == pytest.approx(3 * first, rel=0.02)
        assert 20 * np.log10(gain.max()) == pytest.approx(20, abs=1)
    noise = np.random.default_rng(0).normal(size=RATE_HZ * 2)
    wet = in_vessel(noise, vessel, RATE_HZ, loop=False)
    start, end = (Audio.of(part, RATE_HZ) for part in (wet[: RATE_HZ // 2], wet[-RATE_HZ // 2 :]))
    peak_hz = [float(np.abs(np.fft.rfft(a.samples[0]))[100:2000].argmax() + 100) * 2 for a in (start, end)]
    assert peak_hz[1] > 2 * peak_hz[0]


def test_without_resonance_a_vessel_changes_nothing() -> None:
    """The windows add up to one, on a line and on a circle."""
    noise = np.random.default_rng(0).normal(size=30_720)
    for loop in (False, True):
        wet = in_vessel(noise, Vessel(level_db=0), RATE_HZ, loop)
        np.testing.assert_allclose(wet, noise, atol=1e-9)


def test_harder_takes_are_louder_and_larger_bubbles_lower() -> None:
    def made(radius_mm: list[float], place: float = 0.5) -> Audio:
        spec = Liquid.model_validate({"bubbles": [{"radius_mm": radius_mm, "rate_hz": 200}], "jitter": 1})
        return render(spec, [Draw(1, (place, place))], Request(duration_s=1.0))[0]

    assert rms(made([1, 4], 0.9)) > 1.5 * rms(made([1, 4], 0.1))
    assert centroid_hz(made([0.5, 2])) > 2 * centroid_hz(made([2, 8]))
    assert centroid_hz(made([0.5, 2])) > centroid_hz(made([2, 8])) > centroid_hz(made([8, 32]))


# --- loops, takes, presets ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in LIQUID_PRESETS if presets()[n].entry.get("loop")])
def test_a_loop_has_no_seam(name: str) -> None:
    """What rings past the end goes on at the start: around the seam no step exceeds those within."""
    spec = Liquid.model_validate(presets()[name].body)
    (audio,) = render(spec, [Draw(2)], Request(duration_s=2.0, loop=True))
    assert audio.n_frames == 2 * RATE_HZ
    steps = np.abs(np.diff(np.roll(audio.samples[0].astype(float), 1000)))
    assert steps[990:1010].max() <= steps.max()
    assert steps[999] <= 3 * np.median(steps[900:1100]) + 0.2 * steps.max()


def test_takes_differ_alone_or_in_company_and_come_back_the_same() -> None:
    spec = Liquid.model_validate(presets()["stone_splash"].body)
    draws = [Draw(seed) for seed in range(3)]
    takes = render(spec, draws, Request())
    assert len({take.samples.tobytes() for take in takes}) == 3
    for draw, take in zip(draws, takes, strict=True):
        assert render(spec, [draw], Request())[0].samples.tobytes() == take.samples.tobytes()


@pytest.mark.parametrize("name", LIQUID_PRESETS)
def test_every_preset_makes_three_sane_takes(name: str) -> None:
    preset = presets()[name]
    assert preset.entry.keys() <= {"duration_s", "loop"}
    spec = Liquid.model_validate(preset.body)
    request = Request(duration_s=preset.entry.get("duration_s"), loop=bool(preset.entry.get("loop")))
    takes = render(spec, [Draw(1, (place, place)) for place in (0, 0.5, 1)], request)
    for take in takes:
        assert 0.01 < take.peak < 2
        assert 0.2 < take.duration_s < 9
        assert 60 < centroid_hz(take) < 6_000
        if not request.loop:
            assert np.abs(take.samples[0, -10:]).max() < 1e-3 * take.peak


def test_drips_are_high_splashes_broad_and_lava_low() -> None:
    def centroid(name: str) -> float:
        return centroid_hz(render(Liquid.model_validate(presets()[name].body), [Draw(3)], Request())[0])

    assert centroid("water_drip") > 3 * centroid("potion_bubbling") > 3 * 50
    assert centroid("lava_bubbling") < centroid("boiling_water") < centroid("water_stream")


def test_a_sound_without_envelope_goes_on_and_one_with_it_ends() -> None:
    assert natural_duration_s(Liquid()) == 4.0
    shot = Liquid.model_validate({"envelope": {"attack_s": 0, "hold_s": 0.1, "decay_s": 0.4}})
    ring_s = np.log(1000) / float(decay_per_s(np.array(4e-3), WATER))
    assert natural_duration_s(shot) == pytest.approx(0.5 + ring_s, abs=0.041)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"liquid": "wine"}, "'water', 'oil', 'slime'"),
        ({"bubbles": [{"radius_mm": 0}]}, "from 0.1 to 300"),
        ({"bubbles": [{"radius_mm": [4, 1]}]}, "the lower first"),
        ({"bubbles": []}, "at least one crowd of bubbles"),
        ({"vessel": {"fill": 1.5}}, "from 0 to 0.98"),
        ({"bubbles": [{"count": 0}]}, "from 1 to 1000"),
    ],
)
def test_faults_name_what_was_expected(section: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Liquid.model_validate(section)
    assert words in str(caught.value)
