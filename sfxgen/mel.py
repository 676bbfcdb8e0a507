"""The map in which sounds are compared: log-mel levels on one fixed grid, differentiable, batch first.

One grid for the whole house: libraries store it, the library prior diffuses in it, synths are fitted to it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

RATE_HZ = 44_100
FFT_SAMPLES = 2048
HOP_SAMPLES = 512
N_MELS = 128
LOW_HZ, HIGH_HZ = 20.0, 20_000.0
FLOOR_DB = -76.5  # what lies further below a sound's loudest cell counts as silence: 255 steps of 0.3 dB
FRAMES_A_SECOND = RATE_HZ / HOP_SAMPLES

_BREAK_HZ, _HZ_A_MEL, _LOG_STEP = 1000.0, 200.0 / 3.0, np.log(6.4) / 27.0  # Slaney's Auditory Toolbox (1998)


def hz_to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's scale: linear up to 1 kHz, then logarithmic."""
    log_part = _BREAK_HZ / _HZ_A_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _HZ_A_MEL, log_part)


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of hz_to_mel."""
    at_break = _BREAK_HZ / _HZ_A_MEL
    return np.where(mel < at_break, mel * _HZ_A_MEL, _BREAK_HZ * np.exp(_LOG_STEP * (mel - at_break)))


def centres_hz() -> NDArray[np.float64]:
    """The bands' centre frequencies (Hz), shape [N_MELS], rising."""
    return _corners_hz()[1:-1]


def n_frames_for(n_samples: int) -> int:
    """Frames of a sound of so many samples: one every hop, the first centred on sample 0."""
    return n_samples // HOP_SAMPLES + 1


def mel_power(audio: torch.Tensor) -> torch.Tensor:
    """Power in each band, shape [batch, samples] at RATE_HZ → [batch, frames, N_MELS], linear.

    A full-scale sine at a band's centre gives about 1. Frames are Hann windows centred on multiples of the hop, with
    silence beyond the ends. Differentiable; keeps the dtype (float32 or float64).
    """
    window, filters = _window(audio.dtype, audio.device), _filters(audio.dtype, audio.device)
    spectrum = torch.stft(
        audio, FFT_SAMPLES, HOP_SAMPLES, window=window, center=True, pad_mode="constant", return_complex=True
    )
    power = spectrum.real.square() + spectrum.imag.square()  # unlike |X|², it has a gradient where X is next to nothing
    return power.transpose(1, 2) @ filters


def to_db(power: torch.Tensor, floor_db: float = FLOOR_DB) -> torch.Tensor:
    """Levels (dB) below the loudest cell of each item: [batch, frames, bands] → the same, within [floor_db, 0].

    The floor is added as power, so that the gradient fades out towards it instead of stopping.
    """
    peak = power.detach().amax(dim=(1, 2), keepdim=True).clamp_min(1e-20)
    floor = 10.0 ** (floor_db / 10.0)
    return 10.0 * torch.log10((power / peak + floor) / (1.0 + floor))


def log_mel(audio: torch.Tensor, floor_db: float = FLOOR_DB) -> torch.Tensor:
    """Levels (dB) of each sound below its own loudest cell: [batch, samples] → [batch, frames, N_MELS]."""
    return to_db(mel_power(audio), floor_db)


@lru_cache
def _window(dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    window = torch.hann_window(FFT_SAMPLES, dtype=dtype, device=device)
    return window * (2.0 / window.sum())


@lru_cache
def _filters(dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(filters()).to(device=device, dtype=dtype)


@lru_cache
def filters() -> NDArray[np.float64]:
    """Triangles of unit height, shape [FFT_SAMPLES // 2 + 1, N_MELS]: power spectrum → bands."""
    corners_hz = _corners_hz()
    bins_hz = np.arange(FFT_SAMPLES // 2 + 1) * RATE_HZ / FFT_SAMPLES
    low, centre, high = corners_hz[:-2], corners_hz[1:-1], corners_hz[2:]
    rising = (bins_hz[:, None] - low) / (centre - low)
    falling = (high - bins_hz[:, None]) / (high - centre)
    return np.maximum(0.0, np.minimum(rising, falling))


def _corners_hz() -> NDArray[np.float64]:
    low, high = hz_to_mel(np.array([LOW_HZ, HIGH_HZ]))
    return mel_to_hz(np.linspace(low, high, N_MELS + 2))
