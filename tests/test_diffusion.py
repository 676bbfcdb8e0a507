"""The arithmetic that all priors share, and the mixture's denoiser, against closed forms and numerical integration."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from sfxgen.priors.diffusion import (
    Prediction,
    Schedule,
    cosine,
    ddim,
    discrete,
    draw_noise,
    guided,
    rectified_flow,
    to_eps,
    to_x0,
)
from sfxgen.priors.mixture import (
    BLOCK_BANDS,
    BLOCK_FRAMES,
    Components,
    Kernel,
    Posterior,
    bounded,
    from_blocks,
    mean,
    posterior,
    shares,
    to_blocks,
)

F64 = torch.float64


def generators(n: int, first: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(first + i) for i in range(n)]


# Predictions, schedules, DDIM


@pytest.mark.parametrize("prediction", ["x0", "eps", "v", "flow"])
def test_every_prediction_leads_back_to_the_clean_sound(prediction: Prediction) -> None:
    schedule = rectified_flow() if prediction == "flow" else cosine()
    drawn = draw_noise((3, 5), generators(4), torch.zeros((), dtype=F64))
    x0, eps = drawn[:2], drawn[2:]
    alpha, sigma = schedule.at(torch.tensor([0.3, 0.8], dtype=F64), x0)
    z = alpha * x0 + sigma * eps
    output = {"x0": x0, "eps": eps, "v": alpha * eps - sigma * x0, "flow": eps - x0}[prediction]
    found = to_x0(output, z, alpha, sigma, prediction)
    torch.testing.assert_close(found, x0, rtol=0, atol=1e-12)
    torch.testing.assert_close(to_eps(found, z, alpha, sigma), eps, rtol=0, atol=1e-12)


def test_a_table_of_steps_is_met_at_its_steps() -> None:
    table = torch.linspace(0.999, 0.01, 100, dtype=F64)
    schedule = discrete(table)
    t = (torch.arange(100, dtype=F64) + 1) / 100
    torch.testing.assert_close(schedule.alpha(t).square(), table, rtol=0, atol=1e-12)
    torch.testing.assert_close(schedule.alpha(t).square() + schedule.sigma(t).square(), torch.ones(100, dtype=F64))
    assert schedule.sigma(torch.zeros(1, dtype=F64)).item() == 0.0


@pytest.mark.parametrize("schedule", [cosine(), rectified_flow()])
def test_ddim_follows_the_exact_flow_of_a_gaussian(schedule: Schedule) -> None:
    """For x0 ~ N(μ, s²) the probability flow is affine: z(t) = α μ + √(α² s² + σ²) · u with u constant."""
    mu, s = 0.7, 0.5

    def denoise(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        alpha, sigma = schedule.at(t, z)
        return mu + alpha * s**2 / (alpha**2 * s**2 + sigma**2) * (z - alpha * mu)

    z = draw_noise((1,), generators(64), torch.zeros((), dtype=F64))
    errors = []
    for steps in (50, 100, 200):
        times = torch.linspace(1.0, 0.0, steps + 1, dtype=F64)[:-1]
        errors.append((ddim(denoise, z, times, schedule) - (mu + s * z)).abs().max().item())
    assert errors[2] < 0.01
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.6 * errors[1]  # a first-order method


def test_items_do_not_depend_on_their_batch() -> None:
    like = torch.zeros((), dtype=F64)
    alone = draw_noise((4,), generators(1, first=2), like)
    among = draw_noise((4,), generators(3), like)
    assert torch.equal(alone[0], among[2])


# The mixture


def mixture(seed: int = 0, k: int = 3, cells: int = 2, spread: float = 1.5) -> Components:
    rng = torch.Generator().manual_seed(seed)
    return Components.of(
        x=spread * torch.randn(1, 1, k, cells, generator=rng, dtype=F64),
        active=torch.ones(1, 1, k, dtype=F64),
        log_prior=torch.randn(1, k, generator=rng, dtype=F64).log_softmax(1),
        owner=torch.arange(k)[None],
        grid=(1, 1),
    )


def at(t: float) -> tuple[torch.Tensor, torch.Tensor]:
    return cosine().at(torch.tensor([t], dtype=F64), torch.zeros(1, 1, 1, dtype=F64))


def denoised(z: torch.Tensor, t: float, components: Components, kernel: Kernel) -> tuple[torch.Tensor, Posterior]:
    alpha, sigma = at(t)
    found = posterior(z, alpha, sigma, components, kernel)
    return mean(z, alpha, sigma, components, kernel, found), found


@pytest.mark.parametrize("t", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("kernel", [Kernel(0.4, 0.0), Kernel(0.4, 0.7), Kernel(0.3, 2.0)])
def test_the_denoiser_equals_numerical_integration(kernel: Kernel, t: float) -> None:
    """E[x | z] by the trapezoidal rule over a square of x, from the mixture's density and the noise's alone."""
    components = mixture()
    alpha, sigma = (float(v) for v in at(t))
    axis = np.linspace(-12.0, 12.0, 961)
    x = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)
    covariance = kernel.residual**2 * np.eye(2) + kernel.gain**2 * np.ones((2, 2))
    density = np.zeros(x.shape[:2])
    for k in range(3):
        normal = stats.multivariate_normal(components.x[0, 0, k].numpy(), covariance)
        density += math.exp(components.log_prior[0, k]) * normal.pdf(x)
    for z in ([0.3, -0.8], [2.0, 1.0], [-1.0, -1.0]):
        noise = np.exp(-0.5 * ((np.array(z) - alpha * x) ** 2).sum(-1) / sigma**2)
        weight = density * noise
        expected = (weight[..., None] * x).sum((0, 1)) / weight.sum()
        found, _ = denoised(torch.tensor([[z]], dtype=F64), t, components, kernel)
        np.testing.assert_allclose(found[0, 0].numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("t", [0.1, 0.4, 0.9])
def test_the_score_is_the_gradient_of_the_log_density(t: float) -> None:
    """Tweedie: ∇ log p(z) = (α x̂0 − z) / σ²."""
    components, kernel = mixture(cells=4), Kernel(0.4, 0.5)
    alpha, sigma = at(t)
    z = torch.randn(1, 1, 4, generator=torch.Generator().manual_seed(3), dtype=F64, requires_grad=True)
    x0, found = denoised(z, t, components, kernel)
    (gradient,) = torch.autograd.grad(found.log_evidence.sum(), z)
    torch.testing.assert_close(gradient, ((alpha * x0 - z) / sigma**2).detach(), rtol=0, atol=1e-9)


def test_ddim_to_the_end_gives_samples_of_the_mixture() -> None:
    """Kolmogorov–Smirnov against the mixture itself; half a standard deviation off would be found."""
    components, kernel, n = mixture(seed=4, k=4, cells=1, spread=2.0), Kernel(0.3, 0.0), 2000
    x, active = components.x.expand(n, -1, -1, -1), components.active.expand(n, -1, -1)
    many = Components.of(x, active, components.log_prior.expand(n, -1), components.owner.expand(n, -1), (1, 1))

    def denoise(z: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        alpha, sigma = cosine().at(t, z)
        return mean(z, alpha, sigma, many, kernel, posterior(z, alpha, sigma, many, kernel))

    z = draw_noise((1, 1), generators(n), torch.zeros((), dtype=F64))
    samples = ddim(denoise, z, torch.linspace(1.0, 0.0, 201, dtype=F64)[:-1], cosine())[:, 0, 0].numpy()
    rng = np.random.default_rng(0)
    which = rng.choice(4, n, p=components.log_prior[0].exp().numpy())
    drawn = components.x[0, 0, which, 0].numpy() + 0.3 * rng.standard_normal(n)
    assert stats.ks_2samp(samples, drawn).pvalue > 0.01
    assert stats.ks_2samp(samples + 0.15, drawn).pvalue < 0.01


def test_ranking_and_guidance_follow_bayes() -> None:
    """Evidence of two conditions gives p(c | z); guidance is the score of p(z | c)^g p(z)^(1 − g)."""
    one, other, kernel, t = mixture(seed=1), mixture(seed=2), Kernel(0.4, 0.0), 0.5
    alpha, sigma = at(t)
    whole = Components.of(
        torch.cat([one.x, other.x], 2),
        torch.cat([one.active, other.active], 2),
        torch.cat([one.log_prior, other.log_prior], 1) - math.log(2.0),
        torch.arange(6)[None],
        (1, 1),
    )
    z = torch.tensor([[[0.4, -0.2]]], dtype=F64)
    x_one, found_one = denoised(z, t, one, kernel)
    _, found_other = denoised(z, t, other, kernel)
    x_whole, found_whole = denoised(z, t, whole, kernel)
    p_one = found_whole.weights[..., :3].sum().item()
    odds = (found_one.log_evidence - found_other.log_evidence).exp().item()
    assert p_one == pytest.approx(odds / (1.0 + odds), rel=1e-9)
    leaning = z.clone().requires_grad_()
    _, c = denoised(leaning, t, one, kernel)
    _, u = denoised(leaning, t, whole, kernel)
    (gradient,) = torch.autograd.grad((3.0 * c.log_evidence - 2.0 * u.log_evidence).sum(), leaning)
    score = (alpha * guided(x_one, x_whole, 3.0) - z) / sigma**2
    torch.testing.assert_close(gradient, score, rtol=0, atol=1e-9)


def big(frames: int = 4 * BLOCK_FRAMES, bands: int = 4 * BLOCK_BANDS, k: int = 5) -> tuple[torch.Tensor, Components]:
    rng = torch.Generator().manual_seed(7)
    x, grid = to_blocks(torch.randn(1, k, frames, bands, generator=rng, dtype=F64))
    n_blocks = grid[0] * grid[1]
    components = Components.of(
        x.transpose(1, 2).contiguous(),
        torch.ones(1, n_blocks, k, dtype=F64),
        torch.zeros(1, k, dtype=F64).log_softmax(1),
        torch.arange(k)[None],
        grid,
    )
    return x, components


def test_blocks_are_put_together_as_they_were_cut() -> None:
    x = torch.arange(2 * 16 * 24, dtype=F64).reshape(2, 16, 24)
    blocks, grid = to_blocks(x)
    assert grid == (2, 3)
    assert torch.equal(blocks[0, 1], x[0, :8, 8:16].flatten())
    assert torch.equal(from_blocks(blocks, grid), x)


def test_local_weights_recombine_parts_and_global_ones_do_not() -> None:
    """The first half of one exemplar and the second of another: a wide mixture must choose, a narrow one need not."""
    x, components = big()
    z = torch.cat([x[:, 0, :8], x[:, 1, 8:]], 1)
    alpha, sigma = at(0.3)
    whole = posterior(z, alpha, sigma, components, Kernel(0.1, 0.0, temper=0.05))
    local = posterior(z, alpha, sigma, components, Kernel(0.1, 0.0, frames=4.0, bands=64.0, temper=0.05))
    assert torch.equal(whole.weights[:, 0], whole.weights[:, -1])
    assert local.weights[0, 0, 0] > 0.9
    assert local.weights[0, -1, 1] > 0.9


def test_no_exemplar_gives_more_than_its_share() -> None:
    x, components = big()
    alpha, sigma = at(0.3)
    found = posterior(alpha * x[:, 2], alpha, sigma, components, Kernel(0.1, 0.0, temper=0.1))
    assert shares(found, components, 5)[0, 2] > 0.99
    held = bounded(found, components, 0.5, 5)
    share = shares(held, components, 5)
    assert share[0, 2] == pytest.approx(0.5, abs=1e-4)
    assert share.sum() == pytest.approx(1.0)
    torch.testing.assert_close(held.weights.sum(-1), torch.ones_like(held.weights[..., 0]))


def test_a_bound_that_is_kept_changes_nothing() -> None:
    x, components = big()
    alpha, sigma = at(0.9)
    found = posterior(alpha * x[:, 2], alpha, sigma, components, Kernel(0.1, 0.0, temper=1e-4))
    assert bounded(found, components, 0.5, 5) is found


def test_an_exemplar_alone_keeps_all() -> None:
    _, components = big(k=1)
    alpha, sigma = at(0.5)
    found = posterior(components.x[:, :, 0], alpha, sigma, components, Kernel(0.1, 0.0))
    assert shares(bounded(found, components, 0.5, 1), components, 1).item() == pytest.approx(1.0)
