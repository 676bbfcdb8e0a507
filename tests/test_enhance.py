"""Enhancement: speech out of noise by a tracked noise floor and prompts, and clean speech left as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from sound_measures import si_sdr_db

from sfxgen.audio import Audio
from sfxgen.distill.denoise import noise_power, speech_gain
from sfxgen.distill.enhance import enhance
from sfxgen.distill.separate import Settings
from sfxgen.draw import Draw
from sfxgen.errors import BadInput
from sfxgen.generate.enhance import cleaned, render
from sfxgen.generate.recipe import Request
from sfxgen.library.places import SHIPPED
from sfxgen.library.store import read_library
from sfxgen.manifest.recordings import Enhance
from sfxgen.priors.library import LibraryPrior
from sfxgen.recordings import enhance as run_enhance

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def shipped() -> LibraryPrior:
    return LibraryPrior(read_library(SHIPPED))


def vowels(seconds: float = 2.0, seed: int = 0) -> NDArray[np.float64]:
    """Speech-like: a voice at 120 Hz with moving formants, in syllables with pauses; peak 0.5."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    pitch = np.cumsum(120 * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * t))) / RATE_HZ
    syllable = np.clip(np.sin(2 * np.pi * 2.5 * t + rng.uniform(0, 6)), 0, None) ** 0.5
    first = 500 + 200 * np.sin(2 * np.pi * 1.3 * t)
    voice = np.zeros_like(t)
    for k in range(1, 30):
        hz = 120.0 * k
        level = sum(np.exp(-0.5 * ((hz - f) / 150) ** 2) for f in (first, 3 * first, 2700.0))
        voice += level * np.sin(2 * np.pi * k * pitch)
    voice *= syllable
    spoken: NDArray[np.float64] = 0.5 * voice / np.abs(voice).max()
    return spoken


def hiss(n: int, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(n)


def noisy_at(snr_db: float, voice: NDArray[np.float64]) -> NDArray[np.float64]:
    noise = hiss(len(voice))
    mixed: NDArray[np.float64] = voice + noise * np.sqrt(
        np.square(voice).sum() / np.square(noise).sum() / 10 ** (snr_db / 10)
    )
    return mixed


# The noise floor


def test_the_floor_under_steady_noise_is_its_power_or_a_little_less() -> None:
    """Less, since the noise's own peaks count as speech now and then."""
    power = np.random.default_rng(0).exponential(3.0, (64, 400))
    found_db = 10 * np.log10(noise_power(power)[:, 50:-50].mean() / 3.0)
    assert -2.0 < found_db < 0.0


def test_the_floor_does_not_rise_with_a_loud_burst() -> None:
    power = np.random.default_rng(0).exponential(1.0, (64, 400))
    power[:, 200:215] *= 1e4
    assert noise_power(power)[:, 195:220].mean() < 2.0


def test_the_floor_follows_noise_that_becomes_louder() -> None:
    power = np.random.default_rng(0).exponential(1.0, (64, 600))
    power[:, 300:] *= 10.0
    found_db = 10 * np.log10(noise_power(power).mean(0))
    assert found_db[450:550].mean() - found_db[50:200].mean() == pytest.approx(10.0, abs=1.0)


def test_gains_keep_what_stands_out_and_lower_what_does_not() -> None:
    power = np.random.default_rng(0).exponential(1.0, (64, 300))
    power[10, 100:200] = 1e3
    gain = speech_gain(power)
    assert gain.min() >= 0.1
    assert gain.max() <= 1.0
    assert gain[10, 105:195].min() > 0.95
    assert np.median(gain[30]) < 0.2


# Speech


@pytest.mark.parametrize("snr_db", [0.0, 5.0])
def test_noise_is_taken_away(shipped: LibraryPrior, snr_db: float) -> None:
    voice = vowels()
    speech = cleaned(Audio.of(noisy_at(snr_db, voice), RATE_HZ), shipped, 0)
    assert si_sdr_db(speech.samples[0], voice) > snr_db + 4.0


def test_clean_speech_is_left_as_it_is(shipped: LibraryPrior) -> None:
    voice = vowels()
    assert si_sdr_db(cleaned(Audio.of(voice, RATE_HZ), shipped, 0).samples[0], voice) > 25.0


def test_the_amount_lies_between_the_recording_and_all_that_is_found(shipped: LibraryPrior) -> None:
    recording = Audio.of(noisy_at(0.0, vowels()), RATE_HZ)
    none, half, all_ = (cleaned(recording, shipped, 0, amount=amount) for amount in (0.0, 0.5, 1.0))
    assert np.array_equal(none.samples, recording.samples)
    middle = 0.5 * (recording.samples + all_.samples)
    assert np.abs(half.samples - middle).max() < 1e-6


def test_rate_and_channels_stay_and_the_same_bytes_come_again(shipped: LibraryPrior) -> None:
    voice = noisy_at(5.0, vowels(1.0))
    recording = Audio.of(np.stack([voice, 0.5 * voice]), RATE_HZ)
    speech, again = (cleaned(recording, shipped, 3) for _ in range(2))
    assert (speech.rate_hz, speech.samples.shape) == (RATE_HZ, recording.samples.shape)
    assert speech.samples.tobytes() == again.samples.tobytes()
    assert np.abs(speech.samples[1] - 0.5 * speech.samples[0]).max() < 1e-6


def test_silence_stays_silence(shipped: LibraryPrior) -> None:
    assert cleaned(Audio.of(np.zeros(5000), RATE_HZ), shipped, 0).peak == 0.0


def test_a_noise_that_the_prior_does_not_know(shipped: LibraryPrior) -> None:
    with pytest.raises(BadInput, match="knows no word of the prompt 'xyzzy'"):
        cleaned(Audio.of(vowels(0.5), RATE_HZ), shipped, 0, noise="xyzzy")


def test_the_shares_of_speech_and_noise_are_the_whole(shipped: LibraryPrior) -> None:
    audio = torch.tensor(noisy_at(5.0, vowels(1.0)), dtype=torch.float32)[None]
    shares = enhance(audio, shipped, 0, noise="rain")
    assert shares.values.shape[0] == 2
    torch.testing.assert_close(shares.values.sum(0), torch.ones_like(shares.values[0]))


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")
@pytest.mark.parametrize("kind", ["stable audio", "stable audio 3", "audioldm2"])
def test_latent_priors_enhance(kind: str) -> None:
    from test_separate import some_audio, tiny

    prior = tiny(kind)
    shares = enhance(some_audio(prior), prior, 0, "rain", Settings(n_steps=1, n_denoising=1))
    assert torch.isfinite(shares.values).all()
    torch.testing.assert_close(shares.values.sum(0), torch.ones_like(shares.values[0]))


# Recipe and command


def test_the_recipe_cleans_every_recording(tmp_path: Path) -> None:
    for name, seed in (("one.wav", 0), ("two.wav", 1)):
        soundfile.write(tmp_path / name, noisy_at(0.0, vowels(1.0, seed)), RATE_HZ)
    spec = Enhance(source=("one.wav", "two.wav"), amount=0.8)
    blocks = render(spec, [Draw(seed=1), Draw(seed=2)], Request(root=tmp_path))
    assert [block.rate_hz for block in blocks] == [RATE_HZ] * 2
    for seed, block in enumerate(blocks):
        assert si_sdr_db(block.samples[0], vowels(1.0, seed)) > 2.0


def test_the_command_writes_beside_the_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "line.wav", noisy_at(0.0, vowels(1.0)), RATE_HZ)
    (said,) = run_enhance(tmp_path, tmp_path / "line.wav")
    assert said.startswith(f"wrote {tmp_path / 'line_clean.wav'}: 1.00 s, -")
    cleaned_samples, rate_hz = soundfile.read(tmp_path / "line_clean.wav")
    assert (len(cleaned_samples), rate_hz) == (RATE_HZ, RATE_HZ)
