"""Loudness by ITU-R BS.1770-4, with a stated rule for sounds that the standard has no number for.

Which rule measures what:

* "integrated", for sounds of 0.4 s and longer: blocks of 400 ms every 100 ms, absolute gate at −70 LUFS, relative gate
  at −10 LU (BS.1770-4, Annex 1, equations 2 to 7). A last incomplete block is not used.
* "momentary max", for the same where it is asked for: the loudest 400 ms (EBU Tech 3341), the window sliding by one
  frame.
* "ungated K-weighted", for sounds whose active part, from the first to the last frame within 60 dB of the peak, is
  shorter than 0.4 s: the K-weighted level of that part. A sound of exactly 0.4 s is one block, so that this rule meets
  both others there; silence around a short sound changes nothing, where a block filled up with silence would read a
  0.1 s tone 6 dB lower.
* "… of the repeated loop", loops shorter than 1 s: a loop is heard for as long as it plays, so it is repeated to 1 s.

A mono file counts as one channel, as ffmpeg and pyloudnorm have it: played from two loudspeakers it is 3 LU louder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfxgen.master.filters import Biquad, Block, Filter, run

BLOCK_S, HOP_S = 0.4, 0.1
ABSOLUTE_GATE_LUFS, RELATIVE_GATE_LU = -70.0, -10.0
ACTIVE_RANGE_DB = 60.0
LOOP_AT_LEAST_S = 1.0
CHANNEL_WEIGHTS = (1.0, 1.0, 1.0, 1.41, 1.41)  # L R C Ls Rs, BS.1770-4 table 3; the LFE is not counted

# BS.1770-4 Annex 1, tables 1 and 2, for 48 kHz. Other rates get the same weight at the same frequency: exact, where
# re-deriving the sections by the bilinear transform errs by up to 0.4 dB at 8 kHz (0.1 dB at 22 kHz).
K_WEIGHTING = Filter(
    sections=(
        Biquad(1.53512485958697, -2.69169618940638, 1.19839281085285, -1.69065929318241, 0.73248077421585),
        Biquad(1.0, -2.0, 1.0, -1.99004745483398, 0.99007225036621),
    ),
    rate_hz=48_000,
    tail_s=0.3,  # the 38 Hz high pass has decayed by e⁻⁷⁰ then
)


@dataclass(frozen=True, eq=False)
class Reading:
    """What the meter saw of one sound, from which its loudness at any gain follows.

    powers: K-weighted, channel-weighted mean square of each block, shape [blocks], full scale² units.
    gated: whether the two gates of BS.1770-4 choose among the blocks.
    """

    rule: str
    powers: NDArray[np.float64]
    gated: bool

    def lufs(self, gain_db: float = 0.0) -> float:
        """Loudness of the sound after `gain_db` (LUFS); −inf where nothing passes the gates."""
        powers = self.powers * 10 ** (gain_db / 10)
        if self.gated:
            powers = powers[powers > _power(ABSOLUTE_GATE_LUFS)]
            powers = powers[powers > powers.mean() * 10 ** (RELATIVE_GATE_LU / 10)] if powers.size else powers
        mean = float(powers.mean()) if powers.size else 0.0
        return -0.691 + 10 * math.log10(mean) if mean > 0 else -math.inf

    def ungated_lufs(self) -> float:
        """Loudness if every block counted (LUFS); −inf for silence."""
        return Reading(self.rule, self.powers, gated=False).lufs()


def read(samples: Block, rate_hz: int, *, loop: bool = False, momentary: bool = False) -> Reading:
    """Measure a sound of shape [channels, frames] by the rules above.

    loop: the block repeats. The filters then start as they stand at the end of a lap, and a short loop is repeated.
    momentary: "momentary max" instead of "integrated". Raises ValueError for more than 5 channels.
    """
    if samples.shape[0] > len(CHANNEL_WEIGHTS):
        raise ValueError(f"loudness is defined for 1 to 5 channels, got {samples.shape[0]}")
    rule = "momentary max" if momentary else "integrated"
    if loop and 0 < samples.shape[1] < LOOP_AT_LEAST_S * rate_hz:
        samples = np.tile(samples, math.ceil(LOOP_AT_LEAST_S * rate_hz / samples.shape[1]))
        rule += " of the repeated loop"
    window = round(BLOCK_S * rate_hz)
    active = samples if loop else _active_part(samples)
    if active.shape[1] < window:
        energy = _running_energy(active, rate_hz, loop=False)
        return Reading("ungated K-weighted", energy[-1:] / max(1, active.shape[1]), gated=False)
    energy = _running_energy(samples, rate_hz, loop=loop)
    if momentary:
        loudest = float((energy[window:] - energy[:-window]).max()) / window
        return Reading(rule, np.array([loudest]), gated=False)
    hop = HOP_S * rate_hz
    starts = np.round(np.arange(math.floor((samples.shape[1] - window + 0.5) / hop) + 1) * hop).astype(np.int64)
    return Reading(rule, (energy[starts + window] - energy[starts]) / window, gated=True)


def _active_part(samples: Block) -> Block:
    """From the first to the last frame within ACTIVE_RANGE_DB of the peak; no frames for silence."""
    level = np.abs(samples).max(axis=0, initial=0.0)
    active = np.flatnonzero(level > level.max(initial=0.0) * 10 ** (-ACTIVE_RANGE_DB / 20))
    return samples[:, active[0] : active[-1] + 1] if active.size else samples[:, :0]


def _running_energy(samples: Block, rate_hz: int, *, loop: bool) -> NDArray[np.float64]:
    """Σ of the channel-weighted squares of the K-weighted sound before each frame. Shape [frames + 1]."""
    warm_up = math.ceil(K_WEIGHTING.tail_s * rate_hz) if loop else 0
    weighted = run(np.pad(samples, ((0, 0), (warm_up, 0)), mode="wrap"), rate_hz, K_WEIGHTING)[:, warm_up:]
    weights = np.array(CHANNEL_WEIGHTS[: samples.shape[0]])
    return np.concatenate([[0.0], np.cumsum(weights @ np.square(weighted))])


def _power(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))
