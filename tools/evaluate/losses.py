"""Loss factors of the strongest partials in recordings of blows (`struck.py`), beside those of our materials.

    python tools/evaluate/losses.py

A partial of frequency f that falls by 60 dB in T has the loss factor η = 6 ln 10 / (2 π f T), radiation and whatever
holds the body counted in. Prints its median and quartiles by octave and class, of partials within 25 dB of the
strongest, and what internal damping alone is there in a material of ours: (α + η ω + β ω²) / ω. Recordings whose tail
is a room's or noise look less damped than their body: read it as a lower bound for dull materials.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from struck import recordings

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sfxgen.manifest.materials import MATERIALS  # noqa: E402

OCTAVES_HZ = (500, 1000, 2000, 4000, 8000)  # middles
OURS = {"metal": "steel", "wood": "wood", "glass": "glass", "stone": "stone", "plastic": "plastic"}
FAINTEST_DB, APART_OCTAVES, HALF_BAND = -25.0, 0.35, 0.06
FIT_DB = (-3.0, -18.0)
TAIL_S = 0.25  # silence behind the sound, where the filter may ring


def partials(audio: NDArray[np.float64], rate_hz: int) -> Iterator[tuple[float, float]]:
    """Frequency (Hz) and T60 (s) of the strongest partials, one in a third of an octave."""
    n = len(audio)
    padded = np.pad(audio, (round(TAIL_S * rate_hz), round(TAIL_S * rate_hz)))
    spectrum, hz = np.fft.rfft(padded), np.fft.rfftfreq(len(padded), 1 / rate_hz)
    grid = np.geomspace(250, min(14_000, 0.42 * rate_hz), 140)
    power = np.array([np.sum(np.abs(spectrum[np.abs(hz / f - 1) < HALF_BAND / 4]) ** 2) for f in grid])
    found: list[float] = []
    for i in np.argsort(power)[::-1]:
        f = float(grid[i])
        if power[i] < power.max() * 10 ** (FAINTEST_DB / 10):
            return
        if any(abs(np.log2(f / other)) < APART_OCTAVES for other in found):
            continue
        found.append(f)
        band = np.clip(2 * (1 - np.abs(hz / f - 1) / HALF_BAND), 0, 1)
        inside = np.fft.irfft(spectrum * band, len(padded))[round(TAIL_S * rate_hz) :][:n]
        seconds = t60_s(inside, rate_hz)
        if seconds > 4 / (HALF_BAND * f):  # slower than the filter's own ringing
            yield f, seconds


def t60_s(samples: NDArray[np.float64], rate_hz: int) -> float:
    """Schroeder's backward integration over FIT_DB; 0 where the sound ends before."""
    integral = np.cumsum(samples[::-1] ** 2)[::-1]
    level = 10 * np.log10(integral / integral[0] + 1e-12)
    begin, end = (int(np.argmax(level < db)) for db in FIT_DB)
    return max(0.0, (end - begin) / rate_hz * 60 / (FIT_DB[0] - FIT_DB[1]))


def ours(name: str, hz: float) -> float:
    material, omega = MATERIALS[name], 2 * np.pi * hz
    return float(material.alpha_per_s / omega + material.loss_factor + material.beta_s * omega)


def cell(losses: Sequence[float], our: float) -> str:
    if len(losses) < 3:
        return f"–, ours {our:.4f}"
    low, middle, high = np.quantile(losses, (0.25, 0.5, 0.75))
    return f"{middle:.4f} ({low:.4f}–{high:.4f}; {len(losses)}), ours {our:.4f}"


def main() -> int:
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in OURS}
    for found in recordings():
        audio, rate_hz = soundfile.read(found.wav, dtype="float64")
        measured[found.material] += [(f, 6 * np.log(10) / (2 * np.pi * f * t)) for f, t in partials(audio, rate_hz)]
    print("| | " + " | ".join(f"{hz} Hz" for hz in OCTAVES_HZ) + " |")
    print("|---" * (len(OCTAVES_HZ) + 1) + "|")
    for name, ours_name in OURS.items():
        losses = [[loss for f, loss in measured[name] if abs(np.log2(f / hz)) < 0.5] for hz in OCTAVES_HZ]
        cells = (cell(row, ours(ours_name, hz)) for row, hz in zip(losses, OCTAVES_HZ, strict=True))
        print(f"| {name} | " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
