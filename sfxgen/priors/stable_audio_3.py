"""Stable Audio 3: rectified flow over latents of the SAME autoencoder, base or distilled (arXiv 2605.17991)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch

from sfxgen.priors.contract import Condition
from sfxgen.priors.diffusion import Prediction, ddim, draw_noise, rectified_flow
from sfxgen.priors.pipeline import PipelinePrior

_LOW_LOG_SNR, _HIGH_LOG_SNR = -6.2, 2.0  # StableAudio3Pipeline's defaults, read in diffusers 0.42
_BAKED_IN = (
    "guidance is baked into this distilled model, so every guidance setting counts as 1; score distillation wants the "
    "-base model"
)


class StableAudio3(PipelinePrior):
    """A StableAudio3Pipeline. z: latents [batch, 256, frames], at 44.1 kHz a frame every 4096 samples.

    A checkpoint whose scheduler samples stochastically is a distilled one: it is sampled by jumping to x̂0 and noising
    again, in about 8 steps, and takes no guidance.
    """

    schedule = rectified_flow()
    prediction: Prediction = "flow"

    def __init__(self, pipe: Any, name: str = "", digest: str = "") -> None:
        super().__init__(pipe, pipe.transformer, name, digest)
        self.rate_hz = int(pipe.vae.config.sampling_rate)
        self.channels = int(pipe.vae.config.audio_channels)
        self.hop_samples = int(pipe.vae.downsampling_ratio)
        self.window_s = float(pipe.duration_embedder.config.max_val)
        self.distilled = bool(pipe.scheduler.config.stochastic_sampling)
        if self.distilled:
            self.notes, self.usual_guidance, self.usual_steps = (_BAKED_IN,), 1.0, 8
        else:
            self.usual_steps = 100

    @torch.no_grad()
    def condition(self, prompts: Sequence[str], seconds: float, *, ongoing: bool = False) -> Condition:
        """text: prompt and length, [batch, tokens, width], with mask [batch, tokens]; null_…: the same of no prompt.

        length: [batch, width]. `ongoing` is ignored: the model knows of no such thing.
        """
        del ongoing
        self.n_frames_for(seconds)
        length = self.pipe.encode_duration(seconds, self.device, 1, len(prompts))
        encoded = {"length": length}
        for prefix, texts in (("", list(prompts)), ("null_", [""] * len(prompts))):
            states, mask = self.pipe.encode_prompt(texts, self.device, 1)
            text, mask = self.pipe.prepare_cross_attention(states, mask, length)
            encoded |= {f"{prefix}text": text, f"{prefix}mask": mask}
        return Condition(tuple(prompts), seconds, encoded)

    def unconditional(self, condition: Condition) -> Condition:
        """The empty prompt, as the pipeline has it; the length is kept."""
        encoded = condition.encoded
        encoded = {**encoded, "text": encoded["null_text"], "mask": encoded["null_mask"]}
        return Condition(("",) * len(condition), condition.seconds, encoded)

    def z_shape(self, seconds: float) -> tuple[int, ...]:
        return (int(self.pipe.vae.config.latent_dim), self.n_frames_for(seconds))

    def encode(self, audio: torch.Tensor) -> torch.Tensor:
        return self.through(lambda x: self.pipe.vae.encode(x).latents, self.whole_frames(audio))

    def decode(self, z0: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
        del generators  # this decoder draws nothing
        return self.through(lambda z: self.pipe.vae.decode(z).sample, z0)

    def network(self, z: torch.Tensor, t: torch.Tensor, condition: Condition) -> torch.Tensor:
        encoded = condition.encoded
        output: torch.Tensor = self.pipe.transformer(
            z,
            self.times(t, z).float() * self.pipe.scheduler.config.num_train_timesteps,  # as its pipeline counts them
            encoder_hidden_states=encoded["text"],
            global_hidden_states=encoded["length"],
            encoder_attention_mask=encoded["mask"],
            return_dict=False,
        )[0]
        return output

    def denoise(self, z: torch.Tensor, t: torch.Tensor, condition: Condition, guidance: float = 1.0) -> torch.Tensor:
        return super().denoise(z, t, condition, 1.0 if self.distilled else guidance)

    def solve(
        self, condition: Condition, generators: Sequence[torch.Generator], steps: int, guidance: float
    ) -> torch.Tensor:
        """As the contract has it, over the pipeline's own times; a distilled model draws new noise at each."""
        like = torch.empty((), device=self.device, dtype=self.dtype)
        shape = self.z_shape(condition.seconds)
        z = draw_noise(shape, generators, like)
        denoise, times = self.denoiser(condition, guidance), sampling_times(steps)
        if not self.distilled:
            return ddim(denoise, z, times, self.schedule)
        grid = times[:, None].expand(-1, len(z))
        for t, t_next in pairwise(grid):
            alpha, sigma = self.schedule.at(t_next, z)
            z = alpha * denoise(z, t) + sigma * draw_noise(shape, generators, like)
        return denoise(z, grid[-1])


def sampling_times(steps: int) -> torch.Tensor:
    """Times falling from 1, evenly spaced in log-SNR λ = ln((1 − t)/t), so t = 1/(1 + e^λ); shape [steps], float64.

    Computed in float32, as the pipeline does: the network's fastest clock turns once in 1e-4, and would feel the
    difference.
    """
    log_snr = _HIGH_LOG_SNR - torch.linspace(1.0, 0.0, steps + 1) * (_HIGH_LOG_SNR - _LOW_LOG_SNR)
    times = torch.sigmoid(-log_snr)[:-1]
    times[0] = 1.0
    return times.double()
