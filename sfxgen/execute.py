"""Runs jobs: in this process, or in warm worker processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for_any
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, Union

from sfxgen.errors import SfxgenError
from sfxgen.plan import Job

if TYPE_CHECKING:
    from sfxgen.make import Made  # its module imports numpy, which a build with nothing to do can spare

T = TypeVar("T")


@dataclass(frozen=True)
class Place:
    """Where a job runs: the project's folder and the cache's. Plain paths, so that it travels to a worker.

    again: render even what the cache holds.
    """

    root: Path
    cache: Path
    again: bool = False


Outcome = tuple[Job, Union["Made", SfxgenError]]


class Workers:
    """n processes that stay warm between builds; with n = 1 jobs run in this process. Use as a context manager."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes once the jobs that they are at are done."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None

    def warm_up(self) -> None:
        """Start the processes and have them import what every synth needs, so that the first job finds them ready."""
        if self.n == 1:
            _import_synths()
        for _ in range(self.n if self.n > 1 else 0):
            self._submit(_import_synths)

    def run(
        self, jobs: Sequence[Job], place: Place, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[Outcome]:
        """Each job with what it made, or with the error that stopped it, as they finish.

        Between jobs `cancelled` is asked; once it says yes, no further job is begun, and what is being made in other
        processes is not waited for.
        """
        if self.n == 1 or (len(jobs) == 1 and self._pool is None):
            for job in jobs:
                if cancelled():
                    return
                yield job, attempt(job, place)
            return
        yield from self._run_in_processes(jobs, place, cancelled)

    def _run_in_processes(self, jobs: Sequence[Job], place: Place, cancelled: Callable[[], bool]) -> Iterator[Outcome]:
        running = {self._submit(attempt, job, place): job for job in jobs}
        try:
            while running and not cancelled():
                done, _ = wait(running, timeout=0.05, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), self._result(future)
        finally:
            for future in running:
                future.cancel()

    def _submit(self, call: Callable[..., T], *arguments: object) -> Future[T]:
        with _without_interrupts():
            try:
                return self._started().submit(call, *arguments)
            except BrokenProcessPool:  # a worker ended while there was nothing to do
                self._pool = None
                return self._started().submit(call, *arguments)

    def _result(self, future: Future[Made | SfxgenError]) -> Made | SfxgenError:
        try:
            return future.result()
        except BrokenProcessPool:
            self._pool = None
            return SfxgenError("the worker process ended unexpectedly (out of memory?); try --jobs 1")

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")  # forking a process that runs threads is not safe
            self._pool = ProcessPoolExecutor(self.n, mp_context=context, initializer=_begin_worker)
        return self._pool


def default_workers(n_jobs: int) -> int:
    """One process a core, but none for a handful of jobs: starting one costs as much as rendering several sounds."""
    return max(1, min(usable_cores(), n_jobs // 4))


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def attempt(job: Job, place: Place) -> Made | SfxgenError:
    """Make the sound; a fault of ours becomes an error that names the sound, so that the other sounds go on."""
    from sfxgen.cache import Cache
    from sfxgen.make import make

    try:
        return make(job, place.root, Cache(place.cache, write_only=place.again))
    except SfxgenError as error:
        return error
    except Exception as error:
        if os.environ.get("SFXGEN_DEBUG"):
            traceback.print_exc()
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        return SfxgenError(
            f"a fault of sfxgen's own ({type(error).__name__}: {error}, {where}); please report it. "
            "SFXGEN_DEBUG=1 shows all"
        )


def _begin_worker() -> None:
    """Ctrl-C goes to the parent, which lets the running jobs end; a parent that was killed takes its workers along."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_any([parent.sentinel])
        os._exit(1)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes begun in here are deaf to Ctrl-C from their first instant, not only once they have imported us."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _import_synths() -> None:
    import sfxgen.generate.fm
    import sfxgen.generate.impact
    import sfxgen.generate.texture
    import sfxgen.master  # noqa: F401
