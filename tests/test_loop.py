"""Loops as an engine plays them: a thousand laps through a model of its mixer, at three speeds."""

from __future__ import annotations

import numpy as np
import pytest
from engine_mixer import Mixer, to_pcm16, with_guard_frame
from numpy.typing import NDArray

from sfxgen.audio import Audio
from sfxgen.manifest.master import Master
from sfxgen.master import MasteredTake, master
from sfxgen.master.loop import close, find_seam

Array = NDArray[np.float64]
RATE = 22_050
SETTINGS = Master(rate_hz=22_050)
LAPS = 1000
RATES = (1.0, 0.919, 1.06)
WIDTH = 1024
NEIGHBOURS = 800  # more than a lap of the lowest pitch here


def seconds(duration_s: float, rate_hz: int = RATE) -> Array:
    return np.arange(round(duration_s * rate_hz)) / rate_hz


def periodic_noise(duration_s: float, rate_hz: int) -> Array:
    """One period of noise that falls by 3 dB an octave up to 0.4 of the rate."""
    n = round(duration_s * rate_hz)
    rng = np.random.default_rng(1)
    harmonics = np.arange(1, int(0.4 * n) + 1)
    spectrum = np.zeros(n // 2 + 1, dtype=complex)
    spectrum[harmonics] = np.exp(2j * np.pi * rng.random(len(harmonics))) / np.sqrt(harmonics)
    noise = np.fft.irfft(spectrum, n)
    return np.asarray(noise / np.abs(noise).max())


def wind_recording(duration_s: float) -> Array:
    """Low-passed noise with slow gusts, which starts and ends in silence."""
    rng = np.random.default_rng(2)
    t = seconds(duration_s)
    spectrum = np.fft.rfft(rng.standard_normal(len(t)))
    spectrum /= 1 + np.arange(len(spectrum)) / (300 * duration_s)
    edge = np.clip(np.minimum(t, duration_s - t) / 0.03, 0, 1)
    return np.asarray(np.fft.irfft(spectrum, len(t)) * (1 + 0.2 * np.sin(2 * np.pi * 0.9 * t)) * edge)


def engine_recording(duration_s: float) -> Array:
    """Harmonics of a pitch that wavers about 83 Hz, with some noise."""
    t = seconds(duration_s)
    phase = 2 * np.pi * (83 * t + 0.05 * np.sin(2 * np.pi * 0.7 * t))
    hum = sum((np.sin(k * phase + k * k) / k for k in range(1, 30)), np.zeros(len(t)))
    return np.asarray(hum + 0.02 * np.random.default_rng(3).standard_normal(len(t)))


def found(recording: Array) -> MasteredTake:
    return master([Audio.of(recording, RATE)], SETTINGS, loop=True).takes[0]


LOOPS = {
    "synthesised noise": lambda: master([Audio.of(periodic_noise(2.0, RATE), RATE)], SETTINGS, periodic=True).takes[0],
    "synthesised noise from 48 kHz": lambda: master(
        [Audio.of(periodic_noise(2.0, 48_000), 48_000)], SETTINGS, periodic=True
    ).takes[0],
    "wind 0.5 s": lambda: found(wind_recording(0.5)),
    "wind 4 s": lambda: found(wind_recording(4.0)),
    "engine 0.5 s": lambda: found(engine_recording(0.5)),
    "engine 3 s": lambda: found(engine_recording(3.0)),
}


def seams_of(mixer: Mixer) -> Array:
    """Shape [LAPS, 2 · WIDTH]: what is heard round each wrap."""
    return np.stack([mixer.seam(WIDTH) for _ in range(LAPS)])


def seam_stands_out(seams: Array, elsewhere: Array) -> bool:
    """Whether in any lap a step at the wrap is larger than all around it, or a change of slope than any elsewhere.

    The mixer blends towards the frame at the loop's end, or plays it, before it wraps: the seam is a few frames wide.
    """
    assert len(seams) > 0
    assert len(elsewhere) > 5
    across = slice(WIDTH - 3, WIDTH + 1)
    steps = np.abs(np.diff(seams, axis=1))
    around = np.concatenate(
        [steps[:, WIDTH - NEIGHBOURS : across.start], steps[:, across.stop : WIDTH + NEIGHBOURS]], 1
    )
    stepped = steps[:, across].max(axis=1) > around.max(axis=1)
    kinked = np.abs(np.diff(seams, n=2, axis=1))[:, across].max() > np.abs(np.diff(elsewhere, n=2, axis=1)).max()
    return bool(stepped.any() or kinked)


def band_levels_db(frames: Array) -> Array:
    """Levels in 8 bands of frames of shape [any, 2 · WIDTH]. Shape [any, 8]."""
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1]))))
    edges = np.geomspace(4, power.shape[1] - 1, 9).astype(int)
    return np.asarray(10 * np.log10(np.add.reduceat(power, edges[:-1], axis=1) + 1e-12))


def spectrum_leaves_its_range_db(seams: Array, elsewhere: Array) -> float:
    """How far a band's level across the wrap lies above or below what it is anywhere else in the loop (dB)."""
    assert len(seams) > 0
    assert len(elsewhere) > 5
    across, away = band_levels_db(seams), band_levels_db(elsewhere)
    over = across.max(axis=0) - away.max(axis=0)
    under = away.min(axis=0) - across.min(axis=0)
    return float(max(over.max(), under.max()))


def windows_elsewhere(loop: NDArray[np.int64], rate: float) -> Array:
    """Windows of one lap, every quarter of a window. Shape [any, 2 · WIDTH]."""
    mixer = Mixer(with_guard_frame(loop), rate)
    lap = mixer.play(int(len(loop) / rate) - 2)
    return np.lib.stride_tricks.sliding_window_view(lap, 2 * WIDTH)[:: WIDTH // 2]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", LOOPS)
def test_seam_cannot_be_heard(name: str, rate: float) -> None:
    take = LOOPS[name]()
    assert take.loop == (0, take.audio.n_frames)
    pcm = to_pcm16(take.audio.samples[0])
    seams, elsewhere = seams_of(Mixer(with_guard_frame(pcm), rate)), windows_elsewhere(pcm, rate)
    assert not seam_stands_out(seams, elsewhere)
    assert spectrum_leaves_its_range_db(seams, elsewhere) < 1.5


def test_these_judges_hear_a_bad_loop() -> None:
    """A good loop of a tone passes; one without its guard frame, a lap that loses a frame, and a plain cut do not."""
    tone = to_pcm16(0.5 * np.sin(2 * np.pi * 40 * np.arange(11_025) / 11_025 + 1))
    cut = tone[:10_900]
    for rate in RATES:
        elsewhere = windows_elsewhere(tone, rate)
        good, bad = (seams_of(Mixer(with_guard_frame(pcm), rate)) for pcm in (tone, cut))
        assert not seam_stands_out(good, elsewhere)
        assert seam_stands_out(bad, elsewhere)
        assert seam_stands_out(seams_of(Mixer(tone, rate)), elsewhere)
        assert spectrum_leaves_its_range_db(good, elsewhere) < 3.0
        assert spectrum_leaves_its_range_db(bad, elsewhere) > 20.0
    assert seam_stands_out(seams_of(Mixer(tone, 0.919, loop_end=len(tone))), windows_elsewhere(tone, 0.919))


def test_loop_of_a_pulse_train_is_whole_pulses() -> None:
    period = 441
    pulses = np.zeros(2 * RATE)
    pulses[100::period] = 1.0
    pulses = np.convolve(pulses, np.exp(-np.arange(200) / 30) * np.sin(np.arange(200) * 0.4))[: 2 * RATE]
    seam = find_seam(pulses[None], RATE)
    assert seam is not None
    assert (seam.end - seam.start) % period == 0
    assert seam.correlation > 0.999


def test_loop_keeps_the_beat() -> None:
    """Clicks of noise, each one different, every 0.25 s: the lap is a whole number of beats, within 10 ms."""
    t = seconds(4.0)
    steps = np.random.default_rng(5).standard_normal(len(t)) * np.exp(-40 * (t % 0.25))
    seam = find_seam(steps[None], RATE)
    assert seam is not None
    beats = (seam.end - seam.start) / RATE / 0.25
    assert abs(beats - round(beats)) * 0.25 < 0.01
    assert round(beats) >= 8


@pytest.mark.parametrize(("kind", "low", "high"), [("noise", -0.1, 0.5), ("tone", 0.999, 1.001)])
def test_crossfade_keeps_the_level(kind: str, low: float, high: float) -> None:
    """Unlike stretches are faded at equal power, like ones at equal gain: neither dips nor bulges."""
    rng = np.random.default_rng(6)
    t = seconds(6.0)
    takes = [rng.standard_normal(len(t)) if kind == "noise" else np.sin(2 * np.pi * 100 * t + p) for p in range(4)]
    recording = np.stack(takes)
    seam = find_seam(recording, RATE)
    assert seam is not None
    assert low <= seam.correlation <= high
    loop = close(recording, seam)
    faded = float(np.square(loop[:, -seam.crossfade :]).mean())
    before = float(np.square(loop[:, : -seam.crossfade]).mean())
    assert 10 * np.log10(faded / before) == pytest.approx(0.0, abs=0.5)


def test_loop_is_long() -> None:
    """A steady recording loses little more than the crossfade."""
    for duration_s in (0.5, 2.0, 8.0):
        recording = np.random.default_rng(7).standard_normal((1, round(duration_s * RATE)))
        seam = find_seam(recording, RATE)
        assert seam is not None
        assert seam.end - seam.start > 0.6 * recording.shape[1]


def test_tiny_recordings_loop_as_they_are_and_say_so() -> None:
    mastered = master([Audio.of(np.ones(20) * np.sin(np.arange(20)), RATE)], SETTINGS, loop=True)
    take = mastered.takes[0]
    assert take.loop == (0, take.audio.n_frames)
    assert "too short" in mastered.warnings[0]


def test_a_decaying_sound_makes_a_poor_loop_and_says_so() -> None:
    decay = np.random.default_rng(8).standard_normal(2 * RATE) * np.exp(-3 * seconds(2.0))
    mastered = master([Audio.of(decay, RATE)], SETTINGS, loop=True)
    assert any("changes its level" in warning for warning in mastered.warnings)


@pytest.mark.parametrize("n_frames", [64, 65, 100, 333, 1000, 5000])
def test_every_length_can_be_closed(n_frames: int) -> None:
    recording = np.random.default_rng(n_frames).standard_normal((2, n_frames))
    seam = find_seam(recording, 48_000)
    assert seam is not None
    assert seam.crossfade <= seam.start < seam.end <= n_frames
    assert close(recording, seam).shape == (2, seam.end - seam.start)
