"""pip, run so that a person sees what happens, and its failures in one line each. Standard library only."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

SILENCE_S = 10.0  # after so long without a word from pip, one of ours
DOWNLOAD = re.compile(
    r"(?:Downloading|Using cached|Processing) (?:\S*/)?(?P<name>[\w.]+)-(?P<version>\d[^-]*)-\S+\.whl"
    r"(?: \((?:(?P<size>\d[^)]*)|from .*)\))?$"
)
INSTALLING = "Installing collected packages:"
FAILURES = (
    ("No space left on device|Errno 28|disk full", "the disk is full: make room (a full install takes about 1.5 GB)"),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "the package index's certificate is not trusted: point PIP_CERT at your network's own",
    ),
    (
        "Failed to establish a new connection|Name or service not known|Temporary failure in name resolution"
        "|getaddrinfo failed|Network is unreachable|ConnectTimeoutError|Read timed out|ProxyError|Connection refused"
        "|Connection reset",
        "the package index cannot be reached: connect to the network (behind a proxy, set HTTPS_PROXY)",
    ),
    (
        "Permission denied|Errno 13",
        "a file may not be written: is the folder yours, and does nothing run from .venv?",
    ),
)
NO_BUILD = re.compile(r"Could not find a version that satisfies the requirement (\S+)")


class InstallFailed(Exception):
    """pip ended with an error. `log` is all it said; `packages_touched` whether it had begun to change packages."""

    def __init__(self, log: list[str]) -> None:
        super().__init__(log[-1] if log else "pip said nothing")
        self.log = log
        self.packages_touched = any(line.startswith(INSTALLING) for line in log)


def run_pip(python: str, arguments: list[str]) -> None:
    """Run pip in the environment of `python`, with the person's own pip settings. Raises InstallFailed."""
    command = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    log: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
    ) as process:
        try:
            for line in narrated(process):
                log.append(line)
        except KeyboardInterrupt:
            process.wait()
            raise
    if process.returncode != 0:
        raise InstallFailed(log)


def why_it_failed(error: InstallFailed) -> str:
    """The cause and the cure, in one line."""
    text = "\n".join(error.log)
    for pattern, cure in FAILURES:
        if re.search(pattern, text):
            return cure + "; then run the same command again"
    if missing := NO_BUILD.search(text):
        return f"there is no build of {missing[1]} for this Python and system: use a 64-bit Python 3.11 to 3.14"
    errors = [line for line in error.log if line.startswith("ERROR")]
    return f"pip failed: {(errors or error.log or ['it said nothing'])[-1]}"


def narrated(process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield what pip says line by line, printing what a person wants to know of it."""
    started = time.monotonic()
    n_packages = 0
    for line in lines_or_silence(process):
        if line is None:
            megabytes = downloading_bytes(time.time() - (time.monotonic() - started)) / 1e6
            so_far = f", {megabytes:.0f} MB of this file" if megabytes else ""
            print(f"  … {time.monotonic() - started:.0f} s{so_far}", flush=True)
            continue
        if found := DOWNLOAD.match(line.strip()):
            n_packages += 1
            size = f", {found['size']}" if found["size"] else ""
            print(f"  {n_packages:2d}  {found['name']} {found['version']}{size}", flush=True)
        elif line.startswith(INSTALLING):
            n_unpacked = line.count(",") + 1
            print(f"  unpacking {n_unpacked} package{'s' if n_unpacked > 1 else ''}", flush=True)
        elif line.startswith("WARNING: Retrying"):
            print("  no answer from the package index; pip tries again", flush=True)
        yield line


def lines_or_silence(process: subprocess.Popen[str]) -> Iterator[str | None]:
    """The lines that a process prints, and None for each SILENCE_S without one."""
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        with contextlib.suppress(ValueError):  # after Ctrl-C the pipe may be closed before its end is read
            for line in process.stdout:
                lines.put(line.rstrip("\n"))
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        try:
            line = lines.get(timeout=SILENCE_S)
        except queue.Empty:
            yield None
            continue
        if line is None:
            return
        yield line


def downloading_bytes(since: float) -> int:
    """The size of the file that pip is fetching: it lies in a pip-unpack folder until it is complete."""
    newest = (0.0, 0)
    for path in Path(tempfile.gettempdir()).glob("pip-unpack-*/*"):
        try:
            status = path.stat()
        except OSError:
            continue
        newest = max(newest, (status.st_mtime, status.st_size))
    return newest[1] if newest[0] > max(since, time.time() - SILENCE_S) else 0
