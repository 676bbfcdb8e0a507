"""Files of one commit of a repository, fetched by git: tools/library/repository.py, which is no package."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

LIBRARY = Path(__file__).parent.parent / "tools" / "library"


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    if shutil.which("git") is None:
        pytest.skip("git is not there")
    monkeypatch.syspath_prepend(str(LIBRARY))
    spec = importlib.util.spec_from_file_location("repository", LIBRARY / "repository.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "HOST", tmp_path.as_uri())
    return module


def _committed(folder: Path, files: dict[str, bytes]) -> str:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "-m", "sounds"]):
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    head = subprocess.run(["git", "-C", str(folder), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return head.stdout.strip()


def test_wanted_files_of_a_commit(repository: ModuleType, tmp_path: Path) -> None:
    files = {"a b/glass_1.wav": b"1", "a b/wood.wav": b"2", "glass_2.wav": b"3"}
    commit = _committed(tmp_path / "owner" / "name", files)
    place = tmp_path / "here" / "name"
    repository.check_out(f"owner/name@{commit}", [r"/glass_\d", r"/stone"], place)
    found = {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert found == {name: content for name, content in files.items() if "glass" in name}


def test_what_cannot_be_fetched_says_what_to_do(repository: ModuleType, tmp_path: Path) -> None:
    place = tmp_path / "here"
    with pytest.raises(repository.CannotFetch, match=r"git fetch failed: .*owner/none@0000 in .*here"):
        repository.check_out("owner/none@0000", ["x"], place)
    assert not place.exists()
