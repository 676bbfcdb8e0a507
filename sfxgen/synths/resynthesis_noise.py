"""The noise of a resynthesis: one white signal cut into bands, each with an envelope finer than the log-mel's frames.

The bands' shapes sum to 1 and share one carrier, so that equal envelopes give back the carrier itself: a click is
white over all bands and as short as its envelope, and steady noise has no steps between bands. The stochastic part of
Serra and Smith (1990), with envelopes un-smeared by Richardson's and Lucy's iteration (1972, 1974).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv1d, conv_transpose1d, pad

from sfxgen import mel
from sfxgen.synths import resynthesis_grid as grid

STEPS_A_FRAME = 8  # the envelopes' grid: 64 samples, 1.5 ms
STEP = mel.HOP_SAMPLES // STEPS_A_FRAME
REACH = mel.FFT_SAMPLES // 2 // STEP  # steps that the window reaches to either side
POOL_BANDS = 4.0  # standard deviation of the bands that share an onset
N_POOLS = 32
POOLED_ROUNDS, OWN_ROUNDS, SHAPE_ROUNDS = 60, 3, 6
BANDS_AT_ONCE = 16
SHARPEST = 1e3  # times the power, which a click needs
SPEED = 1.6  # exponent of each correction: over-relaxed, stable below 2
CLEARLY = 0.02  # of its best view of a step must a frame have, for its power to bound the step's
LULL = 0.05  # of a carrier's mean power: deeper lulls are not filled up
TINY = 1e-12


def densities(power: Tensor) -> Tensor:
    """Each band's noise density at each frame whose expected mel power is the given one: [batch, frames, N_MELS] both.

    Starts from the band's width and undoes by ratios what the window spills into the neighbours.
    """
    hats, spread = grid.bin_hats(power.dtype), grid.noise_to_bands(power.dtype)
    amplitude = torch.sqrt((power + TINY) / spread.sum(0)) * (power > 0)  # TINY: no infinite gradient at silence
    for _ in range(SHAPE_ROUNDS):
        expected = (amplitude @ hats.T).square() @ spread
        amplitude = amplitude * torch.sqrt((power + TINY) / (expected + TINY)).clamp(0.1, 2.0)
    return amplitude.square()


def sharpening(power: Tensor, loop: bool) -> Tensor:
    """By how much a band's power, taken straight from frame to frame, is to be multiplied at each step: un-smeared.

    [batch, frames, N_MELS] → [batch, N_MELS, steps]. steps: frames · STEPS_A_FRAME on a circle, (frames − 1) ·
    STEPS_A_FRAME + 1 on a line. Neighbouring bands share it: one band's own fluctuations would turn into crackle.
    """
    at_frames = power.transpose(1, 2)
    mean = at_frames.mean(-1, keepdim=True)
    gather, spread = _pools(power.dtype)
    pooled = gather @ (at_frames / mean.clamp_min(TINY) * (mean > TINY))
    start = torch.minimum(to_steps(pooled, loop), _bound(pooled, loop))
    sharp = _deconvolve(pooled, start, POOLED_ROUNDS, loop)
    return spread @ (sharp / to_steps(_smear(sharp, loop), loop).clamp_min(TINY)).clamp_max(SHARPEST)


def fine_envelopes(density: Tensor, sharpening: Tensor, loop: bool) -> Tensor:
    """Densities at frames → amplitudes every STEP samples: [batch, frames, N_MELS] → [batch, N_MELS, steps]."""
    at_frames = density.transpose(1, 2)
    return torch.sqrt(_deconvolve(at_frames, to_steps(at_frames, loop) * sharpening, OWN_ROUNDS, loop))


def render(amplitude: Tensor, white: Tensor) -> Tensor:
    """The noise itself, differentiable: amplitudes [batch, N_MELS, steps], white noise [batch, samples] → audio.

    samples: steps · STEP on a circle, (steps − 1) · STEP on a line. The carrier is taken as one period of a circle, and
    each of its bands is evened out in time as far as frames can see.
    """
    n = white.shape[-1]
    spectrum = torch.fft.rfft(white)
    hats = _carrier_hats(n, white.dtype)
    ahead = amplitude.roll(-1, -1)
    n_steps = n // STEP
    ramp = torch.arange(STEP, dtype=white.dtype) / STEP
    total = torch.zeros_like(white).reshape(-1, n_steps, STEP)
    for first in range(0, mel.N_MELS, BANDS_AT_ONCE):
        part = slice(first, first + BANDS_AT_ONCE)
        bands = torch.fft.irfft(spectrum[:, None] * hats[part], n=n).reshape(len(white), -1, n_steps, STEP)
        even = _evenness(bands)
        here, there = amplitude[:, part, :n_steps, None] * even, ahead[:, part, :n_steps, None] * even.roll(-1, 2)
        total = total + (bands * here).sum(1) * (1.0 - ramp) + (bands * there).sum(1) * ramp
    return total.reshape(white.shape)


def _evenness(bands: Tensor) -> Tensor:
    """What takes out of carriers [batch, bands, steps, STEP] the fluctuations that a frame would see: [.., steps, 1].

    The levels bring those of the sound itself. Left in, they would come twice, and a low hit fall into a lull of its
    narrow carrier. Faster fluctuations, the grain of the noise, stay.
    """
    power = bands.square().mean(-1)
    mean = power.mean(-1, keepdim=True).clamp_min(TINY)
    flat = pad((power / mean).reshape(-1, 1, power.shape[-1]), (REACH, REACH), mode="circular")
    seen = conv1d(flat, _kernel(bands.dtype)).reshape(power.shape)
    gain = seen.clamp_min(LULL).rsqrt()
    return (gain * (mean / (power * gain.square()).mean(-1, keepdim=True).clamp_min(TINY)).sqrt())[..., None]


def to_steps(values: Tensor, loop: bool) -> Tensor:
    """Linear interpolation from frames to steps along the last axis."""
    ahead = values.roll(-1, -1)
    ramp = torch.arange(STEPS_A_FRAME, dtype=values.dtype) / STEPS_A_FRAME
    fine = values[..., None] * (1.0 - ramp) + ahead[..., None] * ramp
    fine = fine.reshape(*values.shape[:-1], -1)
    return fine if loop else fine[..., : 1 - STEPS_A_FRAME]


def loudest_nearby(audio: Tensor) -> Tensor:
    """Mean power of each STEP samples or of its neighbours, whichever is most: [batch, samples] → [batch, steps]."""
    power = _power(audio)
    return torch.stack([power.roll(1, -1), power, power.roll(-1, -1)]).amax(0)


def limit(audio: Tensor, most: Tensor) -> Tensor:
    """Turns down, without steps, what exceeds a power [batch, steps] that each STEP samples may have at most."""
    gain = torch.sqrt(most / _power(audio).clamp_min(TINY)).clamp_max(1.0)
    node = torch.minimum(gain, gain.roll(1, -1))
    ramp = torch.arange(STEP, dtype=audio.dtype) / STEP
    curve = node[..., None] * (1.0 - ramp) + node.roll(-1, -1)[..., None] * ramp
    return audio * curve.reshape(audio.shape)


def _power(audio: Tensor) -> Tensor:
    return audio.reshape(len(audio), -1, STEP).square().mean(-1)


def _deconvolve(at_frames: Tensor, start: Tensor, rounds: int, loop: bool) -> Tensor:
    """Richardson–Lucy: the envelope ≥ 0 whose smeared version is at_frames, from a first guess."""
    fine = start
    reached = _smear_back(torch.ones_like(at_frames), loop).clamp_min(1e-3)
    for _ in range(rounds):
        ratio = at_frames / _smear(fine, loop).clamp_min(TINY)
        fine = fine * (_smear_back(ratio, loop) / reached) ** SPEED
    return fine


def _bound(at_frames: Tensor, loop: bool) -> Tensor:
    """What no envelope ≥ 0 can exceed at a step, since each frame that sees it would show more: [.., frames] → steps.

    It keeps what comes before an onset silent up to the last frame that did not see the onset.
    """
    share = _kernel(at_frames.dtype).reshape(-1)
    n_steps = at_frames.shape[-1] * STEPS_A_FRAME
    wide = at_frames.repeat_interleave(STEPS_A_FRAME, -1)
    bound = torch.full_like(wide, torch.inf)
    offset = torch.arange(n_steps) % STEPS_A_FRAME
    for frame in range(-REACH // STEPS_A_FRAME + 1, REACH // STEPS_A_FRAME + 1):
        seen = share[(offset - frame * STEPS_A_FRAME + REACH).clamp(0, 2 * REACH)]
        limit = wide.roll(-frame * STEPS_A_FRAME, -1) / seen
        limit = limit.masked_fill(seen < CLEARLY * share.max(), torch.inf)
        if not loop:
            there = torch.arange(n_steps) // STEPS_A_FRAME + frame
            limit = limit.masked_fill((there < 0) | (there >= at_frames.shape[-1]), torch.inf)
        bound = torch.minimum(bound, limit)
    return bound if loop else bound[..., : 1 - STEPS_A_FRAME]


def _smear(fine: Tensor, loop: bool) -> Tensor:
    """What the frames' window sees of an envelope of power: [batch, bands, steps] → [batch, bands, frames]."""
    flat = fine.reshape(-1, 1, fine.shape[-1])
    flat = pad(flat, (REACH, REACH), mode="circular") if loop else pad(flat, (REACH, REACH))
    return conv1d(flat, _kernel(fine.dtype), stride=STEPS_A_FRAME).reshape(*fine.shape[:-1], -1)


def _smear_back(at_frames: Tensor, loop: bool) -> Tensor:
    """The transpose of _smear."""
    flat = at_frames.reshape(-1, 1, at_frames.shape[-1])
    wide = conv_transpose1d(flat, _kernel(at_frames.dtype), stride=STEPS_A_FRAME)
    if loop:
        n = at_frames.shape[-1] * STEPS_A_FRAME
        wide = pad(wide, (0, n - (wide.shape[-1] - n)))  # what runs over either end comes in at the other
        wide = wide.reshape(-1, 1, 2, n).sum(2).roll(-REACH, -1)
    else:
        wide = wide[..., REACH:-REACH]
    return wide.reshape(*at_frames.shape[:-1], -1)


@lru_cache
def _kernel(dtype: torch.dtype) -> Tensor:
    """Share of each step in a frame's power, [1, 1, 2 · REACH + 1], sum 1: the squared window seen by linear steps."""
    window = np.hanning(mel.FFT_SAMPLES + 1) ** 2
    hat = 1.0 - np.abs(np.arange(-STEP, STEP + 1)) / STEP
    shares = np.convolve(window, hat, mode="same")[::STEP]
    return torch.from_numpy(shares / shares.sum()).to(dtype)[None, None]


@lru_cache
def _pools(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weights from bands to pools of neighbours, [pools, N_MELS], and back by linear interpolation, [N_MELS, pools]."""
    bands, pools = np.arange(mel.N_MELS), np.linspace(0.0, mel.N_MELS - 1.0, N_POOLS)
    weights = np.exp(-0.5 * (np.subtract.outer(pools, bands) / POOL_BANDS) ** 2)
    back = np.stack([np.interp(bands, pools, pool) for pool in np.eye(N_POOLS)], -1)
    return torch.from_numpy(weights / weights.sum(1, keepdims=True)).to(dtype), torch.from_numpy(back).to(dtype)


@lru_cache(maxsize=8)
def _carrier_hats(n: int, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(grid.hats(np.arange(n // 2 + 1) * mel.RATE_HZ / n).T.copy()).to(dtype)
