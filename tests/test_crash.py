"""Whatever stops a build (kill -9, a full disk, a read-only folder), nothing is lost and the next one completes.

"The same bytes" means every file of the project but sfxgen's own state folder: audio, sidecars, index, lock, manifests.
"""

from __future__ import annotations

import errno
import io
import os
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mortal_builds import MortalBuilds

from sfxgen.build import build
from sfxgen.disk import STATE_FOLDER, Disk
from sfxgen.errors import EXIT_FAILED, EXIT_OK, CannotWrite
from sfxgen.events import Event
from sfxgen.manifest.project import LOCK_FILE

MANIFEST = """\
version: 1
defaults: {duration_s: 0.06}
sounds:
  zap: {fm: {pitch_hz: [300, 900]}, variations: 4}
  blip: {fm: {pitch_hz: 880}, tags: [ui]}
  hum: {fm: {pitch_hz: 120, operators: [{sustain: 1}]}, loop: true}
  hit: {fm: {}, layers: {soft, hard}, variations: 2}
  step/grass: {texture: {bands: [{centre_hz: 900}]}, variations: 3}
  step/stone: {texture: {bands: [{centre_hz: 2500}]}, variations: 3}
  rain: {texture: {bands: [{centre_hz: 4000}]}, loop: true}
  spark: {texture: {bands: [{centre_hz: 6000}]}}
  coin: {prompt: bright coin pickup, guide: false}
  laser: {fm: {preset: laser_retro}}
  tick: {fm: {pitch_hz: 2000}, output: {folder: ui}}
  tock: {fm: {pitch_hz: 1500}, output: {folder: ui, loudness_lufs: -24}}
"""
# Of every sort of edit one: fewer and more variations, other pitch, loudness, folder and tags, a loop taken away,
# a layer more, a sound renamed, one gone, one new.
EDITED = """\
version: 1
defaults: {duration_s: 0.06}
sounds:
  zap: {fm: {pitch_hz: [300, 900]}, variations: 2}
  blip: {fm: {pitch_hz: 880}, tags: [menu]}
  hum: {fm: {pitch_hz: 120, operators: [{sustain: 1}]}}
  hit: {fm: {}, layers: {soft, medium, hard}, variations: 2}
  step/grass: {texture: {bands: [{centre_hz: 700}]}, variations: 4}
  step/rock: {texture: {bands: [{centre_hz: 2500}]}, variations: 3}
  rain: {texture: {bands: [{centre_hz: 4000}]}, loop: true, output: {loudness_lufs: -30}}
  coin: {prompt: dull coin pickup, guide: false}
  laser: {fm: {preset: laser_retro}}
  tick: {fm: {pitch_hz: 2000}}
  tock: {fm: {pitch_hz: 1500}, output: {folder: ui, loudness_lufs: -24}}
  ping: {fm: {pitch_hz: 3000}}
"""
MANIFESTS = {"first": MANIFEST, "edited": EDITED}

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="forks children and adopts their orphans as Linux does")
root_only = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or sys.platform != "linux", reason="only Linux's root may mount"
)


def write_manifest(root: Path, text: str) -> None:
    (root / "sounds").mkdir(exist_ok=True)
    (root / "sounds" / "all.yaml").write_text(text)


def new_project(root: Path, manifest: str = MANIFEST) -> Path:
    root.mkdir(exist_ok=True)
    (root / "project.godot").write_text("config_version=5\n")
    write_manifest(root, manifest)
    return root


def contents(root: Path) -> dict[str, bytes]:
    paths = (path for path in root.rglob("*") if path.is_file() and STATE_FOLDER not in path.parts)
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
    assert found
    return found


def check_same(found: dict[str, bytes], expected: dict[str, bytes]) -> None:
    assert found.keys() == expected.keys()
    assert [path for path in found if found[path] != expected[path]] == []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """What an undisturbed build of each manifest leaves."""
    states = {}
    for name, manifest in MANIFESTS.items():
        root = new_project(tmp_path_factory.mktemp("undisturbed") / "game", manifest)
        assert build(root, n_workers=1).exit_code == EXIT_OK
        states[name] = contents(root)
        assert len(states[name]) > 55
    return states


@pytest.fixture(scope="module")
def mortal() -> Iterator[MortalBuilds]:
    with MortalBuilds() as builds:
        yield builds


def n_made(root: Path) -> int:
    return len(list(root.rglob("*.wav")))


@linux_only
def test_killed_at_fifty_random_moments(
    tmp_path: Path, mortal: MortalBuilds, undisturbed: dict[str, dict[str, bytes]]
) -> None:
    """Moments of the clock, and in every other round of the work: however busy the machine, these fall amid a build.

    A moment that came when a build was through already counts for nothing, and another is drawn.
    """
    timed = [mortal.build(new_project(tmp_path / f"timed{i}"), tmp_path / f"timed{i}_cache") for i in range(3)]
    whole_s, n_changes = min(end.seconds for end in timed), timed[0].n_changes
    rng = random.Random(1)
    n_killed = n_amid = i = 0
    while n_killed < 50:
        i += 1
        assert i <= 200, f"only {n_killed} of {i} builds were still running when they were to be killed"
        root, cache = new_project(tmp_path / f"game{i}"), tmp_path / f"cache{i}"
        if i % 2:
            n_killed += mortal.build(root, cache, kill_after_s=rng.uniform(0, whole_s)).killed
        else:
            n_killed += mortal.build(root, cache, kill_at_change=rng.randint(1, n_changes)).killed
        n_amid += n_made(root) > 0 and not (root / LOCK_FILE).exists()
        end = mortal.build(root, cache)
        assert (end.exit_code, end.left_alone) == (EXIT_OK, {})
        check_same(contents(root), undisturbed["first"])
        assert not Disk(root).journal
        shutil.rmtree(root)
    assert n_amid >= 15


@linux_only
def test_killed_while_a_prompt_guides(tmp_path: Path, mortal: MortalBuilds) -> None:
    """The search is repeated, the descent goes on from its last checkpoint: the sound and the lock are as ever."""
    manifest = """\
version: 1
sounds:
  zap: {fm: {preset: laser_retro}, prompt: laser gun, guide: {steps: 60, generations: 2, starts: 1, draws: 2}}
"""
    cache = tmp_path / "cache"
    whole = mortal.build(new_project(tmp_path / "whole", manifest), cache)
    assert whole.exit_code == EXIT_OK
    expected = contents(tmp_path / "whole")
    assert '"guided"' in expected[LOCK_FILE].decode()
    longest_s, n_amid = whole.seconds, 0
    for attempt in range(20):
        root, cache = new_project(tmp_path / f"game{attempt}", manifest), tmp_path / f"cache{attempt}"
        end = mortal.build(root, cache, kill_after_s=longest_s * (0.3, 0.5, 0.7)[n_amid])
        if not end.killed:  # the first build had less of the machine than this one
            longest_s = min(longest_s, end.seconds)
            continue
        n_amid += n_made(root) == 0
        assert mortal.build(root, cache).exit_code == EXIT_OK
        check_same(contents(root), expected)
        if n_amid == 3:
            return
    pytest.fail(f"only {n_amid} of 20 builds were killed before they had made anything")


@linux_only
def test_killed_at_a_change_then_edited(
    tmp_path: Path, mortal: MortalBuilds, undisturbed: dict[str, dict[str, bytes]]
) -> None:
    """No file of ours is taken for a person's, whatever the manifest says when the next build comes."""
    rng = random.Random(2)
    cache = tmp_path / "cache"
    n_changes = mortal.build(new_project(tmp_path / "counted"), cache).n_changes
    assert n_changes > 200
    for i in range(12):
        root = new_project(tmp_path / f"game{i}")
        moment = rng.randint(1, n_changes)
        assert mortal.build(root, cache, kill_at_change=moment).killed
        write_manifest(root, EDITED)
        end = mortal.build(root, cache)
        assert (end.exit_code, end.left_alone) == (EXIT_OK, {}), f"killed before change {moment}"
        check_same(contents(root), undisturbed["edited"])


@linux_only
@pytest.mark.parametrize("last", ["first", "edited"])
def test_a_rebuild_killed_at_a_change(
    last: str, tmp_path: Path, mortal: MortalBuilds, undisturbed: dict[str, dict[str, bytes]]
) -> None:
    """A built project is edited, the rebuild is killed twice, and the edit is kept or taken back."""
    rng = random.Random(3)
    cache = tmp_path / "cache"
    built = new_project(tmp_path / "built")
    mortal.build(built, cache)
    counted = tmp_path / "counted"
    shutil.copytree(built, counted)
    write_manifest(counted, EDITED)
    n_changes = mortal.build(counted, cache).n_changes
    check_same(contents(counted), undisturbed["edited"])
    assert n_changes > 100
    for i in range(6):
        root = tmp_path / f"game{i}"
        shutil.copytree(built, root)
        write_manifest(root, EDITED)
        moments = rng.randint(1, n_changes), rng.randint(1, n_changes // 2)
        assert mortal.build(root, cache, kill_at_change=moments[0]).killed
        mortal.build(root, cache, kill_at_change=moments[1])
        write_manifest(root, MANIFESTS[last])
        end = mortal.build(root, cache)
        assert (end.exit_code, end.left_alone) == (EXIT_OK, {}), f"killed before changes {moments}"
        check_same(contents(root), undisturbed[last])


@linux_only
def test_orphaned_workers_end_by_themselves(
    tmp_path: Path, mortal: MortalBuilds, undisturbed: dict[str, dict[str, bytes]]
) -> None:
    root, cache = new_project(tmp_path / "game"), tmp_path / "cache"
    ends = [mortal.build(root, cache, kill_after_s=delay_s, n_workers=2) for delay_s in (0.4, 1.5)]
    assert sum(end.n_orphans for end in ends) > 0
    assert mortal.build(root, cache, n_workers=2).exit_code == EXIT_OK
    check_same(contents(root), undisturbed["first"])


def in_process(root: Path) -> int:
    return build(root, n_workers=1).exit_code


def no_space_after(monkeypatch: pytest.MonkeyPatch, root: Path, n_writes: int) -> None:
    """From its n-th write in the project on the disk is full: half of what is written gets there, then ENOSPC."""
    count = 0
    real_open = Path.open

    class Full(io.FileIO):
        def write(self, data: Any) -> int:
            super().write(bytes(data)[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def open_(path: Path, mode: str = "r", *rest: Any, **named: Any) -> Any:
        nonlocal count
        if mode[0] in "wa" and path.is_relative_to(root):
            count += 1
            if count >= n_writes:
                full = Full(path, mode.replace("b", ""))
                return full if "b" in mode else io.TextIOWrapper(full, "utf-8", write_through=True)
        return real_open(path, mode, *rest, **named)

    monkeypatch.setattr(Path, "open", open_)


def check_refusal(error: CannotWrite, reason: str) -> None:
    """One line that names the file and what the system said."""
    assert error.exit_code == EXIT_FAILED
    assert len(str(error).splitlines()) == 1
    assert str(error).startswith("cannot write /")
    assert reason in str(error)


def temporary_files(root: Path) -> list[Path]:
    return list(root.rglob("*sfxgen-tmp"))


@pytest.mark.parametrize("n_writes", [1, 2, 3, 4, 17, 60, 100])
def test_a_disk_that_fills_up(
    n_writes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, dict[str, bytes]]
) -> None:
    root = new_project(tmp_path / "game")
    with monkeypatch.context() as patch:
        no_space_after(patch, root, n_writes)
        with pytest.raises(CannotWrite) as caught:
            in_process(root)
    check_refusal(caught.value, "no space left on device")
    assert temporary_files(root) == []
    for path in root.rglob("*.wav"):
        assert path.read_bytes() == undisturbed["first"][path.relative_to(root).as_posix()]
    assert in_process(root) == EXIT_OK
    check_same(contents(root), undisturbed["first"])


def test_a_disk_that_fills_up_in_a_rebuild_keeps_the_old_sounds_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, dict[str, bytes]]
) -> None:
    root = new_project(tmp_path / "game")
    in_process(root)
    write_manifest(root, EDITED)
    with monkeypatch.context() as patch:
        no_space_after(patch, root, 30)
        with pytest.raises(CannotWrite):
            in_process(root)
    first, edited = undisturbed["first"], undisturbed["edited"]
    wavs = [path for path in first if path.endswith(".wav")]
    assert wavs
    for path in wavs:
        if path in edited or (root / path).exists():
            assert (root / path).read_bytes() in (first[path], edited.get(path))
    assert in_process(root) == EXIT_OK
    check_same(contents(root), undisturbed["edited"])


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)], capture_output=True)
    if mount.returncode:
        pytest.skip(f"mount: {mount.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@root_only
def test_a_real_full_disk(mounted: Path, undisturbed: dict[str, dict[str, bytes]]) -> None:
    root = new_project(mounted / "game")
    with pytest.raises(CannotWrite) as caught:
        in_process(root)
    check_refusal(caught.value, "no space left on device")
    assert temporary_files(root) == []
    assert (root / "sounds" / "all.yaml").read_text() == MANIFEST
    subprocess.run(["mount", "-o", "remount,size=8m", str(mounted)], check=True)
    assert in_process(root) == EXIT_OK
    check_same(contents(root), undisturbed["first"])


@root_only
def test_a_real_read_only_disk(mounted: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=8m", str(mounted)], check=True)
    root = new_project(mounted / "game")
    in_process(root)
    before = contents(root)
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    assert in_process(root) == EXIT_OK  # nothing to do needs no writing
    with pytest.raises(CannotWrite) as caught:
        build(root, force=True, n_workers=1)
    check_refusal(caught.value, "read-only file system")
    check_same(contents(root), before)


def test_a_folder_that_turned_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, dict[str, bytes]]
) -> None:
    root = new_project(tmp_path / "game")
    real_write = Path.write_bytes

    def write_bytes(path: Path, data: bytes) -> int:
        if path.is_relative_to(root / "audio"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real_write(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write_bytes)
        with pytest.raises(CannotWrite) as caught:
            in_process(root)
    check_refusal(caught.value, "read-only file system")
    assert n_made(root) == 0
    assert in_process(root) == EXIT_OK
    check_same(contents(root), undisturbed["first"])


def test_a_linked_folder_that_leads_out_of_the_project_is_refused(tmp_path: Path) -> None:
    root, elsewhere = new_project(tmp_path / "game"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / "audio").symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(CannotWrite, match="its folder is a link that leads out of the project"):
        in_process(root)
    assert list(elsewhere.iterdir()) == []


def test_the_second_of_two_builds_waits_and_finds_nothing_to_do(
    tmp_path: Path, undisturbed: dict[str, dict[str, bytes]]
) -> None:
    root = new_project(tmp_path / "game")
    second_waits = threading.Event()
    seen: list[Event] = []
    reports = []

    def note(event: Event) -> None:
        seen.append(event)
        if event.kind == "waiting":
            second_waits.set()

    second = threading.Thread(target=lambda: reports.append(build(root, n_workers=1, on_event=note)))

    def begin_second(event: Event) -> None:
        if event.kind == "planned":
            second.start()
            assert second_waits.wait(60)

    first = build(root, n_workers=1, on_event=begin_second)
    second.join()
    assert len(first.made) == 12
    assert [report.made for report in reports] == [{}]
    assert [event.kind for event in seen] == ["waiting", "planned"]
    check_same(contents(root), undisturbed["first"])
