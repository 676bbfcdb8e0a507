"""From log-mel to sound: tones at their pitch, noise at its level, clicks at their instant, loops without a seam."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfxgen import mel
from sfxgen.play import play
from sfxgen.synths import resynthesis_grid as grid
from sfxgen.synths import resynthesis_noise as noise
from sfxgen.synths.resynthesis import apply_gains, draw_white, render, resynthesise
from sfxgen.synths.resynthesis_sines import find_tones
from sfxgen.synths.resynthesis_tracks import find_tracks

N_FRAMES = 100
N_SAMPLES = (N_FRAMES - 1) * mel.HOP_SAMPLES


def made(levels_db: Tensor, seed: int = 1, loop: bool = False) -> Tensor:
    return resynthesise(levels_db, torch.Generator().manual_seed(seed), loop=loop)


def sweep(start_hz: float, end_hz: float, n_samples: int = N_SAMPLES) -> Tensor:
    """A full-scale sine gliding evenly in octaves, [1, samples]."""
    hz = start_hz * (end_hz / start_hz) ** (np.arange(n_samples) / n_samples)
    return torch.from_numpy(np.sin(2.0 * math.pi * np.cumsum(hz) / mel.RATE_HZ).astype(np.float32))[None]


def steady_noise_levels(n_frames: int) -> Tensor:
    """Levels of white noise below 2 kHz and of noise 20 dB weaker above, with their expected values."""
    power = grid.noise_to_bands().sum(0) * torch.where(torch.from_numpy(mel.centres_hz()) < 2000.0, 1.0, 0.01)
    level = 10.0 * torch.log10(power / power.max())
    return level.float().expand(1, n_frames, -1).clone()


def spectrum(audio: Tensor) -> NDArray[np.float64]:
    values = audio[0].double().numpy()
    return np.asarray(np.abs(np.fft.rfft(values * np.hanning(len(values)))) ** 2)


@pytest.mark.parametrize("hz", [82.0, 220.0, 440.0, 1234.5, 3333.0, 9001.0])
def test_a_steady_sine_comes_back_as_one_sine_at_its_frequency(hz: float) -> None:
    power = spectrum(made(mel.log_mel(sweep(hz, hz)))[:, 4096:-4096])
    bin_hz = mel.RATE_HZ / (N_SAMPLES - 8192)
    top = int(power.argmax())
    left, here, right = np.log(power[top - 1 : top + 2])
    found_hz = (top + 0.5 * (left - right) / (left - 2.0 * here + right)) * bin_hz
    assert abs(found_hz - hz) < max(0.3, hz * 0.001)  # 0.1 % are 1.7 cents
    assert power[top - 8 : top + 9].sum() > 0.99 * power.sum()


def test_a_glide_is_one_tone_of_even_loudness() -> None:
    audio = sweep(6000.0, 400.0)
    levels = mel.log_mel(audio)
    tracks = find_tracks(grid.to_power(levels)[0].double().numpy())
    assert len(tracks) == 1
    assert len(tracks[0].position) >= N_FRAMES - 2
    loudness = made(levels)[0, 4096:-4096].unfold(0, 441, 441).square().mean(1)
    assert float(loudness.std() / loudness.mean()) < 0.15


def test_noise_is_not_taken_for_tones() -> None:
    audio = torch.randn(1, 20 * mel.RATE_HZ // mel.HOP_SAMPLES * mel.HOP_SAMPLES, generator=torch.manual_seed(0))
    tracks = find_tracks(grid.to_power(mel.log_mel(audio))[0].double().numpy())
    assert sum(len(track.position) for track in tracks) < 0.05 * mel.n_frames_for(audio.shape[-1])


@pytest.mark.parametrize("loop", [False, True])
def test_noise_has_the_asked_level_in_each_band(loop: bool) -> None:
    levels = steady_noise_levels(400)
    power = grid.band_power(grid.split_frames(made(levels, loop=loop), loop))[0, 4:-4].mean(0)
    error_db = 10.0 * torch.log10(power / grid.to_power(levels)[0, 0])
    error_db = error_db - error_db.median()  # the whole may be turned down to keep its peak below 1
    edge = int(np.searchsorted(mel.centres_hz(), 2000.0))
    away = torch.cat([error_db[1 : edge - 2], error_db[edge + 2 :]])  # a step of 20 dB is softer than the bands' shape
    assert len(away) > 100
    assert float(away.abs().max()) < 1.0


def test_fixed_noise_has_the_asked_level_on_average() -> None:
    levels = steady_noise_levels(400)
    audio = render(levels, draw_white(levels, torch.Generator().manual_seed(2), False))
    error_db = 10.0 * torch.log10(mel.mel_power(audio)[0, 4:-4].mean(0) / grid.to_power(levels)[0, 0])
    edge = int(np.searchsorted(mel.centres_hz(), 2000.0))
    assert float(torch.cat([error_db[1 : edge - 2], error_db[edge + 2 :]]).abs().max()) < 1.0


@pytest.mark.parametrize("instant", [20_000, 20_128, 20_300, 20_480])
def test_the_energy_of_a_click_lies_within_milliseconds_of_its_instant(instant: int) -> None:
    audio = torch.zeros(1, N_SAMPLES)
    audio[0, instant] = 1.0
    energy = made(mel.log_mel(audio))[0].square().cumsum(0)
    reached = [int((energy >= part * energy[-1]).to(torch.int8).argmax()) for part in (0.05, 0.5, 0.95)]
    assert abs(reached[1] - instant) < 0.002 * mel.RATE_HZ
    assert reached[2] - reached[0] < 0.010 * mel.RATE_HZ  # the window is 46 ms long


def test_it_is_silent_before_an_onset() -> None:
    audio = torch.zeros(1, N_SAMPLES)
    audio[0, 20_480:] = torch.randn(N_SAMPLES - 20_480, generator=torch.manual_seed(0))
    back = made(mel.log_mel(audio))[0].square()
    before, after = back[: 20_480 - 441].mean(), back[20_480:].mean()  # up to 10 ms before it
    assert float(before) < 1e-5 * float(after)


def test_a_tone_goes_round_a_loop_without_a_seam() -> None:
    n_samples = N_FRAMES * mel.HOP_SAMPLES
    tone = torch.sin(2.0 * math.pi * 441.3 * torch.arange(2 * n_samples, dtype=torch.float64) / mel.RATE_HZ)
    levels = mel.log_mel(tone[None].float())[:, 20 : 20 + N_FRAMES]
    audio = made(levels, loop=True)
    assert audio.shape == (1, n_samples)
    power = np.abs(np.fft.rfft(audio[0].double().numpy())) ** 2  # no window: what is not periodic would spread
    top = int(power.argmax())
    assert power[top - 4 : top + 5].sum() > 0.999 * power.sum()


def test_a_loop_is_one_sound_wherever_it_is_cut() -> None:
    audio = torch.randn(1, N_FRAMES * mel.HOP_SAMPLES, generator=torch.manual_seed(3))
    levels = 10.0 * torch.log10(grid.band_power(grid.split_frames(audio, True)))
    levels = (levels - levels.max()).clamp_min(mel.FLOOR_DB)
    back = made(levels, loop=True)
    step = (back - back.roll(1, -1)).abs()[0]
    neighbours = torch.cat([step[1 : mel.HOP_SAMPLES], step[-mel.HOP_SAMPLES :]])
    assert float(step[0]) <= float(neighbours.max())
    power = grid.band_power(grid.split_frames(back, True))
    error_db = (10.0 * torch.log10(power) - levels)[0]
    error_db = (error_db - error_db.median()).abs().mean(1)
    assert float(error_db[[-1, 0, 1]].mean()) < 1.3 * float(error_db.mean())


def test_tones_on_a_circle_are_the_same_wherever_it_is_cut() -> None:
    levels = mel.log_mel(sweep(500.0, 600.0))
    power = grid.to_power(levels)[0].double().numpy()
    power = power * (0.02 + np.hanning(len(power)))[:, None]
    tracks = find_tones(np.roll(power, 30, axis=0), loop=True)
    assert sum(len(track.position) for track in tracks) >= 0.9 * len(power)
    assert max(len(track.position) for track in tracks) >= 0.9 * len(power)


def test_the_same_seed_makes_the_same_sound_and_another_seed_another() -> None:
    levels = mel.log_mel(torch.randn(2, N_SAMPLES, generator=torch.manual_seed(0)))
    first, again, other = made(levels, 1), made(levels, 1), made(levels, 2)
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)
    assert not torch.allclose(first[0], first[1])


@pytest.mark.parametrize("loop", [False, True])
def test_silence_gives_silence(loop: bool) -> None:
    levels = torch.full((2, 20, mel.N_MELS), mel.FLOOR_DB)
    audio = made(levels, loop=loop)
    assert audio.shape == (2, (20 if loop else 19) * mel.HOP_SAMPLES)
    assert not audio.any()


def test_it_never_clips() -> None:
    audio = made(steady_noise_levels(60))
    assert audio.dtype == torch.float32
    assert 0.5 < float(audio.abs().max()) <= 1.0


@pytest.mark.parametrize("shape", [(3, 128), (1, 3, 128), (1, 10, 64)])
def test_levels_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="levels must be"):
        made(torch.zeros(shape))


@pytest.mark.parametrize("loop", [False, True])
def test_gradients_of_the_differentiable_forms_are_finite_differences(loop: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    levels = -40.0 * torch.rand(1, 8, mel.N_MELS, generator=generator, dtype=torch.float64)
    white = draw_white(levels, generator, loop)
    target, way = torch.randn(white.shape, generator=generator).double(), torch.randn(levels.shape).double()
    sharp = noise.sharpening(grid.to_power(levels), loop)
    forms: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda x: render(x, white, loop=loop),
        lambda x: render(x, white, loop=loop, sharpening=sharp),
        lambda x: apply_gains(white, x, loop=loop),
    )
    for form in forms:
        x = levels.clone().requires_grad_()
        (gradient,) = torch.autograd.grad((form(x) * target).sum(), x)
        h = 1e-4
        difference = ((form(levels + h * way) - form(levels - h * way)) * target).sum() / (2.0 * h)
        assert float((gradient * way).sum()) == pytest.approx(float(difference), rel=1e-5)


def test_gains_of_nothing_change_nothing_and_gains_of_one_band_only_that_band() -> None:
    audio = torch.randn(1, N_SAMPLES, generator=torch.manual_seed(0))
    gains = torch.zeros(1, N_FRAMES, mel.N_MELS)
    same = apply_gains(audio, gains)
    inside = mel.centres_hz()[[2, -3]] * 2.0 * (N_SAMPLES / 2 / mel.RATE_HZ)
    kept = torch.fft.rfft(same - audio)[0, int(inside[0]) : int(inside[1])].abs().max()
    assert float(kept) < 1e-2 * float(torch.fft.rfft(audio).abs().mean())
    gains[..., 60] = -40.0
    change_db = 10.0 * torch.log10(mel.mel_power(apply_gains(audio, gains)) / mel.mel_power(audio))[0].mean(0)
    assert float(change_db[60]) < -6.0
    assert float(change_db[:58].abs().max()) < 0.3


@pytest.mark.parametrize("preset", ["laser_retro", "explosion_near", "coin", "footstep_wood", "rain_heavy"])
def test_presets_come_back_with_their_levels(preset: str, tmp_path: Path) -> None:
    play(tmp_path, preset, out=tmp_path / "x.wav", layer=None, index=1)
    samples, _ = soundfile.read(tmp_path / "x.wav", dtype="float32", always_2d=True)
    n = len(samples) // mel.HOP_SAMPLES * mel.HOP_SAMPLES
    levels = mel.log_mel(torch.from_numpy(samples[:n].mean(1))[None])
    back = mel.log_mel(made(levels))
    heard = levels > -50.0
    assert float((back - levels)[heard].abs().mean()) < 2.0
