"""The `scene:` section: which bodies move, how they are set going, and onto what floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from sfxgen.manifest.base import Between, Spec
from sfxgen.manifest.impact import AnyBody, Cylinder, FromFile
from sfxgen.manifest.materials import AnyMaterial
from sfxgen.manifest.room import Room

MOST_BODIES = 48  # pairs grow as the square: 48 bodies take tens of seconds
MOST_SHARDS = 40
BREAKS = (12, 18)  # of a body that `action: break` breaks and that does not say into how many


@dataclass(frozen=True)
class CountBetween:
    """Annotates `tuple[int, int]`: a whole number, or [low, high], each within [minimum, maximum]."""

    minimum: int
    maximum: int

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        number = {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}
        return {"anyOf": [number, {"type": "array", "items": number, "minItems": 2, "maxItems": 2}]}

    def _parse(self, value: Any) -> tuple[int, int]:
        ends = value if isinstance(value, (list, tuple)) else (value, value)
        numbers = [n for n in ends if isinstance(n, int) and not isinstance(n, bool)]
        in_range = all(self.minimum <= n <= self.maximum for n in numbers)
        if len(ends) != 2 or len(numbers) != 2 or not in_range or numbers[0] > numbers[1]:
            raise PydanticCustomError(
                "count",
                "expected a whole number from {minimum} to {maximum}, or two of them, the lower first: [low, high]",
                {"minimum": self.minimum, "maximum": self.maximum},
            )
        return numbers[0], numbers[1]


class SceneBody(Spec):
    """One kind of body in the scene, and how many of it."""

    object: Annotated[AnyBody, Field(discriminator="shape")] = Field(description="Its shape, size and material.")
    count: Annotated[tuple[int, int], CountBetween(1, MOST_BODIES)] = Field(
        (1, 1), description="How many there are: a number, or [low, high] for each variation to draw from."
    )
    mass_kg: Annotated[float, Field(gt=0, le=10_000)] | None = Field(
        None, description="Its mass with what is in it (kg); without it, that of its own material."
    )
    edge_m: Annotated[float, Field(ge=0.00005, le=1)] | None = Field(
        None, description="Radius of its edges and corners (m): sharp ones are bright; a quarter of its thickness."
    )
    bounce: Annotated[float, Field(ge=0.05, le=1.5)] = Field(
        1.0, description="Restitution, times that of the materials: below 1 for what gives way, as a boarded crate."
    )
    damping: Annotated[float, Field(ge=0.1, le=200)] = Field(
        1.0, description="Internal damping, times that of the material; bodies that lie decay faster by themselves."
    )
    breaks: Annotated[tuple[int, int], CountBetween(2, MOST_SHARDS)] | None = Field(
        None, description="It breaks under its first hard blow, into so many shards: a number, or [low, high]."
    )
    stands: bool = Field(
        False, description="It stands on the floor, upright, when the others begin: a bowl for coins to fall into."
    )

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        if isinstance(self.object, FromFile) and (self.object.materials or self.object.parts == "apart"):
            problem = "a body of a scene moves as one, of one material; expected neither materials nor parts: apart"
            raise PydanticCustomError("mixed", problem, {"key": "object"})
        return self

    @model_validator(mode="after")
    def _breakable(self) -> Self:
        if self.breaks and isinstance(self.object, FromFile):
            problem = "a body from a file does not break; expected no breaks, or another shape"
            raise PydanticCustomError("breaks", problem, {"key": "breaks"})
        return self


class Floor(Spec):
    """What the bodies fall onto."""

    material: AnyMaterial = Field("stone", description="What it is made of.")
    thickness_m: Annotated[float, Field(ge=0.001, le=0.5)] | None = Field(
        None, description="Thickness of a floor that sounds itself, as boards or a table do (m); none: firm ground."
    )
    damping: Annotated[float, Field(ge=0.1, le=200)] = Field(
        8.0, description="Internal damping, times that of the material; what carries a floor damps it."
    )
    bounce: Annotated[float, Field(ge=0.05, le=1.5)] = Field(
        1.0, description="Restitution, times that of the materials: below 1 for carpet or earth."
    )


class Scene(Spec):
    """Bodies move, strike one another and the floor, slide and roll; each rings as its shape and material do."""

    bodies: Annotated[tuple[SceneBody, ...], Field(strict=False, min_length=1, max_length=12)] = Field(
        (SceneBody(object=Cylinder(shape="cylinder", size_m=(0.024, 0.002), material="brass")),),
        description="The bodies; in a stack the first is the lowest.",
    )
    floor: Floor = Field(Floor(), description="What they fall onto.")
    action: Literal["drop", "throw", "roll", "pile", "topple", "break"] = Field(
        "drop",
        description="drop: all at once; throw: with a speed, upwards and on; roll: along the floor; pile: one after "
        "another onto a heap; topple: a stack that is pushed over; break: struck where they stand, into pieces.",
    )
    height_m: Annotated[tuple[float, float], Between(0.005, 20)] = Field(
        (0.6, 1.0), description="How far they fall in drop, throw, pile and break (m); layers range over it."
    )
    speed_m_s: Annotated[tuple[float, float], Between(0, 30)] = Field(
        (0.8, 1.6),
        description="Speed (m/s) of throw, of roll, of the top in topple, of the blow in break; layers range over it.",
    )
    spin_hz: Annotated[tuple[float, float], Between(0, 50)] = Field(
        (0.0, 3.0), description="Turns a second about a random axis (Hz), in drop, throw and pile."
    )
    slope_deg: Annotated[float, Field(ge=0, le=60)] = Field(
        0.0, description="How steep the floor falls away (degrees)."
    )
    slope_m: Annotated[float, Field(ge=0, le=1000)] = Field(
        3.0,
        description="Length of the slope beyond where the bodies begin (m); then the floor is level, and all comes to "
        "rest.",
    )
    spread_m: Annotated[float, Field(ge=0, le=5)] = Field(
        0.0, description="Room between bodies at the start, beyond what they need themselves (m)."
    )
    every_s: Annotated[float, Field(ge=0.01, le=5)] = Field(0.15, description="Time between two bodies of a pile (s).")
    longest_s: Annotated[float, Field(ge=0.1, le=10)] = Field(
        4.0, description="Motion is followed for at most so long after the first could have landed (s)."
    )
    rubbing_db: Annotated[float, Field(ge=-60, le=24)] = Field(
        0.0, description="Level of sliding and rolling, beside the blows (dB)."
    )
    click_db: Annotated[float, Field(ge=-60, le=24)] = Field(
        0.0, description="Level of the knock of the bodies themselves, beside the ringing (dB, 0 as physics has it)."
    )

    radiation: Literal["quick", "field"] = Field(
        "quick",
        description="How the bodies' modes become sound: quick by a law for all; field by each body's own sound field, "
        "which takes some seconds, once. Floors and shards are always quick.",
    )
    room: Room | None = Field(None, description="The room around it all; none: in the open.")

    @model_validator(mode="after")
    def _something_moves(self) -> Self:
        if all(body.stands for body in self.bodies):
            problem = "all bodies stand; expected one that does not"
            raise PydanticCustomError("stands", problem, {"key": "bodies"})
        return self

    @model_validator(mode="after")
    def _something_breaks(self) -> Self:
        if self.action == "break" and not any(self.shards(body) for body in self.bodies):
            problem = "bodies from files do not break; expected another action, or a body of another shape"
            raise PydanticCustomError("breaks", problem, {"key": "action"})
        return self

    @model_validator(mode="after")
    def _few_enough(self) -> Self:
        most = sum(body.count[1] * (self.shards(body) or (1, 1))[1] for body in self.bodies)
        if most > MOST_BODIES:
            raise PydanticCustomError(
                "bodies",
                "there may be {most} bodies in all; expected at most {limit}",
                {"most": most, "limit": MOST_BODIES, "key": "bodies"},
            )
        return self

    def shards(self, body: SceneBody) -> tuple[int, int] | None:
        """Into how many pieces a body of this scene breaks, [low, high]; None: it does not."""
        struck = self.action == "break" and not body.stands and not isinstance(body.object, FromFile)
        return body.breaks or (BREAKS if struck else None)

    def with_files(self, files: tuple[str, ...]) -> Scene:
        """With these paths for those of its bodies from files, in their order."""
        left = iter(files)
        bodies = [
            body.model_copy(update={"object": body.object.model_copy(update={"file": next(left)})})
            if isinstance(body.object, FromFile)
            else body
            for body in self.bodies
        ]
        return self.model_copy(update={"bodies": tuple(bodies)})
