"""The map of the house: rooms import downward only, and the heavy libraries load only when a job needs them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "sfxgen"

# Top to bottom. A room may import from floors below its own, never from its own floor or above.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("cli_recordings",),
    ("begin", "clean", "doctor", "listen", "play", "recordings", "render", "shelf", "show", "steer", "watch"),
    ("build",),
    ("execute", "publish", "report"),
    ("make",),
    ("guiding",),
    ("plan",),
    ("sources",),
    ("cache", "export", "generate", "lock", "master"),
    ("distill",),
    ("priors",),
    ("library",),
    ("codec", "physics", "synths"),
    ("manifest",),
    ("disk", "events", "mel", "words"),
    ("cli_options",),
    ("audio", "credit", "draw", "errors", "threads"),
)
FLOOR = {room: height for height, rooms in enumerate(reversed(FLOORS)) for room in rooms}

HEAVY = ("torch", "scipy", "skfem", "mujoco", "soundfile", "matplotlib", "trimesh")


def room_of(module: str) -> str:
    """`sfxgen.master.loops` → `master`; the package's own `__init__` → ""."""
    return module.partition(".")[2].partition(".")[0]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported_modules(path: Path) -> Iterator[str]:
    """Every sfxgen module that a file imports, wherever in the file it does so."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "sfxgen")
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import hides which room it reaches"
            if node.module == "sfxgen":
                yield from (f"sfxgen.{alias.name}" for alias in node.names if not alias.name.startswith("__"))
            elif node.module is not None and node.module.startswith("sfxgen."):
                yield node.module


def test_every_room_has_a_floor() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in modules()} - {"__init__"}
    assert rooms
    assert rooms <= FLOOR.keys()


def test_rooms_import_downward_only() -> None:
    n_imports = 0
    upward = []
    for path in modules():
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for module in imported_modules(path):
            target = room_of(module)
            n_imports += 1
            if target != room and FLOOR[target] >= FLOOR[room]:
                upward.append(f"{path.relative_to(PACKAGE.parent)} imports {module}")
    assert n_imports > 0
    assert upward == []


@pytest.mark.parametrize("line", ["from sfxgen.build import run", "import sfxgen.build", "from sfxgen import build"])
def test_every_form_of_import_is_seen(line: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(f"def late():\n    {line}\n", encoding="utf-8")
    assert [room_of(module) for module in imported_modules(path)] == ["build"]


@pytest.mark.parametrize("module", ["sfxgen.cli", "sfxgen.plan", "sfxgen.manifest"])
def test_no_heavy_library_loads_before_a_job_runs(module: str) -> None:
    script = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "", "")
