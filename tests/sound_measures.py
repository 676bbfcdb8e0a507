"""Measures of sounds that more than one test needs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.signal import firwin, oaconvolve

from sfxgen.audio import Audio

FLOOR_DB = -60.0


def centroid_hz(audio: Audio) -> float:
    """Spectral centroid by power of the first channel (Hz)."""
    power = np.abs(np.fft.rfft(audio.samples[0].astype(np.float64))) ** 2
    return float((power * np.fft.rfftfreq(audio.n_frames, 1 / audio.rate_hz)).sum() / power.sum())


def log_spectral_distance_db(a: Audio, b: Audio, n_times: int = 24) -> float:
    """Root mean square difference (dB) of two sounds' levels in third octaves and in n_times parts of their length.

    Each sound is cut into parts of its own length, so that a stretch in time counts little; levels stop 60 dB below
    the louder of the two.
    """
    levels = [_third_octave_levels_db(audio, n_times) for audio in (a, b)]
    floor = max(level.max() for level in levels) + FLOOR_DB
    first, second = (np.maximum(level, floor) for level in levels)
    assert first.size > 0
    return float(np.sqrt(np.mean((first - second) ** 2)))


def _third_octave_levels_db(audio: Audio, n_times: int) -> NDArray[np.float64]:
    window = 2048
    y = np.pad(audio.samples[0].astype(np.float64), window // 2)
    starts = np.linspace(0, audio.n_frames - 1, n_times).astype(int)
    power = np.abs(np.fft.rfft([y[start : start + window] * np.hanning(window) for start in starts])) ** 2
    f_hz = np.fft.rfftfreq(window, 1 / audio.rate_hz)
    edges_hz = 125 * 2 ** (np.arange(22) / 3)
    bands = [power[:, (f_hz >= low) & (f_hz < high)].sum(1) for low, high in itertools.pairwise(edges_hz)]
    return np.asarray(10 * np.log10(np.maximum(np.stack(bands, 1), 1e-20)))


def check_gradients(module: torch.nn.Module, loss: Callable[[], torch.Tensor]) -> None:
    """Every entry of every parameter: autograd against central differences."""
    names, parameters = zip(*module.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss(), parameters)
    checked = 0
    for name, parameter, gradient in zip(names, parameters, gradients, strict=True):
        for place in np.ndindex(*parameter.shape):
            step = 1e-6
            with torch.no_grad():
                start = parameter[place].item()
                parameter[place] = start + step
                above = loss().item()
                parameter[place] = start - step
                below = loss().item()
                parameter[place] = start
            numeric = (above - below) / (2 * step)
            if name == "index" and start == 0.0:
                numeric *= 2  # at its limit: the clamp halves the central difference
            assert gradient[place].item() == pytest.approx(numeric, rel=2e-4, abs=2e-5), (name, place)
            checked += 1
    assert checked > 10


def si_sdr_db(estimate: NDArray[np.floating], reference: NDArray[np.floating]) -> float:
    """Scale-invariant signal-to-distortion ratio (Le Roux et al. 2019, eq. 2) of [samples], dB."""
    x, s = np.asarray(estimate, np.float64), np.asarray(reference, np.float64)
    target = (x @ s) / (s @ s) * s
    return float(10 * np.log10(np.square(target).sum() / np.square(x - target).sum()))


def total(stems: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Stems added up without rounding."""
    assert len(stems) > 1
    return sum((stem.astype(np.float64) for stem in stems), np.zeros(stems[0].shape))


def clicks(wave: NDArray[np.float64], rate_hz: int, blows: Sequence[int] = ()) -> list[int]:
    """Frames at which a wave jumps as nothing around it does, but where a blow begins.

    What lies above 0.46 of the rate, where neither modes nor knocks reach, tells how large a step there is: a step has
    all frequencies. It is a click where it is above a thousandth of the peak and twice as large as any difference
    of neighbouring samples in the two milliseconds before it and after it.
    """
    n_taps = 127
    high = firwin(n_taps, 0.92, pass_zero=False)
    unit = float(np.abs(np.cumsum(high)).max())
    step = np.abs(oaconvolve(wave, high, mode="same")) / unit
    change = np.abs(np.diff(wave, prepend=wave[:1]))
    near, gap, begins = rate_hz // 500, 4, np.unique(np.asarray(blows, dtype=np.int64))
    found = []
    for i in np.flatnonzero(step > 1e-3 * np.abs(wave).max(initial=1e-12)):
        if step[max(0, i - n_taps) : i + n_taps].max() > step[i]:
            continue  # what the filter spreads of a larger one, or what that one drowns
        if len(begins) and np.abs(begins - i).min() <= gap:
            continue
        before, after = change[max(0, i - near) : max(0, i - gap)], change[i + gap : i + near]
        if step[i] > 2 * max(before.max(initial=0), after.max(initial=0)):
            found.append(int(i))
    return found
