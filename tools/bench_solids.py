"""Meshes to modes, timed and weighed in processes of their own; part of `python tools/bench.py`."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from peak import peak_bytes

USUAL_DOFS, N_MODES = 19_000, 60  # of which come 20,007
STEEL, ALUMINIUM = 0.29, 0.34


def block(dofs: int) -> Any:
    """A block of three unequal sides, filled with tetrahedra of about so many degrees of freedom."""
    import trimesh

    from sfxgen.physics.meshing.tetrahedra import filled

    return filled(trimesh.creation.box((1.0, 0.5, 0.33)).triangles, dofs=dofs).part


def usual() -> dict[str, float]:
    """Seconds of an object's first solve, of another material, and of another size down to its partials."""
    from sfxgen.manifest.materials import MATERIALS
    from sfxgen.physics import strike
    from sfxgen.physics.modal.families import ModeFamily
    from sfxgen.physics.modal.meshed import family_of_solid
    from sfxgen.physics.modal.shapes import Body

    started = time.perf_counter()
    part = block(USUAL_DOFS)
    filled_s = time.perf_counter() - started
    started = time.process_time()
    family = family_of_solid(part, STEEL, N_MODES)
    solved_s = time.process_time() - started
    data = family.to_bytes()
    started = time.perf_counter()
    read = ModeFamily.from_bytes(data)
    read_s = time.perf_counter() - started
    times = []
    for name in ("aluminium", "glass", "wood", "steel", "brass"):
        started = time.perf_counter()
        modes = read.at(MATERIALS[name].poisson)
        times.append(time.perf_counter() - started)
    body = Body("mesh", (1.0, 0.5, 0.33), 0.33)
    sizes = []
    for size_m in (0.1, 0.2, 0.3, 0.4, 0.5):
        started = time.perf_counter()
        strike.partials(modes, body, size_m, MATERIALS["steel"], 1.0, 48_000)
        sizes.append(time.perf_counter() - started)
    return {
        "dofs": 3 * part.n_unknowns, "filled_s": filled_s, "solved_s": solved_s, "read_s": read_s,
        "material_s": float(np.median(times)), "size_s": float(np.median(sizes)),
    }  # fmt: skip


def largest() -> dict[str, float]:
    """Seconds of a solve at the size bound; the process's peak memory (GB) comes with it."""
    from sfxgen.physics.meshing.tetrahedra import MOST_DOFS
    from sfxgen.physics.modal.meshed import family_of_solid

    part = block(MOST_DOFS)
    started = time.process_time()
    family_of_solid(part, STEEL, N_MODES)
    return {"dofs": 3 * part.n_unknowns, "solved_s": time.process_time() - started}


def many_modes() -> dict[str, float]:
    """The same of as many modes as are ever solved, which leave room for fewer unknowns."""
    from sfxgen.generate.objects import MOST_MODES
    from sfxgen.physics.meshing.tetrahedra import most_dofs
    from sfxgen.physics.modal.meshed import family_of_solid

    part = block(most_dofs(MOST_MODES))
    started = time.process_time()
    family_of_solid(part, STEEL, MOST_MODES, panels=True)
    return {"dofs": 3 * part.n_unknowns, "modes": MOST_MODES, "solved_s": time.process_time() - started}


def million() -> dict[str, float]:
    """Seconds to read and mend a surface of 1.3 million triangles."""
    import trimesh

    from sfxgen.physics.meshing.meshes import cleaned

    ball = trimesh.creation.icosphere(subdivisions=8)
    started = time.perf_counter()
    surface = cleaned(np.asarray(ball.vertices), np.asarray(ball.faces))
    return {"faces": len(ball.faces), "left": len(surface.faces), "read_s": time.perf_counter() - started}


def main() -> int:
    found = {"usual": usual, "largest": largest, "many_modes": many_modes, "million": million}[sys.argv[1]]()
    print(json.dumps(found | {"peak_gb": peak_bytes() / 1e9}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
