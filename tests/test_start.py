"""The set-up: what it leaves alone, what it does again, and what it says when it cannot go on."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

import commands  # noqa: E402
import environment  # noqa: E402
from pip_progress import DOWNLOAD, InstallFailed, run_pip, why_it_failed  # noqa: E402


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with an environment whose interpreter exists; nothing is ever installed into it."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    (tmp_path / "tools" / "constraints.txt").write_text("numpy==2.4.6\n", encoding="utf-8")
    python = environment.python_in(tmp_path)
    python.parent.mkdir(parents=True)
    python.touch()
    return tmp_path


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What `fill` did, instead of doing it."""
    done: list[str] = []

    def make_venv(root: Path, marker: Path) -> None:
        done.append("venv")

    def run_pip(python: str, arguments: list[str]) -> None:
        done.append(arguments[-1])

    monkeypatch.setattr(environment, "make_venv", make_venv)
    monkeypatch.setattr(environment, "run_pip", run_pip)
    monkeypatch.setattr(environment, "wants_cpu_torch", lambda: False)
    return done


def test_a_finished_environment_is_left_alone(root: Path, steps: list[str]) -> None:
    environment.prepare(root, extra="dev")
    assert steps == ["setuptools", f"{root}[dev]"]
    environment.prepare(root, extra="dev")
    environment.prepare(root)  # what needs less is content with more
    assert len(steps) == 2


def test_an_extra_is_added_and_stays(root: Path, steps: list[str]) -> None:
    environment.prepare(root)
    environment.prepare(root, extra="dev")
    assert steps[-1] == f"{root}[dev]"
    environment.prepare(root)
    assert len(steps) == 4


@pytest.mark.parametrize("name", ["pyproject.toml", "tools/constraints.txt"])
def test_changed_requirements_are_installed(root: Path, steps: list[str], name: str) -> None:
    environment.prepare(root)
    with (root / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    environment.prepare(root)
    assert steps == ["setuptools", str(root)] * 2


def test_an_install_that_was_cut_short_begins_again(
    root: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(python: str, arguments: list[str]) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(environment, "run_pip", killed)
        with pytest.raises(KeyboardInterrupt):
            environment.prepare(root)
    assert steps == []
    environment.prepare(root)
    assert steps == ["venv", "setuptools", str(root)]
    environment.prepare(root)
    assert len(steps) == 3


def test_a_refusal_before_any_change_keeps_the_environment(
    root: Path, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(python: str, arguments: list[str]) -> None:
        raise InstallFailed(["Failed to establish a new connection: [Errno 101] Network is unreachable"])

    with monkeypatch.context() as patch:
        patch.setattr(environment, "run_pip", refused)
        with pytest.raises(environment.CannotSetUp, match="connect to the network"):
            environment.prepare(root)
    environment.prepare(root)
    assert "venv" not in steps


@pytest.mark.parametrize("content", ["", "[]", '{"fingerprint": 1}', "\x00"])
def test_a_damaged_stamp_counts_as_none(root: Path, steps: list[str], content: str) -> None:
    (root / ".venv" / "sfxgen-stamp.json").write_text(content, encoding="utf-8")
    environment.prepare(root)
    assert len(steps) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
        ("NewConnectionError: [Errno -3] Temporary failure in name resolution", "cannot be reached"),
        ("SSLError(SSLCertVerificationError: CERTIFICATE_VERIFY_FAILED)", "PIP_CERT"),
        (
            "ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: none)",
            "there is no build of torch==2.13.0 for this Python and system",
        ),
        ("ERROR: something new", "pip failed: ERROR: something new"),
    ],
)
def test_a_failure_is_one_line_with_a_cure(line: str, message: str) -> None:
    said = why_it_failed(InstallFailed(["Collecting torch", line, "hint: see above"]))
    assert message in said
    assert "\n" not in said


def test_pip_itself_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    with pytest.raises(InstallFailed) as caught:
        run_pip(sys.executable, ["install", "--dry-run", "a-package-that-is-nowhere"])
    assert "a-package-that-is-nowhere" in why_it_failed(caught.value)
    assert not caught.value.packages_touched


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            "Downloading numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl (16.6 MB)",
            ("numpy", "2.4.6", "16.6 MB"),
        ),
        ("  Using cached https://host/a/b/soxr-1.1.0-cp312-abi3-win_amd64.whl (5 kB)", ("soxr", "1.1.0", "5 kB")),
        ("Processing /w/torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl (from x==1)", ("torch", "2.13.0+cpu", None)),
    ],
)
def test_downloads_are_told_from_pips_words(line: str, found: tuple[str, str, str | None]) -> None:
    match = DOWNLOAD.match(line.strip())
    assert match is not None
    assert match.group("name", "version", "size") == found
    assert DOWNLOAD.match("Downloading numpy-2.4.6-cp311-cp311-linux_x86_64.whl.metadata (6 kB)") is None


def test_start_is_readable_to_old_pythons() -> None:
    source = (TOOLS / "start.py").read_text(encoding="utf-8")
    ast.parse(source, feature_version=(3, 4))
    assert "annotations" not in source  # the __future__ import is a syntax error before 3.7


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["dmeo"], 2), (["--help"], 0)])
def test_usage(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(arguments) == code
    assert "demo" in capsys.readouterr().out


def test_the_example_is_copied_once_and_edits_of_the_copy_stay(tmp_path: Path) -> None:
    example, copy = tmp_path / "example", tmp_path / "build" / "copy"
    for path in ("sounds/a.yaml", "project.godot", "audio/sfx/stray.wav"):
        (example / path).parent.mkdir(parents=True, exist_ok=True)
        (example / path).touch()
    commands.copy_example(example, copy)
    files = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert files == {"sounds/a.yaml", "project.godot"}
    (copy / "sounds/a.yaml").write_text("mine", encoding="utf-8")
    commands.copy_example(example, copy)
    assert (copy / "sounds/a.yaml").read_text(encoding="utf-8") == "mine"
