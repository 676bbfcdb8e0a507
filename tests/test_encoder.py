"""The audio encoder: what its vectors promise, and that it hears our own sounds rightly."""

from __future__ import annotations

import io
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sfxgen import mel
from sfxgen.library.places import SHIPPED
from sfxgen.library.store import Library, read_library
from sfxgen.priors.descriptors import describe
from sfxgen.priors.encoder import FILE, Encoder, read_encoder, shipped, write_encoder

PROMPTS = {
    "bell ringing": "church_bell",
    "laser gun": "laser_retro",
    "explosion": "explosion_near",
    "howling wind": "wind_howling",
    "footstep": "footstep_gravel",
    "rain": "rain_heavy",
    "coin pickup": "coin",
    "siren": "siren",
    "glass clink": "wine_glass",
    "wooden knock": "wood_knock",
    "whoosh": "whoosh",
    "water splash": "splash",
}


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return shipped()


@pytest.fixture(scope="module")
def library() -> Library:
    return read_library(SHIPPED)


def noise(seconds: float, seed: int = 0) -> torch.Tensor:
    """The log-mel of decaying noise, [1, frames, N_MELS]."""
    generator = torch.Generator().manual_seed(seed)
    n_samples = round(seconds * mel.RATE_HZ)
    decay = torch.exp(-torch.arange(n_samples) / (0.2 * mel.RATE_HZ))
    return mel.log_mel(torch.randn(1, n_samples, generator=generator) * decay)


@pytest.mark.parametrize("seconds", [0.1, 0.5, 3.0])
def test_vectors_have_unit_length_at_any_duration(encoder: Encoder, seconds: float) -> None:
    vectors = encoder.embed(noise(seconds))
    assert vectors.shape == (1, encoder.n_dimensions)
    assert float(vectors.norm()) == pytest.approx(1.0, abs=1e-5)


def test_texts_lie_in_the_same_space_with_unit_length(encoder: Encoder) -> None:
    vectors = encoder.embed_texts(["door slam", "rain on a roof"])
    assert vectors.shape == (2, encoder.n_dimensions)
    assert vectors.norm(dim=1).numpy() == pytest.approx(1.0, abs=1e-5)


def test_an_item_does_not_hear_the_others_of_its_batch(encoder: Encoder) -> None:
    first, second = noise(0.5, seed=1), noise(0.5, seed=2)
    together = encoder.embed(torch.cat([first, second]))
    assert torch.allclose(together, torch.cat([encoder.embed(first), encoder.embed(second)]), atol=1e-5)


def test_silence_around_a_sound_changes_nothing(encoder: Encoder) -> None:
    levels = noise(0.5)
    padded = torch.nn.functional.pad(levels, (0, 0, 20, 50), value=mel.FLOOR_DB)
    assert torch.allclose(encoder.embed(padded), encoder.embed(levels), atol=1e-4)


def test_the_gradient_points_towards_a_better_score(encoder: Encoder) -> None:
    levels = noise(0.5).requires_grad_()
    score = encoder.score(levels, ["bell ringing"]).sum()
    (gradient,) = torch.autograd.grad(score, levels)
    assert torch.isfinite(gradient).all()
    assert float(gradient.abs().max()) > 0
    step = 0.5 * gradient / gradient.abs().max()
    assert bool(encoder.score(levels + step, ["bell ringing"]).sum() > score)


def test_the_same_sound_gives_the_same_scores(encoder: Encoder) -> None:
    prompts = list(PROMPTS)
    assert torch.equal(encoder.score(noise(0.3), prompts), encoder.score(noise(0.3), prompts))


@pytest.mark.parametrize("level_db", [mel.FLOOR_DB, 0.0, -200.0])
@pytest.mark.parametrize("n_frames", [1, 9, 300])
def test_silence_and_flat_maps_give_finite_vectors_and_gradients(
    encoder: Encoder, level_db: float, n_frames: int
) -> None:
    levels = torch.full((2, n_frames, mel.N_MELS), level_db, requires_grad=True)
    scores = encoder.score(levels, ["footsteps", ""])
    scores.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.isfinite(scores).all()
    assert levels.grad is not None
    assert torch.isfinite(levels.grad).all()


def test_a_prompt_scores_the_same_whatever_it_stands_beside(encoder: Encoder) -> None:
    alone = encoder.score(noise(0.3), ["footsteps"])
    among = encoder.score(noise(0.3), ["rain", "footsteps", "coin"])[:, 1:2]
    assert torch.allclose(alone, among, atol=1e-4)


def test_our_own_presets_are_ranked_far_above_chance(encoder: Encoder, library: Library) -> None:
    rows = {e.name: i for i, e in enumerate(library.exemplars)}
    places = []
    for own, preset in PROMPTS.items():
        levels = torch.from_numpy(library.levels_db(rows[f"sfxgen/preset/{preset}_1"]))[None]
        scores = encoder.score(levels, list(PROMPTS))[0]
        places.append(int((scores > scores[list(PROMPTS).index(own)]).sum()))
    assert len(places) == 12
    assert places.count(0) >= 9
    assert max(places) <= 3


def test_descriptors_follow_pitch_and_decay() -> None:
    """A descriptor is of use only where it tells what people hear apart."""
    t = torch.arange(mel.RATE_HZ) / mel.RATE_HZ
    low, high = (torch.sin(2 * math.pi * f * t)[None] for f in (200.0, 4000.0))
    ringing = torch.sin(2 * math.pi * 200.0 * t)[None] * torch.exp(-20 * t)
    a, b, c = (describe(mel.log_mel(x)) for x in (low, high, ringing))
    assert int(a[0, 64:96].argmax()) < int(b[0, 64:96].argmax())  # the loudest level of 32 band groups
    assert float((a - c).abs().max()) > 10.0  # dB, some time after the peak


def test_the_file_is_small_and_names_the_words_it_was_trained_with(encoder: Encoder, library: Library) -> None:
    assert FILE.stat().st_size < 3_000_000
    assert len(encoder.digest) == 64
    assert encoder.embed_texts(["rain"]).isfinite().all()  # dimensions agree with those of sfxgen.words
    assert len(encoder.weights.sounds) == len(library.exemplars)


def test_writing_gives_the_same_bytes_and_reads_back(encoder: Encoder, tmp_path: Path) -> None:
    write_encoder(tmp_path / "a.npz", encoder.weights)
    write_encoder(tmp_path / "b.npz", encoder.weights)
    data = (tmp_path / "a.npz").read_bytes()
    assert data == (tmp_path / "b.npz").read_bytes()
    again = read_encoder(tmp_path / "a.npz")
    assert torch.allclose(again.embed(noise(0.3)), encoder.embed(noise(0.3)), atol=1e-3)
    with np.load(io.BytesIO(data)) as arrays:
        assert {str(arrays[name].dtype) for name in arrays} == {"float16", "int8"}


def test_loading_needs_no_more_than_torch() -> None:
    code = "import sys, sfxgen.priors.encoder as e; e.shipped(); print([m for m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'torch'" in loaded
    for heavy in ("scipy", "skfem", "soundfile", "matplotlib", "diffusers", "transformers"):
        assert f"'{heavy}'" not in loaded
