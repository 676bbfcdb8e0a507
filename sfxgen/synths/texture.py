"""Textures: noise bands that move, and showers of grains.

Noise bands as in sound texture work (Serra and Smith's stochastic part, 1990; McDermott and Simoncelli, 2011, on
which statistics the ear keeps), grains as damped sines, with the rising pitch of bubbles from van den Doel
(Physically-Based Models for Liquid Sounds, 2005). Everything lives on a circle of n_frames, so that a loop is one
period of an exactly periodic signal and has no seam to hide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sfxgen.manifest.texture import Envelope, Grains, Texture
from sfxgen.synths.envelope import LN_1000, attack_hold_decay, half_cosine, log_time
from sfxgen.synths.noise import analytic, band_spectrum, slow_curve, white_spectrum

EDGE_S = 0.005  # what is not a loop starts and ends within this
GRAIN_RISE = 0.05  # part of a grain's duration in which it starts
GRAINS_AT_ONCE = 256


@dataclass(frozen=True)
class Shower:
    """The grains of one shower in one batch. All float64 [n] but row (int64, which take of the batch).

    onset: frames, fractional. pitch, duration, level: place within the range of the manifest, 0 to 1.
    phase: rad at the onset.
    """

    row: Tensor
    onset: Tensor
    pitch: Tensor
    duration: Tensor
    level: Tensor
    phase: Tensor


@dataclass(frozen=True)
class TextureVariation:
    """What tells one take from the next. B bands; factors of shape [batch], 1 = as written.

    centre, time multiply; gain is linear; tilt_db is added (dB an octave); band_db [batch, B] is added (dB).
    noise: white half spectra, complex [batch, B, n_frames // 2 + 1]. gusts: [batch, B, n_frames or 1], see
    `gust_curves`. showers: one a `grains` entry.
    """

    centre: Tensor
    time: Tensor
    gain: Tensor
    tilt_db: Tensor
    band_db: Tensor
    noise: Tensor
    gusts: Tensor
    showers: tuple[Shower, ...]


@dataclass(frozen=True)
class TextureControls:
    """Everything that the pure rendering needs, of the synth's dtype. B bands.

    spectra: shaped noise of rms 1, complex [batch, B, n_frames // 2 + 1]. level: linear, [batch, B, frames].
    shift_hz: how far each band is moved at each frame, [batch, B, frames], or None where none ever moves.
    grains: their sum, [batch, frames]. gain: [batch, 1].
    """

    spectra: Tensor
    level: Tensor
    shift_hz: Tensor | None
    grains: Tensor
    gain: Tensor


class TextureSynth(nn.Module):
    """One texture of a fixed length; its parameters start as the manifest says and can be optimised.

    Centres, widths and times are kept as logarithms, levels and depths in dB and octaves. The number of grains and
    their times are drawn, not optimised; their pitches, durations and levels are parameters. All are float64.

    loop: the block is one period, exactly. An envelope then starts anew each period and its tail runs on into the
    next one.
    """

    def __init__(
        self, spec: Texture, n_frames: int, rate_hz: int, loop: bool = False, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__()
        if n_frames < 2 or rate_hz <= 0:
            raise ValueError(f"n_frames must be 2 or more and rate_hz positive, got {n_frames} and {rate_hz}")
        self.spec, self.n_frames, self.rate_hz, self.loop, self.dtype = spec, n_frames, rate_hz, loop, dtype
        bands, grains = spec.bands, spec.grains
        self.log_centre = _parameter([math.log(band.centre_hz) for band in bands])
        self.log_width = _parameter([math.log(band.width_octaves) for band in bands])
        self.level_db = _parameter([band.level_db for band in bands])
        self.gust_db = _parameter([band.gust_db for band in bands])
        self.wander_octaves = _parameter([band.wander_octaves for band in bands])
        self.rise_octaves = _parameter([band.rise_octaves for band in bands])
        self.log_times = _parameter([_log_times(band.envelope or spec.envelope) for band in bands])
        self.tilt_db = _parameter(spec.tilt_db_per_octave)
        self.gain_db = _parameter(spec.gain_db)
        self.grain_log_centre = _parameter([[math.log(f) for f in shower.centre_hz] for shower in grains])
        self.grain_log_duration = _parameter([[math.log(s) for s in shower.duration_s] for shower in grains])
        self.grain_level_db = _parameter([shower.level_db for shower in grains])
        self.grain_chirp = _parameter([shower.chirp_octaves for shower in grains])

    def forward(self, variation: TextureVariation) -> Tensor:
        """The takes, [batch, frames], full scale ±1."""
        y = signal(self.controls(variation), self.n_frames, self.rate_hz, self.loop).to(self.dtype)
        return y if self.loop else y * self._edges().to(y)

    def controls(self, variation: TextureVariation) -> TextureControls:
        """Parameters and variation → what the pure rendering needs."""
        envelope = self._envelopes(variation.time)
        gusts = variation.gusts.to(self.dtype)
        even_db = (self.level_db + variation.band_db)[..., None]
        level_db = even_db.to(self.dtype) + self.gust_db[:, None].to(self.dtype) * gusts
        tilt_db = (self.tilt_db + variation.tilt_db)[:, None]
        return TextureControls(
            spectra=self._spectra(variation, tilt_db),
            level=_linear(level_db) * envelope,
            shift_hz=self._shift(variation.centre, envelope, gusts),
            grains=self._grains(variation, tilt_db).to(self.dtype),
            gain=(_linear(self.gain_db) * variation.gain)[:, None].to(self.dtype),
        )

    def _envelopes(self, stretch: Tensor) -> Tensor:
        """[batch, B, frames], 0 to 1; a band without an envelope is at 1."""
        batch, n_bands = stretch.shape[0], len(self.spec.bands)
        rows = [torch.ones(batch, self.n_frames, dtype=self.dtype, device=stretch.device)] * n_bands
        for b, band in enumerate(self.spec.bands):
            envelope = band.envelope or self.spec.envelope
            if envelope is not None:
                rows[b] = self._fold(torch.exp(self.log_times[b]), stretch)
        return torch.stack(rows, 1) if rows else torch.ones(batch, 0, self.n_frames, dtype=self.dtype)

    def _fold(self, times: Tensor, stretch: Tensor) -> Tensor:
        """One envelope [batch, frames]. In a loop the tails of the periods before are added: it is periodic."""
        delay_s, attack_s, hold_s, decay_s = times.to(self.dtype)
        whole_s = float((times.sum() * stretch.max()).detach())
        laps = 1 + (int(whole_s * self.rate_hz / self.n_frames) if self.loop else 0)
        frames = torch.arange(laps * self.n_frames, dtype=self.dtype, device=times.device)
        t_s = frames / self.rate_hz / stretch[:, None].to(self.dtype) - delay_s
        envelope = attack_hold_decay(t_s, attack_s, hold_s, decay_s)
        return envelope.reshape(-1, laps, self.n_frames).sum(1)

    def _shift(self, centre: Tensor, envelope: Tensor, gusts: Tensor) -> Tensor | None:
        moving = any(band.rise_octaves or band.wander_octaves for band in self.spec.bands)
        if not (moving or _is_sought(self.rise_octaves, self.wander_octaves)):
            return None
        rise, wander = (octaves[:, None].to(self.dtype) for octaves in (self.rise_octaves, self.wander_octaves))
        centre_hz = torch.exp(self.log_centre)[:, None] * centre[:, None, None]
        return centre_hz.to(self.dtype) * (torch.exp2(rise * (envelope.clamp(max=1.0) - 1.0) + wander * gusts) - 1.0)

    def _spectra(self, variation: TextureVariation, tilt_db: Tensor) -> Tensor:
        noise, tilt_db = variation.noise.to(self.dtype.to_complex()), tilt_db.to(self.dtype)
        centres_hz = (torch.exp(self.log_centre) * variation.centre[:, None]).to(self.dtype)
        widths = torch.exp(self.log_width).to(self.dtype)
        rows = [
            band_spectrum(noise[:, b], centres_hz[:, b, None], width[None, None], tilt_db, self.n_frames, self.rate_hz)
            for b, width in enumerate(widths)
        ]
        return torch.stack(rows, 1) if rows else noise

    def _grains(self, variation: TextureVariation, tilt_db: Tensor) -> Tensor:
        batch = variation.centre.shape[0]
        total = torch.zeros(batch * self.n_frames, dtype=torch.float64, device=variation.centre.device)
        for g, shower in enumerate(variation.showers):
            for first in range(0, shower.row.shape[0], GRAINS_AT_ONCE):
                part = slice(first, first + GRAINS_AT_ONCE)
                places, values = self._ring(g, shower, part, variation.centre, tilt_db)
                total = total.index_add(0, places, values)
        return total.reshape(batch, self.n_frames)

    def _ring(self, g: int, shower: Shower, part: slice, centre: Tensor, tilt_db: Tensor) -> tuple[Tensor, Tensor]:
        """Some grains of shower g: where each sample goes in the flat [batch · frames] block, and the samples."""
        row, onset = shower.row[part], shower.onset[part]
        pitch_hz = torch.exp(_between(self.grain_log_centre[g], shower.pitch[part])) * centre[row]
        duration_s = torch.exp(_between(self.grain_log_duration[g], shower.duration[part]))
        octaves_up = torch.log2(pitch_hz.clamp(min=20.0) / 1000.0)
        level_db = _between(self.grain_level_db[g], shower.level[part]) + tilt_db[row, 0] * octaves_up
        level = _linear(level_db) * (pitch_hz < self.rate_hz / 2)
        start = torch.floor(onset)
        length = math.ceil(float(duration_s.detach().max()) * self.rate_hz) + 1
        frames = start[:, None] + torch.arange(length, dtype=torch.float64, device=onset.device)
        t_s = ((frames - onset[:, None]) / self.rate_hz).clamp(min=0.0)
        progress = t_s / duration_s[:, None]
        chirp = torch.exp2(self.grain_chirp[g]) - 1.0
        turns = pitch_hz[:, None] * t_s * (1.0 + 0.5 * chirp * progress)
        fade = torch.exp(-LN_1000 * progress) * half_cosine(progress / GRAIN_RISE) * (progress <= 1.0)
        values = level[:, None] * fade * torch.sin(2.0 * math.pi * turns + shower.phase[part, None])
        if not self.loop:
            values = values * (frames < self.n_frames)
        places = row[:, None] * self.n_frames + torch.remainder(frames, self.n_frames).to(torch.int64)
        return places.reshape(-1), values.reshape(-1)

    def _edges(self) -> Tensor:
        """Half cosines of EDGE_S at both ends: a one-shot neither starts nor ends in a step."""
        t_s = (torch.arange(self.n_frames, dtype=torch.float64, device=self.gain_db.device) + 0.5) / self.rate_hz
        ends = half_cosine((self.n_frames / self.rate_hz - t_s) / EDGE_S)
        needs_start = self.spec.envelope is None and any(band.envelope is None for band in self.spec.bands)
        return ends * half_cosine(t_s / EDGE_S) if needs_start else ends


def signal(controls: TextureControls, n_frames: int, rate_hz: int, loop: bool) -> Tensor:
    """Renders the controls: [batch, frames], of their precision.

    A moving band is its analytic signal turned by exp(2πi ∫shift), so that it keeps its width in Hz. In a loop the
    turn is rounded to whole cycles a period, which moves the band by at most half a cycle a period; gradients
    see through the rounding, since they would vanish otherwise.
    """
    total = controls.grains
    levels = controls.level.unbind(1)  # taken apart once: the gradient of a slice by itself is as large as the whole
    shifts_hz = controls.shift_hz.unbind(1) if controls.shift_hz is not None else (None,) * len(levels)
    for spectrum, level, shift_hz in zip(controls.spectra.unbind(1), levels, shifts_hz, strict=True):
        if shift_hz is None or not (_is_sought(shift_hz) or bool(shift_hz.any())):
            noise = torch.fft.irfft(spectrum, n=n_frames)
        else:
            noise = (analytic(spectrum, n_frames) * _turning(shift_hz, n_frames, rate_hz, loop)).real
        total = total + level * noise
    return controls.gain * total


def _turning(shift_hz: Tensor, n_frames: int, rate_hz: int, loop: bool) -> Tensor:
    """exp(2πi ∫shift), complex [batch, frames]; the integral in float64, since it goes on for many cycles."""
    turns = torch.cumsum(shift_hz.double() / rate_hz, -1)
    if loop:
        whole = turns[..., -1:].detach()
        ramp = torch.arange(1, n_frames + 1, dtype=turns.dtype, device=turns.device) / n_frames
        turns = turns + (torch.round(whole) - whole) * ramp
    angle = (2.0 * math.pi * torch.remainder(turns, 1.0)).to(shift_hz.dtype)
    return torch.complex(torch.cos(angle), torch.sin(angle))


def draw_noise(spec: Texture, rng: np.random.Generator, n_frames: int, rate_hz: int) -> tuple[Tensor, Tensor]:
    """White spectra [1, B, n_frames // 2 + 1] and gusts [1, B, n_frames or 1] of one take."""
    n_bands = len(spec.bands)
    fastest_hz = max((band.gust_hz for band in spec.bands), default=1.0)
    n_harmonics = int(np.clip(math.ceil(4.0 * fastest_hz * n_frames / rate_hz), 1, n_frames // 2 - 1))
    noise = white_spectrum(rng, (1, n_bands, n_frames // 2 + 1))
    harmonics = white_spectrum(rng, (1, n_bands + 1, n_harmonics))
    return torch.from_numpy(noise), gust_curves(spec, torch.from_numpy(harmonics), n_frames, rate_hz)


def gust_curves(spec: Texture, harmonics: Tensor, n_frames: int, rate_hz: int) -> Tensor:
    """How each band's gusts go: [batch, B, n_frames], mean 0, rms 1, at most about ±2; zeros [batch, B, 1] where no
    band has any. harmonics: white numbers of 1/period, complex [batch, B + 1, K], the first common to all bands."""
    if not any(band.gust_db or band.wander_octaves for band in spec.bands):
        return torch.zeros(harmonics.shape[0], len(spec.bands), 1, dtype=torch.float64)
    shared = spec.gust_correlation
    mixed = math.sqrt(shared) * harmonics[:, :1] + math.sqrt(1.0 - shared) * harmonics[:, 1:]
    rates_hz = torch.tensor([band.gust_hz for band in spec.bands], dtype=torch.float64)
    return 2.0 * torch.tanh(slow_curve(mixed, rates_hz, n_frames / rate_hz, n_frames) / 2.0)


def draw_shower(
    grains: Grains, whole: Envelope | None, rng: np.random.Generator, n_frames: int, rate_hz: int, loop: bool
) -> Shower:
    """A Poisson shower for one take: rate_hz grains a second at full envelope, fewer where it is lower."""
    envelope = grains.envelope or whole
    density = _density(envelope, n_frames, rate_hz, loop)
    n = int(rng.poisson(grains.rate_hz * density.sum() / rate_hz))
    cumulated = np.concatenate([[0.0], np.cumsum(density)])
    onset = np.interp(rng.random(n) * cumulated[-1], cumulated, np.arange(len(cumulated)))
    places: Sequence[NDArray[np.float64]] = [onset % n_frames, rng.random(n), rng.random(n), rng.random(n)]
    onset_t, pitch, duration, level = (torch.from_numpy(place) for place in places)
    phase = torch.from_numpy(rng.random(n) * 2.0 * math.pi)
    return Shower(torch.zeros(n, dtype=torch.int64), onset_t, pitch, duration, level, phase)


def _density(envelope: Envelope | None, n_frames: int, rate_hz: int, loop: bool) -> NDArray[np.float64]:
    """The envelope at every frame, in a loop beyond the period until it has ended."""
    if envelope is None:
        return np.ones(n_frames)
    delay_s, attack_s, hold_s, decay_s = (math.exp(x) for x in _log_times(envelope))
    n = max(n_frames, math.ceil((delay_s + attack_s + hold_s + decay_s) * rate_hz)) if loop else n_frames
    t_s = torch.arange(n, dtype=torch.float64) / rate_hz - delay_s
    level = attack_hold_decay(t_s, *(t_s.new_tensor(x) for x in (attack_s, hold_s, decay_s)))
    return level.numpy()


def _is_sought(*parameters: Tensor) -> bool:
    """Whether gradients of any are wanted: what stands at 0 must then be worked out all the same."""
    return torch.is_grad_enabled() and any(parameter.requires_grad for parameter in parameters)


def _between(ends: Tensor, place: Tensor) -> Tensor:
    return ends[0] + (ends[1] - ends[0]) * place


def _linear(db: Tensor) -> Tensor:
    return torch.exp(db * (math.log(10.0) / 20.0))


def _log_times(envelope: Envelope | None) -> list[float]:
    e = envelope or Envelope()
    return [log_time(seconds) for seconds in (e.delay_s, e.attack_s, e.hold_s, e.decay_s)]


def _parameter(values: object) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values, dtype=torch.float64))
