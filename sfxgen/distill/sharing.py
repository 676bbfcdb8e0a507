"""A recording shared out among stems that together are the recording again, sample by sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

WINDOW_S = 0.0464  # 2048 samples at 44.1 kHz
EXACT_BITS = 24  # what a float32 holds of a number below 1


@dataclass(frozen=True, eq=False)
class Shares:
    """Whose each place of a recording is: values [stems, bins, frames] within [0, 1], summing to 1 over the stems.

    bin_hz, frame_s: from one bin or frame to the next; the first are at 0 Hz and 0 s.
    """

    values: Tensor
    bin_hz: float
    frame_s: float


def fft_samples_for(rate_hz: int) -> int:
    """The power of two nearest to WINDOW_S at this rate, at least 16."""
    return int(max(16, 2 ** round(math.log2(WINDOW_S * rate_hz))))


def spectrum(audio: Tensor, rate_hz: int) -> Tensor:
    """Complex STFT [..., bins, frames] of audio [..., samples]; four frames a window, silence beyond the ends."""
    n_fft = fft_samples_for(rate_hz)
    window = torch.hann_window(n_fft, dtype=audio.dtype, device=audio.device)
    flat = audio.reshape(-1, audio.shape[-1])
    found = torch.stft(flat, n_fft, n_fft // 4, window=window, pad_mode="constant", return_complex=True)
    return found.reshape(*audio.shape[:-1], *found.shape[-2:])


def waveform(spectra: Tensor, rate_hz: int, n_samples: int) -> Tensor:
    """The inverse of `spectrum`, [..., samples]. Differentiable."""
    n_fft = fft_samples_for(rate_hz)
    window = torch.hann_window(n_fft, dtype=spectra.real.dtype, device=spectra.device)
    flat = spectra.reshape(-1, *spectra.shape[-2:])
    # Beyond the last whole hop the windows of the frames there are still add up to something above 0.
    found = torch.istft(flat, n_fft, n_fft // 4, window=window, length=n_samples)
    return found.reshape(*spectra.shape[:-2], n_samples)


def wiener(stems: Tensor, rate_hz: int) -> Shares:
    """The shares of stems [stems, channels, samples] by their power at each place; equal where none has any."""
    power = spectrum(stems, rate_hz).abs().square().sum(1)
    floor = 1e-9 * power.amax().clamp_min(1e-12) / len(stems)
    values = (power + floor) / (power + floor).sum(0)
    return Shares(values, rate_hz / fft_samples_for(rate_hz), fft_samples_for(rate_hz) / 4 / rate_hz)


def shared_out(samples: NDArray[np.float32], rate_hz: int, shares: Shares) -> list[NDArray[np.float32]]:
    """The stems of a recording [channels, samples] at its own rate, each float32 of its shape.

    Each stem's samples are rounded to a grid that float32 holds exactly, and what the others leave goes to the stem
    with the most: added up (in float64) they are the recording, bit for bit where it is PCM of up to 24 bits, else
    within half a step of 24 bits of the peak.
    """
    stems = np.zeros((len(shares.values), *samples.shape), np.float64)
    for channel, block in enumerate(samples):
        found = spectrum(torch.from_numpy(block.astype(np.float64)), rate_hz)
        for number, mine in enumerate(_on_grid(shares, rate_hz, *found.shape)):
            stems[number, channel] = waveform(found * mine, rate_hz, samples.shape[1]).numpy()
    return exact(samples, list(stems))


def exact(samples: NDArray[np.float32], stems: Sequence[NDArray[np.floating]]) -> list[NDArray[np.float32]]:
    """Stems that nearly add up to the recording, so that they do: see `shared_out`."""
    peak = max(float(np.abs(samples).max(initial=0.0)), *(float(np.abs(s).max(initial=0.0)) for s in stems), 1e-30)
    step = 2.0 ** (math.ceil(math.log2(1.001 * peak)) - EXACT_BITS)
    whole = [np.rint(np.asarray(stem, np.float64) / step) * step for stem in stems]
    main = int(np.argmax([float(np.square(stem).sum()) for stem in whole]))
    others = sum((stem for number, stem in enumerate(whole) if number != main), np.zeros(samples.shape))
    whole[main] = samples.astype(np.float64) - others
    return [stem.astype(np.float32) for stem in whole]


def _on_grid(shares: Shares, rate_hz: int, n_bins: int, n_frames: int) -> Tensor:
    """The shares at the bins and frames of another STFT, linear between places and held beyond the last."""
    n_fft = fft_samples_for(rate_hz)
    values = shares.values.detach().to("cpu", torch.float64)
    bins = torch.arange(n_bins, dtype=torch.float64) * (rate_hz / n_fft / shares.bin_hz)
    frames = torch.arange(n_frames, dtype=torch.float64) * (n_fft / 4 / rate_hz / shares.frame_s)
    return _taken(_taken(values, bins, 1), frames, 2)


def _taken(values: Tensor, places: Tensor, axis: int) -> Tensor:
    last = values.shape[axis] - 1
    places = places.clamp(0.0, float(last))
    low = places.floor().long()
    part = places - low
    shape = [1, 1, 1]
    shape[axis] = -1
    part = part.reshape(shape)
    below, above = values.index_select(axis, low), values.index_select(axis, (low + 1).clamp(max=last))
    return below + part * (above - below)
