"""Sounds as if they had been recorded: in a room, by a microphone, over noise, the same for whatever is compared.

Recordings have all this and renders have none of it, so that a judge of recordings would hear that rather than what
was struck. Heard through the same few random rooms, microphones and noises, both have it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter

Audio = NDArray[np.float64]

HEARD_S, LEAD_S, BEGIN_DB = 1.5, 0.01, -40.0
T60_S = (0.08, 0.6)  # of the rooms; between ends, drawn on a scale of octaves
DIRECT_DB = (0.0, 20.0)  # direct sound over that of the room
ROOM_BEGINS_S = 0.003
DULL = (0.0, 0.6)  # pole of the low-pass of the room's walls
TILT_DB = 3.0  # an octave, of the microphone, up or down from 1 kHz; 12 dB at the most
NOISE_DB = (-60.0, -35.0)  # pink, under the loudest frame
FRAME_SAMPLES = 1024


def recorded(audio: NDArray[np.float32], rate_hz: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Mono [samples] from its beginning on, as one recording of it, float32 [HEARD_S at rate_hz]."""
    n, lead = round(HEARD_S * rate_hz), round(LEAD_S * rate_hz)
    begin = int(np.argmax(np.abs(audio) > np.abs(audio).max() * 10 ** (BEGIN_DB / 20)))
    some = np.pad(audio[begin : begin + n - lead].astype(np.float64), (lead, 0))
    dry = np.pad(some, (0, n - len(some)))
    t60_s = float(np.exp(rng.uniform(*np.log(T60_S))))
    wet = fftconvolve(dry, _room(t60_s, rate_hz, rng))[:n] * 10 ** (-rng.uniform(*DIRECT_DB) / 20)
    bands_hz = np.fft.rfftfreq(n, 1 / rate_hz)
    tilt_db = rng.uniform(-TILT_DB, TILT_DB) * np.log2(np.maximum(bands_hz, 50.0) / 1000)
    heard = np.fft.irfft(np.fft.rfft(dry + wet) * 10 ** (np.clip(tilt_db, -12, 12) / 20), n)
    whole = n // FRAME_SAMPLES * FRAME_SAMPLES
    loudest = float(np.sqrt(np.square(heard[:whole]).reshape(-1, FRAME_SAMPLES).mean(axis=1).max()))
    noise = np.fft.irfft(
        (rng.normal(size=(2, len(bands_hz))) * [[1], [1j]]).sum(0) / np.sqrt(np.maximum(bands_hz, 40)), n
    )
    noise *= loudest / noise.std() * 10 ** (rng.uniform(*NOISE_DB) / 20)
    return np.asarray(heard + noise, dtype=np.float32)


def _room(t60_s: float, rate_hz: int, rng: np.random.Generator) -> Audio:
    """Its answer without the direct sound: noise that dies away, of energy 1."""
    t_s = np.arange(round(1.1 * t60_s * rate_hz)) / rate_hz
    noise = lfilter([1.0], [1.0, -rng.uniform(*DULL)], rng.normal(size=len(t_s)) * 10 ** (-3 * t_s / t60_s))
    noise[t_s < ROOM_BEGINS_S] = 0.0
    return np.asarray(noise / np.sqrt(np.square(noise).sum()))
