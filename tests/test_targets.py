"""Every target and its gradient against the formula of its paper, which is worked out here from ε alone, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from closed_form import F64, FREE, ClosedForm, Line, Mixture, Sinusoids, drawn, gaussian, mixture, sinusoids
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from torch import Tensor

from sfxgen.distill.losses import FAINT, WEIGHTS, emphasis
from sfxgen.distill.optimise import Run, Settings, Start, Step, Walk, distil
from sfxgen.distill.targets import TARGETS, Asked, Target, classified, delta, denoised, interval, inverted
from sfxgen.priors.diffusion import Schedule, cosine, rectified_flow

SCHEDULES = {"cosine": cosine, "flow": rectified_flow}
PRIORS: dict[str, Callable[[Schedule], ClosedForm]] = {
    "gaussian": gaussian,
    "mixture": mixture,
    "sinusoids": sinusoids,
}
PROMPTS = ("high", "low", "high")
T = torch.tensor([0.15, 0.5, 0.85], dtype=F64)


@pytest.fixture(params=[(prior, schedule) for prior in PRIORS for schedule in SCHEDULES], ids="-".join)
def prior(request: pytest.FixtureRequest) -> ClosedForm:
    name, schedule = request.param
    return PRIORS[name](SCHEDULES[schedule]())


def asked(prior: ClosedForm, guidance: float = 1.0, n_steps: int = 1) -> Asked:
    return Asked(prior, prior.condition(PROMPTS, prior.n / prior.rate_hz), guidance, n_steps)


def eps_of(prior: ClosedForm, z: Tensor, t: Tensor, guidance: float = 1.0) -> Tensor:
    """ε̂ with guidance: (1 + τ) ε(z; p) − τ ε(z; ∅), 1 + τ the guidance; each row with its own prompt."""
    rows = [prior.eps(z[i : i + 1], t[i : i + 1], prompt) for i, prompt in enumerate(PROMPTS)]
    tau = guidance - 1.0
    return (1.0 + tau) * torch.cat(rows) - tau * prior.eps(z, t, FREE)


def schedule_at(prior: ClosedForm, t: Tensor) -> tuple[Tensor, Tensor]:
    return prior.schedule.alpha(t)[:, None], prior.schedule.sigma(t)[:, None]


def pull(prior: ClosedForm, t: Tensor, z0: Tensor, found: Tensor) -> Tensor:
    """What a target stands for in ε: d of the gradient w(t) d ∂z/∂θ with w = σ/α."""
    alpha, sigma = schedule_at(prior, t)
    assert not found.requires_grad
    return (z0 - found) * alpha / sigma


def close(found: Tensor, expected: Tensor, relative: float = 1e-9) -> None:
    """Within so much of the largest."""
    assert expected.abs().max() > 1e-5, "nothing to compare with"
    torch.testing.assert_close(found, expected, rtol=0, atol=relative * float(expected.abs().max()))


def walked(prior: ClosedForm, z0: Tensor, t: Tensor, n_steps: int, eps: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """DDIM inversion as Euler's rule for d(z/α) = ε̂ d(σ/α) (Song et al. 2021, eq. 14), from 0.01 of a step on."""
    times = [t / n_steps * 0.01, *(t * k / n_steps for k in range(1, n_steps + 1))]
    u = z0
    for before, now in pairwise(times):
        (a, s), (a_now, s_now) = schedule_at(prior, before), schedule_at(prior, now)
        u = u + (s_now / a_now - s / a) * eps(a * u, before)
    return u


def test_the_score_belongs_to_the_density(prior: ClosedForm) -> None:
    """Tweedie: x̂0 = (z + σ² ∇ ln p) / α, for every prompt."""
    z = drawn(3, prior.n, seed=5)
    alpha, sigma = schedule_at(prior, T)
    for guidance in (0.0, 1.0, 3.0):
        close(asked(prior, guidance).x0(z, T), (z - sigma * eps_of(prior, z, T, guidance)) / alpha, 1e-8)


def test_a_density_is_one() -> None:
    """Its integral over a line, of one number."""
    one = Mixture({"high": (torch.tensor([[0.3], [-1.0]], dtype=F64), 0.4)})
    z = torch.linspace(-20.0, 20.0, 20_001, dtype=F64)[:, None]
    alpha, sigma = schedule_at(one, torch.full((1,), 0.4, dtype=F64))
    total = torch.trapezoid(one.log_density(z, alpha, sigma, "high").exp(), z[:, 0])
    assert total.item() / (2 * math.sqrt(2 * math.pi)) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_sds(prior: ClosedForm, guidance: float) -> None:
    """Poole et al.: d = ε̂(z_t) − ε."""
    z0, eps = drawn(3, prior.n, seed=6), drawn(3, prior.n, seed=7)
    alpha, sigma = schedule_at(prior, T)
    found = denoised(z0, T, eps, asked(prior, guidance))
    close(pull(prior, T, z0, found), eps_of(prior, alpha * z0 + sigma * eps, T, guidance) - eps, 1e-8)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_several_steps_are_ddim(prior: ClosedForm, guidance: float) -> None:
    """Euler's rule for the same equation downward, over even times, to 0."""
    z0, eps = drawn(3, prior.n, seed=6), drawn(3, prior.n, seed=7)
    alpha, sigma = schedule_at(prior, T)
    u = z0 + sigma / alpha * eps
    for k in range(5, 0, -1):
        (a, s), (a_next, s_next) = schedule_at(prior, T * k / 5), schedule_at(prior, T * (k - 1) / 5)
        u = u + (s_next / a_next - s / a) * eps_of(prior, a * u, T * k / 5, guidance)
    close(denoised(z0, T, eps, asked(prior, guidance, 5)), u, 1e-8)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_sdi(prior: ClosedForm, guidance: float) -> None:
    """Lukoianov et al.: the noise κ that inversion finds takes ε's place, d = ε̂(z_t(κ)) − κ."""
    z0, eps = drawn(3, prior.n, seed=6), drawn(3, prior.n, seed=7)
    alpha, sigma = schedule_at(prior, T)
    tau = guidance - 1.0
    u = walked(prior, z0, T, 4, lambda z, t: eps_of(prior, z, t, 1.0 - tau))
    kappa = math.sqrt(1.0 - 0.3**2) * (u - z0) * alpha / sigma + 0.3 * eps
    found = inverted(z0, T, eps, asked(prior, guidance, 4))
    close(pull(prior, T, z0, found), eps_of(prior, alpha * z0 + sigma * kappa, T, guidance) - kappa, 1e-7)


@pytest.mark.parametrize("n_steps", [1, 4])
@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_ism(prior: ClosedForm, guidance: float, n_steps: int) -> None:
    """Liang et al.: d = ε̂(z_t; p) − ε(z_s; ∅), z_s and z_t on one inverted path without a condition."""
    z0 = drawn(3, prior.n, seed=6)

    def free(z: Tensor, t: Tensor) -> Tensor:
        return prior.eps(z, t, FREE)

    s = T * (1 - 1 / n_steps if n_steps > 1 else 0.5)
    (a_s, s_s), (alpha, sigma) = schedule_at(prior, s), schedule_at(prior, T)
    u = walked(prior, z0, s, n_steps, free)
    eps_s = free(a_s * u, s)
    z_t = alpha * (u + (sigma / alpha - s_s / a_s) * eps_s)
    found = interval(z0, T, drawn(3, prior.n), asked(prior, guidance, n_steps))
    close(pull(prior, T, z0, found), eps_of(prior, z_t, T, guidance) - eps_s, 1e-7)


def test_csd(prior: ClosedForm) -> None:
    """Yu et al.: d = ε(z_t; p) − ε(z_t; ∅), whatever the guidance."""
    z0, eps = drawn(3, prior.n, seed=6), drawn(3, prior.n, seed=7)
    alpha, sigma = schedule_at(prior, T)
    z = alpha * z0 + sigma * eps
    expected = eps_of(prior, z, T) - prior.eps(z, T, FREE)
    close(pull(prior, T, z0, classified(z0, T, eps, asked(prior))), expected, 1e-8)
    assert torch.equal(classified(z0, T, eps, asked(prior)), classified(z0, T, eps, asked(prior, 5.0)))


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_dds(prior: ClosedForm, guidance: float) -> None:
    """Hertz et al.: d = ε̂(z_t; p) − ε̂(ẑ_t; p̂), one ε and t for both; ẑ far from z."""
    z0, source_z0, eps = (drawn(3, prior.n, seed=seed) for seed in (6, 8, 7))
    alpha, sigma = schedule_at(prior, T)
    theirs = prior.condition(PROMPTS[1:2] + PROMPTS[:1] + PROMPTS[:1], 0.1)
    found = delta(source_z0, theirs)(z0, T, eps, asked(prior, guidance))
    z, source_z = alpha * z0 + sigma * eps, alpha * source_z0 + sigma * eps
    rows = [prior.eps(source_z[i : i + 1], T[i : i + 1], prompt) for i, prompt in enumerate(theirs.prompts)]
    own = guidance * torch.cat(rows) - (guidance - 1.0) * prior.eps(source_z, T, FREE)
    close(pull(prior, T, z0, found), eps_of(prior, z, T, guidance) - own, 1e-8)


@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_dds_leaves_what_nobody_edits(prior: ClosedForm, guidance: float) -> None:
    """Source and sound the same, and their prompts: exactly where it is, at every t and ε."""
    z0, eps = drawn(3, prior.n, seed=6), drawn(3, prior.n, seed=7)
    way = asked(prior, guidance)
    assert torch.equal(delta(z0, way.condition)(z0, T, eps, way), z0)


@pytest.mark.parametrize("name", [*TARGETS, "dds"])
@pytest.mark.parametrize("t", [1e-3, 1.0])
def test_targets_are_finite_at_the_ends_of_the_schedule(prior: ClosedForm, name: str, t: float) -> None:
    z0, eps = drawn(3, prior.n, seed=6), drawn(3, prior.n, seed=7)
    target = TARGETS[name] if name in TARGETS else delta(drawn(3, prior.n), prior.condition(PROMPTS, 0.1))
    for n_steps in (1, 3):
        found = target(z0, torch.full((3,), t), eps, asked(prior, 2.0, n_steps))
        assert found.shape == z0.shape
        assert found.isfinite().all()


def test_steps_converge_to_the_probability_flow(prior: ClosedForm) -> None:
    """DDIM is Euler's rule: its error falls as 1/n. Against a Runge–Kutta of order 8 for d(z/α)/d(σ/α) = ε̂.

    On a ring the way down keeps its direction, so that only the length of the last x̂0, at t/n, is off the ring: by
    1 − I₁/I₀ ≈ σ²/2r², so its error falls as 1/n².
    """
    z0, eps = drawn(3, prior.n, seed=6), drawn(3, prior.n, seed=7)
    t = torch.tensor([0.5, 0.6, 0.7], dtype=F64)
    exact = torch.stack([flowed(prior, z0[i], float(t[i]), eps[i], PROMPTS[i]) for i in range(3)])
    n_steps = (64, 128, 256)
    errors = [float((denoised(z0, t, eps, asked(prior, 1.0, n)) - exact).norm()) for n in n_steps]
    order = -float(np.polyfit(np.log(n_steps), np.log(errors), 1)[0])
    assert errors[0] > 1e-5
    assert order == pytest.approx(2.0 if isinstance(prior, Sinusoids) else 1.0, abs=0.1)


def flowed(prior: ClosedForm, z0: Tensor, t: float, eps: Tensor, prompt: str) -> Tensor:
    """The probability flow from z_t to 0, solved to 1e-9."""
    is_flow = bool(prior.schedule.alpha(torch.tensor([0.5])) == 0.5)
    at = torch.tensor([t], dtype=F64)
    first = float(prior.schedule.sigma(at) / prior.schedule.alpha(at))

    def slope(s: float, u: NDArray[np.float64]) -> NDArray[np.float64]:
        now = torch.tensor([s / (1 + s) if is_flow else math.atan(s) * 2 / math.pi], dtype=F64)
        z = prior.schedule.alpha(now) * torch.from_numpy(u)[None]
        return np.asarray(prior.eps(z, now, prompt)[0].numpy())

    start = (z0 + first * eps).numpy()
    end = 1e-5  # at 0 itself the score of a ring is not finite; what is left moves the sound by about as much
    solved = solve_ivp(slope, (first, end), start, method="DOP853", rtol=1e-9, atol=1e-9)
    assert solved.success
    last = torch.from_numpy(solved.y[:, -1])
    return last - end * torch.from_numpy(slope(end, solved.y[:, -1]))


# What a step descends


def first_gradients(prior: ClosedForm, starts: list[Start], settings: Settings, target: Target | None = None) -> Tensor:
    """The gradient of the first step, [starts, P]: Adam's first moment holds a tenth of it."""
    seen: list[Tensor] = []

    def look(step: Step, walk: Walk) -> None:
        if step.number == 0:
            seen.append(walk.first_moment / 0.1)

    condition = prior.condition([start.prompt for start in starts], 0.1)
    distil(starts, prior, condition, settings, Run(on_step=look), target)
    return seen[0]


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("n_pairs", [1, 3])
def test_the_gradient_of_a_step(prior: ClosedForm, weight: str, n_pairs: int) -> None:
    """u = Jᵀ Σ w(t) (σ/α)(ε̂ − ε) over the pairs, a mean over them and over the cells, with no other term."""
    matrix = drawn(prior.n, 3, seed=9)
    starts = [Start(Line(prior.n, matrix), prompt, 10 * i, drawn(3, seed=i)) for i, prompt in enumerate(PROMPTS)]
    drawn_pairs: list[tuple[Tensor, Tensor]] = []

    def watched(z0: Tensor, t: Tensor, eps: Tensor, asked: Asked) -> Tensor:
        drawn_pairs.append((t.double(), eps))
        return denoised(z0, t.double(), eps, asked)

    settings = Settings(
        n_steps=1, n_pairs=n_pairs, n_denoising=1, guidance=(2.0, 2.0), weight=weight, t_first=(0.2, 0.8)
    )
    found = first_gradients(prior, starts, settings, watched)
    assert len(drawn_pairs) == n_pairs
    z0 = torch.stack([matrix @ start.first for start in starts])
    total = torch.zeros_like(z0)
    for t, eps in drawn_pairs:
        alpha, sigma = schedule_at(prior, t)
        error = eps_of(prior, alpha * z0 + sigma * eps, t, 2.0) - eps
        w = {"flat": 1.0 + 0.0 * t, "late": 1.0 - t, "early": t}[weight]
        total = total + w[:, None] * sigma / alpha * error / n_pairs
    close(found, total @ matrix / prior.n, 1e-6)  # times are drawn in float32


def test_emphasis_and_its_gradient() -> None:
    """Eq. 7 at several sizes: Σ_m (S_m(x) − S_m(x̂)) ∂S_m/∂x with ∂|X|/∂x = Re(X̄ F)/|X|, F the windowed transform."""
    x, goal = drawn(2, 64, seed=1).requires_grad_(), drawn(2, 64, seed=2)
    sizes = (16, 32)
    transforms = [torch.fft.fft(torch.eye(size, dtype=F64), norm="ortho")[:, : size // 2 + 1] for size in sizes]

    def spectra(audio: Tensor) -> list[Tensor]:
        return [
            torch.einsum("bfn,nk->bkf", audio.reshape(2, -1, s).to(F.dtype), F)
            for s, F in zip(sizes, transforms, strict=True)
        ]

    losses = emphasis([s.abs() for s in spectra(x)], [s.abs() for s in spectra(goal)], 2)
    (found,) = torch.autograd.grad(losses.sum(), x)
    expected_loss, expected = torch.zeros(2, dtype=F64), torch.zeros(2, 64, dtype=F64)
    for mine, theirs, F in zip(spectra(x.detach()), spectra(goal), transforms, strict=True):
        difference = mine.abs() - theirs.abs()
        n_cells = difference[0].numel()
        expected_loss += 0.5 * difference.square().sum((1, 2)) / n_cells
        of_cells = difference * mine.conj() / mine.abs()
        expected += torch.einsum("bkf,nk->bfn", of_cells, F).real.reshape(2, 64) / n_cells
    close(losses.detach(), expected_loss, 1e-12)
    close(found, expected, 1e-12)


def test_the_logarithmic_part_of_emphasis() -> None:
    """… + λ (ln S(x) − ln S(x̂)) / S(x) per cell, floors a ten-thousandth of the item's own mean."""
    mine, goal = drawn(4, 3, 5, seed=1).abs().requires_grad_(), drawn(4, 3, 5, seed=2).abs()  # two items, two channels
    losses = emphasis([mine], [goal], 2, 0.5)
    (found,) = torch.autograd.grad(losses.sum(), mine)
    floor = (FAINT * goal.reshape(2, -1).mean(1) + 1e-12).repeat_interleave(2)[:, None, None]
    log_ratio = ((mine + floor) / (goal + floor)).log().detach()
    difference = (mine - goal).detach()
    cells = 0.5 * difference**2 + 0.25 * log_ratio**2
    close(losses.detach(), cells.reshape(2, -1).mean(1), 1e-12)
    close(found, (difference + 0.5 * log_ratio / (mine.detach() + floor)) / 30, 1e-12)


def test_emphasis_of_an_item_knows_no_neighbour() -> None:
    """One of them a thousand times as loud."""
    mine, goal = drawn(2, 3, 5, seed=1).abs(), drawn(2, 3, 5, seed=2).abs()
    loud = torch.tensor([1.0, 1000.0], dtype=F64)[:, None, None]
    assert emphasis([mine * loud], [goal * loud], 2, 0.5)[0] == emphasis([mine[:1]], [goal[:1]], 1, 0.5)[0]


@pytest.mark.parametrize("name", [*TARGETS, "dds"])
def test_nothing_goes_back_through_the_prior(name: str) -> None:
    """A target of a z0 that wants a gradient wants none itself."""
    prior = gaussian()
    z0 = drawn(3, prior.n).requires_grad_()
    target = TARGETS[name] if name in TARGETS else delta(drawn(3, prior.n), prior.condition(PROMPTS, 0.1))
    assert not target(z0, T, drawn(3, prior.n, seed=1), asked(prior)).requires_grad
