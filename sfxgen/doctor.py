"""`sfxgen doctor`: what is installed and usable on this machine, for this project."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sfxgen import __version__
from sfxgen.build import cache_folder
from sfxgen.cache import Cache
from sfxgen.errors import SfxgenError
from sfxgen.plan import plan_project

_PACKAGES = ("torch", "numpy", "scipy", "scikit-fem", "soundfile", "soxr", "pydub", "pydantic", "watchdog")


def examine(root: Path) -> Iterator[tuple[str, str]]:
    """(topic, finding) by topic. Never raises for what is missing: it says so."""
    yield "sfxgen", __version__
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    yield "packages", ", ".join(f"{name} {_version_of(name)}" for name in _PACKAGES)
    yield "device", _device()
    yield "ffmpeg", _ffmpeg()
    try:
        planning = plan_project(root)
    except SfxgenError as error:
        yield "project", f"{root}: {error}"
        return
    plan, config = planning.plan, planning.project.config
    yield "project", f"{root}: {len(plan.sounds)} sounds in {len(planning.project.manifest_files)} manifests"
    yield "engine", f"{plan.engine} ({'as sfxgen.yaml says' if config.engine else 'detected'}), files go to {plan.out}"
    yield "state", f"{len(plan.stale)} stale, {len(plan.left_alone)} not as sfxgen wrote them"
    cache = Cache(cache_folder(root, config))
    yield (
        "cache",
        f"{cache.folder}: {cache.size_bytes() / 1e6:.1f} MB{'' if _writable(cache.folder) else ', read-only'}",
    )


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name(0)}; the synths render on the CPU"
    return "CPU (no CUDA device); the synths render on the CPU"


def _ffmpeg() -> str:
    path = shutil.which("ffmpeg")
    if path is None:
        return "not found: needed only for m4a and for recordings that libsndfile cannot read"
    first = subprocess.run([path, "-version"], capture_output=True, text=True, check=False).stdout.splitlines()
    return f"{path} ({first[0].split(' Copyright')[0] if first else 'does not answer'})"


def _writable(folder: Path) -> bool:
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    return os.access(nearest, os.W_OK)
