"""The repository's `.venv`: made, filled with the pinned packages, and left alone while nothing changed.

Standard library only. `.venv/sfxgen-stamp.json` says what the environment was filled for and is written last, so that
an install that was cut short is seen and begun again.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

from pip_progress import InstallFailed, run_pip, why_it_failed

ROOT = Path(__file__).resolve().parent.parent
TORCH = "torch==2.13.0"
PROBE_S = 20.0  # how long a search for a CPU build may take
NVIDIA_SIGNS = ("/proc/driver/nvidia/version", "/dev/nvidia0", "/usr/lib/wsl/lib/nvidia-smi")


class CannotSetUp(Exception):
    """The environment could not be made; the message says why and what to do."""


def python_in(root: Path) -> Path:
    """The environment's interpreter."""
    return root / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def prepare(root: Path, extra: str = "") -> None:
    """Make sure that `.venv` holds the package and what `extra` (an extra of pyproject.toml) asks for.

    Raises CannotSetUp with one clear line.
    """
    stamp = root / ".venv" / "sfxgen-stamp.json"
    wanted = fingerprint(root)
    extras = extras_in(stamp, wanted)
    if extras is not None and {extra} - {""} <= extras and python_in(root).exists():
        return
    extras = (extras or set()) | ({extra} - {""})
    started = time.monotonic()
    try:
        fill(root, extras)
        stamp.write_text(json.dumps({"fingerprint": wanted, "extras": sorted(extras)}), encoding="utf-8")
    except InstallFailed as error:
        raise CannotSetUp(why_it_failed(error)) from None
    except OSError as error:
        raise CannotSetUp(f"cannot set up {root / '.venv'}: {error.strerror or error}") from None
    print(f"Ready after {time.monotonic() - started:.0f} s.\n", flush=True)


def fingerprint(root: Path) -> str:
    """What an environment depends on: the requirements, the interpreter, and where the clone lies (it is linked)."""
    parts = [(root / name).read_bytes() for name in ("pyproject.toml", "tools/constraints.txt")]
    place = [platform.python_version(), platform.machine(), sys.platform, str(root)]
    return hashlib.sha256(b"\0".join([*parts, *(text.encode() for text in place)])).hexdigest()


def extras_in(stamp: Path, wanted: str) -> set[str] | None:
    """The extras that a finished environment for `wanted` holds; None when there is no such environment."""
    try:
        found = json.loads(stamp.read_text(encoding="utf-8"))
        return set(found["extras"]) if found["fingerprint"] == wanted else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def fill(root: Path, extras: set[str]) -> None:
    """Make the environment and install into it.

    A marker stands in the folder while packages are being changed. One that is found there was left by a run
    that was killed: such a half-filled environment is emptied and begun again (pip keeps its downloads elsewhere).
    """
    home, python = root / ".venv", str(python_in(root))
    marker = home / "sfxgen-unfinished"
    if marker.exists() or not python_in(root).exists():
        make_venv(root, marker)
    (home / "sfxgen-stamp.json").unlink(missing_ok=True)
    marker.touch()
    constraints = ["-c", str(root / "tools" / "constraints.txt")]
    try:
        say("Installing the build tool")
        run_pip(python, ["install", *constraints, "setuptools"])
        if wants_cpu_torch():
            install_cpu_torch(python, home, constraints)
        package = f"{root}[{','.join(sorted(extras))}]" if extras else str(root)
        say(f"Installing sfxgen{' with ' + ', '.join(sorted(extras)) if extras else ''} and the packages that it needs")
        run_pip(python, ["install", *constraints, "--no-build-isolation", "-e", package])
    except InstallFailed as error:
        if not error.packages_touched:
            marker.unlink()
        raise
    marker.unlink()


def make_venv(root: Path, marker: Path) -> None:
    """An empty environment with pip, in place of what was there.

    The old interpreter goes first and the marker comes before the new one: wherever this is killed, the next run sees
    either no interpreter or a marker.
    """
    if importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise CannotSetUp(
            f"this Python comes without the venv module: on Debian or Ubuntu `sudo apt install python{version}-venv`"
        )
    home = marker.parent
    say(f"Making {home}")
    python_in(root).unlink(missing_ok=True)
    if home.exists():
        shutil.rmtree(home)
    home.mkdir()
    marker.touch()
    try:
        venv.create(home, with_pip=True, symlinks=os.name != "nt")
    except subprocess.CalledProcessError as error:
        raise CannotSetUp(f"Python could not put pip into {home}: {error}; is the disk full?") from None


def wants_cpu_torch() -> bool:
    """On Linux the ordinary torch brings gigabytes of CUDA; elsewhere it is a CPU build already."""
    has_gpu = shutil.which("nvidia-smi") is not None or any(Path(sign).exists() for sign in NVIDIA_SIGNS)
    return sys.platform == "linux" and not has_gpu


def install_cpu_torch(python: str, home: Path, constraints: list[str]) -> None:
    """Install a CPU build of torch where one is quickly found, else leave it to pip and say what that means.

    First pip is asked, with whatever sources the person gave it; then uv, which knows where PyTorch keeps its builds.
    """
    if any(home.glob(f"lib/python*/site-packages/{TORCH.replace('==', '-')}*.dist-info/INSTALLER")):
        return
    say("No NVIDIA GPU here: looking for a CPU build of torch")
    wheel = ["install", "--only-binary", ":all:", "--no-deps", f"{TORCH}+cpu"]
    if succeeds([python, "-m", "pip", *wheel, "--dry-run", "--quiet", "--retries", "1"]):
        run_pip(python, wheel)
        return
    with contextlib.suppress(InstallFailed):  # without uv, its search says no
        run_pip(python, ["install", *constraints, "uv"])
    by_uv = [python, "-m", "uv", "pip", "install", "--python", python, "--no-deps", "--torch-backend", "cpu", TORCH]
    if succeeds([*by_uv, "--dry-run"]):
        say("Downloading the CPU build of torch (about 200 MB)")
        if subprocess.run(by_uv, check=False).returncode == 0:
            return
    say("None found: taking the ordinary torch, which downloads about 3 GB with its CUDA packages")


def succeeds(command: list[str]) -> bool:
    """Whether a search command says yes within its time."""
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=PROBE_S).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def say(line: str) -> None:
    print(f"{line} …", flush=True)
