"""The library prior: what its prompt chooses, what it mixes, and what it owes to whom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_library import write_recordings

from sfxgen import mel
from sfxgen.errors import BadInput
from sfxgen.library.add import add_folder
from sfxgen.library.places import SHIPPED
from sfxgen.library.store import FRAMES_A_SECOND, Exemplar, Library, read_library
from sfxgen.priors import open_prior
from sfxgen.priors.diffusion import ddim
from sfxgen.priors.library import CENTRE_DB, MOST_SHARE, SCALE_DB, VARIANTS, LibraryPrior
from sfxgen.priors.mixture import from_blocks, to_blocks

PROMPTS = ("train horn", "footsteps on gravel", "explosion", "glass breaks", "wind", "steel plate struck by a hammer")


@pytest.fixture(scope="module")
def shipped() -> LibraryPrior:
    return LibraryPrior(read_library(SHIPPED))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> LibraryPrior:
    folder = tmp_path_factory.mktemp("recordings")
    add_folder(write_recordings(folder), folder / "library")
    return LibraryPrior(read_library(folder / "library"))


def generators(n: int, first: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(first + i) for i in range(n)]


def levels_db(z: torch.Tensor) -> torch.Tensor:
    return z * SCALE_DB + CENTRE_DB


def test_the_grid_is_the_same_where_it_is_written_twice() -> None:
    assert FRAMES_A_SECOND == mel.FRAMES_A_SECOND


def test_encoding_is_differentiable_and_gives_the_levels(small: LibraryPrior) -> None:
    audio = torch.randn(2, 1, 21_000, generator=torch.Generator().manual_seed(0), requires_grad=True)
    z = small.encode(audio)
    assert z.shape == (2, *small.z_shape(21_000 / mel.RATE_HZ))
    (gradient,) = torch.autograd.grad(z.square().sum(), audio)
    assert gradient.isfinite().all()
    assert (gradient != 0).any()
    frames = mel.n_frames_for(21_000)
    torch.testing.assert_close(levels_db(z)[:, :frames], mel.log_mel(audio[:, 0]), rtol=0, atol=1e-4)
    assert (levels_db(z)[:, frames:] - mel.FLOOR_DB).abs().max() < 1e-3


def test_a_prompt_chooses_what_its_words_mean(shipped: LibraryPrior) -> None:
    for prompt, word in (("train horn", "horn"), ("footsteps on gravel", "gravel"), ("explosion", "explo")):
        owner = shipped.condition([prompt], 0.5).encoded["owner"][0].tolist()[:: len(VARIANTS)]
        captions = [" ".join(shipped.library.exemplars[i].captions) for i in owner]
        assert sum(word in caption for caption in captions) >= len(captions) / 3, (prompt, captions)


def test_no_word_that_is_known_is_said(shipped: LibraryPrior) -> None:
    with pytest.raises(BadInput, match="knows no word of the prompt 'xyzzy qwrtp'; say it in other words"):
        shipped.condition(["xyzzy qwrtp"], 1.0)


def test_an_item_is_the_same_alone_and_among_others(shipped: LibraryPrior) -> None:
    alone, among = shipped.condition(PROMPTS[2:3], 0.6), shipped.condition(PROMPTS, 0.6)
    one, all_ = shipped.sample_z0(alone, generators(1, 2), 6), shipped.sample_z0(among, generators(6), 6)
    torch.testing.assert_close(one[0], all_[2], rtol=0, atol=1e-4)


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_no_recording_gives_more_than_half(shipped: LibraryPrior, guidance: float) -> None:
    condition = shipped.condition(PROMPTS, 0.6)
    for seed in range(3):
        z0 = shipped.sample_z0(condition, generators(6, 10 * seed), 8, guidance)
        for credits in shipped.credits(z0, condition):
            assert len(credits) >= 2
            assert credits[0].share <= MOST_SHARE + 1e-3
            assert 0.95 < sum(credit.share for credit in credits) <= 1.001
            assert all(credit.licence and credit.credit for credit in credits)


def test_a_sample_is_no_copy(shipped: LibraryPrior) -> None:
    """Further from each recording that it was mixed from than two decibels over the cells that sound."""
    condition = shipped.condition(PROMPTS, 0.6)
    z0 = shipped.sample_z0(condition, generators(6))
    names = [exemplar.name for exemplar in shipped.library.exemplars]
    for z, credits in zip(z0, shipped.credits(z0, condition), strict=True):
        mine = levels_db(z).clamp_min(-60.0)
        for credit in credits:
            theirs = torch.full_like(mine, -60.0)
            found = torch.from_numpy(shipped.library.levels_db(names.index(credit.name)))[: len(mine)]
            theirs[: len(found)] = found.clamp_min(-60.0)
            sounding = (mine > -60.0) | (theirs > -60.0)
            assert (mine - theirs)[sounding].square().mean().sqrt() > 2.0, credit.name


def test_at_the_start_it_is_the_mean_and_at_the_end_an_exemplar(small: LibraryPrior) -> None:
    condition = small.condition(["bell ring"], 0.3)
    encoded = condition.encoded
    prior_mean = torch.einsum("bk,bnkc->bnc", encoded["log_prior"].exp(), encoded["x"])
    z = torch.randn(1, *small.z_shape(0.3), generator=torch.Generator().manual_seed(0))
    early, _ = to_blocks(small.predict_x0(z, torch.ones(1), condition))
    assert (early - prior_mean).abs().max() < 0.05
    x = small.lay_out(np.array([[0, 1]]), 0.3, ((0, 0),))[0]
    assert x.shape[2] == 2


def test_the_unconditional_model_is_the_whole_library(small: LibraryPrior) -> None:
    """With as many retrieved as there are exemplars, retrieval changes nothing; noise far out weighs nothing."""
    condition = small.condition(["bell ring"] * 2, 0.4)
    whole = np.arange(len(small.library.exemplars))[None]
    x, _ = small.lay_out(whole, 0.4, ((0, 0),))
    z0 = torch.stack([x[0, :, 1], x[0, :, 6]])
    assert small.unconditional(condition).encoded == {}
    grid = (small.z_shape(0.4)[0] // 8, 16)
    z = from_blocks(z0, grid)
    t = torch.full((2,), 0.05)
    back = small.predict_x0(0.997 * z, t, small.unconditional(condition))
    assert (back - z).square().mean().sqrt() < 0.3
    guided = small.denoise(z, t, condition, 2.0)
    alone = small.predict_x0(z, t, condition)
    free = small.predict_x0(z, t, small.unconditional(condition))
    torch.testing.assert_close(guided, free + 2.0 * (alone - free))


def test_the_target_of_distillation_is_its_own_chain(small: LibraryPrior) -> None:
    audio = 0.1 * torch.randn(2, 1, 18_000, generator=torch.Generator().manual_seed(1))
    condition = small.condition(["steam hiss"] * 2, 18_000 / mel.RATE_HZ)
    t = torch.tensor([0.8, 0.5])
    (found,) = small.target(audio.requires_grad_(), condition, t, generators(2), steps=3)
    assert not found.requires_grad
    z, _ = small.noise(small.encode(audio.detach()), t, generators(2))
    times = t.double() * torch.tensor([[1.0], [2 / 3], [1 / 3]], dtype=torch.float64)
    torch.testing.assert_close(found, ddim(small.denoiser(condition), z, times, small.schedule))


def test_what_goes_on_fills_its_time(small: LibraryPrior) -> None:
    """Exemplars of half a second: a sound of two goes on to its end, or falls silent after its exemplars do."""
    prompts = ["steam hiss"]
    going = small.sample_z0(small.condition(prompts, 2.0, ongoing=True), generators(1), 8)
    once = small.sample_z0(small.condition(prompts, 2.0), generators(1), 8)
    assert levels_db(going)[0, -20:].amax(1).min() > -30.0
    assert levels_db(once)[0, -20:].amax() < -60.0


def test_shifts_bring_in_silence(small: LibraryPrior) -> None:
    x, _ = small.lay_out(np.array([[0]]), 0.3, ((0, 0), (2, 0), (0, 1)))
    plain, later, higher = from_blocks(x.transpose(1, 2), (small.z_shape(0.3)[0] // 8, 16))[0]
    silence = plain.min()
    assert (later[:2] == silence).all()
    assert torch.equal(later[2:], plain[:-2])
    assert (higher[:, 0] == silence).all()
    assert torch.equal(higher[:, 1:], plain[:, :-1])


def test_an_encoder_ranks_its_own_sounds(shipped: LibraryPrior) -> None:
    """Sampled sounds are taken for what they were asked to be more often than chance, one in six, would have it."""
    audio = shipped.sample(shipped.condition(PROMPTS, 1.0), generators(6), 10)
    scores = shipped.fit(audio, PROMPTS)
    assert scores.shape == (6, 6)
    assert (scores.argmax(1) == torch.arange(6)).sum() >= 4


def test_two_libraries_are_used_as_one(tmp_path: Path) -> None:
    add_folder(write_recordings(tmp_path / "steps"), tmp_path / "mine")
    both, own = open_prior(("library", "./mine"), tmp_path), open_prior(("./mine",), tmp_path)
    assert isinstance(both, LibraryPrior)
    assert isinstance(own, LibraryPrior)
    assert len(both.library.exemplars) == len(own.library.exemplars) + len(read_library(SHIPPED).exemplars)
    condition = own.condition(["steam hiss"], 0.4)
    (credits,) = own.credits(own.sample_z0(condition, generators(1), 6), condition)
    assert {credit.source for credit in credits} == {"steps"}


@pytest.mark.slow
def test_twenty_thousand_sounds_are_mixed() -> None:
    rng = np.random.default_rng(0)
    words = [word for prompt in PROMPTS for word in prompt.split()]
    exemplars = tuple(
        Exemplar(
            f"x/{i}", (f"{words[i % len(words)]} {words[i // 7 % len(words)]}",), "x", "own", "", "effect", 2e4, "", 20
        )
        for i in range(20_000)
    )
    prior = LibraryPrior(Library(exemplars, rng.integers(0, 255, (400_000, mel.N_MELS), dtype=np.uint8)))
    condition = prior.condition(PROMPTS, 0.2)
    z0 = prior.sample_z0(condition, generators(6), 3, guidance=1.5)
    assert z0.isfinite().all()


def test_each_item_draws_its_own_exemplars(shipped: LibraryPrior) -> None:
    """As often first as the prompt's π says; and the samples of different seeds are different sounds."""
    condition = shipped.condition(["gunshot"] * 400, 0.1)
    drawn = shipped.drawn(condition, generators(400)).encoded["log_prior"]
    n_variants = len(VARIANTS)
    of_exemplars = drawn.exp().reshape(400, -1, n_variants).sum(2)
    often = torch.bincount(of_exemplars.argmax(1), minlength=of_exemplars.shape[1]) / 400
    expected = condition.encoded["log_prior"][0].exp().reshape(-1, n_variants).sum(1)
    assert (often - expected).abs().max() < 0.1
    condition = shipped.drawn(shipped.condition(["gunshot"] * 4, 0.5), generators(4))
    z0 = shipped.sample_z0(condition, generators(4), 8)
    apart_db = [SCALE_DB * (z0[i] - z0[j]).square().mean().sqrt() for i in range(4) for j in range(i)]
    assert min(apart_db) > 1.0
