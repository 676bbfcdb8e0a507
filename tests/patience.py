"""Outside programs that may hang, an installer whose network stalls for one: ended with all that they began."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest


def run_or_skip(command: Sequence[str], limit_s: float = 120.0) -> None:
    """Run a command that sets up what a test judges by; skip the test, with the reason, where that cannot be had."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            _, errors = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            _end_all(process)
            pytest.skip(f"{command[0]} did not end within {limit_s:g} s")
    if process.returncode != 0:
        pytest.skip(f"{command[0]} failed: {errors.strip()[-200:]}")


def _end_all(process: subprocess.Popen[str]) -> None:
    """The whole process group: a child of the command that lives on would hold the pipe open for ever."""
    if sys.platform == "win32":
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
