"""The `impact:` section: what is struck, by what, how fast, and where."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from sfxgen.manifest.base import ROUNDING, Between, Spec, ceiled, floored
from sfxgen.manifest.excitation import MOST_CONTACTS, Contacts, Friction
from sfxgen.manifest.materials import AnyMaterial
from sfxgen.manifest.room import Room
from sfxgen.manifest.step import Step, stepped
from sfxgen.manifest.strikers import StrikerName, named

Length = Annotated[float, Field(ge=0.0005, le=20)]
One = Annotated[tuple[Length], Field(strict=False)]
Two = Annotated[tuple[Length, Length], Field(strict=False)]
Three = Annotated[tuple[Length, Length, Length], Field(strict=False)]
THINNEST_M = 0.0001
Wall = Annotated[float, Field(ge=THINNEST_M, le=1)]
Place = Annotated[float, Field(ge=-1000, le=1000)]

ExactHz = Annotated[float, Field(ge=20, le=20_000)] | None
_EXACT = Field(
    None,
    description="Up to which frequency its modes are solved one by one (Hz), at most 320 of them; without it the "
    "lowest 64. Above, as many as a plate has stand in.",
)

MESH_ENDINGS = (".glb", ".gltf", ".obj", ".stl", ".ply")

SLENDEREST = 2000  # longest side over thickness: from 1000 on rounding raises the lowest modes, by a fifth at the end


class _Body(Spec):
    """What all bodies share: checks of proportion that no single field can make."""

    material: AnyMaterial = Field("steel", description="What it is made of: sets pitch, damping and hardness.")
    exact_hz: ExactHz = _EXACT

    @model_validator(mode="after")
    def _proportions(self) -> Self:
        size: tuple[float, ...] = self.size_m  # type: ignore[attr-defined]
        wall: float = getattr(self, "wall_m", 0.0)
        across = size[0] if isinstance(self, Tube) else min(size)  # a ring is a short tube
        if wall > 0.4 * across * (1 + ROUNDING):
            limit = floored(0.4 * across, 6)
            problem = "the wall is too thick for a body of this size; expected wall_m of at most {limit}"
            raise PydanticCustomError("wall", problem, {"limit": limit, "key": "wall_m"})
        if max(size) > SLENDEREST * (wall or min(size)) * (1 + ROUNDING):
            limit = ceiled(max(size) / SLENDEREST, 6)
            problem = "the body is too thin for its length; expected a thickness of at least {limit} m"
            raise PydanticCustomError("slender", problem, {"limit": limit, "key": "wall_m" if wall else "size_m"})
        return self

    def holds(self, place_m: tuple[float, float, float]) -> bool:
        """Whether a place is in the box around it. Bowls and bells have their origin at the rim, all else within."""
        size: tuple[float, ...] = self.size_m  # type: ignore[attr-defined]
        sides = size if len(size) == 3 else (size[0], size[0], size[-1])
        down = size[-1] / 2 if isinstance(self, Bowl | Bell) else 0.0
        x, y, z = place_m
        return all(abs(at) <= side / 2 for at, side in zip((x, y, z + down), sides, strict=True))


class Bar(_Body):
    """A straight bar: blades, planks, sticks, chimes."""

    shape: Literal["bar"]
    size_m: Three = Field((0.3, 0.03, 0.006), description="[length, width, thickness] (m).")


class Plate(_Body):
    """A flat plate: sheets, panes, doors, tiles. Struck on its faces."""

    shape: Literal["plate"]
    size_m: Three = Field((0.4, 0.3, 0.003), description="[length, width, thickness] (m).")


class Box(_Body):
    """A block, or with `wall_m` a closed hollow box: crates, cans, anvils, bricks."""

    shape: Literal["box"]
    size_m: Three = Field((0.3, 0.3, 0.3), description="[length, width, height] (m).")
    wall_m: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="Thickness of its walls (m); 0: solid.")


class Sphere(_Body):
    """A solid ball: marbles, stones, bearings."""

    shape: Literal["sphere"]
    size_m: One = Field((0.05,), description="[diameter] (m).")


class Cylinder(_Body):
    """A solid round rod or, where its length is less than its diameter, a disc: rods, poles, coins, lids."""

    shape: Literal["cylinder"]
    size_m: Two = Field((0.02, 0.3), description="[diameter, length] (m).")


class Tube(_Body):
    """A round tube, open at both ends: pipes, rings, chimes."""

    shape: Literal["tube"]
    size_m: Two = Field((0.05, 0.6), description="[outer diameter, length] (m).")
    wall_m: Wall = Field(0.003, description="Thickness of its wall (m).")


class Bowl(_Body):
    """Half a spheroid, open at the top: bowls, cups, pots, wine glasses, bottles, helmets."""

    shape: Literal["bowl"]
    size_m: Two = Field((0.14, 0.07), description="[diameter of the rim, depth] (m).")
    wall_m: Wall = Field(0.003, description="Thickness of its wall (m).")


class Bell(_Body):
    """A bell: a crown that widens to a flared mouth."""

    shape: Literal["bell"]
    size_m: Two = Field((0.12, 0.1), description="[diameter of the mouth, height] (m).")
    wall_m: Wall = Field(0.004, description="Thickness of its wall (m).")


class FromFile(Spec):
    """A mesh file, .glb, .gltf, .obj, .stl or .ply: a solid if it is closed, a shell if thin or open."""

    shape: Literal["mesh"]
    file: Annotated[str, Field(min_length=1)] = Field(description="Path of the mesh, relative to the manifest.")
    material: AnyMaterial = Field("steel", description="What it is made of: sets pitch, damping and hardness.")
    wall_m: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="Thickness of its wall (m), about the surface, 0.0001 at least; 0: as it is, solid or a shell.",
    )
    size_m: Length | None = Field(None, description="Longest side (m) to scale it to; without it, as in the file.")
    unit: Literal["m", "cm", "mm", "in"] = Field(
        "m", description="Unit of the numbers in the file, where it is not metres as glTF has it."
    )
    materials: Annotated[dict[str, AnyMaterial], Field(max_length=16)] = Field(
        {},
        description="Materials of parts that differ from the rest, by the name of the part, of its mesh or of its "
        "material in the file: {handle: oak}. In an .obj: of its object (o), or in one without objects its group (g), "
        "or of its material (usemtl). Where parts overlap, the one named first here has the place; what is not "
        "named comes last.",
    )
    exact_hz: ExactHz = _EXACT
    mesher: Literal["lattice", "tetwild"] = Field(
        "lattice",
        description="What fills a solid with tetrahedra: our own lattice, the same on every run, or pytetwild, which "
        "`pip install 'sfxgen[tetwild]'` installs; not beside wall_m.",
    )
    parts: Literal["joined", "apart"] = Field(
        "joined", description="joined: one body; apart: its parts do not touch, and each rings by itself."
    )

    @field_validator("file")
    @classmethod
    def _known_format(cls, file: str) -> str:
        if not file.lower().endswith(MESH_ENDINGS):
            problem = "expected a mesh, a file that ends in {endings}; export it as one"
            raise PydanticCustomError("ending", problem, {"endings": ", ".join(MESH_ENDINGS)})
        return file

    @field_validator("wall_m")
    @classmethod
    def _walled(cls, wall_m: float) -> float:
        if 0 < wall_m < THINNEST_M:
            raise PydanticCustomError("wall", "expected {least} at least, or 0", {"least": f"{THINNEST_M:g} m"})
        return wall_m

    @model_validator(mode="after")
    def _filled_or_walled(self) -> Self:
        if self.mesher == "tetwild" and self.wall_m:
            problem = "tetwild fills solids, it makes no walls; expected wall_m or mesher: tetwild, not both"
            raise PydanticCustomError("mesher", problem, {"key": "mesher"})
        if self.unit != "m" and self.size_m is not None:
            problem = "size_m says how long it is, whatever the file's unit; expected unit or size_m, not both"
            raise PydanticCustomError("unit", problem, {"key": "unit"})
        return self


Primitive = Bar | Plate | Box | Sphere | Cylinder | Tube | Bowl | Bell
AnyBody = Primitive | FromFile


class Striker(Spec):
    """What strikes it. Hard, light and pointed strikers are bright; soft, heavy and blunt ones are dull."""

    material: AnyMaterial = Field("steel", description="What the striker is made of.")
    mass_kg: Annotated[float, Field(ge=0.0001, le=1000)] = Field(0.1, description="Mass of the striker (kg).")
    radius_m: Annotated[float, Field(ge=0.0001, le=10)] = Field(
        0.01, description="Radius of its tip where it touches (m)."
    )


AnyStriker = Annotated[Striker, BeforeValidator(named, json_schema_input_type=Striker | StrikerName)]


class Bounces(Spec):
    """Further blows after the first: a dropped coin, or with one bounce the heel and toe of a step."""

    count: Annotated[int, Field(ge=0, le=20)] = Field(0, description="Number of blows after the first.")
    first_s: Annotated[float, Field(ge=0.005, le=2)] = Field(
        0.2, description="From the first blow of the fastest speed to the second (s); slower ones return sooner."
    )
    restitution: Annotated[float, Field(ge=0.05, le=0.98)] = Field(
        0.6, description="Speed after a bounce over the speed before it: each interval is this much shorter as well."
    )
    spread: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.1, description="Random spread of intervals and speeds, as of a body that tumbles (1)."
    )


class Mode(Spec):
    """One partial's own deviation."""

    semitones: Annotated[float, Field(ge=-12, le=12)] = Field(0.0, description="Higher or lower than physics has it.")
    ring: Annotated[float, Field(ge=0.05, le=20)] = Field(1.0, description="Ring time, times what physics has.")


class Tuning(Spec):
    """How the body departs from what its shape and material alone would do; guidance by a prompt writes it."""

    semitones: Annotated[float, Field(ge=-48, le=48)] = Field(
        0.0, description="All partials up or down: a body that is smaller or larger, stiffer or softer."
    )
    ring: Annotated[float, Field(ge=0.02, le=50)] = Field(1.0, description="All ring times, times what physics has.")
    contact: Annotated[float, Field(ge=0.02, le=50)] = Field(
        1.0, description="Contact time, times Hertz's: above 1 the striker is padded, below 1 it is sharp."
    )
    modes: Annotated[tuple[Mode, ...], Field(strict=False, max_length=64)] = Field(
        (), description="Deviations of single partials, the lowest first."
    )


class Impact(Spec):
    """A free elastic body is struck and rings. Pitch, ring time and level follow from sizes, materials and speed."""

    object: Annotated[AnyBody, Field(discriminator="shape")] = Field(
        Plate(shape="plate"), description="The body that rings."
    )
    striker: AnyStriker = Field(
        Striker(), description="What strikes it: its material, mass and tip, or a name such as fist or felt_mallet."
    )
    speed_m_s: Annotated[tuple[float, float], Between(0.01, 50)] = Field(
        (1.0, 4.0), description="Speed of the striker (m/s); variations and velocity layers range over it."
    )
    hit: Annotated[tuple[float, float], Between(0, 1)] = Field(
        (0.2, 0.9), description="Where blows land, from 0 (the middle, the bottom) to 1 (the end, edge or rim)."
    )
    damping: Annotated[float, Field(ge=0.1, le=200)] = Field(
        1.0, description="Internal damping, times that of the material: 1 free, about 3 lying, 10 held."
    )
    bounces: Bounces = Field(Bounces(), description="Blows after the first.")
    step: Step | None = Field(None, description="A foot that comes down, by shoe, gait and weight.")
    contacts: Contacts | None = Field(None, description="Many small contacts in place of each blow.")
    friction: Friction | None = Field(None, description="Rubbed or rolled over in place of struck; none: struck.")
    tuning: Tuning = Field(Tuning(), description="Departures from physics; guidance by a prompt writes them.")
    radiation: Literal["quick", "field"] = Field(
        "quick",
        description="How its modes become sound: quick by a law for all bodies; field by the body's own sound field, "
        "which takes some seconds, once.",
    )
    listener_m: tuple[Place, Place, Place] | None = Field(
        None,
        strict=False,
        description="Where it is heard from (m), in the axes of the body, with radiation: field; none: the mean of all "
        "directions, at 1 m.",
    )
    room: Room | None = Field(None, description="The room around it; none: in the open.")
    click_db: Annotated[float, Field(ge=-60, le=24)] = Field(
        0.0,
        description="Level of the knock of the two bodies themselves, beside the ringing (dB, 0 as physics has it).",
    )
    runtime: Literal["none", "modal"] = Field(
        "none",
        exclude=True,  # it adds a file and changes none: the recipe of the WAVs is the same without it
        description="modal: beside its files a bank of its modes and a player, so that the game rings it itself.",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_step(cls, data: Any) -> Any:
        return stepped(data)

    @model_validator(mode="after")
    def _heard_from(self) -> Self:
        if self.listener_m and self.radiation == "quick":
            problem = "a listener's place is heard with the sound field alone; expected radiation: field"
            raise PydanticCustomError("listener", problem, {"key": "listener_m"})
        if self.listener_m and not isinstance(self.object, FromFile) and self.object.holds(self.listener_m):
            problem = "the listener is inside the body; expected a place (m) beyond its sides"
            raise PydanticCustomError("listener", problem, {"key": "listener_m"})
        return self

    @model_validator(mode="after")
    def _one_excitation(self) -> Self:
        if self.contacts and self.friction:
            problem = "it is struck by many contacts and rubbed as well; expected contacts or friction, not both"
            raise PydanticCustomError("excitation", problem, {"key": "friction"})
        blows = 1 + self.bounces.count
        struck = {
            "step": self.step is not None,
            "bounces": self.bounces.count > 0,
            "click_db": self.click_db != 0,
            "runtime": self.runtime == "modal",
        }
        for key in (key for key, is_there in struck.items() if is_there and self.friction):
            problem = "what rubs does not strike, so {key} would do nothing; expected friction or {key}, not both"
            raise PydanticCustomError("excitation", problem, {"key": key})
        if self.contacts and blows * self.contacts.count[1] > MOST_CONTACTS:
            problem = "{blows} blows of so many contacts are too many; expected a count of at most {limit}"
            limit = int(MOST_CONTACTS / blows)
            raise PydanticCustomError("contacts", problem, {"blows": blows, "limit": limit, "key": "contacts"})
        return self
