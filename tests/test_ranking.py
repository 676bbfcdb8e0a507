"""What a sound fits, when, and what it is taken for: by our encoder, by priors made for a test, by tiny pipelines."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from adapters import BUILDS
from command_line import sfxgen
from numpy.typing import NDArray
from small_library import RATE_HZ, hiss, tone

from sfxgen import listen
from sfxgen.audio import Audio
from sfxgen.distill.heard import at_rate, heard, sounding_parts, stretches
from sfxgen.distill.ranking import Looking, beside, detect, fits, misfit, misfits, rank
from sfxgen.distill.vocabulary import ALIKE, NAMES, neighbours
from sfxgen.errors import EXIT_BAD_INPUT, EXIT_OK, BadInput, ProgramMissing, SfxgenError
from sfxgen.priors import open_prior
from sfxgen.priors.contract import Prior
from sfxgen.priors.library import LibraryPrior
from sfxgen.words import similarity

pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")

PROMPTS = ("bell ringing", "steam hiss", "thunder", "dog barking")


class Spectral(LibraryPrior):
    """Fits by the share of power above 3 kHz: bright for "hiss", dark for "bell"; 0 for all else. Keeps what it saw."""

    def __init__(self, window_s: float = 30.0, nats_a_fit: float | None = 20.0, clear_fit: float | None = 0.3) -> None:
        self.name, self.device, self.dtype = "spectral", torch.device("cpu"), torch.float64
        self.window_s, self.nats_a_fit, self.clear_fit = window_s, nats_a_fit, clear_fit
        self.seen: list[int] = []

    def fit(self, audio: torch.Tensor, prompts: Sequence[str], seeds: Sequence[int] = ()) -> torch.Tensor:
        del seeds
        self.seen += [audio.shape[-1]] * len(audio)
        power = torch.fft.rfft(audio[:, 0]).abs().square()
        bright = power[:, round(power.shape[1] * 3000 / 22_050) :].sum(1) / power.sum(1)
        columns = {"hiss": bright, "bell": 1.0 - bright}
        return torch.stack([columns.get(prompt, torch.zeros_like(bright)) for prompt in prompts], 1)


@pytest.fixture(scope="module")
def library() -> Prior:
    return open_prior(("library",), Path())


def sound(samples: NDArray[np.floating], rate_hz: int = RATE_HZ) -> Audio:
    return Audio.of(samples, rate_hz)


def silence(seconds: float) -> NDArray[np.float64]:
    return np.zeros(round(seconds * RATE_HZ))


# Recordings as a prior takes them


@pytest.mark.parametrize(("n_frames", "longest", "hop"), [(10, 10, 3), (9, 10, 10), (31, 10, 3), (1000, 7, 7)])
def test_stretches_cover_everything_and_never_reach_beyond_it(n_frames: int, longest: int, hop: int) -> None:
    found = stretches(n_frames, longest, hop)
    covered = np.zeros(n_frames, bool)
    for at in found:
        assert 0 <= at.start < at.stop <= n_frames
        assert at.stop - at.start == min(longest, n_frames)
        covered[at] = True
    assert covered.all()


def test_any_rate_and_any_channels_become_the_priors() -> None:
    prior = Spectral()
    for rate_hz in (8_000, 22_050, 44_100, 48_000, 96_000):
        for n_channels in (1, 2, 6):
            audio = Audio.of(np.ones((n_channels, rate_hz // 5)) * 0.1, rate_hz)
            assert heard(audio, prior).shape == (1, 1, RATE_HZ // 5)


def test_channels_that_cancel_are_heard_all_the_same() -> None:
    left = hiss(False, 0)
    audio = Audio.of(np.stack([left, -left]), RATE_HZ)
    assert float(heard(audio, Spectral()).std()) == pytest.approx(float(left.std()), rel=1e-3)


def test_another_rate_keeps_a_tone() -> None:
    t = np.arange(48_000) / 48_000
    block = np.sin(2 * np.pi * 1000.0 * t, dtype=np.float64).astype(np.float32)[None]
    there = at_rate(block, 48_000, 44_100)
    assert there.shape == (1, 44_100)
    expected = np.sin(2 * np.pi * 1000.0 * np.arange(44_100) / 44_100)
    assert np.abs(there[0] - expected)[500:-500].max() < 1e-4


def test_parts_lie_between_silences() -> None:
    audio = sound(np.concatenate([silence(0.5), hiss(False, 0), silence(0.1), hiss(False, 1), silence(1.0), tone(400)]))
    found = sounding_parts(audio, 45.0, 0.3)
    assert [round(part.start / RATE_HZ, 1) for part in found] == [0.5, 2.6]
    assert [round(part.stop / RATE_HZ, 1) for part in found] == [1.6, 3.0]
    assert sounding_parts(sound(silence(1.0)), 45.0, 0.3) == []


# Ranking


def test_bells_and_steam_are_told_apart(library: Prior) -> None:
    for samples, name in ((tone(500.0, 1.5), "bell ringing"), (hiss(False, 3, 1.5), "steam hiss")):
        assert rank(library, sound(samples), PROMPTS)[0].prompt == name


def test_neither_level_nor_channels_nor_silence_around_it_matter(library: Prior) -> None:
    samples = tone(450.0, 1.5)
    plain = fits(library, sound(samples), PROMPTS)
    for other in (
        sound(0.01 * samples),
        Audio.of(np.stack([samples, samples]), RATE_HZ),
        sound(np.concatenate([samples, silence(0.7)])),
    ):
        torch.testing.assert_close(fits(library, other, PROMPTS), plain, rtol=0, atol=0.02)


def test_probabilities_are_of_everything_that_it_may_be(library: Prior) -> None:
    audio = sound(tone(500.0, 1.0))
    among = rank(library, audio, PROMPTS)
    assert sum(one.probability or 0.0 for one in among) == pytest.approx(1.0)
    assert [one.fit for one in among] == sorted((one.fit for one in among), reverse=True)
    (alone,) = rank(library, audio, ["dog barking"], beside(["dog barking"]))
    assert alone.probability is not None
    assert alone.probability < 0.05  # alone, and yet it need not be true


def test_where_nobody_measured_no_probability_is_said() -> None:
    found = rank(Spectral(nats_a_fit=None), sound(hiss(False, 0)), ["hiss", "bell"])
    assert [one.prompt for one in found] == ["hiss", "bell"]
    assert all(one.probability is None for one in found)


def test_a_long_sound_goes_in_overlapping_windows_and_its_silences_do_not_count() -> None:
    prior = Spectral(window_s=1.0)
    audio = sound(np.concatenate([hiss(False, 0, 2.0), silence(3.0), hiss(False, 1, 2.0)]))
    score = fits(prior, audio, ["hiss"])
    assert max(prior.seen) <= RATE_HZ
    assert 4 <= len(prior.seen) < 12  # of 13 windows, those in the silence were left out
    assert float(score[0]) > 0.8


def test_silence_is_refused_and_numbers_that_are_none_too(library: Prior) -> None:
    with pytest.raises(BadInput, match="it is silent: there is nothing to rank"):
        rank(library, sound(silence(1.0)), PROMPTS)

    class Broken(Spectral):
        def fit(self, audio: torch.Tensor, prompts: Sequence[str], seeds: Sequence[int] = ()) -> torch.Tensor:
            return super().fit(audio, prompts, seeds) * math.nan

    with pytest.raises(SfxgenError, match="gives no number"):
        rank(Broken(), sound(hiss(False, 0)), PROMPTS)


def test_unknown_words_are_refused(library: Prior) -> None:
    with pytest.raises(BadInput, match="knows no word of the prompt 'xyzzy qwrtp'"):
        rank(library, sound(tone(400.0)), ["xyzzy qwrtp"])


# Detection


@pytest.mark.parametrize("nats", [20.0, None])
def test_each_sound_is_found_where_it_is(nats: float | None) -> None:
    others = NAMES[:20] if nats is None else ()
    audio = sound(np.concatenate([tone(400.0, 1.0), silence(1.0), hiss(False, 0, 1.0), silence(0.5)]))
    found = detect(Spectral(nats_a_fit=nats), audio, ["bell", "hiss"], others)
    assert [one.prompt for one in found] == ["bell", "hiss"]
    assert [one.start_s for one in found] == pytest.approx([0.0, 2.0], abs=0.05)
    assert found[0].end_s <= 1.05
    assert found[1].end_s == pytest.approx(3.0, abs=0.05)
    assert all(one.probability is None if nats is None else one.probability == pytest.approx(1.0) for one in found)


def test_in_what_never_pauses_windows_find_the_change() -> None:
    audio = sound(np.concatenate([hiss(True, 0, 3.0), hiss(False, 0, 3.0)]))
    found = detect(Spectral(), audio, ["bell", "hiss"], looking=Looking(window_s=1.0, hop_s=0.25, least=0.9))
    assert [one.prompt for one in found] == ["bell", "hiss"]
    assert found[0].end_s == pytest.approx(3.0, abs=0.8)
    assert found[1].start_s == pytest.approx(3.0, abs=0.8)
    assert found[1].end_s == pytest.approx(6.0, abs=0.01)


def test_in_silence_nothing_is_found(library: Prior) -> None:
    assert detect(library, sound(silence(2.0)), PROMPTS) == []
    assert detect(library, sound(1e-5 * hiss(False, 0, 2.0)), PROMPTS) == []


def test_our_prior_hears_what_is_where(library: Prior) -> None:
    audio = sound(np.concatenate([tone(500.0, 1.5), silence(1.0), hiss(False, 3, 1.5)]))
    found = detect(library, audio, PROMPTS)
    assert {(one.prompt, one.start_s < 2.0) for one in found} >= {("bell ringing", True), ("steam hiss", False)}


# Misfits


def test_a_sound_that_half_the_neighbours_fit_better_is_a_misfit() -> None:
    near = ("a", "b", "c", "d")
    assert misfits(torch.tensor([0.0, 2.0, 1.0, 3.0, 0.2]), near, 0.5) == ("c", "a", "b")
    assert misfits(torch.tensor([0.0, 2.0, 0.2, 0.4, 0.2]), near, 0.5) == ()  # one neighbour alone is no news
    assert misfits(torch.tensor([0.0]), (), 0.5) == ()


def test_neighbours_mean_something_else() -> None:
    near = neighbours("heavy wooden door slams shut", 8)
    assert len(near) == 8
    assert similarity(["heavy wooden door slams shut"], near).max() < ALIKE


def test_our_prior_is_not_surprised_by_a_bell_and_is_by_steam_called_one(library: Prior) -> None:
    assert misfit(library, sound(tone(500.0, 1.5)), "bell ringing") == ()
    assert misfit(library, sound(hiss(False, 3, 1.5)), "organ") != ()
    assert misfit(library, sound(1e-9 * hiss(False, 3, 1.5)), "organ") != ()  # what was not mastered yet
    assert misfit(library, sound(silence(1.0)), "bell ringing") == ()


def test_no_prior_says_more_than_was_measured() -> None:
    assert misfit(Spectral(clear_fit=None), sound(hiss(False, 0)), "bell") == ()


# Latent priors


@pytest.mark.parametrize("name", BUILDS)
def test_latent_priors_rank_and_detect(name: str) -> None:
    prior = BUILDS[name]()
    window_s = min(prior.window_s, 0.1)
    audio = Audio.of(0.1 * np.random.default_rng(0).standard_normal((2, round(1.5 * window_s * 48_000))), 48_000)
    found = rank(prior, audio, ["rain", "a door"])
    assert {one.prompt for one in found} == {"rain", "a door"}
    assert all(math.isfinite(one.fit) and one.probability is None for one in found)
    detect(prior, audio, ["rain", "a door"], looking=Looking(window_s=window_s, hop_s=window_s))


# The command line


def test_rank_and_detect_without_a_project(tmp_path: Path) -> None:
    stereo = np.concatenate([tone(500.0, 1.5), silence(1.0), hiss(False, 3, 1.5)])[:, None].repeat(2, 1)
    soundfile.write(tmp_path / "a.flac", stereo, 48_000)
    ranked = sfxgen(tmp_path, "rank", "a.flac", "--prompts", "bell ringing", "dog barking", "--json")
    assert (ranked.returncode, ranked.stderr) == (EXIT_OK, "")
    rows = [json.loads(line) for line in ranked.stdout.splitlines()]
    assert [row["prompt"] for row in rows] == ["bell ringing", "dog barking"]
    assert 0.0 < rows[1]["probability"] < rows[0]["probability"] < 1.0
    heard_in_it = sfxgen(tmp_path, "detect", "a.flac", "bell ringing", "steam hiss", "--picture", "a.png")
    assert (heard_in_it.returncode, heard_in_it.stderr) == (EXIT_OK, "")
    assert "bell ringing" in heard_in_it.stdout
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_ranked_is_one_clear_line(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", silence(1.0), RATE_HZ)
    soundfile.write(tmp_path / "broken.wav", np.full(1000, np.nan), RATE_HZ, subtype="FLOAT")
    found = sfxgen(tmp_path, "rank", "silent.wav")
    assert (found.returncode, found.stdout) == (EXIT_BAD_INPUT, "")
    assert found.stderr == "silent.wav: it is silent: there is nothing to rank\n"
    with pytest.raises(BadInput, match=r"broken\.wav is damaged"):
        listen.rank(tmp_path, tmp_path / "broken.wav", [])
    with pytest.raises(BadInput, match="a prompt is empty"):
        listen.rank(tmp_path, tmp_path / "silent.wav", [" "])
    assert listen.detect(tmp_path, tmp_path / "silent.wav", [], Looking())[1] == []
    with pytest.raises(BadInput, match=r"cannot read .*missing\.wav: no such file"):
        listen.detect(tmp_path, tmp_path / "missing.wav", [], Looking())


def test_a_picture_without_matplotlib_is_one_clear_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ProgramMissing, match="needs matplotlib, which is not installed: pip install matplotlib"):
        listen.picture(sound(tone(400.0)), [], "a", tmp_path / "a.png")
