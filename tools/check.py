"""Everything that must hold before a change goes in: `python tools/check.py`, or only the steps named after it.

Prints each failing step's own words, then one verdict a step. Exit code 0 when all hold, 1 when one does not.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STEPS = {
    "lint": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "types": ["mypy"],
    "imports": ["pytest", "tests/test_imports.py"],
    "tests": ["pytest"],
}


def main(names: list[str]) -> int:
    if unknown := [name for name in names if name not in STEPS]:
        print(f"check.py: no step {', '.join(unknown)}; there are {', '.join(STEPS)}", file=sys.stderr)
        return 2
    verdicts = {name: holds(name) for name in names or STEPS}
    for name, (good, seconds) in verdicts.items():
        print(f"{name:8s} {'ok' if good else 'FAILED'}  {seconds:6.1f} s")
    return 0 if all(good for good, _ in verdicts.values()) else 1


def holds(name: str) -> tuple[bool, float]:
    """Run one step; whether it passed, and how long it took (s)."""
    print(f"{name}: {' '.join(STEPS[name])}", flush=True)
    started = time.perf_counter()
    code = subprocess.run([sys.executable, "-m", *STEPS[name]], cwd=ROOT, check=False).returncode
    return code == 0, time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
