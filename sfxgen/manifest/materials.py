"""What bodies and strikers are made of: elastic constants and internal damping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Discriminator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, Tag, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from sfxgen.manifest.base import Spec


class Material(Spec):
    """An elastic, isotropic material. A mode of angular frequency ω decays as exp(-d t), d = (α + η ω + β ω²) / 2."""

    density_kg_m3: Annotated[float, Field(gt=0, le=25_000)] = Field(description="Density (kg/m³).")
    youngs_gpa: Annotated[float, Field(gt=0, le=1_500)] = Field(description="Young's modulus (GPa).")
    poisson: Annotated[float, Field(gt=0, lt=0.5)] = Field(description="Poisson's ratio (1).")
    alpha_per_s: Annotated[float, Field(ge=0)] = Field(description="Rayleigh damping by mass, α (1/s).")
    beta_s: Annotated[float, Field(ge=0)] = Field(description="Rayleigh damping by stiffness, β (s).")
    loss_factor: Annotated[float, Field(ge=0, lt=1)] = Field(description="Hysteretic loss factor η (1).")

    @property
    def youngs_pa(self) -> float:
        return self.youngs_gpa * 1e9

    @property
    def bar_speed_m_s(self) -> float:
        """Speed of a long wave along a thin bar, √(E/ρ) (m/s)."""
        return float((self.youngs_pa / self.density_kg_m3) ** 0.5)


def _material(
    density_kg_m3: float, youngs_gpa: float, poisson: float, alpha_per_s: float, beta_s: float, loss_factor: float
) -> Material:
    return Material(
        density_kg_m3=density_kg_m3,
        youngs_gpa=youngs_gpa,
        poisson=poisson,
        alpha_per_s=alpha_per_s,
        beta_s=beta_s,
        loss_factor=loss_factor,
    )


# ρ, E, ν, α of ceramic to tin: Jin et al., "NeuralSound" (2022), table of materials. Loss factors: Cremer & Heckl,
# "Structure-Borne Sound", the middle of the range in its table. Elsewhere handbook values of ρ, E and ν, with α set
# beside the measured one of kin. NeuralSound's α of steel (5) stands for all its damping: beside a loss factor it is
# less here, so that a free bar rings for seconds. Its β (1e-7 of glass, 2e-6 of wood) stands for all damping of the
# treble: beside a loss factor it would count that again, and tenfold at 10 kHz. Internal friction hardly depends on
# frequency: not at all in dry rocks (Johnston, Toksöz & Timur, Geophysics 44, 1979), little in glass, metals and hard
# plastics; in wood it about doubles by 10 kHz, where bending shears the grain. That growth is the β here. Partials of
# recorded blows bear it out (tools/evaluate/losses.py). α stands for joints, air and what holds a body. By those
# partials that of wood is half of NeuralSound's, and plastic (ABS) is at the lower end of its range. Ceramic and iron
# are porcelain and cast iron: their loss factor is what they had with NeuralSound's β at 3 and at 1 kHz.
# Woods are taken along the grain, as if they were isotropic. Leather, flesh and felt are there for soles, hands and
# mallets: their moduli (about 200, 1 and 5 MPa) are not those of a standing body, and as strikers they follow their own
# law (manifest/strikers.py).
MATERIALS: dict[str, Material] = {
    "ceramic": _material(2700, 72, 0.19, 6, 1e-8, 2e-3),
    "glass": _material(2600, 62, 0.20, 1, 1e-8, 1e-3),
    "wood": _material(750, 11, 0.25, 30, 1e-7, 8e-3),
    "plastic": _material(1070, 1.4, 0.35, 30, 1e-7, 2e-2),
    "polycarbonate": _material(1190, 2.4, 0.37, 0.5, 1e-7, 1e-2),
    "steel": _material(7850, 200, 0.29, 3, 3e-9, 2e-4),
    "iron": _material(8000, 210, 0.28, 5, 1e-8, 1e-3),
    "tin": _material(7265, 50, 0.325, 2, 1e-8, 2e-3),
    "aluminium": _material(2700, 72, 0.34, 3, 3e-9, 1e-4),
    "brass": _material(8500, 100, 0.33, 3, 3e-9, 5e-4),
    "bronze": _material(8800, 105, 0.34, 1, 3e-9, 2e-4),  # bell metal, 20 % tin
    "copper": _material(8960, 120, 0.34, 3, 1e-8, 2e-3),
    "silver": _material(10_490, 83, 0.37, 3, 3e-9, 4e-4),
    "gold": _material(19_300, 78, 0.42, 3, 3e-9, 5e-4),
    "lead": _material(11_340, 16, 0.44, 10, 1e-7, 1.5e-2),
    "concrete": _material(2300, 27, 0.20, 30, 2e-8, 1e-2),
    "stone": _material(2600, 40, 0.22, 20, 2e-8, 6e-3),  # limestone, sandstone
    "granite": _material(2650, 55, 0.25, 10, 2e-8, 3e-3),
    "marble": _material(2700, 55, 0.25, 8, 2e-8, 2e-3),
    "brick": _material(1900, 16, 0.20, 30, 2e-8, 1.2e-2),
    "oak": _material(720, 12, 0.35, 20, 1e-7, 9e-3),
    "pine": _material(480, 9.5, 0.35, 20, 1e-7, 9e-3),
    "bamboo": _material(700, 17, 0.30, 20, 1e-7, 8e-3),
    "ice": _material(917, 9.2, 0.33, 25, 1e-7, 1e-2),
    "rubber": _material(1100, 0.03, 0.49, 100, 2e-4, 1.5e-1),
    "bone": _material(1900, 17, 0.30, 60, 3e-7, 1.5e-2),
    "leather": _material(950, 0.2, 0.40, 200, 1e-4, 2e-1),
    "flesh": _material(1050, 0.001, 0.48, 400, 1e-3, 4e-1),
    "felt": _material(350, 0.005, 0.30, 400, 1e-3, 3e-1),
}


@dataclass(frozen=True)
class OneOfMaterials:
    """Annotates `str`: one of the names in MATERIALS."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(self._parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "enum": sorted(MATERIALS)}

    def _parse(self, value: Any, info: ValidationInfo) -> str:
        if not isinstance(value, str) or value not in MATERIALS:
            own: Sequence[str] = (info.context or {}).get("materials", ())  # the manifest's: they are put in before
            names = sorted([*MATERIALS, *own])
            raise PydanticCustomError(
                "material", "expected one of {names}", {"names": ", ".join(names), "choices": names}
            )
        return value


MaterialName = Annotated[str, OneOfMaterials()]


class OwnMaterial(Spec):
    """A material of one's own: what differs from one that there is. Bounce, grip and roughness are that one's."""

    like: MaterialName = Field(description="The material that it is like.")
    density_kg_m3: Annotated[float, Field(ge=1, le=25_000)] | None = Field(None, description="Density (kg/m³).")
    youngs_gpa: Annotated[float, Field(ge=1e-5, le=1_500)] | None = Field(None, description="Young's modulus (GPa).")
    poisson: Annotated[float, Field(ge=0, le=0.499)] | None = Field(None, description="Poisson's ratio (1).")
    alpha_per_s: Annotated[float, Field(ge=0, le=1e4)] | None = Field(
        None, description="Rayleigh damping by mass, α (1/s): lows ring shorter with more."
    )
    beta_s: Annotated[float, Field(ge=0, le=0.1)] | None = Field(
        None, description="Rayleigh damping by stiffness, β (s): highs ring shorter with more."
    )
    loss_factor: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        None, description="Hysteretic loss factor η (1): all ring by so many periods."
    )


def _which(value: Any) -> str:
    return "(own)" if isinstance(value, (dict, OwnMaterial)) else "(name)"


AnyMaterial = Annotated[
    Annotated[MaterialName, Tag("(name)")] | Annotated[OwnMaterial, Tag("(own)")], Discriminator(_which)
]


def kin(material: str | OwnMaterial) -> str:
    """The name in MATERIALS that says what no number of it does: how it bounces, grips and is rough, if it is soft."""
    return material if isinstance(material, str) else material.like


def constants(material: str | OwnMaterial) -> Material:
    """Elastic constants and damping."""
    usual = MATERIALS[kin(material)]
    if isinstance(material, str):
        return usual
    own = {name: value for name in Material.model_fields if (value := getattr(material, name)) is not None}
    return usual.model_copy(update=own)
