"""Where a sound shall go: one function an algorithm, each a target ẑ for z0 in the prior's own representation.

All methods of the family differ only in the target that they pick; the loss is always ½‖f(x) − sg f(ẑ)‖², so its
gradient is (f(x) − f(ẑ)) ∂f(x)/∂θ, with no gradient through the denoiser. A gradient w(t) d ∂z/∂θ, which is how the
papers write theirs with d a difference of two ε, is here the target ẑ = z0 − (σ/α) d, with w = σ/α.

z0: [batch, …], detached. t: [batch] in (0, 1]. eps: the noise, like z0. All targets are detached and like z0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sfxgen.priors.contract import Condition, Prior
from sfxgen.priors.diffusion import Denoise, ddim, ddim_step


@dataclass(frozen=True, eq=False)
class Asked:
    """The prior with what it is asked for: a condition and how strongly it is to be followed (1: the condition alone).

    n_steps: of a chain of denoising, 1 for a single estimate. place: which items of the whole batch these are, for a
    target that holds more of each.
    """

    prior: Prior
    condition: Condition
    guidance: float = 1.0
    n_steps: int = 1
    place: slice = field(default_factory=lambda: slice(None))

    def x0(self, z: Tensor, t: Tensor, guidance: float | None = None) -> Tensor:
        """x̂0 at z, guided as asked or as given."""
        return self.prior.denoise(z, t, self.condition, self.guidance if guidance is None else guidance)

    def x0_free(self, z: Tensor, t: Tensor) -> Tensor:
        """x̂0 of the unconditional model."""
        return self.prior.predict_x0(z, t, self.prior.unconditional(self.condition))

    def noised(self, z0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        alpha, sigma = self.prior.schedule.at(t, z0)
        return alpha * z0 + sigma * eps


Target = Callable[[Tensor, Tensor, Tensor, Asked], Tensor]  # (z0, t, eps, asked) → ẑ


@torch.no_grad()
def denoised(z0: Tensor, t: Tensor, eps: Tensor, asked: Asked) -> Tensor:
    """Audio-SDS (Richter-Powell et al. 2025, eq. 5): x̂ of the noised z0, by a partial DDIM chain of n_steps from t.

    With one step in the encoder's space it is plain SDS (Poole et al. 2022, eq. 3), d = ε̂(z_t; p) − ε.
    """
    z = asked.noised(z0, t, eps)
    return ddim(asked.x0, z, _falling(t, asked.n_steps), asked.prior.schedule)


@torch.no_grad()
def inverted(z0: Tensor, t: Tensor, eps: Tensor, asked: Asked) -> Tensor:
    """Score distillation via inversion, SDI (Lukoianov et al. 2024): x̂ at the z_t that DDIM would have come from, found
    by walking it up n_steps; eps only adds 0.3 of new noise, once at the end (their code: η = 0.3 at every step).

    Walking up, the guidance beyond the condition alone is negated, as their code has it: from 1 + τ to 1 − τ.
    """
    z = _walked_up(z0, t, asked, lambda z, t: asked.x0(z, t, 2.0 - asked.guidance))
    alpha, sigma = asked.prior.schedule.at(t, z0)
    share = 0.3
    own = (z - alpha * z0) / sigma
    z = alpha * z0 + sigma * ((1.0 - share**2) ** 0.5 * own + share * eps)
    return asked.x0(z, t)


@torch.no_grad()
def interval(z0: Tensor, t: Tensor, eps: Tensor, asked: Asked) -> Tensor:
    """Interval score matching, ISM (Liang et al. 2024): d = ε̂(z_t; p) − ε̂(z_s; ∅) with s = t − t/n_steps below t
    (t/2 for one step), z_s and z_t by DDIM inversion without a condition.

    Where α is below 1e-3, at the end of a schedule, it counts as that: d has no weight there that is finite.
    """
    del eps  # inversion is deterministic
    schedule = asked.prior.schedule
    s = t * (1.0 - 1.0 / max(2, asked.n_steps))
    z_s = _walked_up(z0, s, asked, asked.x0_free)
    free_s = asked.x0_free(z_s, s)
    alpha_s, sigma_s = schedule.at(s, z0)
    eps_s = (z_s - alpha_s * free_s) / sigma_s
    alpha, sigma = schedule.at(t, z0)
    z_t = alpha * free_s + sigma * eps_s
    eps_t = (z_t - alpha * asked.x0(z_t, t)) / sigma
    return z0 - sigma / alpha.clamp_min(1e-3) * (eps_t - eps_s)


@torch.no_grad()
def classified(z0: Tensor, t: Tensor, eps: Tensor, asked: Asked) -> Tensor:
    """Classifier score distillation, CSD (Yu et al. 2023): d = ε̂(z_t; p) − ε̂(z_t; ∅), which is (α/σ)(x̂(∅) − x̂(p)).

    How strongly the condition is to be followed does not matter: it would only be a factor.
    """
    z = asked.noised(z0, t, eps)
    return z0 + asked.x0(z, t, 1.0) - asked.x0_free(z, t)


def delta(source_z0: Tensor, source: Condition) -> Target:
    """Delta denoising score, DDS (Hertz et al. 2023): d = ε̂(z_t; p) − ε̂(z_t of the source; its own prompt), with one t
    and ε for both. What the source's own prompt already says of it pulls nowhere.

    source_z0, source: of the whole batch. In x̂, ε̂ − ε is (α/σ)(z0 − x̂), so that z0 − (σ/α) d = x̂ + source_z0 − x̂ of
    the source: one estimate, put right by the error of the other.
    """
    unsaid = not any(source.prompts)  # guidance then changes nothing and would cost a second estimate

    @torch.no_grad()
    def target(z0: Tensor, t: Tensor, eps: Tensor, asked: Asked) -> Tensor:
        before, own = source_z0[asked.place], source.rows(asked.place)
        towards = asked.x0(asked.noised(z0, t, eps), t)
        guidance = 1.0 if unsaid else asked.guidance
        return before + (towards - asked.prior.denoise(asked.noised(before, t, eps), t, own, guidance))

    return target


TARGETS: dict[str, Target] = {
    "sds": denoised,
    "sdi": inverted,
    "ism": interval,
    "csd": classified,
}


def _falling(t: Tensor, n_steps: int) -> Tensor:
    """Times from t down to above 0, evenly, [n_steps, batch], float64 on the CPU."""
    return t.detach().cpu().double() * torch.linspace(1.0, 0.0, n_steps + 1, dtype=torch.float64)[:-1, None]


def _walked_up(z0: Tensor, t: Tensor, asked: Asked, denoise: Denoise) -> Tensor:
    """DDIM inversion (Song et al. 2021, section 4.3): from z0 up to z_t, at each place with the x̂0 seen there."""
    times = _falling(t, max(1, asked.n_steps)).flip(0)
    z, before = z0, times[0] * 1e-2  # at 0 itself z says nothing of the noise
    alpha, _ = asked.prior.schedule.at(before, z0)
    z = alpha * z0
    for now in times:
        z = ddim_step(denoise(z, before), z, before, now, asked.prior.schedule)
        before = now
    return z
