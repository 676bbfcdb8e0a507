"""Stable Audio Open: v-prediction on the cosine schedule, latents of the Oobleck autoencoder (Evans et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sfxgen.priors.contract import Condition
from sfxgen.priors.diffusion import Prediction, cosine
from sfxgen.priors.pipeline import PipelinePrior


class StableAudio(PipelinePrior):
    """A StableAudioPipeline. z: latents [batch, 64, frames], at 44.1 kHz a frame every 2048 samples.

    The model was trained on a window of 1024 frames; fewer run as well, and cost less, so a sound gets just its own.
    """

    schedule = cosine()
    prediction: Prediction = "v"

    def __init__(self, pipe: Any, name: str = "", digest: str = "") -> None:
        super().__init__(pipe, pipe.transformer, name, digest)
        self.rate_hz = int(pipe.vae.config.sampling_rate)
        self.channels = int(pipe.vae.config.audio_channels)
        self.hop_samples = int(pipe.vae.hop_length)
        window_s = pipe.transformer.config.sample_size * self.hop_samples / self.rate_hz
        self.window_s = min(window_s, float(pipe.projection_model.config.max_value))

    @torch.no_grad()
    def condition(self, prompts: Sequence[str], seconds: float, *, ongoing: bool = False) -> Condition:
        """cross: text, start and end of the sound, [batch, tokens, width]. globals: start and end, [batch, 1, 2·width].

        `ongoing` is ignored: the model knows of no such thing.
        """
        del ongoing
        self.n_frames_for(seconds)
        text = self.pipe.encode_prompt(list(prompts), self.device, do_classifier_free_guidance=False)
        start, end = self.pipe.encode_duration(0.0, seconds, self.device, False, len(prompts))
        encoded = {"cross": torch.cat([text, start, end], 1), "globals": torch.cat([start, end], 2)}
        return Condition(tuple(prompts), seconds, encoded)

    def unconditional(self, condition: Condition) -> Condition:
        """Zeros for all that cross-attention sees, as in training; the length stays in the global state."""
        encoded = {**condition.encoded, "cross": torch.zeros_like(condition.encoded["cross"])}
        return Condition(("",) * len(condition), condition.seconds, encoded)

    def z_shape(self, seconds: float) -> tuple[int, ...]:
        return (int(self.pipe.transformer.config.in_channels), self.n_frames_for(seconds))

    def encode(self, audio: torch.Tensor) -> torch.Tensor:
        """The mean of the autoencoder's posterior: nothing is drawn."""
        return self.through(lambda x: self.pipe.vae.encode(x).latent_dist.mode(), self.whole_frames(audio))

    def decode(self, z0: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
        del generators  # this decoder draws nothing
        return self.through(lambda z: self.pipe.vae.decode(z).sample, z0)

    def network(self, z: torch.Tensor, t: torch.Tensor, condition: Condition) -> torch.Tensor:
        from diffusers.models.embeddings import get_1d_rotary_pos_embed

        config = self.pipe.transformer.config
        rotary = get_1d_rotary_pos_embed(
            config.attention_head_dim // 2, z.shape[-1] + 1, use_real=True, repeat_interleave_real=False
        )  # one place more than frames: the global state is put before them
        output: torch.Tensor = self.pipe.transformer(
            z,
            self.times(t, z),
            encoder_hidden_states=condition.encoded["cross"],
            global_hidden_states=condition.encoded["globals"],
            rotary_embedding=tuple(part.to(z.device) for part in rotary),  # else every layer copies them
            return_dict=False,
        )[0]
        return output
