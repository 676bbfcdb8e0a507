"""What all adapters of pretrained priors keep to, on the real pipeline classes with tiny random networks in float64."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from adapters import BUILDS, GUIDABLE, PROMPTS, SECONDS, close, generators, noise_for

from sfxgen.distill.targets import Asked, denoised
from sfxgen.errors import BadInput
from sfxgen.priors.contract import Condition, Prior, reproducible
from sfxgen.priors.diffusion import ddim, guided
from sfxgen.priors.pipeline import PipelinePrior

pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")


@pytest.fixture(scope="module", params=BUILDS)
def prior(request: pytest.FixtureRequest) -> PipelinePrior:
    return BUILDS[request.param]()


def calls(prior: PipelinePrior, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batch of each call of the network from now on."""
    asked: list[int] = []
    network = prior.network

    def counted(z: torch.Tensor, t: torch.Tensor, condition: Condition) -> torch.Tensor:
        asked.append(len(z))
        return network(z, t, condition)

    monkeypatch.setattr(prior, "network", counted)
    return asked


@pytest.fixture(scope="module", params=GUIDABLE)
def guidable(request: pytest.FixtureRequest) -> PipelinePrior:
    return BUILDS[request.param]()


def test_shapes(prior: PipelinePrior) -> None:
    condition = prior.condition(PROMPTS, SECONDS)
    sound = prior.sample(condition, generators(1, 2, 3), steps=3, guidance=2.0)
    assert sound.shape == (3, prior.channels, round(SECONDS * prior.rate_hz))
    assert sound.dtype == torch.float64
    assert torch.isfinite(sound).all()
    assert sound.std() > 1e-3


def test_the_autoencoder_takes_and_gives_whole_frames(prior: PipelinePrior) -> None:
    z0 = noise_for(prior, 2)
    decoded = prior.decode(z0, generators(0, 1))
    assert decoded.shape == (2, prior.channels, prior.n_frames_for(SECONDS) * prior.hop_samples)
    assert prior.encode(decoded).shape == z0.shape
    assert prior.encode(decoded[..., :-1]).shape == z0.shape  # padded
    assert prior.encode(torch.cat([decoded, decoded[..., :1]], -1)).shape[2] == z0.shape[2] + 1


def test_z_has_one_frame_for_every_hop_begun(prior: PipelinePrior) -> None:
    axis = 1  # of one item's z: channels come first
    for n_samples in (1, prior.hop_samples, prior.hop_samples + 1, *range(prior.hop_samples, 400, prior.hop_samples)):
        assert prior.z_shape(n_samples / prior.rate_hz)[axis] == math.ceil(n_samples / prior.hop_samples)
    audio = torch.zeros(1, prior.channels, round(SECONDS * prior.rate_hz), dtype=torch.float64)
    assert prior.encode(audio).shape[1:] == prior.z_shape(SECONDS)


def test_what_encode_pads_is_silence(prior: PipelinePrior) -> None:
    audio = torch.randn(1, prior.channels, 3 * prior.hop_samples - 3, dtype=torch.float64)
    padded = torch.nn.functional.pad(audio, (0, 3))
    close(prior.encode(audio), prior.encode(padded))


def test_encode_is_differentiable(prior: PipelinePrior) -> None:
    torch.manual_seed(0)
    audio = torch.randn(2, prior.channels, 700, dtype=torch.float64)
    direction = torch.randn_like(audio)
    leaf = audio.clone().requires_grad_()
    weights = torch.randn_like(prior.encode(audio))
    (gradient,) = torch.autograd.grad((prior.encode(leaf) * weights).sum(), leaf)
    step = 1e-4  # rotary embeddings are float32 whatever the weights are
    difference = prior.encode(audio + step * direction) - prior.encode(audio - step * direction)
    close((gradient * direction).sum(), (difference * weights).sum() / (2 * step), 1e-2)


def test_decode_is_differentiable_and_the_denoiser_is_not(prior: PipelinePrior) -> None:
    z = noise_for(prior, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(prior.decode(z, generators(0)).square().sum(), z)
    assert gradient.abs().max() > 0
    x0 = prior.predict_x0(z, torch.tensor([0.5]), prior.condition(PROMPTS[:1], SECONDS))
    assert not x0.requires_grad
    assert not any(weights.requires_grad for part in parts(prior) for weights in part.parameters())


def parts(prior: PipelinePrior) -> list[torch.nn.Module]:
    found = [part for part in prior.pipe.components.values() if isinstance(part, torch.nn.Module)]
    assert found
    assert not any(part.training for part in found)
    return found


def test_x0_is_the_closed_form_of_the_networks_own_output() -> None:
    t = torch.tensor([0.13, 0.5, 0.9], dtype=torch.float64)
    column = t[:, None, None]
    for name in ("stable audio", "stable audio 3", "distilled"):
        prior = BUILDS[name]()
        z, condition = noise_for(prior, 3), prior.condition(PROMPTS, SECONDS)
        output = prior.network(z, t, condition)
        if name == "stable audio":
            expected = torch.cos(math.pi / 2 * column) * z - torch.sin(math.pi / 2 * column) * output
        else:
            expected = z - column * output
        close(prior.predict_x0(z, t, condition), expected)


def test_ddim_follows_the_closed_form_of_gaussian_data(
    guidable: PipelinePrior, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With z0 ~ N(0, s²) the best x̂0 is α s² / (α² s² + σ²) z, and every DDIM step multiplies z by a known number."""
    s2 = 0.36

    def shrink(alpha: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return alpha * s2 / (alpha**2 * s2 + sigma**2)

    def network(z: torch.Tensor, t: torch.Tensor, condition: Any) -> torch.Tensor:
        alpha, sigma = guidable.schedule.at(t, z)
        x0 = shrink(alpha, sigma) * z
        eps = (z - alpha * x0) / sigma
        return {"v": alpha * eps - sigma * x0, "flow": eps - x0, "eps": eps}[guidable.prediction]

    monkeypatch.setattr(guidable, "network", network)
    z = noise_for(guidable, 2)
    times = [0.9, 0.6, 0.3, 0.05]
    result = ddim(guidable.denoiser(guidable.condition(PROMPTS[:2], SECONDS)), z, times, guidable.schedule)
    factor = 1.0
    for t, t_next in pairwise([*times, 0.0]):
        (a, s), (a2, s2_next) = (both(guidable, value) for value in (t, t_next))
        k = a * s2 / (a**2 * s2 + s**2)
        factor *= a2 * k + s2_next * (1 - a * k) / s
    close(result, factor * z)


def both(prior: PipelinePrior, t: float) -> tuple[float, float]:
    at = torch.tensor([t], dtype=torch.float64)
    return float(prior.schedule.alpha(at)), float(prior.schedule.sigma(at))


def test_items_do_not_depend_on_their_neighbours(guidable: PipelinePrior) -> None:
    condition, z = guidable.condition(PROMPTS, SECONDS), noise_for(guidable, 3)
    t = torch.tensor([0.2, 0.5, 0.95], dtype=torch.float64)
    together = guidable.denoise(z, t, condition, 3.0)
    sounds = guidable.sample(condition, generators(7, 8, 9), 3, 2.0)
    for item, prompt in enumerate(PROMPTS):
        alone = guidable.condition([prompt], SECONDS)
        one = slice(item, item + 1)
        close(guidable.denoise(z[one], t[one], alone, 3.0), together[one], 1e-6)
        close(guidable.sample(alone, generators(7 + item), 3, 2.0), sounds[one], 1e-5)


def test_guidance(guidable: PipelinePrior, monkeypatch: pytest.MonkeyPatch) -> None:
    condition, z, t = guidable.condition(PROMPTS, SECONDS), noise_for(guidable, 3), torch.tensor([0.4, 0.6, 0.8])
    nothing = guidable.unconditional(condition)
    assert nothing.prompts == ("", "", "")
    with_prompt, without = (guidable.predict_x0(z, t, which) for which in (condition, nothing))
    assert (with_prompt - without).abs().max() > 1e-4
    close(guidable.denoise(z, t, condition, 0.0), without)
    close(guidable.denoise(z, t, condition, 6.0), guided(with_prompt, without, 6.0))
    asked = calls(guidable, monkeypatch)
    close(guidable.denoise(z, t, condition), with_prompt)
    assert asked == [3]


def test_guidance_in_one_pass(guidable: PipelinePrior, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: the same but for rounding, and one call of the network where the encodings are of one shape."""
    condition, z, t = guidable.condition(PROMPTS, SECONDS), noise_for(guidable, 3), torch.tensor([0.4, 0.6, 0.8])
    apart = guidable.denoise(z, t, condition, 3.0)
    asked = calls(guidable, monkeypatch)
    monkeypatch.setattr(guidable, "in_one_pass", True)
    close(guidable.denoise(z, t, condition, 3.0), apart, 1e-6)
    assert asked == [6] or (guidable.name == "ldm" and asked == [3, 3])
    asked.clear()
    guidable.denoise(z, t, condition)
    assert asked == [3]


def test_the_unconditional_keeps_the_length() -> None:
    for name in ("stable audio", "stable audio 3"):
        prior = BUILDS[name]()
        z, t = noise_for(prior, 1), torch.tensor([0.7])
        short, long = (prior.unconditional(prior.condition(["x"], seconds)) for seconds in (0.005, 0.03))
        assert (prior.predict_x0(z, t, short) - prior.predict_x0(z, t, long)).abs().max() > 1e-5
    condition = BUILDS["stable audio"]().condition(["x"], SECONDS)
    assert not BUILDS["stable audio"]().unconditional(condition).encoded["cross"].any()


def test_sampling_is_a_function_of_prompt_length_and_generators(prior: PipelinePrior) -> None:
    def sound(seed: int, prompts: Sequence[str] = PROMPTS[:1]) -> torch.Tensor:
        return prior.sample(prior.condition(prompts, SECONDS), generators(seed), 3, 2.0)

    first = sound(1)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert torch.equal(sound(1), first)
    assert torch.equal(torch.get_rng_state(), before)  # nothing drawn behind the caller's back
    assert not torch.allclose(sound(2), first)
    assert not torch.equal(sound(1, PROMPTS[1:2]), first)


def test_short_windows_run(prior: PipelinePrior) -> None:
    one_frame_s = prior.hop_samples / prior.rate_hz
    for seconds in (one_frame_s / 2, one_frame_s, 3 * one_frame_s, min(prior.window_s, 40 * one_frame_s)):
        sound = prior.sample(prior.condition(PROMPTS[:1], seconds), generators(0), 2, 2.0)
        assert sound.shape[-1] == round(seconds * prior.rate_hz)
        assert torch.isfinite(sound).all()


def test_a_sound_longer_than_the_window_is_refused(prior: PipelinePrior) -> None:
    for seconds in (prior.window_s + 0.01, 0.0, -1.0, math.nan):
        with pytest.raises(BadInput, match=rf"'{prior.name}' makes sounds of up to .* s; .* s were asked for"):
            prior.condition(PROMPTS, seconds)


def test_audio_of_another_shape_is_a_programmers_error(prior: PipelinePrior) -> None:
    with pytest.raises(ValueError, match=rf"\[batch, {prior.channels}, samples\]"):
        prior.encode(torch.zeros(1, 3 - prior.channels, 800))


def test_a_distillation_target_has_the_features_of_the_sound(prior: PipelinePrior) -> None:
    audio = torch.randn(2, prior.channels, 501, dtype=torch.float64, requires_grad=True)
    condition = prior.condition(PROMPTS[:2], 501 / prior.rate_hz)
    t = torch.tensor([0.4, 0.7], dtype=torch.float64)
    z0 = prior.encode(audio).detach()
    _, eps = prior.noise(z0, t, generators(0, 1))
    goal = denoised(z0, t, eps, Asked(prior, condition, guidance=3.0, n_steps=2))
    targets = prior.features_of(goal, generators(0, 1))
    features = prior.features(audio)
    assert [target.shape for target in targets] == [feature.shape for feature in features]
    assert not any(target.requires_grad for target in targets)
    loss = torch.stack([(f - x).square().mean() for f, x in zip(features, targets, strict=True)]).sum()
    (gradient,) = torch.autograd.grad(loss, audio)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


def test_features_of_a_sound_that_dies_away_have_a_gradient(prior: PipelinePrior) -> None:
    """Into silence, by way of float32 numbers so small that 1 over them is infinite."""
    tail = 1e-40 * torch.randn(1, prior.channels, 500, generator=torch.Generator().manual_seed(1))
    audio = tail.requires_grad_()
    loss = torch.stack([map_.square().mean() + map_.mean() for map_ in prior.features(audio)]).sum()
    (gradient,) = torch.autograd.grad(loss, audio)
    assert torch.isfinite(gradient).all()


def test_the_diffusion_classifier_runs(guidable: PipelinePrior) -> None:
    audio = torch.randn(1, guidable.channels, 500, dtype=torch.float64)
    scores = guidable.fit(audio, PROMPTS, seeds=(0, 1))
    assert scores.shape == (1, 3)
    assert len(set(scores[0].tolist())) == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", BUILDS)
def test_networks_in_lower_precision(name: str, dtype: torch.dtype) -> None:
    exact, rounded = BUILDS[name](), BUILDS[name](dtype=dtype)
    assert (rounded.weights_dtype, rounded.dtype) == (dtype, torch.float32)
    expected = exact.sample(exact.condition(PROMPTS, SECONDS), generators(1, 2, 3), 2, 2.0)
    sound = rounded.sample(rounded.condition(PROMPTS, SECONDS), generators(1, 2, 3), 2, 2.0)
    assert sound.dtype == torch.float32
    error = (sound.double() - expected).square().mean().sqrt() / expected.square().mean().sqrt()
    assert error < (1e-3 if dtype == torch.float32 else 0.5)
    assert rounded.encode(sound).dtype == torch.float32


@pytest.mark.parametrize("name", GUIDABLE)
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e-12])
def test_gradients_through_float16_are_as_they_would_be(name: str, scale: float) -> None:
    """However small the loss's share in each number is, and each item's by itself."""
    exact, rounded = BUILDS[name](dtype=torch.float32), BUILDS[name](dtype=torch.float16)
    n_samples = exact.hop_samples * (60 if name == "stable audio" else 16)
    audio = 0.1 * torch.randn(2, exact.channels, n_samples, generator=torch.Generator().manual_seed(0))
    levels = scale * torch.tensor([1.0, 1e-4])  # of the two items' losses
    wanted, found = (gradient_of_encode(prior, audio, levels) for prior in (exact, rounded))
    for mine, theirs in zip(found, wanted, strict=True):
        assert theirs.abs().max() > 0
        assert (mine - theirs).norm() < 2e-2 * theirs.norm()
    if name != "audioldm2":  # whose random vocoder is chaotic
        wanted, found = (gradient_of_decode(prior, levels) for prior in (exact, rounded))
        for mine, theirs in zip(found, wanted, strict=True):
            assert theirs.abs().max() > 0
            assert (mine - theirs).norm() < 2e-2 * theirs.norm()


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_gpu_adds_up_in_a_fixed_order_for_as_long_as_it_is_asked(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And whatever happens within, torch is left as it was."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    prior = cast("Prior", SimpleNamespace(small=False, device=torch.device(device)))
    with suppress(ZeroDivisionError), reproducible(prior):
        assert torch.are_deterministic_algorithms_enabled() == (device == "cuda")
        assert ("CUBLAS_WORKSPACE_CONFIG" in os.environ) == (device == "cuda")
        raise ZeroDivisionError
    assert not torch.are_deterministic_algorithms_enabled()


def gradient_of_encode(prior: PipelinePrior, audio: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    leaf = audio.clone().requires_grad_()
    loss = (levels * (prior.encode(leaf) - 1.0).square().flatten(1).mean(1)).sum()
    return torch.autograd.grad(loss, leaf)[0]


def gradient_of_decode(prior: PipelinePrior, levels: torch.Tensor) -> torch.Tensor:
    leaf = noise_for(prior, 2).float().requires_grad_()
    loss = (levels * prior.decode(leaf, generators(0, 1)).square().flatten(1).mean(1)).sum()
    return torch.autograd.grad(loss, leaf)[0]


def test_a_loss_that_is_no_number_stays_so_in_float16() -> None:
    """Of its own item alone, so that whoever descends can leave it out."""
    prior = BUILDS["stable audio"](dtype=torch.float16)
    gradient = gradient_of_encode(prior, torch.ones(2, prior.channels, 80), torch.tensor([1.0, math.nan]))
    assert gradient[0].isfinite().all()
    assert not gradient[1].isfinite().any()
    silent = gradient_of_encode(prior, torch.ones(1, prior.channels, 80), torch.tensor([0.0]))
    assert torch.equal(silent, torch.zeros_like(silent))
