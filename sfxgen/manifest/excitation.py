"""`contacts:` and `friction:` in an `impact:` section: how a body is made to ring, other than by single blows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sfxgen.manifest.base import Between, Spec

Range = tuple[float, float]
MOST_CONTACTS = 4000  # of a take


class Contacts(Spec):
    """Many small contacts in place of each blow, of several bodies alike: a chain, a bunch of keys, gravel."""

    count: Annotated[Range, Between(1, 1000)] = Field((20, 40), description="How many contacts a blow becomes.")
    spread_s: Annotated[float, Field(ge=0.001, le=20)] = Field(
        0.4, description="Time over which they come (s), the first, and the strongest, with the blow itself."
    )
    course: Literal["dying", "even"] = Field(
        "dying", description="dying: ever fewer, as what has been thrown comes to rest; even: all along."
    )
    energies: Literal["exponential", "power"] = Field(
        "exponential",
        description="How their energies differ. exponential: like bodies that knock about; power: a few strong and "
        "many weak ones, as where grains crush and slip.",
    )
    exponent: Annotated[float, Field(ge=1.05, le=4)] = Field(
        1.6, description="Exponent of the power law: the number at energy E falls as E to minus this."
    )
    range_db: Annotated[float, Field(ge=0, le=80)] = Field(
        40.0, description="From the strongest to the weakest contact (dB of energy)."
    )
    fade_db: Annotated[float, Field(ge=0, le=80)] = Field(
        10.0, description="How much weaker they become over spread_s (dB of energy)."
    )
    bodies: Annotated[int, Field(ge=1, le=24)] = Field(6, description="How many bodies sound.")
    size: Annotated[Range, Between(0.1, 10)] = Field(
        (0.8, 1.25), description="Their sizes, times that of the object: one solve serves all."
    )


class Friction(Spec):
    """The striker rubs or rolls over the object at `speed_m_s`, in place of blows: roughness makes it ring."""

    how: Literal["scrape", "slide", "roll"] = Field(
        "scrape",
        description="scrape: a tip is drawn over it; slide: a flat side, with many spots of contact; roll: the striker "
        "is a ball or wheel that rolls.",
    )
    duration_s: Annotated[float, Field(ge=0.02, le=60)] = Field(
        1.0, description="How long it goes on (s); the sound's own duration_s comes first."
    )
    force_n: Annotated[float, Field(ge=0.001, le=10_000)] = Field(5.0, description="How hard it is pressed (N).")
    start: Annotated[float, Field(ge=0.02, le=1)] = Field(
        1.0, description="Speed at the start, as a part of speed_m_s. A loop goes from here to `end` and back."
    )
    end: Annotated[float, Field(ge=0.02, le=1)] = Field(1.0, description="Speed at the end, as a part of speed_m_s.")
    unsteady: Annotated[float, Field(ge=0, le=0.9)] = Field(
        0.2, description="How far the speed strays on its way, as that of a hand does (1)."
    )
    unsteady_hz: Annotated[float, Field(ge=0.05, le=50)] = Field(4.0, description="How fast it strays (Hz).")
    rise_s: Annotated[float, Field(ge=0, le=20)] = Field(0.03, description="Time in which it is pressed down (s).")
    fall_s: Annotated[float, Field(ge=0, le=20)] = Field(0.08, description="Time in which it is lifted (s).")
    roughness_um: Annotated[float, Field(ge=0.001, le=10_000)] | None = Field(
        None, description="Height of the roughness (µm, rms); the materials' when absent."
    )
    exponent: Annotated[float, Field(ge=0, le=4)] | None = Field(
        None,
        description="The spectrum of the roughness falls as wave number to minus this: 0 is gritty, 3 smooth; the "
        "materials' when absent.",
    )
    spot_m: Annotated[float, Field(ge=1e-6, le=1)] | None = Field(
        None,
        description="Size of a spot of contact (m), which hears nothing finer; by Hertz from the force when absent.",
    )
    uneven: Annotated[float, Field(ge=0, le=1)] = Field(
        0.4, description="roll: how far each turn of the striker modulates its force (1)."
    )
