"""A whole build: what it writes, what it leaves alone, what it says, and that the same input gives the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sfxgen.build import Report, build
from sfxgen.disk import STATE_FOLDER, Disk
from sfxgen.errors import EXIT_FAILED, EXIT_IN_THE_WAY, EXIT_INTERRUPTED, EXIT_OK, EXIT_STALE, BadInput
from sfxgen.manifest.project import LOCK_FILE

MANIFEST = """\
version: 1
defaults: {duration_s: 0.05}
sounds:
  zap: {fm: {pitch_hz: [300, 900]}, variations: 6}
  blip: {fm: {pitch_hz: 880}}
  rain: {texture: {bands: [{centre_hz: 4000}]}, loop: true}
"""
ZAP_01 = "audio/sfx/zap_01.wav"


def project(root: Path, manifest: str = MANIFEST, godot: bool = True) -> Path:
    root.mkdir(exist_ok=True)
    if godot:
        (root / "project.godot").write_text("config_version=5\n")
    return edit(root, manifest)


def edit(root: Path, manifest: str) -> Path:
    (root / "sounds").mkdir(exist_ok=True)
    (root / "sounds" / "all.yaml").write_text(manifest)
    return root


def made_once(root: Path) -> Report:
    return build(root, n_workers=1)


def contents(root: Path) -> dict[str, bytes]:
    paths = (path for path in root.rglob("*") if path.is_file() and STATE_FOLDER not in path.parts)
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
    assert found
    return found


def times(root: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*") if path.name != "digests.json"}


def sfxgen(root: Path, *arguments: str, code: int = EXIT_OK) -> str:
    """The program's output, both streams; it must end with the code."""
    command = [sys.executable, "-m", "sfxgen", *arguments]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, encoding="utf-8", check=False)
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    return result.stdout + result.stderr


@pytest.fixture
def built(tmp_path: Path) -> Path:
    root = project(tmp_path / "game")
    assert made_once(root).exit_code == EXIT_OK
    return root


# The same input, the same bytes


def test_a_rebuild_with_no_edit_runs_no_job_and_writes_no_file(built: Path) -> None:
    before = times(built)
    assert len(before) > 15
    report = made_once(built)
    assert (report.made, report.failed, report.removed, report.exit_code) == ({}, {}, (), EXIT_OK)
    assert times(built) == before


def test_folder_cache_and_number_of_processes_leave_no_trace(
    tmp_path: Path, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFXGEN_CACHE", str(tmp_path / "cold_cache"))
    for name, n_workers in (("cold_in_two_processes", 2), ("warm_in_one", 1)):
        other = project(tmp_path / name)
        assert build(other, n_workers=n_workers).exit_code == EXIT_OK
        assert contents(other) == contents(built)
    monkeypatch.setenv("SFXGEN_CACHE", str(tmp_path / "another_cold_cache"))
    other = project(tmp_path / "cold_in_one")
    assert made_once(other).exit_code == EXIT_OK
    assert contents(other) == contents(built)


# What is ours, and what is not


def test_a_file_that_was_there_before_us_is_never_overwritten(tmp_path: Path) -> None:
    root = project(tmp_path / "game")
    mine = root / ZAP_01
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"a person's own recording")
    for _ in range(2):
        report = made_once(root)
        assert report.exit_code == EXIT_IN_THE_WAY
        assert list(report.left_alone) == [ZAP_01]
        assert "move or delete it" in report.left_alone[ZAP_01]
        assert mine.read_bytes() == b"a person's own recording"
    mine.unlink()
    assert made_once(root).exit_code == EXIT_OK
    assert soundfile.info(mine).frames > 0


def test_a_file_that_a_person_changed_is_left_alone_and_reported(built: Path) -> None:
    path = built / ZAP_01
    path.write_bytes(path.read_bytes() + b"x")
    changed = path.read_bytes()
    assert made_once(built).exit_code == EXIT_IN_THE_WAY
    edit(built, MANIFEST.replace("[300, 900]", "[400, 900]"))
    report = made_once(built)
    assert list(report.left_alone) == [ZAP_01]
    assert list(report.made) == ["zap"]
    assert path.read_bytes() == changed


def test_the_same_bytes_as_ours_are_adopted(tmp_path: Path, built: Path) -> None:
    root = project(tmp_path / "clone")
    shutil.copytree(built / "audio", root / "audio")
    assert made_once(root).exit_code == EXIT_OK
    assert contents(root) == contents(built)


def test_an_edit_leaves_what_a_first_build_would(tmp_path: Path) -> None:
    """The index lists the layers as the manifest does, whether their sound was made now or long ago."""
    layered = MANIFEST + "  hit: {fm: {}, layers: {soft, medium, hard}}\n"
    edited = layered.replace("880", "990")
    root = project(tmp_path / "edited", layered, godot=False)
    made_once(root)
    assert list(made_once(edit(root, edited)).made) == ["blip"]
    fresh = project(tmp_path / "fresh", edited, godot=False)
    made_once(fresh)
    assert contents(root) == contents(fresh)
    index = json.loads((root / "audio/sfx/sfx.json").read_text())
    assert next(sound["layers"] for sound in index["sounds"] if sound["name"] == "hit") == ["soft", "medium", "hard"]


def test_a_sidecar_that_is_no_text_fails_its_sound_alone(tmp_path: Path) -> None:
    root = project(tmp_path / "game")
    sidecar = root / "audio/sfx/blip.wav.import"
    sidecar.parent.mkdir(parents=True)
    sidecar.write_bytes(b"\xff\xfe")
    report = made_once(root)
    assert report.exit_code == EXIT_FAILED
    assert set(report.made) == {"zap", "rain"}
    assert report.failed["blip"].startswith("sounds/all.yaml:5: sound 'blip': audio/sfx/blip.wav.import cannot be read")
    assert sidecar.read_bytes() == b"\xff\xfe"
    sidecar.unlink()
    assert set(made_once(root).made) == {"blip"}


def test_only_what_is_fresh_is_called_up_to_date(built: Path) -> None:
    edit(built, MANIFEST.replace("880", "990").replace("4000", "5000"))
    assert "1 sounds made, 1 up to date, 0 failed" in sfxgen(built, "build", "blip")


def test_fewer_variations_remove_the_files_that_are_left_over(built: Path) -> None:
    edit(built, MANIFEST.replace("variations: 6", "variations: 4"))
    report = made_once(built)
    gone = {f"audio/sfx/zap_0{i}.wav{end}" for i in (5, 6) for end in ("", ".import")}
    assert set(report.removed) == gone
    assert not any((built / path).exists() for path in gone)
    assert report.exit_code == EXIT_OK


def test_a_file_without_a_sound_is_removed_only_if_unchanged(built: Path) -> None:
    changed = built / "audio/sfx/zap_06.wav"
    changed.write_bytes(b"edited by hand")
    edit(built, MANIFEST.replace("variations: 6", "variations: 4"))
    report = made_once(built)
    assert changed.read_bytes() == b"edited by hand"
    assert "audio/sfx/zap_06.wav" in report.left_alone
    assert "audio/sfx/zap_05.wav" in report.removed


def test_another_engine_takes_its_predecessors_sidecars_along(built: Path) -> None:
    (built / "sfxgen.yaml").write_text("engine: plain\n")
    report = made_once(built)
    assert report.exit_code == EXIT_OK
    assert [path for path in contents(built) if path.endswith((".import", ".tres"))] == []
    assert [path for path in contents(built) if path.startswith("audio/") and path.endswith(".json")] != []


def test_a_persons_settings_in_a_sidecar_survive(built: Path) -> None:
    path = built / f"{ZAP_01}.import"
    path.write_text(path.read_text().replace("force/8_bit=false", "force/8_bit=true"))
    assert made_once(built).exit_code == EXIT_OK
    edit(built, MANIFEST.replace("[300, 900]", "[400, 900]"))
    assert list(made_once(built).made) == ["zap"]
    assert "force/8_bit=true" in path.read_text()


def test_without_its_lock_the_next_build_takes_all_up_again(built: Path) -> None:
    before = contents(built)
    (built / LOCK_FILE).unlink()
    report = made_once(built)
    assert (len(report.made), report.exit_code) == (3, EXIT_OK)
    assert contents(built) == before


def test_a_lock_with_merge_markers_stops_the_build(built: Path) -> None:
    lock = built / LOCK_FILE
    lock.write_text("<<<<<<< ours\n" + lock.read_text())
    before = contents(built)
    with pytest.raises(BadInput, match="merge conflict markers; take either side whole"):
        made_once(built)
    assert contents(built) == before


# A sound that fails


@pytest.mark.parametrize("data", [None, b"not a recording"])
def test_a_sound_that_fails_does_not_stop_the_others(data: bytes | None, tmp_path: Path) -> None:
    root = project(tmp_path / "game", MANIFEST + "  voice: {file: {source: ../voice.wav}}\n")
    if data is not None:
        (root / "voice.wav").write_bytes(data)
    report = made_once(root)
    assert (report.exit_code, set(report.made)) == (EXIT_FAILED, {"zap", "blip", "rain"})
    assert report.failed["voice"].startswith("sounds/all.yaml:7: sound 'voice': ")
    soundfile.write(root / "voice.wav", np.sin(np.arange(9600) / 10), 48000)
    assert list(made_once(root).made) == ["voice"]


# The program


def test_check_lists_what_is_stale_and_makes_nothing(tmp_path: Path) -> None:
    root = project(tmp_path / "game")
    before = contents(root)
    said = sfxgen(root, "build", "--check", code=EXIT_STALE)
    assert "stale: zap (sounds/all.yaml:4): new" in said
    assert "3 of 3 sounds are stale" in said
    assert contents(root) == before


def run_without(root: Path, modules: Sequence[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """The program in a Python that cannot import these modules."""
    script = f"import sys; sys.modules.update(dict.fromkeys({list(modules)})); import sfxgen.cli; sfxgen.cli.main()"
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_check_needs_no_audio_library(built: Path) -> None:
    heavy = ("torch", "numpy", "scipy", "soundfile", "soxr", "skfem", "pydub")
    fresh = run_without(built, heavy, "build", "--check")
    assert (fresh.returncode, fresh.stdout) == (EXIT_OK, "3 sounds, all up to date\n"), fresh.stderr
    assert run_without(built, heavy, "build").returncode == EXIT_OK
    edit(built, MANIFEST.replace("880", "890"))
    assert run_without(built, heavy, "build", "--check").returncode == EXIT_STALE
    assert run_without(built, heavy, "build").returncode == EXIT_FAILED  # it would have had to make one


def test_check_tells_of_a_changed_tag_that_the_index_shows(tmp_path: Path) -> None:
    root = project(tmp_path / "game", godot=False)
    made_once(root)
    edit(root, MANIFEST.replace("{fm: {pitch_hz: 880}}", "{fm: {pitch_hz: 880}, tags: [ui]}"))
    assert "stale: blip: its prompt, tags or category changed" in sfxgen(root, "build", "--check", code=EXIT_STALE)
    assert made_once(root).made == {}
    sfxgen(root, "build", "--check")


def test_events_as_json(tmp_path: Path) -> None:
    root = project(tmp_path / "game")
    events = [json.loads(line) for line in sfxgen(root, "build", "--json", "--jobs", "1").splitlines()]
    assert [event["event"] for event in events] == ["planned", "made", "made", "made", "done"]
    assert {event.get("sound") for event in events[1:4]} == {"zap", "blip", "rain"}
    assert events[-1]["made"] == 3


def test_clean_removes_what_is_ours_and_nothing_else(built: Path, tmp_path: Path) -> None:
    (built / "sfxgen.yaml").write_text(f"cache: {tmp_path / 'cache'}\n")
    build(built, force=True, n_workers=1)
    (built / "audio/sfx/own.wav").write_bytes(b"a person's")
    (built / ZAP_01).write_bytes(b"changed")
    before = contents(built)
    said = sfxgen(built, "clean", "--dry-run", "--cache")
    assert contents(built) == before
    assert "would remove" in said
    said = sfxgen(built, "clean", "--cache")
    assert f"left alone: {ZAP_01}" in said
    assert list((tmp_path / "cache").glob("??/*")) == []
    assert set(contents(built)) == {
        "audio/sfx/own.wav",
        ZAP_01,
        "project.godot",
        "sfxgen.yaml",
        "sounds/all.yaml",
    }


def test_clean_takes_what_a_killed_build_left(built: Path) -> None:
    Disk(built).write("audio/sfx/late.wav", b"written, and then the power went")
    said = sfxgen(built, "clean")
    assert "left alone" not in said
    assert set(contents(built)) == {"project.godot", "sounds/all.yaml"}


@pytest.mark.parametrize("sound", ["blip", "laser_retro", "bright coin pickup"])
def test_play_renders_a_sound_a_preset_or_a_prompt_to_a_file(sound: str, built: Path) -> None:
    from sfxgen.play import play

    out = built / "out.wav"
    line = play(built, sound, out=out, layer=None, index=1)
    assert line.startswith(sound)
    samples, rate_hz = soundfile.read(out)
    assert rate_hz == 48000
    assert np.abs(samples).max() > 0.01


def test_init_can_be_repeated_and_its_project_builds(tmp_path: Path) -> None:
    from sfxgen.begin import begin

    first = list(begin(tmp_path))
    before = contents(tmp_path)
    assert any("wrote sounds/first.yaml" in line for line in first)
    assert any("kept sfxgen.yaml" in line for line in begin(tmp_path))
    assert contents(tmp_path) == before
    report = made_once(tmp_path)
    assert (report.exit_code, set(report.made)) == (EXIT_OK, {"coin", "sword_clang"})


def test_doctor_and_presets(built: Path) -> None:
    said = sfxgen(built, "doctor")
    assert "3 sounds in 1 manifests" in said
    assert "godot (detected)" in said
    rows = [json.loads(line) for line in sfxgen(built, "presets", "retro laser", "--json").splitlines()]
    assert "laser" in rows[0]["name"]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent otherwise there")
def test_ctrl_c_keeps_what_is_finished_and_the_next_build_completes(tmp_path: Path, built: Path) -> None:
    manifest = MANIFEST + "".join(f"  s{i}: {{fm: {{pitch_hz: {200 + i}}}}}\n" for i in range(300))
    root = project(tmp_path / "long", manifest)
    command = [sys.executable, "-m", "sfxgen", "build", "--json", "--jobs", "1", "-C", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if json.loads(line)["event"] == "made":
                os.kill(process.pid, signal.SIGINT)
                break
        _, errors = process.communicate()
    assert process.returncode == EXIT_INTERRUPTED
    assert errors == "interrupted; what was finished is kept\n"
    wavs = list(root.rglob("*.wav"))
    assert 0 < len(wavs) < 308
    assert all(soundfile.info(path).frames > 0 for path in wavs)
    report = made_once(root)
    assert report.exit_code == EXIT_OK
    assert 0 < len(report.made) < 303
    assert (root / ZAP_01).read_bytes() == (built / ZAP_01).read_bytes()
