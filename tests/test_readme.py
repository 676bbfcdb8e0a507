"""What the README shows is run: its manifest, its settings, its fault, and every `sfxgen` command."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A game's folder with the README's manifest, its settings (in a plain folder) and the recording that it names."""
    parent = tmp_path_factory.mktemp("readme")
    root = parent / "mygame"
    (root / "sounds").mkdir(parents=True)
    (root / "recordings").mkdir()
    manifest, settings = blocks("yaml")
    (root / "sounds" / "weapons.yaml").write_text(manifest, encoding="utf-8")
    (root / "sfxgen.yaml").write_text(settings, encoding="utf-8")
    t_s = np.arange(48_000) / 48_000
    soundfile.write(root / "recordings" / "npc_01.wav", 0.1 * np.sin(2 * np.pi * 220 * t_s) * np.exp(-3 * t_s), 48_000)
    noise = np.random.default_rng(0).standard_normal(len(t_s)) * np.linspace(0, 0.1, len(t_s))
    both = 0.1 * np.sign(np.sin(2 * np.pi * 330 * t_s)) * np.exp(-2 * t_s) + np.convolve(noise, np.ones(32) / 8, "same")
    soundfile.write(root / "recordings" / "street.wav", both, 48_000)
    return root


def run(command: str, project: Path) -> subprocess.CompletedProcess[str]:
    """One command line of the README, in the project's folder."""
    program, *arguments = shlex.split(command, comments=True)
    assert program == "sfxgen"
    environment = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "sfxgen", *arguments],
        cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def commands() -> list[str]:
    """Every command of the table, once with each of the options that its row names."""
    rows = re.findall(r"^\| `(sfxgen [^`]+)` \| (.*) \|$", README, flags=re.MULTILINE)
    found = []
    for command, says in rows:
        plain = re.sub(r" ?\[[^]]*\]", "", command)
        options = [option.replace("N", "2") for option in re.findall(r"`(--[^`]+)`", says)]
        found += [plain, *(f"{plain} {option}" for option in options)]
    return found


def test_the_readme_shows_all_commands() -> None:
    shown = {command.split()[1] for command in commands()}
    listed = subprocess.run(
        [sys.executable, "-m", "sfxgen", "--help"], capture_output=True, text=True, check=True
    ).stdout
    known = set(re.findall(r"^  ([a-z]+) {2,}\S", listed.partition("Commands:")[2], flags=re.MULTILINE))
    assert known
    assert shown == known


@pytest.mark.parametrize("command", [c for c in commands() if "watch" not in c])  # test_watch.py runs that one
def test_a_command_of_the_readme_runs(command: str, project: Path) -> None:
    if "--check" in command or "report" in command:
        assert run("sfxgen build", project).returncode == 0
    ran = run(command, project)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


def test_the_manifest_of_the_readme_builds(project: Path) -> None:
    ran = run("sfxgen build", project)
    assert ran.returncode == 0, ran.stderr
    assert (project / "audio/sfx/sword_clang_06.wav").is_file()
    assert (project / "audio/sfx/shield_hit_hard_04.wav").is_file()
    assert (project / "audio/sfx/coin_04.wav").is_file()


def test_the_fault_of_the_readme_is_what_one_sees(project: Path, tmp_path: Path) -> None:
    (example,) = (line for line in README.splitlines() if line.startswith("sounds/weapons.yaml:"))
    shown = re.split(r"…", example)
    (tmp_path / "sounds").mkdir()
    manifest = blocks("yaml")[0].replace("material: steel}\n      striker", "material: steeel}\n      striker")
    (tmp_path / "sounds" / "weapons.yaml").write_text(manifest, encoding="utf-8")
    (tmp_path / "recordings").mkdir()
    for name in ("npc_01", "street"):
        (tmp_path / "recordings" / f"{name}.wav").touch()
    ran = run("sfxgen check", tmp_path)
    assert ran.returncode == 2
    (line,) = ran.stderr.splitlines()
    assert line.startswith(shown[0])
    assert line.endswith(shown[1])


def test_the_exit_codes_of_the_readme_are_those_of_the_code() -> None:
    from sfxgen import errors

    shown = {int(code) for code in re.findall(r"^\| (\d+) \|", README, flags=re.MULTILINE)}
    assert shown == {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
