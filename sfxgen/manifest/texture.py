"""The `texture:` section: noise bands and grains, for weather, fire, water, blasts, steps and swings."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sfxgen.manifest.base import Between, Spec

Range = tuple[float, float]


class Envelope(Spec):
    """The course of a one-shot: silence, rise, hold, fall."""

    delay_s: Annotated[float, Field(ge=0, le=60)] = Field(0.0, description="Silence before the rise (s).")
    attack_s: Annotated[float, Field(ge=0, le=60)] = Field(0.005, description="Rise from silence to full (s).")
    hold_s: Annotated[float, Field(ge=0, le=60)] = Field(0.0, description="Time at full (s).")
    decay_s: Annotated[float, Field(ge=0.001, le=60)] = Field(0.5, description="Time in which it falls by 60 dB (s).")


class Band(Spec):
    """A band of noise whose level and place may move."""

    centre_hz: Annotated[float, Field(ge=20, le=20_000)] = Field(1000.0, description="Middle of the band (Hz).")
    width_octaves: Annotated[float, Field(ge=0.05, le=10)] = Field(
        1.0, description="Width between the −3 dB points (octaves)."
    )
    level_db: Annotated[float, Field(ge=-90, le=0)] = Field(
        -18.0, description="Level at full envelope, between gusts (rms, dB below full scale)."
    )
    gust_db: Annotated[float, Field(ge=0, le=20)] = Field(
        0.0, description="How far gusts move the level (dB, standard deviation)."
    )
    gust_hz: Annotated[float, Field(ge=0.02, le=200)] = Field(
        0.5, description="How fast gusts come: the curve's spectrum falls off above this (Hz)."
    )
    wander_octaves: Annotated[float, Field(ge=-2, le=2)] = Field(
        0.0, description="How far gusts move the middle (octaves, standard deviation): a howl rises with the wind."
    )
    rise_octaves: Annotated[float, Field(ge=-6, le=6)] = Field(
        0.0, description="How far the middle climbs as the envelope goes from nothing to full, where it is centre_hz."
    )
    envelope: Envelope | None = Field(None, description="Its own envelope, in place of the whole sound's.")


class Grains(Spec):
    """A shower of short ringing grains at random times: crackles, drops, pebbles, sparks."""

    rate_hz: Annotated[float, Field(ge=0, le=5000)] = Field(
        20.0, description="Grains a second at full envelope, on average (Hz)."
    )
    centre_hz: Annotated[Range, Between(20, 20_000)] = Field((1000.0, 4000.0), description="Pitch of a grain (Hz).")
    duration_s: Annotated[Range, Between(0.0002, 2)] = Field(
        (0.005, 0.02), description="Time in which a grain falls by 60 dB (s). Short grains are clicks, long ones ring."
    )
    level_db: Annotated[Range, Between(-90, 0)] = Field(
        (-40.0, -15.0), description="Peak of a grain (dB below full scale), spread evenly over the range."
    )
    chirp_octaves: Annotated[float, Field(ge=-3, le=3)] = Field(
        0.0, description="How far a grain's pitch moves over its duration: bubbles rise (octaves)."
    )
    envelope: Envelope | None = Field(
        None, description="Their own envelope, in place of the whole sound's: how densely they fall."
    )


class Texture(Spec):
    """Noise bands and grains. Without an envelope it goes on; with one it is a one-shot."""

    bands: Annotated[tuple[Band, ...], Field(strict=False, max_length=16)] = Field(
        (Band(),), description="Up to 16 bands of noise."
    )
    grains: Annotated[tuple[Grains, ...], Field(strict=False, max_length=8)] = Field(
        (), description="Up to 8 showers of grains."
    )
    envelope: Envelope | None = Field(None, description="The whole sound's envelope. None: it goes on.")
    gust_correlation: Annotated[float, Field(ge=0, le=1)] = Field(
        0.8, description="1: gusts take all bands together; 0: each band has its own."
    )
    tilt_db_per_octave: Annotated[float, Field(ge=-12, le=12)] = Field(
        0.0, description="Tilt of the whole spectrum about 1 kHz (dB an octave)."
    )
    gain_db: Annotated[float, Field(ge=-60, le=12)] = Field(0.0, description="Level of the whole (dB).")
    jitter: Annotated[float, Field(ge=0, le=1)] = Field(
        0.3,
        description="How far variations stray, 0 (only the noise differs) to 1 (bands ±½ octave and ±6 dB, times "
        "±27 %, level ±6 dB).",
    )

    @model_validator(mode="after")
    def _something_sounds(self) -> Self:
        if not self.bands and not self.grains:
            raise PydanticCustomError("silent", "nothing sounds; expected at least one band or one shower of grains")
        return self
