"""Why a sound must be made again, in words, and what needs no making."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import sfxgen.plan
from sfxgen.build import build
from sfxgen.errors import BadInput
from sfxgen.generate import KINDS, generate
from sfxgen.manifest.presets import search
from sfxgen.plan import plan_project

MANIFEST = """\
version: 1
defaults: {duration_s: 0.05}
sounds:
  zap: {fm: {pitch_hz: 500}, variations: 2}
  coin: bright coin pickup
  rain: {texture: {bands: [{centre_hz: 4000}]}}
  voice: {file: {source: ../voice.wav}}
"""
NEW = dict.fromkeys(("zap", "coin", "rain", "voice"), ("new",))


def write_recording(root: Path, hz: float) -> None:
    soundfile.write(root / "voice.wav", np.sin(np.arange(4800) * 2 * np.pi * hz / 48000), 48000)


def edit(root: Path, *changes: tuple[str, str]) -> None:
    path = root / "sounds" / "all.yaml"
    for before, after in changes:
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))


def stale(root: Path, *names: str, force: bool = False) -> dict[str, tuple[str, ...]]:
    return {planned.job.name: planned.reasons for planned in plan_project(root, names, force).plan.stale}


@pytest.fixture
def new(tmp_path: Path) -> Path:
    root = tmp_path / "game"
    (root / "sounds").mkdir(parents=True)
    (root / "sounds" / "all.yaml").write_text(MANIFEST)
    write_recording(root, 440)
    return root


@pytest.fixture
def built(new: Path) -> Path:
    assert build(new, n_workers=1).exit_code == 0
    assert stale(new) == {}
    return new


@pytest.fixture
def renders(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The kinds that were rendered, in order."""
    kinds: list[str] = []

    def counted(kind: str, *rest: Any) -> Any:
        kinds.append(kind)
        return generate(kind, *rest)

    monkeypatch.setattr("sfxgen.make.generate", counted)
    return kinds


def test_all_is_new_at_first(new: Path) -> None:
    assert stale(new) == NEW


@pytest.mark.parametrize(
    ("before", "after", "sound", "reason"),
    [
        ("bright coin pickup", "retro laser", "coin", "prompt changed"),
        ("pitch_hz: 500", "pitch_hz: 510", "zap", "recipe changed"),
        ("variations: 2", "variations: 2, seed: 7", "zap", "seed changed"),
        ("variations: 2", "variations: 2, duration_s: 0.06", "zap", "length changed"),
        ("variations: 2", "variations: 3", "zap", "variations changed"),
        ("variations: 2", "variations: 2, output: {loudness_lufs: -20}", "zap", "mastering changed"),
        ("variations: 2", "variations: 2, output: {folder: ui}", "zap", "file names changed"),
    ],
)
def test_the_reason_names_what_changed(before: str, after: str, sound: str, reason: str, built: Path) -> None:
    edit(built, (before, after))
    reasons = stale(built)
    assert list(reasons) == [sound]
    assert reasons[sound][0] == reason


def test_another_engine_changes_every_sound(built: Path) -> None:
    (built / "project.godot").write_text("config_version=5\n")
    reasons = stale(built)
    assert reasons.keys() == NEW.keys()
    assert {first for first, *_ in reasons.values()} == {"engine changed"}


def test_a_mastering_edit_renders_nothing_again(built: Path, renders: list[str]) -> None:
    (built / "sfxgen.yaml").write_text("master: {loudness_lufs: -24}\n")
    assert stale(built) == dict.fromkeys(NEW, ("mastering changed",))
    report = build(built, n_workers=1)
    assert set(report.made) == set(NEW)
    assert renders == []
    edit(built, ("pitch_hz: 500", "pitch_hz: 511"))
    build(built, n_workers=1)
    assert renders == ["fm"]


def test_comments_white_space_and_order_run_nothing(built: Path) -> None:
    edit(
        built, ("sounds:\n", "\n# all of them\nsounds:   # here\n"), ("{fm: {pitch_hz: 500}", "{ fm: {pitch_hz: 500.0}")
    )
    lines = (built / "sounds" / "all.yaml").read_text().splitlines(keepends=True)
    (built / "sounds" / "all.yaml").write_text("".join([*lines[:-2], lines[-1], lines[-2]]))
    planning = plan_project(built)
    assert (planning.plan.stale, planning.plan.records, planning.plan.orphans) == ((), (), ())


def test_a_missing_file_is_made_again_from_the_cache(built: Path, renders: list[str]) -> None:
    (built / "audio/sfx/zap_02.wav").unlink()
    assert stale(built) == {"zap": ("file missing: audio/sfx/zap_02.wav",)}
    assert list(build(built, n_workers=1).made) == ["zap"]
    assert renders == []
    assert stale(built) == {}


def test_a_missing_index_is_a_record_to_write(built: Path) -> None:
    (index,) = plan_project(built).lock.index
    (built / index).unlink()
    plan = plan_project(built).plan
    assert (plan.stale, plan.records) == ((), (f"{index}: file missing",))
    assert build(built, n_workers=1).made == {}
    assert (built / index).is_file()


@pytest.mark.parametrize(("seed", "same"), [("", False), (", seed: 3", True)])
def test_a_renamed_sound_keeps_its_samples_only_with_a_seed(
    seed: str, same: bool, new: Path, renders: list[str]
) -> None:
    edit(new, ("variations: 2", f"variations: 2{seed}"))
    build(new, n_workers=1)
    before = (new / "audio/sfx/zap_01.wav").read_bytes()
    renders.clear()
    edit(new, ("zap:", "zing:"))
    assert stale(new) == {"zing": ("new",)}
    report = build(new, n_workers=1)
    assert ((new / "audio/sfx/zing_01.wav").read_bytes() == before) is same
    assert renders == ([] if same else ["fm"])
    assert set(report.removed) == {"audio/sfx/zap_01.wav", "audio/sfx/zap_02.wav"}


def test_a_new_version_of_a_kinds_code(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "texture", replace(KINDS["texture"], version=99))
    assert stale(built) == {"rain": ("kind's code changed",)}


@pytest.mark.parametrize(("version", "part"), [("MASTER_VERSION", "mastering"), ("EXPORT_VERSION", "engine")])
def test_a_new_version_of_mastering_or_export(
    version: str, part: str, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sfxgen.plan, version, 99)
    monkeypatch.setattr(sfxgen.plan, "_mastering_part", sfxgen.plan._mastering_part.__wrapped__)  # not from its cache
    assert stale(built) == dict.fromkeys(NEW, (f"{part} changed",))


def test_a_changed_recording(built: Path) -> None:
    write_recording(built, 880)
    assert stale(built) == {"voice": ("recording changed",)}


def test_absent_recordings_are_trusted(built: Path) -> None:
    """As on a CI machine whose checkout has the lock and the results, but not the recordings."""
    (built / "voice.wav").unlink()
    assert stale(built) == {}


def test_a_git_lfs_pointer_counts_as_what_it_points_to(built: Path) -> None:
    paths = [built / "voice.wav", built / "audio/sfx/zap_01.wav"]
    for path in paths:
        data = path.read_bytes()
        oid = hashlib.sha256(data).hexdigest()
        path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(data)}\n")
    plan = plan_project(built).plan
    assert (plan.stale, plan.left_alone) == ((), {})
    paths[0].write_text(paths[0].read_text().replace("sha256:", "sha256:0"))
    assert stale(built) == {"voice": ("recording changed",)}


def test_only_the_named_sounds(new: Path) -> None:
    assert stale(new, "coin", "rain") == {"coin": ("new",), "rain": ("new",)}
    assert set(build(new, names=["coin"], n_workers=1).made) == {"coin"}
    assert stale(new).keys() == {"zap", "rain", "voice"}


def test_force_makes_and_renders_what_is_fresh(built: Path, renders: list[str]) -> None:
    assert stale(built, "zap", force=True) == {"zap": ("forced",)}
    assert list(build(built, names=["zap"], force=True, n_workers=1).made) == ["zap"]
    assert renders == ["fm"]


def test_an_unknown_name_is_answered_with_the_nearest(built: Path) -> None:
    with pytest.raises(BadInput, match=r"no sound is named 'zapp'; .*zap"):
        plan_project(built, ["zapp"])
    with pytest.raises(BadInput, match=r"no sound is named 'qqqqqq'; `sfxgen plan` lists all 4"):
        plan_project(built, ["qqqqqq"])


def test_a_choice_in_the_lock_stays_though_the_presets_change(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = plan_project(built).lock.sounds["coin"].choice
    assert chosen is not None
    monkeypatch.setattr("sfxgen.manifest.choice.search", lambda _, kind: search("retro laser", kind))
    assert stale(built) == {}
    edit(built, ("bright coin pickup", "bright coin pickup!"))
    assert stale(built)["coin"] == ("prompt changed",)
    (coin,) = (planned for planned in plan_project(built).plan.sounds if planned.job.name == "coin")
    assert coin.choice is not None
    assert coin.choice.preset != chosen.preset


def test_a_prompt_guides_so_that_every_edit_of_it_is_heard(built: Path) -> None:
    edit(built, ("bright coin pickup", "the bright coin pickup"))
    assert stale(built)["coin"] == ("prompt changed",)


def test_without_guidance_a_prompt_edit_that_chooses_the_same_preset_makes_nothing(built: Path) -> None:
    edit(built, ("coin: bright coin pickup", "coin: {prompt: bright coin pickup, guide: false}"))
    assert build(built, names=["coin"], n_workers=1).failed == {}
    edit(built, ("bright coin pickup", "the bright coin pickup"))
    plan = plan_project(built).plan
    assert (plan.stale, plan.records) == ((), ("coin: its prompt, tags or category changed",))
