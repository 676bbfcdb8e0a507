"""What the priors over diffusers pipelines share: frozen networks, whole latent frames, one precision, one device."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch

from sfxgen.errors import BadInput
from sfxgen.priors.contract import Condition, Prior
from sfxgen.priors.diffusion import Prediction, to_x0


class PipelinePrior(Prior):
    """A prior made of a pipeline's networks, which it freezes and shares with nobody.

    pipe: a diffusers pipeline, already in its precision and on its device. z and audio are at least float32 whatever
    the networks' precision is, so that schedules and spectra stay exact; only what enters a network is rounded.
    `encode` and `decode` are differentiable. `predict_x0` is not: distillation leaves out the denoiser's Jacobian.

    """

    usual_guidance = 7.0
    hop_samples: int  # audio samples a latent frame
    prediction: Prediction

    def __init__(self, pipe: Any, network: torch.nn.Module, name: str = "", digest: str = "") -> None:
        self.pipe, self.name, self.digest = pipe, name, digest
        for part in pipe.components.values():
            if isinstance(part, torch.nn.Module):
                part.requires_grad_(False).eval()
        weight = next(network.parameters())
        self.device, self.weights_dtype = weight.device, weight.dtype
        self.dtype = torch.promote_types(weight.dtype, torch.float32)

    @abstractmethod
    def network(self, z: torch.Tensor, t: torch.Tensor, condition: Condition) -> torch.Tensor:
        """The denoising network's raw output. z is in the weights' precision; t [batch] is as the contract has it."""

    @torch.no_grad()
    def predict_x0(self, z: torch.Tensor, t: torch.Tensor, condition: Condition) -> torch.Tensor:
        alpha, sigma = self.schedule.at(t, z)
        output = self.network(z.to(self.weights_dtype), t, condition).to(z)
        return to_x0(output, z, alpha, sigma, self.prediction)

    def features(self, audio: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """As the contract has them, of whole latent frames: so a sound and its decoded estimate have the same shape."""
        return super().features(self.whole_frames(audio))

    def n_frames_for(self, seconds: float) -> int:
        """Latent frames of a sound that lasts so long. Raises BadInput beyond the model's window."""
        if not 0.0 < seconds <= self.window_s + 0.5 / self.rate_hz:
            raise BadInput(
                f"prior '{self.name}' makes sounds of up to {self.window_s:.4g} s; {seconds:.4g} s were asked for; "
                "ask for a shorter sound"
            )
        return -(-round(seconds * self.rate_hz) // self.hop_samples)

    def whole_frames(self, audio: torch.Tensor) -> torch.Tensor:
        """Audio [batch, channels, samples] with silence at its end up to whole latent frames."""
        if audio.dim() != 3 or audio.shape[1] != self.channels:
            raise ValueError(f"expected audio [batch, {self.channels}, samples], got {tuple(audio.shape)}")
        return torch.nn.functional.pad(audio, (0, -audio.shape[-1] % self.hop_samples))

    def times(self, t: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """t where z is, in at least float32."""
        return t.to(torch.promote_types(z.dtype, torch.float32)).to(z.device)
