"""How far the quick law of radiation is from the body's own sound field.

    python tools/evaluate/radiation.py

For everyday bodies: how many modes the field covers and up to where, the seconds that it takes on one core, and by how
much a mode's level changes (dB, field over quick law, in power over all directions): of the lowest one, the median,
and the middle half of all.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from sfxgen.generate.objects import body_of
from sfxgen.manifest.impact import Impact
from sfxgen.manifest.materials import constants
from sfxgen.physics.air import SOUND_SPEED_M_S
from sfxgen.physics.air.field import field
from sfxgen.physics.modal.modes import family
from sfxgen.physics.strike import radiation_efficiency

BODIES: dict[str, dict[str, object]] = {
    "steel sheet 400 × 300 × 3 mm": {"shape": "plate", "size_m": [0.4, 0.3, 0.003], "material": "steel"},
    "oak board 600 × 200 × 20 mm": {"shape": "plate", "size_m": [0.6, 0.2, 0.02], "material": "oak"},
    "steel bar 300 × 30 × 6 mm": {"shape": "bar", "size_m": [0.3, 0.03, 0.006], "material": "steel"},
    "iron rod 20 × 300 mm": {"shape": "cylinder", "size_m": [0.02, 0.3], "material": "iron"},
    "glass bowl 140 × 70 × 3 mm": {"shape": "bowl", "size_m": [0.14, 0.07], "wall_m": 0.003, "material": "glass"},
    "brass bell 120 × 100 × 4 mm": {"shape": "bell", "size_m": [0.12, 0.1], "wall_m": 0.004, "material": "brass"},
    "aluminium tube 50 × 600 × 3 mm": {
        "shape": "tube",
        "size_m": [0.05, 0.6],
        "wall_m": 0.003,
        "material": "aluminium",
    },
    "pine crate 500 × 400 × 400 × 15 mm": {
        "shape": "box",
        "size_m": [0.5, 0.4, 0.4],
        "wall_m": 0.015,
        "material": "pine",
    },
    "wood block 200 × 120 × 80 mm": {"shape": "box", "size_m": [0.2, 0.12, 0.08], "material": "wood"},
}


def row(name: str, item: dict[str, object]) -> str:
    thing = Impact.model_validate({"object": item}, strict=False).object
    material, body, size_m = constants(thing.material), body_of(thing), float(item["size_m"][0])  # type: ignore[index]
    modes = family(body, material.poisson, panels=True).at(material.poisson)
    started = time.process_time()
    found = field(modes, material.bar_speed_m_s / SOUND_SPEED_M_S)
    seconds = time.process_time() - started
    omega = modes.omega * material.bar_speed_m_s / size_m
    n = len(found.wave_number)
    quick = (radiation_efficiency(omega, body, size_m, material) * modes.skin)[:n]
    moves = found.known & (found.radiated > 1e-9 * found.radiated.max())  # others twist, or slide along themselves
    change_db = 10 * np.log10(found.radiated[moves] / quick[moves])
    low, middle, high = np.percentile(change_db, [25, 50, 75])
    top_khz = omega[n - 1] / 2000 / np.pi
    change = f"{change_db[0]:+.0f} | {middle:+.0f} | {low:+.0f} … {high:+.0f}"
    return f"| {name} | {moves.sum()} | {top_khz:.1f} | {seconds:.1f} | {change} |"


def main() -> int:
    print("| body | modes | up to (kHz) | s | lowest mode (dB) | median | middle half |\n|---|---|---|---|---|---|---|")
    for name, item in BODIES.items():
        print(row(name, item), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
