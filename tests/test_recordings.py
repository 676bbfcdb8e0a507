"""The kinds that begin with a recording, from the manifest to the files: edit, separate, enhance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from small_library import RATE_HZ, hiss, tone, write_recordings

from sfxgen.build import Report, build
from sfxgen.errors import EXIT_OK
from sfxgen.library.add import add_folder
from sfxgen.master.edges import remove_dc
from sfxgen.plan import plan_project

MANIFEST = """\
version: 1
sounds:
  both:
    separate: {source: ../recordings/both.wav, stems: {bell: bell ring, steam: steam hiss}}
    output: {encoding: float32, loudness_lufs: -30, rate_hz: 44100}
  found: {separate: {source: ../recordings/both.wav, count: 2}}
  steered: {edit: {source: ../recordings/both.wav, strength: 0.4}, prompt: thunder rumble, variations: 2}
  line: {enhance: {source: ../recordings/both.wav}}
"""


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    root = tmp_path_factory.mktemp("game")
    add_folder(write_recordings(tmp_path_factory.mktemp("takes")), root / "library")
    (root / "sounds").mkdir()
    (root / "recordings").mkdir()
    both = np.concatenate([np.zeros(4000), tone(480.0, 0.5), np.zeros(4000)])
    noise = np.zeros_like(both)
    noise[6000 : 6000 + round(0.4 * RATE_HZ)] = 0.4 * hiss(False, 77, 0.4)
    soundfile.write(root / "recordings" / "both.wav", both + noise, RATE_HZ, subtype="FLOAT")
    (root / "sounds" / "a.yaml").write_text(MANIFEST)
    (root / "sfxgen.yaml").write_text("engine: plain\nout: out\nprior: ./library\n")
    return root, build(root, n_workers=1)


def samples(path: Path) -> NDArray[np.float64]:
    read: NDArray[np.float64] = soundfile.read(path, dtype="float64", always_2d=True)[0][:, 0]
    return read


def test_all_are_made(game: tuple[Path, Report]) -> None:
    root, report = game
    assert (report.failed, report.exit_code) == ({}, EXIT_OK)
    names = sorted(path.name for path in (root / "out").glob("*.wav"))
    assert names == [
        "both_bell.wav", "both_steam.wav", "found_stem_1.wav", "found_stem_2.wav", "line.wav", "steered_01.wav",
        "steered_02.wav",
    ]  # fmt: skip
    assert plan_project(root).plan.stale == ()


def test_the_files_of_the_stems_add_up_to_the_recording(game: tuple[Path, Report]) -> None:
    """At one gain for all, and neither trimmed nor faded by themselves: they can be played side by side."""
    root, _ = game
    bell, steam = (samples(root / "out" / f"both_{name}.wav") for name in ("bell", "steam"))
    mixture = samples(root / "recordings" / "both.wav")
    assert len(bell) == len(steam) == len(mixture)
    total, plain = bell + steam, remove_dc(mixture[None], RATE_HZ, periodic=False)[0]
    gain = float(total @ plain / (plain @ plain))
    assert np.abs(total - gain * plain).max() < 1e-5 * np.abs(total).max()
    assert np.abs(bell - steam).max() > 0.1 * np.abs(total).max()


def test_another_recording_makes_them_stale(game: tuple[Path, Report]) -> None:
    root, _ = game
    path = root / "recordings" / "both.wav"
    before = path.read_bytes()
    try:
        soundfile.write(path, 0.5 * samples(path), RATE_HZ, subtype="FLOAT")
        stale = {planned.job.name: planned.reasons for planned in plan_project(root).plan.stale}
    finally:
        path.write_bytes(before)
    assert stale == dict.fromkeys(("both", "found", "steered", "line"), ("recording changed",))
