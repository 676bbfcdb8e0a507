"""What the recordings of `struck.py` are of, as this project makes it: steps, drops, dice, keys, tools, breaking.

Written down once, from the names of the recordings and before any was judged; where the shipped presets have what
happens, these stand as they are. Each names the material that it is of: what is struck, dropped or walked on.
"""

from __future__ import annotations

from typing import Any

Spec = dict[str, Any]

PRESETS = {
    "metal": (
        "footstep_metal", "coins_spill", "coin_drop", "tin_can", "metal_barrel", "lid_drop", "cooking_pot", "hand_bell",
        "anvil_hit", "sword_clang", "pipes_drop", "cutlery_drop", "metal_latch", "shield_block",
    ),
    "wood": (
        "footstep_wood", "jump_landing", "wood_knock", "door_kick", "door_slam", "wood_crate", "wood_stick",
        "wood_block", "planks_fall", "crate_stack_fall", "marimba_note",
    ),
    "glass": ("glass_break", "window_break", "marbles_spill", "glass_bottle", "wine_glass", "glass_tap"),
    "stone": (
        "stone_hit", "stone_slab", "footstep_stone", "footstep_heels", "footstep_run", "rocks_tumble",
    ),
    "plastic": ("plastic_box", "light_switch"),
}  # fmt: skip

_ROCK: Spec = {"shape": "box", "material": "granite", "size_m": [0.4, 0.3, 0.25]}
_PAVING: Spec = {"shape": "plate", "material": "stone", "size_m": [0.6, 0.6, 0.06]}
_WALL: Spec = {"shape": "plate", "material": "concrete", "size_m": [2.0, 1.5, 0.12]}
_TABLE: Spec = {"material": "oak", "thickness_m": 0.02}
_BOTTLE: Spec = {"shape": "tube", "material": "plastic", "size_m": [0.065, 0.22], "wall_m": 0.0005}  # of PET
_BUCKET: Spec = {"shape": "bowl", "material": "plastic", "size_m": [0.3, 0.28], "wall_m": 0.002}
_PVC: Spec = {"like": "plastic", "density_kg_m3": 1400, "youngs_gpa": 3.0}  # rigid, as pipes are
_KEYBOARD: Spec = {"shape": "box", "material": "plastic", "size_m": [0.42, 0.14, 0.03], "wall_m": 0.002}
_DIE: Spec = {"shape": "box", "material": "polycarbonate", "size_m": [0.016, 0.016, 0.016]}
_TUMBLER: Spec = {"shape": "bowl", "material": "glass", "size_m": [0.075, 0.1], "wall_m": 0.0025}
_LAID: Spec = {"damping": 8.0}  # as what is laid in mortar, or on joists

IMPACTS: dict[str, dict[str, Spec]] = {
    "metal": {
        "walk_on_sheet": {
            "object": {"shape": "plate", "material": "steel", "size_m": [1.2, 0.8, 0.004]},
            "step": {"shoe": "boot"}, "damping": 5.0,
        },
        "bars": {
            "object": {"shape": "bar", "material": "steel", "size_m": [0.4, 0.03, 0.01]},
            "striker": {"material": "steel", "mass_kg": 0.3, "radius_m": 0.008}, "speed_m_s": [0.5, 2.5],
        },
        "arrow_on_shield": {
            "object": {"shape": "plate", "material": "iron", "size_m": [0.6, 0.5, 0.002]},
            "striker": {"material": "iron", "mass_kg": 0.03, "radius_m": 0.002}, "speed_m_s": [15, 35], "damping": 10.0,
        },
    },
    "wood": {
        "axe_in_log": {
            "object": {"shape": "cylinder", "material": "oak", "size_m": [0.3, 1.0]},
            "striker": {"material": "steel", "mass_kg": 1.8, "radius_m": 0.003}, "speed_m_s": [3, 7], **_LAID,
        },
        "arrow_in_wood": {
            "object": {"shape": "plate", "material": "pine", "size_m": [0.8, 0.5, 0.03]},
            "striker": {"material": "iron", "mass_kg": 0.03, "radius_m": 0.002}, "speed_m_s": [15, 35], **_LAID,
        },
    },
    "glass": {
        "walk_on_glass": {
            "object": {"shape": "plate", "material": "glass", "size_m": [1.0, 1.0, 0.02]}, "step": {"shoe": "shoe"},
            **_LAID,
        },
        "two_glasses": {
            "object": _TUMBLER, "striker": {"material": "glass", "mass_kg": 0.2, "radius_m": 0.035},
            "speed_m_s": [0.1, 0.6], "hit": [0.6, 1.0], "damping": 3.0,
        },
    },
    "stone": {
        "pick_on_rock": {
            "object": _ROCK, "striker": {"material": "steel", "mass_kg": 2.0, "radius_m": 0.003}, "speed_m_s": [2, 6],
            **_LAID,
        },
        "arrow_on_stone": {
            "object": _ROCK, "striker": {"material": "iron", "mass_kg": 0.03, "radius_m": 0.002},
            "speed_m_s": [15, 35], **_LAID,
        },
        "boots_on_paving": {"object": _PAVING, "step": {"shoe": "boot"}, **_LAID},
        "blow_on_wall": {
            "object": _WALL, "striker": {"material": "steel", "mass_kg": 3.0, "radius_m": 0.03}, "speed_m_s": [1, 5],
            **_LAID,
        },
    },
    "plastic": {
        "key": {
            "object": _KEYBOARD, "striker": {"material": "plastic", "mass_kg": 0.003, "radius_m": 0.002},
            "speed_m_s": [0.2, 0.8], "bounces": {"count": 1, "first_s": 0.02, "restitution": 0.5}, "damping": 5.0,
        },
        "hand_on_bottle": {"object": _BOTTLE, "striker": "fingertip", "speed_m_s": [0.5, 3.0], "damping": 3.0},
        "knock_on_box": {
            "object": {"shape": "box", "material": "plastic", "size_m": [0.3, 0.2, 0.12], "wall_m": 0.002},
            "striker": "knuckle", "speed_m_s": [0.4, 1.5], "damping": 3.0,
        },
        "stick_on_bucket": {"object": _BUCKET, "striker": "stick", "speed_m_s": [0.5, 4.0], "damping": 3.0},
        "stick_on_pipe": {
            "object": {"shape": "tube", "material": _PVC, "size_m": [0.05, 0.6], "wall_m": 0.003}, "striker": "stick",
            "speed_m_s": [0.5, 3.0],
        },
        "billiard_balls": {
            "object": {"shape": "sphere", "material": "polycarbonate", "size_m": [0.057]},
            "striker": {"material": "polycarbonate", "mass_kg": 0.17, "radius_m": 0.0285}, "speed_m_s": [0.5, 4.0],
        },
        "puck": {
            "object": {"shape": "cylinder", "material": "polycarbonate", "size_m": [0.08, 0.006]},
            "striker": {"material": "plastic", "mass_kg": 0.15, "radius_m": 0.04}, "speed_m_s": [0.5, 4.0],
        },
        "walk_on_linoleum": {
            "object": {"shape": "plate", "material": "plastic", "size_m": [2.0, 1.0, 0.004]}, "step": {"shoe": "shoe"},
            **_LAID,
        },
    },
}  # fmt: skip

SCENES: dict[str, dict[str, Spec]] = {
    "metal": {
        "nails": {
            "bodies": [
                {"object": {"shape": "cylinder", "material": "steel", "size_m": [0.004, 0.08]}, "count": [1, 4]}
            ],
            "height_m": [0.3, 1.0], "longest_s": 2.0,
        },
    },
    "wood": {
        "chessman": {
            "bodies": [{"object": {"shape": "cylinder", "material": "oak", "size_m": [0.025, 0.05]}}],
            "height_m": [0.005, 0.03], "spin_hz": [0, 0.5], "floor": _TABLE, "longest_s": 1.0,
        },
        "wooden_dice": {
            "bodies": [{"object": _DIE | {"material": "wood"}, "count": [1, 3]}], "action": "throw",
            "height_m": [0.05, 0.2], "floor": _TABLE, "longest_s": 2.0,
        },
    },
    "glass": {
        "ball_in_glass": {
            "bodies": [
                {"object": _TUMBLER, "stands": True},
                {"object": {"shape": "sphere", "material": "glass", "size_m": [0.014]}, "count": [1, 2]},
            ],
            "height_m": [0.15, 0.3], "longest_s": 1.5,
        },
        "beads": {
            "bodies": [
                {"object": {"shape": "sphere", "material": "glass", "size_m": [0.008]}, "count": [6, 12]},
            ],
            "height_m": [0.1, 0.5], "floor": {"material": "glass", "thickness_m": 0.005}, "longest_s": 2.0,
        },
    },
    "stone": {
        "rock_dropped": {
            "bodies": [
                {"object": {"shape": "box", "material": "granite", "size_m": [0.2, 0.15, 0.12]}, "edge_m": 0.02}
            ],
            "height_m": [0.2, 1.0], "longest_s": 2.0,
        },
        "bricks": {
            "bodies": [
                {"object": {"shape": "box", "material": "brick", "size_m": [0.24, 0.115, 0.07]}, "count": [2, 3]}
            ],
            "height_m": [0.05, 0.4], "longest_s": 2.0,
        },
        "pebbles": {
            "bodies": [
                {"object": {"shape": "sphere", "material": "stone", "size_m": [0.03]}, "count": [2, 5]}
            ],
            "height_m": [0.1, 0.6], "longest_s": 2.0,
        },
        "brick_broken": {
            "bodies": [{"object": {"shape": "box", "material": "brick", "size_m": [0.24, 0.115, 0.07]}}],
            "action": "break", "speed_m_s": [3, 7], "longest_s": 2.0,
        },
    },
    "plastic": {
        "dice": {
            "bodies": [{"object": _DIE, "count": [1, 3]}], "action": "throw", "height_m": [0.05, 0.2], "floor": _TABLE,
            "longest_s": 2.0,
        },
        "bottle_dropped": {
            "bodies": [{"object": _BOTTLE}], "height_m": [0.3, 1.2], "longest_s": 2.0,
        },
        "compact_disc": {
            "bodies": [{"object": {"shape": "cylinder", "material": "polycarbonate", "size_m": [0.12, 0.0012]}}],
            "height_m": [0.02, 0.3], "floor": _TABLE, "longest_s": 2.0,
        },
        "mahjong_tile": {
            "bodies": [{"object": {"shape": "box", "material": "plastic", "size_m": [0.026, 0.02, 0.016]}}],
            "height_m": [0.005, 0.05], "spin_hz": [0, 0.5], "floor": _TABLE, "longest_s": 1.0,
        },
        "plastic_smashed": {
            "bodies": [
                {"object": {"shape": "box", "material": "plastic", "size_m": [0.3, 0.2, 0.12], "wall_m": 0.002}}
            ],
            "action": "break", "speed_m_s": [3, 7], "longest_s": 2.0,
        },
    },
}  # fmt: skip
