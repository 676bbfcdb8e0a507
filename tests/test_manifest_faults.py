"""Broken manifests and the exact words that their author reads.

`manifests_bad/` holds one file or one small project a case, and beside it what sfxgen says of it. To see what a change
of wording does, run `pytest tests/test_manifest_faults.py` and read the differences.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sfxgen.errors import EXIT_BAD_INPUT, Fault, ManifestError, SfxgenError
from sfxgen.manifest.project import load_project
from sfxgen.plan import plan_project

BAD = Path(__file__).parent / "manifests_bad"
CASES = sorted(path for path in BAD.iterdir() if path.suffix != ".expected")

# Words of pydantic, PyYAML and Python that mean nothing to the author of a manifest.
JARGON = re.compile(
    r"(?i:input should|value error|\[type=|_type\b|model_|dict_|pydantic|validator|discriminator|https?://|"
    r"while (parsing|scanning)|tag:yaml|traceback|exception)|\b(None|True|False|\w+Error)\b"
)
PLACED = re.compile(r"^(?P<file>[\w./-]+\.yaml):(?P<line>[1-9]\d*):(?P<column>[1-9]\d*): (sound '.*?': )?\S")


def project_of(case: Path, folder: Path) -> Path:
    """A project with the case in it: a folder as it is, a single file as its only manifest."""
    root = folder / "game"
    if case.is_dir():
        shutil.copytree(case, root, ignore=shutil.ignore_patterns("expected"))
    else:
        (root / "sounds").mkdir(parents=True)
        shutil.copy(case, root / "sounds")
    return root


def expected_message(case: Path) -> str:
    path = case / "expected" if case.is_dir() else case.with_suffix(".expected")
    return path.read_text(encoding="utf-8").rstrip("\n")


def error_of(root: Path) -> SfxgenError:
    with pytest.raises(SfxgenError) as caught:
        plan_project(root)
    assert caught.value.exit_code == EXIT_BAD_INPUT
    return caught.value


def test_there_are_at_least_sixty_cases() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_message(case: Path, tmp_path: Path) -> None:
    root = project_of(case, tmp_path)
    error = error_of(root)
    assert str(error).replace(str(root), "PROJECT") == expected_message(case)
    assert JARGON.search(str(error)) is None
    assert all(line.isprintable() for line in str(error).splitlines())
    if isinstance(error, ManifestError):
        check_places(root, error.faults)


def check_places(root: Path, faults: Sequence[Fault]) -> None:
    """Each fault points at a character of its file, or the end of a line; an empty file has no place."""
    assert faults
    for fault in faults:
        if fault.problem == "the manifest is empty":
            continue
        assert PLACED.match(str(fault))
        lines = (root / fault.file).read_bytes().decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
        assert fault.line <= len(lines)
        assert fault.column <= len(lines[fault.line - 1]) + 1


def test_all_faults_are_told_in_one_run_sorted_by_place(tmp_path: Path) -> None:
    root = project_of(BAD / "many_faults.yaml", tmp_path)
    with pytest.raises(ManifestError) as caught:
        load_project(root)
    places = [(fault.line, fault.column) for fault in caught.value.faults]
    assert len(places) >= 10
    assert places == sorted(places)
    assert len(set(places)) == len(places)


def test_faults_of_several_files_come_together(tmp_path: Path) -> None:
    root = project_of(BAD / "several_files", tmp_path)
    with pytest.raises(ManifestError) as caught:
        load_project(root)
    assert {fault.file for fault in caught.value.faults} == {
        "sfxgen.yaml",
        "sounds/a.yaml",
        "sounds/b.yaml",
        "sounds/c/d.yaml",
    }


@pytest.mark.parametrize("name", ["many_faults.yaml", "yaml_bad_utf8.yaml", "lock_conflict", "no_manifests"])
def test_the_program_prints_it_and_exits_with_2(name: str, tmp_path: Path) -> None:
    root = project_of(BAD / name, tmp_path)
    command = [sys.executable, "-m", "sfxgen", "build", "--check", "--project", str(root)]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert result.returncode == EXIT_BAD_INPUT
    assert result.stdout == ""
    assert result.stderr.replace(str(root), "PROJECT").rstrip("\n") == expected_message(BAD / name)


def test_a_manifest_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "a.yaml").write_bytes(b"version: 1\nsounds: {}\n")
    (tmp_path / "sfxgen.yaml").write_text('manifests: ["sounds/a.yaml", "**x/a.yaml"]\n', encoding="utf-8")
    with pytest.raises(SfxgenError, match=r"'\*\*x/a.yaml' cannot be searched"):
        plan_project(tmp_path)


def test_more_than_the_largest_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "a.yaml").write_bytes(b"#" * 5_000_000)
    assert str(error_of(tmp_path)) == (
        "sounds/a.yaml: the file has 5,000,000 bytes; expected at most 4,000,000; split it into several files"
    )


def test_a_chain_of_aliases_is_bounded_without_recursion(tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    links = "".join(f"  - &a{i} [*a{i - 1}]\n" for i in range(1, 5000))
    (tmp_path / "sounds" / "a.yaml").write_text(f"version: 1\nchain:\n  - &a0 x\n{links}sounds: {{}}\n")
    assert "with its aliases (*name) followed, the file grows without bound" in str(error_of(tmp_path))
