"""The walk of distillation: where it ends, what stops it, and that no start feels its neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from closed_form import (
    F64,
    FREE,
    Broken,
    ClosedForm,
    Line,
    Mixture,
    drawn,
    gaussian,
    mixture,
    orthonormal,
    sinusoids,
    starts_of,
)
from torch import Tensor

from sfxgen.distill.optimise import Run, Settings, Start, Step, Walk, distil
from sfxgen.distill.targets import TARGETS, Asked, delta, denoised
from sfxgen.errors import SfxgenError

SHORT = Settings(n_steps=8, n_denoising=1)


def walk(
    prior: ClosedForm, starts: Sequence[Start], settings: Settings = SHORT, run: Run | None = None
) -> list[Tensor]:
    return distil(starts, prior, prior.condition([start.prompt for start in starts], 0.1), settings, run)


# Where it ends


@pytest.mark.parametrize("guidance", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("encoder", [False, True])
def test_sds_ends_where_the_guided_score_is_zero(guidance: float, encoder: bool) -> None:
    """Of Gaussians N(μ, s²) and, without a condition, N(0, S²): g (θ − μ) / (α² s² + σ²) = (g − 1) θ / (α² S² + σ²).

    Antithetic noise leaves nothing of chance here, since x̂0 is affine in it. The condition selects the mode, and
    guidance goes beyond it.
    """
    prior, t = gaussian(), 0.3
    settings = Settings(
        n_steps=300,
        guidance=(guidance, guidance),
        encoder=encoder,
        n_pairs=2,
        antithetic=True,
        n_denoising=1,
        t_first=(t, t),
        t_last=(t, t),
        patience=400,
    )
    found = walk(prior, starts_of(prior, ["high", "low"]), settings)
    alpha, sigma = math.cos(math.pi * t / 2), math.sin(math.pi * t / 2)
    free = (guidance - 1.0) / (alpha**2 * 1.6**2 + sigma**2)
    for theta, mu, spread in zip(found, (1.5, -1.5), (0.3, 0.5), strict=True):
        own = guidance / (alpha**2 * spread**2 + sigma**2)
        assert theta.tolist() == pytest.approx([own * mu / (own - free)] * 4, abs=0.01)


def test_sds_goes_to_one_of_several_modes() -> None:
    """Not to between them: mode seeking. Each of eight starts ends at a mode of its own prompt, not all at one."""
    prior = mixture()
    prompts = ["high", "low"] * 4
    settings = Settings(n_steps=200, t_first=(0.3, 0.5), t_last=(0.05, 0.15), n_pairs=2, antithetic=True)
    found = walk(prior, starts_of(prior, prompts, lambda i: 2.0 * drawn(prior.n, seed=i)), settings)
    ends = []
    for theta, prompt in zip(found, prompts, strict=True):
        apart = (prior.of[prompt][0] - theta).norm(dim=1)
        assert apart.min() < 0.1
        ends.append((prompt, int(apart.argmin())))
    assert len(set(ends)) > 2


def test_sds_finds_the_ring_of_its_prompt() -> None:
    """From a mixture of both frequencies at half the amplitude: one is left, at the amplitude that the prior knows."""
    prior = sinusoids()
    low, high = prior.plane(5.0), prior.plane(10.0)
    first = 0.5 * prior.radius * (low[0] + high[1])
    settings = Settings(n_steps=200, t_first=(0.2, 0.4), t_last=(0.05, 0.1), n_pairs=2, antithetic=True)
    found = walk(prior, starts_of(prior, ["low", "high"], lambda _: first), settings)
    for theta, own, other in zip(found, (low, high), (high, low), strict=True):
        assert (own @ theta).norm() == pytest.approx(prior.radius, rel=0.03)
        assert (other @ theta).norm() < 0.03 * prior.radius
        assert theta.norm() == pytest.approx(prior.radius, rel=0.05)


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_tells_prompts_apart(target: str) -> None:
    prior = gaussian()
    settings = Settings(n_steps=60, target=target, guidance=(2.0, 2.0), n_denoising=3)
    high, low = walk(prior, starts_of(prior, ["high", "low"]), settings)
    assert high.mean() > 0.5
    assert low.mean() < -0.5


def test_an_unedited_input_stays_where_it_is() -> None:
    """DDS with the source's own prompt: not a bit changes; with another one it goes there."""
    prior, source = gaussian(), 0.3 * drawn(2, 4, seed=3)
    starts = starts_of(prior, ["high", "high"], lambda i: source[i])
    own = prior.condition(["high", "high"], 0.1)
    settings = Settings(n_steps=40, guidance=(3.0, 3.0))
    kept = distil(starts, prior, own, settings, target=delta(source, own))
    assert all(torch.equal(theta, before) for theta, before in zip(kept, source, strict=True))
    edited = distil(starts, prior, prior.condition(["low", "low"], 0.1), settings, target=delta(source, own))
    assert all((theta - before).mean() < -1.0 for theta, before in zip(edited, source, strict=True))


@pytest.mark.parametrize("target", TARGETS)
def test_through_an_encoder_that_loses_nothing_it_is_decoder_sds(target: str) -> None:
    """Where dec ∘ enc is the identity and lengths stay, ‖enc x − ẑ‖ = ‖x − dec ẑ‖."""
    prior = mixture(basis=orthonormal(4))
    starts = [
        Start(Line(4, drawn(4, 3, seed=9)), prompt, i, drawn(3, seed=i)) for i, prompt in enumerate(["high", "low"])
    ]
    settings = Settings(n_steps=12, target=target, n_denoising=2, guidance=(2.0, 1.0))
    decoder, encoder = (walk(prior, starts, replace(settings, encoder=how)) for how in (False, True))
    for one, other in zip(decoder, encoder, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


# What stops it, and where it goes on


def paths(prior: ClosedForm, starts: Sequence[Start], settings: Settings) -> list[Tensor]:
    """θ after each step."""
    seen: list[Tensor] = []
    walk(prior, starts, settings, Run(on_step=lambda _, at: seen.append(at.theta.clone())))
    return seen


def test_cancelled_between_steps() -> None:
    prior = gaussian()
    starts, seen = starts_of(prior, ["high", "low"]), list[int]()
    run = Run(on_step=lambda step, _: seen.append(step.number), cancelled=lambda: len(seen) == 3)
    found = walk(prior, starts, SHORT, run)
    assert seen == [0, 1, 2]
    assert torch.equal(torch.stack(found), paths(prior, starts, SHORT)[2])
    assert torch.equal(torch.stack(walk(prior, starts, SHORT, Run(cancelled=lambda: True))), torch.zeros(2, 4))


def test_a_resumed_walk_ends_at_the_same_bits() -> None:
    """Killed after 25 steps and after 50; patience of 15 falls between, so what it last saw must be kept too."""
    prior = mixture()
    starts = starts_of(prior, ["high", "low", "high"], lambda i: drawn(4, seed=i))
    settings = Settings(n_steps=60, n_pairs=3, antithetic=True, weight="late", patience=15, still=0.2, rate=0.05)
    kept: list[bytes] = []
    stopped: list[int] = []
    run = Run(keep=kept.append, on_step=lambda _, at: stopped.append(int(at.still.sum())))
    whole = walk(prior, starts, settings, run)
    assert len(kept) == 2
    assert {0, 1} <= set(stopped[25:]), "one must have stopped before the others, after the first that was kept"
    for data in kept:
        again = walk(prior, starts, settings, Run(resume=data))
        assert all(torch.equal(one, other) for one, other in zip(whole, again, strict=True))


def test_a_walk_is_kept_bit_for_bit() -> None:
    one = Walk(drawn(2, 3), drawn(2, 3, seed=1), drawn(2, 3, seed=2), 7, torch.tensor([True, False]), drawn(2, 3))
    other = Walk.from_bytes(one.to_bytes())
    assert other.n_done == 7
    assert other.to_bytes() == one.to_bytes()
    for name, value in vars(one).items():
        if isinstance(value, Tensor):
            assert torch.equal(getattr(other, name), value)
            assert getattr(other, name).dtype == value.dtype


def test_it_stops_when_nothing_moves() -> None:
    """A start at a limit that it is pushed against stands still: it stops at the first look, the other goes on."""
    prior = gaussian()
    held, free = Line(4, limit=0.0), Line(4)
    starts = [Start(held, "high", 0), Start(free, "high", 1)]
    seen: list[Tensor] = []
    settings = Settings(n_steps=12, patience=5, still=0.02)
    walk(prior, starts, settings, Run(on_step=lambda _, at: seen.append(at.still.clone())))
    assert len(seen) == 12
    assert seen[-1].tolist() == [True, False]
    numbers: list[int] = []
    walk(prior, [Start(held, "high", 0)], settings, Run(on_step=lambda step, _: numbers.append(step.number)))
    assert numbers == [0, 1, 2, 3, 4]


def test_limits_hold_at_every_step() -> None:
    prior = gaussian()
    line = Line(4)
    line.low, line.high = torch.tensor([-1.0, 0.0, -0.2, -3.0]).double(), torch.tensor([0.1, 0.5, 3.0, 0.0]).double()
    seen = torch.stack(paths(prior, [Start(line, "high", 0)], Settings(n_steps=40)))[:, 0]
    assert (seen >= line.low).all()
    assert (seen <= line.high).all()
    assert torch.equal(seen[-1], torch.minimum(line.high, seen[-1]))
    assert (seen[-1, :2] == line.high[:2]).all()
    assert seen[-1, 2] > 0.5


# Nobody feels a neighbour


@pytest.mark.parametrize("target", TARGETS)
def test_a_start_is_the_same_alone_and_among_others(target: str) -> None:
    """Bit for bit, with a prior that itself keeps its items apart."""
    prior = mixture()
    starts = starts_of(prior, ["high", "low", "high"], lambda i: drawn(4, seed=i))
    settings = Settings(n_steps=10, target=target, guidance=(2.0, 3.0), n_pairs=2, antithetic=True)
    among = walk(prior, starts, settings)
    for start, theta in zip(starts, among, strict=True):
        assert torch.equal(walk(prior, [start], settings)[0], theta)


def test_starts_of_different_parameters_walk_together() -> None:
    prior = gaussian()
    starts = [Start(Line(4, drawn(4, p, seed=p)), "high", p) for p in (2, 5, 3)]
    among = walk(prior, starts, SHORT)
    assert [len(theta) for theta in among] == [2, 5, 3]
    for start, theta in zip(starts, among, strict=True):
        assert torch.equal(walk(prior, [start], SHORT)[0], theta)


def test_nan_of_one_start_spoils_no_other() -> None:
    """With one of its four noises its sound is NaN: the others never know, and it keeps finite parameters."""
    prior = gaussian()
    fine = starts_of(prior, ["high", "low"])
    starts = [fine[0], Start(Broken(4, from_seed=203), "high", 200), fine[1]]
    found = walk(prior, starts, SHORT)
    assert torch.equal(found[0], walk(prior, fine, SHORT)[0])
    assert torch.equal(found[2], walk(prior, fine, SHORT)[1])
    assert found[1].isfinite().all()
    assert (found[1] != 0).all()


def test_nan_everywhere_is_said() -> None:
    prior = gaussian()
    starts = [Start(Broken(4), "high", 0), Start(Broken(4), "low", 1)]
    with pytest.raises(SfxgenError, match="no finite gradient"):
        walk(prior, starts)


# Memory


class Drawing(Mixture):
    """Its decoder draws, what it decodes is off by its own noise; and then runs out of memory above most_decoded."""

    most_decoded = 1000

    def decode(self, z0: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        rows = [torch.randn(self.n, generator=generator, dtype=F64) for generator in generators]
        if len(z0) > self.most_decoded:
            raise torch.OutOfMemoryError("device out of memory")
        return super().decode(z0, generators) + 0.1 * torch.stack(rows)[:, None]


@pytest.mark.parametrize("where", ["most_rows", "most_decoded"])
@pytest.mark.parametrize(("most", "halvings"), [(8, 0), (7, 1), (3, 2), (1, 3)])
def test_out_of_memory_halves_the_batch(where: str, most: int, halvings: int) -> None:
    """In the network or in the decoder: with the same result, and one warning a halving, however many the steps."""
    prior = Drawing({name: mixture().of[name] for name in ("high", "low", FREE)})
    starts = starts_of(prior, ["high", "low"] * 4, lambda i: drawn(4, seed=i))
    settings = replace(SHORT, n_pairs=2, guidance=(2.0, 2.0))
    whole = walk(prior, starts, settings)
    setattr(prior, where, most)
    said: list[str] = []
    parted = walk(prior, starts, settings, Run(warn=said.append))
    sizes = [8, 4, 2, 1][: halvings + 1]
    assert said == [
        f"out of memory with {size} sounds at once in the prior: going on with {size // 2}" for size in sizes[:-1]
    ]
    assert all(torch.equal(one, other) for one, other in zip(whole, parted, strict=True))


def test_an_edit_is_parted_with_its_sources() -> None:
    prior, source = gaussian(), drawn(4, 4, seed=3)
    prompts = ["high", "low", "low", "high"]
    starts = starts_of(prior, prompts, lambda i: source[i])
    condition, own = prior.condition(prompts[::-1], 0.1), prior.condition(prompts, 0.1)
    whole = distil(starts, prior, condition, SHORT, target=delta(source, own))
    prior.most_rows = 1
    parted = distil(starts, prior, condition, SHORT, target=delta(source, own))
    assert all(torch.equal(one, other) for one, other in zip(whole, parted, strict=True))


def test_one_sound_too_much_is_said_with_its_cure() -> None:
    prior = gaussian()
    prior.most_rows = 0
    with pytest.raises(SfxgenError, match="out of memory with a single sound in the prior; try a shorter sound"):
        walk(prior, starts_of(prior, ["high", "low"]))


def test_another_fault_is_not_taken_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    prior = gaussian()

    def broken(*given: object) -> Tensor:
        raise RuntimeError("a shape is wrong")

    monkeypatch.setattr(prior, "x0", broken)
    with pytest.raises(RuntimeError, match="a shape is wrong"):
        walk(prior, starts_of(prior, ["high"]))


# What is drawn


def test_antithetic_pairs_mirror_time_and_noise() -> None:
    prior = gaussian()
    pairs: list[tuple[Tensor, Tensor]] = []

    def watched(z0: Tensor, t: Tensor, eps: Tensor, asked: Asked) -> Tensor:
        pairs.append((t, eps))
        return denoised(z0, t, eps, asked)

    settings = Settings(n_steps=1, n_pairs=3, antithetic=True, t_first=(0.4, 0.6))
    distil(starts_of(prior, ["high"] * 2), prior, prior.condition(["high"] * 2, 0.1), settings, target=watched)
    (t, eps), (t_mirrored, negated), (t_next, eps_next) = pairs
    torch.testing.assert_close(t + t_mirrored, torch.ones(2), rtol=0, atol=1e-6)
    assert torch.equal(eps, -negated)
    assert not torch.equal(t, t_next)
    assert not torch.equal(eps, eps_next)


def test_times_go_from_the_first_range_to_the_last() -> None:
    prior = gaussian()
    times: list[float] = []
    settings = Settings(n_steps=50, t_first=(0.7, 0.9), t_last=(0.15, 0.35), patience=100)
    walk(prior, starts_of(prior, ["high"]), settings, Run(on_step=lambda step, _: times.append(step.t)))
    for number, t in enumerate(times):
        low = 0.7 + (0.15 - 0.7) * number / 49
        assert low - 1e-6 <= t <= low + 0.2 + 1e-6
    assert len(times) == 50


def test_the_same_seed_is_the_same_walk() -> None:
    prior = mixture()

    def once(seed: int) -> Tensor:
        return walk(prior, [Start(Line(4), "high", seed)], SHORT)[0]

    before = torch.random.get_rng_state()
    assert torch.equal(once(3), once(3))
    assert not torch.equal(once(3), once(4))
    assert torch.equal(torch.random.get_rng_state(), before), "global random numbers were drawn"


@pytest.mark.parametrize("n_noises", [1, 3])
def test_the_sounds_own_noises_are_taken_in_turn(n_noises: int) -> None:
    class Noted(Line):
        def __call__(self, theta: Tensor, seed: int) -> Tensor:
            seeds.append(seed)
            return super().__call__(theta, seed)

    prior, seeds = gaussian(), list[int]()
    walk(prior, [Start(Noted(4), "high", 7)], replace(SHORT, n_noises=n_noises))
    assert seeds == [7 + i % n_noises for i in range(8)]


def test_the_first_step_is_as_long_as_the_rate() -> None:
    """Adam with β₁ < β₂ begins with sign(g) · rate, whatever the gradient's size."""
    first = paths(gaussian(), starts_of(gaussian(), ["high"]), Settings(n_steps=10, rate=0.07))[0]
    assert first.abs().allclose(torch.full_like(first, 0.07), rtol=1e-6)


def by_hand(gradients: Sequence[Tensor], rate: Callable[[int], float]) -> Tensor:
    """Adam's algorithm 1, from 0."""
    theta = m = v = torch.zeros_like(gradients[0])
    for n, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        theta = theta - rate(n - 1) * (m / (1 - 0.9**n)) / ((v / (1 - 0.99**n)).sqrt() + 1e-12)
    return theta


def test_adam_is_adam() -> None:
    gradients = [drawn(2, 3, seed=i) for i in range(6)]
    state = Walk.of([Start(Line(3), "high", 0), Start(Line(3), "low", 1)])
    for number, gradient in enumerate(gradients):
        state.descend(gradient, 0.1 / (1 + number))
        state.n_done += 1
    torch.testing.assert_close(state.theta, by_hand(gradients, lambda n: 0.1 / (1 + n)), rtol=0, atol=1e-12)
    assert not math.isclose(float(state.theta.abs().max()), 0.0)


def test_steps_are_told_in_order() -> None:
    prior, told = gaussian(), list[Step]()
    walk(prior, starts_of(prior, ["high", "low"]), SHORT, Run(on_step=lambda step, _: told.append(step)))
    assert [step.number for step in told] == list(range(8))
    assert all(len(step.losses) == 2 for step in told)
    assert all(math.isfinite(loss) and loss > 0 for step in told for loss in step.losses)
    assert all([map_.shape for map_ in step.wanted] == [(2, 4)] for step in told)
