"""What `tools/start.py` can do, once Python is new enough: one function a command."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from environment import ROOT, CannotSetUp, prepare, python_in

USAGE = """\
usage: python tools/start.py COMMAND [arguments]

  demo             build the example Godot project and say where to look and listen
  test [...]       run the tests; arguments go to pytest
  check [...]      run linter, types, import map and tests; arguments go to tools/check.py
  sfxgen [...]     run sfxgen itself in the folder you are in, for example `sfxgen build`
"""
EXAMPLE = ROOT / "manifests" / "godot"
DEMO = ROOT / "build" / "demo-godot"


def main(arguments: list[str]) -> int:
    """Run one command; the exit code is the command's own, 1 when it could not be set up, 2 for a wrong command."""
    commands = {"demo": demo, "test": test, "check": check, "sfxgen": sfxgen}
    if not arguments or arguments[0] not in commands:
        print(USAGE, end="")
        return 0 if arguments and arguments[0] in ("-h", "--help") else 2
    try:
        return commands[arguments[0]](arguments[1:])
    except CannotSetUp as error:
        print(f"start.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130


def demo(arguments: list[str]) -> int:
    """Build a copy of the example, so that the clone stays as it was. A copy that is there is the person's to edit."""
    prepare(ROOT)
    copy_example(EXAMPLE, DEMO)
    code = run(["-m", "sfxgen", "build", "--summary", *arguments], DEMO)
    if code == 0:
        print(f"\nListen: {DEMO / 'audio' / 'sfx'}")
        print(f"Play:   open {DEMO / 'project.godot'} in Godot 4 and press F5 for a board with a button for each sound")
        print(f"Edit:   {DEMO / 'sounds'}, then `python tools/start.py sfxgen build -C {DEMO}`")
    return code


def test(arguments: list[str]) -> int:
    prepare(ROOT, extra="dev")
    if not arguments:  # a process a core: threads of their own beside it would wait for one another
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")
    return run(["-m", "pytest", *(arguments or ["-n", "auto"])], ROOT)


def check(arguments: list[str]) -> int:
    prepare(ROOT, extra="dev")
    return run([str(ROOT / "tools" / "check.py"), *arguments], ROOT)


def sfxgen(arguments: list[str]) -> int:
    prepare(ROOT)
    return run(["-m", "sfxgen", *arguments], Path.cwd())


def copy_example(example: Path, copy: Path) -> None:
    """Copy the example where no copy is yet; one that is there may hold edits and stays as it is."""
    if copy.exists():
        print(f"Using {copy} as it is; delete it to begin with a fresh one.", flush=True)
        return
    half = copy.with_name(f"{copy.name}.half")
    shutil.rmtree(half, ignore_errors=True)  # left by a run that was stopped
    shutil.copytree(example, half, ignore=shutil.ignore_patterns("audio", ".sfxgen", ".godot", "sfxgen.lock"))
    half.rename(copy)


def run(arguments: list[str], folder: Path) -> int:
    """Run the environment's Python; Ctrl-C reaches it as well, and it decides how to end."""
    with subprocess.Popen([str(python_in(ROOT)), *arguments], cwd=folder) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue
