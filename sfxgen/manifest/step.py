"""`step:` in an `impact:` section: a foot on the object, told by shoe, gait and weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from sfxgen.manifest.base import Spec


@dataclass(frozen=True)
class Gait:
    """speed_m_s: of the heel as it lands, slow to fast; share: of the body's mass that stops with it; toe_s: from heel
    to toe at the fastest; toe: speed of the toe over that of the heel."""

    speed_m_s: tuple[float, float]
    share: float
    toe_s: float
    toe: float


# Effective masses of a heel strike are about 6 % of the body's, walking and running (Chi & Schmitt 2005); speeds and
# times are of that order, and set by how they sound to differ: nobody measured a sneaking foot.
GAITS: Final[dict[str, Gait]] = {
    "sneak": Gait((0.1, 0.25), 0.04, 0.25, 0.7),
    "walk": Gait((0.35, 0.8), 0.06, 0.14, 0.6),
    "run": Gait((0.8, 1.8), 0.055, 0.06, 0.8),
    "land": Gait((1.8, 4.0), 0.15, 0.045, 0.85),
}

# Material and radius (m) of what meets the ground first, and the part of the gait's mass that stops with it: a hard
# tip is stopped before the ankle has felt it.
SHOES: Final[dict[str, tuple[str, float, float]]] = {
    "barefoot": ("flesh", 0.03, 1.0),
    "sneaker": ("rubber", 0.03, 1.0),
    "shoe": ("leather", 0.02, 0.6),
    "boot": ("leather", 0.035, 1.0),
    "heels": ("polycarbonate", 0.005, 0.03),
    "clog": ("wood", 0.02, 0.2),
    "hoof": ("bone", 0.03, 0.2),
}


class Step(Spec):
    """A foot that comes down: heel, then toe. Fills in striker, speed_m_s and bounces where they are not written."""

    shoe: Literal["barefoot", "sneaker", "shoe", "boot", "heels", "clog", "hoof"] = Field(
        "shoe", description="What is on the foot."
    )
    gait: Literal["sneak", "walk", "run", "land"] = Field(
        "walk", description="How it goes; land: both feet after a jump."
    )
    weight_kg: Annotated[float, Field(ge=1, le=5000)] = Field(75.0, description="Of who walks (kg).")

    def as_impact(self) -> dict[str, Any]:
        """The keys of an `impact:` section that it stands for."""
        gait, (material, radius_m, part) = GAITS[self.gait], SHOES[self.shoe]
        mass_kg = float(f"{gait.share * part * self.weight_kg:.4g}")
        return {
            "striker": {"material": material, "mass_kg": mass_kg, "radius_m": radius_m},
            "speed_m_s": list(gait.speed_m_s),
            "bounces": {"count": 1, "first_s": gait.toe_s, "restitution": gait.toe, "spread": 0.15},
        }


def stepped(data: Any) -> Any:
    """An `impact:` section with what its `step:` says laid under it. A step at fault is left to its own checks."""
    if not isinstance(data, dict) or data.get("step") is None:
        return data
    try:
        step = Step.model_validate(data["step"])
    except ValidationError:
        return data
    return {**step.as_impact(), **data}
