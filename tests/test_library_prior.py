"""The library prior: what its prompt chooses, what it mixes, and what it owes to whom."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_library import SOUNDS, write_recordings

from sfxgen import mel
from sfxgen.distill.targets import Asked, denoised
from sfxgen.errors import BadInput
from sfxgen.library.add import add_folder
from sfxgen.library.places import SHIPPED
from sfxgen.library.store import FRAMES_A_SECOND, Exemplar, Library, read_library
from sfxgen.priors import open_prior
from sfxgen.priors.diffusion import ddim
from sfxgen.priors.library import CENTRE_DB, MOST_SHARE, SCALE_DB, VARIANTS, LibraryPrior
from sfxgen.priors.mixture import Components, from_blocks, mean, posterior, to_blocks

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


def noised(prior: LibraryPrior, z0: torch.Tensor, t: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return prior.noise(z0, t, generators(len(z0), seed))[0]


def exemplars_z(prior: LibraryPrior, indices: list[int], seconds: float) -> torch.Tensor:
    """[exemplars, frames, bands]: they themselves, cut or filled to this length."""
    x, _ = prior.lay_out(np.array([indices]), seconds, ((0, 0),))
    return from_blocks(x[0].transpose(0, 1), (prior.z_shape(seconds)[0] // 8, mel.N_MELS // 8))


def exact_unconditional(prior: LibraryPrior, z: torch.Tensor, t: torch.Tensor, seconds: float) -> torch.Tensor:
    """The mixture of every exemplar of the library, none left out."""
    everyone = np.arange(len(prior.library.exemplars))[None]
    blocks, grid = to_blocks(z)
    alpha, sigma = prior.schedule.at(t, blocks)
    log_prior = torch.full(everyone.shape, -math.log(everyone.size))
    components = Components.of(
        *prior.lay_out(everyone, seconds, ((0, 0),)), log_prior, torch.from_numpy(everyone), grid
    )
    found = posterior(blocks, alpha, sigma, components, prior.kernel)
    return from_blocks(mean(blocks, alpha, sigma, components, prior.kernel, found), grid)


def relative_error(found: torch.Tensor, exact: torch.Tensor) -> float:
    return float((found - exact).square().mean().sqrt() / (exact - exact.mean()).square().mean().sqrt())


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
    (own,), credits = shipped.credits(one, alone), shipped.credits(all_, among)[2]
    assert [credit.name for credit in own] == [credit.name for credit in credits]
    assert [credit.share for credit in own] == pytest.approx([credit.share for credit in credits], abs=1e-3)


@pytest.mark.parametrize("unconditional", [False, True])
def test_a_step_does_not_depend_on_the_batch(shipped: LibraryPrior, unconditional: bool) -> None:
    """Each item at a time of its own, as distillation draws them."""
    prompts, t = PROMPTS[:5], torch.tensor([0.98, 0.1, 0.7, 0.4, 0.9])
    z = noised(shipped, exemplars_z(shipped, [3, 300, 700, 1100, 1500], 0.5), t)
    among = shipped.condition(prompts, 0.5)
    found = shipped.predict_x0(z, t, shipped.unconditional(among) if unconditional else among)
    for i, prompt in enumerate(prompts):
        alone = shipped.condition([prompt], 0.5)
        one = shipped.predict_x0(z[i : i + 1], t[i : i + 1], shipped.unconditional(alone) if unconditional else alone)
        torch.testing.assert_close(one[0], found[i], rtol=0, atol=1e-5)


def test_the_same_seeds_make_the_same_sounds(small: LibraryPrior) -> None:
    again = LibraryPrior(small.library)
    first, second = (
        prior.sample(prior.condition(["bell ring"] * 2, 0.3), generators(2), 5) for prior in (small, again)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


def test_credits_fit_the_prompt(shipped: LibraryPrior) -> None:
    """Who is credited is captioned far closer to the prompt than the library is on the whole."""
    condition = shipped.condition(PROMPTS, 0.5)
    similarity = shipped.captions.similarity(PROMPTS)
    place = {exemplar.name: i for i, exemplar in enumerate(shipped.library.exemplars)}
    for row, credits in zip(
        similarity, shipped.credits(shipped.sample_z0(condition, generators(6), 8), condition), strict=True
    ):
        assert credits
        assert min(row[place[credit.name]] for credit in credits) > np.quantile(row, 0.97)


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
    bells, two = exemplars_z(small, [0, 1], 0.3), small.condition(["bell ring"] * 2, 0.3)
    late = small.predict_x0(bells, torch.full((2,), 0.01), two)
    torch.testing.assert_close(late, bells, rtol=0, atol=0.01)
    t = torch.full((2,), 0.3)
    z = noised(small, bells, t)
    alpha, _ = small.schedule.at(t, z)
    error, of_noise = ((x - bells).square().mean().sqrt() for x in (small.predict_x0(z, t, two), z / alpha))
    assert error < 0.8 * of_noise


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


@pytest.mark.parametrize(("t", "at_most"), [(0.1, 1e-3), (0.3, 0.02), (0.5, 0.05), (0.7, 0.1), (0.9, 0.15), (1.0, 0.2)])
def test_retrieval_agrees_with_the_whole_library(shipped: LibraryPrior, t: float, at_most: float) -> None:
    """Of 600 exemplars 32 are retrieved for each item and 256 stand for the rest, which weigh as much in noise."""
    part = LibraryPrior(shipped.library.subset(range(0, 1800, 3)))
    times = torch.full((4,), t)
    z = noised(part, exemplars_z(part, [7, 150, 333, 599], 0.5), times)
    found = part.predict_x0(z, times, part.unconditional(part.condition(["wind"] * 4, 0.5)))
    assert relative_error(found, exact_unconditional(part, z, times, 0.5)) < at_most


def test_a_library_that_is_retrieved_whole_is_exact(small: LibraryPrior) -> None:
    t = torch.tensor([1.0, 0.6, 0.2])
    z = noised(small, exemplars_z(small, [0, 5, 9], 0.4), t)
    found = small.predict_x0(z, t, small.unconditional(small.condition(["bell"] * 3, 0.4)))
    torch.testing.assert_close(found, exact_unconditional(small, z, t, 0.4), rtol=0, atol=1e-5)


def test_guidance_raises_the_fit(shipped: LibraryPrior) -> None:
    """By how much a sound fits its own prompt better than the others', on average: more at 2 than at 1 than at 0."""
    margins = []
    for guidance in (0.0, 1.0, 2.0):
        own, others = 0.0, 0.0
        for first in (0, 100):
            z0 = shipped.sample_z0(shipped.condition(PROMPTS, 0.6), generators(6, first), 10, guidance)
            scores = shipped.fit(shipped.decode(z0, generators(6, first)), PROMPTS)
            own, others = own + scores.diagonal().sum().item(), others + scores.sum().item()
        margins.append(own / 12 - (others - own) / 60)
    assert margins[2] > margins[1] > margins[0] + 1.0


def test_the_target_of_distillation_is_its_own_chain(small: LibraryPrior) -> None:
    audio = 0.1 * torch.randn(2, 1, 18_000, generator=torch.Generator().manual_seed(1))
    condition = small.condition(["steam hiss"] * 2, 18_000 / mel.RATE_HZ)
    t = torch.tensor([0.8, 0.5])
    z0 = small.encode(audio.requires_grad_())
    z, eps = small.noise(z0.detach(), t, generators(2))
    found = denoised(z0, t, eps, Asked(small, condition, n_steps=3))
    assert not found.requires_grad
    times = t.double() * torch.tensor([[1.0], [2 / 3], [1 / 3]], dtype=torch.float64)
    chain = ddim(small.denoiser(condition), z, times, small.schedule)
    torch.testing.assert_close(found, chain)


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


def test_recordings_fit_their_own_words(small: LibraryPrior) -> None:
    """Sounds that the encoder never heard: the synthetic bells, steam and thunder of the small library."""
    prompts = ["a bell rings", "steam hisses", "thunder rumbles"]
    for row, kind in enumerate(("bell", "steam", "thunder")):
        audio = [torch.from_numpy(samples).float() for name, samples in SOUNDS.items() if name.startswith(kind)]
        assert len(audio) == 4
        scores = small.fit(torch.stack(audio)[:, None], prompts)
        assert (scores.argmax(1) == row).sum() >= 3, kind


def test_two_libraries_are_used_as_one(tmp_path: Path) -> None:
    add_folder(write_recordings(tmp_path / "steps"), tmp_path / "mine")
    both, own = open_prior(("library", "./mine"), tmp_path), open_prior(("./mine",), tmp_path)
    assert isinstance(both, LibraryPrior)
    assert isinstance(own, LibraryPrior)
    assert len(both.library.exemplars) == len(own.library.exemplars) + len(read_library(SHIPPED).exemplars)
    assert sources(own) == {"steps"}
    assert "steps" in sources(both)
    assert sources(both) - {"steps"}


def sources(prior: LibraryPrior) -> set[str]:
    """Where the sounds of one prompt come from, over several seeds."""
    condition = prior.drawn(prior.condition(["steam hiss"] * 8, 0.4), generators(8))
    credits = prior.credits(prior.sample_z0(condition, generators(8), 6), condition)
    return {credit.source for of_sound in credits for credit in of_sound}


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


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the peak of memory is read as Unix counts it")
def test_twenty_thousand_sounds_take_little_memory() -> None:
    """A step of 24 sounds, guided, in a process of its own."""
    words = [sys.executable, str(Path(__file__).parent.parent / "tools" / "bench_priors.py"), "large", "1"]
    measured = json.loads(subprocess.run(words, check=True, capture_output=True, text=True, timeout=240).stdout)
    assert 0 < measured["peak_mb"] < 1500


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
