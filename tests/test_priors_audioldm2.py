"""AudioLDM2's adapter beside the library's own pipeline, and the checkpoints that it refuses."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

import tiny_models
from adapters import PROMPTS, SECONDS, close, generators, noise_for

from sfxgen.errors import BadInput
from sfxgen.priors.audioldm2 import AudioLDM2, log_mel
from sfxgen.priors.diffusion import ddim_step

pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")


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
