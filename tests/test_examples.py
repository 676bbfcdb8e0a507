"""Every example project in manifests/ is built and what it made is looked at, as an engine would."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import soundfile
from godot3 import import_all
from godot_parser import GDFile

from sfxgen.build import Report, build
from sfxgen.errors import EXIT_OK
from sfxgen.plan import plan_project

EXAMPLES = Path(__file__).parent.parent / "manifests"


def built(name: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    root = tmp_path_factory.mktemp("example") / name
    shutil.copytree(EXAMPLES / name, root, ignore=shutil.ignore_patterns("audio", ".godot", "sfxgen.lock"))
    return root, build(root, n_workers=1)


@pytest.fixture(scope="module")
def godot(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    return built("godot", tmp_path_factory)


@pytest.fixture(scope="module")
def unity(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    return built("unity", tmp_path_factory)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    return built("plain", tmp_path_factory)


def check_all_made(root: Path, report: Report) -> None:
    """Every sound was made, every file of it is there and holds what the lock says, and a second build is idle."""
    assert report.exit_code == EXIT_OK
    assert report.failed == {}
    assert report.made
    for sound in report.planning.lock.sounds.values():
        for path, record in sound.files.items():
            info = soundfile.info(root / path)
            guard = info.frames - record.n_frames
            assert guard == 0 or (guard == 1 and record.loop), f"{path}: {info.frames} frames"
            assert (info.samplerate, info.channels) == (record.rate_hz, record.channels)
            assert record.loudness_lufs is not None, f"{path} is silent"
            assert record.true_peak_dbtp is not None
            assert record.true_peak_dbtp <= 0
    assert plan_project(root).plan.stale == ()


def test_the_godot_example_has_every_kind_and_thirty_sounds(godot: tuple[Path, Report]) -> None:
    root, report = godot
    check_all_made(root, report)
    kinds = {planned.job.kind for planned in report.planning.plan.sounds}
    assert kinds == {"impact", "scene", "fm", "texture", "text", "edit", "enhance", "file"}
    assert len(report.made) >= 30
    bare = {planned.job.kind for planned in report.planning.plan.sounds if planned.choice and not planned.choice.kind}
    assert {"text", "impact"} <= bare
    sampled = [name for name, sound in report.planning.lock.sounds.items() if sound.credits]
    assert {"ogre_growl", "jungle", "guard_dog"} <= set(sampled)


def test_every_randomizer_refers_to_files_that_exist(godot: tuple[Path, Report]) -> None:
    root, report = godot
    randomizers = list((root / "audio").rglob("*.tres"))
    assert len(randomizers) >= len(report.made)
    for path in randomizers:
        streams = GDFile.load(str(path)).get_ext_resources()
        assert streams, f"{path} has no stream"
        for stream in streams:
            target = root / stream.path.removeprefix("res://")
            assert target.is_file(), f"{path} names {stream.path}"
            assert target.with_name(target.name + ".import").is_file()


@pytest.mark.godot
def test_a_real_godot_imports_every_wav_of_the_example(
    godot: tuple[Path, Report], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Godot 3 reads the `smpl` chunk by itself (mode 1 is forward); our files are 16-bit PCM, kept as they are."""
    root, report = godot
    files = {path: file for sound in report.planning.lock.sounds.values() for path, file in sound.files.items()}
    wavs = {path.replace("/", "__"): path for path in files if path.endswith(".wav")}
    assert len(wavs) >= 100
    found: dict[str, dict[str, Any]] = {}
    for batch in (list(wavs.items())[i : i + 40] for i in range(0, len(wavs), 40)):
        folder = tmp_path_factory.mktemp("godot3")
        for name, path in batch:
            shutil.copy(root / path, folder / name)
        found |= import_all(folder)
    assert found.keys() == wavs.keys()
    for name, path in wavs.items():
        record = files[path]
        loop = [1, 0, record.n_frames - 1] if record.loop else [0, 0, 0]
        n_frames = record.n_frames + (1 if record.loop else 0)
        assert (found[name]["rate"], found[name]["stereo"], found[name]["loop"]) == (
            record.rate_hz,
            record.channels == 2,
            loop,
        ), path
        assert found[name]["length"] == pytest.approx(n_frames / record.rate_hz, abs=1e-4), path


def test_the_unity_example_has_a_meta_for_every_file(unity: tuple[Path, Report]) -> None:
    root, report = unity
    check_all_made(root, report)
    audio = [path for sound in report.planning.lock.sounds.values() for path in sound.files]
    assert audio
    for path in audio:
        assert "AudioImporter:" in (root / f"{path}.meta").read_text()


def test_the_plain_example_has_an_index_of_all_files(plain: tuple[Path, Report]) -> None:
    root, report = plain
    check_all_made(root, report)
    (index,) = report.planning.lock.index
    named = {file["path"] for sound in json.loads((root / index).read_text())["sounds"] for file in sound["files"]}
    on_disk = {path for sound in report.planning.lock.sounds.values() for path in sound.files}
    assert named == on_disk
