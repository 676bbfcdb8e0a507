"""What is struck in the grid of impacts, and by what. Sizes are of real things (m, kg)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Body:
    """nouns: two names for it. word: what it is made of, as an adjective. more: keys of `impact` beside object."""

    nouns: tuple[str, str]
    word: str
    spec: Mapping[str, Any]
    more: Mapping[str, Any] = field(default_factory=dict)


def _bar(material: str, *size_m: float) -> dict[str, Any]:
    return {"shape": "bar", "material": material, "size_m": list(size_m)}


def _plate(material: str, *size_m: float) -> dict[str, Any]:
    return {"shape": "plate", "material": material, "size_m": list(size_m)}


def _box(material: str, wall_m: float, *size_m: float) -> dict[str, Any]:
    return {"shape": "box", "material": material, "size_m": list(size_m), "wall_m": wall_m}


def _round(shape: str, material: str, *size_m: float, wall_m: float | None = None) -> dict[str, Any]:
    wall = {} if wall_m is None else {"wall_m": wall_m}
    return {"shape": shape, "material": material, "size_m": list(size_m), **wall}


_LYING: dict[str, Any] = {"damping": 3.0}
_HELD: dict[str, Any] = {"damping": 10.0}

BODIES: dict[str, Body] = {
    "steel_bar": Body(("steel bar", "metal rod"), "metal", _bar("steel", 0.5, 0.04, 0.008), _LYING),
    "steel_blade": Body(("steel blade", "sword blade"), "metal", _bar("steel", 0.8, 0.045, 0.004), _HELD),
    "steel_plate": Body(("steel plate", "metal sheet"), "metal", _plate("steel", 0.5, 0.4, 0.004), _LYING),
    "thin_steel_sheet": Body(("thin steel sheet", "tin sheet"), "metal", _plate("steel", 0.8, 0.6, 0.0008), _LYING),
    "steel_box": Body(("hollow steel box", "metal box"), "metal", _box("steel", 0.001, 0.3, 0.2, 0.2), _LYING),
    "steel_barrel": Body(("steel drum", "metal barrel"), "metal", _box("steel", 0.0012, 0.9, 0.6, 0.6), _LYING),
    "steel_block": Body(("solid steel block", "anvil"), "metal", _box("steel", 0.0, 0.3, 0.12, 0.12), _LYING),
    "steel_pipe": Body(("steel pipe", "metal tube"), "metal", _round("tube", "steel", 0.06, 1.0, wall_m=0.003)),
    "steel_bowl": Body(("steel bowl", "metal pot"), "metal", _round("bowl", "steel", 0.24, 0.12, wall_m=0.001), _LYING),
    "iron_door": Body(("iron door", "heavy metal door"), "metal", _plate("iron", 2.0, 0.9, 0.006), _HELD),
    "tin_can": Body(("tin can", "small can"), "metal", _box("tin", 0.0003, 0.11, 0.07, 0.07), _LYING),
    "aluminium_tube": Body(
        ("aluminium tube", "chime"), "metal", _round("tube", "aluminium", 0.025, 0.4, wall_m=0.0015)
    ),
    "aluminium_pan": Body(
        ("aluminium pan", "cooking pan"), "metal", _round("bowl", "aluminium", 0.28, 0.08, wall_m=0.002), _LYING
    ),
    "brass_bowl": Body(("brass bowl", "singing bowl"), "metal", _round("bowl", "brass", 0.16, 0.08, wall_m=0.003)),
    "brass_plate": Body(("brass plate", "cymbal plate"), "metal", _plate("brass", 0.35, 0.35, 0.001)),
    "bronze_bell": Body(("bronze bell", "bell"), "metal", _round("bell", "bronze", 0.12, 0.1, wall_m=0.004)),
    "big_bronze_bell": Body(
        ("big bronze bell", "church bell"), "metal", _round("bell", "bronze", 0.7, 0.6, wall_m=0.05)
    ),
    "copper_pot": Body(("copper pot", "kettle"), "metal", _round("bowl", "copper", 0.3, 0.2, wall_m=0.0015), _LYING),
    "silver_coin": Body(("silver coin", "coin"), "metal", _round("cylinder", "silver", 0.03, 0.002)),
    "lead_block": Body(("lead block", "dull metal weight"), "metal", _box("lead", 0.0, 0.12, 0.08, 0.06), _HELD),
    "wooden_plank": Body(("wooden plank", "wood board"), "wooden", _bar("pine", 0.8, 0.12, 0.02), _LYING),
    "wooden_stick": Body(("wooden stick", "wood rod"), "wooden", _round("cylinder", "oak", 0.025, 0.5), _LYING),
    "wooden_panel": Body(("wooden panel", "wood door"), "wooden", _plate("pine", 1.0, 0.7, 0.015), _HELD),
    "wooden_crate": Body(("wooden crate", "wood box"), "wooden", _box("pine", 0.012, 0.5, 0.4, 0.4), _LYING),
    "wooden_block": Body(("wooden block", "wood block"), "wooden", _box("oak", 0.0, 0.15, 0.06, 0.05), _LYING),
    "log": Body(("log", "tree trunk"), "wooden", _round("cylinder", "oak", 0.3, 1.2), _HELD),
    "bamboo_tube": Body(("bamboo tube", "bamboo cane"), "wooden", _round("tube", "bamboo", 0.05, 0.5, wall_m=0.006)),
    "wooden_bowl": Body(("wooden bowl", "wood bowl"), "wooden", _round("bowl", "oak", 0.2, 0.09, wall_m=0.008), _LYING),
    "window_pane": Body(("window pane", "glass sheet"), "glass", _plate("glass", 0.6, 0.4, 0.004), _HELD),
    "glass_bottle": Body(
        ("glass bottle", "bottle"), "glass", _round("tube", "glass", 0.07, 0.22, wall_m=0.004), _LYING
    ),
    "wine_glass": Body(("wine glass", "thin glass cup"), "glass", _round("bowl", "glass", 0.08, 0.07, wall_m=0.0012)),
    "drinking_glass": Body(
        ("drinking glass", "tumbler"), "glass", _round("bowl", "glass", 0.07, 0.1, wall_m=0.003), _LYING
    ),
    "glass_marble": Body(("glass marble", "glass ball"), "glass", _round("sphere", "glass", 0.03)),
    "ceramic_plate": Body(
        ("ceramic plate", "dinner plate"), "ceramic", _round("bowl", "ceramic", 0.26, 0.04, wall_m=0.005), _LYING
    ),
    "ceramic_cup": Body(
        ("ceramic cup", "mug"), "ceramic", _round("bowl", "ceramic", 0.085, 0.09, wall_m=0.004), _LYING
    ),
    "ceramic_tile": Body(("ceramic tile", "floor tile"), "ceramic", _plate("ceramic", 0.3, 0.3, 0.008), _HELD),
    "clay_vase": Body(("clay vase", "flower pot"), "clay", _round("bowl", "brick", 0.2, 0.25, wall_m=0.008), _LYING),
    "stone_slab": Body(("stone slab", "rock slab"), "stone", _plate("stone", 0.8, 0.5, 0.06), _LYING),
    "stone_block": Body(("stone block", "rock"), "stone", _box("granite", 0.0, 0.25, 0.15, 0.12), _LYING),
    "pebble": Body(("pebble", "small stone"), "stone", _round("sphere", "stone", 0.04), _LYING),
    "brick": Body(("brick", "clay brick"), "brick", _box("brick", 0.0, 0.24, 0.115, 0.07), _LYING),
    "concrete_slab": Body(("concrete slab", "concrete wall"), "concrete", _plate("concrete", 1.0, 0.6, 0.1), _HELD),
    "marble_slab": Body(("marble slab", "marble tile"), "marble", _plate("marble", 0.4, 0.4, 0.02), _LYING),
    "ice_block": Body(("ice block", "block of ice"), "ice", _box("ice", 0.0, 0.3, 0.15, 0.12), _LYING),
    "ice_sheet": Body(("sheet of ice", "frozen lake"), "ice", _plate("ice", 1.5, 1.0, 0.05), _LYING),
    "plastic_box": Body(("plastic box", "plastic crate"), "plastic", _box("plastic", 0.002, 0.3, 0.2, 0.15), _LYING),
    "plastic_tube": Body(
        ("plastic tube", "plastic pipe"), "plastic", _round("tube", "plastic", 0.05, 0.5, wall_m=0.003)
    ),
    "plastic_cup": Body(
        ("plastic cup", "plastic bucket"), "plastic", _round("bowl", "plastic", 0.2, 0.2, wall_m=0.002)
    ),
    "plastic_sheet": Body(
        ("plastic sheet", "plastic panel"), "plastic", _plate("polycarbonate", 0.6, 0.4, 0.003), _HELD
    ),
    "rubber_block": Body(("rubber block", "tyre"), "rubber", _box("rubber", 0.0, 0.3, 0.2, 0.1), _LYING),
    "bone": Body(("bone", "skull"), "bone", _round("tube", "bone", 0.03, 0.35, wall_m=0.006), _LYING),
}

# material, mass, radius of the tip; and how a caption names it
STRIKERS: dict[str, tuple[dict[str, Any], str]] = {
    "hammer": ({"material": "steel", "mass_kg": 0.4, "radius_m": 0.012}, "a metal hammer"),
    "stick": ({"material": "wood", "mass_kg": 0.08, "radius_m": 0.006}, "a wooden stick"),
    "mallet": ({"material": "rubber", "mass_kg": 0.3, "radius_m": 0.025}, "a rubber mallet"),
}
