"""`impact:` as distillation sees it: a struck body in a room."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from sfxgen.generate.impact import FULL_SCALE_PA, body_struck, clicks
from sfxgen.generate.recipe import Request
from sfxgen.generate.rooms import ROOM_SEED
from sfxgen.generate.tunable import Knob, SynthRenderer, rounded, within
from sfxgen.manifest.impact import Impact, Mode, Tuning
from sfxgen.manifest.room import Room, RoomBand
from sfxgen.physics.contact import SPOTS_ACROSS
from sfxgen.physics.modal.shapes import Array
from sfxgen.synths.noise import white_spectrum
from sfxgen.synths.struck import StruckBody, StruckSynth

N_TUNED = 24  # partials with a deviation of their own
N_HEARD = 192  # partials that guidance renders, the strongest; the sound itself has all
# Where a body without a room starts.
SILENT_ROOM = Room(
    bands=tuple(
        RoomBand(centre_hz=hz, level_db=-45, t60_s=0.4) for hz in (125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
    )
)
NO_ROOM_DB = -42.0  # a room that stays below this everywhere is left out
# What the material allows: sizes within two octaves, single modes within two semitones (no real body is quite of one
# stuff or thickness), ring times within a factor of 20 together and 3 alone (how it is held, and by what).
KNOBS = {
    "octaves": Knob(0.25, -2.0, 2.0),
    "log_ring": Knob.log(0.6, 0.05, 4.0),
    "mode_octaves": Knob(1 / 24, -1 / 6, 1 / 6),
    "mode_log_ring": Knob.log(0.4, 1 / 3, 3.0),
    "log_contact": Knob.log(0.6, 0.1, 20.0),
    "hit_middle": Knob(0.1, 0.0, 1.0),
    "hit_width": Knob(0.1, 0.05, 1.0),
    "click_db": Knob(3.0, -24, 12),
    "room_db": Knob(4.0, -45, 6),
    "room_log_t60": Knob.log(0.5, 0.05, 4.0),
}


class ImpactRenderer(SynthRenderer):
    """An `impact:` spec, made free. Blows come at their mean times; modes are solved once, by way of request.cached."""

    def __init__(self, spec: Impact, duration_s: float, rate_hz: int, request: Request | None = None) -> None:
        self.spec = spec
        n_frames = max(2, round(duration_s * rate_hz))
        body = _body(spec, n_frames, rate_hz, request or Request(rate_hz=rate_hz))
        room = spec.room or SILENT_ROOM
        centres_hz = [band.centre_hz for band in room.bands]
        synth = StruckSynth(body, spec.hit, min(N_TUNED, len(body.frequency_hz)), centres_hz, n_frames, rate_hz)
        with torch.no_grad():
            synth.room_db.copy_(torch.tensor([band.level_db for band in room.bands]))
            synth.room_log_t60.copy_(torch.tensor([math.log(band.t60_s) for band in room.bands]))
        white = white_spectrum(np.random.Generator(np.random.PCG64(ROOM_SEED)), (n_frames // 2 + 1,))
        noise = torch.from_numpy(white)

        def same_room(seed: int) -> Tensor:
            del seed
            return noise

        super().__init__(synth, KNOBS, same_room)

    def spec_at(self, theta: Tensor) -> Impact:
        """The spec of θ: the same body, tuned, struck elsewhere or otherwise, in a room if one is heard."""
        v = {name: value.detach() for name, value in self.values(theta).items()}
        before = self.spec.tuning
        own = [*before.modes, *[Mode()] * N_TUNED]
        modes = tuple(
            Mode(
                semitones=within(mode.semitones + 12.0 * float(octaves), -12, 12),
                ring=within(mode.ring * math.exp(float(log_ring)), 0.05, 20),
            )
            for mode, octaves, log_ring in zip(own, v["mode_octaves"], v["mode_log_ring"], strict=False)
        )
        tuning = Tuning(
            semitones=within(before.semitones + 12.0 * float(v["octaves"]), -48, 48),
            ring=within(before.ring * math.exp(float(v["log_ring"])), 0.02, 50),
            contact=within(before.contact * math.exp(float(v["log_contact"])), 0.02, 50),
            modes=modes,
        )
        middle, half = float(v["hit_middle"]), 0.5 * float(v["hit_width"])
        low, high = max(0.0, min(0.95, middle - half)), min(1.0, max(0.05, middle + half))
        update = {
            "tuning": tuning,
            "hit": (rounded(low), max(rounded(low), rounded(high))),
            "click_db": within(self.spec.click_db + float(v["click_db"]), -60, 24),
        }
        levels = zip((self.spec.room or SILENT_ROOM).bands, v["room_db"], torch.exp(v["room_log_t60"]), strict=True)
        bands = tuple(
            band.model_copy(update={"level_db": within(float(db), -90, 30), "t60_s": within(float(t60_s), 0.02, 20)})
            for band, db, t60_s in levels
        )
        if self.spec.room or max(band.level_db for band in bands) > NO_ROOM_DB:
            update["room"] = Room(bands=bands)
        return self.spec.model_copy(update=update)


def _body(spec: Impact, n_frames: int, rate_hz: int, request: Request) -> StruckBody:
    """At the middle of the speeds, bounces at their mean times."""
    partials, blows = body_struck(spec, request)
    blows = [blow for blow in blows if round(blow.at_s * rate_hz) < n_frames - 1]
    frequency_hz, decay_per_s = _tensor(partials.frequency_hz), _tensor(partials.decay_per_s)
    gain = _tensor(partials.gain) / FULL_SCALE_PA
    loud = gain.square().mean(0) / frequency_hz.square()
    heard = torch.sort(torch.argsort(loud, descending=True, stable=True)[:N_HEARD]).values
    click = np.zeros(n_frames)
    lead = 0
    for number, (blow, wave) in enumerate(zip(blows, clicks(spec, blows, partials, rate_hz), strict=True)):
        lead = len(wave) // 2 if number == 0 else lead
        start = max(0, lead + round(blow.at_s * rate_hz) - len(wave) // 2)
        room = max(0, min(len(wave), n_frames - start))
        click[start : start + room] += wave[:room]
    return StruckBody(
        frequency_hz=frequency_hz[heard],
        decay_per_s=decay_per_s[heard],
        gain=gain[:, heard],
        reach=_tensor(partials.reach),
        areas=_tensor(partials.areas),
        impulse_n_s=torch.tensor([blow.impulse_n_s for blow in blows], dtype=torch.float64),
        contact_s=torch.tensor([blow.contact_s for blow in blows], dtype=torch.float64),
        at=tuple(min(n_frames - 1, lead + round(blow.at_s * rate_hz)) for blow in blows),
        click=torch.from_numpy(click).float(),
        spots_across=SPOTS_ACROSS,
        exponent=blows[0].exponent,
    )


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))
