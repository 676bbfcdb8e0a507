"""A content-addressed store of bytes that were expensive to make: rendered takes, modal solutions.

It may be shared by projects, processes and machines (a network folder): entries are written whole under a temporary
name and renamed, carry their own digest, and a damaged one counts as absent.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from sfxgen.disk import write_atomically
from sfxgen.errors import CannotWrite

DEFAULT_LIMIT_BYTES = 2_000_000_000
_DIGEST_BYTES = 32


def default_folder() -> Path:
    """$SFXGEN_CACHE, or the user's own cache folder."""
    from platformdirs import user_cache_path

    given = os.environ.get("SFXGEN_CACHE")
    return Path(given) if given else user_cache_path("sfxgen", appauthor=False)


class Cache:
    """Keys are any text; the store's file names are their digests. A write-only cache knows nothing, but stores."""

    def __init__(self, folder: Path, write_only: bool = False) -> None:
        self.folder = folder
        self.write_only = write_only

    def get(self, key: str) -> bytes | None:
        path = self._path(key)
        if self.write_only:
            return None
        try:
            data = path.read_bytes()
        except OSError:
            return None
        digest, content = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if hashlib.sha256(content).digest() != digest:
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # the least recently used go first
        return content

    def put(self, key: str, content: bytes) -> None:
        """Store; a cache that cannot be written is only slower, never an error."""
        path = self._path(key)
        temporary = path.with_name(f"{path.name}.{uuid4().hex}")  # several writers may put the same key at once
        with contextlib.suppress(CannotWrite):
            write_atomically(path, hashlib.sha256(content).digest() + content, temporary)

    def cached(self, key: str, make: Callable[[], bytes]) -> bytes:
        """The stored bytes, else what `make` gives, stored for the next time."""
        content = self.get(key)
        if content is None:
            content = make()
            self.put(key, content)
        return content

    def size_bytes(self) -> int:
        return sum(size for _, size, _ in self._entries())

    def trim(self, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> int:
        """Remove the least recently used entries until the store fits; gives how many bytes went."""
        entries = sorted(self._entries())
        surplus = sum(size for _, size, _ in entries) - limit_bytes
        gone = 0
        for _, size, path in entries:
            if gone >= surplus:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                gone += size
        return gone

    def _entries(self) -> list[tuple[int, int, Path]]:
        """(last use in ns, size in bytes, path) of every entry."""
        found = []
        for path in self.folder.glob("??/*"):
            with contextlib.suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size, path))
        return found

    def _path(self, key: str) -> Path:
        name = hashlib.sha256(key.encode()).hexdigest()
        return self.folder / name[:2] / name[2:]
