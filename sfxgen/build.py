"""The whole flow on one screen: manifests → plan → make (guide → generate → master → encode) → publish."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sfxgen.cache import Cache, default_folder
from sfxgen.errors import EXIT_FAILED, EXIT_IN_THE_WAY, EXIT_INTERRUPTED, EXIT_OK, BadInput, CannotWrite, SfxgenError
from sfxgen.events import Event, OnEvent, ignore
from sfxgen.execute import Place, Workers, default_workers
from sfxgen.guiding import is_known
from sfxgen.manifest.config import Config
from sfxgen.plan import Planning, as_sketch, plan_project
from sfxgen.publish import Publisher


@dataclass(frozen=True)
class Report:
    """What a build did: by name the sounds made (with the seconds that each took) and those that failed (with the
    message); the paths left alone (with the reason) and removed. `planning.lock` is the lock as it was written."""

    planning: Planning
    made: dict[str, float]
    failed: dict[str, str]
    left_alone: dict[str, str]
    removed: tuple[str, ...] = ()
    cancelled: bool = False

    @property
    def exit_code(self) -> int:
        if self.cancelled:
            return EXIT_INTERRUPTED
        if self.failed:
            return EXIT_FAILED
        return EXIT_IN_THE_WAY if self.left_alone else EXIT_OK


def build(
    root: Path,
    *,
    names: Sequence[str] = (),
    force: bool = False,
    workers: Workers | None = None,
    n_workers: int | None = None,
    on_event: OnEvent = ignore,
    cancelled: Callable[[], bool] = lambda: False,
    sketch: bool = False,
) -> Report:
    """Make what is stale, remove what lost its sound, write the lock.

    names: only these sounds are made. force: they are rendered again, whatever is known of them. sketch: what guidance
    will take a while for is first published as it starts, so that it is heard at once.
    workers: warm processes to use; else n_workers are started for this build (default: as many as pay).
    A sound that fails is reported and the others go on. Raises SfxgenError where nothing can go on: faults in the
    manifests (then nothing is touched), a disk that refuses (what was finished is kept).
    """
    planning = plan_project(root, names, force)
    plan = planning.plan
    if not (plan.stale or plan.records or plan.orphans or planning.disk.journal):
        planning.disk.remember_digests()
        return Report(planning, {}, {}, plan.left_alone)
    with planning.disk.only_builder(lambda: on_event(Event("waiting", text="another sfxgen builds in this project"))):
        planning = plan_project(root, names, force)  # another build may have ended while this one waited
        publisher = Publisher(planning, on_event)
        try:
            own = workers or Workers(n_workers or default_workers([p.job for p in planning.plan.stale], root))
            try:
                if sketch:
                    _publish_sketches(planning, publisher, own, on_event, cancelled)
                made, failed = _make_and_publish(planning, publisher, force, own, on_event, cancelled)
            finally:
                if own is not workers:
                    own.close()
        except BaseException:
            with contextlib.suppress(SfxgenError):
                publisher.finish()  # what was finished stays finished
            raise
        publisher.finish()
    return Report(planning, made, failed, publisher.left_alone, tuple(publisher.removed), cancelled())


def _make_and_publish(
    planning: Planning,
    publisher: Publisher,
    force: bool,
    workers: Workers,
    on_event: OnEvent,
    cancelled: Callable[[], bool],
) -> tuple[dict[str, float], dict[str, str]]:
    """Run the stale jobs and publish each as it ends: the seconds of what was made, the message of what failed."""
    made: dict[str, float] = {}
    failed: dict[str, str] = {}
    root, plan = planning.project.root, planning.plan
    stale = {planned.job.name: planned for planned in plan.stale}
    place = Place(root, cache_folder(root, planning.project.config), again=force)
    on_event(Event("planned", data={"sounds": len(plan.sounds), "stale": len(stale)}))

    def on_step(name: str, step: int, of: int, loss: float) -> None:
        on_event(Event("guiding", name, data={"step": step, "of": of, "loss": round(loss, 5)}))

    def on_word(name: str, text: str) -> None:
        on_event(Event("working", name, text))

    for job, outcome in workers.run([planned.job for planned in stale.values()], place, cancelled, on_step, on_word):
        planned = stale[job.name]
        try:
            if isinstance(outcome, SfxgenError):
                raise outcome
            publisher.publish(planned, outcome)
        except CannotWrite:
            raise
        except SfxgenError as error:
            failed[job.name] = f"{planned.place}: sound '{job.name}': {error}"
            on_event(Event("failed", job.name, failed[job.name]))
        else:
            made[job.name] = outcome.seconds
            on_event(Event("made", job.name, ", ".join(planned.reasons), {"seconds": round(outcome.seconds, 3)}))
    if made:
        Cache(place.cache).trim()
    return made, failed


def _publish_sketches(
    planning: Planning, publisher: Publisher, workers: Workers, on_event: OnEvent, cancelled: Callable[[], bool]
) -> None:
    """What has yet to be guided, as it starts. The lock then says that it was not guided: it stays stale."""
    root = planning.project.root
    place = Place(root, cache_folder(root, planning.project.config))
    waiting = [planned for planned in planning.plan.stale if not is_known(planned.job, Cache(place.cache))]
    sketches = {planned.job.name: as_sketch(planned) for planned in waiting}
    for job, outcome in workers.run([planned.job for planned in sketches.values()], place, cancelled):
        if not isinstance(outcome, SfxgenError):  # what fails as a sketch says so as a sound
            with contextlib.suppress(BadInput):
                publisher.publish(sketches[job.name], outcome)
                on_event(Event("sketched", job.name, data={"seconds": round(outcome.seconds, 3)}))


def cache_folder(root: Path, config: Config) -> Path:
    """The project's own cache where sfxgen.yaml names one, else the user's."""
    return root / Path(config.cache).expanduser() if config.cache else default_folder()
