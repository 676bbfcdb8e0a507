"""`runtime: modal` in a build: the bank beside the files, the engine's player once, and both only where asked for."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
import yaml
from test_build import contents, edit, made_once, project

from sfxgen.cache import Cache
from sfxgen.errors import EXIT_IN_THE_WAY, ManifestError
from sfxgen.export.modal import PLAYERS, player_text
from sfxgen.make import make
from sfxgen.manifest.guide import Guided
from sfxgen.manifest.impact import Tuning
from sfxgen.manifest.project import LOCK_FILE
from sfxgen.plan import Job, plan_project

PLAIN = """\
version: 1
sounds:
  metal/ring: {impact: {object: {shape: cylinder, size_m: [0.02, 0.3]}}, variations: 2}
  blip: {fm: {pitch_hz: 880}, duration_s: 0.05}
"""


def _modal(manifest: str) -> str:
    return manifest.replace("0.3]}}", "0.3]}, runtime: modal}")


MODAL = _modal(PLAIN)
FOLDERS = {"godot": "audio/sfx", "unity": "Assets/Audio/Sfx", "plain": "audio/sfx"}


def game(root: Path, engine: str, manifest: str = MODAL) -> Path:
    project(root, manifest, godot=False)
    (root / "sfxgen.yaml").write_text(f"engine: {engine}\n")
    return root


@pytest.fixture
def built(tmp_path: Path) -> Path:
    root = game(tmp_path / "game", "godot")
    made_once(root)
    return root


@pytest.mark.parametrize("engine", FOLDERS)
def test_a_bank_lies_beside_its_files_and_the_player_in_the_folder(engine: str, tmp_path: Path) -> None:
    root = game(tmp_path / "game", engine)
    report = made_once(root)
    folder = FOLDERS[engine]
    files = contents(root)
    bank = json.loads(files[f"{folder}/metal/ring.modal.json"])
    assert (bank["name"], bank["version"]) == ("metal/ring", 1)
    assert f"{folder}/blip.modal.json" not in files
    for name in PLAYERS[engine]:
        assert files[f"{folder}/{name}"].decode() == player_text(name)
    assert plan_project(root).plan.stale == ()
    lock = report.planning.lock
    assert lock.sounds["metal/ring"].banks.keys() == {f"{folder}/metal/ring.modal.json"}
    assert {f"{folder}/{name}" for name in PLAYERS[engine]} <= lock.index.keys()


def test_two_builds_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    again = game(tmp_path / "again", "godot")
    made_once(again)
    assert contents(again) == contents(built)


def test_the_wavs_are_the_same_with_and_without(built: Path, tmp_path: Path) -> None:
    """The key adds files and changes none: nothing is rendered or guided anew for it."""
    without = game(tmp_path / "without", "godot", PLAIN)
    locks = [made_once(root).planning.lock.sounds["metal/ring"] for root in (without, built)]
    assert locks[0].raw_key == locks[1].raw_key
    assert locks[0].files == locks[1].files
    edit(built, PLAIN)
    assert [p.reasons for p in plan_project(built).plan.stale] == [("engine changed",)]


def test_guidance_does_not_know_of_it(tmp_path: Path) -> None:
    """A sound that was guided is not guided again for a bank, and its bank is that of the tuned body."""
    guided = PLAIN.replace("variations: 2", "variations: 2, prompt: small bell")
    roots = [game(tmp_path / name, "godot", text) for name, text in (("a", guided), ("b", _modal(guided)))]
    jobs = [plan_project(root).plan.sounds[0].job for root in roots]
    assert jobs[0].guidance == jobs[1].guidance != ""
    assert (jobs[0].bank, jobs[1].bank) == ("", "audio/sfx/metal/ring.modal.json")
    semitones = 7.0
    job = dataclasses.replace(jobs[1], guided=_found(jobs[1], semitones))
    banks = [json.loads(make(j, tmp_path, Cache(tmp_path / "cache")).bank) for j in (_unguided(job), job)]
    lowest = [min(bank["frequency_hz"]) for bank in banks]
    assert lowest[1] == pytest.approx(lowest[0] * 2 ** (semitones / 12), rel=1e-6)


def _unguided(job: Job) -> Job:
    return dataclasses.replace(job, guide=None, guided=None)


def _found(job: Job, semitones: float) -> Guided:
    """What guidance might have found."""
    body = job.body.model_copy(update={"tuning": Tuning(semitones=semitones)}).model_dump(mode="json")
    return Guided(job.guidance, "impact", "", body, 0.0, 1.0, 1, "a test")


def test_bank_and_player_go_with_the_last_sound_that_wants_them(built: Path) -> None:
    edit(built, PLAIN)
    report = made_once(built)
    gone = {"audio/sfx/metal/ring.modal.json", *(f"audio/sfx/{name}" for name in PLAYERS["godot"])}
    assert set(report.removed) == gone
    assert not any((built / path).exists() for path in gone)
    assert (built / "audio/sfx/metal/ring_01.wav").exists()


def test_the_players_level_is_that_of_the_mastered_files(built: Path) -> None:
    """The loudness of the files moves the gains with it, and nothing else."""
    path = built / "audio/sfx/metal/ring.modal.json"
    before = json.loads(path.read_text())
    edit(built, MODAL.replace("variations: 2", "variations: 2, output: {loudness_lufs: -24}"))
    made_once(built)
    after = json.loads(path.read_text())
    change_db = after["level_db"] - before["level_db"]
    assert change_db < -3  # the first was held under the true-peak ceiling
    assert after["gain"] == pytest.approx([10 ** (change_db / 20) * gain for gain in before["gain"]], rel=1e-4)
    assert after["frequency_hz"] == before["frequency_hz"]


@pytest.mark.parametrize("path", ["audio/sfx/sfxgen_modal.gd", "audio/sfx/metal/ring.modal.json"])
def test_a_persons_edit_is_left_alone_and_told(built: Path, path: str) -> None:
    (built / path).write_text("# mine\n")
    edit(built, MODAL.replace("0.3]}", "0.35]}"))
    report = made_once(built)
    assert (built / path).read_text() == "# mine\n"
    assert path in report.left_alone
    assert report.exit_code == EXIT_IN_THE_WAY
    edit(built, PLAIN)
    assert path in made_once(built).left_alone
    assert (built / path).read_text() == "# mine\n"


@pytest.mark.parametrize("path", ["audio/sfx/sfxgen_modal.gd", "audio/sfx/metal/ring.modal.json"])
def test_what_is_missing_is_written_again(built: Path, path: str) -> None:
    before = contents(built)
    (built / path).unlink()
    made_once(built)
    assert contents(built) == before


def test_line_ends_of_windows_are_no_edit(built: Path) -> None:
    for name in PLAYERS["godot"]:
        path = built / "audio/sfx" / name
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    plan = plan_project(built).plan
    assert (plan.stale, plan.left_alone) == ((), {})


def test_unity_has_a_meta_for_each_of_them(tmp_path: Path) -> None:
    """Scripts are referred to by guid: the same on every machine, and what Unity added stays."""
    root = game(tmp_path / "game", "unity")
    made_once(root)
    guids = set()
    for path, importer in {
        "metal/ring.modal.json": "TextScriptImporter",
        "SfxgenModal.cs": "MonoImporter",
        "SfxgenModalPlayer.cs": "MonoImporter",
    }.items():
        meta = yaml.safe_load((root / f"Assets/Audio/Sfx/{path}.meta").read_text())
        assert list(meta) == ["fileFormatVersion", "guid", importer]
        guids.add(meta["guid"])
    assert len(guids) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", guid) for guid in guids)
    assert "class SfxgenModalPlayer : MonoBehaviour" in player_text("SfxgenModalPlayer.cs")  # Unity wants file = class
    theirs = root / "Assets/Audio/Sfx/metal/ring.modal.json.meta"
    theirs.write_text(theirs.read_text().replace("userData: ", "userData: mine"))
    edit(root, MODAL.replace("0.3]}", "0.35]}"))
    made_once(root)
    assert "userData: mine" in theirs.read_text()


def test_the_index_names_the_bank(tmp_path: Path) -> None:
    root = game(tmp_path / "game", "plain")
    made_once(root)
    sounds = {sound["name"]: sound for sound in json.loads((root / "audio/sfx/sfx.json").read_text())["sounds"]}
    assert sounds["metal/ring"]["bank"] == "audio/sfx/metal/ring.modal.json"
    assert "bank" not in sounds["blip"]


def test_a_lock_of_before_is_still_read(built: Path) -> None:
    lock = built / LOCK_FILE
    data = json.loads(lock.read_text())
    for sound in data["sounds"].values():
        del sound["banks"]
    lock.write_text(json.dumps(data))
    reasons = {planned.job.name: planned.reasons for planned in plan_project(built).plan.sounds}
    assert reasons["blip"] == ()


@pytest.mark.parametrize(
    ("sound", "words"),
    [
        ("{fm: {runtime: modal}}", "unknown key 'fm.runtime'.*; write it below impact"),
        ("{prompt: bell, runtime: modal}", "unknown key 'runtime'.*; write it below impact"),
        ("{impact: {runtime: modl}}", "impact.runtime is 'modl'; expected one of none, modal; did you mean 'modal'"),
        ("{impact: {runtime: true}}", "impact.runtime is true; expected one of none, modal"),
    ],
)
def test_a_runtime_that_there_is_not_is_a_fault(sound: str, words: str, tmp_path: Path) -> None:
    root = project(tmp_path / "game", f"version: 1\nsounds:\n  x: {sound}\n")
    with pytest.raises(ManifestError, match=words):
        plan_project(root)
