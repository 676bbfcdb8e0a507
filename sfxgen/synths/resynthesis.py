"""From log-mel to sound: tones, noise and transients that have the asked levels, crisp and, if asked, on a circle.

Sines plus noise (Serra and Smith, 1990) with envelopes finer than the frames, so that hits stay hits; then a few
rounds that scale the frames of the result, with the phases it has, until its own levels are the asked ones (Griffin
and Lim's projection, 1984, on bands instead of bins). It starts where Griffin–Lim would have to arrive: with phases
that are continuous in tones, random in noise and aligned at onsets.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sfxgen import mel
from sfxgen.synths import resynthesis_grid as grid
from sfxgen.synths import resynthesis_noise as noise
from sfxgen.synths import resynthesis_sines as sines

FEWEST_FRAMES = 4  # the window's length
ROUNDS = 12
MOMENTUM = 0.6
STEP_RANGE = (0.1, 10.0)  # of amplitude in one round
MOST = 10.0  # times its first power may a moment of 1.5 ms reach
QUIET = 1e-9  # power that two silences may differ by


def resynthesise(levels_db: Tensor, generator: torch.Generator, *, loop: bool = False) -> Tensor:
    """Levels as sfxgen.mel.log_mel gives them, [batch, frames, N_MELS] → audio [batch, samples] at mel.RATE_HZ.

    samples: (frames − 1) · HOP_SAMPLES; with loop frames · HOP_SAMPLES, one period of an exactly periodic sound whose
    levels are taken as a circle. Float32. The loudest cell comes out as a full-scale sine would show, turned down
    where a sample would exceed 1. What lies at the floor is silent. Not differentiable: see render and apply_gains.
    """
    _check(levels_db)
    with torch.no_grad():
        power = grid.to_power(levels_db.detach().float())
        white = draw_white(power, generator, loop)
        sharpening = noise.sharpening(power, loop)
        tones, rest = _tones(power, sharpening, generator, loop)
        envelopes = noise.fine_envelopes(noise.densities(rest), sharpening, loop)
        audio = _fit(tones + noise.render(envelopes, white), power, loop)
        return audio / audio.abs().amax(-1, keepdim=True).clamp_min(1.0)


def render(levels_db: Tensor, white: Tensor, *, loop: bool = False, sharpening: Tensor | None = None) -> Tensor:
    """The noise part alone, differentiable: levels [batch, frames, N_MELS] on a fixed carrier (see draw_white) → audio.

    Its expected levels are the asked ones. sharpening [batch, N_MELS, steps], as resynthesis_noise.sharpening gives it,
    is taken as fixed. Gradients reach levels and carrier; they vanish where a level lies at the floor. Keeps the dtype.
    """
    _check(levels_db)
    density = noise.densities(grid.to_power(levels_db))
    fine = noise.to_steps(density.transpose(1, 2), loop)
    return noise.render(torch.sqrt(fine if sharpening is None else fine * sharpening), white)


def draw_white(levels_db: Tensor, generator: torch.Generator, loop: bool) -> Tensor:
    """A carrier for levels of this shape: normal numbers, [batch, samples]."""
    batch, n_frames, _ = levels_db.shape
    n_samples = (n_frames if loop else n_frames - 1) * mel.HOP_SAMPLES
    return torch.randn(batch, n_samples, generator=generator, dtype=levels_db.dtype)


def apply_gains(audio: Tensor, gains_db: Tensor, *, loop: bool = False) -> Tensor:
    """A sound with its bands turned up and down: [batch, samples], gains [batch, frames, N_MELS] → [batch, samples].

    Linear in the audio, differentiable in both; keeps phases, so tones stay tones. Frames as in resynthesise.
    """
    gains = torch.exp(gains_db * (math.log(10.0) / 20.0))
    spectra = grid.split_frames(audio, loop)
    if spectra.shape[1] != gains.shape[1]:
        raise ValueError(f"{audio.shape[-1]} samples have {spectra.shape[1]} frames, got gains for {gains.shape[1]}")
    return grid.join_frames(spectra * (gains @ grid.bin_hats(gains.dtype).T), loop)


def _tones(power: Tensor, sharpening: Tensor, generator: torch.Generator, loop: bool) -> tuple[Tensor, Tensor]:
    """The tones' audio [batch, samples], and the power [batch, frames, N_MELS] that they leave to the noise."""
    sounds, rests = [], []
    for item, sharp in zip(power.double().numpy(), sharpening.double().numpy(), strict=True):
        tracks = sines.find_tones(item, loop)
        phases = 2.0 * math.pi * torch.rand(len(tracks), generator=generator, dtype=torch.float64).numpy()
        sounds.append(sines.render(tracks, item, sharp, phases, loop))
        rests.append(torch.from_numpy(item - sines.power_of(tracks, len(item))).clamp_min(0.0))
    return torch.stack(sounds).to(power), torch.stack(rests).to(power)


def _fit(audio: Tensor, power: Tensor, loop: bool) -> Tensor:
    """Rounds of scaling each frame's bands towards the asked power, with fast Griffin–Lim's momentum (Perraudin, 2013).

    Scaling bands instead of replacing bins leaves the grain of noise and the shape of tones as they are. What a frame
    would spread from an onset into the silence before it is held down to what was there.
    """
    hats = grid.bin_hats(audio.dtype)
    most = MOST * noise.loudest_nearby(audio)
    before = audio
    for i in range(ROUNDS):
        spectra = grid.split_frames(audio, loop)
        ratio = (power + QUIET) / (grid.band_power(spectra) + QUIET)
        gains = torch.sqrt(ratio).clamp(*STEP_RANGE) @ hats.T
        scaled = noise.limit(grid.join_frames(spectra * gains, loop), most)
        audio = scaled if i in (0, ROUNDS - 1) else scaled + MOMENTUM * (scaled - before)
        before = scaled
    return audio


def _check(levels_db: Tensor) -> None:
    if levels_db.ndim != 3 or levels_db.shape[1] < FEWEST_FRAMES or levels_db.shape[2] != mel.N_MELS:
        expected = f"[batch, {FEWEST_FRAMES} frames or more, {mel.N_MELS}]"
        raise ValueError(f"levels must be {expected}, got {list(levels_db.shape)}")
