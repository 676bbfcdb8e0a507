"""Frequency modulation with N sine operators and a modulation matrix.

The algorithm is Chowning's (The Synthesis of Complex Audio Spectra by Means of Frequency Modulation, 1973) in the
phase modulation form that instruments use: operator j is envelope_j · sin(2π ∫f_j + Σ_i A_ij · operator_i). The
matrix has no circles, so the operators are worked out one after another, each over all frames at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor, nn

from sfxgen.manifest.fm import Fm, Shaped, evaluation_order
from sfxgen.synths.envelope import attack_hold_decay, log_time, release
from sfxgen.synths.noise import band_spectrum

FOREVER_S = 1e6
LARGEST_DENOMINATOR = 8


@dataclass(frozen=True)
class FmVariation:
    """What tells one take from the next. Factors of shape [batch], 1 = as written.

    pitch and index multiply; time stretches envelopes, sweep and notes; gain is linear. noise: white half
    spectrum, complex [batch, n_frames // 2 + 1].
    """

    pitch: Tensor
    time: Tensor
    index: Tensor
    gain: Tensor
    noise: Tensor

    @staticmethod
    def neutral(n_frames: int, batch: int = 1) -> FmVariation:
        """The sound as written, without its noise band."""
        one = torch.ones(batch, dtype=torch.float64)
        return FmVariation(one, one, one, one, torch.zeros(batch, n_frames // 2 + 1, dtype=torch.complex128))


@dataclass(frozen=True)
class FmControls:
    """Everything that the pure rendering needs, checked and limited. N operators.

    cycles: phase without modulation, in cycles, [batch, N, frames]. frequency_hz: its slope, the same shape.
    envelope: 0 to 1, [batch, N, frames]. index: rad, [batch, N, N]. level: [N]. breath: the noise band with
    its envelope, [batch, frames]. gain: tremolo and overall level, [batch, frames].
    """

    cycles: Tensor
    frequency_hz: Tensor
    envelope: Tensor
    index: Tensor
    level: Tensor
    breath: Tensor
    gain: Tensor


class FmSynth(nn.Module):
    """One FM sound of a fixed length; its parameters start as the manifest says and can be optimised.

    Frequencies and times are kept as logarithms, amounts that may be 0 (levels, indices, sustain, depths) as they
    are and limited in `controls`. All are float64, since a phase in float32 goes out of tune within seconds;
    waveforms are rendered in `dtype`.

    loop: the block is one period, exactly: every operator makes a whole number of cycles in it, and so do vibrato
    and tremolo. The pitch is moved first, so that ratios like ½ stay true and sidebands do not beat; what is left is
    at most half a cycle a period for each operator. Gradients see through the rounding. A sound without notes whose
    heard operators sustain stands still: envelopes at sustain, the sweep at its end. Any other starts anew each period.
    """

    def __init__(
        self, spec: Fm, n_frames: int, rate_hz: int, loop: bool = False, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        if n_frames <= 0 or rate_hz <= 0:
            raise ValueError(f"n_frames and rate_hz must be positive, got {n_frames} and {rate_hz}")
        self.spec, self.n_frames, self.rate_hz, self.loop, self.dtype = spec, n_frames, rate_hz, loop, dtype
        ops, shaped = spec.operators, (*spec.operators, spec.noise)
        self.order = evaluation_order(spec.modulation, len(ops))
        self.steady = loop and not spec.notes and any(part.sustain * part.level > 0 for part in shaped)
        self.log_pitch = _parameter(math.log(math.sqrt(spec.pitch_hz[0] * spec.pitch_hz[1])))
        self.log_frequency = _parameter([math.log(op.ratio if op.hz is None else op.hz) for op in ops])
        self.detune_hz = _parameter([op.detune_hz for op in ops])
        self.level = _parameter([op.level for op in ops])
        self.index = _parameter(spec.modulation or [[0.0] * len(ops)] * len(ops))
        self.log_times = _parameter([_log_times(part) for part in shaped])
        self.sustain = _parameter([part.sustain for part in shaped])
        self.sweep_semitones = _parameter([spec.sweep.start_semitones, spec.sweep.end_semitones])
        self.log_sweep_time = _parameter(math.log(spec.sweep.time_s))
        self.vibrato_semitones = _parameter(spec.vibrato.depth_semitones)
        self.tremolo_depth = _parameter(spec.tremolo.depth)
        self.noise_level = _parameter(spec.noise.level)
        self.log_noise_centre = _parameter(math.log(spec.noise.centre_hz))
        self.log_noise_width = _parameter(math.log(spec.noise.width_octaves))
        self.gain_db = _parameter(spec.gain_db)

    def forward(self, variation: FmVariation) -> Tensor:
        """The takes, [batch, frames], full scale ±1."""
        return signal(self.controls(variation), self.order, self.rate_hz)

    def controls(self, variation: FmVariation) -> FmControls:
        """Parameters and variation → limited controls over time."""
        frames_s = torch.arange(self.n_frames, dtype=torch.float64, device=self.log_pitch.device) / self.rate_hz
        since_s, left_s, offset, note_gain = self._notes(frames_s / variation.time[:, None], variation.time[:, None])
        octaves = (offset + self._sweep(since_s) + self._vibrato(frames_s)) / 12.0
        pitch_hz = torch.exp(self.log_pitch) * variation.pitch[:, None] * torch.exp2(octaves)
        cycles, frequency_hz = self._phases(pitch_hz, frames_s)
        attack_s, hold_s, decay_s, release_s = torch.exp(self.log_times).to(self.dtype).T[:, None, :, None]
        sustain = self.sustain.clamp(0.0, 1.0).to(self.dtype)[None, :, None]
        envelope = attack_hold_decay(since_s[:, None].to(self.dtype), attack_s, hold_s, decay_s, sustain)
        envelope = envelope * release(left_s[:, None].to(self.dtype), release_s) * note_gain[:, None].to(self.dtype)
        gain = torch.exp(self.gain_db * (math.log(10.0) / 20.0)) * variation.gain[:, None] * self._tremolo(frames_s)
        return FmControls(
            cycles=torch.remainder(cycles, 1.0).to(self.dtype),
            frequency_hz=frequency_hz.to(self.dtype),
            envelope=envelope[:, :-1],
            index=(self.index.clamp(min=0.0) * variation.index[:, None, None]).to(self.dtype),
            level=self.level.clamp(0.0, 1.0).to(self.dtype),
            breath=self._noise(variation.noise) * envelope[:, -1],
            gain=gain.to(self.dtype),
        )

    def _notes(self, t_s: Tensor, stretch: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """At t_s [batch, frames]: time since the note's start, time left, its semitones, its gain, all like t_s."""
        if self.steady:
            forever = torch.full_like(t_s, FOREVER_S)
            return forever, forever, torch.zeros_like(t_s), torch.ones_like(t_s)
        end_s = self.n_frames / self.rate_hz / stretch
        if not self.spec.notes:
            return t_s, end_s - t_s, torch.zeros_like(t_s), torch.ones_like(t_s)
        notes = [(note.at_s, note.semitones, note.level_db) for note in self.spec.notes]
        starts, semitones, level_db = t_s.new_tensor(notes).T.contiguous()
        number = (torch.searchsorted(starts, t_s.detach().contiguous(), right=True) - 1).clamp(min=0)
        ends = torch.minimum(torch.cat([starts[1:], starts.new_tensor([math.inf])])[number], end_s)
        return t_s - starts[number], ends - t_s, semitones[number], 10.0 ** (level_db[number] / 20.0)

    def _sweep(self, since_s: Tensor) -> Tensor:
        """Semitones of the glide."""
        start, end = self.sweep_semitones
        progress = since_s.clamp(min=0.0) / torch.exp(self.log_sweep_time)
        left = torch.exp(-progress) if self.spec.sweep.curve == "settle" else (1.0 - progress).clamp(min=0.0)
        return torch.lerp(end, start, left)

    def _vibrato(self, t_s: Tensor) -> Tensor:
        rate_hz = self._whole_rate(self.spec.vibrato.rate_hz)
        return self.vibrato_semitones * torch.sin(2.0 * math.pi * rate_hz * t_s)

    def _tremolo(self, t_s: Tensor) -> Tensor:
        rate_hz = self._whole_rate(self.spec.tremolo.rate_hz)
        return 1.0 - self.tremolo_depth.clamp(0.0, 1.0) * (0.5 - 0.5 * torch.cos(2.0 * math.pi * rate_hz * t_s))

    def _whole_rate(self, rate_hz: float) -> float:
        """In a loop, the nearest rate above 0 with whole cycles a period."""
        period_s = self.n_frames / self.rate_hz
        return max(1, round(rate_hz * period_s)) / period_s if self.loop else rate_hz

    def _phases(self, pitch_hz: Tensor, t_s: Tensor) -> tuple[Tensor, Tensor]:
        """Cycles since the start and frequency (Hz), each [batch, N, frames]; a phase is 0 at frame 0."""
        follows = torch.tensor([op.hz is None for op in self.spec.operators], device=pitch_hz.device)[:, None]
        frequency = torch.exp(self.log_frequency)[:, None]
        ratio, fixed_hz = frequency * follows, frequency * ~follows + self.detune_hz[:, None]
        turns = torch.cumsum(pitch_hz / self.rate_hz, -1)
        if self.loop:
            multiple = _common_denominator([op.ratio for op in self.spec.operators if op.hz is None])
            total = turns[:, -1:].detach()
            whole = (torch.round(total / multiple) * multiple).clamp(min=multiple)
            pitch_hz, turns = pitch_hz * whole / total, turns * whole / total
        cycles = ratio * (turns - pitch_hz / self.rate_hz)[:, None] + fixed_hz * t_s
        frequency_hz = ratio * pitch_hz[:, None] + fixed_hz
        if self.loop:
            total = (ratio * turns[:, None, -1:] + fixed_hz * (self.n_frames / self.rate_hz)).detach()
            drift_hz = (torch.round(total) - total) * self.rate_hz / self.n_frames
            cycles, frequency_hz = cycles + drift_hz * t_s, frequency_hz + drift_hz
        return cycles, frequency_hz

    def _noise(self, white: Tensor) -> Tensor:
        if self.spec.noise.level == 0 and not torch.is_grad_enabled():
            return torch.zeros(white.shape[0], self.n_frames, dtype=self.dtype, device=white.device)
        white = white.to(self.dtype.to_complex())
        logs = (self.log_noise_centre, self.log_noise_width)
        centre_hz, width = (torch.exp(log)[None, None].to(self.dtype) for log in logs)
        shaped = band_spectrum(white, centre_hz, width, torch.zeros_like(width), self.n_frames, self.rate_hz)
        noise: Tensor = self.noise_level.to(self.dtype) * torch.fft.irfft(shaped, n=self.n_frames)
        return noise


def signal(controls: FmControls, order: tuple[int, ...], rate_hz: int) -> Tensor:
    """Renders the controls: [batch, frames].

    order: every operator after those that modulate it. An operator is silent while its own frequency is at or
    above Nyquist, and an index is limited so that f_c + (I + 2)·f_m, one sideband more than Carson's rule, stays
    below it. That suits a sine modulator; what a modulated one spreads further may still fold back.
    """
    nyquist_hz = rate_hz / 2
    # Taken apart once: the gradient of each slice by itself would be as large as the whole.
    parts = (controls.cycles, controls.envelope, controls.frequency_hz)
    cycles, envelopes, frequencies_hz = (x.unbind(1) for x in parts)
    waves: dict[int, Tensor] = {}
    for place, j in enumerate(order):
        phase = 2.0 * math.pi * cycles[j]
        for i in order[:place]:
            index = controls.index[:, i, j, None]
            if torch.is_grad_enabled() or bool((index != 0).any()):
                with torch.no_grad():  # a limit pulls nowhere
                    spacing_hz = frequencies_hz[i].abs().clamp(min=1e-3)
                    room = ((nyquist_hz - frequencies_hz[j].abs()) / spacing_hz - 2.0).clamp(min=0.0)
                phase = phase + torch.minimum(index, room) * waves[i]
        waves[j] = envelopes[j] * torch.sin(phase) * (frequencies_hz[j].abs() < nyquist_hz)
    heard = torch.stack([waves[j] for j in range(len(order))], dim=1)
    return controls.gain * (torch.einsum("n,bnt->bt", controls.level, heard) + controls.breath)


def _common_denominator(ratios: list[float]) -> int:
    """The least n ≤ 8 that makes all ratios whole that are fractions that simple; 1 where there is none."""
    simple = [Fraction(ratio).limit_denominator(LARGEST_DENOMINATOR) for ratio in ratios]
    exact = [near.denominator for ratio, near in zip(ratios, simple, strict=True) if abs(ratio - near) < 1e-9]
    common = math.lcm(*exact)
    return common if common <= LARGEST_DENOMINATOR else 1


def _log_times(part: Shaped) -> list[float]:
    return [log_time(seconds) for seconds in (part.attack_s, part.hold_s, part.decay_s, part.release_s)]


def _parameter(values: object) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))
