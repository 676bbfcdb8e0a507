"""The bank of decaying sinusoids, against a direct float64 sum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfxgen.synths.modal import BLOCK, ModalSynth

RATE = 48_000


def random_modes(n_batch: int, n_modes: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rng = np.random.Generator(np.random.PCG64(seed))
    frequency = torch.from_numpy(rng.uniform(30, 20_000, (n_batch, n_modes)))
    decay = torch.from_numpy(rng.uniform(0.5, 200, (n_batch, n_modes)))
    amplitude = torch.from_numpy(rng.normal(size=(n_batch, n_modes)))
    phase = torch.from_numpy(rng.uniform(-np.pi, np.pi, (n_batch, n_modes)))
    return frequency, decay, amplitude, phase


def direct_sum(modes: tuple[Tensor, Tensor, Tensor, Tensor], n_frames: int) -> NDArray[np.float64]:
    """Σ a e^{-d t} sin(2 π f t + φ), term by term in float64, [batch, frames]."""
    frequency, decay, amplitude, phase = (m.numpy()[:, :, None] for m in modes)
    t = np.arange(n_frames) / RATE
    terms = amplitude * np.exp(-decay * t) * np.sin(2 * np.pi * frequency * t + phase)
    return np.asarray(terms.sum(axis=1))


def render(modes: tuple[Tensor, Tensor, Tensor, Tensor], n_frames: int) -> NDArray[np.float32]:
    frequency, decay, amplitude, phase = modes
    with torch.inference_mode():
        return ModalSynth(frequency, decay, amplitude, RATE, phase)(n_frames).numpy()  # type: ignore[no-any-return]


def test_blocks_equal_the_direct_sum_to_100_db() -> None:
    """100 modes for 3 s: the error stays 100 dB under the signal, over the whole and over the quiet last tenth."""
    modes, n_frames = random_modes(2, 100, 1), 3 * RATE
    found, expected = render(modes, n_frames), direct_sum(modes, n_frames)
    assert found.shape == expected.shape
    for part in (slice(None), slice(-n_frames // 10, None)):
        error_db = 20 * np.log10(np.linalg.norm(found[:, part] - expected[:, part]) / np.linalg.norm(expected[:, part]))
        assert error_db < -100


@pytest.mark.parametrize("n_frames", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 1000])
def test_any_length_is_a_prefix_of_a_longer_one(n_frames: int) -> None:
    modes = random_modes(1, 5, 2)
    short = render(modes, n_frames)
    assert short.shape == (1, n_frames)
    np.testing.assert_allclose(short, render(modes, 2000)[:, :n_frames], atol=1e-5)


def test_shared_frequencies_give_what_repeated_ones_give() -> None:
    """Rows that share one body's frequencies and decays take a cheaper product: the same sound."""
    frequency, decay, amplitude, phase = random_modes(3, 20, 3)
    shared = ModalSynth(frequency[:1], decay[:1], amplitude, RATE, phase)(RATE // 4)
    repeated = ModalSynth(frequency[:1].expand(3, -1), decay[:1].expand(3, -1), amplitude, RATE, phase)(RATE // 4)
    assert shared.shape == (3, RATE // 4)
    torch.testing.assert_close(shared, repeated, atol=2e-5, rtol=0)


def test_silent_at_and_above_nyquist() -> None:
    """Never an alias: the mode is left out, its neighbours are not."""
    frequency = torch.tensor([RATE / 2, RATE / 2 + 500.0, 3.0 * RATE])
    loud = torch.ones(1, 3, dtype=torch.float64)
    silent = ModalSynth(frequency, torch.ones(3), loud, RATE)(4096)
    assert silent.shape == (1, 4096)
    assert not silent.any()
    audible = ModalSynth(torch.tensor([0.49 * RATE]), torch.ones(1), loud[:, :1], RATE)(4096)
    assert audible.abs().max() > 0.9


def test_sixty_db_take_as_long_as_the_decay_says() -> None:
    """T60 = 6.908 / d by Schroeder's backward integration."""
    decay = 11.0
    sound = render((torch.tensor([[1234.0]]), torch.tensor([[decay]]), torch.ones(1, 1), torch.zeros(1, 1)), RATE)[0]
    energy = np.cumsum(sound[::-1].astype(float) ** 2)[::-1]
    level = 10 * np.log10(energy / energy[0])
    start, end = (int(np.argmax(level < db)) for db in (-5, -35))
    assert 2 * (end - start) / RATE == pytest.approx(6.908 / decay, rel=0.01)


def test_gradients_reach_every_parameter_and_match_finite_differences() -> None:
    """Of the energy's pull towards a target; the smooth part of the way, a few periods long."""
    frequency, decay, amplitude, phase = random_modes(2, 3, 4)
    frequency = frequency / 50  # gentle slopes, so that a finite step is a fair judge
    synth = ModalSynth(frequency, decay, amplitude, RATE, phase)
    target = torch.from_numpy(np.random.Generator(np.random.PCG64(5)).normal(size=(2, 600)))

    def loss() -> Tensor:
        weighted: Tensor = synth(600).double() * target
        return weighted.sum()

    torch.autograd.backward(loss())
    names = [name for name, _ in synth.named_parameters()]
    assert sorted(names) == ["amplitude", "log_decay", "log_frequency", "phase"]
    for name, parameter in synth.named_parameters():
        assert parameter.grad is not None
        for place in np.ndindex(*parameter.shape):
            step = 3e-4
            with torch.no_grad():
                parameter[place] += step
                above = loss().item()
                parameter[place] -= 2 * step
                below = loss().item()
                parameter[place] += step
            slope = (above - below) / (2 * step)
            assert parameter.grad[place].item() == pytest.approx(slope, rel=0.02, abs=0.05), (name, place)


def test_gradients_reach_shared_parameters() -> None:
    frequency, decay, amplitude, phase = random_modes(3, 4, 6)
    synth = ModalSynth(frequency[0], decay[0], amplitude, RATE, phase)
    torch.autograd.backward(synth(2000).square().sum())
    assert synth.log_frequency.shape == (1, 4)
    for parameter in synth.parameters():
        assert parameter.grad is not None
        assert bool((parameter.grad != 0).all())


def test_the_same_bytes_twice() -> None:
    modes = random_modes(4, 50, 7)
    assert render(modes, 10_000).tobytes() == render(modes, 10_000).tobytes()


@pytest.mark.parametrize(
    ("frequency", "decay", "amplitude"),
    [
        (torch.ones(3), torch.ones(3), torch.ones(3)),
        (torch.ones(3), torch.ones(2), torch.ones(1, 3)),
        (torch.ones(2, 3), torch.ones(2, 3), torch.ones(4, 3)),
        (torch.tensor([-1.0]), torch.ones(1), torch.ones(1, 1)),
        (torch.ones(1), torch.zeros(1), torch.ones(1, 1)),
    ],
)
def test_parameters_that_do_not_fit_are_refused(frequency: Tensor, decay: Tensor, amplitude: Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected|positive"):
        ModalSynth(frequency, decay, amplitude, RATE)
