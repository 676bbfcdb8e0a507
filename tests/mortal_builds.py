"""Builds that are killed. A warm process forks a child a build, so that fifty of them cost no fifty imports.

Run as a script, it answers one JSON line on standard input with one on standard output. Linux only.
"""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_CHANGES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}  # audit events of a file system change
_PR_SET_CHILD_SUBREAPER = 36  # <linux/prctl.h>
_PATIENCE_S = 60


@dataclass(frozen=True)
class End:
    """killed: by our signal, before it was through; what follows is then empty. left_alone: as the report has it.

    n_changes: how often it changed something in the project's folder. seconds: from its start to its end.
    n_orphans: how many processes of its own outlived it; all have ended by now.
    """

    killed: bool
    seconds: float
    n_orphans: int
    exit_code: int | None = None
    n_changes: int = 0
    left_alone: dict[str, str] = field(default_factory=dict)


class MortalBuilds:
    """Use as a context manager."""

    def __enter__(self) -> MortalBuilds:
        command = [sys.executable, __file__]
        alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | alone
        )
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.communicate()
        assert self._server.returncode == 0

    def build(
        self,
        root: Path,
        cache: Path,
        *,
        kill_after_s: float | None = None,
        kill_at_change: int | None = None,
        n_workers: int = 1,
    ) -> End:
        """Build; kill -9 after a time, or right before the n-th change (from 1) of something in the folder."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        order = [str(root), str(cache), kill_after_s, kill_at_change, n_workers]
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return End(**json.loads(self._server.stdout.readline()))


def serve() -> None:
    import ctypes

    import torch

    from sfxgen.execute import Workers

    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)  # orphans become ours, so that we see them end
    torch.set_num_threads(1)  # a fork inherits no threads, but the locks that they held
    Workers(1).warm_up()
    for line in sys.stdin:
        print(json.dumps(_in_a_child(*json.loads(line))), flush=True)


def _in_a_child(
    root: str, cache: str, kill_after_s: float | None, kill_at_change: int | None, n_workers: int
) -> dict[str, Any]:
    began = time.perf_counter()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        _build(root, cache, kill_at_change, n_workers, write)
    os.close(write)
    deadline = threading.Timer(_PATIENCE_S, os.kill, (child, signal.SIGABRT))  # a build that hangs says where
    deadline.start()
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    deadline.cancel()
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGABRT:
        raise TimeoutError("a build hung; its stack is above")
    seconds = time.perf_counter() - began
    with os.fdopen(read) as pipe:
        said = pipe.read()
    end = {"killed": os.WIFSIGNALED(status) and not said, "seconds": seconds, "n_orphans": _outlive_orphans(child)}
    return end | (json.loads(said) if said else {})


def _outlive_orphans(group: int) -> int:
    """Wait for what is left of a process group; gives how many processes that were."""
    n_orphans = 0
    give_up = time.monotonic() + _PATIENCE_S
    while time.monotonic() < give_up:
        try:
            n_orphans += os.waitpid(-group, os.WNOHANG) != (0, 0)
        except ChildProcessError:
            return n_orphans
        time.sleep(0.005)
    raise TimeoutError("a killed build's workers still run")


def _build(root: str, cache: str, kill_at_change: int | None, n_workers: int, write: int) -> None:
    """Never returns."""
    from sfxgen.build import build

    faulthandler.enable()
    os.environ["SFXGEN_CACHE"] = cache
    n_changes = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal n_changes
        if event not in _CHANGES or not str(arguments[0]).startswith(root):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
        n_changes += 1
        if n_changes == kill_at_change:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    try:
        report = build(Path(root), n_workers=n_workers)
        said = {"exit_code": report.exit_code, "n_changes": n_changes, "left_alone": report.left_alone}
        os.write(write, json.dumps(said).encode())
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


if __name__ == "__main__":
    serve()
