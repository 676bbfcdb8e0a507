"""A recording with its bands turned up and down over time, and noise for what it has nothing of."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sfxgen import mel
from sfxgen.synths import resynthesis
from sfxgen.synths import resynthesis_grid as grid

CELL_FRAMES, CELL_BANDS = 8, 4  # gains are even over so much: 93 ms, so that hits stay hits, and about a third of 1 kHz
MOST_DB = 30.0
LACKING_DB = 6.0  # below what is asked for: less than that is the recording's own business


def turn(audio: Tensor, change_db: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Sounds [batch, channels, samples] at mel.RATE_HZ with their levels moved by change_db [batch, frames, N_MELS].

    Frames as sfxgen.mel has them: too many are ignored, and the last one holds on where they are too few. Changes are
    smoothed over cells and held within ± MOST_DB; channels get the same ones, so that a sound stays where it is. The
    whole keeps its RMS, since levels say nothing of loudness. generators: an item its own, for the phases of the noise.
    """
    n_samples = audio.shape[-1]
    whole = torch.nn.functional.pad(audio, (0, -n_samples % mel.HOP_SAMPLES))
    n_frames = mel.n_frames_for(whole.shape[-1])
    frames = torch.arange(n_frames, device=change_db.device).clamp(max=change_db.shape[1] - 1)
    change_db = change_db.to(audio)[:, frames]
    gains_db = smoothed(change_db).clamp(-MOST_DB, MOST_DB)
    turned = torch.stack([_turned(channel, gains_db) for channel in whole.unbind(1)], 1)
    turned = turned + _lacking(whole.mean(1), turned.mean(1), change_db, generators)[:, None]
    return _as_loud_as(turned[..., :n_samples], audio)


def smoothed(change_db: Tensor) -> Tensor:
    """Means over cells, linear between their middles; [batch, frames, bands] → the same."""
    size = change_db.shape[1:]
    square = change_db[:, None]
    coarse = torch.nn.functional.avg_pool2d(square, (CELL_FRAMES, CELL_BANDS), ceil_mode=True, count_include_pad=False)
    return torch.nn.functional.interpolate(coarse, size=tuple(size), mode="bilinear", align_corners=False)[:, 0]


def _turned(audio: Tensor, gains_db: Tensor) -> Tensor:
    """[batch, samples]; what lies beyond the grid's bands stays as it is, and so does everything at 0 dB."""
    added = torch.exp(gains_db * (math.log(10.0) / 20.0)) - 1.0
    spectra = grid.split_frames(audio, False) * (added @ grid.bin_hats(added.dtype).T)
    return audio + grid.join_frames(spectra, False)


def _lacking(before: Tensor, turned: Tensor, change_db: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Noise with the power that the turned sound lacks, [batch, samples]; silence where that is nowhere much."""
    power = mel.mel_power(before)
    peak = power.amax((1, 2), keepdim=True).clamp_min(1e-20)
    floor = 10.0 ** (mel.FLOOR_DB / 10.0)
    wanted = (power / peak + floor) * torch.pow(10.0, change_db / 10.0) - floor
    got = mel.mel_power(turned) / peak
    lacking = torch.where(wanted > got * 10.0 ** (LACKING_DB / 10.0), wanted - got, 0.0)
    loudest = lacking.amax((1, 2), keepdim=True)
    if not (loudest > floor).any():
        return torch.zeros_like(before)
    levels_db = 10.0 * torch.log10(lacking / loudest.clamp_min(floor) + floor)
    white = torch.cat(
        [resynthesis.draw_white(one[None], g, False) for one, g in zip(levels_db, generators, strict=True)]
    )
    return resynthesis.render(levels_db, white) * (loudest * peak).sqrt()[:, 0]


def _as_loud_as(audio: Tensor, other: Tensor) -> Tensor:
    power, wanted = (x.square().mean((1, 2), keepdim=True) for x in (audio, other))
    return audio * (wanted / power.clamp_min(1e-20)).sqrt()
