"""The meters against EBU Tech 3341's signals, pyloudnorm and ffmpeg."""

from __future__ import annotations

import importlib.util
import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from sfxgen.master import loudness
from sfxgen.master.true_peak import true_peak, true_peak_dbtp

Array = NDArray[np.float64]
RATE = 48_000


def tones(*parts: tuple[float, float], rate_hz: int = RATE, channels: int = 2) -> Array:
    """1 kHz tones in every channel, as (peak level in dBFS, duration in s) in turn; −inf dBFS is silence."""
    amplitude = np.concatenate([np.full(round(s * rate_hz), 10 ** (level / 20)) for level, s in parts])
    return np.tile(amplitude * np.sin(2 * np.pi * 1000 * np.arange(len(amplitude)) / rate_hz), (channels, 1))


def integrated(samples: Array, rate_hz: int = RATE) -> float:
    reading = loudness.read(samples, rate_hz)
    assert reading.rule == "integrated"
    return reading.lufs()


def momentary_max(samples: Array, rate_hz: int = RATE) -> float:
    reading = loudness.read(samples, rate_hz, momentary=True)
    assert reading.rule == "momentary max"
    return reading.lufs()


# EBU Tech 3341 (2016), table 1, cases 1 to 5: stereo, (dBFS, s); 7 and 8 are recorded programmes and are not here.
INTEGRATED_CASES: dict[int, tuple[list[tuple[float, float]], float]] = {
    1: ([(-23, 20)], -23.0),
    2: ([(-33, 20)], -33.0),
    3: ([(-36, 10), (-23, 60), (-36, 10)], -23.0),
    4: ([(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)], -23.0),
    5: ([(-26, 20), (-20, 20.1), (-26, 20)], -23.0),
}


@pytest.mark.parametrize("rate_hz", [48_000, 44_100, 11_025, 8_000])
@pytest.mark.parametrize("case", INTEGRATED_CASES)
def test_tech_3341_integrated(case: int, rate_hz: int) -> None:
    parts, expected_lufs = INTEGRATED_CASES[case]
    assert integrated(tones(*parts, rate_hz=rate_hz), rate_hz) == pytest.approx(expected_lufs, abs=0.1)


def test_tech_3341_case_6_weights_the_surrounds() -> None:
    tone = tones((0, 20), channels=1)
    surround = np.concatenate([tone * 10 ** (level / 20) for level in (-28, -28, -24, -30, -30)])
    assert integrated(surround) == pytest.approx(-23.0, abs=0.1)


def test_tech_3341_case_12_momentary_is_steady() -> None:
    sound = np.tile(tones((-20, 0.18), (-30, 0.22)), 25)
    assert momentary_max(sound[:, RATE:]) == pytest.approx(-23.0, abs=0.1)


@pytest.mark.parametrize("case_13_file", range(20))
def test_tech_3341_case_13_momentary_max(case_13_file: int) -> None:
    sound = tones((-math.inf, case_13_file * 0.02), (-23, 0.4), (-math.inf, 1.0))
    # Not through momentary_max(): surrounded by silence the active part is 0.4 s and a few frames of filter ringing.
    assert loudness.read(sound, RATE, momentary=True).lufs() == pytest.approx(-23.0, abs=0.1)


def test_full_scale_997_hz_in_one_channel_reads_minus_3_01() -> None:
    """BS.1770-4, Annex 1: "a 0 dB FS 1 kHz (997 Hz to be exact) sine wave … −3.01 LKFS"."""
    sine = np.sin(2 * np.pi * 997 * np.arange(20 * RATE) / RATE)
    assert integrated(sine[None]) == pytest.approx(-3.01, abs=0.01)


def realistic(rate_hz: int) -> dict[str, Array]:
    """Sounds of the kinds that games have, 0.5 to 6 s, [channels, frames]."""
    rng = np.random.default_rng(7)

    def t(seconds: float) -> Array:
        return np.arange(round(seconds * rate_hz)) / rate_hz

    modes = [(f, d) for f, d in ((310, 3), (842, 5), (1630, 8), (3105, 14)) if f < 0.45 * rate_hz]
    hit = sum((np.exp(-d * t(2.0)) * np.sin(2 * np.pi * f * t(2.0)) for f, d in modes), np.zeros(2 * rate_hz))
    wind = np.cumsum(rng.standard_normal((2, 6 * rate_hz)), axis=1)
    wind -= np.array([np.convolve(w, np.full(400, 1 / 400), "same") for w in wind])
    wind *= np.hanning(6 * rate_hz) ** 0.1  # from and to silence: meters differ on what lies beyond an abrupt end
    steps = rng.standard_normal(4 * rate_hz) * np.exp(-25 * (t(4.0) % 0.5))
    blip = np.sin(2 * np.pi * (900 * t(0.5) - 400 * t(0.5) ** 2)) * np.exp(-3 * t(0.5))
    return {name: np.atleast_2d(x) * 0.3 / np.abs(x).max() for name, x in
            (("hit", hit), ("wind", wind), ("steps", steps), ("blip", blip))}  # fmt: skip


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("sound", ["hit", "wind", "steps", "blip"])
def test_agrees_with_pyloudnorm(sound: str, rate_hz: int) -> None:
    samples = realistic(rate_hz)[sound]
    peer = pyloudnorm.Meter(rate_hz).integrated_loudness(samples.T)
    assert integrated(samples, rate_hz) == pytest.approx(peer, abs=0.1)


def recordings() -> list[Path]:
    """Recordings of 0.4 s and longer (speech at 8 kHz) that Python's own test package carries."""
    package = importlib.util.find_spec("test")
    if package is None or package.origin is None:
        return []
    names = ("audiotest.au", "test_email/data/audiotest.au", "test_email/data/sndhdr.au")
    return [path for name in names if (path := Path(package.origin).parent / name).exists()]


def first_two_seconds(path: Path) -> tuple[Array, int]:
    """Later on, a block lies on the edge of the relative gate: a thousandth of a dB there decides over 0.3 LU."""
    samples, rate_hz = soundfile.read(path, always_2d=True)
    return samples[: 2 * rate_hz], rate_hz


@pytest.mark.skipif(not recordings(), reason="this Python came without its test package, whose recordings are used")
@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 44_100, 48_000, 96_000])
def test_agrees_with_pyloudnorm_on_recordings(rate_hz: int) -> None:
    for path in recordings():
        recording, recorded_hz = first_two_seconds(path)
        samples = soxr.resample(recording, recorded_hz, rate_hz)
        # Whole tenths of a second: pyloudnorm also counts a last block that is not full, which the standard does not.
        samples = samples[: len(samples) * 10 // rate_hz * rate_hz // 10]
        peer = pyloudnorm.Meter(rate_hz).integrated_loudness(samples)
        assert integrated(samples.T, rate_hz) == pytest.approx(peer, abs=0.1)


SYSTEM_SOUNDS = sorted(
    path
    for folder in ("alsa", "freedesktop/stereo")
    for path in Path("/usr/share/sounds", folder).glob("*.*")
    if soundfile.info(path).duration >= 0.4
)


@pytest.mark.skipif(not SYSTEM_SOUNDS, reason="no system sounds: Debian's sound-theme-freedesktop and alsa-utils")
def test_agrees_with_pyloudnorm_on_system_sounds() -> None:
    """Speech, noise, rings and clicks at 8 to 96 kHz, cut to whole blocks as above; what rings for less than 0.4 s of
    its file falls under the short rule and is not compared."""
    compared = 0
    for path in SYSTEM_SOUNDS:
        samples, rate_hz = soundfile.read(path, always_2d=True)
        samples = samples[: len(samples) * 10 // rate_hz * rate_hz // 10]
        reading = loudness.read(samples.T, rate_hz)
        if reading.rule == "integrated":
            peer = pyloudnorm.Meter(rate_hz).integrated_loudness(samples)
            assert reading.lufs() == pytest.approx(peer, abs=0.1), path.name
            compared += 1
    assert compared >= len(SYSTEM_SOUNDS) // 2


@pytest.mark.skipif(not recordings(), reason="this Python came without its test package, whose recordings are used")
def test_low_rate_reads_as_the_same_recording_at_48_khz() -> None:
    """At 8 kHz pyloudnorm's own filters are up to 0.25 dB off the standard's; resampled to 48 kHz it is the judge."""
    for path in recordings():
        recording, recorded_hz = first_two_seconds(path)
        peer = pyloudnorm.Meter(RATE).integrated_loudness(soxr.resample(recording, recorded_hz, RATE))
        assert integrated(recording.T, recorded_hz) == pytest.approx(peer, abs=0.1)


def ffmpeg_ebur128(samples: Array, rate_hz: int, folder: Path) -> dict[str, float]:
    path = folder / "sound.wav"
    soundfile.write(path, samples.T, rate_hz, subtype="FLOAT")
    command = ["ffmpeg", "-nostats", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"]
    log = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr
    summary = log[log.rindex("Summary:") :]
    found = {name: re.search(rf"\b{name}:\s+(-?[\d.]+)", summary) for name in ("I", "Peak")}
    return {name: float(match[1]) for name, match in found.items() if match}


@pytest.mark.ffmpeg
@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on the PATH")
@pytest.mark.parametrize("sound", ["hit", "wind", "steps", "blip"])
def test_agrees_with_ffmpeg(sound: str, tmp_path: Path) -> None:
    samples = realistic(RATE)[sound]
    peer = ffmpeg_ebur128(samples, RATE, tmp_path)
    assert integrated(samples) == pytest.approx(peer["I"], abs=0.1)
    # ffmpeg prints one decimal
    assert true_peak_dbtp(samples) == pytest.approx(peer["Peak"], abs=0.2)


def test_short_sound_reads_the_level_of_its_active_part() -> None:
    """A 0.1 s tone reads as the same tone at any length would, with and without silence around it."""
    level_lufs = integrated(tones((-20, 5), channels=1))
    short = tones((-20, 0.1), channels=1)
    for around in (0.0, 0.2, 2.0):
        silence = np.zeros((1, round(around * RATE)))
        reading = loudness.read(np.concatenate([silence, short, silence], axis=1), RATE)
        assert reading.rule == "ungated K-weighted"
        assert reading.lufs() == pytest.approx(level_lufs, abs=0.1)


def test_short_rule_meets_the_standard_at_400_ms() -> None:
    decay = np.exp(-8 * np.arange(RATE) / RATE) * np.random.default_rng(1).standard_normal(RATE)
    under = loudness.read(decay[None, : round(0.3999 * RATE)], RATE)
    over = loudness.read(decay[None, : round(0.4001 * RATE)], RATE)
    assert (under.rule, over.rule) == ("ungated K-weighted", "integrated")
    assert under.lufs() == pytest.approx(over.lufs(), abs=0.01)


def test_short_loop_reads_as_it_plays_on() -> None:
    """A loop of 50 ms is a steady sound: it reads like ten seconds of it."""
    lap = np.random.default_rng(2).standard_normal((1, RATE // 20)) * 0.1
    reading = loudness.read(lap, RATE, loop=True)
    assert reading.rule == "integrated of the repeated loop"
    assert reading.lufs() == pytest.approx(integrated(np.tile(lap, 200)), abs=0.02)


def test_silence_has_no_loudness_and_no_peak() -> None:
    for n_frames in (0, 1, 100, RATE):
        silence = np.zeros((2, n_frames))
        assert loudness.read(silence, RATE).lufs() == -math.inf
        assert loudness.read(silence, RATE, loop=True).lufs() == -math.inf
        assert true_peak_dbtp(silence) == -math.inf


def test_gain_moves_the_reading_through_the_gates() -> None:
    """The loudness foreseen for a gain is that of the amplified sound, also where −70 LUFS then gates differently."""
    sound = tones((-40, 3), (-66, 10), (-75, 10), channels=1)
    reading = loudness.read(sound, RATE)
    for gain_db in (-20.0, 0.0, 6.0, 20.0):
        assert reading.lufs(gain_db) == pytest.approx(integrated(sound * 10 ** (gain_db / 20)), abs=1e-9)


def test_long_sound_is_filtered_as_one() -> None:
    """Longer than one FFT block: the pieces join without a mark (against the recursion that the filter stands for)."""
    from scipy.signal import lfilter

    sound = np.random.default_rng(3).standard_normal((1, 300_000))
    expected = sound[0]
    for s in loudness.K_WEIGHTING.sections:
        expected = lfilter((s.b0, s.b1, s.b2), (1.0, s.a1, s.a2), expected)
    window = round(0.4 * RATE)
    starts = range(0, sound.shape[1] - window + 1, RATE // 10)
    powers = [float(np.mean(expected[i : i + window] ** 2)) for i in starts]
    np.testing.assert_allclose(loudness.read(sound, RATE).powers, powers, rtol=1e-9)


# EBU Tech 3341 (2016), table 1, cases 15 to 19: frequency as a fraction of the rate, phase, amplitude, expected dBTP.
TRUE_PEAK_CASES = {
    15: (1 / 4, 0.0, 0.50, -6.0),
    16: (1 / 4, 45.0, 0.50, -6.0),
    17: (1 / 6, 60.0, 0.50, -6.0),
    18: (1 / 8, 67.5, 0.50, -6.0),
    19: (1 / 4, 45.0, 1.41, 3.0),
}


def tapered(x: Array, n: int = 480) -> Array:
    """Faded at both ends: an abrupt start has peaks of its own."""
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.arange(n) / n)
    tapered_x: Array = x * np.concatenate([ramp, np.ones(len(x) - 2 * n), ramp[::-1]])
    return tapered_x


@pytest.mark.parametrize("case", TRUE_PEAK_CASES)
def test_tech_3341_true_peak(case: int) -> None:
    frequency, phase_deg, amplitude, expected_dbtp = TRUE_PEAK_CASES[case]
    tone = tapered(amplitude * np.sin(2 * np.pi * frequency * np.arange(RATE) + math.radians(phase_deg)))
    error_db = true_peak_dbtp(np.stack([tone, tone])) - expected_dbtp
    assert -0.4 <= error_db <= 0.2


@pytest.mark.parametrize("offset", range(4))
def test_true_peak_between_samples_after_decimation(offset: int) -> None:
    """Cases 20 to 23 in their manner: one cycle of 1.0 FS in a tone of 0.5 FS, made at 4 times the rate and
    band-limited, then every fourth frame kept, from each of the four offsets. The peak of the fourfold original,
    0 dBTP, is to be found wherever the kept frames lie."""
    n = 4 * RATE
    at = np.arange(n)
    master = 0.5 * np.sin(2 * np.pi * at / 24)
    master[n // 2 : n // 2 + 16] = np.sin(2 * np.pi * np.arange(16) / 16)
    spectrum = np.fft.rfft(tapered(master, 4 * 480))
    spectrum[int(0.45 * RATE) :] = 0.0
    master = np.fft.irfft(spectrum, n)
    master /= np.abs(master).max()
    error_db = true_peak_dbtp(master[None, offset::4])
    assert -0.4 <= error_db <= 0.2


@pytest.mark.parametrize("rate_hz", [8_000, 48_000, 96_000])
def test_true_peak_of_noise_agrees_with_32_times_fourier_interpolation(rate_hz: int) -> None:
    rng = np.random.default_rng(4)
    spectrum = np.fft.rfft(rng.standard_normal(8192))
    spectrum[int(0.45 * 8192) :] = 0.0
    noise = tapered(np.fft.irfft(spectrum, 8192))
    finely = np.fft.irfft(np.fft.rfft(noise), 32 * 8192) * 32
    error_db = 20 * math.log10(true_peak(noise[None]) / np.abs(finely).max())
    assert -0.2 <= error_db <= 0.05


def test_true_peak_scales_with_the_sound() -> None:
    """No magnitude is out of reach: the peak is relative, from the smallest to the largest float32."""
    noise = np.random.default_rng(5).standard_normal((2, 999))
    at_one = true_peak(noise)
    for scale in (1e-40, 1e-6, 1e30, 3e37):
        assert true_peak(noise * scale) / scale == pytest.approx(at_one, rel=1e-6)


def test_true_peak_of_a_loop_looks_across_the_seam() -> None:
    """A fs/4 tone at 45°, its lap cut so that the crest between two samples lies on the seam."""
    lap = np.zeros((1, 64))
    lap[0, [0, -1]] = 0.5
    assert true_peak(lap, loop=True) > 1.2 * true_peak(lap)
