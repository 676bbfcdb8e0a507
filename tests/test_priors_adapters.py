"""The pretrained priors' adapters, on the real pipeline classes with tiny random networks in float64."""

from __future__ import annotations

import math
import sys
import types
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

import tiny_models

from sfxgen.distill.targets import Asked, denoised
from sfxgen.errors import BadInput
from sfxgen.priors.audioldm2 import AudioLDM2, log_mel
from sfxgen.priors.contract import Condition
from sfxgen.priors.diffusion import ddim, ddim_step, draw_noise, guided
from sfxgen.priors.pipeline import PipelinePrior
from sfxgen.priors.stable_audio import StableAudio
from sfxgen.priors.stable_audio_3 import StableAudio3, sampling_times

pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")

PROMPTS = ("rain", "a heavy door", "cold wind howls")
SECONDS = 0.02
BUILDS: dict[str, Callable[..., PipelinePrior]] = {
    "stable audio": lambda **more: StableAudio(tiny_models.stable_audio(**more), "sa", "d"),
    "stable audio 3": lambda **more: StableAudio3(tiny_models.stable_audio_3(**more), "sa3", "d"),
    "distilled": lambda **more: StableAudio3(tiny_models.stable_audio_3(distilled=True, **more), "sa3", "d"),
    "audioldm2": lambda **more: AudioLDM2(tiny_models.audioldm2(**more), "ldm", "d"),
}
GUIDABLE = ("stable audio", "stable audio 3", "audioldm2")


@pytest.fixture(scope="module", params=BUILDS)
def prior(request: pytest.FixtureRequest) -> PipelinePrior:
    return BUILDS[request.param]()


@pytest.fixture(scope="module", params=GUIDABLE)
def guidable(request: pytest.FixtureRequest) -> PipelinePrior:
    return BUILDS[request.param]()


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def noise_for(prior: PipelinePrior, n_items: int, seconds: float = SECONDS) -> torch.Tensor:
    like = torch.empty((), dtype=torch.float64)
    return draw_noise(prior.z_shape(seconds), generators(*range(n_items)), like)


def close(one: torch.Tensor, other: torch.Tensor, relative: float = 1e-10) -> None:
    assert one.shape == other.shape
    assert one.numel() > 0
    assert other.abs().max() > 1e-3, "nothing to compare with"
    assert (one - other).abs().max() <= relative * other.abs().max()


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


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_x0_of_a_discrete_table(prediction: str) -> None:
    prior = AudioLDM2(tiny_models.audioldm2(prediction_type=prediction))
    z, condition = noise_for(prior, 3), prior.condition(PROMPTS, SECONDS)
    steps = torch.tensor([0, 400, 999])
    alpha_bar = prior.pipe.scheduler.alphas_cumprod.double()[steps][:, None, None, None]
    output = prior.pipe.unet(
        z,
        steps,
        encoder_hidden_states=condition.encoded["generated"],
        encoder_hidden_states_1=condition.encoded["t5"],
        encoder_attention_mask_1=condition.encoded["mask"],
    ).sample
    expected = {
        "epsilon": (z - (1 - alpha_bar).sqrt() * output) / alpha_bar.sqrt(),
        "v_prediction": alpha_bar.sqrt() * z - (1 - alpha_bar).sqrt() * output,
        "sample": output,
    }[prediction]
    t = (steps + 1).double() / 1000
    close(prior.predict_x0(z, t, condition), expected)
    close(prior.predict_x0(z, t.float(), condition), expected, 1e-4)


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


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("to_clean", [True, False])
def test_audioldm2_agrees_with_its_pipeline(prediction: str, to_clean: bool) -> None:
    """to_clean False, as in the checkpoint: the last step of theirs stops at the table's first entry, not at z0."""
    pipe = tiny_models.audioldm2(prediction_type=prediction, set_alpha_to_one=to_clean)
    prior = AudioLDM2(pipe)
    seconds, prompt = 0.3, PROMPTS[2]
    z = noise_for(prior, 1, seconds)
    theirs = pipe(
        prompt, audio_length_in_s=seconds, num_inference_steps=5, guidance_scale=3.5, latents=z, output_type="latent"
    ).audios
    times = (pipe.scheduler.timesteps.double() + 1) / 1000
    assert list(times) == pytest.approx([0.802, 0.602, 0.402, 0.202, 0.002])
    condition = prior.condition([prompt], seconds)
    at = [time.expand(1) for time in times]
    for t, t_next in pairwise(at):
        z = ddim_step(prior.denoise(z, t, condition, 3.5), z, t, t_next, prior.schedule)
    ours = prior.denoise(z, at[-1], condition, 3.5)
    if not to_clean:
        ours = ddim_step(ours, z, at[-1], torch.full((1,), 0.001, dtype=torch.float64), prior.schedule)
    close(ours, theirs, 1e-5)


def test_audioldm2_decodes_as_its_pipeline() -> None:
    pipe = tiny_models.audioldm2()
    prior = AudioLDM2(pipe)
    z = noise_for(prior, 1, 0.3)
    arguments = {"audio_length_in_s": 0.3, "num_inference_steps": 2, "latents": z, "output_type": "pt"}
    latents = pipe(PROMPTS[0], **{**arguments, "output_type": "latent"}).audios
    audio = pipe(PROMPTS[0], **arguments).audios.double()
    close(prior.decode(latents, generators(0))[:, 0, : audio.shape[-1]], audio, 1e-5)


def test_audioldm2_latents_are_scaled() -> None:
    prior = AudioLDM2(tiny_models.audioldm2())
    audio = torch.randn(1, 1, 1280, dtype=torch.float64)
    posterior = prior.pipe.vae.encode(log_mel(audio[:, 0], 16_000, 160, 64)[:, None]).latent_dist
    close(prior.encode(audio), 0.4 * posterior.mean)


def test_audioldm2_opens_older_checkpoints_whose_gpt2_cannot_generate() -> None:
    from transformers import GPT2Model

    whole = AudioLDM2(tiny_models.audioldm2())
    pipe = tiny_models.audioldm2()
    pipe.language_model = pipe.language_model.transformer
    assert isinstance(pipe.language_model, GPT2Model)
    bare = AudioLDM2(pipe)
    expected = whole.condition(PROMPTS, SECONDS).encoded["generated"]
    close(bare.condition(PROMPTS, SECONDS).encoded["generated"], expected)


def test_audioldm2_mel_is_that_of_hifi_gan() -> None:
    """UnivNet's feature extractor takes the same log-mel (HiFi-GAN's), told AudioLDM2's sizes."""
    from transformers import UnivNetFeatureExtractor

    theirs = UnivNetFeatureExtractor(
        sampling_rate=16_000, num_mel_bins=64, hop_length=160, win_length=1024, filter_length=1024, mel_floor=0.0
    )
    rng = np.random.default_rng(0)
    audio = rng.normal(size=4000) * np.linspace(0.0, 0.5, 4000)
    expected = torch.from_numpy(theirs.mel_spectrogram(audio))
    ours = log_mel(torch.from_numpy(audio)[None], 16_000, 160, 64)
    assert ours.shape == (1, 25, 64)
    close(ours[0], expected.double(), 1e-5)
    close(log_mel(torch.zeros(1, 1600), 16_000, 160, 64), torch.full((1, 10, 64), math.log(1e-5)), 1e-6)


def test_audioldm2_mel_finds_a_tone_in_its_band() -> None:
    tone = 0.5 * torch.sin(2 * math.pi * 1000 * torch.arange(16_000, dtype=torch.float64) / 16_000)
    loudest = log_mel(tone[None], 16_000, 160, 64)[0, 50].argmax()
    assert int(loudest) == round(15 / (45.245640471924965 / 65)) - 1  # 1 kHz is 15 mel, 8 kHz 45.2, 65 gaps between


def test_audioldm2_refuses_checkpoints_that_speak_or_predict_otherwise() -> None:
    from transformers import VitsConfig, VitsModel

    pipe = tiny_models.audioldm2()
    pipe.scheduler.register_to_config(prediction_type="flow")
    with pytest.raises(BadInput, match="'x' predicts 'flow'; sfxgen knows epsilon, v_prediction, sample"):
        AudioLDM2(pipe, "x")
    pipe = tiny_models.audioldm2()
    pipe.register_modules(text_encoder_2=VitsModel.__new__(VitsModel))
    torch.nn.Module.__init__(pipe.text_encoder_2)
    pipe.text_encoder_2.config = VitsConfig()
    with pytest.raises(BadInput, match="'x' reads text aloud"):
        AudioLDM2(pipe, "x")


def test_audioldm2_refuses_what_is_too_short_for_its_window() -> None:
    with pytest.raises(BadInput, match="too short"):
        log_mel(torch.zeros(1, 320), 16_000, 160, 64)


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
    asked: list[int] = []
    network = guidable.network

    def counted(z: torch.Tensor, t: torch.Tensor, condition: Condition) -> torch.Tensor:
        asked.append(len(z))
        return network(z, t, condition)

    monkeypatch.setattr(guidable, "network", counted)
    close(guidable.denoise(z, t, condition), with_prompt)
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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
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
