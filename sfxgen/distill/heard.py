"""Recordings as a prior takes them: its rate, its channels, in stretches no longer than its window."""

from __future__ import annotations

import math

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from sfxgen.audio import Audio
from sfxgen.priors.contract import Prior

Block = NDArray[np.float32]  # [channels, frames]

SILENT_DBFS = -70.0  # RMS; what lies below is taken for silence however loud the rest is
FRAME_S = 0.02
CANCELS = 0.1  # of the channels' amplitude: a sum that is smaller has lost what they hold


def heard(audio: Audio, prior: Prior) -> Tensor:
    """A recording of any rate and channels → [1, prior.channels, frames] where and as the prior is.

    Channels are averaged for a mono prior; where they would cancel, the loudest stands for all. A prior with more
    channels than the recording gets its average in each.
    """
    samples = audio.samples
    if audio.n_channels != prior.channels:
        samples = np.repeat(_one_channel(samples), prior.channels, axis=0)
    return torch.from_numpy(at_rate(samples, audio.rate_hz, prior.rate_hz))[None].to(prior.device, prior.dtype)


def at_rate(samples: Block, from_hz: int, to_hz: int) -> Block:
    """[channels, frames] at another rate, round(frames · to / from) long."""
    if from_hz == to_hz:
        return np.array(samples)
    n_frames = max(1, round(samples.shape[1] * to_hz / from_hz))
    out = soxr.resample(np.ascontiguousarray(samples.T), from_hz, to_hz, quality="VHQ").T[:, :n_frames]
    return np.ascontiguousarray(np.pad(out, ((0, 0), (0, n_frames - out.shape[1]))))


def stretches(n_frames: int, longest: int, hop: int) -> list[slice]:
    """Stretches of `longest` frames every `hop` that cover n_frames; the last one ends with the sound.

    One alone where the sound is no longer than that.
    """
    if not 0 < hop <= longest:
        raise ValueError(f"a hop of {hop} frames does not fit stretches of {longest}")
    n = 1 + max(0, math.ceil((n_frames - longest) / hop))
    starts = [min(i * hop, max(0, n_frames - longest)) for i in range(n)]
    return [slice(start, min(n_frames, start + longest)) for start in starts]


def sounding_parts(audio: Audio, quiet_db: float, silence_s: float) -> list[slice]:
    """Where a recording sounds, in frames: parted by silences of at least silence_s, in which each 20 ms lie quiet_db
    below the loudest. None in a recording of silence."""
    hop = max(1, round(FRAME_S * audio.rate_hz))
    n = -(-audio.n_frames // hop)
    padded = np.pad(audio.samples, ((0, 0), (0, n * hop - audio.n_frames)))
    power = np.square(padded, dtype=np.float64).reshape(audio.n_channels, n, hop).mean(2).max(0)
    least = max(power.max(initial=0.0) * 10.0 ** (-quiet_db / 10.0), 10.0 ** (SILENT_DBFS / 10.0))
    loud = np.flatnonzero(power >= least)
    if not len(loud):
        return []
    gaps = np.flatnonzero(np.diff(loud) - 1 >= max(1.0, silence_s / FRAME_S))
    firsts, lasts = loud[np.r_[0, gaps + 1]], loud[np.r_[gaps, len(loud) - 1]]
    pairs = zip(firsts.tolist(), lasts.tolist(), strict=True)
    return [slice(first * hop, min(audio.n_frames, (last + 1) * hop)) for first, last in pairs]


def level_db(samples: Block) -> float:
    """RMS of the loudest channel (dB below full scale); −inf for silence."""
    power = float(np.square(samples, dtype=np.float64).mean(1).max()) if samples.size else 0.0
    return 10.0 * math.log10(power) if power > 0.0 else -math.inf


def _one_channel(samples: Block) -> Block:
    mean: Block = samples.mean(0, keepdims=True)
    power = np.square(samples, dtype=np.float64).mean(1)
    if np.square(mean, dtype=np.float64).mean() < CANCELS**2 * power.mean():
        loudest = int(power.argmax())
        return samples[loudest : loudest + 1]
    return mean
