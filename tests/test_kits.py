"""Bodies put together of parts: which those are, how each is meshed, and how they hang together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from sfxgen.errors import MeshUnusable
from sfxgen.physics import solids
from sfxgen.physics.meshing.kits import filled_kit, grid, parts_of
from sfxgen.physics.meshing.tetrahedra import Solid, filled
from sfxgen.physics.meshing.triangles import enclosed
from sfxgen.physics.modal.elements import assembled, volume_of
from sfxgen.physics.modal.meshed import family_of_solid
from sfxgen.physics.modal.mixtures import Ingredient
from sfxgen.physics.modal.modes import solve
from sfxgen.physics.modal.shapes import Body

Array = NDArray[np.float64]
ALIKE, HEAVY = Ingredient(1.0, 1.0, 0.25), Ingredient(1.0, 10.0, 0.25)
UPRIGHT: Array = np.eye(3)
ASKEW = Rotation.from_rotvec([0.3, 0.5, 0.7]).as_matrix()


def box(size: tuple[float, ...], at: tuple[float, ...], axes: Array = UPRIGHT) -> Array:
    return np.asarray((trimesh.creation.box(size).triangles + np.array(at)) @ axes.T)


def parts(*boxes: Array) -> list[Array] | None:
    corners = np.concatenate(boxes).reshape(-1, 3)
    points, index = np.unique(np.round(corners, 9), axis=0, return_inverse=True)
    return parts_of(points, index.reshape(-1, 3))


def kit(*boxes: Array, dofs: int = 20_000) -> Solid:
    found = parts(*boxes)
    assert found is not None
    solid = filled_kit(found, dofs)
    assert solid is not None
    return solid


def omega(solid: Solid, n: int) -> Array:
    return family_of_solid(solid.part, 0.25, n).at(0.25).omega[:n]


def table(leg: float, top: float, sunk: float = 0.0, axes: Array = UPRIGHT) -> list[Array]:
    """1 m x 0.7 m, 0.7 m high."""
    at = [(x * (0.5 - leg), y * (0.35 - leg), (0.7 + sunk) / 2) for x in (-1, 1) for y in (-1, 1)]
    legs = [box((leg, leg, 0.7 + sunk), place, axes) for place in at]
    return [box((1.0, 0.7, top), (0.0, 0.0, 0.7 + top / 2), axes), *legs]


# --- parts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("away", [(1, 0, 0), (1, 1, 0), (1, 1, 1), (0.5, 0, 1), (3, 0, 0)])
def test_boxes_that_share_a_face_an_edge_or_a_corner_are_two(away: tuple[float, ...]) -> None:
    found = parts(box((1, 1, 1), (0, 0, 0)), box((1, 1, 1), away))
    assert found is not None
    assert [enclosed(part) for part in found] == pytest.approx([1, 1])


def test_each_of_many_boxes_in_a_block_is_a_part() -> None:
    found = parts(*(box((1, 1, 1), (i, j, k)) for i in range(3) for j in range(3) for k in range(2)))
    assert found is not None
    assert [enclosed(part) for part in found] == pytest.approx([1] * 18)


def test_a_part_that_is_inside_out_is_turned() -> None:
    found = parts(box((1, 1, 1), (0, 0, 0)), box((1, 1, 1), (2, 0, 0))[:, ::-1])
    assert found is not None
    assert [enclosed(part) for part in found] == pytest.approx([1, 1])


def test_what_is_open_or_hollow_is_no_kit() -> None:
    whole = box((1, 1, 1), (0, 0, 0))
    assert parts(whole[:-1], box((1, 1, 1), (2, 0, 0))) is None
    assert parts(whole, box((0.5, 0.5, 0.5), (0, 0, 0))[:, ::-1]) is None


def test_parts_of_one_place_do_not_count_twice() -> None:
    found = parts(box((1, 1, 1), (0, 0, 0)), box((1, 1, 1), (0.5, 0, 0)))
    assert found is not None
    assert filled_kit(found, 2_000) is None


# --- meshes ---------------------------------------------------------------------------------------------------------


def test_a_grid_fills_its_box_and_hangs_together() -> None:
    mesh = grid([np.array([0.0, 0.1, 0.5, 1.0]), np.array([0.0, 0.3]), np.array([0.0, 0.1, 0.2])])
    assert mesh.nodes.shape[1] == 7 * 3 * 5
    assert volume_of(mesh) == pytest.approx(0.06)
    K, _, _ = assembled(mesh, 0.3)
    rigid = np.tile(np.eye(3), (mesh.nodes.shape[1], 1))
    assert float(np.abs(K @ rigid).max()) < 1e-12 * float(abs(K).max())


@pytest.mark.parametrize(("size", "within"), [((1.0, 0.03, 0.03), 0.01), ((1.0, 0.6, 0.02), 0.02)])
def test_a_box_of_a_grid_rings_as_our_bars_and_plates(size: tuple[float, ...], within: float) -> None:
    body = Body("bar" if size[1] < 0.1 else "plate", size)
    found = omega(kit(box(size, (1, 2, 3), ASKEW)), 8)
    np.testing.assert_allclose(found, solve(body, 0.25, 8).omega[:8], rtol=within)


def test_a_round_leg_keeps_its_volume() -> None:
    rod = trimesh.creation.cylinder(radius=0.02, height=0.7, sections=32)
    leg = np.asarray(rod.apply_translation((0.3, 0.2, 0.35)).triangles)
    solid = kit(box((1.0, 0.7, 0.02), (0, 0, 0.71)), leg)
    assert volume_of(solid.part) == pytest.approx(0.014 + enclosed(leg), rel=0.01)


# --- joints ---------------------------------------------------------------------------------------------------------


def test_a_bar_of_two_pieces_rings_as_the_whole() -> None:
    """Sawn through at a third; its grids have no nodes in common."""
    pieces = box((1 / 3, 0.06, 0.05), (-1 / 3, 0, 0), ASKEW), box((2 / 3, 0.06, 0.05), (1 / 6, 0, 0), ASKEW)
    whole = solve(Body("bar", (1.0, 0.06, 0.05)), 0.25, 8).omega[:8]
    np.testing.assert_allclose(omega(kit(*pieces), 8), whole, rtol=0.015)


def test_a_table_rings_as_one_lattice_through_it_all_has_it() -> None:
    """Legs of 90 mm and a top of 50 mm are what a lattice of 50,000 unknowns resolves; it takes ten times as long."""
    boxes = table(0.09, 0.05)
    lattice = omega(filled(np.concatenate(boxes), dofs=50_000), 8)
    np.testing.assert_allclose(omega(kit(*boxes), 8), lattice, rtol=0.03)


@pytest.mark.parametrize("sunk", [0.0, 0.01])
def test_a_table_rings_alike_however_it_lies_and_its_legs_reach_into_its_top(sunk: float) -> None:
    upright = omega(kit(*table(0.04, 0.025)), 8)
    np.testing.assert_allclose(omega(kit(*table(0.04, 0.025, sunk, ASKEW)), 8), upright, rtol=0.05)


def test_parts_a_hair_apart_are_glued_and_farther_ones_are_not() -> None:
    top = box((1.0, 0.5, 0.02), (0, 0, 0.01))
    assert kit(top, box((0.04, 0.04, 0.5), (0, 0, -0.255))).lost == 0
    leg = 0.5 * 0.04**2
    assert kit(top, box((0.04, 0.04, 0.5), (0, 0, -0.3))).lost == pytest.approx(leg / (leg + 0.01))


def test_skin_between_parts_is_not_struck() -> None:
    """Each leg hides as much of the top as the top hides of it; its foot is as large."""
    found = family_of_solid(kit(*table(0.04, 0.025)).part, 0.25, 4)
    skin = 2 * 0.7 + 3.4 * 0.025 + 4 * 0.7 * 0.16
    assert float(found.skin_area) == pytest.approx(skin, rel=0.01)


# --- files ----------------------------------------------------------------------------------------------------------


def saved(folder: Path, *boxes: Array) -> solids.Source:
    corners = np.concatenate(boxes).reshape(-1, 3)
    trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False).export(folder / "kit.stl")
    return solids.Source(folder / "kit.stl", "kit.stl")


def test_a_table_from_a_file_loses_no_leg(tmp_path: Path) -> None:
    found = solids.solve(saved(tmp_path, *table(0.035, 0.018, 0.0, ASKEW)), 0.25, 8)
    assert found.notes == ()
    assert found.n_dofs < 25_000
    again = solids.solve(saved(tmp_path, *table(0.035, 0.018, 0.0, ASKEW)), 0.25, 8)
    assert found.to_bytes() == again.to_bytes()


def test_a_wire_too_long_for_its_thickness_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MeshUnusable, match=r"kit.stl is 20,000 times as long as thick; expected at most 4,000 times"):
        solids.solve(saved(tmp_path, box((10, 0.0005, 0.0005), (0, 0, 0))), 0.25, 8)


def test_legs_of_their_own_material_stay_glued(tmp_path: Path) -> None:
    """Of one that is no other than the top's the table rings as before; steel ones weigh it down."""
    scene = trimesh.Scene()
    for i, part in enumerate(table(0.04, 0.025)):
        mesh = trimesh.Trimesh(part.reshape(-1, 3), np.arange(36).reshape(-1, 3))
        scene.add_geometry(mesh, node_name=f"part{i}", geom_name=f"part{i}")
    scene.export(tmp_path / "kit.glb")  # type: ignore[no-untyped-call]
    plain = solids.Source(tmp_path / "kit.glb", "kit.glb")
    legs = [replace(plain, others=tuple((f"part{i}", own) for i in range(1, 5))) for own in (ALIKE, HEAVY)]
    whole, alike, heavy = (solids.solve(source, 0.25, 8).family.at(0.25).omega[:3] for source in (plain, *legs))
    np.testing.assert_allclose(alike, whole, rtol=1e-6)
    assert (heavy < 0.8 * whole).all()
