"""Watch mode: one save, one rebuild, however the editor saves.

Editors truncate, rename over, or write a swap file first; `git checkout` changes fifty manifests at once. So the
events of the file system only say "look": what counts is whether the content of a watched file differs from what
the last build read.
"""

from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from sfxgen.build import build
from sfxgen.disk import Disk
from sfxgen.errors import ManifestError, SfxgenError
from sfxgen.events import Event, OnEvent, ignore
from sfxgen.execute import Workers
from sfxgen.library.places import INDEX_FILE
from sfxgen.manifest.config import Config
from sfxgen.manifest.paths import inside, is_path
from sfxgen.manifest.project import CONFIG_FILE, load_config, manifest_paths
from sfxgen.threads import usable_cores

QUIET_S = 0.02  # a save is over when nothing has happened for this long and nobody is still writing …
LONGEST_S = 2.0  # … or when it has gone on for this long
_TELLS_OF_CLOSING = sys.platform == "linux"  # where a writer that is done is an event of its own
_EMPTY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class Inputs:
    """What a build reads: the digest of each file (None: absent), and the folders to watch (True: with subfolders)."""

    digests: Mapping[str, str | None]
    folders: Mapping[Path, bool]

    def changed_since(self, before: Mapping[str, str | None]) -> list[str]:
        """The files that are new, gone or different."""
        paths = before.keys() | self.digests.keys()
        return sorted(path for path in paths if before.get(path) != self.digests.get(path))


class InputReader:
    """Finds what the project reads. While sfxgen.yaml is at fault, its last good state counts.

    recordings: what the manifests' last good state reads beside themselves.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.recordings: tuple[str, ...] = ()
        self._disk = Disk(root)
        self._config = Config()

    def read(self) -> Inputs:
        with contextlib.suppress(SfxgenError):
            self._config = load_config(self.root)
        manifests = [path.relative_to(self.root).as_posix() for path in manifest_paths(self.root, self._config)]
        paths = (CONFIG_FILE, *manifests, *self.recordings, *self._libraries())
        return Inputs({path: self._disk.digest(path) for path in paths}, self._folders())

    def _libraries(self) -> tuple[str, ...]:
        """The index of each sound library of the project's own; it changes whenever anything in the library does."""
        folders = (inside("", name) for name in self._config.prior if is_path(name))
        return tuple(f"{folder}/{INDEX_FILE}" for folder in folders if folder)

    def _folders(self) -> dict[Path, bool]:
        """Where the inputs are or may come to be: for a folder that is not there yet, the nearest that is."""
        folders = {self.root: False}
        for recording in (*self.recordings, *self._libraries()):
            folders[_nearest((self.root / recording).parent)] = False
        for pattern in self._config.manifests:
            fixed = self.root
            for part in Path(pattern).parts:
                if any(wildcard in part for wildcard in "*?["):
                    break
                fixed = fixed / part
            if fixed.is_dir():
                folders[fixed] = True
            for parent in (fixed, *fixed.parents):  # one that is replaced takes the watch below it along
                if parent.is_relative_to(self.root) and parent.is_dir():
                    folders.setdefault(parent, False)
        return folders


def _nearest(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.is_dir())


class Bell(FileSystemEventHandler):
    """Rings when something that may matter stirs in the folders it looks at."""

    def __init__(self, root: Path) -> None:
        self.stirred = threading.Event()
        self._observer: BaseObserver = Observer()
        self._watches: dict[Path, tuple[bool, ObservedWatch]] = {}
        self._gone: set[Path] = set()
        self._known: set[str] = set()
        self._being_written: set[str] = set()
        repository = next((folder for folder in (root, *root.parents) if (folder / ".git").is_dir()), root)
        self._git_works = repository / ".git" / "index.lock"  # git holds it while it changes many files

    def __enter__(self) -> Bell:
        self._observer.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._observer.stop()
        self._observer.join()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called in the observer's thread."""
        source, target = str(event.src_path), str(event.dest_path)
        if event.event_type in ("deleted", "moved"):
            self._being_written.discard(source)
            if event.is_directory:
                self._gone.add(Path(source))
        if event.event_type in ("opened", "closed_no_write"):
            return  # our own reading makes these
        if event.is_directory:
            if event.event_type != "modified":  # something in it was: that has its own event
                self.stirred.set()
        elif self._matters(source) or self._matters(target):
            if event.event_type == "modified" and _TELLS_OF_CLOSING:
                self._being_written.add(source)
            elif event.event_type == "closed":
                self._being_written.discard(source)
            self.stirred.set()

    def look_at(self, root: Path, inputs: Inputs) -> bool:
        """Watch these folders and no others, those anew that were removed and made again.

        Whether any was added: what happened in it before went unheard. Raises SfxgenError where the system refuses.
        """
        self._known = {str(root / path) for path in inputs.digests}
        gone, self._gone = self._gone, set()
        for folder, (deep, watch) in list(self._watches.items()):
            if gone.intersection((folder, *folder.parents)) or inputs.folders.get(folder) != deep:
                self._observer.unschedule(watch)
                del self._watches[folder]
        added = [folder for folder in inputs.folders if folder not in self._watches]
        for folder in added:
            deep = inputs.folders[folder]
            try:
                self._watches[folder] = deep, self._observer.schedule(self, str(folder), recursive=deep)
            except FileNotFoundError:
                self.stirred.set()  # it went while we looked: look again
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                cure = "on Linux `sysctl fs.inotify.max_user_watches=1048576` raises the usual limit"
                raise SfxgenError(f"cannot watch {folder}: {reason}; {cure}") from error
        return bool(added)

    def wait(self, stop: threading.Event) -> None:
        """Return when something stirs or when `stop` is set."""
        while not (self.stirred.wait(0.1) or stop.is_set()):
            pass

    def rest(self) -> None:
        """Return when what stirs has come to rest: at once where nothing does."""
        began = time.monotonic()
        while self.stirred.is_set() or self._busy():
            self.stirred.clear()
            if time.monotonic() - began > LONGEST_S:
                self._being_written.clear()  # not every system tells of the end
                return
            self.stirred.wait(QUIET_S)

    def _busy(self) -> bool:
        return bool(self._being_written) or self._git_works.exists()

    def _matters(self, path: str) -> bool:
        return path.endswith((".yaml", ".yml")) or path in self._known


def watch(
    root: Path, *, n_workers: int | None = None, on_event: OnEvent = ignore, stop: threading.Event | None = None
) -> None:
    """Build, then build again whenever a manifest, the config or a recording changes, until `stop` is set or Ctrl-C.

    A fault is shown and the last good assets stay. A change during a build ends it: what is made is kept, and what no
    longer fits is made again. Raises SfxgenError where the folder cannot be watched.
    """
    stop = stop or threading.Event()
    inputs = InputReader(root)
    built: dict[str, str | None] | None = None
    with Workers(n_workers or usable_cores()) as workers, Bell(root) as bell:
        workers.warm_up()
        while not stop.is_set():
            bell.rest()
            now = inputs.read()
            if bell.look_at(root, now):
                continue
            changed = now.changed_since(built or {})
            emptied = any(now.digests.get(path) == _EMPTY for path in changed)  # the rest is about to be written
            if built is not None and changed and bell.stirred.wait(LONGEST_S if emptied else QUIET_S):
                continue  # it was read amid a save
            if built is None or changed:
                if built is not None:
                    on_event(Event("changed", text=", ".join(changed)))
                built = dict(now.digests)
                recordings = _build_once(root, workers, on_event, _Outdated(bell, inputs, now, stop))
                if recordings is not None:
                    built = {path: digest for path, digest in built.items() if path not in inputs.recordings}
                    built |= recordings
                    inputs.recordings = tuple(recordings)
                continue
            bell.wait(stop)


class _Outdated:
    """Asked between jobs: has an input changed since the build began, or shall the watch end?"""

    def __init__(self, bell: Bell, inputs: InputReader, built: Inputs, stop: threading.Event) -> None:
        self._bell, self._inputs, self._built, self._stop = bell, inputs, built, stop
        self._yes = False

    def __call__(self) -> bool:
        if not self._yes and self._bell.stirred.is_set():
            self._bell.stirred.clear()
            self._yes = bool(self._inputs.read().changed_since(self._built.digests))
            if self._yes:
                self._bell.stirred.set()  # the save may go on: the loop shall wait for its end
        return self._yes or self._stop.is_set()


def _build_once(
    root: Path, workers: Workers, on_event: OnEvent, cancelled: Callable[[], bool]
) -> dict[str, str | None] | None:
    """The recordings that the build's sounds read, with the digests that it saw; None where it did not end."""
    try:
        report = build(root, workers=workers, on_event=on_event, cancelled=cancelled, sketch=True)
    except ManifestError as error:
        for fault in error.faults:
            on_event(Event("fault", text=str(fault)))
    except SfxgenError as error:
        on_event(Event("failed", text=str(error)))
    else:
        for path, why in report.left_alone.items():
            on_event(Event("left", text=f"{path}: {why}"))
        if report.cancelled:
            return None
        on_event(Event("ready"))
        return dict(pair for planned in report.planning.plan.sounds for pair in planned.job.recordings)
    on_event(Event("ready"))
    return None
