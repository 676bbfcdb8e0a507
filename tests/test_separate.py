"""Separation: stems of a recording by their prompts, from a prior of levels and latent ones; recipe and command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from listener import listener
from numpy.typing import NDArray
from small_library import RATE_HZ, hiss, tone
from sound_measures import si_sdr_db, total

from sfxgen.audio import Audio
from sfxgen.distill.naming import names_for
from sfxgen.distill.separate import Settings, follow, separate, windows_of
from sfxgen.distill.sharing import shared_out
from sfxgen.distill.sources import LatentSources
from sfxgen.draw import Draw
from sfxgen.errors import BadInput, SfxgenError
from sfxgen.generate.recipe import Request
from sfxgen.generate.separate import apart, render
from sfxgen.library.places import SHIPPED
from sfxgen.library.store import read_library
from sfxgen.manifest.recordings import Separate
from sfxgen.priors.contract import Prior
from sfxgen.priors.library import LibraryPrior
from sfxgen.recordings import file_names
from sfxgen.recordings import separate as run_separate

BELL, RUMBLE = "bell ringing", "thunder rumbling"


@pytest.fixture(scope="module")
def shipped() -> LibraryPrior:
    return LibraryPrior(read_library(SHIPPED))


@pytest.fixture(scope="module")
def sounds() -> NDArray[np.float32]:
    """A bell that begins when the thunder goes on, [2, samples], equally strong."""
    bell, rumble = tone(1200.0, 1.0), hiss(True, 3, 1.5)
    both = np.zeros((2, round(1.5 * RATE_HZ)))
    both[0, 22_050 : 22_050 + len(bell)] = bell
    both[1] = rumble
    both /= np.sqrt(np.square(both).sum(1, keepdims=True))
    scaled: NDArray[np.float32] = (both * 0.7 / np.abs(both.sum(0)).max()).astype(np.float32)
    return scaled


@pytest.fixture(scope="module")
def mixed(sounds: NDArray[np.float32]) -> Audio:
    return Audio.of(np.rint(sounds.sum(0) * 32_768) / 32_768, RATE_HZ)


# The whole


def test_right_prompts_separate_and_swapped_ones_do_worse(
    shipped: LibraryPrior, mixed: Audio, sounds: NDArray[np.float32]
) -> None:
    before = [si_sdr_db(mixed.samples[0], sound) for sound in sounds]
    right = apart(mixed, (BELL, RUMBLE), shipped, 0)
    swapped = apart(mixed, (RUMBLE, BELL), shipped, 0)
    gains = [si_sdr_db(stem.samples[0], s) - b for stem, s, b in zip(right, sounds, before, strict=True)]
    lost = [si_sdr_db(stem.samples[0], s) - b for stem, s, b in zip(swapped, sounds, before, strict=True)]
    assert min(gains) > 4.0
    assert max(lost) < -4.0
    assert np.array_equal(total([stem.samples for stem in right]), mixed.samples.astype(np.float64))


def test_the_same_bytes_each_time(shipped: LibraryPrior, mixed: Audio) -> None:
    first, again = (apart(mixed, (BELL, RUMBLE), shipped, 5) for _ in range(2))
    assert [stem.samples.tobytes() for stem in first] == [stem.samples.tobytes() for stem in again]


def test_stems_keep_the_recordings_rate_and_channels(shipped: LibraryPrior) -> None:
    noise = np.random.default_rng(0).integers(-9000, 9000, (2, 11_025)) / 32_768
    stems = apart(Audio.of(noise, 22_050), ("rain", "footsteps", "wind"), shipped, 0)
    assert [(stem.rate_hz, stem.samples.shape) for stem in stems] == [(22_050, noise.shape)] * 3
    assert np.array_equal(total([stem.samples for stem in stems]), noise)


def test_silence_is_silent_in_every_stem(shipped: LibraryPrior) -> None:
    stems = apart(Audio.of(np.zeros(9000), RATE_HZ), (BELL, RUMBLE), shipped, 0)
    assert [stem.peak for stem in stems] == [0.0, 0.0]
    shares = separate(torch.zeros(1, 9000), (BELL, RUMBLE), shipped, 0)
    assert torch.equal(shares.values, torch.full_like(shares.values, 0.5))


@pytest.mark.parametrize("n_samples", [100, 44_100, 44_101, 100_000, 441_000])
def test_windows_cover_a_recording_and_overlap(shipped: LibraryPrior, n_samples: int) -> None:
    prior = LibraryPrior(shipped.library)
    prior.window_s = 1.0
    windows = list(windows_of(n_samples, prior))
    assert windows[0][0] == 0
    assert windows[-1][1] == n_samples
    assert all(end - start <= 44_100 + 512 and start % 512 == 0 for start, end in windows)
    assert all(first[1] - second[0] >= 44_100 // 4 - 512 for first, second in pairwise(windows))


def test_a_recording_longer_than_the_window_is_taken_apart_in_windows(mixed: Audio, shipped: LibraryPrior) -> None:
    longer = Audio.of(np.tile(mixed.samples, 2), RATE_HZ)
    prior = LibraryPrior(shipped.library)
    prior.window_s = 1.1  # so that no window begins where a bell does
    shares = separate(torch.tensor(longer.samples), (BELL, RUMBLE), prior, 0)
    torch.testing.assert_close(shares.values.sum(0), torch.ones_like(shares.values[0]))
    steps = (shares.values[:, :, 1:] - shares.values[:, :, :-1]).abs().mean((0, 1))
    joins = torch.zeros(len(steps), dtype=torch.bool)
    for start, _ in list(windows_of(longer.n_frames, prior))[1:]:
        joins[start // 512 - 2 : start // 512 + 2] = True
    assert joins.any()
    assert float(steps[joins].max()) < float(steps[~joins].max())
    stems = apart(longer, (BELL, RUMBLE), prior, 0)
    assert np.array_equal(total([stem.samples for stem in stems]), longer.samples.astype(np.float64))


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (("xyzzy qwrtp", BELL), "knows no word of the prompt 'xyzzy qwrtp'; say it in other words"),
        ((BELL,), "needs two prompts or more, got 1"),
        ((BELL, RUMBLE, BELL), f"two stems have the same prompt '{BELL}'"),
    ],
)
def test_prompts_that_cannot_be_followed(shipped: LibraryPrior, prompts: tuple[str, ...], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        separate(torch.ones(1, 2000), prompts, shipped, 0)


def test_score_distillation_of_the_parts_keeps_the_sum(shipped: LibraryPrior, mixed: Audio) -> None:
    short = Audio.of(mixed.samples[:, 20_000:40_000], RATE_HZ)
    still, moved = (
        apart(short, (BELL, RUMBLE), shipped, 0, Settings(n_steps=steps, against=against))
        for steps, against in ((0, False), (2, True))
    )
    assert np.array_equal(total([stem.samples for stem in moved]), short.samples.astype(np.float64))
    assert not np.array_equal(still[0].samples, moved[0].samples)


def test_a_prompt_that_nothing_fits_is_said(shipped: LibraryPrior, mixed: Audio) -> None:
    def rule(audio: torch.Tensor, prompts: Sequence[str]) -> torch.Tensor:
        return torch.tensor([[0.0 if prompt == "violin" else 1.0 for prompt in prompts]] * len(audio)).double()

    said: list[str] = []
    apart(mixed, ("violin", BELL), listener(shipped, rule), 0, warn=said.append)
    (line,) = said
    assert line.startswith(f"what comes nearest to 'violin' in the recording is more like '{BELL}'")
    assert line.endswith("try other words")


# Latent priors


def tiny(kind: str) -> Prior:
    pytest.importorskip("diffusers")
    pytest.importorskip("transformers")
    import tiny_models

    from sfxgen.priors.audioldm2 import AudioLDM2
    from sfxgen.priors.stable_audio import StableAudio
    from sfxgen.priors.stable_audio_3 import StableAudio3

    made: Prior
    if kind == "stable audio":
        made = StableAudio(tiny_models.stable_audio(), "sa", "d")
    elif kind == "stable audio 3":
        made = StableAudio3(tiny_models.stable_audio_3(), "sa3", "d")
    else:
        made = AudioLDM2(tiny_models.audioldm2(), "ldm", "d")
    return made


@pytest.fixture(scope="module", params=["stable audio", "stable audio 3", "audioldm2"])
def latent(request: pytest.FixtureRequest) -> Prior:
    return tiny(request.param)


pretrained = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm`:FutureWarning")


def some_audio(prior: Prior, seconds: float = 0.03) -> torch.Tensor:
    n = round(seconds * prior.rate_hz)
    return 0.3 * torch.randn(prior.channels, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pretrained
def test_latents_take_a_recording_apart(latent: Prior) -> None:
    audio = some_audio(latent)
    settings = Settings(n_steps=2, n_denoising=1)
    shares = separate(audio, ("rain", "a door"), latent, 0, settings)
    assert torch.isfinite(shares.values).all()
    torch.testing.assert_close(shares.values.sum(0), torch.ones_like(shares.values[0]))
    again = separate(audio, ("rain", "a door"), latent, 0, settings)
    assert torch.equal(shares.values, again.values)
    recording = (np.rint(audio.numpy() * 2**15) / 2**15).astype(np.float32)
    stems = shared_out(recording, latent.rate_hz, shares)
    assert np.array_equal(total(stems), recording.astype(np.float64))


@pretrained
def test_latents_come_nearer_to_the_mixture(latent: Prior) -> None:
    """Without the prompts' pull (γ = 0) the reconstruction term alone is minimised."""
    start = latent.decode(latent.encode(some_audio(latent)[None]), [torch.Generator().manual_seed(0)])[0]
    start = start[:, : round(0.03 * latent.rate_hz)]
    mixture = start + 0.05 * torch.randn(start.shape, generator=torch.Generator().manual_seed(1)).to(start)
    sources = LatentSources(latent, torch.stack([0.2 * mixture, 0.2 * mixture]), (0, 1))

    def error() -> float:
        with torch.no_grad():
            mine, wanted = latent.features(sources.stems().sum(0, keepdim=True)), latent.features(mixture[None])
        return sum(float((a - b).square().mean()) for a, b in zip(mine, wanted, strict=True))

    before = error()
    follow(sources, mixture, ("rain", "a door"), latent, 0, Settings(n_steps=12, gamma=0.0, n_denoising=1, rate=0.02))
    assert error() < 0.97 * before


@pretrained
def test_a_source_that_gives_nan_stays_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    prior = tiny("stable audio")
    usual = prior.predict_x0

    def broken(z: torch.Tensor, t: torch.Tensor, condition: object) -> torch.Tensor:
        x0 = usual(z, t, condition)  # type: ignore[arg-type]
        return torch.cat([x0[:1], torch.full_like(x0[1:], torch.nan)])

    audio = some_audio(prior)
    sources = LatentSources(prior, torch.stack([0.5 * audio, 0.5 * audio]), (0, 1))
    before = sources.parameters.detach().clone()
    monkeypatch.setattr(prior, "predict_x0", broken)
    said: list[str] = []
    follow(sources, audio, ("rain", "a door"), prior, 0, Settings(n_steps=2, n_denoising=1), said.append)
    assert said == ["the source 'a door' gave NaN in score distillation: its part of those steps was left out"]
    assert torch.isfinite(sources.parameters).all()
    assert not torch.equal(sources.parameters[0], before[0])
    assert torch.equal(sources.parameters[1], before[1])
    monkeypatch.setattr(prior, "predict_x0", lambda z, *_: torch.full_like(z, torch.nan))
    with pytest.raises(SfxgenError, match="no finite gradient"):
        follow(sources, audio, ("rain", "a door"), prior, 0, Settings(n_steps=1, n_denoising=1))


# Names, files, commands


def test_names_say_what_is_in_a_recording(shipped: LibraryPrior, mixed: Audio) -> None:
    """A listener to whom bells are high and thunder is low: one name for either, none that means the same, no other."""

    def rule(audio: torch.Tensor, prompts: Sequence[str]) -> torch.Tensor:
        power = torch.fft.rfft(audio.mean(1)).abs().square()
        edge = round(800 * audio.shape[-1] / RATE_HZ)
        high = (power[:, edge:].sum(1) / power.sum(1).clamp_min(1e-12)).double()
        liked = {"bell ringing": high, "thunder": 1.0 - high, "thunderclap": 0.9 * (1.0 - high)}
        return torch.stack([liked.get(prompt, torch.full_like(high, -1.0)) for prompt in prompts], 1)

    names = ("dog barking", "thunderclap", "thunder", "violin", "bell ringing")
    found = names_for(torch.tensor(mixed.samples), 2, listener(shipped, rule), 0, names)
    assert set(found) == {"bell ringing", "thunder"}


def test_somebody_else_may_choose_the_prompts(shipped: LibraryPrior, mixed: Audio) -> None:
    audio = torch.tensor(mixed.samples)
    seen: list[Sequence[str]] = []

    def ask(names: Sequence[str], count: int) -> Sequence[str]:
        seen.append(names)
        return ["a church bell", "a storm", "a dog"][: count if len(seen) == 1 else 3]

    assert names_for(audio, 2, shipped, 0, ask=ask) == ("a church bell", "a storm")
    assert len(set(seen[0])) == 24
    with pytest.raises(SfxgenError, match="2 prompts were asked for, and 3 came back"):
        names_for(audio, 2, shipped, 0, ask=ask)


def test_silence_has_no_names(shipped: LibraryPrior) -> None:
    with pytest.raises(BadInput, match="the recording is silent"):
        names_for(torch.zeros(1, 5000), 2, shipped, 0)


def test_the_recipe_gives_a_block_a_stem(tmp_path: Path, mixed: Audio) -> None:
    soundfile.write(tmp_path / "street.wav", mixed.samples.T, RATE_HZ, subtype="PCM_16")
    request = Request(root=tmp_path, duration_s=0.8)
    named = Separate(source=("street.wav",), stems={"bell": BELL, "storm": RUMBLE})
    found = Separate(source=("street.wav",), stems={}, count=2)
    for spec in (named, found):
        blocks = render(spec, [Draw(seed=i) for i in range(2)], request)
        assert [block.samples.shape for block in blocks] == [(1, round(0.8 * RATE_HZ))] * 2
        cut = mixed.samples[:, : round(0.8 * RATE_HZ)]
        assert np.array_equal(total([block.samples for block in blocks]), cut.astype(np.float64))


def test_the_command_writes_stems_that_add_up(tmp_path: Path, mixed: Audio) -> None:
    source = tmp_path / "street.wav"
    soundfile.write(source, mixed.samples.T, RATE_HZ, subtype="PCM_16")
    lines = list(run_separate(tmp_path, source, (BELL, RUMBLE)))
    assert lines[0].startswith(f"wrote {tmp_path / 'street_stems' / 'bell_ringing.wav'}: 1.50 s")
    stems = [soundfile.read(path, dtype="float32")[0] for path in sorted((tmp_path / "street_stems").iterdir())]
    assert np.array_equal(total(stems), mixed.samples[0].astype(np.float64))


def test_a_command_may_name_the_sounds(tmp_path: Path, mixed: Audio) -> None:
    source = tmp_path / "street.wav"
    soundfile.write(source, mixed.samples.T, RATE_HZ, subtype="PCM_16")
    ask = f"'{sys.executable}' -c \"import sys; print(*sys.stdin.read().split(chr(10))[1:3], sep=chr(10))\""
    lines = list(run_separate(tmp_path, source, (), tmp_path / "out", ask=ask))
    assert lines[0].startswith("found: ")
    assert len(list((tmp_path / "out").iterdir())) == 2
    with pytest.raises(SfxgenError, match="failed with exit code 3"):
        list(run_separate(tmp_path, source, (), ask=f"'{sys.executable}' -c 'raise SystemExit(3)'"))
    with pytest.raises(SfxgenError, match="cannot run 'no-such-program-here'"):
        list(run_separate(tmp_path, source, (), ask="no-such-program-here"))


def test_file_names_are_never_the_same() -> None:
    assert file_names(("Cars passing by!", "cars passing-by", "cars/passing by", "…")) == [
        "cars_passing_by",
        "cars_passing-by",
        "cars_passing_by_2",
        "stem",
    ]
