"""Finished files into the project's folder: only ours, only whole, with what the engine wants beside them.

Everything is recorded in the lock, which is written last.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from sfxgen.disk import content_digest, write_atomically
from sfxgen.events import Event, OnEvent
from sfxgen.export import ENGINES, SoundAssets, SoundFile
from sfxgen.lock import LockedFile, LockedSidecar, LockedSound
from sfxgen.manifest.project import LOCK_FILE
from sfxgen.plan import CHANGED, UNWANTED, Planned, Planning, has_stale_record

if TYPE_CHECKING:
    from sfxgen.make import Made, MadeFile


class Publisher:
    """Writes one build's results.

    left_alone: path → why, for the files that a person changed or put in the way. removed: the paths that went.
    """

    def __init__(self, planning: Planning, on_event: OnEvent) -> None:
        self.left_alone = dict(planning.plan.left_alone)
        self.removed: list[str] = []
        self._root = planning.project.root
        self._lock = planning.lock
        self._disk = planning.disk
        self._plan = planning.plan
        self._engine = ENGINES[planning.plan.engine]
        self._on_event = on_event
        self._unmade = {planned.job.name for planned in planning.plan.stale}
        self._locked = planning.lock.digests()  # as they were before this build
        self._owned = planning.disk.owned(self._locked)
        sidecars = (sound.sidecars for sound in planning.lock.sounds.values())
        self._written = {path: sidecar.settings for of_sound in sidecars for path, sidecar in of_sound.items()}

    def publish(self, planned: Planned, made: Made) -> None:
        """Write the files of one sound and its sidecars, and note it in the lock.

        Raises CannotWrite, and BadInput for a sidecar that cannot be read or a format that the engine has no use for.
        """
        job = planned.job
        files = {}
        for file in made.files:
            self._write(file.slot.path, file.data)
            files[file.slot.path] = _record(file)
        banks = {}
        if job.bank:
            self._write(job.bank, made.bank)
            banks[job.bank] = content_digest(job.bank, made.bank)
        sound = LockedSound(
            key=job.key,
            raw_key=job.raw_key,
            parts=planned.parts,
            files=files,
            choice=planned.choice,
            warnings=made.warnings,
            credits=made.credits,
            guided=made.guided,
            banks=banks,
        )
        self._lock.sounds[job.name] = replace(sound, sidecars=self._write_sidecars(planned, sound))
        self._unmade.discard(job.name)
        for warning in made.warnings:
            self._on_event(Event("warning", job.name, f"{planned.place}: sound '{job.name}': {warning}"))

    def finish(self) -> None:
        """Bring the records and the index up to date, remove what lost its sound, and write the lock if it changed."""
        sounds = {planned.job.name: planned for planned in self._plan.sounds}
        for name in self._lock.sounds.keys() - sounds.keys():
            del self._lock.sounds[name]
        for planned in sounds.values():
            if has_stale_record(planned, self._lock):
                locked = self._lock.sounds[planned.job.name]
                self._lock.sounds[planned.job.name] = replace(locked, parts=planned.parts, choice=planned.choice)
        self._write_index(sounds)
        self._remove_leftovers()
        text = self._lock.to_text()
        if text != self._disk.read_text(LOCK_FILE):
            write_atomically(self._root / LOCK_FILE, text.encode())
        self._disk.settle(self._lock.digests())

    def _write(self, path: str, data: bytes) -> None:
        """Write a file that is wholly ours, unless it is there already or a person's stands in its place."""
        found = self._disk.digest(path)
        if found == content_digest(path, data):
            self.left_alone.pop(path, None)  # the same bytes as ours: no quarrel
        elif found is None or found in self._owned.get(path, ()):
            self._disk.write(path, data)
            self._owned.setdefault(path, set()).add(content_digest(path, data))  # a sketch is followed by the sound
        else:
            self.left_alone[path] = CHANGED

    def _write_sidecars(self, planned: Planned, sound: LockedSound) -> dict[str, LockedSidecar]:
        written = self._written | {path: self._settings_in(path) for path in self._disk.journal}
        sidecars = {}
        for path, sidecar in self._engine.sidecars(_assets(planned, sound), self._disk.read_text, written).items():
            data = sidecar.text.encode()
            if self._disk.read_text(path) != sidecar.text:
                self._disk.write(path, data, sidecar.settings)
                self._written[path] = sidecar.settings
            sidecars[path] = LockedSidecar(content_digest(path, data), sidecar.settings)
        return sidecars

    def _settings_in(self, path: str) -> dict[str, str]:
        """What we last set in a sidecar that a killed run meant to write: it may have got there or not."""
        noted, found = self._disk.journal[path], self._disk.digest(path)
        if found is not None and found == self._locked.get(path):
            return self._written.get(path, {})
        return noted[found] if found in noted else list(noted.values())[-1]

    def _write_index(self, sounds: dict[str, Planned]) -> None:
        assets = [_assets(sounds[name], sound) for name, sound in sorted(self._lock.sounds.items())]
        texts = self._engine.index(assets, self._plan.out) if assets else {}
        self._lock.index = {}
        for path, text in texts.items():
            self._write(path, text.encode())
            self._lock.index[path] = content_digest(path, text.encode())

    def _remove_leftovers(self) -> None:
        """What was ours and belongs to nothing any more.

        While a sound waits to be made, what only a killed run's journal knows may be that sound's: it stays.
        """
        kept = self._lock.digests().keys() | {path for planned in self._plan.sounds for path in planned.job.paths}
        for path in self._locked if self._unmade else self._owned:
            if path in kept or not self._disk.exists(path):
                continue
            if self._disk.digest(path) in self._owned[path]:
                self._disk.remove(path)
                self.removed.append(path)
                self._on_event(Event("removed", text=path))
            else:
                self.left_alone[path] = UNWANTED


def _assets(planned: Planned, sound: LockedSound) -> SoundAssets:
    """A made sound as the engine sees it, its files in the order of its slots: the lock's own is the alphabet's."""
    order = [slot.path for slot in planned.job.slots]
    paths = [path for path in order if path in sound.files] + sorted(sound.files.keys() - set(order))
    records = {path: sound.files[path] for path in paths}
    files = tuple(
        SoundFile(path, f.layer, f.index, f.rate_hz, f.channels, f.n_frames, f.loop) for path, f in records.items()
    )
    bank = planned.job.bank if planned.job.bank in sound.banks else ""
    return SoundAssets(planned.job.name, planned.base, files, planned.prompt, planned.tags, planned.category, bank)


def _record(file: MadeFile) -> LockedFile:
    return LockedFile(
        digest=content_digest(file.slot.path, file.data),
        layer=file.slot.layer,
        index=file.slot.index,
        rate_hz=file.rate_hz,
        channels=file.channels,
        n_frames=file.n_frames,
        loop=file.loop,
        loudness_lufs=_finite(file.loudness_lufs),
        loudness_rule=file.loudness_rule,
        true_peak_dbtp=_finite(file.true_peak_dbtp),
    )


def _finite(value: float) -> float | None:
    """Two decimals are all that a reader needs; silence has no level."""
    return round(value, 2) if math.isfinite(value) else None
