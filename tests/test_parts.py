"""What separation is made of: shares that add up, the parts of a recording, whose each part is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from listener import listener
from small_library import RATE_HZ
from sound_measures import si_sdr_db, total

from sfxgen.distill.assign import assigned, best_names
from sfxgen.distill.components import alike, components, factors, joined
from sfxgen.distill.cuts import by_courses
from sfxgen.distill.sharing import Shares, shared_out, spectrum, waveform, wiener
from sfxgen.distill.sources import PartSources
from sfxgen.library.places import SHIPPED
from sfxgen.library.store import read_library
from sfxgen.priors.library import LibraryPrior


@pytest.fixture(scope="module")
def shipped() -> LibraryPrior:
    return LibraryPrior(read_library(SHIPPED))


def some_shares(n_stems: int, n_frames: int, seed: int = 0) -> Shares:
    values = torch.rand(n_stems, 1025, n_frames, generator=torch.Generator().manual_seed(seed)).softmax(0)
    return Shares(values, 44_100 / 2048, 512 / 44_100)


# Shares


@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize("rate_hz", [8000, 44_100, 48_000])
def test_stems_of_pcm_add_up_bit_for_bit(bits: int, rate_hz: int) -> None:
    steps = 2 ** (bits - 1)
    noise = np.random.default_rng(1).uniform(-0.9, 0.9, (2, 9001))
    recording = (np.rint(noise * steps) / steps).astype(np.float32)
    stems = shared_out(recording, rate_hz, some_shares(3, 30))
    assert [stem.shape for stem in stems] == [recording.shape] * 3
    assert np.array_equal(total(stems), recording.astype(np.float64))
    assert all(np.abs(stem).max() > 0.01 for stem in stems)


def test_stems_of_float_samples_add_up_within_half_a_step_of_24_bits() -> None:
    recording = np.random.default_rng(2).uniform(-0.5, 0.5, (1, 5000)).astype(np.float32)
    error = np.abs(total(shared_out(recording, 44_100, some_shares(2, 12))) - recording)
    assert error.max() <= 2.0**-24


def test_shares_hold_at_another_rate() -> None:
    values = torch.zeros(2, 1025, 90)
    edge = round(2000 * 2048 / 44_100)
    values[0, :edge], values[1, edge:] = 1.0, 1.0
    t = np.arange(48_000) / 48_000
    low, high = np.sin(2 * np.pi * 500 * t), np.sin(2 * np.pi * 6000 * t)
    recording = (0.4 * (low + high)).astype(np.float32)[None]
    stems = shared_out(recording, 48_000, Shares(values, 44_100 / 2048, 512 / 44_100))
    for stem, own in zip(stems, (low, high), strict=True):
        middle = slice(4800, -4800)
        assert np.abs(stem[0, middle] - 0.4 * own[middle]).max() < 1e-3


@pytest.mark.parametrize("n_samples", [1, 300, 512, 4097, 20_001])
def test_the_transform_has_an_inverse_at_every_length(n_samples: int) -> None:
    audio = torch.randn(2, n_samples, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(waveform(spectrum(audio, 44_100), 44_100, n_samples), audio, rtol=0, atol=1e-9)


def test_wiener_shares_follow_power() -> None:
    t = torch.arange(22_050) / 44_100
    stems = torch.stack([torch.sin(2 * torch.pi * 1000 * t), 0.5 * torch.sin(2 * torch.pi * 1000 * t)])[:, None]
    values = wiener(stems, 44_100).values
    torch.testing.assert_close(values.sum(0), torch.ones_like(values[0]))
    assert float(values[0, round(1000 / 21.5), 20]) == pytest.approx(0.8, abs=1e-3)


# Parts, and whose they are


def test_parts_are_what_comes_and_goes_together() -> None:
    t = torch.arange(44_100) / 44_100
    first = torch.sin(2 * torch.pi * 400 * t) * (t < 0.5)
    second = torch.sin(2 * torch.pi * 3000 * t) * (t > 0.4)
    found = spectrum((first + second)[None], 44_100)
    parts = components(found.abs()[0], 2, seed=0)
    torch.testing.assert_close(parts.sum(0), torch.ones_like(parts[0]))
    assert torch.equal(parts, components(found.abs()[0], 2, seed=0))
    stems = waveform(parts * found[0], 44_100, 44_100).numpy()
    gains = [[si_sdr_db(stem, sound.numpy()) for sound in (first, second)] for stem in stems]
    assert max(gains[0][0] + gains[1][1], gains[0][1] + gains[1][0]) > 2 * 20.0


def test_components_of_one_course_are_one_part() -> None:
    """Three tones that sound together and one that follows, as eight components: the parts are the two events."""
    t = torch.arange(44_100) / 44_100
    swell = torch.sin(2 * torch.pi * t).clamp_min(0.0).square()
    chord = torch.stack([torch.sin(2 * torch.pi * hz * t) for hz in (400, 1500, 5000)]).sum(0) * swell
    later = torch.sin(2 * torch.pi * 2500 * t) * swell.flip(0)
    found = spectrum((chord + later)[None], 44_100)
    w, h = factors(found.abs()[0], 8, seed=0)
    parts = joined(w, h, alike(h, 2))
    torch.testing.assert_close(parts.sum(0), torch.ones_like(parts[0]))
    stems = waveform(parts * found[0], 44_100, 44_100).numpy()
    gains = [[si_sdr_db(stem, sound.numpy()) for sound in (chord, later)] for stem in stems]
    assert max(gains[0][0] + gains[1][1], gains[0][1] + gains[1][0]) > 2 * 20.0


def test_courses_are_alike_however_loud_they_are() -> None:
    early, late = torch.linspace(1.0, 0.01, 50), torch.linspace(0.01, 1.0, 50)
    groups = alike(torch.stack([early, 1e3 * late, 1e-3 * early, late]), 2).tolist()
    assert groups[0] == groups[2] != groups[1] == groups[3]
    assert set(alike(torch.ones(4, 9), 3).tolist()) == {0, 1, 2}


@pytest.mark.parametrize("n_sources", [2, 5, 8])
def test_every_cut_is_another_and_the_same_again(n_sources: int) -> None:
    found = spectrum(torch.randn(1, 6000, generator=torch.Generator().manual_seed(0)), RATE_HZ)
    cuts, again = (by_courses(found, n_sources, 3) for _ in range(2))
    for one, same in zip(cuts, again, strict=True):
        assert torch.equal(one.shares, same.shares)
        assert one.odds.shape == (n_sources, len(one.shares))
        torch.testing.assert_close(one.shares.sum(0), torch.ones_like(one.shares[0]))
    first, *others = (one.shares for one in cuts if len(one.shares) == len(cuts[0].shares))
    assert others
    assert not any(torch.allclose(first, other, atol=0.1) for other in others)


@pytest.mark.parametrize("n_sources", [2, 3, 8])
def test_parts_go_to_the_prompts_that_they_fit(shipped: LibraryPrior, n_sources: int) -> None:
    """Each part a tone; the listener likes, under prompt k, sounds with most of their energy in tones k, k + K, …"""
    n_parts, n = min(8, n_sources + 2), 4410
    bins = 20 * (1 + torch.arange(n_parts))
    parts = torch.cos(2 * torch.pi * bins[:, None] * torch.arange(n) / n)[:, None]

    def rule(audio: torch.Tensor, prompts: Sequence[str]) -> torch.Tensor:
        energy = torch.fft.rfft(audio[:, 0])[:, bins].abs().square()
        own = torch.stack([energy[:, k::n_sources].sum(1) for k in range(len(prompts))], 1)
        part: torch.Tensor = (own / energy.sum(1, keepdim=True)).double()
        return part

    said: list[str] = []
    names = [(f"sound {k}",) for k in range(n_sources)]
    whose = assigned(parts, names, listener(shipped, rule), 4.0)
    stems = torch.einsum("kp,pcn->kcn", whose, parts)
    prompts = best_names(stems, names, listener(shipped, rule), said.append)
    assert whose.argmax(0).tolist() == [part % n_sources for part in range(n_parts)]
    torch.testing.assert_close(whose.sum(0), torch.ones(n_parts))
    assert prompts == [name for (name,) in names]
    assert said == []


def test_of_several_names_the_one_that_fits_stands_for_the_source(shipped: LibraryPrior) -> None:
    def rule(audio: torch.Tensor, prompts: Sequence[str]) -> torch.Tensor:
        liked = {"hound": 1.0, "dog": 0.5, "rain": 0.0}
        return torch.tensor([[liked[prompt] for prompt in prompts]] * len(audio), dtype=torch.float64)

    stems = torch.randn(2, 1, 2000, generator=torch.Generator().manual_seed(0))
    assert best_names(stems, [("dog", "hound"), ("rain",)], listener(shipped, rule)) == ["hound", "rain"]


def test_part_sources_are_the_recording_wherever_they_are() -> None:
    audio = torch.rand(1, 9000, generator=torch.Generator().manual_seed(0)) - 0.5
    found = spectrum(audio, RATE_HZ)
    parts = components(found.abs()[0], 3, 0)
    sources = PartSources(found, parts, torch.tensor([[0.9, 0.5, 0.2], [0.1, 0.5, 0.8]]), RATE_HZ, 9000)
    with torch.no_grad():
        sources.parameters += torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(sources.stems().sum(0), audio, rtol=0, atol=1e-5)
