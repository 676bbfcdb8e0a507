"""Pretrained priors on a GPU: as on the CPU but for rounding, the same bytes twice, and no batch too large."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

import tiny_models

from sfxgen.audio import Audio
from sfxgen.distill.edit import Steering, Wish, edit
from sfxgen.distill.enhance import enhance
from sfxgen.distill.optimise import Settings, Start, distil
from sfxgen.distill.parts import Parts
from sfxgen.distill.ranking import rank
from sfxgen.distill.separate import Settings as Separation
from sfxgen.distill.separate import separate
from sfxgen.generate.tunable_fm import FmRenderer
from sfxgen.generate.tunable_texture import TextureRenderer
from sfxgen.manifest.fm import Fm
from sfxgen.manifest.texture import Texture
from sfxgen.priors.contract import reproducible
from sfxgen.priors.hub import open_pipeline
from sfxgen.priors.pipeline import PipelinePrior

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no NVIDIA GPU here"),
    pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning"),
]

BUILDS: dict[str, Callable[[], Any]] = {
    "stable_audio": lambda: tiny_models.stable_audio(torch.float32, n_frames=2000),  # 1 s
    "stable_audio_3": lambda: tiny_models.stable_audio_3(torch.float32),
    "audioldm2": lambda: tiny_models.audioldm2(torch.float32),
}
SECONDS, PROMPTS = 0.5, ("rain", "a heavy door")


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pipelines")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # diffusers uses what torch wants to drop
        for name, build in BUILDS.items():
            build().save_pretrained(place / name)
    return place


@lru_cache
def opened(folder: Path, device: str, dtype: torch.dtype | None = None) -> PipelinePrior:
    prior = open_pipeline(str(folder), Path(), device, dtype=dtype)
    assert isinstance(prior, PipelinePrior)
    return prior


@pytest.fixture(params=BUILDS)
def folder(request: pytest.FixtureRequest, saved: Path) -> Path:
    return saved / str(request.param)


def generators(n: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(n)]


def noise(prior: PipelinePrior, seconds: float = SECONDS) -> torch.Tensor:
    """Audio [2, channels, frames], each item swelling at another time, on the CPU."""
    n_frames = round(seconds * prior.rate_hz)
    drawn = torch.randn(2, prior.channels, n_frames, generator=torch.Generator().manual_seed(5))
    swell = torch.linspace(0.02, 0.2, n_frames)
    return drawn * torch.stack([swell, swell.flip(0)])[:, None]


def recording(prior: PipelinePrior) -> Audio:
    return Audio.of(noise(prior)[0].numpy(), prior.rate_hz)


def test_auto_is_the_gpu_in_two_bytes(folder: Path) -> None:
    prior = opened(folder, "auto")
    assert (prior.device.type, prior.weights_dtype, prior.dtype) == ("cuda", torch.float16, torch.float32)
    assert "torch.float16" in prior.digest


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 2e-2), (torch.float16, 5e-2)])
def test_sounds_are_those_of_the_cpu(folder: Path, dtype: torch.dtype, error: float) -> None:
    """But for rounding; noise is drawn on the CPU for every device."""
    on_cpu, on_gpu = opened(folder, "cpu"), opened(folder, "cuda", dtype)
    z0, found = (
        prior.sample_z0(prior.condition(PROMPTS, SECONDS), generators(2), 4, 2.0).cpu().float()
        for prior in (on_cpu, on_gpu)
    )
    assert (found - z0).norm() < error * z0.norm()
    sound = on_gpu.decode(found.to(on_gpu.device), generators(2))
    assert sound.device.type == "cuda"
    assert sound.isfinite().all()


def test_gradients_through_the_autoencoder_are_those_of_the_cpu(folder: Path) -> None:
    gradients = []
    for prior in (opened(folder, "cpu"), opened(folder, "cuda")):
        audio = noise(prior).requires_grad_()
        z0 = prior.encode(audio)
        loss = 1e-3 * z0.square().flatten(1).mean(1).sum()
        gradients.append(torch.autograd.grad(loss, audio)[0])
    assert gradients[1].isfinite().all()
    assert (gradients[1] - gradients[0]).norm() < 5e-2 * gradients[0].norm()


def walk(prior: PipelinePrior, encoder: bool) -> torch.Tensor:
    spec = {"operators": [{"level": 0.5, "decay_s": 0.2}, {"ratio": 2.0}], "modulation": [[0.0, 1.0], [0.0, 0.0]]}
    starts = [
        Start(FmRenderer(Fm.model_validate(spec), SECONDS, prior.rate_hz), PROMPTS[0], 1),
        Start(TextureRenderer(Texture(), SECONDS, prior.rate_hz), PROMPTS[1], 2),
    ]
    settings = Settings(n_steps=4, guidance=(4.0, 2.0), encoder=encoder)
    thetas = distil(starts, prior, prior.condition(PROMPTS, SECONDS), settings)
    assert all(theta.abs().max() > 0.02 for theta in thetas)
    return torch.cat(thetas)


def edited(prior: PipelinePrior) -> torch.Tensor:
    sound = edit(prior, recording(prior), Wish(*PROMPTS), 3, Steering(n_steps=4))
    assert not np.array_equal(sound.samples, recording(prior).samples)
    return torch.from_numpy(sound.samples.copy())


def ranked(prior: PipelinePrior) -> torch.Tensor:
    return torch.tensor([one.fit for one in rank(prior, recording(prior), PROMPTS)])


WAYS: dict[str, Callable[[PipelinePrior], torch.Tensor]] = {
    "sampled": lambda prior: prior.sample(prior.condition(PROMPTS, SECONDS), generators(2), 4, 2.0),
    "distilled": lambda prior: walk(prior, encoder=False),
    "distilled through the encoder": lambda prior: walk(prior, encoder=True),
    "edited": edited,
    "taken apart": lambda prior: separate(noise(prior)[0], PROMPTS, prior, 3, Separation(n_steps=4)).values,
    "cleaned": lambda prior: enhance(noise(prior)[0], prior, 3, "rain", Separation(n_steps=2)).values,
    "ranked": ranked,
}


@pytest.mark.parametrize("way", WAYS)
def test_the_same_bits_twice(folder: Path, way: str) -> None:
    prior = opened(folder, "cuda")
    with reproducible(prior):
        one, other = (WAYS[way](prior) for _ in range(2))
    assert one.numel() > 0
    assert one.isfinite().all()
    assert torch.equal(one, other)


def test_a_project_is_built_to_the_same_bytes_twice(tmp_path: Path, saved: Path) -> None:
    first, second = (build(tmp_path / name, saved) for name in ("one", "other"))
    assert len(first) == 4
    assert first == second


def build(root: Path, saved: Path) -> dict[str, bytes]:
    """A project of every kind of sound that asks the prior, in a process of its own."""
    import soundfile

    (root / "sounds").mkdir(parents=True)
    shutil.copytree(saved / "stable_audio", root / "tiny")
    own = torch.randn(8000, generator=torch.Generator().manual_seed(1)).numpy()
    soundfile.write(root / "sounds" / "hiss.wav", 0.1 * own, 16_000)
    (root / "sounds" / "a.yaml").write_text(
        "version: 1\ndefaults: {guide: {steps: 3, generations: 2, starts: 1}, duration_s: 0.5}\nsounds:\n"
        "  one: {fm: {preset: laser_retro}, prompt: a laser}\n"
        "  two: {texture: {preset: steam}, prompt: steam}\n"
        "  three: {text: {steps: 4}, prompt: rain}\n"
        "  four: {edit: {source: hiss.wav}, prompt: rain}\n",
        encoding="utf-8",
    )
    (root / "sfxgen.yaml").write_text(
        "engine: plain\nprior: ./tiny\ndevice: cuda\ncache: .cache\nout: out\n", encoding="utf-8"
    )
    package = Path(__file__).parents[1]
    paths = os.pathsep.join(path for path in (str(package), os.environ.get("PYTHONPATH", "")) if path)
    words = [sys.executable, "-m", "sfxgen", "build"]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": paths})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stdout + done.stderr, done.stdout + done.stderr
    return {path.name: path.read_bytes() for path in (root / "out").rglob("*.wav")}


def test_a_batch_that_is_too_large_is_halved() -> None:
    said: list[str] = []
    rows_asked: list[int] = []

    def call(rows: slice) -> tuple[torch.Tensor, ...]:
        rows_asked.append(rows.stop - rows.start)
        return (torch.ones(rows.stop - rows.start, 2**28, device="cuda")[:, :1].clone(),)  # 1 GiB a row

    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(3.5 * 2**30 / total)
    try:
        (found,) = Parts(said.append).each(call, 4)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert found.shape == (4, 1)
    assert rows_asked == [4, 2, 2]
    assert said == ["out of memory with 4 sounds at once in the prior: going on with 2"]
