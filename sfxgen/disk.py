"""The project's folder, written with care: whole files only, ours only, and quick to check.

A file is written to a temporary name in its own folder and renamed over the old one. Before that, its digest goes
into a journal; so whenever sfxgen is killed, the next run still knows which files are its own, although the lock,
written last, does not name them yet.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sfxgen.errors import BadInput, CannotWrite, name_os_error

STATE_FOLDER = ".sfxgen"
_RACY_NS = 2_000_000_000  # a file this young may change again within its time stamp's grain (2 s on FAT), as in git
_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
_TEXT = (".json", ".import", ".tres", ".meta", ".gd", ".cs", ".js")  # version control may give these Windows line ends


def content_digest(path: str, data: bytes) -> str:
    """SHA-256 of a file's content, as hex.

    A Git LFS pointer counts as the content that it points to, and text with Windows line ends as the same with plain
    ones.
    """
    if len(data) < 300 and data.startswith(_LFS_POINTER):
        return data.partition(b"oid sha256:")[2][:64].decode("ascii", "replace")
    return hashlib.sha256(data.replace(b"\r\n", b"\n") if path.endswith(_TEXT) else data).hexdigest()


def temporary_for(path: Path) -> Path:
    """Where a file is written before it takes its name. Engines, Unity too, pass over names that begin with a dot."""
    return path.with_name(f".{path.name}.sfxgen-tmp")


def write_atomically(path: Path, data: bytes, temporary: Path | None = None) -> None:
    """All of `data` at `path`, or the file as it was. Raises CannotWrite."""
    temporary = temporary or temporary_for(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise name_os_error(error, path) from error


class Disk:
    """Reads and writes files of one project by their project-relative posix paths.

    journal: path → digest → settings, for every file that a run which did not finish meant to write there, the latest
        last. The settings are what was set in a file that is shared with the engine (a sidecar), {} in others.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._prefix = f"{root}/"
        self._state = root / STATE_FOLDER
        self._seen: dict[str, list[Any]] = _json(self._state / "digests.json")
        self._fresh: dict[str, list[Any]] = {}
        self.journal: dict[str, dict[str, dict[str, str]]] = {}
        self._read_journal()

    def digest(self, path: str) -> str | None:
        """The file's content digest, None where there is no such file.

        Unchanged size, time and inode stand for unchanged content, as in git's index.
        """
        full = f"{self._prefix}{path}"
        try:
            status = os.stat(full)  # noqa: PTH116  (thousands a run: making each a Path costs more than the look)
            if not stat.S_ISREG(status.st_mode):
                return None
            mark = [status.st_size, status.st_mtime_ns, status.st_ino]
            known = self._fresh.get(path) or self._seen.get(path)
            if known is None or known[:3] != mark:
                known = [*mark, content_digest(path, Path(full).read_bytes())]
        except (OSError, ValueError):
            return None
        if time.time_ns() - status.st_mtime_ns > _RACY_NS:
            self._fresh[path] = known
        return str(known[3])

    def exists(self, path: str) -> bool:
        return os.path.exists(f"{self._prefix}{path}")  # noqa: PTH110

    def owned(self, locked: Mapping[str, str]) -> dict[str, set[str]]:
        """Path → digests under which it is ours: by the lock, and by the journal of a run that was killed."""
        owned = {path: {digest} for path, digest in locked.items()}
        for path, noted in self.journal.items():
            owned.setdefault(path, set()).update(noted)
        return owned

    def read_text(self, path: str) -> str | None:
        """A text file's content, None where it is absent. Raises BadInput where it is not text."""
        try:
            return (self.root / path).read_bytes().decode("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{path} cannot be read: {error}; move it away or repair it") from error

    def write(self, path: str, data: bytes, settings: Mapping[str, str] | None = None) -> None:
        """Write a file. Raises CannotWrite, also where a link leads out of the project.

        settings: what we set in a file that is not wholly ours.
        """
        full = self._inside(path, "write")
        self._note(path, content_digest(path, data), dict(settings or {}))
        write_atomically(full, data)
        self._fresh.pop(path, None)
        self._seen.pop(path, None)

    def remove(self, path: str) -> None:
        """Remove a file, and its folder where nothing else is left in it. Raises CannotWrite."""
        full = self._inside(path, "remove")
        try:
            full.unlink(missing_ok=True)
        except OSError as error:
            raise CannotWrite(f"cannot remove {path}: {(error.strerror or str(error)).lower()}") from error
        with contextlib.suppress(OSError):
            for folder in full.parents:
                if folder == self.root:
                    break
                folder.rmdir()

    def settle(self, locked: Mapping[str, str]) -> None:
        """Call when the lock is written, with its digests: the journal keeps only what the lock does not yet know.

        What cannot be written here only costs time.
        """
        with contextlib.suppress(OSError):
            for path in self.journal:  # what a killed run left half-written
                temporary_for(self.root / path).unlink(missing_ok=True)
        on_disk = {path: self.digest(path) for path in self.journal}
        self.journal = {
            path: noted
            for path, noted in self.journal.items()
            if on_disk[path] in noted and on_disk[path] != locked.get(path)
        }
        lines = [_line(path, *entry) for path, noted in self.journal.items() for entry in noted.items()]
        with contextlib.suppress(OSError, CannotWrite):
            if lines:
                write_atomically(self._state / "journal", "".join(lines).encode())
            else:
                (self._state / "journal").unlink(missing_ok=True)
        self.remember_digests()

    def remember_digests(self) -> None:
        """Keep the digests seen for the next run. What cannot be written here only costs time."""
        if self._fresh != self._seen:
            with contextlib.suppress(CannotWrite):
                write_atomically(self.make_state_folder() / "digests.json", json.dumps(self._fresh).encode())
            self._seen = dict(self._fresh)

    @contextlib.contextmanager
    def only_builder(self, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Wait until no other sfxgen builds in this project; the system frees the lock of one that was killed."""
        from filelock import FileLock, Timeout

        lock = FileLock(self.make_state_folder() / "build.lock")
        try:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                on_wait()
                lock.acquire()
        except OSError as error:
            raise name_os_error(error, Path(lock.lock_file)) from error
        try:
            yield
        finally:
            lock.release()

    def make_state_folder(self) -> Path:
        """The folder for our own state, made on first use and invisible to git. Raises CannotWrite."""
        try:
            self._state.mkdir(exist_ok=True)
            ignore = self._state / ".gitignore"
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
        except OSError as error:
            raise name_os_error(error, self._state) from error
        return self._state

    def _inside(self, path: str, verb: str) -> Path:
        full = self.root / path
        if not full.parent.resolve().is_relative_to(self.root.resolve()):
            raise CannotWrite(f"cannot {verb} {path}: its folder is a link that leads out of the project")
        return full

    def _note(self, path: str, digest: str, settings: dict[str, str]) -> None:
        self.make_state_folder()
        try:
            with (self._state / "journal").open("a", encoding="utf-8") as journal:
                journal.write(_line(path, digest, settings))
        except OSError as error:
            raise name_os_error(error, self.root / path) from error
        self._remember(path, digest, settings)

    def _remember(self, path: str, digest: str, settings: dict[str, str]) -> None:
        noted = self.journal.setdefault(path, {})
        noted.pop(digest, None)
        noted[digest] = settings

    def _read_journal(self) -> None:
        with contextlib.suppress(OSError):
            for line in (self._state / "journal").read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(ValueError, TypeError):  # a full disk tears a line
                    self._remember(*json.loads(line))


def _line(path: str, digest: str, settings: dict[str, str]) -> str:
    """One entry of the journal. It begins a line of its own even where the one before was torn."""
    return f"\n{json.dumps([path, digest, settings])}\n"


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
