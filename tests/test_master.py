"""What mastering promises of a finished set: loudness, ceiling, edges, rate, channels."""

from __future__ import annotations

import math

import numpy as np
import pyloudnorm
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from sfxgen.audio import Audio
from sfxgen.manifest.master import Master
from sfxgen.master import Mastered, channels, edges, master
from sfxgen.master.resample import resample
from sfxgen.master.true_peak import true_peak_dbtp

Array = NDArray[np.float64]
RATE = 48_000
PLAIN = Master()


def seconds(duration_s: float, rate_hz: int = RATE) -> Array:
    return np.arange(round(duration_s * rate_hz)) / rate_hz


def hit(duration_s: float = 1.0, decay_per_s: float = 6.0) -> Array:
    """A struck thing: three partials that die away. Peak about 1."""
    t = seconds(duration_s)
    partials = ((410.0, 0.5), (1130.0, 0.3), (2890.0, 0.2))
    return sum((a * np.sin(2 * np.pi * f * t) for f, a in partials), np.zeros(len(t))) * np.exp(-decay_per_s * t)


def noise(duration_s: float = 1.0, level: float = 0.1, seed: int = 0) -> Array:
    return level * np.random.default_rng(seed).standard_normal(round(duration_s * RATE))


def of(*blocks: Array, rate_hz: int = RATE) -> list[Audio]:
    return [Audio.of(block, rate_hz) for block in blocks]


def rms_db(x: NDArray[np.floating]) -> float:
    assert x.size > 0
    return float(10 * np.log10(np.square(x, dtype=np.float64).mean()))


# One common gain, up to the ceiling


def test_loudest_of_the_set_is_at_the_target() -> None:
    mastered = master(of(noise(level=0.1), noise(level=0.02, seed=1)), PLAIN)
    loudest, softest = mastered.takes
    assert loudest.loudness_lufs == pytest.approx(-18.0, abs=0.01)
    assert mastered.warnings == ()
    judge = pyloudnorm.Meter(RATE)
    assert judge.integrated_loudness(loudest.audio.samples.T) == pytest.approx(-18.0, abs=0.1)
    assert judge.integrated_loudness(softest.audio.samples.T) == pytest.approx(softest.loudness_lufs, abs=0.1)


def test_set_keeps_its_relation() -> None:
    """A velocity layer 14 dB softer than the hardest is 14 dB softer when finished."""
    hard, soft = master(of(hit(), hit() * 10 ** (-14 / 20)), PLAIN).takes
    assert rms_db(hard.audio.samples) - rms_db(soft.audio.samples) == pytest.approx(14.0, abs=1e-3)
    assert hard.loudness_lufs - soft.loudness_lufs == pytest.approx(14.0, abs=0.01)


def test_level_of_the_source_does_not_matter() -> None:
    """Also where it lies under the absolute gate of −70 LUFS, or far over full scale."""
    for source_db in (-90.0, -40.0, 0.0, 60.0):
        take = master(of(noise(level=10 ** (source_db / 20))), PLAIN).takes[0]
        assert take.loudness_lufs == pytest.approx(-18.0, abs=0.01)


def test_momentary_brings_the_loudest_400_ms_to_the_target() -> None:
    sound = np.concatenate([noise(3.0, 0.01), noise(0.4, 0.05), noise(3.0, 0.01)])
    take = master(of(sound), Master(loudness_measure="momentary")).takes[0]
    assert take.loudness_rule == "momentary max"
    loud_part = take.audio.samples[:, 3 * RATE : round(3.4 * RATE)]
    assert pyloudnorm.Meter(RATE).integrated_loudness(loud_part.T) == pytest.approx(-18.0, abs=0.1)


def test_ceiling_holds_the_whole_set_back_and_says_by_how_much() -> None:
    click = np.zeros(RATE)
    click[1000:1020] = 0.9
    mastered = master(of(click + hit() * 0.1, hit() * 0.1), PLAIN)
    assert max(take.true_peak_dbtp for take in mastered.takes) == pytest.approx(-1.0, abs=0.002)
    short_db = -18.0 - max(take.loudness_lufs for take in mastered.takes)
    assert short_db > 1.0
    expected = f"stays {short_db:.1f} dB under the target loudness: the true-peak ceiling allows no more"
    assert mastered.warnings == (expected,)


def test_ceiling_counts_peaks_between_the_samples() -> None:
    """A fs/4 tone whose samples all lie 3 dB under its crests; 32-fold Fourier interpolation is the judge."""
    n = RATE
    tone = np.sin(np.pi / 2 * np.arange(n) + np.pi / 4) * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n))
    take = master(of(tone), Master(loudness_lufs=0.0)).takes[0]
    finely = np.fft.irfft(np.fft.rfft(take.audio.samples[0].astype(np.float64)), 32 * take.audio.n_frames) * 32
    assert 20 * math.log10(np.abs(finely).max()) == pytest.approx(-1.0, abs=0.1)
    assert 20 * math.log10(take.audio.peak) == pytest.approx(-4.0, abs=0.1)


# What a person is told


def assert_silent_and_sound(mastered: Mastered) -> None:
    assert mastered.gain_db == 0.0
    for take in mastered.takes:
        assert take.audio.peak == 0.0
        assert take.loudness_lufs == -math.inf
        assert take.true_peak_dbtp == -math.inf


@pytest.mark.parametrize("n_frames", [0, 1, 7, RATE])
def test_silence_stays_silence(n_frames: int) -> None:
    for looped, periodic in ((False, False), (True, False), (True, True)):
        mastered = master(of(np.zeros((2, n_frames))), PLAIN, loop=looped, periodic=periodic)
        assert_silent_and_sound(mastered)
        assert "silent" in mastered.warnings[0]


def test_an_offset_alone_is_silence() -> None:
    assert_silent_and_sound(master(of(np.full(RATE, 0.3)), PLAIN))


def test_one_silent_member_is_named_and_harms_nothing() -> None:
    mastered = master(of(noise(), np.zeros(RATE)), PLAIN)
    assert mastered.warnings == ("variation 2: silent: nothing to bring to the target loudness",)
    assert mastered.takes[0].loudness_lufs == pytest.approx(-18.0, abs=0.01)


def test_clipped_source_is_named() -> None:
    clean = np.sin(2 * np.pi * 100 * seconds(0.5))
    assert master(of(clean), PLAIN).warnings == ()
    clipped = np.clip(1.5 * clean, -1, 1)
    at_full_scale = int((np.abs(clipped.astype(np.float32)) >= 32767 / 32768).sum())
    assert master(of(clipped), PLAIN).warnings == (f"source clipped: {at_full_scale} samples at full scale",)
    assert master(of(1.5 * clean), PLAIN).warnings == ()  # over full scale, but whole


def test_channels_that_cancel_in_mono_are_named() -> None:
    side = np.stack([noise(), -noise()]) + 0.01 * noise(seed=2)
    assert "cancel" in master(of(side), PLAIN).warnings[0]
    assert master(of(side), Master(channels=2)).warnings == ()


def test_an_empty_set_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one take"):
        master([], PLAIN)


# Edges


def test_trim_leaves_the_guard_and_the_fade() -> None:
    sound = np.concatenate([np.zeros(5000), noise(0.5), np.zeros(9000)])
    settings_ = Master(trim_guard_s=0.01, fade_out_s=0.05)
    samples = master(of(sound), settings_).takes[0].audio.samples[0]
    onset = int(np.flatnonzero(np.abs(samples) > 1e-3)[0])
    assert onset == pytest.approx(0.01 * RATE, abs=20)
    assert len(samples) == pytest.approx((0.01 + 0.5 + 0.05) * RATE, abs=200)


def test_trim_threshold_is_relative_to_the_peak() -> None:
    """A decay of 60 dB/s, cut at −30 dB, lasts half a second at any level."""
    t = seconds(2.0)
    decay = np.sin(2 * np.pi * 1000 * t) * 10 ** (-60 * t / 20)
    for level in (1.0, 1e-3):
        out = edges.trim(level * decay[None], RATE, threshold_db=-30, guard_s=0.0, tail_s=0.0)
        assert out.shape[1] / RATE == pytest.approx(0.5, abs=0.005)


def test_no_trim_where_it_is_switched_off() -> None:
    sound = np.concatenate([np.zeros(5000), noise(0.5), np.zeros(9000)])
    take = master(of(sound), Master(trim_threshold_db=None)).takes[0]
    assert take.audio.n_frames == len(sound)


def test_offset_goes_without_a_step_or_a_ramp() -> None:
    """A recording with a converter's offset: what was the silence before the hit is silence afterwards."""
    sound = np.concatenate([np.zeros(RATE // 2), hit(2.0)])
    out = edges.remove_dc(sound[None] + 0.1, RATE, periodic=False)[0]
    assert np.abs(out[: RATE // 2]).max() < 1e-5
    assert abs(out.mean()) < 1e-4
    assert np.abs(out - sound)[RATE // 2 :].max() < 0.02


def test_lopsided_sound_in_silence_gets_no_offset() -> None:
    """One-sided bumps, whose mean is not zero: nothing appears before them, and all has died away at the end."""
    t = seconds(2.0)
    bumps = np.where((t > 0.5) & (t < 0.7), np.abs(np.sin(2 * np.pi * 50 * t)), 0.0)
    out = edges.remove_dc(bumps[None], RATE, periodic=False)[0]
    assert np.abs(out[t < 0.5]).max() < 1e-9
    assert np.abs(out[t > 1.8]).max() < 1e-9
    assert abs(out.mean()) < 1e-3 * bumps.mean()


def test_dc_filter_leaves_the_audible_alone() -> None:
    for frequency_hz in (20, 50, 1000):
        tone = np.sin(2 * np.pi * frequency_hz * seconds(2.0))
        out = edges.remove_dc(tone[None], RATE, periodic=False)[0]
        assert rms_db(out[RATE:]) - rms_db(tone[RATE:]) == pytest.approx(0.0, abs=0.3)


def test_fades_are_raised_cosines_that_reach_zero() -> None:
    out = edges.fade(np.ones((1, 1000)), 1000, fade_in_s=0.1, fade_out_s=0.2)[0]
    assert out[0] == 0.0
    assert out[-1] == pytest.approx(0.0, abs=1e-15)
    assert out[50] == pytest.approx(0.5)
    assert out[899] == pytest.approx(0.5)
    assert (out[100:800] == 1.0).all()
    assert (np.diff(out[:100]) > 0).all()
    assert (np.diff(out[800:]) < 0).all()


def test_fades_longer_than_the_sound_share_it() -> None:
    out = edges.fade(np.ones((1, 100)), 1000, fade_in_s=0.3, fade_out_s=0.1)[0]
    assert int(out.argmax()) == pytest.approx(75, abs=1)
    assert out[0] == 0.0
    assert out[-1] == pytest.approx(0.0, abs=1e-15)


def test_finished_sound_ends_in_zero() -> None:
    take = master(of(noise()), Master(fade_in_s=0.01)).takes[0]
    assert abs(take.audio.samples[0, 0]) < 1e-7
    assert abs(take.audio.samples[0, -1]) < 1e-7


# Rate


@pytest.mark.parametrize(("from_hz", "to_hz"), [(44_100, 48_000), (96_000, 44_100), (22_050, 48_000), (48_000, 8_000)])
def test_sine_stays_a_sine(from_hz: int, to_hz: int) -> None:
    """Signal to everything else at least 100 dB, away from the ends."""
    tone = np.sin(2 * np.pi * 997 * seconds(1.0, from_hz))
    out = resample(tone[None], from_hz, to_hz, periodic=False)[0]
    assert len(out) == to_hz
    middle = slice(to_hz // 4, 3 * to_hz // 4)
    phase = 2 * np.pi * 997 * seconds(1.0, to_hz)[middle]
    basis = np.stack([np.sin(phase), np.cos(phase)], axis=1)
    fit = basis @ np.linalg.lstsq(basis, out[middle], rcond=None)[0]
    assert rms_db(fit) - rms_db(out[middle] - fit) >= 100.0
    assert rms_db(fit) == pytest.approx(rms_db(tone), abs=0.01)


@pytest.mark.parametrize("to_hz", [8_000, 22_050, 44_100, 96_000])
def test_periodic_resampling_is_exact(to_hz: int) -> None:
    """A band-limited period comes out as the same harmonics, and two laps as two laps."""
    harmonics = ((1, 0.5, 0.1), (7, 0.3, 1.0), (41, 0.2, 2.0))

    def lap(n: int) -> Array:
        at = 2 * np.pi * np.arange(n) / n
        return np.asarray(sum((a * np.cos(k * at + p) for k, a, p in harmonics), np.zeros(n)))

    n_in, n_out = 4800, round(4800 * to_hz / RATE)
    out = resample(lap(n_in)[None], RATE, to_hz, periodic=True)[0]
    np.testing.assert_allclose(out, lap(n_out), atol=1e-12)
    twice = resample(np.tile(noise(0.1), 2)[None], RATE, to_hz, periodic=True)[0]
    np.testing.assert_allclose(twice[: len(twice) // 2], twice[len(twice) // 2 :], atol=1e-12)


@pytest.mark.parametrize("n_frames", [1, 2, 3, 10, 11, 999, 1000])
def test_periodic_resampling_there_and_back(n_frames: int) -> None:
    """Upwards nothing is lost, whether the lap's length is even or odd."""
    lap = noise(seed=n_frames)[None, :n_frames]
    up = resample(lap, 1000, 3000, periodic=True)
    assert up.shape[1] == 3 * n_frames
    np.testing.assert_allclose(up[:, ::3], lap, atol=1e-12)


def test_periodic_blocks_are_neither_cut_nor_faded() -> None:
    lap = np.concatenate([np.zeros(2000), noise(0.2), np.zeros(2000)])
    lap -= lap.mean()
    take = master(of(lap), Master(fade_in_s=0.1, fade_out_s=0.1), loop=True, periodic=True).takes[0]
    assert take.loop == (0, len(lap))
    gain = take.audio.samples[0] @ lap / (lap @ lap)
    np.testing.assert_allclose(take.audio.samples[0], gain * lap, atol=1e-6)


def test_every_finished_file_has_the_settings_rate_and_channels() -> None:
    for n_channels in (1, 2):
        settings_ = Master(rate_hz=44_100, channels=2 if n_channels == 1 else 1)
        take = master(of(np.stack([noise()] * n_channels), rate_hz=32_000), settings_).takes[0]
        assert take.audio.rate_hz == 44_100
        assert take.audio.n_channels == settings_.channels
        assert take.loop is None


# Channels


def test_mono_that_came_as_stereo_returns_as_it_was() -> None:
    mono = noise()[None]
    np.testing.assert_allclose(channels.to_channels(channels.to_channels(mono, 2), 1), mono)


def test_one_side_alone_loses_6_db_in_mono() -> None:
    left = np.stack([noise(), np.zeros(RATE)])
    assert rms_db(channels.to_channels(left, 1)) - rms_db(left[0]) == pytest.approx(-6.02, abs=0.01)


def test_surround_is_mixed_by_bs_775() -> None:
    six = np.eye(6)  # one frame for each channel: L R C LFE Ls Rs
    expected = [[1, 0, 0.7071, 0, 0.7071, 0], [0, 1, 0.7071, 0, 0, 0.7071]]
    np.testing.assert_allclose(channels.to_channels(six, 2), expected, atol=1e-4)
    assert channels.to_channels(np.ones((4, 3)), 2).shape == (2, 3)


# Any sound at all

finite_blocks = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(0, 600)),
    elements=st.floats(width=32, allow_nan=False, allow_infinity=False),
)


@settings(max_examples=100, deadline=None)
@given(
    blocks=st.lists(finite_blocks, min_size=1, max_size=3),
    rate_hz=st.sampled_from([8_000, 44_100, 48_000]),
    loop=st.booleans(),
    periodic=st.booleans(),
)
def test_no_finite_sound_breaks_the_promises(
    blocks: list[NDArray[np.float32]], rate_hz: int, loop: bool, periodic: bool
) -> None:
    mastered = master([Audio.of(block, rate_hz) for block in blocks], PLAIN, loop=loop, periodic=periodic)
    assert len(mastered.takes) == len(blocks)
    assert math.isfinite(mastered.gain_db)
    for take in mastered.takes:
        assert np.isfinite(take.audio.samples).all()
        assert take.audio.n_channels == 1
        measured_dbtp = true_peak_dbtp(take.audio.samples.astype(np.float64), loop=take.loop is not None)
        assert measured_dbtp <= -1.0 + 1e-4
        assert not math.isnan(take.loudness_lufs)


@settings(max_examples=25, deadline=None)
@given(levels_db=st.lists(st.floats(-50, 20), min_size=2, max_size=4), duration_s=st.floats(0.05, 0.6))
def test_any_set_keeps_its_relations(levels_db: list[float], duration_s: float) -> None:
    base = hit(duration_s)
    takes = master(of(*(base * 10 ** (level / 20) for level in levels_db)), PLAIN).takes
    found_db = np.array([rms_db(take.audio.samples) for take in takes])
    np.testing.assert_allclose(found_db - found_db[0], np.array(levels_db) - levels_db[0], atol=1e-2)


def test_mastering_is_repeatable_to_the_bit() -> None:
    first, second = (master(of(noise(), hit()), Master(rate_hz=44_100)) for _ in range(2))
    assert first.gain_db == second.gain_db
    for a, b in zip(first.takes, second.takes, strict=True):
        assert a.audio.samples.tobytes() == b.audio.samples.tobytes()
