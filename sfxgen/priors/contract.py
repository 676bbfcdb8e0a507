"""The contract of all priors. A new prior is one file: six methods, the rest is here.

A prior diffuses z, its own representation of sound (a latent, a log-mel), shape [batch, …]. Audio is [batch, channels,
frames] at the prior's own rate. All methods work on batches and keep no state between calls; random numbers come from
generators that the caller passes, one an item.
"""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from sfxgen.credit import Credit
from sfxgen.priors.diffusion import Denoise, Schedule, ddim, draw_noise, guided
from sfxgen.threads import of_a_network

AGREEMENT_TIMES = (0.2, 0.4, 0.6)


@dataclass(frozen=True, eq=False)
class Condition:
    """What a batch shall sound like: prompts and length (s), encoded once. `encoded` is the prior's own business."""

    prompts: tuple[str, ...]
    seconds: float
    encoded: Mapping[str, torch.Tensor]

    def __len__(self) -> int:
        return len(self.prompts)

    def rows(self, rows: slice | Sequence[int]) -> Condition:
        """Of a part of the batch. What is encoded is one row an item, or one for all."""
        n = len(self)
        picked = list(range(n))[rows] if isinstance(rows, slice) else list(rows)
        of_tensor = (
            rows if isinstance(rows, slice) else picked
        )  # a slice is a view: it lies in memory as the whole does
        encoded = {name: value[of_tensor] if len(value) == n else value for name, value in self.encoded.items()}
        return Condition(tuple(self.prompts[i] for i in picked), self.seconds, encoded)


class Prior(ABC):
    """A frozen text-conditioned diffusion model of sound.

    name: as sfxgen.yaml would name it. digest: of its weights and settings; part of the key of what it makes.
    rate_hz, channels: of its audio. window_s: the longest sound that it can take at once.
    device, dtype: where z lives and in which precision.
    small: it takes so little that one thread does; many sounds are better made side by side.
    notes: what a person should know who uses this model, each a sentence.
    usual_guidance, usual_steps: for sampling, where nobody says otherwise.
    levels: its features are levels already, in dB or their like.
    nats_a_fit, clear_fit: how many nats a difference of 1 in `fit` is worth, and the difference that few sounds reach
    which are what they are meant to be; both measured against recordings, None where nobody did.
    """

    notes: tuple[str, ...] = ()
    small: bool = False
    levels: bool = False
    nats_a_fit: float | None = None
    clear_fit: float | None = None
    usual_guidance: float = 1.0
    usual_steps: int = 50
    name: str
    digest: str
    rate_hz: int
    channels: int
    window_s: float
    schedule: Schedule
    device: torch.device
    dtype: torch.dtype

    @abstractmethod
    def condition(self, prompts: Sequence[str], seconds: float, *, ongoing: bool = False) -> Condition:
        """Encode the prompts of a batch of sounds that last so long.

        ongoing: they shall fill that time evenly, as wind and engines do; a prior that cannot tell may ignore it.
        """

    @abstractmethod
    def unconditional(self, condition: Condition) -> Condition:
        """The same batch with nothing said about how it sounds; the length is kept."""

    def repeated(self, condition: Condition, n: int) -> Condition:
        """The condition of a single sound for n of them: text is encoded once."""
        if len(condition) != 1:
            raise ValueError(f"only the condition of one sound can be repeated, this one is of {len(condition)}")
        encoded = {name: value.expand(n, *value.shape[1:]) for name, value in condition.encoded.items()}
        return Condition(condition.prompts * n, condition.seconds, encoded)

    def drawn(self, condition: Condition, generators: Sequence[torch.Generator]) -> Condition:
        """What of the prompt's meaning each item takes, for priors where that is a choice of its own."""
        del generators
        return condition

    @abstractmethod
    def z_shape(self, seconds: float) -> tuple[int, ...]:
        """The shape of one item's z for a sound that lasts so long."""

    @abstractmethod
    def encode(self, audio: torch.Tensor) -> torch.Tensor:
        """Audio [batch, channels, frames] → z0. Differentiable."""

    @abstractmethod
    def decode(self, z0: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
        """z0 → audio [batch, channels, frames]; the generators serve priors whose decoder draws phases."""

    @abstractmethod
    def predict_x0(self, z: torch.Tensor, t: torch.Tensor, condition: Condition) -> torch.Tensor:
        """The model's estimate of z0 from z at t [batch] in (0, 1]."""

    def denoise(self, z: torch.Tensor, t: torch.Tensor, condition: Condition, guidance: float = 1.0) -> torch.Tensor:
        """x̂0 with classifier-free guidance; 1 is the conditional model alone and costs half."""
        conditional = self.predict_x0(z, t, condition)
        if guidance == 1.0:
            return conditional
        return guided(conditional, self.predict_x0(z, t, self.unconditional(condition)), guidance)

    def denoiser(self, condition: Condition, guidance: float = 1.0) -> Denoise:
        """`denoise` as a function of z and t alone."""
        return lambda z, t: self.denoise(z, t, condition, guidance)

    def noise(
        self, z0: torch.Tensor, t: torch.Tensor, generators: Sequence[torch.Generator]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(z at t [batch], the ε in it)."""
        eps = draw_noise(z0.shape[1:], generators, z0)
        alpha, sigma = self.schedule.at(t, z0)
        return alpha * z0 + sigma * eps, eps

    def features(self, audio: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The differentiable maps in which distillation compares sounds: by default magnitudes at three sizes."""
        return tuple(_magnitudes(audio, fft_samples) for fft_samples in (512, 2048, 8192))

    def natural_s(self, prompt: str) -> float:
        """How long a sound of this prompt lasts where nobody says (s)."""
        del prompt
        return min(self.window_s, 4.0)

    def credits(self, z0: torch.Tensor, condition: Condition) -> list[list[Credit]]:
        """Whose recordings each z0 comes from, most first; none where the prior cannot tell."""
        del condition
        return [[] for _ in z0]

    def features_of(self, z0: torch.Tensor, generators: Sequence[torch.Generator]) -> tuple[torch.Tensor, ...]:
        """The same maps of what z0 stands for."""
        return self.features(self.decode(z0, generators))

    @torch.no_grad()
    def moved(
        self, audio: torch.Tensor, z0: torch.Tensor, goal: torch.Tensor, generators: Sequence[torch.Generator]
    ) -> torch.Tensor:
        """A recording [batch, channels, frames], whose z0 is given, changed by what tells `goal` from z0.

        It may have other channels than the prior's: what is changed then is their mean. By default both are decoded and
        their difference added, so that what the prior's z cannot hold stays. As far as the decoder does not keep a
        sound's phases such a sum would sound double, and the decoded goal takes its place.
        """
        n_frames = audio.shape[-1]
        before, after = (self.decode(z, generators)[..., :n_frames] for z in (z0, goal))
        own = audio
        if audio.shape[1] != before.shape[1]:
            own, before, after = (x.mean(1, keepdim=True) for x in (audio, before, after))
        missing = (own - before).square().sum((1, 2), keepdim=True)
        kept = (1.0 - missing / own.square().sum((1, 2), keepdim=True).clamp_min(1e-20)).clamp(0.0, 1.0)
        return audio + (after - kept * before - (1.0 - kept) * own)

    @torch.no_grad()
    def sample_z0(
        self,
        condition: Condition,
        generators: Sequence[torch.Generator],
        steps: int | None = None,
        guidance: float | None = None,
    ) -> torch.Tensor:
        """New z0 from pure noise, in the prior's usual number of steps and at its usual guidance if none is given."""
        guidance = self.usual_guidance if guidance is None else guidance
        return self.solve(condition, generators, steps or self.usual_steps, guidance)

    def solve(
        self, condition: Condition, generators: Sequence[torch.Generator], steps: int, guidance: float
    ) -> torch.Tensor:
        """How this prior goes from noise to z0: by DDIM over evenly spaced times from 1."""
        like = torch.empty((), device=self.device, dtype=self.dtype)
        z = draw_noise(self.z_shape(condition.seconds), generators, like)
        times = torch.linspace(1.0, 0.0, steps + 1, dtype=torch.float64)[:-1]
        return ddim(self.denoiser(condition, guidance), z, times, self.schedule)

    @torch.no_grad()
    def sample(
        self,
        condition: Condition,
        generators: Sequence[torch.Generator],
        steps: int | None = None,
        guidance: float | None = None,
    ) -> torch.Tensor:
        """New sounds [batch, channels, frames] of the length that was asked for."""
        condition = self.drawn(condition, generators)
        audio = self.decode(self.sample_z0(condition, generators, steps, guidance), generators)
        return audio[..., : round(condition.seconds * self.rate_hz)]

    @torch.no_grad()
    def agreement(self, audio: torch.Tensor, condition: Condition, seed: int = 0) -> torch.Tensor:
        """How much better the prior understands each sound when told its prompt, [batch]: higher is better.

        The denoising error without the condition less that with it, at one noise a time: an estimate of the pointwise
        mutual information of sound and prompt, up to a factor (Kong et al. 2024, eq. 5). Unlike the error alone it does
        not favour what is easily denoised, such as silence.
        """
        return self.agreement_of(self.encode(audio), condition, seed)

    @torch.no_grad()
    def agreement_of(self, z0: torch.Tensor, condition: Condition, seed: int = 0) -> torch.Tensor:
        """The same of z0."""
        free = self.unconditional(condition)
        gain = torch.zeros(len(z0), dtype=torch.float64)
        for number, at in enumerate(AGREEMENT_TIMES):
            t = torch.full((len(z0),), at, device=z0.device)
            z, _ = self.noise(z0, t, [torch.Generator().manual_seed(seed + number) for _ in range(len(z0))])
            errors = [(self.predict_x0(z, t, of) - z0).double().square().flatten(1).mean(1) for of in (free, condition)]
            gain += (errors[0] - errors[1]).cpu() / len(AGREEMENT_TIMES)
        return gain

    @torch.no_grad()
    def fit(self, audio: torch.Tensor, prompts: Sequence[str], seeds: Sequence[int] = (0, 1, 2, 3)) -> torch.Tensor:
        """How well each sound fits each prompt, shape [batch, prompts]: higher is better, comparable along a row.

        The negative denoising error, with the same times and noise for every prompt (a diffusion classifier: Li et al.
        2023, eq. 9), averaged over one time a seed.
        """
        seconds = audio.shape[-1] / self.rate_hz
        z0 = self.encode(audio)
        conditions = [self.condition([prompt] * len(audio), seconds) for prompt in prompts]
        scores = torch.zeros(len(audio), len(prompts), dtype=torch.float64)
        for number, seed in enumerate(seeds):
            t = torch.full((len(audio),), (number + 1.0) / (len(seeds) + 1.0), device=z0.device)
            z, _ = self.noise(z0, t, [torch.Generator().manual_seed(seed) for _ in range(len(audio))])
            for column, condition in enumerate(conditions):
                x0 = self.denoise(z, t, condition)
                scores[:, column] -= (x0 - z0).double().square().flatten(1).mean(1).cpu() / len(seeds)
        return scores


def _magnitudes(audio: torch.Tensor, fft_samples: int) -> torch.Tensor:
    """STFT magnitudes [batch · channels, bins, frames], a quarter window a hop."""
    flat = audio.flatten(0, 1)
    window = torch.hann_window(fft_samples, dtype=flat.dtype, device=flat.device)
    spectrum = torch.stft(flat, fft_samples, fft_samples // 4, window=window, pad_mode="constant", return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    return (power + 1e-24).sqrt()  # |X| has no gradient at 0, and NaN where a tail dies away into denormal numbers


@contextlib.contextmanager
def reproducible(prior: Prior) -> Iterator[None]:
    """Within, the prior gives the same bits each time on one device.

    One thread for a small prior: sounds are made side by side, and come out the same on any number of cores. On a GPU
    only algorithms that add up in a fixed order: by default gradients of spectra and convolutions do not.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if prior.small else of_a_network(before))
    try:
        with _in_fixed_order() if prior.device.type == "cuda" else contextlib.nullcontext():
            yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _in_fixed_order() -> Iterator[None]:
    """torch's deterministic algorithms, for which cuBLAS wants to be told of a workspace.

    Not only as a wish (warn_only): attention's gradient is then added up in any order all the same.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    of_memory: Any = torch.utils.deterministic
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        of_memory.fill_uninitialized_memory,
    )
    torch.use_deterministic_algorithms(True)
    of_memory.fill_uninitialized_memory = False  # finds faults, and costs time
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        of_memory.fill_uninitialized_memory = before[2]
