"""Noises and room tones of our own, which separation and enhancement listen for. Formulas: captions are exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from renders import CREDIT, LICENCE

from sfxgen.library.features import Facts, Sound, digest_of, sound_of
from sfxgen.mel import RATE_HZ

SECONDS, TAKES = 2.5, 2
_N = int(SECONDS * RATE_HZ)
_HZ = np.fft.rfftfreq(_N, 1 / RATE_HZ)
_S = np.arange(_N) / RATE_HZ

Samples = NDArray[np.float64]
Draw = np.random.Generator


def noise_sounds() -> Iterator[Sound]:
    """Two takes of each, full length."""
    for name, (captions, make) in NOISES.items():
        for take in range(1, TAKES + 1):
            title = f"noise/{name}_{take}"
            samples = make(np.random.default_rng(list(title.encode())))
            samples = (0.5 * samples / np.abs(samples).max()).astype(np.float32)
            digest = digest_of(f"{title} {captions}".encode())
            facts = Facts(f"sfxgen/{title}", tuple(captions.split("; ")), "sfxgen", LICENCE, CREDIT, "noise", digest)
            yield sound_of(facts, samples[None], RATE_HZ)


def _coloured(draw: Draw, db_per_octave: float, low_hz: float = 20.0, high_hz: float = 20_000.0) -> Samples:
    """Gaussian noise whose power falls or rises with frequency, within a band with soft edges (12 dB an octave)."""
    hz = np.maximum(_HZ, 1.0)
    gain = (hz / 1000.0) ** (db_per_octave / 6.02)
    gain = gain / np.sqrt((1.0 + (low_hz / hz) ** 4) * (1.0 + (hz / high_hz) ** 4))
    spectrum = draw.normal(size=len(_HZ)) + 1j * draw.normal(size=len(_HZ))
    noise: Samples = np.fft.irfft(gain * spectrum, _N)
    noise /= noise.std()
    return noise


def _slow(draw: Draw, rate_hz: float, depth: float) -> Samples:
    """A level that wanders: 1 on average, slower than rate_hz, by `depth` either way."""
    drift = _coloured(draw, -12.0, 0.05, rate_hz)
    level: Samples = np.exp(depth * drift / np.abs(drift).max())
    return level


def _hum(draw: Draw, mains_hz: float, falls_db: float, odd: bool = False) -> Samples:
    """Harmonics of the mains, each falls_db an octave weaker; odd: mostly the odd ones, as of a dimmer."""
    k = np.arange(1, int(8000 / mains_hz))
    level = k ** (-falls_db / 6.02) * draw.uniform(0.4, 1.0, len(k)) * np.where(odd & (k % 2 == 0), 0.2, 1.0)
    phase = draw.uniform(0, 2 * np.pi, len(k))
    tones: Samples = level @ np.sin(2 * np.pi * mains_hz * k[:, None] * _S + phase[:, None])
    return tones


def _clicks(draw: Draw, per_s: float, low_hz: float, high_hz: float) -> Samples:
    """Short clicks at random times and levels, in a band."""
    train = np.zeros(_N)
    places = draw.integers(0, _N, draw.poisson(per_s * SECONDS))
    np.add.at(train, places, draw.normal(size=len(places)) * draw.exponential(1.0, len(places)))
    gain = 1.0 / np.sqrt((1.0 + (low_hz / np.maximum(_HZ, 1.0)) ** 4) * (1.0 + (_HZ / high_hz) ** 4))
    clicks: Samples = np.fft.irfft(gain * np.fft.rfft(train), _N)
    return clicks / max(float(clicks.std()), 1e-9)


def _fan(draw: Draw, blade_hz: float, high_hz: float) -> Samples:
    """Rushing air that the blades chop, with the tone of the blades."""
    chop = 1.0 + 0.3 * np.sin(2 * np.pi * blade_hz * _S) + 0.1 * np.sin(2 * np.pi * blade_hz / 3 * _S)
    return _coloured(draw, -3.0, 40.0, high_hz) * chop + 0.5 * _hum(draw, blade_hz, 12.0)


def _room(draw: Draw, high_hz: float, hum: float) -> Samples:
    return _coloured(draw, -7.0, 30.0, high_hz) + hum * _hum(draw, 50.0, 9.0)


NOISES: dict[str, tuple[str, Callable[[Draw], Samples]]] = {
    "white": ("white noise; steady bright noise; noise", lambda d: _coloured(d, 0.0)),
    "pink": ("pink noise; steady even noise; noise", lambda d: _coloured(d, -3.0)),
    "brown": ("brown noise; red noise; deep steady noise", lambda d: _coloured(d, -6.0)),
    "blue": ("blue noise; thin bright noise", lambda d: _coloured(d, 3.0)),
    "tape_hiss": ("tape hiss; hiss; high steady hiss", lambda d: _coloured(d, 1.0, 2500.0, 16_000.0)),
    "preamp_hiss": (
        "microphone hiss; amplifier noise; recording noise floor",
        lambda d: _coloured(d, 0.0, 300.0, 14_000.0),
    ),
    "telephone_noise": ("telephone line noise; narrow band noise", lambda d: _coloured(d, 0.0, 300.0, 3400.0)),
    "radio_static": (
        "radio static; crackling static noise",
        lambda d: _coloured(d, 0.0, 400.0, 6000.0) + _clicks(d, 60, 500, 8000),
    ),
    "hum_50": ("mains hum at 50 Hz; electric hum; ground loop hum", lambda d: _hum(d, 50.0, 9.0)),
    "hum_60": ("mains hum at 60 Hz; electric hum; ground loop hum", lambda d: _hum(d, 60.0, 9.0)),
    "buzz_50": ("mains buzz at 50 Hz; electric buzz; dimmer buzz", lambda d: _hum(d, 50.0, 3.0, odd=True)),
    "buzz_60": ("mains buzz at 60 Hz; electric buzz; neon light buzz", lambda d: _hum(d, 60.0, 3.0, odd=True)),
    "transformer": ("transformer hum; power station hum", lambda d: _hum(d, 100.0, 6.0) + 0.1 * _coloured(d, -6.0)),
    "room_small": ("room tone of a small room; quiet indoor room; silence in a room", lambda d: _room(d, 3000.0, 0.05)),
    "room_large": ("room tone of a large hall; empty hall ambience", lambda d: _room(d, 1200.0, 0.02)),
    "room_office": ("room tone of an office; office with ventilation and hum", lambda d: _room(d, 5000.0, 0.3)),
    "room_cellar": ("room tone of a cellar; low rumbling basement", lambda d: _coloured(d, -10.0, 20.0, 400.0)),
    "ventilation": ("ventilation; air conditioner; air vent", lambda d: _coloured(d, -4.0, 60.0, 4000.0)),
    "desk_fan": ("desk fan; electric fan blowing; fan", lambda d: _fan(d, 75.0, 3000.0)),
    "computer_fan": ("computer fan; cooling fan whir; server fan", lambda d: _fan(d, 210.0, 7000.0)),
    "industrial_fan": ("industrial fan; big ventilator; extractor fan", lambda d: _fan(d, 28.0, 1500.0)),
    "refrigerator": (
        "refrigerator hum; fridge compressor",
        lambda d: _hum(d, 50.0, 12.0) + 0.3 * _coloured(d, -6.0, 40, 1500),
    ),
    "traffic": (
        "distant traffic rumble; city traffic; road noise",
        lambda d: _coloured(d, -6.0, 40.0, 1500.0) * _slow(d, 0.8, 0.8),
    ),
    "motorway": (
        "motorway noise; steady traffic of a highway",
        lambda d: _coloured(d, -3.0, 60.0, 3500.0) * _slow(d, 0.4, 0.3),
    ),
    "wind_rumble": (
        "wind noise in a microphone; wind rumble",
        lambda d: _coloured(d, -9.0, 15.0, 250.0) * _slow(d, 3.0, 2.0),
    ),
    "handling": (
        "microphone handling noise; low bumps",
        lambda d: _clicks(d, 6, 30.0, 180.0) + 0.05 * _coloured(d, -6.0),
    ),
    "vinyl_crackle": (
        "vinyl record crackle; crackle; old record surface noise",
        lambda d: _clicks(d, 25, 900, 9000) + 0.05 * _coloured(d, -3.0),
    ),
    "dense_crackle": ("dense crackle; crackling; electric crackling", lambda d: _clicks(d, 250, 1500, 12_000)),
    "clicks": ("random clicks; digital clicks; ticking noise", lambda d: _clicks(d, 8, 2000, 16_000)),
    "geiger": ("geiger counter; radiation clicks", lambda d: _clicks(d, 18, 2500, 6000)),
    "aircraft_cabin": (
        "aircraft cabin noise; inside a plane",
        lambda d: _coloured(d, -5.0, 60.0, 5000.0) + 0.2 * _hum(d, 95.0, 9.0),
    ),
    "ship_engine_room": (
        "ship engine room; low machine rumble",
        lambda d: _coloured(d, -6.0, 25.0, 900.0) * (1 + 0.4 * np.sin(2 * np.pi * 7 * _S)),
    ),
    "underwater": (
        "under water rumble; underwater ambience",
        lambda d: _coloured(d, -9.0, 25.0, 500.0) * _slow(d, 1.5, 0.8),
    ),
}
