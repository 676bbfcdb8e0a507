"""Noise that is exactly periodic: shaped in the spectrum of one period, never crossfaded.

White noise comes in as a half spectrum, complex [..., n_frames // 2 + 1] with E|X|² = 1, so that the caller owns
the randomness and the same numbers always make the same sound.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def white_spectrum(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.complex128]:
    """Complex normal numbers with E|X|² = 1, shape [..., n_frames // 2 + 1]."""
    return np.asarray(
        (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * math.sqrt(0.5), dtype=np.complex128
    )


def band_spectrum(
    white: Tensor, centre_hz: Tensor, width_octaves: Tensor, tilt_db: Tensor, n_frames: int, rate_hz: int
) -> Tensor:
    """White noise shaped to a band of rms 1: a Gaussian over log frequency, −3 dB at centre ± width/2.

    white: complex [batch, n_frames // 2 + 1]; the others [batch, 1], of real dtype. tilt_db (dB an octave about
    1 kHz) comes on top of rms 1 and stops below 20 Hz. DC and Nyquist stay empty. A band centred above Nyquist
    is silent. Returns complex [batch, n_frames // 2 + 1]: irfft gives the noise.
    """
    octaves_up, inside = _grid(white.shape[-1] - 1, n_frames, rate_hz, centre_hz.dtype, centre_hz.device)
    inside = inside & (centre_hz < rate_hz / 2)
    spread = width_octaves / (2.0 * math.sqrt(math.log(2.0)))  # |H|² = ½ at ± width/2
    octaves = octaves_up - torch.log2(centre_hz / 1000.0)
    # The exponent is taken relative to its largest value, so that a band that falls between two bins survives.
    exponent = -0.5 * (octaves / spread) ** 2
    shape = torch.exp(exponent - exponent.amax(-1, keepdim=True)) * inside
    power = 2.0 * (shape**2).sum(-1, keepdim=True) / n_frames**2
    shape = shape / torch.sqrt(power.clamp(min=1e-30))
    if tilt_db.requires_grad or bool(tilt_db.any()):
        shape = shape * torch.exp(tilt_db * octaves_up.clamp(min=math.log2(0.02)) * (math.log(10.0) / 20.0))
    shaped: Tensor = white * torch.nn.functional.pad(shape, (1, 0))
    return shaped


@lru_cache(maxsize=32)
def _grid(n_bins: int, n_frames: int, rate_hz: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Of the bins above DC: octaves above 1 kHz, and which lie below Nyquist."""
    with torch.inference_mode(False):  # what is kept must serve gradients, whoever asked first
        f_hz = torch.arange(1, n_bins + 1, dtype=dtype, device=device) * (rate_hz / n_frames)
        return torch.log2(f_hz / 1000.0), f_hz < rate_hz / 2


def analytic(half_spectrum: Tensor, n_frames: int) -> Tensor:
    """The complex signal [..., n_frames] whose real part is irfft(half_spectrum). DC and Nyquist must be empty."""
    padded: Tensor = torch.fft.ifft(2.0 * half_spectrum, n=n_frames)
    return padded


def slow_curve(harmonics: Tensor, rate_hz: Tensor, period_s: float, n_frames: int) -> Tensor:
    """A random periodic curve with mean 0 and rms 1, of harmonics of 1/period below about 3·rate_hz.

    harmonics: complex [..., K] white numbers; weight of harmonic k: exp(−½ (k/(rate·period))²), so its band ends
    smoothly at rate_hz [...]. Returns real [..., n_frames].
    """
    k = torch.arange(1, harmonics.shape[-1] + 1, dtype=rate_hz.dtype, device=rate_hz.device)
    exponent = -0.5 * (k / (rate_hz[..., None] * period_s)) ** 2
    coloured = harmonics * torch.exp(exponent - exponent.amax(-1, keepdim=True))
    scale = n_frames / torch.sqrt(2.0 * (coloured.abs() ** 2).sum(-1, keepdim=True))
    dc = torch.zeros_like(coloured[..., :1])
    curve: Tensor = torch.fft.irfft(torch.cat([dc, coloured * scale], -1), n=n_frames)
    return curve
