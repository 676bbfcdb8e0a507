"""Priors whose score is known in closed form, and renderers of a line, to hold distillation to.

Their z is the sound itself, turned by an orthonormal matrix; in float64. `log_density` and `predict_x0` are written
down apart from each other, so that a test may ask one about the other.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from sfxgen.distill.optimise import Start
from sfxgen.priors.contract import Condition, Prior
from sfxgen.priors.diffusion import Schedule, cosine

F64 = torch.float64
RATE_HZ = 100
FREE = ""  # the prompt of the unconditional model


class ClosedForm(Prior):
    """Sounds of n samples, a number each. basis: orthonormal [n, n], z0 = basis · audio; None: z0 is the audio.

    most_rows: with more at once it runs out of memory, as a device would.
    """

    name, digest, rate_hz, channels, window_s = "closed form", "", RATE_HZ, 1, 10.0
    device, dtype, levels = torch.device("cpu"), F64, True  # what it compares is not positive: no logarithms of it

    def __init__(self, n: int, schedule: Schedule | None = None, basis: Tensor | None = None) -> None:
        self.n, self.schedule, self.basis, self.most_rows = n, schedule or cosine(), basis, 1000

    @abstractmethod
    def log_density(self, z: Tensor, alpha: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        """ln p(z | prompt) up to a constant, [batch]; z, alpha, sigma: [batch, n] and [batch, 1]."""

    @abstractmethod
    def x0(self, z: Tensor, alpha: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        """E[z0 | z], [batch, n]."""

    def eps(self, z: Tensor, t: Tensor, prompt: str) -> Tensor:
        """What a network that predicts noise would say: −σ ∇ ln p(z | prompt), by differentiation."""
        alpha, sigma = self.schedule.at(t, z)
        with torch.enable_grad():
            leaf = z.detach().clone().requires_grad_()
            (score,) = torch.autograd.grad(self.log_density(leaf, alpha, sigma, prompt).sum(), leaf)
        return -sigma * score

    def condition(self, prompts: Sequence[str], seconds: float, *, ongoing: bool = False) -> Condition:
        del ongoing
        return Condition(tuple(prompts), seconds, {})

    def unconditional(self, condition: Condition) -> Condition:
        return self.condition([FREE] * len(condition), condition.seconds)

    def z_shape(self, seconds: float) -> tuple[int, ...]:
        del seconds
        return (self.n,)

    def encode(self, audio: Tensor) -> Tensor:
        return audio[:, 0] if self.basis is None else audio[:, 0] @ self.basis.T

    def decode(self, z0: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        del generators
        return (z0 if self.basis is None else z0 @ self.basis)[:, None]

    def features(self, audio: Tensor) -> tuple[Tensor, ...]:
        return (audio[:, 0],)

    def predict_x0(self, z: Tensor, t: Tensor, condition: Condition) -> Tensor:
        if len(z) > self.most_rows:
            raise torch.OutOfMemoryError("device out of memory")
        rows = [slice(i, i + 1) for i in range(len(z))]
        alpha, sigma = self.schedule.at(t, z)
        return torch.cat([self.x0(z[r], alpha[r], sigma[r], condition.prompts[r][0]) for r in rows])


class Mixture(ClosedForm):
    """Gaussians of equal weight: prompt → (means [K, n], standard deviation). One is a Gaussian."""

    def __init__(
        self, of: Mapping[str, tuple[Tensor, float]], schedule: Schedule | None = None, basis: Tensor | None = None
    ):
        super().__init__(next(iter(of.values()))[0].shape[1], schedule, basis)
        self.of = of

    def log_density(self, z: Tensor, alpha: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        means, spread = self.of[prompt]
        variance = (alpha * spread).square() + sigma.square()
        squares = (z[:, None] - alpha[..., None] * means).square().sum(2)
        return torch.logsumexp(-0.5 * squares / variance - 0.5 * self.n * torch.log(variance), 1)

    def x0(self, z: Tensor, alpha: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        means, spread = self.of[prompt]
        gain = alpha * spread**2 / (alpha**2 * spread**2 + sigma**2)
        of_each = means + gain[..., None] * (z[:, None] - alpha[..., None] * means)
        distance = (z[:, None] - alpha[..., None] * means).norm(dim=2) / (alpha**2 * spread**2 + sigma**2).sqrt()
        weights = torch.softmax(-0.5 * distance**2, 1)
        return (weights[..., None] * of_each).sum(1)


class Sinusoids(ClosedForm):
    """Sinusoids of one amplitude and any phase: a ring each. prompt → frequencies (Hz), each equally likely."""

    def __init__(self, n: int, amplitude: float, of: Mapping[str, Sequence[float]], schedule: Schedule | None = None):
        super().__init__(n, schedule)
        self.amplitude, self.of = amplitude, of

    def plane(self, hz: float) -> Tensor:
        """Its cosine and sine, orthonormal, [2, n]: hz must make whole cycles in n samples."""
        angle = 2.0 * math.pi * hz * torch.arange(self.n, dtype=F64) / RATE_HZ
        return torch.stack([angle.cos(), angle.sin()]) * math.sqrt(2.0 / self.n)

    @property
    def radius(self) -> float:
        return self.amplitude * math.sqrt(self.n / 2.0)

    def log_density(self, z: Tensor, alpha: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        """∫ exp(−‖z − α x(φ)‖² / 2σ²) dφ = 2π exp(−(‖z‖² + α² r²) / 2σ²) I₀(α r ρ / σ²), ρ = ‖z in the plane‖."""
        rings = []
        for hz in self.of[prompt]:
            rho = (z @ self.plane(hz).T).norm(dim=1, keepdim=True)
            k = alpha * self.radius * rho / sigma**2
            log_i0 = torch.log(torch.special.i0e(k)) + k
            rings.append(log_i0 - 0.5 * (z.square().sum(1, keepdim=True) + (alpha * self.radius) ** 2) / sigma**2)
        return torch.logsumexp(torch.cat(rings, 1), 1)

    def x0(self, z: Tensor, alpha: Tensor, sigma: Tensor, prompt: str) -> Tensor:
        """On one ring r I₁(k) / I₀(k) in the direction of z (the mean of von Mises' distribution)."""
        means, logs = [], []
        for hz in self.of[prompt]:
            inside = z @ self.plane(hz).T
            rho = inside.square().sum(1, keepdim=True).sqrt()
            k = alpha * self.radius * rho / sigma**2
            length = self.radius * torch.special.i1e(k) / torch.special.i0e(k)
            means.append((length * inside / rho) @ self.plane(hz))
            logs.append(torch.log(torch.special.i0e(k)) + k)
        weights = torch.softmax(torch.cat(logs, 1), 1)
        return (weights[..., None] * torch.stack(means, 1)).sum(1)


class Line:
    """θ [P] → audio [1, n] by a matrix [n, P], the unit matrix if none."""

    def __init__(self, n: int, matrix: Tensor | None = None, limit: float = 100.0) -> None:
        self.matrix = torch.eye(n, dtype=F64) if matrix is None else matrix
        self.low = torch.full((self.matrix.shape[1],), -limit, dtype=F64)
        self.high = -self.low

    def __call__(self, theta: Tensor, seed: int) -> Tensor:
        del seed
        return (self.matrix @ theta)[None]


class Broken(Line):
    """Its sound is NaN with noises from this seed on."""

    def __init__(self, n: int, from_seed: int = 0) -> None:
        super().__init__(n)
        self.from_seed = from_seed

    def __call__(self, theta: Tensor, seed: int) -> Tensor:
        return super().__call__(theta, seed) * (math.nan if seed >= self.from_seed else 1.0)


def starts_of(prior: ClosedForm, prompts: Sequence[str], first: Callable[[int], Tensor] | None = None) -> list[Start]:
    """A start a prompt, with seeds 100 apart."""
    line = Line(prior.n)
    return [Start(line, prompt, 100 * i, first(i) if first else None) for i, prompt in enumerate(prompts)]


def orthonormal(n: int, seed: int = 0) -> Tensor:
    matrix = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=F64)
    q: Tensor = torch.linalg.qr(matrix)[0]
    return q


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def gaussian(schedule: Schedule | None = None, basis: Tensor | None = None, n: int = 4) -> Mixture:
    """'high' around +1.5, 'low' around −1.5; unconditionally wide around 0."""
    one = torch.ones(1, n, dtype=F64)
    return Mixture({"high": (1.5 * one, 0.3), "low": (-1.5 * one, 0.5), FREE: (0.0 * one, 1.6)}, schedule, basis)


def mixture(schedule: Schedule | None = None, basis: Tensor | None = None, n: int = 4) -> Mixture:
    """Three modes a prompt, far from one another, and all of them without one."""
    high, low = 2.0 * drawn(3, n, seed=1) + 1.0, 2.0 * drawn(3, n, seed=2) - 1.0
    return Mixture({"high": (high, 0.3), "low": (low, 0.3), FREE: (torch.cat([high, low]), 0.3)}, schedule, basis)


def sinusoids(schedule: Schedule | None = None) -> Sinusoids:
    """Of 5 and 10 Hz, a fifth of a second long."""
    return Sinusoids(20, 0.8, {"low": (5.0,), "high": (10.0,), FREE: (5.0, 10.0)}, schedule)
