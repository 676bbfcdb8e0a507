"""How recorded blows and ours differ: level by octave, how long they last, how often they rise. For evaluation alone.

    python tools/evaluate/materials.py --renders DIR
    python tools/evaluate/spectra.py DIR

Prints, for each material, the median over sources or things (of each its median) of the recordings of `struck.py` and
of two sets of renders of `materials.py`: the level of each octave beside the whole (dB); within how long 90 % of the
energy has come (ms); and how often the level rises by RISE_DB within the first RISING_S. Recordings have rooms,
microphones and, some, a lossy codec, of which renders have nothing: read differences of a few decibels as nothing.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from materials import CLASSES, material_of
from numpy.typing import NDArray
from struck import recordings

OCTAVES_HZ = (125, 250, 500, 1000, 2000, 4000, 8000)
HEARD_S, FRAME_S = 1.2, 0.002
RISE_DB, LEAST_DB, RISING_S = 6.0, -25.0, 0.3
BEGINS_DB = -20.0
Row = tuple[float, ...]


def measured(wav: Path) -> Row:
    """Level of each octave (dB), time of 90 % of the energy (ms), number of rises."""
    audio, rate_hz = soundfile.read(wav, dtype="float64", always_2d=True)
    mono = audio.mean(axis=1)
    frame = round(FRAME_S * rate_hz)
    power = np.convolve(mono**2, np.ones(frame) / frame, "same")
    begin = int(np.argmax(power > power.max() * 10 ** (BEGINS_DB / 10)))
    sound = mono[begin : begin + round(HEARD_S * rate_hz)]
    spectrum, hz = np.abs(np.fft.rfft(sound)) ** 2, np.fft.rfftfreq(len(sound), 1 / rate_hz)
    octave = np.abs(np.log2(np.maximum(hz, 1.0)[:, None] / np.array(OCTAVES_HZ))) < 0.5
    levels = list(10 * np.log10(spectrum @ octave / spectrum.sum() + 1e-9))
    came = np.cumsum(sound**2) / np.sum(sound**2)
    level_db = 10 * np.log10(power[begin : begin + round(RISING_S * rate_hz) : frame // 2] / power.max() + 1e-12)
    return (*levels, 1000 * float(np.argmax(came > 0.9)) / rate_hz, float(rises(level_db)))


def rises(level_db: NDArray[np.float64]) -> int:
    """How often a level of at least LEAST_DB is RISE_DB above the lowest since the last such rise."""
    count, lowest = 0, 2 * LEAST_DB
    for level in level_db:
        lowest = min(lowest, level)
        if level > max(lowest + RISE_DB, LEAST_DB):
            count, lowest = count + 1, level
    return count


def rendered(folder: Path) -> Iterator[tuple[str, str, str, Path]]:
    """Set, material, thing and file of what materials.py left."""
    for wav in sorted(folder.glob("*.wav")):
        if found := re.fullmatch(r"usual_(.+)_[a-z]+_\d+", wav.stem):
            yield "usual things", material_of(found[1]), found[1], wav
        elif found := re.fullmatch(r"happening_([a-z]+)_(.+)_\d+", wav.stem):
            yield "what happens", found[1], found[2], wav


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("renders", type=Path, help="folder that materials.py --renders has filled")
    things: dict[tuple[str, str], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for found in recordings():
        things["recordings", found.material][found.source].append(measured(found.wav))
    for kind, material, thing, wav in rendered(parser.parse_args().renders):
        things[kind, material][thing].append(measured(wav))
    print("| | | " + " | ".join(f"{f} Hz" for f in OCTAVES_HZ) + " | 90 % (ms) | rises |")
    print("|---" * (len(OCTAVES_HZ) + 4) + "|")
    for name in CLASSES:
        for kind in ("recordings", "usual things", "what happens"):
            row = np.median([np.median(rows, axis=0) for rows in things[kind, name].values()], axis=0)
            print(f"| {name} | {kind} | " + " | ".join(f"{value:.0f}" for value in row) + " |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
