"""The `room:` of what is struck: as noise in bands, or as a box with walls."""

from __future__ import annotations

import itertools
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from sfxgen.manifest.base import Spec

Absorption = Annotated[float, Field(ge=0.01, le=0.99)]
Side = Annotated[float, Field(ge=0.5, le=100)]
Within = Annotated[float, Field(gt=0, lt=100)]
CLOSEST_M = 0.1


class RoomBand(Spec):
    """What a room gives back in one band."""

    centre_hz: Annotated[float, Field(ge=20, le=20_000)] = Field(description="Middle of the band (Hz).")
    level_db: Annotated[float, Field(ge=-90, le=30)] = Field(
        -20.0, description="Energy that the room adds, beside that of the direct sound in this band (dB)."
    )
    t60_s: Annotated[float, Field(ge=0.02, le=20)] = Field(0.5, description="Time in which it falls by 60 dB (s).")


class Shoebox(Spec):
    """A room with six flat walls, whose echoes are those of its mirror images. Places are from one of its corners."""

    size_m: Annotated[tuple[Side, Side, Side], Field(strict=False)] = Field(
        (6.0, 4.0, 2.8), description="[length, width, height] (m)."
    )
    source_m: Annotated[tuple[Within, Within, Within], Field(strict=False)] = Field(
        (2.1, 1.6, 1.0), description="Where it sounds (m)."
    )
    listener_m: Annotated[tuple[Within, Within, Within], Field(strict=False)] = Field(
        (3.0, 2.2, 1.4), description="Where it is heard (m)."
    )
    absorption: Annotated[tuple[Absorption, ...], Field(strict=False, min_length=6, max_length=6)] = Field(
        (0.15, 0.15, 0.2, 0.25, 0.3, 0.35),
        description="Share of the energy that the walls take, at 125, 250, 500, 1000, 2000 and 4000 Hz.",
    )

    @model_validator(mode="after")
    def _within(self) -> Self:
        for key in ("source_m", "listener_m"):
            place = getattr(self, key)
            if any(at >= side for at, side in zip(place, self.size_m, strict=True)):
                sides = " × ".join(f"{side:g}" for side in self.size_m)
                problem = "{key} is outside of the room; expected a place within {sides} m"
                raise PydanticCustomError("outside", problem, {"key": key, "sides": sides})
        if sum((a - b) ** 2 for a, b in zip(self.source_m, self.listener_m, strict=True)) < CLOSEST_M**2:
            problem = "source and listener are at one place; expected them at least {apart} m apart"
            raise PydanticCustomError("outside", problem, {"key": "listener_m", "apart": f"{CLOSEST_M:g}"})
        return self


class Room(Spec):
    """The room around it, as noise that dies away in each band, or with walls."""

    bands: Annotated[tuple[RoomBand, ...], Field(strict=False, min_length=1, max_length=12)] = Field(
        (
            RoomBand(centre_hz=250, t60_s=0.8),
            RoomBand(centre_hz=1000, t60_s=0.6),
            RoomBand(centre_hz=4000, level_db=-24, t60_s=0.4),
        ),
        description="Bands, the lowest first; the outer ones go on to the ends of hearing.",
    )
    shoebox: Shoebox | None = Field(
        None, description="A room with walls, in place of the bands. What sounds in it is not guided by its prompt."
    )

    @field_validator("bands")
    @classmethod
    def _rising(cls, bands: tuple[RoomBand, ...]) -> tuple[RoomBand, ...]:
        centres = [band.centre_hz for band in bands]
        if any(later <= earlier for earlier, later in itertools.pairwise(centres)):
            raise PydanticCustomError("order", "the room's bands are out of order; expected the lowest first")
        return bands

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.shoebox and self.bands != type(self).model_fields["bands"].default:
            problem = "a room with walls has no bands; expected shoebox or bands, not both"
            raise PydanticCustomError("room", problem, {"key": "bands"})
        return self
