"""Debian packages, downloaded and unpacked into a cache without root."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


class CannotFetch(Exception):
    """A package is not to be had; the message says why and what to do."""


def unpacked(package: str, cache: Path) -> Path:
    """The folder that holds the package's files (`usr/…`). Downloads it on first use. Raises CannotFetch."""
    folder, partial = cache / "packages" / package, cache / "packages" / f".{package}.part"
    if folder.exists():
        return folder
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    archive = _download(package, partial)
    _run(["dpkg", "-x", archive.name, "files"], partial, f"{archive.name} cannot be unpacked")
    (partial / "files").rename(folder)
    shutil.rmtree(partial)
    return folder


def _download(package: str, folder: Path) -> Path:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise CannotFetch(
            f"apt-get and dpkg are needed to fetch {package}; run this on Debian 12 or in a container of it, or put "
            f"the unpacked package into {folder.parent / package}"
        )
    _run(["apt-get", "download", package], folder, f"{package} cannot be downloaded (try `apt-get update` first)")
    found = list(folder.glob("*.deb"))
    if not found:
        raise CannotFetch(f"apt-get download {package} left no file")
    return found[0]


def _run(command: list[str], folder: Path, what: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotFetch(f"{what}: {done.stderr.strip()}")
