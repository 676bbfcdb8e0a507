"""Distillation through the pretrained priors' adapters: the real pipeline classes with tiny random networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import pytest
import torch
from torch import Tensor

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

import tiny_models

from sfxgen.distill.optimise import Renderer, Run, Settings, Start, Step, Walk, distil, render
from sfxgen.distill.targets import TARGETS, Asked, Target, delta
from sfxgen.generate.tunable_fm import FmRenderer
from sfxgen.generate.tunable_texture import TextureRenderer
from sfxgen.manifest.fm import Fm
from sfxgen.manifest.texture import Texture
from sfxgen.priors.audioldm2 import AudioLDM2
from sfxgen.priors.contract import Condition
from sfxgen.priors.diffusion import draw_noise
from sfxgen.priors.pipeline import PipelinePrior
from sfxgen.priors.stable_audio import StableAudio
from sfxgen.priors.stable_audio_3 import StableAudio3

pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")

BUILDS: dict[str, Callable[..., PipelinePrior]] = {
    "stable audio": lambda **more: StableAudio(tiny_models.stable_audio(**more), "sa", "d"),
    "stable audio 3": lambda **more: StableAudio3(tiny_models.stable_audio_3(**more), "sa3", "d"),
    "distilled": lambda **more: StableAudio3(tiny_models.stable_audio_3(distilled=True, **more), "sa3", "d"),
    "audioldm2": lambda **more: AudioLDM2(tiny_models.audioldm2(**more), "ldm", "d"),
}
SECONDS, PROMPTS = 0.031, ("rain", "a heavy door")
SPEC = {
    "operators": [{"level": 0.5, "decay_s": 0.05}, {"level": 0.2, "ratio": 2.0, "decay_s": 0.05}],
    "modulation": [[0.0, 1.0], [0.0, 0.0]],
}
RENDERERS: dict[str, Callable[[int], Renderer]] = {
    "fm": lambda rate_hz: FmRenderer(Fm.model_validate(SPEC), SECONDS, rate_hz),
    "texture": lambda rate_hz: TextureRenderer(Texture(), SECONDS, rate_hz),
}
FEW = Settings(n_steps=3, n_denoising=2, guidance=(4.0, 2.0))
EVERY = (*TARGETS, "dds")


@pytest.fixture(scope="module", params=BUILDS)
def prior(request: pytest.FixtureRequest) -> PipelinePrior:
    return BUILDS[request.param]()


def starts_of(prior: PipelinePrior, kind: str) -> list[Start]:
    return [Start(RENDERERS[kind](prior.rate_hz), prompt, 10 * i) for i, prompt in enumerate(PROMPTS)]


@lru_cache
def condition_of(prior: PipelinePrior, prompts: tuple[str, ...] = PROMPTS) -> Condition:
    return prior.condition(prompts, SECONDS)


def source_of(prior: PipelinePrior, starts: list[Start]) -> Tensor:
    """z0 of the starts as they begin."""
    theta = torch.stack([start.first for start in starts])
    with torch.no_grad():
        return prior.encode(render(starts, theta, [start.seed for start in starts], prior))


def target_of(name: str, prior: PipelinePrior, starts: list[Start]) -> Target:
    if name in TARGETS:
        return TARGETS[name]
    return delta(source_of(prior, starts), condition_of(prior, PROMPTS[::-1]))


def walked(
    prior: PipelinePrior, starts: list[Start], settings: Settings, target: Target | None = None
) -> tuple[list[Tensor], list[Step], list[Tensor]]:
    """θ at the end, every step, and the gradient of the first."""
    steps: list[Step] = []
    gradients: list[Tensor] = []

    def look(step: Step, at: Walk) -> None:
        steps.append(step)
        if step.number == 0:
            gradients.append(at.first_moment / 0.1)

    return distil(starts, prior, condition_of(prior), settings, Run(on_step=look), target), steps, gradients


def untouched(prior: PipelinePrior, condition: Condition) -> bool:
    """No weight and nothing of the condition has or wants a gradient."""
    networks = [part for part in prior.pipe.components.values() if isinstance(part, torch.nn.Module)]
    every = [weights for network in networks for weights in network.parameters()]
    assert every
    return not any(one.requires_grad or one.grad is not None for one in (*every, *condition.encoded.values()))


@pytest.mark.parametrize("kind", RENDERERS)
@pytest.mark.parametrize("encoder", [False, True])
def test_a_renderer_walks(prior: PipelinePrior, kind: str, encoder: bool) -> None:
    """Decoder-SDS and plain SDS: losses are finite, θ moves, and nothing but θ has a gradient."""
    starts = starts_of(prior, kind)
    found, steps, (gradient,) = walked(prior, starts, replace(FEW, encoder=encoder))
    assert [step.number for step in steps] == [0, 1, 2]
    assert torch.tensor([step.losses for step in steps]).isfinite().all()
    assert all(loss > 0 for step in steps for loss in step.losses)
    assert gradient.isfinite().all()
    for start, theta, slopes in zip(starts, found, gradient, strict=True):
        free = (start.renderer.high > start.renderer.low) & (slopes[: len(theta)] != 0)
        assert free.sum() > len(theta) // 2
        assert ((theta >= start.renderer.low) & (theta <= start.renderer.high)).all()
        assert (theta.abs() > 0.02)[free].float().mean() > 0.5
    assert untouched(prior, condition_of(prior))


@pytest.mark.parametrize("name", EVERY)
def test_every_target_drives_every_prior(prior: PipelinePrior, name: str) -> None:
    """With guidance and several steps."""
    starts = starts_of(prior, "fm")
    settings = replace(FEW, n_steps=2)
    found, steps, (gradient,) = walked(prior, starts, settings, target_of(name, prior, starts))
    assert torch.tensor([step.losses for step in steps]).isfinite().all()
    assert gradient.isfinite().all()
    assert all((theta != 0).any() for theta in found)
    assert untouched(prior, condition_of(prior))


@pytest.mark.parametrize("name", EVERY)
def test_targets_are_finite_at_the_ends_of_every_schedule(prior: PipelinePrior, name: str) -> None:
    """At t = 1 all is noise: α is 0 in a rectified flow, nearly so on the cosine, and not quite in a table."""
    starts = starts_of(prior, "fm")
    z0 = source_of(prior, starts)
    eps = draw_noise(z0.shape[1:], [torch.Generator().manual_seed(i) for i in range(2)], z0)
    target = target_of(name, prior, starts)
    for t, n_steps in ((0.002, 1), (0.999, 1), (1.0, 1), (1.0, 2)):
        found = target(z0, torch.full((2,), t), eps, Asked(prior, condition_of(prior), 3.0, n_steps))
        assert found.shape == z0.shape
        assert found.dtype == z0.dtype
        assert found.isfinite().all()
        assert not found.requires_grad


def test_the_end_of_a_rectified_flow_is_noise_alone() -> None:
    prior = BUILDS["stable audio 3"]()
    alpha, sigma = prior.schedule.at(torch.ones(1), torch.ones(1, 1))
    assert (alpha.item(), sigma.item()) == (0.0, 1.0)


def test_targets_differ(prior: PipelinePrior) -> None:
    """None is another under a second name, on any prior; a distilled one takes no guidance, but tells prompts apart."""
    starts = starts_of(prior, "fm")
    z0 = source_of(prior, starts)
    eps = draw_noise(z0.shape[1:], [torch.Generator().manual_seed(i) for i in range(2)], z0)
    asked = Asked(prior, condition_of(prior), 3.0, 2)
    found = [target_of(name, prior, starts)(0.9 * z0, torch.full((2,), 0.5), eps, asked) for name in EVERY]
    for i, one in enumerate(found):
        for other in found[:i]:
            assert (one - other).abs().max() > 1e-6 * one.abs().max()


def test_dds_through_the_encoder_leaves_what_nobody_edits(prior: PipelinePrior) -> None:
    """Without the sound's own noise and with its own prompt: θ stays 0 to the bit."""
    starts = starts_of(prior, "fm")
    own = delta(source_of(prior, starts), condition_of(prior))
    found, _, _ = walked(prior, starts, replace(FEW, encoder=True, n_noises=1), own)
    assert all(torch.equal(theta, torch.zeros_like(theta)) for theta in found)


def test_a_walk_is_the_same_twice(prior: PipelinePrior) -> None:
    one, other = (walked(prior, starts_of(prior, "texture"), FEW)[0] for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_start_is_the_same_alone_and_among_others(prior: PipelinePrior) -> None:
    """As nearly as a batch of networks is: matrix products of other sizes round otherwise."""
    starts = starts_of(prior, "fm")
    _, _, (gradient,) = walked(prior, starts, replace(FEW, n_steps=1))
    for i, start in enumerate(starts):
        seen: list[Tensor] = []
        run = Run(on_step=lambda _, at, seen=seen: seen.append(at.first_moment / 0.1))  # type: ignore[misc]
        distil([start], prior, prior.condition([start.prompt], SECONDS), replace(FEW, n_steps=1), run)
        assert (seen[0][0] - gradient[i]).norm() < 1e-4 * gradient[i].norm()


@pytest.mark.parametrize("encoder", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["stable audio", "stable audio 3", "audioldm2"])
def test_weights_of_two_bytes(name: str, dtype: torch.dtype, encoder: bool) -> None:
    """float16 is what a GPU loads: z, schedules and spectra stay float32, and the walk finite."""
    prior = BUILDS[name](dtype=dtype)
    assert prior.dtype == torch.float32
    found, steps, _ = walked(prior, starts_of(prior, "fm"), replace(FEW, encoder=encoder))
    assert torch.tensor([step.losses for step in steps]).isfinite().all()
    assert all(theta.abs().max() > 0.02 for theta in found)
