"""What a room adds to what sounds in it."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch

from sfxgen.manifest.room import Room
from sfxgen.physics.air.shoebox import echoes
from sfxgen.physics.modal.shapes import Array
from sfxgen.synths.noise import white_spectrum
from sfxgen.synths.room import impulse, of_echoes, reverberated

ROOM_SEED = 0  # one room for all sounds that name none of their own


def in_room(dry: Array, room: Room, rate_hz: int) -> Array:
    """With the room's answer, which is the same for all takes; it goes on until it has fallen by 60 dB."""
    with torch.inference_mode():
        return np.asarray(reverberated(torch.from_numpy(dry), _answer(room, rate_hz)).numpy())


@lru_cache(maxsize=8)
def _answer(room: Room, rate_hz: int) -> torch.Tensor:
    if room.shoebox:
        box = room.shoebox
        bands_hz, heights = echoes(box.size_m, box.source_m, box.listener_m, box.absorption, rate_hz)
        return of_echoes(torch.from_numpy(heights), torch.from_numpy(bands_hz), rate_hz)
    longest_s = max(band.t60_s for band in room.bands)
    return room_impulse(room, max(2, round(longest_s * rate_hz)), rate_hz)


def room_impulse(room: Room, n_frames: int, rate_hz: int) -> torch.Tensor:
    """The room's answer to a click, float64 [n_frames]."""
    levels = [[band.centre_hz, band.level_db, math.log(band.t60_s)] for band in room.bands]
    centre_hz, level_db, log_t60 = torch.tensor(levels, dtype=torch.float64).T.contiguous()
    white = white_spectrum(np.random.Generator(np.random.PCG64(ROOM_SEED)), (n_frames // 2 + 1,))
    return impulse(torch.from_numpy(white), centre_hz, level_db, log_t60, n_frames, rate_hz)
