"""Objects of a manifest: their proportions, modes and sound fields, each solved once and then kept."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from sfxgen.generate.recipe import Request
from sfxgen.manifest.impact import AnyBody, FromFile
from sfxgen.manifest.materials import Material, constants
from sfxgen.physics import solids
from sfxgen.physics.air import SOUND_SPEED_M_S, field
from sfxgen.physics.air.field import Field
from sfxgen.physics.meshing.meshes import scaled_m
from sfxgen.physics.meshing.tetrahedra import USUAL_DOFS
from sfxgen.physics.modal import modes as modal_analysis
from sfxgen.physics.modal.families import ModeFamily, Modes
from sfxgen.physics.modal.mixtures import Ingredient
from sfxgen.physics.modal.modes import N_MODES
from sfxgen.physics.modal.shapes import Body

MOST_MODES = 320


@dataclass(frozen=True)
class Solved:
    """An object's modes, its proportions, its first size, and the sound field of the modes, if that was asked for.
    key: names the modes in the cache."""

    modes: Modes
    body: Body
    size_m: float
    key: str
    field: Field | None = None


def solved(item: AnyBody, request: Request, has_field: bool = False) -> Solved:
    """N_MODES of the object's modes, or so many that they reach `exact_hz`, from the cache where they are known;
    has_field: with their sound field, of which one serves every size. Raises MeshUnusable."""
    material, n_modes = constants(item.material), N_MODES
    while True:
        found = _modes(item, material, request, has_field, n_modes)
        reached_hz = float(found.modes.omega[-1]) * material.bar_speed_m_s / found.size_m / (2 * np.pi)
        if item.exact_hz is None or reached_hz >= item.exact_hz or n_modes == MOST_MODES:
            break
        n_modes = min(MOST_MODES, max(2 * n_modes, math.ceil(1.1 * n_modes * item.exact_hz / reached_hz)))
    if item.exact_hz is not None and reached_hz < item.exact_hz:
        request.warn(
            f"the object's modes are solved up to {reached_hz:,.0f} Hz, not to the {item.exact_hz:,.0f} of exact_hz: "
            f"there are more than {MOST_MODES} of them"
        )
    return replace(found, field=_field(found, material, request)) if has_field else found


def _modes(item: AnyBody, material: Material, request: Request, panels: bool, n_modes: int) -> Solved:
    """Without a field; more modes take finer meshes."""
    poisson, finer = material.poisson, math.sqrt(n_modes / N_MODES)
    if isinstance(item, FromFile):
        source, dofs = source_of(item, request), round(USUAL_DOFS * finer)
        key = solids.key(source, poisson, panels, n_modes, dofs)
        data = request.cached(
            key, lambda: solids.solve(source, poisson, n_modes, dofs, panels, request.tell).to_bytes()
        )
        found = solids.Found.from_bytes(data)
        size_m, notes = scaled_m(found.longest, item.file, item.unit, item.size_m)
        for note in (*(each.said(item.file, size_m) for each in found.notes), *notes):
            request.warn(note)
        return Solved(found.family.at(poisson), found.body, size_m, key)
    body = replace(body_of(item), fineness=float(f"{finer:.6g}"))
    key = modal_analysis.key(body, poisson, panels, n_modes)
    data = request.cached(key, lambda: modal_analysis.family(body, poisson, n_modes, panels).to_bytes())
    return Solved(ModeFamily.from_bytes(data).at(poisson), body, item.size_m[0], key)


def _field(found: Solved, material: Material, request: Request) -> Field:
    ratio = float(f"{material.bar_speed_m_s / SOUND_SPEED_M_S:.9g}")
    key = f"field-{field.VERSION}/{found.key}/{material.poisson!r}/{ratio!r}"
    solve = partial(field.field, found.modes, ratio, request.tell)
    if not len(found.modes.panels.corners):
        request.warn("a body so slender, or of parts that ring apart, has no sound field: it is heard by the quick law")
    return Field.from_bytes(request.cached(key, lambda: solve().to_bytes()))


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


def body_of(item: AnyBody) -> Body:
    """The proportions of a manifest's object. Twelve digits: equal ones share a solve whatever the rounding."""
    if isinstance(item, FromFile):
        raise ValueError("a mesh has no proportions of its own; see `solids`")
    first, *rest = item.size_m
    ratios = (1.0, *(float(f"{side / first:.12g}") for side in rest))
    return Body(item.shape, ratios, float(f"{getattr(item, 'wall_m', 0.0) / first:.12g}"))
