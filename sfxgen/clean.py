"""`sfxgen clean`: everything that sfxgen made goes, unless someone changed it since."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sfxgen.build import cache_folder
from sfxgen.cache import Cache
from sfxgen.disk import Disk
from sfxgen.lock import read_lock
from sfxgen.manifest.project import LOCK_FILE, load_config


def clean(root: Path, *, cache: bool, dry_run: bool) -> Iterator[str]:
    """Remove what is ours, by the lock or by a killed build's journal, and the lock itself; say each step.

    Raises CannotWrite, BadInput.
    """
    with contextlib.nullcontext() if dry_run else Disk(root).only_builder():
        disk = Disk(root)
        n_removed = 0
        for path, digests in sorted(disk.owned(read_lock(root).digests()).items()):
            if disk.digest(path) in digests:
                n_removed += 1
                if not dry_run:
                    disk.remove(path)
            elif disk.exists(path):
                yield f"left alone: {path}: it was changed since sfxgen wrote it"
        if not dry_run:
            disk.remove(LOCK_FILE)
            disk.settle({})
    yield f"{'would remove' if dry_run else 'removed'} {n_removed} files"
    if cache:
        store = Cache(cache_folder(root, load_config(root)))
        size = store.size_bytes() if dry_run else store.trim(0)
        yield f"{'would empty' if dry_run else 'emptied'} the cache {store.folder}: {size / 1e6:.1f} MB"
