"""What the priors over diffusers pipelines share: frozen networks, whole latent frames, one precision, one device."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import torch

from sfxgen.errors import BadInput
from sfxgen.priors.contract import Condition, Prior
from sfxgen.priors.diffusion import Prediction, guided, to_x0

_LEAST = 2.0**-100  # of a gradient's largest value: below it there is none


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
        self.in_one_pass = weight.device.type == "cuda"

    @abstractmethod
    def network(self, z: torch.Tensor, t: torch.Tensor, condition: Condition) -> torch.Tensor:
        """The denoising network's raw output. z is in the weights' precision; t [batch] is as the contract has it."""

    @torch.no_grad()
    def predict_x0(self, z: torch.Tensor, t: torch.Tensor, condition: Condition) -> torch.Tensor:
        alpha, sigma = self.schedule.at(t, z)
        output = self.network(z.to(self.weights_dtype), t, condition).to(z)
        return to_x0(output, z, alpha, sigma, self.prediction)

    def denoise(self, z: torch.Tensor, t: torch.Tensor, condition: Condition, guidance: float = 1.0) -> torch.Tensor:
        """As the contract has it; on a GPU, which a small batch leaves idle, both estimates in one pass."""
        both = _joined(condition, self.unconditional(condition)) if self.in_one_pass and guidance != 1.0 else None
        if both is None:
            return super().denoise(z, t, condition, guidance)
        conditional, unconditional = self.predict_x0(torch.cat([z, z]), torch.cat([t, t]), both).chunk(2)
        return guided(conditional, unconditional, guidance)

    def through(self, network: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """network(x) [batch, …] where and as precise as the networks are, given as the prior is. Differentiable.

        Gradients of a mean over a sound's many cells are so small that float16 would round them to nothing. On their
        way through a float16 network those of each item are held at a level that it can tell.
        """
        x = x.to(self.device)
        if self.weights_dtype != torch.float16 or not x.requires_grad:
            return network(x.to(self.weights_dtype)).to(self.dtype)
        level = _Level()
        given: torch.Tensor = _Entry.apply(x, self.weights_dtype, level)  # type: ignore[no-untyped-call]
        found: torch.Tensor = _Exit.apply(network(given), self.dtype, level)  # type: ignore[no-untyped-call]
        return found

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


def _joined(one: Condition, other: Condition) -> Condition | None:
    """A batch of both, one after the other; None where their encodings are of different shapes."""
    pairs = {name: (value, other.encoded[name]) for name, value in one.encoded.items()}
    if any(a.shape != b.shape or len(a) != len(one) for a, b in pairs.values()):
        return None
    encoded = {name: torch.cat(pair) for name, pair in pairs.items()}
    return Condition(one.prompts + other.prompts, one.seconds, encoded)


class _Level:
    """What a gradient was multiplied by at a network's end, to be divided by at its beginning: [batch, 1, …]."""

    factor: torch.Tensor


class _Cast(torch.autograd.Function):
    """To another precision. What its gradient does, `_Exit` and `_Entry` say."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, dtype: torch.dtype, level: _Level) -> torch.Tensor:
        ctx.dtype, ctx.level = x.dtype, level
        return x.to(dtype)


class _Exit(_Cast):
    """To the prior's precision; each item's gradient comes back with a largest value within (½, 1]."""

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, None, None]:
        (gradient,) = gradients
        largest = gradient.detach().abs().flatten(1).amax(1)
        # A power of two, so that nothing is rounded; frexp gives 0 for silence and for what is not finite.
        exponent = torch.frexp(largest.clamp_min(_LEAST)).exponent
        ctx.level.factor = torch.ldexp(torch.ones_like(largest), -exponent).reshape(-1, *(1,) * (gradient.dim() - 1))
        return (gradient * ctx.level.factor).to(ctx.dtype), None, None


class _Entry(_Cast):
    """To the networks' precision; the gradient comes back as large as it is."""

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, None, None]:
        (gradient,) = gradients
        factor = ctx.level.factor.reshape(-1, *(1,) * (gradient.dim() - 1))
        return gradient.to(ctx.dtype) / factor, None, None
