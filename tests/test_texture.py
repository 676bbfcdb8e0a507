"""Textures: bands where, as wide and as loud as written; grains as many as written; loops that are one exact period."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from sound_measures import centroid_hz, check_gradients, log_spectral_distance_db

from sfxgen.audio import Audio
from sfxgen.draw import Draw
from sfxgen.generate import texture as recipe
from sfxgen.generate.recipe import Request
from sfxgen.manifest.presets import presets
from sfxgen.manifest.texture import Texture
from sfxgen.synths.texture import TextureSynth, TextureVariation, draw_noise, draw_shower

RATE_HZ = 48_000
TEXTURE_PRESETS = [name for name, preset in presets().items() if preset.kind == "texture"]
CENTROID_HZ = {  # family → where a third party would look for its energy
    "explosion_near": (100, 1500),
    "explosion_far": (40, 250),
    "gunshot": (800, 5000),
    "thunder": (60, 800),
    "wind": (150, 1500),
    "rain": (3000, 9000),
    "campfire": (300, 4000),
    "steam": (3000, 9500),
    "waterfall": (1000, 6000),
    "stream": (700, 4000),
    "surf": (400, 3500),
    "whoosh": (500, 3500),
    "sword": (1000, 5000),
    "footstep": (150, 7500),
    "cloth": (1000, 7500),
    "paper": (2500, 9000),
    "static": (5000, 14_000),
    "room": (60, 1000),
    "cave": (60, 800),
    "rocket": (100, 2000),
    "debris": (300, 3500),
    "electric": (2500, 9000),
    "splash": (800, 5000),
}


def variation_of(spec: Texture, n_frames: int, seed: int = 1, loop: bool = True) -> TextureVariation:
    """The sound as written, with this seed's noise and grains."""
    rng = np.random.default_rng(seed)
    noise, gusts = draw_noise(spec, rng, n_frames, RATE_HZ)
    one, none = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    band_db = torch.zeros(1, len(spec.bands), dtype=torch.float64)
    showers = tuple(draw_shower(g, spec.envelope, rng, n_frames, RATE_HZ, loop) for g in spec.grains)
    return TextureVariation(one, one, one, none, band_db, noise, gusts, showers)


def synth(body: dict[str, Any], n_frames: int, seed: int = 1, loop: bool = True) -> NDArray[np.float64]:
    spec = Texture.model_validate(body)
    module = TextureSynth(spec, n_frames, RATE_HZ, loop, dtype=torch.float64)
    with torch.inference_mode():
        return np.asarray(module(variation_of(spec, n_frames, seed, loop))[0].numpy(), dtype=np.float64)


def preset_takes(name: str, n_takes: int = 1, intensity: tuple[float, float] = (0.0, 1.0)) -> list[Audio]:
    preset = presets()[name]
    request = Request(duration_s=preset.entry.get("duration_s"), loop=preset.entry.get("loop", False))
    draws = [Draw(7 + i, intensity) for i in range(n_takes)]
    return recipe.render(Texture.model_validate(preset.body), draws, request)


def smoothed_power(y: NDArray[np.float64], octaves: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean power density in steps of `octaves` from 40 Hz to 18 kHz, and the steps' middles (Hz)."""
    power = np.abs(np.fft.rfft(y)) ** 2
    f_hz = np.fft.rfftfreq(len(y), 1 / RATE_HZ)
    edges_hz = np.exp2(np.arange(math.log2(40), math.log2(18_000), octaves))
    total, _ = np.histogram(f_hz, edges_hz, weights=power)
    count, _ = np.histogram(f_hz, edges_hz)
    return np.sqrt(edges_hz[1:] * edges_hz[:-1]), total / np.maximum(count, 1)


@pytest.mark.parametrize(("centre_hz", "width_octaves"), [(500, 1.0), (2000, 2.0), (4000, 0.5)])
def test_a_band_has_its_centre_width_and_level(centre_hz: float, width_octaves: float) -> None:
    body = {"bands": [{"centre_hz": centre_hz, "width_octaves": width_octaves, "level_db": -20}]}
    y = synth(body, 20 * RATE_HZ)
    assert 20 * math.log10(np.sqrt(np.mean(y**2))) == pytest.approx(-20, abs=0.3)
    f_hz, density = smoothed_power(y, 1 / 24)
    near = density > 0.02 * density.max()
    octaves = np.log2(f_hz[near] / centre_hz)
    parabola = np.polyfit(octaves, np.log2(density[near]), 2, w=np.sqrt(f_hz[near]))  # ½ the power is −1 here
    middle = -parabola[1] / (2 * parabola[0])
    assert middle == pytest.approx(0, abs=0.03)
    assert 2 * math.sqrt(-1 / parabola[0]) == pytest.approx(width_octaves, rel=0.06)


def test_a_tilt_tilts() -> None:
    body: dict[str, Any] = {"bands": [{"centre_hz": 1000, "width_octaves": 10}]}
    f_hz, flat = smoothed_power(synth(body, 10 * RATE_HZ), 1 / 3)
    _, tilted = smoothed_power(synth({**body, "tilt_db_per_octave": -3}, 10 * RATE_HZ), 1 / 3)
    slope = np.polyfit(np.log2(f_hz), 10 * np.log10(tilted / flat), 1)[0]
    assert slope == pytest.approx(-3, abs=0.05)


def test_gusts_move_the_level_by_the_stated_deviation_and_no_faster_than_stated() -> None:
    body = {"bands": [{"centre_hz": 5000, "width_octaves": 3, "gust_db": 6, "gust_hz": 0.5}]}
    y = synth(body, 40 * RATE_HZ)
    level_db = 10 * np.log10(np.mean(y.reshape(-1, 2400) ** 2, axis=1))  # every 50 ms
    assert np.std(level_db) == pytest.approx(6, rel=0.25)
    spectrum = np.abs(np.fft.rfft(level_db - level_db.mean())) ** 2
    rate_hz = np.fft.rfftfreq(len(level_db), 0.05)
    assert spectrum[rate_hz > 2.0].sum() < 0.05 * spectrum.sum()


@pytest.mark.parametrize("correlation", [0.0, 1.0])
def test_gusts_take_bands_together_or_apart(correlation: float) -> None:
    gust = {"gust_db": 6, "gust_hz": 1.0, "width_octaves": 0.5}
    body = {"bands": [{"centre_hz": 500, **gust}, {"centre_hz": 8000, **gust}], "gust_correlation": correlation}
    y = synth(body, 40 * RATE_HZ)
    bins = np.fft.rfft(y)
    split = 2000 * 40
    low, high = (
        np.fft.irfft(np.where(np.arange(len(bins)) < split, bins, 0)),
        np.fft.irfft(bins * (np.arange(len(bins)) >= split)),
    )
    levels_db = [10 * np.log10(np.mean(part.reshape(-1, 4800) ** 2, axis=1)) for part in (low, high)]
    measured = float(np.corrcoef(*levels_db)[0, 1])
    assert measured > 0.9 if correlation else abs(measured) < 0.4


def test_a_wandering_band_moves_and_keeps_its_period() -> None:
    body = {"bands": [{"centre_hz": 1000, "width_octaves": 0.1, "gust_hz": 0.5, "wander_octaves": 0.3}]}
    y = synth(body, 8 * RATE_HZ)
    parts = y.reshape(-1, 4800)
    spectra = np.abs(np.fft.rfft(parts * np.hanning(4800))) ** 2
    centres_hz = (spectra * np.fft.rfftfreq(4800, 1 / RATE_HZ)).sum(1) / spectra.sum(1)
    assert np.std(np.log2(centres_hz)) == pytest.approx(0.3, rel=0.35)
    check_seam(y)


def test_a_band_rises_with_its_envelope() -> None:
    envelope = {"attack_s": 0.5, "hold_s": 0.2, "decay_s": 0.5}
    body = {"bands": [{"centre_hz": 2000, "width_octaves": 0.2, "rise_octaves": 2, "envelope": envelope}]}
    y = synth(body, RATE_HZ, loop=False)

    def centre_at_hz(second: float) -> float:
        start = round(second * RATE_HZ)
        power = np.abs(np.fft.rfft(y[start - 1200 : start + 1200] * np.hanning(2400))) ** 2
        return float((power * np.fft.rfftfreq(2400, 1 / RATE_HZ)).sum() / power.sum())

    assert centre_at_hz(0.6) == pytest.approx(2000, rel=0.05)
    assert centre_at_hz(0.25) == pytest.approx(1000, rel=0.15), "at half the envelope, one of two octaves below"


def test_grains_are_as_many_as_written() -> None:
    grains = {"rate_hz": 50, "centre_hz": 5000, "duration_s": 0.002, "level_db": -6}
    spec = Texture.model_validate({"bands": [], "grains": [grains]})
    counts = [
        len(draw_shower(spec.grains[0], None, np.random.default_rng(s), 20 * RATE_HZ, RATE_HZ, True).onset)
        for s in range(10)
    ]
    assert np.mean(counts) == pytest.approx(1000, abs=4 * math.sqrt(1000 / 10))
    assert np.var(counts) == pytest.approx(1000, rel=1.5), "as scattered as a Poisson process"
    y = synth({"bands": [], "grains": [{**grains, "rate_hz": 5}]}, 20 * RATE_HZ)
    loud = np.flatnonzero(np.abs(y) > 0.02)
    heard = 1 + int((np.diff(loud) > 120).sum())
    expected = variation_of(Texture.model_validate({"bands": [], "grains": [{**grains, "rate_hz": 5}]}), 20 * RATE_HZ)
    assert heard == pytest.approx(len(expected.showers[0].onset), abs=4), "but for those that fall together"


def test_a_grain_has_its_pitch_peak_and_decay() -> None:
    grains = {"rate_hz": 1, "centre_hz": 2000, "duration_s": 0.1, "level_db": -6}
    spec = Texture.model_validate({"bands": [], "grains": [grains]})
    drawn = variation_of(spec, RATE_HZ)
    shower = replace(
        drawn.showers[0],
        **{
            key: torch.tensor([value])
            for key, value in {
                "row": 0,
                "onset": 1000.0,
                "pitch": 0.5,
                "duration": 0.5,
                "level": 0.5,
                "phase": 0.0,
            }.items()
        },
    )
    shower = replace(
        shower, **{key: getattr(shower, key).double() for key in ("onset", "pitch", "duration", "level", "phase")}
    )
    with torch.inference_mode():
        module = TextureSynth(spec, RATE_HZ, RATE_HZ, True, dtype=torch.float64)
        y = module(replace(drawn, showers=(shower,)))[0].numpy()
    assert np.abs(y[:1000]).max() == 0.0
    spectrum = np.abs(np.fft.rfft(y))
    assert np.argmax(spectrum) == pytest.approx(2000, abs=3)
    assert 0.35 < np.abs(y).max() < 0.5

    def level_db(second: float) -> float:
        start = 1000 + round(second * RATE_HZ)
        return 20 * math.log10(np.abs(y[start : start + 48]).max())

    assert level_db(0.07) - level_db(0.02) == pytest.approx(-30, abs=0.5)


def test_a_one_shot_decays_as_written() -> None:
    body = {
        "bands": [{"centre_hz": 3000, "width_octaves": 3}],
        "envelope": {"attack_s": 0.01, "hold_s": 0.1, "decay_s": 1.0},
    }
    powers = np.mean([synth(body, RATE_HZ, seed, loop=False).reshape(-1, 480) ** 2 for seed in range(8)], axis=(0, 2))
    level_db = 10 * np.log10(powers[14:80])  # from 0.14 s to 0.8 s
    slope_db_s = np.polyfit(np.arange(len(level_db)) * 0.01, level_db, 1)[0]
    assert slope_db_s == pytest.approx(-60, rel=0.03)


def test_a_one_shot_starts_and_ends_in_silence() -> None:
    for body in ({}, {"envelope": {"decay_s": 5.0}}):
        y = synth(body, 9600, loop=False)
        assert np.abs(y).max() > 0.1
        assert abs(y[0]) < 1e-3
        assert abs(y[-1]) < 1e-3


def check_seam(y: NDArray[np.float64]) -> None:
    """A loop's steps and bends over the seam are no larger than inside; the spectrum across it is that of elsewhere."""
    round_the_seam = np.concatenate([y[-4:], y[:4]])
    for order in (1, 2, 3):
        assert np.abs(np.diff(round_the_seam, order)).max() <= np.abs(np.diff(y, order)).max()
    window = np.hanning(2048)

    def levels_db(centre: int) -> NDArray[np.float64]:
        power = np.abs(np.fft.rfft(np.take(y, np.arange(centre - 1024, centre + 1024), mode="wrap") * window)) ** 2
        edges = np.unique(np.geomspace(2, 1024, 12).astype(int))
        return np.asarray(10 * np.log10(np.add.reduceat(power, edges) + 1e-20))

    elsewhere = np.array([levels_db(c) for c in np.linspace(4096, len(y) - 4096, 60).astype(int)])
    assert (levels_db(0) <= elsewhere.max(0) + 3).all()
    assert (levels_db(0) >= elsewhere.min(0) - 3).all()


@pytest.mark.parametrize("name", [n for n in TEXTURE_PRESETS if presets()[n].entry.get("loop")])
def test_a_loop_has_no_seam(name: str) -> None:
    y = preset_takes(name)[0].samples[0].astype(np.float64)
    assert len(y) % 1920 == 0
    check_seam(y)


def test_a_loop_rolled_in_time_is_the_same_render() -> None:
    """Every part lives on a circle: turning the noise, gusts and grains by some frames turns the block, exactly."""
    spec = Texture.model_validate(
        {
            "bands": [
                {"centre_hz": 900, "gust_db": 5, "gust_hz": 1},
                {"centre_hz": 3000, "gust_db": 3, "gust_hz": 2},
            ],
            "grains": [{"rate_hz": 60, "chirp_octaves": 0.5}],
        }
    )
    n, by = 48_000, 12_345
    module = TextureSynth(spec, n, RATE_HZ, True, dtype=torch.float64)
    v = variation_of(spec, n)

    def turned(spectrum: torch.Tensor) -> torch.Tensor:
        k = torch.arange(spectrum.shape[-1], dtype=torch.float64)
        return spectrum * torch.exp(-2j * math.pi * k * by / n)

    shower = replace(v.showers[0], onset=torch.remainder(v.showers[0].onset + by, n))
    rolled = replace(v, noise=turned(v.noise), gusts=torch.roll(v.gusts, by, -1), showers=(shower,))
    with torch.inference_mode():
        first, second = module(v)[0].numpy(), module(rolled)[0].numpy()
    assert np.abs(first).max() > 0.1
    np.testing.assert_allclose(np.roll(first, by), second, atol=1e-9)


def test_a_looped_envelope_folds_its_tail_into_the_next_period() -> None:
    """One period of the loop is the sum of the one-shot's pieces: 1 + ½ + ¼ … where it falls by half a period."""
    fall_s = 3.0 / math.log10(2.0) * 0.2  # falls by half in 0.2 s
    spec = Texture.model_validate({"bands": [{"envelope": {"attack_s": 0, "decay_s": fall_s}}]})
    module = TextureSynth(spec, 9600, RATE_HZ, True, dtype=torch.float64)
    with torch.inference_mode():
        level = module.controls(variation_of(spec, 9600)).level[0, 0].numpy() / 10 ** (-18 / 20)
    assert level[4800] == pytest.approx(2 * 2**-0.5, rel=2e-3)
    assert level[-1] == pytest.approx(level[100] / 2, rel=0.03)


def test_gradients_agree_with_finite_differences() -> None:
    spec = Texture.model_validate(
        {
            "bands": [
                {"centre_hz": 900, "width_octaves": 0.6, "gust_db": 3, "gust_hz": 20, "wander_octaves": 0.1},
                {
                    "centre_hz": 2500,
                    "rise_octaves": 0.5,
                    "gust_hz": 30,
                    "envelope": {"delay_s": 0.0013, "attack_s": 0.0061, "hold_s": 0.0037, "decay_s": 0.03},
                },
            ],
            "grains": [{"rate_hz": 800, "duration_s": [0.003, 0.006], "chirp_octaves": 0.3, "level_db": [-20, -6]}],
            "tilt_db_per_octave": -1.5,
        }
    )
    n = 1200
    module = TextureSynth(spec, n, RATE_HZ, dtype=torch.float64)
    variation = variation_of(spec, n, loop=False)
    assert len(variation.showers[0].onset) > 5
    weights = torch.from_numpy(np.random.default_rng(3).standard_normal(n))
    check_gradients(module, lambda: (module(variation)[0] * weights).sum())


def test_the_same_draw_gives_the_same_bytes_alone_or_among_others() -> None:
    spec = Texture.model_validate(presets()["footstep_gravel"].body)
    first, second = recipe.render(spec, [Draw(3), Draw(4)], Request())
    assert recipe.render(spec, [Draw(4)], Request())[0].samples.tobytes() == second.samples.tobytes()
    assert first.samples.tobytes() != second.samples.tobytes()


def test_the_quietest_level_and_no_grains_are_silence() -> None:
    nothing = {"bands": [], "grains": [{"rate_hz": 0}]}
    assert np.abs(synth(nothing, 4800)).max() == 0.0
    above_nyquist = Texture.model_validate({"bands": [{"centre_hz": 12_000}]})
    quiet = recipe.render(above_nyquist, [Draw(1)], Request(rate_hz=16_000, duration_s=0.5))[0]
    assert quiet.peak == 0.0


def test_loops_last_whole_frames_at_every_usual_rate() -> None:
    for rate_hz in (8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000):
        audio = recipe.render(Texture(), [Draw(1)], Request(rate_hz=rate_hz, duration_s=0.333, loop=True))[0]
        assert audio.n_frames * 48_000 == 15_360 * rate_hz, "8/25 s"


@pytest.mark.parametrize("name", ["explosion_near", "footstep_snow", "whoosh", "splash", "gunshot"])
def test_variations_differ_but_stay_the_same_sound(name: str) -> None:
    takes = preset_takes(name, 5)
    within = [log_spectral_distance_db(a, b) for i, a in enumerate(takes) for b in takes[:i]]
    others = [preset_takes(other)[0] for other in ("steam", "debris", "footstep_boards", "electric_spark", "paper")]
    apart = [log_spectral_distance_db(takes[0], other) for other in others]
    assert 3.0 < np.mean(within) < 9.0
    assert max(within) < min(apart)


def test_harder_is_louder_and_brighter() -> None:
    for name in ("explosion_near", "footstep_gravel", "rocket_thruster"):
        soft = preset_takes(name, 3, (0.0, 0.1))
        hard = preset_takes(name, 3, (0.9, 1.0))
        rms = [np.mean([np.sqrt(np.mean(a.samples**2)) for a in takes]) for takes in (hard, soft)]
        assert 8 < 20 * math.log10(rms[0] / rms[1]) < 15, name
        assert np.mean([centroid_hz(a) for a in hard]) > np.mean([centroid_hz(a) for a in soft]), name


@pytest.mark.parametrize("name", TEXTURE_PRESETS)
def test_preset_is_sound_and_in_its_family(name: str) -> None:
    family = max((key for key in CENTROID_HZ if name.startswith(key)), key=len)
    low_hz, high_hz = CENTROID_HZ[family]
    audio = preset_takes(name)[0]
    assert 0.02 < audio.peak <= 1.0
    assert low_hz < centroid_hz(audio) < high_hz
    assert 0.1 < audio.duration_s <= 10.0
    assert preset_takes(name, 1, (1.0, 1.0))[0].peak <= 1.0


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"bands": [], "grains": []}, "at least one band"),
        ({"bands": [{"centre_hz": 5}]}, "greater than or equal to 20"),
        ({"grains": [{"level_db": [-10, -20]}]}, "low, high"),
        ({"bands": [{"centre": 500}]}, "Extra inputs"),
    ],
)
def test_what_cannot_be_made_is_refused_in_plain_words(body: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        Texture.model_validate(body)
