"""Stable Audio's adapters beside the library's own pipelines, which must sample the same."""

from __future__ import annotations

import math
import sys
import types
from typing import Any

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

import tiny_models
from adapters import BUILDS, PROMPTS, SECONDS, close, generators, noise_for

from sfxgen.priors.diffusion import ddim, draw_noise
from sfxgen.priors.stable_audio import StableAudio
from sfxgen.priors.stable_audio_3 import StableAudio3, sampling_times

pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")


def test_stable_audio_agrees_with_the_pipelines_own_ode_sampler() -> None:
    """diffusers' first-order EDM solver is DDIM; only the clock that it hands the network is another model's."""
    import diffusers

    base: Any = diffusers.EDMDPMSolverMultistepScheduler

    class OnStableAudiosClock(base):  # type: ignore[misc]
        def precondition_noise(self, sigma: torch.Tensor) -> torch.Tensor:
            return sigma.atan() / math.pi * 2

    pipe = tiny_models.stable_audio()
    pipe.scheduler = OnStableAudiosClock(
        sigma_min=0.3, sigma_max=500.0, sigma_data=1.0, prediction_type="v_prediction", solver_order=1
    )
    prior = StableAudio(pipe)
    z = draw_noise((8, 64), generators(0, 1), torch.empty((), dtype=torch.float64))
    theirs = pipe(
        list(PROMPTS[:2]), SECONDS, num_inference_steps=8, guidance_scale=5.0, latents=z, output_type="latent"
    ).audios
    times = pipe.scheduler.sigmas[:-1].double().atan() / math.pi * 2
    ours = ddim(prior.denoiser(prior.condition(PROMPTS[:2], SECONDS), 5.0), z, times, prior.schedule)
    close(ours, theirs, 1e-5)
    silence = ddim(prior.denoiser(prior.condition(["", ""], SECONDS), 5.0), z, times, prior.schedule)
    assert (silence - theirs).abs().max() > 1e-3 * theirs.abs().max()  # the comparison can tell prompts apart


def test_stable_audios_own_sampler_estimates_the_same_x0_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint's scheduler itself; its Brownian noise, which needs torchsde, is drawn by a generator here."""
    monkeypatch.setitem(sys.modules, "torchsde", types.ModuleType("torchsde"))
    from diffusers.schedulers import scheduling_cosine_dpmsolver_multistep as theirs

    class Noise:
        def __init__(self, x: torch.Tensor, **_: Any) -> None:
            self.shape, self.generator = x.shape, torch.Generator().manual_seed(5)

        def __call__(self, *_: Any) -> torch.Tensor:
            return torch.randn(self.shape, generator=self.generator, dtype=torch.float64)

    monkeypatch.setattr(theirs, "BrownianTreeNoiseSampler", Noise)
    seen: list[tuple[torch.Tensor, float, torch.Tensor]] = []

    class Watched(theirs.CosineDPMSolverMultistepScheduler):  # type: ignore[misc]
        def convert_model_output(self, output: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
            x0: torch.Tensor = super().convert_model_output(output, sample)
            seen.append((sample, float(self.sigmas[self.step_index]), x0))
            return x0

    pipe = tiny_models.stable_audio()
    pipe.scheduler = Watched(solver_order=2)
    prior = StableAudio(pipe)
    pipe(list(PROMPTS), SECONDS, num_inference_steps=6, guidance_scale=4.0, generator=generators(0)[0])
    assert len(seen) == 6
    condition = prior.condition(PROMPTS, SECONDS)
    for z_ve, sigma_ve, x0 in seen:  # theirs is noised as z0 + σ ε: ours is that times cos(πt/2), where tan(πt/2) = σ
        t = torch.full((3,), math.atan(sigma_ve) * 2 / math.pi, dtype=torch.float64)
        close(prior.denoise(z_ve * math.cos(math.atan(sigma_ve)), t, condition, 4.0), x0, 1e-5)


def test_stable_audio_3_agrees_with_its_pipeline() -> None:
    pipe = tiny_models.stable_audio_3()
    prior = StableAudio3(pipe)
    z = noise_for(prior, 2)
    theirs = pipe(
        list(PROMPTS[:2]),
        SECONDS,
        num_inference_steps=7,
        guidance_scale=4.0,
        latents=z.clone(),
        output_type="latent",
    ).audios
    ours = prior.sample_z0(prior.condition(PROMPTS[:2], SECONDS), generators(0, 1), 7, 4.0)
    close(ours, theirs, 1e-5)
    assert torch.equal(sampling_times(7), pipe.scheduler.sigmas[:-1].double())


@pytest.mark.parametrize("n_train", [1, 1000])
def test_distilled_stable_audio_3_agrees_with_its_pipeline(n_train: int) -> None:
    pipe = tiny_models.stable_audio_3(distilled=True)
    pipe.scheduler.register_to_config(num_train_timesteps=n_train)
    prior = StableAudio3(pipe)
    (generator,) = generators(4)
    z = draw_noise(prior.z_shape(SECONDS), [generator], torch.empty((), dtype=torch.float64))
    theirs = pipe(PROMPTS[0], SECONDS, latents=z, generator=generator, output_type="latent").audios
    ours = prior.sample_z0(prior.condition(PROMPTS[:1], SECONDS), generators(4), steps=8, guidance=6.0)
    close(ours, theirs, 1e-5)


def test_a_distilled_model_takes_no_guidance_and_says_so() -> None:
    prior = BUILDS["distilled"]()
    z, t, condition = noise_for(prior, 2), torch.tensor([0.3, 0.8]), prior.condition(PROMPTS[:2], SECONDS)
    assert torch.equal(prior.denoise(z, t, condition, 7.0), prior.predict_x0(z, t, condition))
    assert prior.usual_guidance == 1.0
    assert "guidance" in prior.notes[0]
    assert "-base" in prior.notes[0]
    assert BUILDS["stable audio 3"]().notes == ()
