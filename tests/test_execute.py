"""Jobs in worker processes: warm between builds, replaced when they die."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sfxgen import execute
from sfxgen.build import build
from sfxgen.errors import EXIT_FAILED, EXIT_OK
from sfxgen.events import Event
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


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no command there holds a program to one core")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_number_of_cores_changes_no_byte(tmp_path: Path, n_jobs: int) -> None:
    """What blows, grains and solves make, in a process that may use one core or all, and whose user has set nothing."""
    sounds = {
        "step": {"texture": {"preset": "footstep_gravel"}, "variations": 4},
        "ring": {"impact": {"preset": "glass_bottle"}},
        "coins": {"scene": {"preset": "coins_spill"}, "duration_s": 0.5},
    }
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    found: list[dict[str, bytes]] = []
    for cores in (set(list(os.sched_getaffinity(0))[:1]), os.sched_getaffinity(0)):
        root = tmp_path / str(len(found))
        (root / "sounds").mkdir(parents=True)
        (root / "sounds" / "all.yaml").write_text(json.dumps({"version": 1, "sounds": sounds}))
        command = [sys.executable, "-m", "sfxgen", "build", "--jobs", str(n_jobs)]
        held = functools.partial(os.sched_setaffinity, 0, cores)
        environment["SFXGEN_CACHE"] = str(root / "cache")
        subprocess.run(command, cwd=root, env=environment, preexec_fn=held, check=True, capture_output=True)
        found.append({path.name: path.read_bytes() for path in root.rglob("*.wav")})
    assert len(found[0]) == 6
    assert found[0] == found[1]


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


def _say_often(n: int) -> None:
    for i in range(n):
        execute._say((0, "long", f"{i} of {n} modes found, and what else there is to say of it"))


def test_words_that_nobody_reads_hold_up_no_worker(root: Path) -> None:
    """More than a pipe holds: they are dropped, the pool closes, and a later run is not told of what is left."""
    said: list[Event] = []
    workers = Workers(2)
    try:
        workers._submit(_say_often, 2_000).result(timeout=30)
        assert set(build(root, workers=workers, on_event=said.append).made) == {"one", "two"}
        assert not [event for event in said if event.sound == "long"]
        workers._submit(_say_often, 2_000).result(timeout=30)
        assert workers._pool is not None
        closing = threading.Thread(target=workers.close, daemon=True)
        processes = list(workers._pool._processes.values())
        closing.start()
        closing.join(timeout=30)
        assert not closing.is_alive()
    finally:
        for process in [] if workers._pool is None else list(workers._pool._processes.values()):
            process.kill()
    assert not any(process.is_alive() for process in processes)


def test_words_that_are_slower_than_their_sounds_result_are_dropped() -> None:
    with Workers(2) as workers:
        workers._started()
        assert workers._words is not None
        for name in ("made", "busy", "made"):
            workers._words.put((workers._run, name, "on the way"))
        workers._words.put((workers._run, "busy", "at the end"))
        said: list[tuple[str, str]] = []
        ends_at = time.monotonic() + 30
        while ("busy", "at the end") not in said and time.monotonic() < ends_at:
            said += workers._said({"busy"})
    assert said == [("busy", "on the way"), ("busy", "at the end")]


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is sent otherwise there")
def test_ctrl_c_waits_for_a_place_where_no_lock_is_held() -> None:
    before = signal.getsignal(signal.SIGINT)
    with execute.interrupts_at_rest() as heed:
        heed()
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)
        with pytest.raises(KeyboardInterrupt):
            heed()
    assert signal.getsignal(signal.SIGINT) is before


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
