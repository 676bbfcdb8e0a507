"""What lies between the log-mel grid and a signal: band shapes, the window's smearing, frames on a line or a circle.

Powers are those of sfxgen.mel.mel_power: a full-scale sine gives about 1. Bands are counted by position: 3.5 lies
halfway (on the mel scale) between the centres of bands 3 and 4.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfxgen import mel

HOP, FFT = mel.HOP_SAMPLES, mel.FFT_SAMPLES
N_BINS = FFT // 2 + 1
BIN_HZ = mel.RATE_HZ / FFT
LOBE_BINS = 4  # half width of what we keep of the window's transform; beyond it lies less than 1e-4 of the energy


def to_power(levels_db: Tensor) -> Tensor:
    """The inverse of mel.to_db with the loudest cell at 1: what lies at the floor or below becomes exactly 0."""
    floor = 10.0 ** (mel.FLOOR_DB / 10.0)
    power: Tensor = torch.exp(levels_db * (math.log(10.0) / 10.0)) * (1.0 + floor) - floor * 1.001
    return power.clamp_min(0.0)


def position_of(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Frequency (Hz) → band position, not clipped to the grid."""
    low, high = mel.hz_to_mel(np.array([mel.LOW_HZ, mel.HIGH_HZ]))
    return np.asarray((mel.hz_to_mel(hz) - low) / (high - low) * (mel.N_MELS + 1) - 1.0)


def hz_at(position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Band position → frequency (Hz)."""
    low, high = mel.hz_to_mel(np.array([mel.LOW_HZ, mel.HIGH_HZ]))
    return mel.mel_to_hz(low + (position + 1.0) / (mel.N_MELS + 1) * (high - low))


def hats(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights [len(hz), N_MELS] that blend the bands' amplitudes at each frequency: raised cosines that sum to 1.

    Beyond the outermost centres the last band holds on to the grid's edge, then falls to 0 within half a band.
    """
    position = position_of(hz)
    inside = np.clip(position, 0.0, mel.N_MELS - 1.0)
    distance = np.abs(inside[:, None] - np.arange(mel.N_MELS))
    edge = np.clip(2.0 * (np.abs(position - inside) - 1.0), 0.0, 1.0)
    return np.asarray(np.cos(0.5 * np.pi * np.minimum(distance, 1.0)) ** 2 * np.cos(0.5 * np.pi * edge[:, None]) ** 2)


@lru_cache
def bin_hats(dtype: torch.dtype = torch.float32) -> Tensor:
    """hats at the centres of the FFT's bins, [N_BINS, N_MELS]."""
    return torch.from_numpy(hats(np.arange(N_BINS, dtype=np.float64) * BIN_HZ)).to(dtype)


def lobe(bins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Transform of the Hann window at a distance of so many bins, 1 at 0."""
    x = np.where(np.abs(np.abs(bins) - 1.0) < 1e-9, 1.0 + 1e-9, bins)
    return np.asarray(np.sinc(x) / (1.0 - x**2))


@lru_cache
def noise_to_bands(dtype: torch.dtype = torch.float32) -> Tensor:
    """E of the mel power of steady noise from its power density, [N_BINS, N_MELS]; density 1 = white noise of rms 1.

    The window (scaled to 2 / sum) smears each bin's power over its neighbours before the triangles add them up.
    """
    bins = np.arange(N_BINS)
    smear = lobe(np.subtract.outer(bins, bins).astype(np.float64)) ** 2
    smear *= np.abs(np.subtract.outer(bins, bins)) <= LOBE_BINS
    window = np.hanning(FFT + 1)[:-1]
    white = 4.0 * np.sum(window**2) / np.sum(window) ** 2
    spread = smear / smear.sum(0) * white
    return torch.from_numpy(spread @ mel.filters()).to(dtype)


def split_frames(audio: Tensor, loop: bool) -> Tensor:
    """Spectra of Hann frames centred on multiples of HOP: [batch, samples] → complex [batch, frames, N_BINS].

    On a line silence lies beyond the ends, on a circle (loop) the signal itself. Scaled as in sfxgen.mel.
    """
    n = audio.shape[-1]
    if loop:
        around = torch.arange(-FFT // 2, n + FFT // 2 - HOP) % n
        padded = audio[:, around.to(audio.device)]
    else:
        padded = torch.nn.functional.pad(audio, (FFT // 2, FFT // 2))
    spectra: Tensor = torch.fft.rfft(padded.unfold(-1, FFT, HOP) * _window(audio.dtype))
    return spectra


def join_frames(spectra: Tensor, loop: bool) -> Tensor:
    """The signal whose frames come nearest to the given ones in the least squares sense (Griffin and Lim, 1984, eq. 6).

    [batch, frames, N_BINS] → [batch, frames · HOP] on a circle, [batch, (frames − 1) · HOP] on a line.
    """
    frames = torch.fft.irfft(spectra, n=FFT)
    window = _window(frames.dtype)
    summed = _overlap_add(frames * window)
    weight = _overlap_add((window**2).expand(1, frames.shape[1], FFT))
    if not loop:
        inside = slice(FFT // 2, summed.shape[-1] - FFT // 2)
        return summed[:, inside] / weight[:, inside].clamp_min(1e-12)
    n = frames.shape[1] * HOP
    return _wrap(summed, n) / _wrap(weight, n)


def _overlap_add(frames: Tensor) -> Tensor:
    """[batch, frames, FFT] → [batch, (frames − 1) · HOP + FFT]."""
    n = (frames.shape[1] - 1) * HOP + FFT
    folded = torch.nn.functional.fold(frames.transpose(1, 2), (1, n), (1, FFT), stride=(1, HOP))
    return folded[:, 0, 0]


def _wrap(audio: Tensor, n: int) -> Tensor:
    """Lays a signal that begins FFT // 2 before 0 round a circle of n samples."""
    laps = -(-audio.shape[-1] // n)
    padded = torch.nn.functional.pad(audio, (0, laps * n - audio.shape[-1]))
    return padded.reshape(audio.shape[0], laps, n).sum(1).roll(-(FFT // 2), -1)


@lru_cache
def _window(dtype: torch.dtype) -> Tensor:
    window = torch.hann_window(FFT, dtype=dtype)
    return window * (2.0 / window.sum())


def band_power(spectra: Tensor) -> Tensor:
    """Complex [batch, frames, N_BINS] → [batch, frames, N_MELS], as mel.mel_power."""
    filters = torch.from_numpy(mel.filters()).to(spectra.real.dtype)
    return spectra.abs().square() @ filters
