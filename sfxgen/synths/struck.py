"""A struck body as a synth: what physics found, free to move within what its material allows, in a room.

The object's impulse, Σ a e^{-d t} sin(2π f t), convolved with the room's (Audio-SDS, section 4). Modes, places of the
blow and contact come from the physics; this knows numbers only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sfxgen.synths.modal import ringing
from sfxgen.synths.room import impulse, reverberated


@dataclass(frozen=True, eq=False)
class StruckBody:
    """What physics knows. M partials, P points of the skin, K blows.

    frequency_hz, decay_per_s: [M]. gain: [P, M], pressure for a flat blow of 1 N s. reach, areas: [P]. impulse_n_s,
    contact_s, at: of each blow, at in frames; [K]. click: the knock, [frames], its middle click_middle frames in.
    spots_across, exponent: see
    physics.contact.
    """

    frequency_hz: Tensor
    decay_per_s: Tensor
    gain: Tensor
    reach: Tensor
    areas: Tensor
    impulse_n_s: Tensor
    contact_s: Tensor
    at: Sequence[int]
    click: Tensor
    spots_across: int
    exponent: float = 1.5


class StruckSynth(nn.Module):
    """A struck body of a fixed length. All parameters at 0, but the hit's and the room's, are what physics has.

    octaves, log_ring: pitch and ring time (log of a factor) of all partials; mode_octaves, mode_log_ring: of the lowest
    ones by themselves, [n_modes]. log_contact: contact time, as a factor. hit_middle, hit_width: where it is struck, in
    reach. click_db: of the knock. room_db, room_log_t60: see room.impulse, [bands]. All float64; waveforms are rendered
    in `dtype`.
    """

    def __init__(
        self,
        body: StruckBody,
        hit: tuple[float, float],
        n_modes: int,
        room_hz: Sequence[float],
        n_frames: int,
        rate_hz: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.body, self.n_frames, self.rate_hz, self.dtype = body, n_frames, rate_hz, dtype
        self.room_hz = torch.tensor(room_hz, dtype=torch.float64)
        self.octaves, self.log_ring, self.log_contact, self.click_db = (_zeros() for _ in range(4))
        self.mode_octaves, self.mode_log_ring = _zeros(n_modes), _zeros(n_modes)
        self.hit_middle = nn.Parameter(torch.tensor(0.5 * (hit[0] + hit[1]), dtype=torch.float64))
        self.hit_width = nn.Parameter(torch.tensor(max(0.05, hit[1] - hit[0]), dtype=torch.float64))
        self.room_db, self.room_log_t60 = _zeros(len(room_hz)), _zeros(len(room_hz))

    def forward(self, white: Tensor) -> Tensor:
        """Audio [1, n_frames]; white: the room's noise, complex [n_frames // 2 + 1]."""
        body = self.body
        own_octaves, own_ring = self._each(self.mode_octaves), self._each(self.mode_log_ring)
        log_frequency = torch.log(body.frequency_hz) + (self.octaves + own_octaves) * math.log(2.0)
        log_decay = torch.log(body.decay_per_s) - self.log_ring - own_ring
        amplitude = self._gain() * body.impulse_n_s[:, None] * self._roughness(torch.exp(log_frequency))
        y = torch.zeros(self.n_frames, dtype=self.dtype)
        for at, row in zip(body.at, amplitude, strict=True):
            n = self.n_frames - at
            bank = (log_frequency[None], log_decay[None], row[None], torch.zeros_like(row)[None])
            y = y + nn.functional.pad(ringing(*bank, n, self.rate_hz, self.dtype)[0], (at, 0))
        y = y + (torch.exp(self.click_db * (math.log(10.0) / 20.0)) * body.click).to(self.dtype)
        room = impulse(white, self.room_hz, self.room_db, self.room_log_t60, self.n_frames, self.rate_hz)
        return reverberated(y, room)[None, : self.n_frames]

    def _each(self, of_first: Tensor) -> Tensor:
        """The deviations of the lowest partials, 0 for the rest."""
        n = len(self.body.frequency_hz)
        return nn.functional.pad(of_first, (0, n - len(of_first))) if len(of_first) < n else of_first[:n]

    def _gain(self) -> Tensor:
        """RMS over where the blow lands, with the sign of the middle of it: a soft window in reach."""
        body = self.body
        away = (body.reach - self.hit_middle) / (0.5 * self.hit_width.clamp_min(0.05))
        share = torch.softmax(torch.log(body.areas) - 0.5 * away.square(), 0)
        return torch.sqrt((share[:, None] * body.gain.square()).sum(0) + 1e-30)

    def _roughness(self, frequency_hz: Tensor) -> Tensor:
        """|F| of each blow at each partial, [K, M]: physics.contact.rough_spectrum, differentiable in both."""
        contact_s = self.body.contact_s[:, None] * torch.exp(self.log_contact)
        omega, spots = 2.0 * math.pi * frequency_hz, self.body.spots_across
        smooth, spot = (_pulse(omega * contact_s / math.pi / k, self.body.exponent) for k in (1, spots))
        return torch.sqrt((1.0 - 1.0 / spots**2) * smooth.square() + spot.square() / spots**2 + 1e-30)


def _pulse(b: Tensor, exponent: float) -> Tensor:
    """|spectrum| of sin^α, as physics.contact.pulse_spectrum. Next to the poles of Γ it is 0."""
    middle = 0.5 * exponent + 1.0
    lower = middle - 0.5 * b
    near_pole = (lower - lower.round()).abs().lt(1e-9) & lower.lt(0.5)
    lower = torch.where(near_pole, lower + 1e-6, lower)
    return torch.exp(2.0 * math.lgamma(middle) - torch.lgamma(middle + 0.5 * b) - torch.lgamma(lower))


def _zeros(n: int | None = None) -> nn.Parameter:
    return nn.Parameter(torch.zeros(() if n is None else n, dtype=torch.float64))
