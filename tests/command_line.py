"""The program as a person starts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def sfxgen(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder, whatever its exit code."""
    command = [sys.executable, "-m", "sfxgen", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=250)
