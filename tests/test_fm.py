"""FM: sidebands where and as strong as Bessel functions say, pitch and envelopes as written, exact loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy.signal import hilbert
from scipy.special import jv
from sound_measures import centroid_hz, check_gradients, log_spectral_distance_db

from sfxgen.audio import Audio
from sfxgen.draw import Draw
from sfxgen.generate import fm as recipe
from sfxgen.generate.recipe import Request
from sfxgen.manifest.fm import Fm
from sfxgen.manifest.presets import presets
from sfxgen.synths.fm import FmSynth, FmVariation

RATE_HZ = 48_000
STEADY = {"attack_s": 0, "decay_s": 0.001, "sustain": 1, "release_s": 0}
FM_PRESETS = [name for name, preset in presets().items() if preset.kind == "fm"]
CENTROID_HZ = {  # family → where a third party would look for its energy
    "laser": (400, 5000),
    "coin": (1000, 2000),
    "gem": (1200, 5000),
    "jump": (250, 1000),
    "power_up": (400, 2500),
    "power_down": (100, 900),
    "hurt": (300, 2500),
    "alarm": (600, 3000),
    "siren": (600, 3000),
    "engine": (50, 500),
    "computer_hum": (100, 500),
    "computer": (800, 3500),
    "ui_click": (1500, 6000),
    "ui": (400, 2500),
    "switch": (1500, 6000),
    "notification": (700, 3000),
    "teleport": (500, 5000),
    "charge": (300, 3000),
    "shield": (150, 1500),
    "radio": (800, 3000),
    "error": (100, 1200),
    "magic": (1500, 6000),
    "bell": (300, 1500),
    "death": (150, 1200),
    "sonar": (800, 1500),
}


def synth(body: dict[str, Any], n_frames: int, loop: bool = False) -> NDArray[np.float64]:
    """The sound as written, [frames], float64."""
    module = FmSynth(Fm.model_validate(body), n_frames, RATE_HZ, loop, dtype=torch.float64)
    with torch.inference_mode():
        return np.asarray(module(FmVariation.neutral(n_frames))[0].numpy(), dtype=np.float64)


def preset_takes(name: str, n_takes: int = 1, intensity: tuple[float, float] = (0.0, 1.0)) -> list[Audio]:
    preset = presets()[name]
    request = Request(duration_s=preset.entry.get("duration_s"), loop=preset.entry.get("loop", False))
    return recipe.render(Fm.model_validate(preset.body), [Draw(7 + i, intensity) for i in range(n_takes)], request)


@pytest.mark.parametrize("index", [0.5, 2.0, 5.0])
def test_sidebands_lie_at_carrier_plus_k_modulators_with_bessel_amplitudes(index: float) -> None:
    carrier_hz, modulator_hz = 12_000, 500
    body = {
        "pitch_hz": carrier_hz,
        "operators": [STEADY, {**STEADY, "hz": modulator_hz, "level": 0}],
        "modulation": [[0, 0], [index, 0]],
    }
    amplitude = np.abs(np.fft.rfft(synth(body, RATE_HZ, loop=True))) / (RATE_HZ / 2)  # bins of 1 Hz
    for k in range(-8, 9):
        assert amplitude[carrier_hz + k * modulator_hz] == pytest.approx(abs(jv(k, index)), abs=1e-9)
    sidebands = [carrier_hz + k * modulator_hz for k in range(-24, 25)]
    amplitude[sidebands] = 0.0
    assert amplitude.max() < 1e-9, "nothing sounds between the sidebands"


def test_three_operators_equal_a_plain_loop_over_the_equations() -> None:
    body = {
        "pitch_hz": 200,
        "operators": [
            {"attack_s": 0.01, "hold_s": 0.02, "decay_s": 0.4, "release_s": 0, "level": 0.5},
            {
                "ratio": 1.5,
                "detune_hz": 2,
                "attack_s": 0.005,
                "decay_s": 0.2,
                "sustain": 0.3,
                "release_s": 0,
                "level": 0.25,
            },
            {"hz": 310, "attack_s": 0.002, "decay_s": 0.3, "release_s": 0, "level": 0},
        ],
        "modulation": [[0, 0, 0], [1.7, 0, 0], [0.4, 2.1, 0]],
    }
    n = 9600
    t = np.arange(n) / RATE_HZ

    def envelope(attack_s: float, hold_s: float, decay_s: float, sustain: float) -> NDArray[np.float64]:
        rise = np.where(t < attack_s, 0.5 - 0.5 * np.cos(np.pi * t / attack_s), 1.0)
        fall = np.power(10.0, -3.0 * np.maximum(t - attack_s - hold_s, 0) / decay_s)
        return np.asarray(rise * (sustain + (1 - sustain) * fall))

    shortest_s = 1e-4  # a hold of 0 counts as that, as a release does
    third = envelope(0.002, shortest_s, 0.3, 0) * np.sin(2 * np.pi * 310 * t)
    second = envelope(0.005, shortest_s, 0.2, 0.3) * np.sin(2 * np.pi * 302 * t + 2.1 * third)
    first = envelope(0.01, 0.02, 0.4, 0) * np.sin(2 * np.pi * 200 * t + 1.7 * second + 0.4 * third)
    before_release = n - math.ceil(shortest_s * RATE_HZ) - 1
    made = synth(body, n)
    assert np.abs(made).max() > 0.4
    np.testing.assert_allclose(made[:before_release], (0.5 * first + 0.25 * second)[:before_release], atol=1e-10)


@pytest.mark.parametrize("curve", ["settle", "steady"])
def test_sweep_follows_its_formula(curve: str) -> None:
    body = {
        "pitch_hz": 1000,
        "operators": [STEADY],
        "sweep": {"start_semitones": 12, "end_semitones": -5, "time_s": 0.15, "curve": curve},
    }
    y = synth(body, 14_400)
    phase = np.unwrap(np.angle(hilbert(y)))
    measured_hz = np.diff(phase) * RATE_HZ / (2 * np.pi)
    t = (np.arange(len(y) - 1)) / RATE_HZ
    left = np.exp(-t / 0.15) if curve == "settle" else np.maximum(1 - t / 0.15, 0)
    expected_hz = 1000 * 2 ** ((-5 + 17 * left) / 12)
    inner = slice(1000, -1000)  # the Hilbert transform rings at the ends
    np.testing.assert_allclose(measured_hz[inner], expected_hz[inner], rtol=0.005)


def test_envelope_takes_the_times_that_it_is_given() -> None:
    body = {"pitch_hz": 4000, "operators": [{"attack_s": 0.1, "hold_s": 0.1, "decay_s": 0.5, "level": 1}]}
    level = np.abs(hilbert(synth(body, RATE_HZ)))

    def at(seconds: float) -> float:
        return float(level[round(seconds * RATE_HZ)])

    assert at(0.05) == pytest.approx(0.5, abs=0.01), "half way up at half the attack"
    assert at(0.15) == pytest.approx(1.0, abs=0.01)
    assert 20 * math.log10(at(0.2 + 0.25)) == pytest.approx(-30, abs=0.2), "60 dB in decay_s"
    assert level[-1] < 1e-4


def test_vibrato_and_tremolo_have_the_stated_depth() -> None:
    body = {"pitch_hz": 2000, "operators": [STEADY], "vibrato": {"rate_hz": 5, "depth_semitones": 2}}
    frequency_hz = np.diff(np.unwrap(np.angle(hilbert(synth(body, RATE_HZ, loop=True))))) * RATE_HZ / (2 * np.pi)
    assert 12 * math.log2(frequency_hz.max() / frequency_hz.min()) == pytest.approx(4.0, abs=0.02)
    body = {"pitch_hz": 2000, "operators": [STEADY], "tremolo": {"rate_hz": 5, "depth": 0.6}}
    level = np.abs(hilbert(synth(body, RATE_HZ, loop=True)))
    assert level.min() / level.max() == pytest.approx(0.4, abs=0.005)


def test_notes_sound_at_their_pitches_and_times() -> None:
    notes = [{"at_s": 0}, {"at_s": 0.1, "semitones": 5}, {"at_s": 0.2, "semitones": 12, "level_db": -6}]
    y = synth({"pitch_hz": 1000, "operators": [STEADY], "notes": notes}, 14_400)
    for k, (semitones, gain) in enumerate([(0, 1.0), (5, 1.0), (12, 10 ** (-6 / 20))]):
        part = y[k * 4800 + 480 : (k + 1) * 4800 - 480]
        spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 18))
        assert np.argmax(spectrum) * RATE_HZ / (1 << 18) == pytest.approx(1000 * 2 ** (semitones / 12), rel=1e-3)
        assert np.abs(part).max() == pytest.approx(gain, abs=0.01)


def test_the_limit_keeps_a_wide_index_from_folding_back() -> None:
    body = {
        "pitch_hz": 9001,
        "operators": [STEADY, {**STEADY, "hz": 2003, "level": 0}],
        "modulation": [[0, 0], [20, 0]],
    }
    amplitude = np.abs(np.fft.rfft(synth(body, RATE_HZ, loop=True))) / (RATE_HZ / 2)
    true = np.zeros(len(amplitude), dtype=bool)
    true[[abs(9001 + 2003 * k) for k in range(-16, 8)]] = True
    aliased = math.sqrt(float((amplitude[~true] ** 2).sum() / (amplitude[true] ** 2).sum()))
    turns = 2 * np.pi * np.arange(RATE_HZ) / RATE_HZ
    unlimited = np.sin(9001 * turns + 20 * np.sin(2003 * turns))
    raw = np.abs(np.fft.rfft(unlimited)) / (RATE_HZ / 2)
    assert math.sqrt(float((raw[~true] ** 2).sum() / (raw[true] ** 2).sum())) > 0.3
    assert aliased < 0.04, "28 dB below the true sidebands (measured: 29 dB)"


def test_an_operator_at_or_above_nyquist_is_silent() -> None:
    assert np.abs(synth({"pitch_hz": 16_000, "operators": [{**STEADY, "ratio": 1.5}]}, 4800)).max() == 0.0


def test_zero_level_is_silence() -> None:
    body = {"operators": [{"level": 0}, {"level": 0}], "modulation": [[0, 0], [3, 0]]}
    assert np.abs(synth(body, 4800)).max() == 0.0


def test_gradients_agree_with_finite_differences() -> None:
    spec = Fm.model_validate(
        {
            "pitch_hz": 220,
            "operators": [
                {"attack_s": 0.0031, "hold_s": 0.0042, "decay_s": 0.05, "sustain": 0.4, "level": 0.6},
                {"ratio": 2.3, "detune_hz": 1, "attack_s": 0.002, "decay_s": 0.06, "sustain": 0.5, "level": 0.2},
            ],
            "modulation": [[0, 0], [1.3, 0]],
            "sweep": {"start_semitones": 4, "end_semitones": -2, "time_s": 0.02},
            "vibrato": {"rate_hz": 30, "depth_semitones": 0.5},
            "tremolo": {"rate_hz": 40, "depth": 0.3},
            "noise": {"level": 0.2, "centre_hz": 2000, "width_octaves": 1, "sustain": 0.5},
        }
    )
    n = 1200
    rng = np.random.default_rng(5)
    white = torch.from_numpy(rng.standard_normal((1, n // 2 + 1)) + 1j * rng.standard_normal((1, n // 2 + 1)))
    one = torch.ones(1, dtype=torch.float64)
    variation = FmVariation(one, one, one, one, white)
    weights = torch.from_numpy(rng.standard_normal(n))
    module = FmSynth(spec, n, RATE_HZ, dtype=torch.float64)
    check_gradients(module, lambda: (module(variation)[0] * weights).sum())


@pytest.mark.parametrize("name", [n for n in FM_PRESETS if presets()[n].entry.get("loop")])
def test_a_loops_seam_is_as_smooth_as_its_inside(name: str) -> None:
    y = preset_takes(name)[0].samples[0].astype(np.float64)
    assert len(y) % 1920 == 0
    round_the_seam = np.concatenate([y[-4:], y[:4]])
    for order in (1, 2, 3):
        assert np.abs(np.diff(round_the_seam, order)).max() <= np.abs(np.diff(y, order)).max()


def test_a_loop_with_odd_frequencies_comes_out_in_whole_cycles() -> None:
    """The oscillators' own continuation after the last frame is the first frame: every phase is back at 0."""
    body = {
        "pitch_hz": 101.3,
        "operators": [STEADY, {**STEADY, "ratio": 1.4142, "level": 0.3}, {**STEADY, "hz": 7.77, "level": 0}],
        "modulation": [[0, 0, 0], [2.0, 0, 0], [0, 1.5, 0]],
        "vibrato": {"rate_hz": 3.3, "depth_semitones": 1},
    }
    n = 9600
    module = FmSynth(Fm.model_validate(body), n, RATE_HZ, loop=True, dtype=torch.float64)
    with torch.inference_mode():
        controls = module.controls(FmVariation.neutral(n))
    after_last = (controls.cycles[0, :, -1] + controls.frequency_hz[0, :, -1] / RATE_HZ).numpy()
    np.testing.assert_allclose(after_last, np.round(after_last), atol=1e-9)
    moved_hz = controls.frequency_hz[0].mean(-1).numpy() - [101.3, 101.3 * 1.4142, 7.77]
    assert np.abs(moved_hz).max() < RATE_HZ / n, "by less than a cycle a period"


def test_the_same_draw_gives_the_same_bytes_alone_or_among_others() -> None:
    spec = Fm.model_validate(presets()["laser_heavy"].body)
    first, second = recipe.render(spec, [Draw(3), Draw(4)], Request())
    assert recipe.render(spec, [Draw(4)], Request())[0].samples.tobytes() == second.samples.tobytes()
    assert recipe.render(spec, [Draw(3)], Request())[0].samples.tobytes() == first.samples.tobytes()
    assert first.samples.tobytes() != second.samples.tobytes()


def test_without_jitter_takes_are_alike() -> None:
    first, second = recipe.render(Fm(jitter=0), [Draw(1), Draw(2)], Request(duration_s=0.2))
    assert first.peak > 0.1
    np.testing.assert_array_equal(first.samples, second.samples)


@pytest.mark.parametrize("name", ["laser_retro", "coin", "hurt", "teleport", "bell", "notification"])
def test_variations_differ_but_stay_the_same_sound(name: str) -> None:
    takes = preset_takes(name, 5)
    within = [log_spectral_distance_db(a, b) for i, a in enumerate(takes) for b in takes[:i]]
    others = [preset_takes(other)[0] for other in ("power_down", "jump", "radio_blip", "magic_chime", "error_buzz")]
    apart = [log_spectral_distance_db(takes[0], other) for other in others]
    assert 1.0 < np.mean(within) < 6.0
    assert max(within) < min(apart)


def test_a_batch_renders_what_its_members_render_alone() -> None:
    spec = Fm.model_validate(presets()["bell"].body)
    n = 4800
    module = FmSynth(spec, n, RATE_HZ, dtype=torch.float64)
    factors = torch.tensor([0.9, 1.0, 1.2], dtype=torch.float64)
    noise = torch.zeros(3, n // 2 + 1, dtype=torch.complex128)
    with torch.inference_mode():
        together = module(FmVariation(factors, factors, factors, factors, noise))
        for b in range(3):
            f = factors[b : b + 1]
            alone = module(FmVariation(f, f, f, f, noise[:1]))
            torch.testing.assert_close(together[b], alone[0], rtol=0, atol=1e-12)


def test_harder_is_louder_and_brighter() -> None:
    for name in ("laser_retro", "engine_hum", "bell"):
        soft = preset_takes(name, 3, (0.0, 0.1))
        hard = preset_takes(name, 3, (0.9, 1.0))
        gain_db = 20 * math.log10(np.mean([a.peak for a in hard]) / np.mean([a.peak for a in soft]))
        assert 8 < gain_db < 14, name
        assert np.mean([centroid_hz(a) for a in hard]) > np.mean([centroid_hz(a) for a in soft]), name


@pytest.mark.parametrize("name", FM_PRESETS)
def test_preset_is_sound_and_in_its_family(name: str) -> None:
    family = max((key for key in CENTROID_HZ if name.startswith(key)), key=len)
    low_hz, high_hz = CENTROID_HZ[family]
    for audio in preset_takes(name, 2):
        assert 0.05 < audio.peak <= 1.0
        assert low_hz < centroid_hz(audio) < high_hz
        assert 0.02 < audio.duration_s < 6.0
    loudest = preset_takes(name, 1, (1.0, 1.0))[0]
    assert loudest.peak <= 1.0


def test_coin_is_two_notes_a_fourth_apart() -> None:
    y = preset_takes("coin")[0].samples[0].astype(np.float64)

    def pitch_hz(start_s: float, end_s: float) -> float:
        part = y[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)]
        return float(np.argmax(np.abs(np.fft.rfft(part * np.hanning(len(part)), 1 << 18)))) * RATE_HZ / (1 << 18)

    assert 12 * math.log2(pitch_hz(0.15, 0.35) / pitch_hz(0.005, 0.06)) == pytest.approx(5, abs=0.3)
    assert 900 < pitch_hz(0.005, 0.06) < 1100


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"operators": [{}, {}], "modulation": [[0, 1], [1, 0]]}, "circle"),
        ({"operators": [{}], "modulation": [[1]]}, "circle"),
        ({"operators": [{}, {}], "modulation": [[0, 1]]}, "2 rows of 2"),
        ({"notes": [{"at_s": 0.2}, {"at_s": 0.1}]}, "order of time"),
        ({"operators": []}, "at least 1"),
        ({"pitch_hz": 5}, "from 10 to 20000"),
    ],
)
def test_what_cannot_be_made_is_refused_in_plain_words(body: dict[str, Any], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        Fm.model_validate(body)
