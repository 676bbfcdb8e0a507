"""How much a pair of materials bounces, and how much it grips: what a rigid-body scene knows of its surfaces."""

from __future__ import annotations

import math

from sfxgen.manifest.materials import OwnMaterial, constants, kin

# Restitution of a body on its own kind at about 1 m/s, and dry sliding friction on its own kind. Glass (15/16), steel,
# iron, lead, wood, bone (ivory): as handbooks quote them after Newton's "Principia" and Goldsmith, "Impact" (1960);
# the originals were not consulted. The others are set beside their kin, as are all frictions: they shape how a scene
# moves, and no figure of this project rests on them.
SURFACES: dict[str, tuple[float, float]] = {
    "ceramic": (0.80, 0.35),
    "glass": (0.94, 0.35),
    "wood": (0.50, 0.45),
    "plastic": (0.70, 0.35),
    "polycarbonate": (0.78, 0.35),
    "steel": (0.90, 0.30),
    "iron": (0.66, 0.30),
    "tin": (0.40, 0.35),
    "aluminium": (0.65, 0.35),
    "brass": (0.65, 0.30),
    "bronze": (0.70, 0.30),
    "copper": (0.45, 0.35),
    "silver": (0.60, 0.30),
    "gold": (0.40, 0.35),
    "lead": (0.20, 0.45),
    "concrete": (0.70, 0.60),
    "stone": (0.75, 0.50),
    "granite": (0.80, 0.50),
    "marble": (0.80, 0.40),
    "brick": (0.60, 0.60),
    "oak": (0.55, 0.45),
    "pine": (0.45, 0.45),
    "bamboo": (0.55, 0.40),
    "ice": (0.50, 0.05),
    "rubber": (0.75, 0.90),
    "bone": (0.89, 0.30),
    "leather": (0.35, 0.60),
    "flesh": (0.15, 0.60),
    "felt": (0.25, 0.60),
}
LOWEST, HIGHEST = 0.15, 0.95  # what the simulation holds to a few percent


def restitution(first: str | OwnMaterial, second: str | OwnMaterial) -> float:
    """Restitution of a pair, LOWEST to HIGHEST: e = (e₁ E₂ + e₂ E₁) / (E₁ + E₂).

    The softer body takes most of the deformation, so its own loss counts most (Tatara & Moriwaki, "Study on impact of
    equivalent two bodies", 1982).
    """
    youngs = [constants(name).youngs_pa for name in (first, second)]
    own = [SURFACES[kin(name)][0] for name in (first, second)]
    return min(HIGHEST, max(LOWEST, (own[0] * youngs[1] + own[1] * youngs[0]) / sum(youngs)))


def friction(first: str | OwnMaterial, second: str | OwnMaterial) -> float:
    """Coefficient of dry friction of a pair: the geometric mean, so that one slippery side makes both slip."""
    return math.sqrt(SURFACES[kin(first)][1] * SURFACES[kin(second)][1])
