"""Mastering: from the blocks that a recipe made to blocks that are ready to be written to files.

channels → DC → trim → loop → resample → fades, for each member of a set; then one gain for all of them, up to the
true-peak ceiling; then what was reached is measured. Everything inside is float64 [channels, frames].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfxgen.audio import Audio
from sfxgen.manifest.master import Master
from sfxgen.master import channels, edges, loudness
from sfxgen.master.filters import Block
from sfxgen.master.gain import common_gain
from sfxgen.master.loop import close, find_seam
from sfxgen.master.resample import resample
from sfxgen.master.true_peak import true_peak_dbtp

SILENT_BELOW = 1e-6  # −120 dBFS, under the last bit of a 20-bit converter: no gain makes a sound of that
CANCELS_DB = 10.0
LEVEL_JUMP_DB = 6.0


@dataclass(frozen=True)
class MasteredTake:
    """One finished member of a set.

    audio: at the settings' rate and channels, no true peak above their ceiling, not yet quantised.
    loop: [start, end) in frames, end exclusive: the whole block; None for a sound that ends.
    loudness_lufs: measured on the finished audio; −inf for silence. loudness_rule: how, see `loudness`.
    true_peak_dbtp: measured on the finished audio; −inf for silence.
    """

    audio: Audio
    loop: tuple[int, int] | None
    loudness_lufs: float
    loudness_rule: str
    true_peak_dbtp: float


@dataclass(frozen=True)
class Mastered:
    """A finished set, the one gain (dB) that all of it got, and what a person should know about it."""

    takes: tuple[MasteredTake, ...]
    gain_db: float
    warnings: tuple[str, ...]


def master(
    takes: Sequence[Audio], settings: Master, *, loop: bool = False, periodic: bool = False, aligned: bool = False
) -> Mastered:
    """Finish a set of takes (variations or velocity layers of one sound).

    loop: the sound shall repeat; each take is a recording in which a loop is found and crossfaded.
    periodic: each take is already exactly one period of a loop: nothing is cut or faded, and it stays periodic.
    aligned: the takes run side by side, as the stems of one recording do: none is trimmed or faded by itself.
    Raises ValueError for an empty set.
    """
    if aligned:
        settings = settings.model_copy(update={"trim_threshold_db": None, "fade_in_s": 0.0, "fade_out_s": 0.0})
    if not takes:
        raise ValueError("a set needs at least one take")
    looped = loop or periodic
    warnings: list[str] = []
    blocks = []
    for number, take in enumerate(takes, start=1):
        block, notes = _prepare(take, settings, loop=loop and not periodic, periodic=periodic)
        blocks.append(block)
        warnings += [f"variation {number}: {note}" if len(takes) > 1 else note for note in notes]
    momentary = settings.loudness_measure == "momentary"
    readings = [loudness.read(b, settings.rate_hz, loop=looped, momentary=momentary) for b in blocks]
    peaks_dbtp = [true_peak_dbtp(b, loop=looped) for b in blocks]
    gain_db, notes = common_gain(readings, peaks_dbtp, settings.loudness_lufs, settings.true_peak_dbtp)
    finished = tuple(
        MasteredTake(
            audio=Audio.of(block * 10 ** (gain_db / 20), settings.rate_hz),
            loop=(0, block.shape[1]) if looped and block.shape[1] else None,
            loudness_lufs=reading.lufs(gain_db),
            loudness_rule=reading.rule,
            true_peak_dbtp=peak_dbtp + gain_db,
        )
        for block, reading, peak_dbtp in zip(blocks, readings, peaks_dbtp, strict=True)
    )
    return Mastered(finished, gain_db, (*warnings, *notes))


def _prepare(take: Audio, settings: Master, *, loop: bool, periodic: bool) -> tuple[Block, list[str]]:
    """One take up to its gain, and what is worth saying about it."""
    source = take.samples.astype(np.float64)
    notes = _faults(source, settings.channels)
    block = channels.to_channels(source, settings.channels)
    block = edges.remove_dc(block, take.rate_hz, periodic=periodic)
    if np.abs(block).max(initial=0.0) < SILENT_BELOW:
        block, notes = np.zeros_like(block), [*notes, "silent: nothing to bring to the target loudness"]
    if not periodic and settings.trim_threshold_db is not None:
        tail_s = 0.0 if loop else settings.fade_out_s
        block = edges.trim(block, take.rate_hz, settings.trim_threshold_db, settings.trim_guard_s, tail_s)
    if loop:
        block, found = _loop(block, take.rate_hz)
        notes += found
    block = resample(block, take.rate_hz, settings.rate_hz, periodic=loop or periodic)
    if not (loop or periodic):
        block = edges.fade(block, settings.rate_hz, settings.fade_in_s, settings.fade_out_s)
    return block, notes


def _loop(block: Block, rate_hz: int) -> tuple[Block, list[str]]:
    seam = find_seam(block, rate_hz)
    if seam is None:
        return block, ["too short or too quiet to find a loop in: it repeats as it is"]
    notes = []
    if abs(seam.level_change_db) > LEVEL_JUMP_DB:
        change = f"{abs(seam.level_change_db):.0f} dB"
        notes = [f"changes its level by {change} from end to start of the loop; a steadier recording loops better"]
    return close(block, seam), notes


def _faults(source: Block, n_channels: int) -> list[str]:
    """What is wrong with a take as it came."""
    notes = []
    at_top = np.abs(source) >= 32767 / 32768
    held = at_top[:, 1:] & (source[:, 1:] == source[:, :-1])
    if (
        held[:, 1:] & held[:, :-1]
    ).any():  # three alike in a row at full scale: a crest cut flat, not one that just fits
        notes.append(f"source clipped: {int(at_top.sum())} samples at full scale")
    if n_channels == 1 and (lost_db := channels.lost_in_mono_db(source)) > CANCELS_DB:
        lost = "entirely" if lost_db > 100 else f"by {lost_db:.0f} dB"
        notes.append(f"its channels cancel each other in mono {lost}; channels: 2 would keep them")
    return notes
