"""Objects of a manifest: their proportions, modes and sound fields, each solved once and then kept."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from sfxgen.errors import SfxgenError
from sfxgen.generate.recipe import Request
from sfxgen.manifest.impact import AnyBody, FromFile
from sfxgen.manifest.materials import Material, constants
from sfxgen.physics import solids
from sfxgen.physics.air import field
from sfxgen.physics.air.field import Field
from sfxgen.physics.meshing.meshes import read_surface, scaled_m
from sfxgen.physics.meshing.tetrahedra import USUAL_DOFS
from sfxgen.physics.modal import modes as modal_analysis
from sfxgen.physics.modal.families import ModeFamily, Modes
from sfxgen.physics.modal.mixtures import Ingredient
from sfxgen.physics.modal.modes import N_MODES
from sfxgen.physics.modal.shapes import Body
from sfxgen.physics.strike import SOUND_SPEED_M_S

MOST_MODES = 320


def solved(item: AnyBody, material: Material, request: Request, panels: bool = False) -> tuple[Modes, Body, float]:
    """The modes of the object's proportions, from the cache where they are known, and its first size (m): N_MODES, or
    so many more that they reach `exact_hz`."""
    n_modes = N_MODES
    while True:
        modes, body, size_m = _solved(item, material, request, panels, n_modes)
        reached_hz = float(modes.omega[-1]) * material.bar_speed_m_s / size_m / (2 * np.pi)
        if item.exact_hz is None or reached_hz >= item.exact_hz:
            return modes, body, size_m
        if n_modes == MOST_MODES:
            request.warn(
                f"the object's modes are solved up to {reached_hz:,.0f} Hz, not to the {item.exact_hz:,.0f} of "
                f"exact_hz: there are more than {MOST_MODES} of them"
            )
            return modes, body, size_m
        n_modes = min(MOST_MODES, 2 * n_modes)


def _solved(
    item: AnyBody, material: Material, request: Request, panels: bool, n_modes: int
) -> tuple[Modes, Body, float]:
    """As `solved`; more modes take finer meshes."""
    poisson, finer = material.poisson, math.sqrt(n_modes / N_MODES)
    if isinstance(item, FromFile):
        source, dofs = source_of(item, request), round(USUAL_DOFS * finer)
        key = solids.key(source, poisson, panels, n_modes, dofs)
        data = request.cached(
            key, lambda: solids.solve(source, poisson, n_modes, dofs, panels, request.tell).to_bytes()
        )
        found = solids.Found.from_bytes(data)
        size_m, notes = scaled_m(found.longest, item.file, item.unit, item.size_m)
        for note in (*found.notes, *notes):
            request.warn(note)
        return found.family.at(poisson), found.body, size_m
    body = replace(body_of(item), fineness=float(f"{finer:.6g}"))
    key = modal_analysis.key(body, poisson, panels, n_modes)
    data = request.cached(key, lambda: modal_analysis.family(body, poisson, n_modes, panels).to_bytes())
    return ModeFamily.from_bytes(data).at(poisson), body, item.size_m[0]


def field_of(item: AnyBody, request: Request) -> Field:
    """The sound field of the object's modes, from the cache where it is known: one serves every size."""
    material = constants(item.material)
    ratio = float(f"{material.bar_speed_m_s / SOUND_SPEED_M_S:.9g}")
    if isinstance(item, FromFile):
        of_modes = solids.key(source_of(item, request), material.poisson, panels=True)
    else:
        of_modes = modal_analysis.key(body_of(item), material.poisson, panels=True)
    reach = () if item.exact_hz is None else (item.exact_hz, item.size_m)
    key = f"field-{field.VERSION}/{of_modes}/{material.poisson!r}/{ratio!r}/{reach}"

    def solve() -> bytes:
        modes, _, _ = solved(item, material, request, panels=True)
        return field.field(modes, ratio, request.tell).to_bytes()

    return Field.from_bytes(request.cached(key, solve))


def source_of(item: FromFile, request: Request) -> solids.Source:
    own, others = constants(item.material), []
    for name, other in item.materials.items():
        material = constants(other)
        stiffness, density = material.youngs_pa / own.youngs_pa, material.density_kg_m3 / own.density_kg_m3
        others.append((name, Ingredient(float(f"{stiffness:.9g}"), float(f"{density:.9g}"), material.poisson)))
    apart = item.parts == "apart"
    return solids.Source(
        request.root / item.file, item.file, item.wall_m, item.unit, item.size_m, tuple(others), apart, item.mesher
    )


def other_materials(item: AnyBody) -> tuple[Material, ...]:
    """Of the parts that are not of the body's own, in the order of the manifest."""
    return tuple(constants(other) for other in item.materials.values()) if isinstance(item, FromFile) else ()


def check_outside(item: FromFile, listener_m: tuple[float, float, float], request: Request) -> None:
    """Raises SfxgenError for a listener within a mesh."""
    surface = read_surface(request.root / item.file, item.file)
    scale = scaled_m(float(surface.extent.max()), item.file, item.unit, item.size_m)[0] / float(surface.extent.max())
    low, high = surface.points.min(axis=0) * scale, surface.points.max(axis=0) * scale
    if ((low <= listener_m) & (listener_m <= high)).all():
        box = ", ".join(f"{a:.3g} to {b:.3g}" for a, b in zip(low, high, strict=True))
        place = ", ".join(f"{at:g}" for at in listener_m)
        raise SfxgenError(
            f"impact.listener_m is [{place}], inside of {item.file}; expected a place (m) beyond its box, {box}"
        )


def body_of(item: AnyBody) -> Body:
    """The proportions of a manifest's object. Twelve digits: equal ones share a solve whatever the rounding."""
    if isinstance(item, FromFile):
        raise ValueError("a mesh has no proportions of its own; see `solids`")
    first, *rest = item.size_m
    ratios = (1.0, *(float(f"{side / first:.12g}") for side in rest))
    return Body(item.shape, ratios, float(f"{getattr(item, 'wall_m', 0.0) / first:.12g}"))
