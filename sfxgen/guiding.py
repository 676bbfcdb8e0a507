"""Jobs that a prompt guides: from the lock, from the cache, or by the prior; alone or several as one batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sfxgen.cache import Cache
from sfxgen.errors import Cancelled, PromptUnknown
from sfxgen.events import untold
from sfxgen.manifest.base import Spec
from sfxgen.manifest.guide import Guided
from sfxgen.manifest.sound import KINDS, guidable
from sfxgen.plan import Job

if TYPE_CHECKING:
    from sfxgen.distill.optimise import Run, Step, Walk
    from sfxgen.generate.guide import Wish


@dataclass(frozen=True)
class Watcher:
    """Who looks on: told (step, of how many, loss) as a descent goes on, asked whether it shall. trace: the folder that
    pictures of it go to; what the cache knows is then guided again. on_word: told of what else takes long."""

    on_step: Callable[[int, int, float], None] = untold
    cancelled: Callable[[], bool] = lambda: False
    trace: Path | None = None
    on_word: Callable[[str], None] = untold


def tuned(
    job: Job, root: Path, cache: Cache, watcher: Watcher | None = None
) -> tuple[Job, Guided | None, tuple[str, ...]]:
    """The job with its tuned body, how that was found, and what to warn of.

    A prompt that the prior cannot follow leaves the sound as it was written, and says so. Raises SfxgenError.
    """
    if job.guide is None:
        return job, None, ()
    watcher = watcher or Watcher()
    try:
        found = (job.guided if not watcher.trace else None) or guidance([job], root, cache, watcher)[0]
    except PromptUnknown as error:
        return job, None, (f"not guided: {error}",)
    body = KINDS[found.kind].model_validate(found.body, strict=False)
    return replace(job, kind=found.kind, body=body), found, found.warnings


def guidance(jobs: Sequence[Job], root: Path, cache: Cache, watcher: Watcher | None = None) -> list[Guided]:
    """What guidance found for each job, from the cache or as one batch. Raises SfxgenError."""
    watcher = watcher or Watcher()
    known = {} if watcher.trace else {job.guidance: cache.get(_key(job)) for job in jobs}
    found = {digest: _unpacked(data) for digest, data in known.items() if data}
    missing = list({job.guidance: job for job in jobs if job.guidance not in found}.values())
    for outcome in _guide(missing, root, cache, watcher) if missing else ():
        cache.put(f"guided {outcome.digest}", json.dumps(asdict(outcome)).encode())
        found[outcome.digest] = outcome
    return [found[job.guidance] for job in jobs]


def is_known(job: Job, cache: Cache) -> bool:
    """Whether nothing has to be guided: it is not wanted, or its outcome is in the lock or in the cache."""
    return job.guide is None or job.guided is not None or cache.get(_key(job)) is not None


def _guide(jobs: Sequence[Job], root: Path, cache: Cache, watcher: Watcher) -> list[Guided]:
    from sfxgen.generate.guide import guide_together
    from sfxgen.generate.recipe import Request
    from sfxgen.priors import open_prior

    prior = open_prior(jobs[0].prior, root, jobs[0].device)
    requests = [
        Request(
            duration_s=job.duration_s,
            loop=job.loop,
            root=root,
            prompt=job.prompt,
            tell=watcher.on_word,
            cached=cache.cached,
        )
        for job in jobs
    ]
    wishes = [_wish(job) for job in jobs]
    found = guide_together(wishes, prior, requests, [_run(job, cache, watcher) for job in jobs], watcher.trace)
    if watcher.cancelled():
        raise Cancelled("guidance was ended before it was done")
    return found


def _wish(job: Job) -> Wish:
    from sfxgen.generate.guide import Begin, Wish

    assert job.guide is not None
    starts = [Begin(job.kind, job.preset, job.body)]
    for rival in job.rivals:
        body = _valid(rival.kind, rival.body)
        if body is not None and guidable(rival.kind, body):
            starts.append(Begin(rival.kind, rival.preset, body))
    return Wish(job.guidance, job.prompt, tuple(starts), job.guide, int(job.guidance[:12], 16), job.is_open)


def _valid(kind: str, body: object) -> Spec | None:
    """A rival's body; None where the person's own keys do not fit that preset."""
    try:
        return KINDS[kind].model_validate(body)
    except ValueError:
        return None


def _run(job: Job, cache: Cache, watcher: Watcher) -> Run:
    """Steers one descent: told of, ended, and kept now and then, so that a killed one goes on where it was."""
    from sfxgen.distill.optimise import Run

    place = f"walk {job.guidance}"
    most = job.guide.steps if job.guide else 0

    def on_step(step: Step, walk: Walk) -> None:
        del walk
        watcher.on_step(step.number + 1, most, sum(step.losses) / len(step.losses))

    return Run(
        on_step=on_step,
        cancelled=watcher.cancelled,
        resume=None if watcher.trace else cache.get(place),
        keep=lambda data: cache.put(place, data),
    )


def _key(job: Job) -> str:
    return f"guided {job.guidance}"


def _unpacked(data: bytes) -> Guided:
    fields = json.loads(data)
    return Guided(**fields | {"warnings": tuple(fields["warnings"])})
