"""One job from its parameters to the bytes of its finished files. Runs in a worker; writes nothing but the cache."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sfxgen.audio import Audio
from sfxgen.cache import Cache
from sfxgen.credit import Credit
from sfxgen.disk import Disk
from sfxgen.errors import SfxgenError
from sfxgen.generate import KINDS, generate, is_periodic
from sfxgen.generate.recipe import Request
from sfxgen.guiding import Watcher, tuned
from sfxgen.manifest.guide import Guided
from sfxgen.manifest.impact import Impact
from sfxgen.plan import RENDER_RATE_HZ, Job, Slot

_LENGTH = struct.Struct("<I")  # of the notes as JSON, which come first
_HEADER = struct.Struct("<III")  # a cached take: rate_hz, channels, frames; then float32 samples


@dataclass(frozen=True)
class MadeFile:
    """A finished file, not yet on disk. n_frames is without the guard frame; loop is [start, end)."""

    slot: Slot
    data: bytes
    rate_hz: int
    channels: int
    n_frames: int
    loop: tuple[int, int] | None
    loudness_lufs: float
    loudness_rule: str
    true_peak_dbtp: float


@dataclass(frozen=True)
class Made:
    """All files of one sound, what mastering warned of, whose recordings it comes from, and how long it took (s).

    bank: its bank of modes; empty where it has none.
    """

    files: tuple[MadeFile, ...]
    gain_db: float
    warnings: tuple[str, ...]
    credits: tuple[Credit, ...]
    seconds: float
    guided: Guided | None = None
    bank: bytes = b""


def make(job: Job, root: Path, cache: Cache, watcher: Watcher | None = None) -> Made:
    """guide → generate (or take from the cache) → master → encode. Raises SfxgenError."""
    from sfxgen.codec import encode
    from sfxgen.master import master

    began = time.perf_counter()
    job, guided, notes = tuned(job, root, cache, watcher)
    takes, notes_on = _takes(job, root, cache, watcher or Watcher())
    periodic = job.loop and is_periodic(job.kind, job.body)
    mastered = master(takes, job.settings, loop=job.loop, periodic=periodic, aligned=KINDS[job.kind].aligned)
    files = tuple(
        MadeFile(
            slot=slot,
            data=encode(
                take.audio,
                format=job.settings.format,
                encoding=job.settings.encoding,
                quality=job.settings.quality,
                loop=take.loop,
                guard_frame=job.guard_frame,
            ),
            rate_hz=take.audio.rate_hz,
            channels=take.audio.n_channels,
            n_frames=take.audio.n_frames,
            loop=take.loop,
            loudness_lufs=take.loudness_lufs,
            loudness_rule=take.loudness_rule,
            true_peak_dbtp=take.true_peak_dbtp,
        )
        for slot, take in zip(job.slots, mastered.takes, strict=True)
    )
    warnings = (*notes, *notes_on.warnings, *mastered.warnings)
    bank = _bank(job, root, cache, mastered.gain_db) if job.bank else b""
    return Made(files, mastered.gain_db, warnings, notes_on.credits, time.perf_counter() - began, guided, bank)


def _bank(job: Job, root: Path, cache: Cache, gain_db: float) -> bytes:
    """The bank of modes of a (tuned) impact, at the level that mastering gave its files."""
    from sfxgen.generate.modal_bank import modal_bank, to_bytes

    assert isinstance(job.body, Impact)
    request = Request(rate_hz=RENDER_RATE_HZ, root=root, cached=cache.cached)
    return to_bytes(modal_bank(job.name, job.body, request, gain_db))


@dataclass(frozen=True)
class _Notes:
    """What a recipe said beside its takes: whose recordings they come from, and what a person should know."""

    credits: tuple[Credit, ...]
    warnings: tuple[str, ...]


def _takes(job: Job, root: Path, cache: Cache, watcher: Watcher) -> tuple[list[Audio], _Notes]:
    """The raw takes and what was said of them.

    All of a sound are rendered and kept together: their bytes never depend on what was cached.
    """
    credits: list[Credit] = []
    warnings: list[str] = []
    request = Request(
        rate_hz=RENDER_RATE_HZ,
        duration_s=job.duration_s,
        loop=job.loop,
        root=root,
        prompt=job.prompt,
        prior=job.prior,
        device=job.device,
        credit=credits.extend,
        warn=warnings.append,
        tell=watcher.on_word,
        cached=cache.cached,
    )
    draws = [slot.draw for slot in job.slots]

    def render() -> bytes:
        takes = generate(job.kind, job.body, draws, request)
        _check_recordings(job, root)
        return _pack(takes, _Notes(tuple(credits), tuple(dict.fromkeys(warnings))))

    return _unpack(cache.cached(f"takes {job.raw_key}", render))


def _check_recordings(job: Job, root: Path) -> None:
    """What was rendered must never be stored under the key of another recording."""
    disk = Disk(root)
    for path, digest in job.recordings:
        if disk.digest(path) != digest:
            raise SfxgenError(f"{path} changed while it was read; build again")


def _pack(takes: Sequence[Audio], notes: _Notes) -> bytes:
    named = json.dumps(asdict(notes)).encode()
    return (
        _LENGTH.pack(len(named))
        + named
        + b"".join(_HEADER.pack(t.rate_hz, t.n_channels, t.n_frames) + t.samples.tobytes() for t in takes)
    )


def _unpack(data: bytes) -> tuple[list[Audio], _Notes]:
    (length,) = _LENGTH.unpack_from(data)
    place = _LENGTH.size + length
    noted = json.loads(data[_LENGTH.size : place])
    notes = _Notes(tuple(Credit(**credit) for credit in noted["credits"]), tuple(noted["warnings"]))
    takes = []
    while place < len(data):
        rate_hz, channels, n_frames = _HEADER.unpack_from(data, place)
        place += _HEADER.size
        samples = np.frombuffer(data, np.float32, channels * n_frames, place).reshape(channels, n_frames)
        takes.append(Audio.of(samples, rate_hz))
        place += 4 * channels * n_frames
    return takes, notes
