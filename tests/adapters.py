"""The pretrained priors' adapters on tiny random networks in float64, and how to compare what they give."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

import tiny_models

from sfxgen.priors.audioldm2 import AudioLDM2
from sfxgen.priors.diffusion import draw_noise
from sfxgen.priors.pipeline import PipelinePrior
from sfxgen.priors.stable_audio import StableAudio
from sfxgen.priors.stable_audio_3 import StableAudio3

PROMPTS = ("rain", "a heavy door", "cold wind howls")
SECONDS = 0.02
BUILDS: dict[str, Callable[..., PipelinePrior]] = {
    "stable audio": lambda **more: StableAudio(tiny_models.stable_audio(**more), "sa", "d"),
    "stable audio 3": lambda **more: StableAudio3(tiny_models.stable_audio_3(**more), "sa3", "d"),
    "distilled": lambda **more: StableAudio3(tiny_models.stable_audio_3(distilled=True, **more), "sa3", "d"),
    "audioldm2": lambda **more: AudioLDM2(tiny_models.audioldm2(**more), "ldm", "d"),
}
GUIDABLE = ("stable audio", "stable audio 3", "audioldm2")


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def noise_for(prior: PipelinePrior, n_items: int, seconds: float = SECONDS) -> torch.Tensor:
    like = torch.empty((), dtype=torch.float64)
    return draw_noise(prior.z_shape(seconds), generators(*range(n_items)), like)


def close(one: torch.Tensor, other: torch.Tensor, relative: float = 1e-10) -> None:
    assert one.shape == other.shape
    assert one.numel() > 0
    assert other.abs().max() > 1e-3, "nothing to compare with"
    assert (one - other).abs().max() <= relative * other.abs().max()
