"""Jobs in worker processes: warm between builds, replaced when they die."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from sfxgen.build import build
from sfxgen.errors import EXIT_FAILED, EXIT_OK
from sfxgen.execute import Workers
from sfxgen.plan import Job

MANIFEST = """\
version: 1
defaults: {duration_s: 0.05}
sounds:
  one: {fm: {pitch_hz: 300}}
  two: {fm: {pitch_hz: 400}}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "all.yaml").write_text(MANIFEST)
    return tmp_path


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_a_worker_that_died_while_idle_is_replaced(root: Path) -> None:
    with Workers(2) as workers:
        assert set(build(root, workers=workers).made) == {"one", "two"}
        assert workers._pool is not None
        processes = list(workers._pool._processes.values())
        assert processes
        for process in processes:
            os.kill(process.pid or 0, signal.SIGKILL)
            process.join()
        report = build(root, workers=workers, force=True)
        if report.failed:  # the pool had not noticed yet; it has now
            assert all("ended unexpectedly" in message for message in report.failed.values())
            report = build(root, workers=workers, force=True)
        assert (report.exit_code, set(report.made)) == (EXIT_OK, {"one", "two"})


def test_a_fault_of_our_own_is_one_message_and_the_other_sounds_go_on(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sfxgen import make

    whole = make.make

    def failing(job: Job, *rest: object) -> make.Made:
        if job.name == "one":
            raise ZeroDivisionError("of our own")
        return whole(job, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(make, "make", failing)
    report = build(root, n_workers=1)
    assert (report.exit_code, set(report.made)) == (EXIT_FAILED, {"two"})
    assert "a fault of sfxgen's own (ZeroDivisionError: of our own, test_execute.py:" in report.failed["one"]
