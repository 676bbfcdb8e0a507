"""Writes the example project's recordings: `python tools/make_recordings.py manifests/godot/recordings`.

They stand in for a microphone's work, so that mastering has something to do: a low level, an offset of the whole wave,
room noise, and silence before and after. All three are synthesised here and so are free of anyone else's rights.
"""

from __future__ import annotations

import sys
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

RATE_HZ = 32_000
Samples = NDArray[np.float64]


def main(folder: Path) -> None:
    rng = np.random.default_rng(20)
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "hero_hurt.wav", as_recorded(grunt(rng), before_s=0.35, after_s=0.5, offset=0.02, rng=rng))
    write(folder / "cellar_door.wav", as_recorded(creak(rng), before_s=0.25, after_s=0.4, offset=-0.015, rng=rng))
    write(folder / "crickets.wav", as_recorded(crickets(rng), before_s=0.1, after_s=0.1, offset=0.0, rng=rng))


def grunt(rng: np.random.Generator) -> Samples:
    """A short "uh": glottal pulses through the resonances of an open mouth (source and filter, Fant 1960)."""
    seconds = time_axis(0.38)
    pitch_hz = 150 * 2 ** (-0.9 * seconds / 0.38) * (1 + 0.02 * smooth_noise(seconds.size, 30.0, rng))
    phase = np.cumsum(pitch_hz) / RATE_HZ
    pulses = np.maximum(np.diff(np.floor(phase), prepend=0.0), 0.0)
    breath = 0.02 * rng.standard_normal(seconds.size)
    voice = lfilter([1.0], [1.0, -0.96], pulses) + breath
    for formant_hz, bandwidth_hz in ((620, 80), (1200, 100), (2550, 160), (3500, 240)):
        voice = resonance(voice, formant_hz, bandwidth_hz)
    return normalised(voice * np.minimum(seconds / 0.02, 1.0) * np.exp(-((seconds / 0.26) ** 4)))


def creak(rng: np.random.Generator) -> Samples:
    """A hinge that sticks and slips, faster as the door gains way, then the thud of the frame."""
    seconds = time_axis(2.0)
    rate_hz = 25 + 60 * np.sin(np.pi * np.clip(seconds / 1.5, 0, 1)) ** 2
    rate_hz *= 1 + 0.15 * smooth_noise(seconds.size, 12.0, rng)
    slips = np.maximum(np.diff(np.floor(np.cumsum(rate_hz) / RATE_HZ), prepend=0.0), 0.0)
    slips *= rng.uniform(0.4, 1.0, seconds.size) * (seconds < 1.5)
    thud = np.where(seconds >= 1.6, np.exp(-(seconds - 1.6) / 0.006), 0.0) * rng.standard_normal(seconds.size)
    hinge = np.sum([resonance(slips, hz, hz / 25) for hz in (410, 870, 1340, 2210)], axis=0)
    panel = np.sum([resonance(thud, hz, hz / 6) for hz in (85, 170, 340)], axis=0)
    return normalised(normalised(hinge) * 0.5 + normalised(panel))


def crickets(rng: np.random.Generator) -> Samples:
    """Three field crickets: bursts of three pulses of a pure tone, each insect at its own pace."""
    seconds = time_axis(2.8)
    chorus = np.zeros(seconds.size)
    for tone_hz, chirps_hz, pulses_hz, level in ((4350, 2.1, 34, 1.0), (4680, 2.5, 38, 0.5), (4100, 1.7, 31, 0.3)):
        start = rng.uniform(0, 1)
        chirping = np.mod(seconds * chirps_hz + start, 1.0) < 3 * chirps_hz / pulses_hz
        pulses = np.maximum(np.sin(2 * np.pi * np.mod(seconds + start / chirps_hz, 1 / chirps_hz) * pulses_hz), 0.0)
        chorus += level * chirping * pulses**2 * np.sin(2 * np.pi * tone_hz * seconds)
    return normalised(chorus)


def as_recorded(
    sound: Samples, before_s: float, after_s: float, offset: float, rng: np.random.Generator, peak_db: float = -21.0
) -> Samples:
    """The sound as a careless recordist brings it home."""
    padded = np.pad(sound * 10 ** (peak_db / 20), (round(before_s * RATE_HZ), round(after_s * RATE_HZ)))
    return padded + offset + 10 ** (-78 / 20) * rng.standard_normal(padded.size)


def time_axis(duration_s: float) -> Samples:
    return np.arange(round(duration_s * RATE_HZ)) / RATE_HZ


def smooth_noise(n_samples: int, cutoff_hz: float, rng: np.random.Generator) -> Samples:
    """Noise below about `cutoff_hz`, of variance 1."""
    pole = np.exp(-2 * np.pi * cutoff_hz / RATE_HZ)
    noise = np.asarray(lfilter([1.0], [1.0, -pole], rng.standard_normal(n_samples)))
    return np.asarray(noise / noise.std())


def resonance(signal: Samples, centre_hz: float, bandwidth_hz: float) -> Samples:
    """A two-pole resonator with gain 1 at 0 Hz (Klatt 1980, eq. 2)."""
    radius = np.exp(-np.pi * bandwidth_hz / RATE_HZ)
    b, c = 2 * radius * np.cos(2 * np.pi * centre_hz / RATE_HZ), -(radius**2)
    return np.asarray(lfilter([1 - b - c], [1.0, -b, -c], signal))


def normalised(signal: Samples) -> Samples:
    return np.asarray(signal / np.abs(signal).max())


def write(path: Path, samples: Samples) -> None:
    """16-bit mono WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())


def from_command_line(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    main(Path(arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(from_command_line(sys.argv[1:]))
