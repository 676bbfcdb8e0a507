"""One gain for a whole set, so that its members keep their relation."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sfxgen.master.loudness import Reading

STEP_DB = 0.001  # gains are rounded down to it: what two machines' arithmetic differs in stays out of the files
MATTERS_DB = 0.05
MUCH_DB = 40.0


def common_gain(
    readings: Sequence[Reading], peaks_dbtp: Sequence[float], loudness_lufs: float, ceiling_dbtp: float
) -> tuple[float, list[str]]:
    """The gain (dB) that brings the loudest member to `loudness_lufs` without any true peak above `ceiling_dbtp`.

    Members are compared each by its own reading. Returns 0.0 for a silent set, and warnings in plain words beside it.
    """
    if max(peaks_dbtp) == -math.inf:
        return 0.0, []
    wanted_db = _gain_to(readings, loudness_lufs)
    allowed_db = ceiling_dbtp - max(peaks_dbtp)
    gain_db = round(math.floor(min(wanted_db, allowed_db) / STEP_DB) * STEP_DB, 3)
    warnings = []
    if wanted_db - gain_db > MATTERS_DB:
        short_db = wanted_db - gain_db
        warnings.append(f"stays {short_db:.1f} dB under the target loudness: the true-peak ceiling allows no more")
    if gain_db > MUCH_DB:
        warnings.append(f"very quiet: raised by {gain_db:.0f} dB, and its noise with it")
    return gain_db, warnings


def _gain_to(readings: Sequence[Reading], loudness_lufs: float) -> float:
    """The gain at which the loudest reading is at the target.

    The absolute gate of BS.1770-4 makes loudness rise by a little more or less than the gain; a few rounds settle it,
    from a first guess without gates that keeps a very quiet recording from being gated away.
    """
    gain_db = loudness_lufs - max(reading.ungated_lufs() for reading in readings)
    for _ in range(4):
        gain_db += loudness_lufs - max(reading.lufs(gain_db) for reading in readings)
    return gain_db
