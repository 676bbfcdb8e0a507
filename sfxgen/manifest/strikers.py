"""Soft stuff that strikes, and strikers by name: what `striker: fist` means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic_core import PydanticCustomError


@dataclass(frozen=True)
class Soft:
    """The law of a soft contact, F = E R^{2-α} δ^α (1 + μ δ̇), R the radius of the tip.

    exponent: α, 1.5 as Hertz has it, more for what stiffens as it is pressed. modulus_pa: E. loss_s_m: μ (s/m).
    """

    exponent: float
    modulus_pa: float
    loss_s_m: float


# felt: hammers of pianos have α of 2.3 to 3 (Chaigne & Askenfelt 1994, table II), a timpani's mallet 2.54 with
# k = 1.6e8 N/m^2.54 (Rhaouti, Chaigne & Joly 1999), which at a radius of 25 mm is E of 2 to 3e7.
# flesh: over a bone, between the pulp of a finger and a heel under the body's weight, whose k at α = 2 are about 5e5
# and 5e7 N/m²; a punch of 2.9 kg at 9 m/s then reaches 4 to 7 kN (Walilko, Viano & Bir 2005 measured 3.4 ± 0.8 kN).
# rubber and leather: Hertz's law of their moduli. Losses give e = 0.88 (rubber), 0.83 (leather, felt) and 0.75
# (flesh) at 1 m/s, less when faster; they are set, not measured.
SOFT: Final[dict[str, Soft]] = {
    "felt": Soft(2.5, 2.5e7, 0.3),
    "flesh": Soft(2.0, 5e6, 0.5),
    "rubber": Soft(1.5, 5.3e7, 0.2),
    "leather": Soft(1.5, 3.2e8, 0.3),
}

# Masses are what moves with the blow: a hand with a part of its arm, a foot with a part of its leg.
STRIKERS: Final[dict[str, dict[str, Any]]] = {
    "hammer": {"material": "steel", "mass_kg": 0.5, "radius_m": 0.02},
    "stick": {"material": "wood", "mass_kg": 0.05, "radius_m": 0.007},
    "knuckle": {"material": "bone", "mass_kg": 0.25, "radius_m": 0.008},
    "fingertip": {"material": "flesh", "mass_kg": 0.02, "radius_m": 0.007},
    "hand": {"material": "flesh", "mass_kg": 0.4, "radius_m": 0.04},
    "fist": {"material": "flesh", "mass_kg": 2.9, "radius_m": 0.035},
    "boot": {"material": "leather", "mass_kg": 1.5, "radius_m": 0.03},
    "shoe": {"material": "rubber", "mass_kg": 1.0, "radius_m": 0.03},
    "rubber_mallet": {"material": "rubber", "mass_kg": 0.5, "radius_m": 0.03},
    "felt_mallet": {"material": "felt", "mass_kg": 0.03, "radius_m": 0.025},
}


StrikerName = Literal[
    "boot", "felt_mallet", "fingertip", "fist", "hammer", "hand", "knuckle", "rubber_mallet", "shoe", "stick"
]


def named(value: Any) -> Any:
    """A name as the striker that it stands for; anything else as it is."""
    if not isinstance(value, str):
        return value
    if value not in STRIKERS:
        names = sorted(STRIKERS)
        problem = "expected one of {names}, or a mapping with material, mass_kg and radius_m"
        raise PydanticCustomError("striker", problem, {"names": ", ".join(names), "choices": names})
    return dict(STRIKERS[value])
