"""Watch mode: however an editor saves, one save means one rebuild, and what was good stays until something better is.

Every test waits for events; how long is only a limit after which a test has failed.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_library import write_recordings

from sfxgen import build as build_module
from sfxgen.events import Event, ignore
from sfxgen.library.add import add_folder
from sfxgen.manifest.project import LOCK_FILE
from sfxgen.plan import plan_project
from sfxgen.watch import watch

LIMIT_S = 30.0
A_TEXT = "version: 1\nsounds:\n  zap:\n    fm: {pitch_hz: %s}\n    duration_s: 0.05\n"
B_TEXT = "version: 1\nsounds:\n  hiss:\n    texture: {bands: [{centre_hz: 3000}]}\n    duration_s: 0.05\n"


class Watched:
    """A watch that runs in a thread, and what it said."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.stop = threading.Event()
        self.on_event: Callable[[Event], None] = ignore
        self._queue: queue.Queue[Event] = queue.Queue()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        def hear(event: Event) -> None:
            self.on_event(event)
            self._queue.put(event)

        try:
            watch(self.root, n_workers=1, on_event=hear, stop=self.stop)
        except BaseException as error:
            self._error = error
            self._queue.put(Event("ended"))

    def __enter__(self) -> Watched:
        self._thread.start()
        self.until("ready")
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop.set()
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error

    def until(self, kind: str) -> list[Event]:
        """What is said up to and with the next event of this kind."""
        heard: list[Event] = []
        while not heard or heard[-1].kind != kind:
            try:
                heard.append(self._queue.get(timeout=LIMIT_S))
            except queue.Empty:
                pytest.fail(f"no '{kind}' came, only {heard}")
            assert heard[-1].kind != "ended", self._error
        return heard

    def rest(self) -> list[Event]:
        """All that is said until a new manifest is seen: whatever was saved before it has been dealt with by then."""
        marker = self.root / "sounds" / "marker.yaml"
        n = int(marker.read_text().split()[-1]) + 1 if marker.exists() else 0
        save_by_renaming(marker, f"version: 1\nsounds: {{}}  # {n}\n")
        heard: list[Event] = []
        while not any(event.kind == "changed" and "marker.yaml" in event.text for event in heard):
            heard += self.until("changed")
        self.until("ready")
        return [event for event in heard if "marker.yaml" not in event.text]


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events if event.kind != "planned"]


def texts(events: list[Event], kind: str) -> list[str]:
    return [event.text for event in events if event.kind == kind]


def made(events: list[Event]) -> list[str]:
    return [event.sound for event in events if event.kind == "made"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "a.yaml").write_text(A_TEXT % 440)
    (tmp_path / "sounds" / "b.yaml").write_text(B_TEXT)
    (tmp_path / "sfxgen.yaml").write_text("engine: plain\nout: out\n")
    return tmp_path


@pytest.fixture
def watched(root: Path) -> Iterator[Watched]:
    with Watched(root) as watched:
        yield watched


def save_in_place(path: Path, text: str) -> None:
    path.write_text(text)


def save_slowly(path: Path, text: str) -> None:
    """One open file, emptied and written in two goes: what is there between them is half a manifest."""
    with path.open("w") as file:
        file.write(text[: len(text) // 2])
        file.flush()
        time.sleep(0.3)
        file.write(text[len(text) // 2 :])


def save_emptied_first(path: Path, text: str) -> None:
    """Truncate and close, then open again and write."""
    path.write_text("")
    time.sleep(0.2)
    path.write_text(text)


def save_by_renaming(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.tmp123")
    temporary.write_text(text)
    temporary.replace(path)


def save_atomically_with_fsync(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}~")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.chmod(path.stat().st_mode)
    temporary.replace(path)


def save_as_vim_does(path: Path, text: str) -> None:
    """Swap file, probe file, the original moved to a backup, a new file under the name, the backup deleted."""
    swap, probe, backup = path.with_name(f".{path.name}.swp"), path.with_name("4913"), path.with_name(f"{path.name}~")
    swap.write_bytes(b"b0VIM 9.1")
    probe.touch()
    probe.unlink()
    path.rename(backup)
    path.write_text(text)
    backup.unlink()
    swap.unlink()


def save_as_emacs_does(path: Path, text: str) -> None:
    """A lock that is a link to nowhere, a copy as backup, and the file written in place."""
    lock = path.with_name(f".#{path.name}")
    lock.symlink_to("someone@somewhere.1234:5678")
    shutil.copy2(path, path.with_name(f"{path.name}~"))
    path.write_text(text)
    lock.unlink()


SAVES = [
    save_in_place,
    save_slowly,
    save_emptied_first,
    save_by_renaming,
    save_atomically_with_fsync,
    save_as_vim_does,
    pytest.param(save_as_emacs_does, marks=pytest.mark.skipif(sys.platform == "win32", reason="needs links")),
]


@pytest.mark.parametrize("save", SAVES)
def test_one_save_one_rebuild(watched: Watched, save: Callable[[Path, str], None]) -> None:
    before = (watched.root / "out" / "zap.wav").read_bytes()
    save(watched.root / "sounds" / "a.yaml", A_TEXT % 660)
    heard = watched.until("ready") + watched.rest()
    assert kinds(heard) == ["changed", "made", "ready"]
    assert texts(heard, "changed") == ["sounds/a.yaml"]
    assert made(heard) == ["zap"]
    assert (watched.root / "out" / "zap.wav").read_bytes() != before


def test_nothing_is_built_where_no_content_changes(watched: Watched) -> None:
    path = watched.root / "sounds" / "a.yaml"
    path.touch()
    save_by_renaming(path, path.read_text())
    path.with_name(".a.yaml.swp").write_text("swap")
    path.with_name(".a.yaml.swp").unlink()
    (watched.root / "out" / "zap.wav").touch()
    (watched.root / "notes.txt").write_text("no manifest")
    assert kinds(watched.rest()) == []


def test_a_comment_runs_no_job(watched: Watched) -> None:
    path = watched.root / "sounds" / "a.yaml"
    path.write_text(f"# a comment\n{path.read_text()}")
    assert kinds(watched.until("ready") + watched.rest()) == ["changed", "ready"]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_checkout_of_fifty_manifests_is_one_rebuild(root: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)

    def write_manifests(pitch_hz: int) -> None:
        for i in range(50):
            text = f"version: 1\nsounds:\n  s{i}: {{fm: {{pitch_hz: {pitch_hz + i}}}, duration_s: 0.02}}\n"
            (root / "sounds" / f"many{i:02}.yaml").write_text(text)

    git("init", "-b", "main")
    (root / ".gitignore").write_text("out\n.sfxgen\nsfxgen.lock\n")
    write_manifests(300)
    git("add", ".")
    git("commit", "-m", "one")
    git("checkout", "-b", "other")
    write_manifests(900)
    git("commit", "-am", "two")
    with Watched(root) as watched:
        git("checkout", "main")
        heard = watched.until("ready") + watched.rest()
    assert kinds(heard).count("changed") == 1
    assert len(texts(heard, "changed")[0].split(", ")) == 50
    assert sorted(made(heard)) == sorted(f"s{i}" for i in range(50))


def test_a_fault_is_shown_and_the_last_good_assets_stay(watched: Watched) -> None:
    path, sound = watched.root / "sounds" / "a.yaml", watched.root / "out" / "zap.wav"
    before = sound.read_bytes()
    path.write_text(A_TEXT % "much")
    heard = watched.until("ready")
    assert kinds(heard) == ["changed", "fault", "ready"]
    assert heard[1].text.startswith("sounds/a.yaml:4:20: sound 'zap': fm.pitch_hz is 'much'")
    assert sound.read_bytes() == before
    path.write_text(A_TEXT % 880)
    assert kinds(watched.until("ready")) == ["changed", "made", "ready"]
    assert sound.read_bytes() != before


def test_an_edit_during_a_build_cancels_what_became_stale(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three sounds are to be made; after the first, the edit takes the third away and changes the second."""
    sounds = root / "sounds" / "a.yaml"
    one = "version: 1\ndefaults: {duration_s: 0.05}\nsounds:\n  s1: {fm: {pitch_hz: 301}}\n"
    sounds.write_text(one + "  s2: {fm: {pitch_hz: 302}}\n  s3: {fm: {pitch_hz: 303}}\n")
    seen_by_outdated = threading.Event()

    def edit_after_the_first(event: Event) -> None:
        if (event.kind, event.sound) == ("made", "s1") and not seen_by_outdated.is_set():
            save_by_renaming(sounds, one + "  s2: {fm: {pitch_hz: 999}}\n")
            seen_by_outdated.set()
            deadline = time.monotonic() + LIMIT_S
            while not bells[0].stirred.is_set() and time.monotonic() < deadline:
                time.sleep(0.001)

    from sfxgen import watch as watch_module

    bells: list[watch_module.Bell] = []

    class KnownBell(watch_module.Bell):
        def __init__(self, root: Path) -> None:
            super().__init__(root)
            bells.append(self)

    monkeypatch.setattr(watch_module, "Bell", KnownBell)
    watched = Watched(root)
    watched.on_event = edit_after_the_first
    threading.Thread.start(watched._thread)
    try:
        heard = watched.until("ready")
    finally:
        watched.__exit__()
    assert made(heard) == ["s1", "s2", "hiss"]
    assert kinds(heard).count("changed") == 1
    assert kinds(heard).index("changed") == kinds(heard).index("made") + 1
    assert not (root / "out" / "s3.wav").exists()
    assert plan_project(root).plan.stale == ()


def write_recording(path: Path, pitch_hz: float) -> None:
    path.parent.mkdir(exist_ok=True)
    seconds = np.arange(4800) / 48000
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * pitch_hz * seconds), 48000)


def test_a_changed_recording_rebuilds_its_sound_alone(root: Path) -> None:
    write_recording(root / "recordings" / "door.wav", 200)
    (root / "sounds" / "c.yaml").write_text("version: 1\nsounds:\n  door: {file: {source: ../recordings/door.wav}}\n")
    with Watched(root) as watched:
        write_recording(root / "recordings" / "door.wav", 400)
        heard = watched.until("ready") + watched.rest()
        assert kinds(heard) == ["changed", "made", "ready"]
        assert texts(heard, "changed") == ["recordings/door.wav"]
        assert made(heard) == ["door"]
        (root / "sounds" / "c.yaml").unlink()
        assert texts(watched.until("ready"), "removed") == ["out/door.wav"]
        write_recording(root / "recordings" / "door.wav", 500)  # nobody reads it now
        assert kinds(watched.rest()) == []


def test_a_library_that_grows_makes_what_is_sampled_from_it_anew(root: Path) -> None:
    add_folder(write_recordings(root / "raw"), root / "library")
    (root / "sfxgen.yaml").write_text("engine: plain\nout: out\nprior: ./library\n")
    (root / "sounds" / "c.yaml").write_text("version: 1\nsounds:\n  ring: {text: {steps: 2}, prompt: bell ring}\n")
    with Watched(root) as watched:
        write_recording(root / "more" / "gong.wav", 120)
        add_folder(root / "more", root / "library")
        heard = watched.until("ready")
        assert texts(heard, "changed") == ["library/library.json"]
        assert made(heard) == ["ring"]


def test_a_missing_recording_is_awaited(root: Path) -> None:
    (root / "sounds" / "c.yaml").write_text("version: 1\nsounds:\n  door: {file: {source: ../later/deep/door.wav}}\n")
    with Watched(root) as watched:
        (root / "later").mkdir()
        (root / "later" / "deep").mkdir()
        write_recording(root / "later" / "deep" / "door.wav", 300)
        assert made(watched.until("made")) == ["door"]


def test_manifests_come_and_go(watched: Watched) -> None:
    new = watched.root / "sounds" / "deep" / "new.yaml"
    new.parent.mkdir()
    new.write_text("version: 1\nsounds:\n  blip: {fm: {pitch_hz: 1000}, duration_s: 0.05}\n")
    heard = watched.until("ready")
    assert (texts(heard, "changed"), made(heard)) == (["sounds/deep/new.yaml"], ["blip"])
    new.unlink()
    heard = watched.until("ready")
    assert (texts(heard, "changed"), texts(heard, "removed")) == (["sounds/deep/new.yaml"], ["out/blip.wav"])


def test_a_new_setting_is_heard(watched: Watched) -> None:
    (watched.root / "sfxgen.yaml").write_text("engine: plain\nout: out\nmaster: {loudness_lufs: -24}\n")
    heard = watched.until("ready")
    assert texts(heard, "changed") == ["sfxgen.yaml"]
    assert sorted(made(heard)) == ["hiss", "zap"]


def test_a_new_folder_of_manifests_is_watched(watched: Watched) -> None:
    """sfxgen.yaml first names a folder that is not there yet; then that folder comes, and with it manifests."""
    (watched.root / "sfxgen.yaml").write_text("engine: plain\nout: out\nmanifests: [sounds, more/levels]\n")
    watched.until("ready")
    (watched.root / "more").mkdir()
    (watched.root / "more" / "levels").mkdir()
    (watched.root / "more" / "levels" / "new.yaml").write_text(
        "version: 1\nsounds:\n  blip: {fm: {pitch_hz: 1000}, duration_s: 0.05}\n"
    )
    assert made(watched.until("made")) == ["blip"]


def test_a_project_may_begin_while_it_is_watched(tmp_path: Path) -> None:
    with Watched(tmp_path) as watched:
        (tmp_path / "sounds").mkdir()
        (tmp_path / "sounds" / "a.yaml").write_text(A_TEXT % 440)
        assert made(watched.until("made")) == ["zap"]


def test_a_folder_that_is_replaced_is_watched_anew(watched: Watched) -> None:
    shutil.copytree(watched.root / "sounds", watched.root / "elsewhere")
    shutil.rmtree(watched.root / "sounds")
    (watched.root / "elsewhere").rename(watched.root / "sounds")
    watched.rest()
    (watched.root / "sounds" / "a.yaml").write_text(A_TEXT % 1234)
    assert made(watched.until("made")) == ["zap"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_leaves_all_whole(root: Path) -> None:
    many = "".join(f"  s{i}: {{fm: {{pitch_hz: {200 + i}}}, duration_s: 0.05}}\n" for i in range(40))
    (root / "sounds" / "many.yaml").write_text(f"version: 1\nsounds:\n{many}")
    command = [sys.executable, "-m", "sfxgen", "watch", "--jobs", "2", "--json"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if '"made"' in line:
                break
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers, too
        process.stdout.read()
        assert process.wait(LIMIT_S) == 130
    files = sorted((root / "out").rglob("*"))
    assert files
    assert [path for path in files if path.suffix not in (".wav", ".json")] == []
    for path in files:
        if path.suffix == ".wav":
            assert soundfile.info(path).frames > 0
    locked = plan_project(root)
    assert locked.lock.sounds
    assert locked.plan.left_alone == {}
    assert build_module.build(root, n_workers=1).exit_code == 0
    assert plan_project(root).plan.stale == ()
    assert (root / LOCK_FILE).is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="reads the thread's own clock")
def test_no_busy_loop(root: Path) -> None:
    """An idle watch uses a small part of a core: that of a loop would be all of it."""
    with Watched(root) as watched:
        watched.rest()
        before_s, began_s = time.process_time(), time.monotonic()
        while time.monotonic() - began_s < 1.0:
            time.sleep(0.1)
        assert time.process_time() - before_s < 0.25
    with contextlib.suppress(queue.Empty):
        assert watched._queue.get_nowait() is None
