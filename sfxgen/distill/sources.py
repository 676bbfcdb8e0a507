"""Sources of a recording in terms of what distillation moves: whose its parts are, or a latent of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from sfxgen.distill.sharing import Shares, fft_samples_for, waveform, wiener
from sfxgen.priors.contract import Prior

LEAST_SHARE = 1e-3


class Sources(Protocol):
    """K sources in terms of what distillation moves."""

    parameters: Tensor  # a leaf
    adds_up: bool  # whether the sources are the recording whatever the parameters are

    def stems(self) -> Tensor:
        """[K, channels, samples] at the prior's rate. Differentiable."""

    def shares(self) -> Shares: ...


class PartSources:
    """Sources made of the recording's parts: θ are logits of whose each part is, [K, parts]."""

    adds_up = True

    def __init__(self, found: Tensor, parts: Tensor, whose: Tensor, rate_hz: int, n_samples: int) -> None:
        """found: STFT [channels, bins, frames]. parts: shares [parts, bins, frames]. whose: [K, parts], 1 over K."""
        self._found, self._parts, self._rate_hz, self._n_samples = found, parts.to(found.real), rate_hz, n_samples
        self.parameters = torch.log(whose.clamp_min(LEAST_SHARE)).to(found.real).requires_grad_()

    def values(self, whose: Tensor) -> Tensor:
        """Shares [K, bins, frames] where the parts belong to the sources so."""
        return torch.einsum("kp,pbf->kbf", whose.to(self._parts), self._parts)

    def stems(self) -> Tensor:
        return waveform(self.values(self.parameters.softmax(0))[:, None] * self._found, self._rate_hz, self._n_samples)

    def shares(self) -> Shares:
        n_fft = fft_samples_for(self._rate_hz)
        return Shares(
            self.values(self.parameters.detach().softmax(0)), self._rate_hz / n_fft, n_fft / 4 / self._rate_hz
        )


class LatentSources:
    """One latent a source, x_k = dec(h_k), as in the paper; for priors that diffuse latents. h: [K, …]."""

    adds_up = False

    def __init__(self, prior: Prior, start: Tensor, seeds: Sequence[int]) -> None:
        """start: the stems to begin at [K, channels, samples]."""
        self._prior, self._seeds, self._n_samples = prior, tuple(seeds), start.shape[-1]
        with torch.no_grad():
            self.parameters = prior.encode(start).detach().clone().requires_grad_()

    def stems(self) -> Tensor:
        generators = [torch.Generator().manual_seed(seed) for seed in self._seeds]
        audio = self._prior.decode(self.parameters, generators)[..., : self._n_samples]
        return torch.nn.functional.pad(audio, (0, self._n_samples - audio.shape[-1]))

    def shares(self) -> Shares:
        with torch.no_grad():
            return wiener(self.stems().cpu().float(), self._prior.rate_hz)
