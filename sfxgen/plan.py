"""Sounds → jobs, each with its keys and the reason it must run. Nothing is made or written here.

Two keys a sound. The raw key covers what is rendered: recipe, draws, the kind's code version, digests of the sources.
The finished key adds mastering and export. A loudness edit so never renders again, and a comment runs nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

from sfxgen.disk import Disk
from sfxgen.draw import Draw
from sfxgen.errors import BadInput, Fault, ManifestError
from sfxgen.export import ENGINES, detect_engine
from sfxgen.export.modal import BANK_SUFFIX, PLAYER_VERSION
from sfxgen.generate import KINDS
from sfxgen.lock import Lock, LockedSound, read_lock
from sfxgen.manifest.base import Spec
from sfxgen.manifest.choice import Choice
from sfxgen.manifest.faults import nearest
from sfxgen.manifest.guide import VERSION as GUIDE_VERSION
from sfxgen.manifest.guide import Candidate, Guide, Guided
from sfxgen.manifest.master import Master
from sfxgen.manifest.paths import inside
from sfxgen.manifest.project import Project, load_project
from sfxgen.manifest.reader import Entry
from sfxgen.manifest.sound import ONE_EACH, Sound
from sfxgen.priors.names import digest_of
from sfxgen.sources import absent, digest, files_of, recipe_part, recording_part

MASTER_VERSION = 1  # raise when mastering gives other samples for the same input and settings
EXPORT_VERSION = 1  # raise when encoders or engine files change
RENDER_RATE_HZ = 48_000  # synths render at this rate; mastering resamples

_RAW_PARTS = ("kind", "recipe", "seed", "length", "variations", "kind's code", "recording", "prior")
_FINISHED_PARTS = ("mastering", "file names", "engine")

CHANGED = "it is not as sfxgen wrote it; move or delete it to get ours"
UNWANTED = "no sound makes it any more, but it was changed since; delete it if it is not needed"


@dataclass(frozen=True)
class Slot:
    """One file to be made: its path from the project's root, its place in the set and the draw that makes it."""

    path: str
    layer: str
    index: int
    draw: Draw


@dataclass(frozen=True)
class Job:
    """Everything that making one sound needs, and nothing else: it travels to worker processes and machines.

    prior: the names of the project's prior where the kind or guidance needs one, with the device it runs on; else none.
    guide: how the prompt guides the synth; None: not at all. guidance: digest of all that the outcome follows from.
    guided: the outcome, where the lock has it. rivals: further starts. is_open: the prompt alone chose the start.
    bank: path of the bank of modes that is made beside the files, "" for none.
    recordings: (path, digest) of each recording, or mesh, that the raw key stands for; no digest where it is absent.
    """

    name: str
    kind: str
    body: Spec
    prompt: str
    prior: tuple[str, ...]
    device: str
    slots: tuple[Slot, ...]
    duration_s: float | None
    loop: bool
    settings: Master
    guard_frame: bool
    recordings: tuple[tuple[str, str | None], ...]
    raw_key: str
    key: str
    guide: Guide | None = None
    guidance: str = ""
    guided: Guided | None = None
    rivals: tuple[Candidate, ...] = ()
    preset: str = ""
    is_open: bool = False
    bank: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        """All the files that it makes."""
        return (*(slot.path for slot in self.slots), *([self.bank] if self.bank else ()))


@dataclass(frozen=True)
class Planned:
    """A job in its project: why it must run (no reasons: it is up to date) and what its entry says beside the recipe.

    place: manifest:line. base: the path of its files without number and extension.
    left_alone: files of the job that a person changed or put there, which will not be touched.
    """

    job: Job
    place: str
    base: str
    parts: dict[str, str]
    reasons: tuple[str, ...]
    left_alone: tuple[str, ...]
    choice: Choice | None
    prompt: str
    tags: tuple[str, ...]
    category: str


@dataclass(frozen=True)
class Plan:
    """All sounds of the project in the manifests' order.

    records: why the lock or the index must be written although no sound is made for it, in words.
    orphans: files of ours that no sound makes any more.
    left_alone: path → why, for the files that a person changed or put where ours would go.
    """

    engine: str
    out: str
    sounds: tuple[Planned, ...]
    records: tuple[str, ...]
    orphans: tuple[str, ...]
    left_alone: dict[str, str]

    @property
    def stale(self) -> tuple[Planned, ...]:
        return tuple(sound for sound in self.sounds if sound.reasons)


@dataclass(frozen=True)
class Planning:
    """Everything that is known before anything is made."""

    project: Project
    lock: Lock
    disk: Disk
    plan: Plan


def plan_project(root: Path, names: Sequence[str] = (), force: bool = False) -> Planning:
    """Read the manifests, the lock and the folder; write nothing. Raises ManifestError, BadInput."""
    lock, disk = read_lock(root), Disk(root)
    pinned = {name: sound.choice for name, sound in lock.sounds.items() if sound.choice}
    project = load_project(root, pinned, partial(absent, lock=lock, disk=disk))
    engine = project.config.engine or detect_engine(root)
    return Planning(project, lock, disk, make_plan(project, lock, disk, engine, names, force))


def make_plan(
    project: Project, lock: Lock, disk: Disk, engine: str, names: Sequence[str] = (), force: bool = False
) -> Plan:
    """Plan the whole project; with names, only those sounds may have reasons. Raises ManifestError, BadInput."""
    out = inside("", project.config.out or ENGINES[engine].default_out) or ""
    _check_names(project, names)
    owned = disk.owned(lock.digests())
    sounds = []
    for entry in project.entries:
        planned = _plan_entry(entry, project, lock, disk, engine, out, owned)
        chosen = not names or entry.name in names
        if force and chosen:
            job = replace(planned.job, guided=None)
            planned = replace(planned, job=job, reasons=(*planned.reasons, "forced"))
        sounds.append(planned if chosen else replace(planned, reasons=()))
    _check_paths(project, sounds, engine)
    left_alone = {path: CHANGED for planned in sounds for path in planned.left_alone}
    left_alone |= {path: CHANGED for path in lock.index if _is_a_persons(path, disk, owned)}
    wanted = _wanted(sounds, lock)
    unwanted = [path for path in owned if path not in wanted and disk.exists(path)]
    orphans = tuple(path for path in unwanted if disk.digest(path) in owned[path])
    left_alone |= {path: UNWANTED for path in unwanted if path not in orphans}
    return Plan(engine, out, tuple(sounds), tuple(_records(sounds, lock, disk)), orphans, left_alone)


def as_sketch(planned: Planned) -> Planned:
    """The sound without its guidance: keys and parts of its own, so that what is made of it does not count as done."""
    job = planned.job
    parts = {name: part for name, part in planned.parts.items() if name != "guidance"}
    sketch = replace(job, guide=None, guided=None, guidance="", raw_key=digest(job.raw_key), key=digest(job.key))
    return replace(planned, job=sketch, parts=parts)


def has_stale_record(planned: Planned, lock: Lock) -> bool:
    """Whether a sound needs no making, but its prompt, tags or choice is not what the lock says."""
    locked = lock.sounds.get(planned.job.name)
    if locked is None or locked.key != planned.job.key:
        return False
    return locked.parts != planned.parts or locked.choice != planned.choice


def _records(sounds: Sequence[Planned], lock: Lock, disk: Disk) -> Iterator[str]:
    for planned in sounds:
        if has_stale_record(planned, lock):
            yield f"{planned.job.name}: its prompt, tags or category changed"
    for name in sorted(lock.sounds.keys() - {planned.job.name for planned in sounds}):
        yield f"{name}: no manifest has it any more"
    for path in lock.index:
        if not disk.exists(path):
            yield f"{path}: file missing"


def _wanted(sounds: Sequence[Planned], lock: Lock) -> set[str]:
    """The paths that stay. A sound's old files stay until it is made, its sidecars as long as it has any."""
    wanted = set(lock.index)
    for planned in sounds:
        wanted.update(planned.job.paths)
        locked = lock.sounds.get(planned.job.name)
        if locked:
            wanted.update(locked.sidecars)
            if not planned.reasons:
                wanted.update(locked.files)
                wanted.update(locked.banks)
    return wanted


def _plan_entry(
    entry: Entry, project: Project, lock: Lock, disk: Disk, engine: str, out: str, owned: Mapping[str, set[str]]
) -> Planned:
    sound = entry.sound
    settings = sound.output.over(project.config.master)
    base = "/".join(part for part in (out, inside("", sound.output.folder or ""), entry.name) if part)
    slots = tuple(_slots(entry, base, settings.format))
    locked = lock.sounds.get(entry.name)
    body = sound.body_from(entry.sources)
    guard = bool(sound.loop) and ENGINES[engine].guard_frame(settings.format)
    recordings = tuple((path, disk.digest(path)) for path in files_of(entry, project.root))
    config = project.config
    guide = sound.guide if sound.guidable and sound.prompt and sound.guide.on else None
    prior = config.prior if KINDS[sound.kind].prior or guide else ()
    prior_part = _prior_part(prior, project.root, locked)
    parts = _parts(entry, body, slots, settings, engine, guard, recording_part(recordings, locked), prior_part)
    if guide:
        parts["guidance"] = _guidance_part(entry, guide, parts)
    raw_key = digest([parts[name] for name in (*_RAW_PARTS, *(("guidance",) if guide else ()))])
    key = digest([raw_key, *(parts[name] for name in _FINISHED_PARTS)])
    loop = bool(sound.loop)
    prompt = sound.prompt or ""
    job = Job(
        name=entry.name,
        kind=sound.kind,
        body=body,
        prompt=prompt,
        prior=prior,
        device=config.device,
        slots=slots,
        duration_s=sound.duration_s,
        loop=loop,
        settings=settings,
        guard_frame=guard,
        recordings=recordings,
        raw_key=raw_key,
        key=key,
        guide=guide,
        guidance=parts.get("guidance", ""),
        guided=locked.guided if locked and locked.guided and locked.guided.digest == parts.get("guidance") else None,
        rivals=entry.rivals,
        preset=entry.choice.preset if entry.choice else "",
        is_open=entry.choice is not None,
        bank=base + BANK_SUFFIX if _has_bank(body) else "",
    )
    left_alone = tuple(path for path in job.paths if _is_a_persons(path, disk, owned))
    reasons = tuple(_reasons(job, parts, locked, disk, left_alone))
    place = f"{entry.manifest}:{entry.line}"
    return Planned(job, place, base, parts, reasons, left_alone, entry.choice, prompt, sound.tags, sound.category or "")


def _slots(entry: Entry, base: str, extension: str) -> Iterator[Slot]:
    """name.wav for a single file, name_01.wav … for variations, name_soft_01.wav … for layers of them."""
    sound = entry.sound
    stems = sound.separate.stem_names if sound.separate else ("",)
    layers: Mapping[str, tuple[float, float]] = sound.layers or dict.fromkeys(stems, (0.0, 1.0))
    count = len(entry.sources) if sound.kind in ONE_EACH else sound.variations
    origin = f"seed {sound.seed}" if sound.seed is not None else f"name {entry.name}"
    for layer, intensity in layers.items():
        for index in range(1, count + 1):
            stem = "_".join(part for part in (base, layer, f"{index:02d}" if count > 1 else "") if part)
            seed = int.from_bytes(hashlib.sha256(f"{origin}/{layer}/{index}".encode()).digest()[:8], "little")
            yield Slot(f"{stem}.{extension}", layer, index, Draw(seed, intensity))


def _guidance_part(entry: Entry, guide: Guide, parts: Mapping[str, str]) -> str:
    """A digest of all that guidance depends on: neither variations nor mastering."""
    follows_from = [parts[name] for name in ("kind", "recipe", "prior", "length", "kind's code")]
    rivals = [rival.preset for rival in entry.rivals]
    return digest([*follows_from, entry.sound.prompt, guide.model_dump_json(), rivals, entry.sound.seed, GUIDE_VERSION])


def _prior_part(names: tuple[str, ...], root: Path, locked: LockedSound | None) -> str:
    """What stands for the prior's weights. Where they are not at hand, what the lock says is trusted."""
    if not names:
        return ""
    return digest_of(names, root) or (locked.parts.get("prior", "") if locked else "")


def _parts(
    entry: Entry,
    body: Spec,
    slots: Sequence[Slot],
    settings: Master,
    engine: str,
    guard: bool,
    sources: str,
    prior: str,
) -> dict[str, str]:
    sound: Sound = entry.sound
    draws = [(slot.draw.seed, slot.draw.intensity) for slot in slots]
    return {
        "prompt": digest(sound.prompt),  # in no key: where it matters it is in the recipe
        "description": digest([sound.tags, sound.category]),
        "kind": sound.kind,
        "recipe": recipe_part(body, *((sound.prompt,) if prior else ())),
        "seed": digest(draws[0][0]),
        "length": digest([sound.duration_s, bool(sound.loop), RENDER_RATE_HZ]),
        "variations": digest(draws),
        "kind's code": str(KINDS[sound.kind].version),
        "recording": sources,
        "prior": prior,
        "mastering": _mastering_part(settings),
        "file names": digest([slot.path for slot in slots]),
        "engine": digest([engine, guard, EXPORT_VERSION, *([PLAYER_VERSION] if _has_bank(body) else ())]),
    }


def _has_bank(body: Spec) -> bool:
    return getattr(body, "runtime", "none") == "modal"


@lru_cache
def _mastering_part(settings: Master) -> str:
    """Most sounds of a project share their settings."""
    return digest([settings.model_dump_json(), MASTER_VERSION])


def _reasons(
    job: Job, parts: Mapping[str, str], locked: LockedSound | None, disk: Disk, left_alone: Sequence[str]
) -> Iterator[str]:
    """Why the job must run, in words; the more telling reasons first."""
    if locked is None:
        yield "new"
        return
    if locked.key != job.key:
        changed = [name for name in parts if parts[name] != locked.parts.get(name) and name != "description"]
        if "prompt" in changed and ("recipe" in changed or "guidance" in changed):
            changed = ["prompt"]  # the rest follows from it
        elif len(changed) > 1 and "guidance" in changed:
            changed.remove("guidance")  # it follows from the others
        if job.kind in ("impact", "scene"):
            changed = ["mesh" if name == "recording" else name for name in changed]
        yield from (f"{name} changed" for name in changed or ["sfxgen"])
    for slot in job.slots:
        if not disk.exists(slot.path):
            yield f"file missing: {slot.path}"
        elif slot.path not in left_alone and locked.key == job.key:
            record = locked.files.get(slot.path)
            if record is None or disk.digest(slot.path) != record.digest:
                yield f"unfinished: {slot.path}"  # a killed run got this far
    if job.bank and not disk.exists(job.bank):
        yield f"file missing: {job.bank}"
    elif job.bank and job.bank not in left_alone and locked.key == job.key:
        yield from [f"unfinished: {job.bank}"] if disk.digest(job.bank) != locked.banks.get(job.bank) else ()
    for path, sidecar in locked.sidecars.items():
        if not disk.exists(path):
            yield f"file missing: {path}"
        elif path in disk.journal and disk.digest(path) != sidecar.digest:
            yield f"unfinished: {path}"


def _is_a_persons(path: str, disk: Disk, owned: Mapping[str, set[str]]) -> bool:
    found = disk.digest(path)
    return found is not None and found not in owned.get(path, ())


def _check_names(project: Project, names: Sequence[str]) -> None:
    known = [entry.name for entry in project.entries]
    for name in names:
        if name not in known:
            hint = nearest(name, known) or f"`sfxgen plan` lists all {len(known)}"
            raise BadInput(f"no sound is named '{name}'; {hint}")


def _check_paths(project: Project, sounds: Sequence[Planned], engine: str) -> None:
    """Two sounds that would write one file are a fault that names both; so is a format that the engine cannot read."""
    places = {entry.name: entry for entry in project.entries}
    taken: dict[str, str] = {}
    faults = []
    for planned in sounds:
        job = planned.job
        entry = places[job.name]
        fits = ENGINES[engine].formats
        if job.settings.format not in fits:
            problem = f"{ENGINES[engine].title} cannot import {job.settings.format} files"
            faults.append(
                Fault(entry.manifest, entry.line, entry.column, job.name, problem, f"one of {', '.join(fits)}")
            )
        bases = {"_".join(filter(None, (planned.base, slot.layer))) for slot in job.slots}  # engine files
        clashes: dict[str, str] = {}  # another sound → one path of both; backwards, so that "a.wav" is told before "a"
        for path in sorted({path.casefold() for path in (*bases, *(slot.path for slot in job.slots))}, reverse=True):
            other = taken.setdefault(path, job.name)
            if other != job.name:
                clashes.setdefault(other, path)
        for other, path in clashes.items():
            first = places[other]
            problem = f"it would write {path}, as sound '{other}' does ({first.manifest}:{first.line})"
            cure = "rename one of them"
            faults.append(Fault(entry.manifest, entry.line, entry.column, job.name, problem, cure=cure))
    if faults:
        raise ManifestError(faults)
