"""AudioLDM2: latents of log-mels at 16 kHz, with the waveform → mel step that the pipeline lacks (Liu et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from sfxgen.errors import BadInput
from sfxgen.mel import hz_to_mel, mel_to_hz
from sfxgen.priors.contract import Condition
from sfxgen.priors.diffusion import Prediction, discrete
from sfxgen.priors.pipeline import PipelinePrior

FFT_SAMPLES = 1024
_PREDICTIONS: dict[str, Prediction] = {"epsilon": "eps", "v_prediction": "v", "sample": "x0"}


class AudioLDM2(PipelinePrior):
    """An AudioLDM2Pipeline. z: scaled latents [batch, 8, frames / 4, bands / 4] of a log-mel with a hop of 160 samples.

    t = (step + 1) / steps of its table; between two steps the network is asked at the time between.
    """

    usual_guidance, usual_steps, channels = 3.5, 100, 1

    def __init__(self, pipe: Any, name: str = "", digest: str = "") -> None:
        super().__init__(pipe, pipe.unet, name, digest)
        vocoder, scheduler = pipe.vocoder.config, pipe.scheduler.config
        if pipe.text_encoder_2.config.model_type == "vits":
            raise BadInput(f"prior '{name}' reads text aloud; sfxgen wants an AudioLDM2 that follows descriptions")
        if scheduler.prediction_type not in _PREDICTIONS:
            known = ", ".join(_PREDICTIONS)
            raise BadInput(f"prior '{name}' predicts '{scheduler.prediction_type}'; sfxgen knows {known}")
        self.rate_hz = int(vocoder.sampling_rate)
        self.mel_hop_samples = int(np.prod(vocoder.upsample_rates))
        self.hop_samples = self.mel_hop_samples * pipe.vae_scale_factor
        self.window_s = pipe.unet.config.sample_size * self.hop_samples / self.rate_hz
        self.n_steps = int(scheduler.num_train_timesteps)
        self.schedule = discrete(pipe.scheduler.alphas_cumprod)
        self.prediction = _PREDICTIONS[scheduler.prediction_type]
        _give_generation(pipe)

    @torch.no_grad()
    def condition(self, prompts: Sequence[str], seconds: float, *, ongoing: bool = False) -> Condition:
        """t5: states [batch, tokens, width] with mask [batch, tokens]; generated: GPT-2's [batch, 8, width].

        null_…: the same of no prompt. Each prompt is encoded alone: GPT-2 counts the padding that a longer neighbour
        would bring. `ongoing` is ignored: the model knows of no such thing.
        """
        del ongoing
        self.n_frames_for(seconds)
        once = {prompt: self._encode_prompt(prompt) for prompt in dict.fromkeys(prompts)}
        keys = next(iter(once.values()))
        return Condition(
            tuple(prompts), seconds, {key: _stack([once[prompt][key] for prompt in prompts]) for key in keys}
        )

    def _encode_prompt(self, prompt: str) -> dict[str, torch.Tensor]:
        t5, mask, generated = self.pipe.encode_prompt([prompt], self.device, 1, do_classifier_free_guidance=True)
        both = {"t5": t5, "mask": mask, "generated": generated}  # rows: no prompt, the prompt
        return {key: rows[1] for key, rows in both.items()} | {f"null_{key}": rows[0] for key, rows in both.items()}

    def unconditional(self, condition: Condition) -> Condition:
        """The empty prompt, as the pipeline has it. The model is told no length: z's shape says it."""
        nothing = {key: condition.encoded[f"null_{key}"] for key in ("t5", "mask", "generated")}
        return Condition(("",) * len(condition), condition.seconds, {**condition.encoded, **nothing})

    def z_shape(self, seconds: float) -> tuple[int, ...]:
        bands = int(self.pipe.vocoder.config.model_in_dim) // self.pipe.vae_scale_factor
        return (int(self.pipe.unet.config.in_channels), self.n_frames_for(seconds), bands)

    def encode(self, audio: torch.Tensor) -> torch.Tensor:
        """The mean of the autoencoder's posterior: nothing is drawn. It was trained on sounds that peak at 0.5."""
        whole = self.whole_frames(audio).to(self.device, self.dtype)[:, 0]
        mel = log_mel(whole, self.rate_hz, self.mel_hop_samples, int(self.pipe.vocoder.config.model_in_dim))
        z0 = self.through(lambda x: self.pipe.vae.encode(x).latent_dist.mode(), mel[:, None])
        return z0 * float(self.pipe.vae.config.scaling_factor)

    def decode(self, z0: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
        del generators  # this vocoder draws nothing
        scaled = z0 / self.pipe.vae.config.scaling_factor
        audio = self.through(lambda z: self.pipe.vocoder(self.pipe.vae.decode(z).sample[:, 0]), scaled)
        n_samples = z0.shape[2] * self.hop_samples  # its transposed convolutions add a few at the end
        return audio[:, None, :n_samples]

    def network(self, z: torch.Tensor, t: torch.Tensor, condition: Condition) -> torch.Tensor:
        steps = (t.double().cpu() * self.n_steps - 1.0).clamp(0.0, self.n_steps - 1.0)
        output: torch.Tensor = self.pipe.unet(
            z,
            self.times(steps, z),
            encoder_hidden_states=condition.encoded["generated"],
            encoder_hidden_states_1=condition.encoded["t5"],
            encoder_attention_mask_1=condition.encoded["mask"],
            return_dict=False,
        )[0]
        return output


def log_mel(audio: torch.Tensor, rate_hz: int, hop_samples: int, n_bands: int) -> torch.Tensor:
    """HiFi-GAN's log-mel (Kong et al. 2020), on which AudioLDM2 was trained: ln of magnitudes, at least 1e-5.

    audio: [batch, samples], samples a multiple of the hop → [batch, samples / hop, bands]. Differentiable.
    """
    side = (FFT_SAMPLES - hop_samples) // 2
    if audio.shape[-1] <= side:
        raise BadInput(f"a sound of {audio.shape[-1] / rate_hz:.3g} s is too short for AudioLDM2's log-mel")
    # mirrored at both ends; torch's own "reflect" adds gradients up in another order each time on a GPU
    padded = torch.cat([audio[:, 1 : side + 1].flip(1), audio, audio[:, -side - 1 : -1].flip(1)], 1)
    window = torch.hann_window(FFT_SAMPLES, dtype=audio.dtype, device=audio.device)
    spectrum = torch.stft(padded, FFT_SAMPLES, hop_samples, window=window, center=False, return_complex=True)
    filters = torch.from_numpy(_filters(rate_hz, n_bands)).to(audio)
    return (spectrum.abs().transpose(1, 2) @ filters).clamp_min(1e-5).log()


@lru_cache
def _filters(rate_hz: int, n_bands: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Slaney's triangles from 0 Hz to half the rate, each of unit area in Hz: [bins, bands]."""
    low, high = hz_to_mel(np.array([0.0, rate_hz / 2]))
    corners_hz = mel_to_hz(np.linspace(low, high, n_bands + 2))
    left, centre, right = corners_hz[:-2], corners_hz[1:-1], corners_hz[2:]
    bins_hz = np.arange(FFT_SAMPLES // 2 + 1)[:, None] * rate_hz / FFT_SAMPLES
    triangles = np.minimum((bins_hz - left) / (centre - left), (right - bins_hz) / (right - centre))
    scaled: np.ndarray[tuple[int, int], np.dtype[np.float64]] = np.maximum(0.0, triangles) * 2.0 / (right - left)
    return scaled


def _stack(rows: Sequence[torch.Tensor]) -> torch.Tensor:
    """Rows [tokens, …] of different lengths as one batch; what is added is zero, which a mask row takes as absent."""
    return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)


def _give_generation(pipe: Any) -> None:
    """Older copies of the checkpoint hold a bare GPT2Model, which transformers no longer lets generate."""
    from transformers import GPT2LMHeadModel, GPT2Model

    if isinstance(pipe.language_model, GPT2Model):
        with torch.device("meta"):
            wrapped = GPT2LMHeadModel(pipe.language_model.config)
        wrapped.transformer, wrapped.lm_head = pipe.language_model, torch.nn.Identity()
        pipe.language_model = wrapped.train(False)
