"""A library of sounds made here, small enough to be written in a moment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ = 44_100


def tone(hz: float, seconds: float = 0.4) -> NDArray[np.float64]:
    """Three harmonics that die away."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return sum(np.sin(2 * np.pi * hz * k * t) / k for k in (1, 2, 3)) * np.exp(-4.0 * t) * 0.3


def hiss(low: bool, seed: int, seconds: float = 0.5) -> NDArray[np.float64]:
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))
    smooth = np.convolve(noise, np.ones(64) / 64, "same")
    return (smooth * 4.0 if low else noise - smooth) * 0.1


SOUNDS = {
    **{f"bell/bell_ring_{i}": tone(hz) for i, hz in enumerate((400.0, 450.0, 500.0, 560.0))},
    **{f"steam/steam_hiss_{i}": hiss(False, i) for i in range(4)},
    **{f"thunder/thunder_rumble_{i}": hiss(True, i + 10) for i in range(4)},
}


def write_recordings(folder: Path) -> Path:
    for name, samples in SOUNDS.items():
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, RATE_HZ)
    return folder
