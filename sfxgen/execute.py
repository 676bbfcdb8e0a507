"""Runs jobs: in this process, or in warm worker processes."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
import traceback
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for_any
from multiprocessing.queues import Queue
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, Union

from sfxgen.errors import Cancelled, SfxgenError
from sfxgen.events import untold
from sfxgen.guiding import Watcher, guidance, is_known
from sfxgen.plan import Job
from sfxgen.priors.names import is_library
from sfxgen.threads import usable_cores

if TYPE_CHECKING:
    from sfxgen.make import Made  # its module imports numpy, which a build with nothing to do can spare

T = TypeVar("T")
OnStep = Callable[[str, int, int, float], None]  # sound, step, of how many, loss
OnWord = Callable[[str, str], None]  # sound, what takes long just now
Word = tuple[int, str, str]  # of a worker: the run that it works for, sound, what takes long
GUIDED_WEIGHT = 4  # of a sound that is to be guided, beside one that is only rendered
MOST_WORDS = 1_000  # that wait to be read; more are dropped


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
        self._words: Queue[Word] | None = None
        self._run = 0

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
        self,
        jobs: Sequence[Job],
        place: Place,
        cancelled: Callable[[], bool] = lambda: False,
        on_step: OnStep = untold,
        on_word: OnWord = untold,
    ) -> Iterator[Outcome]:
        """Each job with what it made, or with the error that stopped it, as they finish.

        Between jobs `cancelled` is asked, and between the steps of guidance in this process; once it says yes, no
        further job is begun, and what is being made in other processes is not waited for. on_step is told of guidance
        in this process: the sound, the step, of how many, the loss. on_word, of what else takes long in any process.
        """
        if self.n == 1 or (len(jobs) == 1 and self._pool is None):
            if not place.again:
                guide_batches(jobs, place, cancelled, on_step)
            for job in jobs:
                outcome = None if cancelled() else attempt(job, place, _watcher(job.name, cancelled, on_step, on_word))
                if outcome is None or isinstance(outcome, Cancelled):
                    return
                yield job, outcome
            return
        yield from self._run_in_processes(jobs, place, cancelled, on_word)

    def _run_in_processes(
        self, jobs: Sequence[Job], place: Place, cancelled: Callable[[], bool], on_word: OnWord
    ) -> Iterator[Outcome]:
        self._run += 1
        with interrupts_at_rest() as heed:
            running = {self._submit(_attempt_of_run, self._run, job, place): job for job in jobs}
            try:
                while running and not cancelled():
                    done, _ = wait(running, timeout=0.05, return_when=FIRST_COMPLETED)
                    heed()
                    for name, text in self._said({job.name for job in running.values()}):
                        on_word(name, text)
                    for future in done:
                        yield running.pop(future), self._result(future)
                heed()
            finally:
                for future in running:
                    future.cancel()

    def _said(self, busy: Container[str]) -> Iterator[tuple[str, str]]:
        """The words of this run that wait to be read. Dropped are those of one that ended before its jobs did, and of
        sounds that are not `busy`: a worker's last words may be slower than its result."""
        with contextlib.suppress(queue.Empty):
            while self._words is not None:
                run, name, text = self._words.get_nowait()
                if run == self._run and name in busy:
                    yield name, text

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
            self._words = context.Queue(MOST_WORDS)
            self._pool = ProcessPoolExecutor(
                self.n, mp_context=context, initializer=_begin_worker, initargs=(self._words,)
            )
        return self._pool


def default_workers(jobs: Sequence[Job], root: Path) -> int:
    """One process a core, but none for a handful of jobs: starting one costs as much as rendering several sounds, or as
    guiding one. A pretrained prior is opened once: its jobs share batches in this process."""
    if any(_is_pretrained(job, root) for job in jobs):
        return 1
    weight = sum(GUIDED_WEIGHT if job.guide and not job.guided else 1 for job in jobs)
    return max(1, min(usable_cores(), len(jobs), weight // 4))


def guide_batches(
    jobs: Sequence[Job], place: Place, cancelled: Callable[[], bool] = lambda: False, on_step: OnStep = untold
) -> None:
    """Guide together what shares a pretrained prior, into the cache, where each job then finds it.

    What fails is left to the single jobs, each of which then says why. Our own prior gains nothing by batches: its
    sounds are guided one by one, so that none depends on which others were stale.
    """
    from sfxgen.cache import Cache

    cache = Cache(place.cache)
    wanted = [job for job in jobs if _is_pretrained(job, place.root) and not is_known(job, cache)]
    for prior in dict.fromkeys(job.prior for job in wanted):
        batch = [job for job in wanted if job.prior == prior]
        if len(batch) > 1 and not cancelled():
            names = ", ".join(job.name for job in batch)
            with contextlib.suppress(SfxgenError):
                guidance(batch, place.root, cache, _watcher(names, cancelled, on_step))


def _is_pretrained(job: Job, root: Path) -> bool:
    return bool(job.prior) and not all(is_library(name, root) for name in job.prior)


def _watcher(name: str, cancelled: Callable[[], bool], on_step: OnStep, on_word: OnWord = untold) -> Watcher:
    return Watcher(
        lambda step, of, loss: on_step(name, step, of, loss), cancelled, on_word=lambda text: on_word(name, text)
    )


def _attempt_of_run(run: int, job: Job, place: Place) -> Made | SfxgenError:
    return attempt(job, place, Watcher(on_word=lambda text: _say((run, job.name, text))))


def attempt(job: Job, place: Place, watcher: Watcher) -> Made | SfxgenError:
    """Make the sound; a fault of ours becomes an error that names the sound, so that the other sounds go on."""
    from sfxgen.cache import Cache
    from sfxgen.make import make

    try:
        return make(job, place.root, Cache(place.cache, write_only=place.again), watcher)
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


_words: Queue[Word] | None = None  # of a worker: to the process that shows it


def _say(word: Word) -> None:
    """Nobody reads once a run has ended, and nothing waits for that: what finds no place is left unsaid."""
    if _words is not None:
        with contextlib.suppress(queue.Full):
            _words.put_nowait(word)


def _begin_worker(words: Queue[Word]) -> None:
    """Ctrl-C goes to the parent, which lets the running jobs end; a parent that was killed takes its workers along."""
    global _words
    _words = words
    words.cancel_join_thread()  # a worker that ends waits for no reader
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


@contextlib.contextmanager
def interrupts_at_rest() -> Iterator[Callable[[], None]]:
    """A Ctrl-C in here waits until what this gives is called, which raises KeyboardInterrupt then.

    Raised wherever it comes, as within `wait`, it may leave the lock of a future held, and the pool would never end.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone is interrupted
        yield lambda: None
        return
    pressed = threading.Event()

    def heed() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, lambda *_: pressed.set())
    try:
        yield heed
    finally:
        signal.signal(signal.SIGINT, before)


def _import_synths() -> None:
    import sfxgen.generate.fm
    import sfxgen.generate.impact
    import sfxgen.generate.liquid
    import sfxgen.generate.texture
    import sfxgen.master  # noqa: F401
