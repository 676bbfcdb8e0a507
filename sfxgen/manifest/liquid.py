"""The `liquid:` section: bubbles that ring, and the spray about them: drips, pours, boils, splashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from sfxgen.manifest.base import Between, Spec
from sfxgen.manifest.texture import Band, Envelope, Range

LiquidName = Literal["water", "oil", "slime", "honey", "mud", "lava"]


@dataclass(frozen=True)
class Fluid:
    """density_kg_m3; viscosity_pa_s: dynamic, which damps small bubbles."""

    density_kg_m3: float
    viscosity_pa_s: float


# Handbook values at 20 °C; slime, mud and lava (basaltic, runny) span decades, and stand for what is heard of them.
LIQUIDS: Final[dict[str, Fluid]] = {
    "water": Fluid(998.2, 1.0e-3),
    "oil": Fluid(915, 0.07),
    "slime": Fluid(1050, 1.0),
    "honey": Fluid(1420, 8.0),
    "mud": Fluid(1700, 15.0),
    "lava": Fluid(2700, 80.0),
}


class Bubbles(Spec):
    """A crowd of bubbles at random times. Each rings at Minnaert's pitch, 3.29 m Hz over its radius in water."""

    radius_mm: Annotated[Range, Between(0.1, 300)] = Field((0.6, 4.0), description="Radii, smallest and largest (mm).")
    exponent: Annotated[float, Field(ge=-2, le=5)] = Field(
        1.5, description="The number at radius r falls as r to minus this: 1.5 in breaking waves, 0 all alike."
    )
    rate_hz: Annotated[float, Field(ge=0, le=20_000)] = Field(
        60.0, description="Bubbles a second at full envelope, on average (Hz)."
    )
    count: Annotated[Range, Between(1, 1000)] | None = Field(
        None, description="How many there are in all, in place of rate_hz: a drip has one."
    )
    level_db: Annotated[float, Field(ge=-90, le=0)] = Field(
        -12.0, description="Peak of the largest (dB below full scale); smaller ones have less, as radius to 3/2."
    )
    spread_db: Annotated[float, Field(ge=0, le=60)] = Field(
        15.0, description="How much less a bubble may have by being deep or weakly struck (dB)."
    )
    rise: Annotated[Range, Between(-0.5, 2)] = Field(
        (0.0, 0.1), description="How far the pitch climbs while a bubble falls to 1/e, near the surface (part of it)."
    )
    ring: Annotated[float, Field(ge=0.1, le=20)] = Field(
        1.0, description="Ring time, times what physics has: more in a vessel that rings along."
    )
    envelope: Envelope | None = Field(
        None, description="Their own envelope, in place of the whole sound's: how densely they come."
    )


class Vessel(Spec):
    """The air above the liquid in a glass or bottle, open at the top: it rings higher as the vessel fills."""

    height_m: Annotated[float, Field(ge=0.02, le=10)] = Field(0.18, description="From bottom to rim (m).")
    radius_m: Annotated[float, Field(ge=0.002, le=5)] = Field(0.035, description="Of its mouth (m).")
    fill: Annotated[tuple[float, float], Between(0, 0.98)] = Field(
        (0.1, 0.8), description="How full it is at the start and at the end. A loop stands still between them."
    )
    level_db: Annotated[float, Field(ge=0, le=40)] = Field(
        14.0, description="How much stronger the air's own tones come out (dB)."
    )


class Liquid(Spec):
    """Bubbles and spray. Without an envelope it goes on; with one it is a one-shot."""

    liquid: LiquidName = Field("water", description="What it is: density sets the pitch, viscosity damps.")
    bubbles: Annotated[tuple[Bubbles, ...], Field(strict=False, max_length=8)] = Field(
        (Bubbles(),), description="Up to 8 crowds of bubbles."
    )
    spray: Annotated[tuple[Band, ...], Field(strict=False, max_length=8)] = Field(
        (), description="Up to 8 bands of noise: the splash, the hiss of drops and foam."
    )
    vessel: Vessel | None = Field(None, description="What it is poured into; none: in the open.")
    envelope: Envelope | None = Field(None, description="The whole sound's envelope. None: it goes on.")
    gain_db: Annotated[float, Field(ge=-60, le=12)] = Field(0.0, description="Level of the whole (dB).")
    jitter: Annotated[float, Field(ge=0, le=1)] = Field(
        0.3, description="How far variations stray, 0 (only times and sizes are drawn anew) to 1 (radii ±⅓ octave)."
    )

    @model_validator(mode="after")
    def _something_sounds(self) -> Self:
        if not self.bubbles and not self.spray:
            raise PydanticCustomError(
                "silent", "nothing sounds; expected at least one crowd of bubbles or band of spray"
            )
        return self
