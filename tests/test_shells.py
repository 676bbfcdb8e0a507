"""Thin shells: elements against closed forms and our hexahedra, even triangles, and walls found in closed meshes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from sfxgen.physics.meshing import walls
from sfxgen.physics.meshing.remesh import fine, remeshed
from sfxgen.physics.meshing.sheets import of_both_sides, of_wall
from sfxgen.physics.meshing.triangles import areas
from sfxgen.physics.modal.meshed import family_of_shell
from sfxgen.physics.modal.modes import solve
from sfxgen.physics.modal.shapes import Array, Body, Index
from sfxgen.physics.modal.shells import Facets, assembled_shell
from sfxgen.physics.solids import Source
from sfxgen.physics.solids import solve as solve_file

SQUARE = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0.0]])
HALVES = np.array([[0, 1, 2], [0, 2, 3]])
RITZ = [13.468, 19.596, 24.270, 34.801, 34.801, 61.093, 61.093, 63.686, 69.265, 77.172]  # free square plate, ν = 0.3


def turned(points: Array) -> Array:
    axes, _ = np.linalg.qr(np.array([[1.0, 2.0, 0.3], [0.2, 1.0, -1.0], [-1.0, 0.4, 1.0]]))
    return np.asarray(points @ axes)


def plate(nodes: int, wall: float) -> Facets:
    points, faces = remeshed(SQUARE, HALVES, float(np.sqrt(2 / np.sqrt(3) / nodes)))
    return Facets(turned(points), faces, np.full(len(faces), wall))


def bowl(wall: float) -> trimesh.Trimesh:
    """Half a sphere of diameter 1 with both sides of its wall."""
    angle = np.linspace(0, np.pi / 2, 40)
    around = np.stack([np.sin(angle), -np.cos(angle)], axis=1)
    return trimesh.creation.revolve(np.concatenate([0.5 * around, (0.5 - wall) * around[::-1]]), sections=64)


def arrays(mesh: trimesh.Trimesh) -> tuple[Array, Index]:
    return np.asarray(mesh.vertices, dtype=np.float64), np.asarray(mesh.faces, dtype=np.int64)


# --- elements -------------------------------------------------------------------------------------------------------


def test_a_free_plate_has_ritzs_frequencies_however_it_lies() -> None:
    shell = plate(1_600, 0.01)
    found = family_of_shell(shell, 0.3, 10).at(0.3).omega * np.sqrt(12 * (1 - 0.3**2)) / 0.01
    np.testing.assert_allclose(found, RITZ, rtol=0.015)


def test_a_very_thin_plate_does_not_lock() -> None:
    found = family_of_shell(plate(400, 1e-4), 0.3, 5).at(0.3).omega * np.sqrt(12 * (1 - 0.3**2)) / 1e-4
    np.testing.assert_allclose(found, RITZ[:5], rtol=0.025)


def test_bending_converges_with_the_square_of_the_edge() -> None:
    """DKT's slopes are quadratic, so energies and eigenvalues err as h² (Batoz, Bathe & Ho 1980)."""
    errors, edges = [], []
    for n in (12, 24, 48):
        line = np.linspace(0, 1, n + 1)
        points = np.stack([*np.meshgrid(line, line, indexing="ij"), np.zeros((n + 1, n + 1))], axis=-1).reshape(-1, 3)
        a = (np.arange(n)[:, None] * (n + 1) + np.arange(n)).ravel()
        faces = np.concatenate([np.stack([a, a + n + 1, a + n + 2], 1), np.stack([a, a + n + 2, a + 1], 1)])
        found = family_of_shell(Facets(points, faces, np.full(len(faces), 1e-3)), 0.3, 1).at(0.3).omega[0]
        errors.append(abs((found * np.sqrt(12 * 0.91) / 1e-3 / RITZ[0]) ** 2 - 1))
        edges.append(1 / n)
    assert 1.6 < np.polyfit(np.log(edges), np.log(errors), 1)[0] < 2.6


def test_motions_as_a_whole_cost_no_energy_and_the_mass_is_that_of_the_wall() -> None:
    shell = plate(150, 0.02)
    (crossed, fixed), M = assembled_shell(shell)
    K = (fixed + 0.3 * crossed) / (1 - 0.3**2)
    softest = np.sqrt(family_of_shell(shell, 0.3, 1).at(0.3).omega[0])
    for axis in range(3):
        shift, turn = np.zeros((len(shell.points), 6)), np.zeros((len(shell.points), 6))
        shift[:, axis] = 1
        turn[:, :3] = np.cross(np.eye(3)[axis], shell.points)
        turn[:, 3 + axis] = 1
        assert shift.ravel() @ (M @ shift.ravel()) == pytest.approx(0.02, rel=1e-9)
        for motion in (shift.ravel(), turn.ravel()):
            assert abs(motion @ (K @ motion)) < 1e-9 * softest * (motion @ (M @ motion))


def test_a_stretched_sheet_is_as_stiff_as_plane_stress() -> None:
    """Uniform strain of an uneven mesh stores t A E (1 - ν² ...) exactly: the patch test of the membrane."""
    points, faces = remeshed(SQUARE, HALVES, 0.21)
    (crossed, fixed), _ = assembled_shell(Facets(points, faces, np.full(len(faces), 0.01)))
    K = (fixed + 0.3 * crossed) / (1 - 0.3**2)
    for strain in np.array([[1, 0, 0], [0, 1, 0], [0.3, -0.2, 0.7]]):
        motion = np.zeros((len(points), 6))
        motion[:, 0] = strain[0] * points[:, 0] + strain[2] / 2 * points[:, 1]
        motion[:, 1] = strain[1] * points[:, 1] + strain[2] / 2 * points[:, 0]
        plane = np.array([[1, 0.3, 0], [0.3, 1, 0], [0, 0, 0.35]]) / (1 - 0.3**2)
        assert motion.ravel() @ (K @ motion.ravel()) == pytest.approx(0.01 * strain @ plane @ strain, rel=1e-9)


def test_a_tube_rings_as_ours_of_hexahedra() -> None:
    wall = 0.02
    pipe = trimesh.creation.cylinder(radius=0.5 - wall / 2, height=1.5, sections=96)
    side = np.asarray(pipe.faces)[np.abs(pipe.face_normals[:, 2]) < 0.5]
    sheet = of_wall(np.asarray(pipe.vertices), side, wall)
    np.testing.assert_allclose(
        family_of_shell(sheet.facets, 0.3, 8).at(0.3).omega,
        solve(Body("tube", (1.0, 1.5), wall), 0.3).omega[:8],
        rtol=0.01,
    )


def test_a_breathing_sphere_has_loves_frequency() -> None:
    """Of a thin spherical shell the breathing mode is ω R = √(2 E / ρ (1 - ν)) (Love 1888)."""
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.5)
    shell = Facets(*arrays(ball), np.full(len(ball.faces), 1e-3))
    (crossed, fixed), M = assembled_shell(shell)
    motion = np.zeros((len(shell.points), 6))
    motion[:, :3] = shell.points / 0.5
    energy = motion.ravel() @ ((fixed + 0.3 * crossed) / (1 - 0.3**2) @ motion.ravel())
    assert np.sqrt(energy / (motion.ravel() @ (M @ motion.ravel()))) * 0.5 == pytest.approx(np.sqrt(2 / 0.7), rel=0.01)


def test_a_disc_cut_from_long_triangles_comes_out_even() -> None:
    """A fan of needles: afterwards one angle in fifty at most is below 18°, and area and rim are as before."""
    angle = np.linspace(0, 2 * np.pi, 181)[:-1]
    points = np.concatenate([[[0, 0, 0]], np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)])
    faces = np.stack([np.zeros(180, int), np.arange(1, 181), np.roll(np.arange(1, 181), -1)], axis=1)
    even, triangles = remeshed(points, faces, 0.08)
    corners = even[triangles]
    sides = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
    a, b, c = sides.T
    angles = np.degrees(np.arccos(np.stack([(b**2 + c**2 - a**2) / (2 * b * c), (c**2 + a**2 - b**2) / (2 * c * a),
                                            (a**2 + b**2 - c**2) / (2 * a * b)])))  # fmt: skip
    assert np.percentile(angles, 2) > 18
    assert areas(even[triangles]).sum() == pytest.approx(np.pi, rel=0.01)
    assert np.linalg.norm(even, axis=1).max() == pytest.approx(1, abs=1e-9)
    again = remeshed(points, faces, 0.08)
    assert again[0].tobytes() == even.tobytes()
    assert again[1].tobytes() == triangles.tobytes()


# --- walls ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wall", [0.01, 0.06])
def test_a_closed_bowl_is_found_to_be_a_wall_of_its_thickness(wall: float) -> None:
    mesh = bowl(wall)
    small = fine(*arrays(mesh), 0.03)
    found = walls.middle(*small, 0.3, 0.03)
    np.testing.assert_allclose(np.percentile(found.walls, [5, 50, 95]), wall, rtol=0.02)
    assert found.volume == pytest.approx(abs(mesh.volume), rel=0.03)
    radius = np.linalg.norm(found.points, axis=1)
    np.testing.assert_allclose(np.percentile(radius, [5, 95]), 0.5 - wall / 2, rtol=0.01)


def test_a_ball_and_a_rod_are_no_walls() -> None:
    for mesh in (
        trimesh.creation.icosphere(subdivisions=3),
        trimesh.creation.cylinder(radius=0.05, height=1.0, sections=12),
    ):
        assert of_both_sides(*arrays(mesh), True) is None


def test_a_bowl_from_a_file_with_both_sides_rings_as_our_bowl(tmp_path: Path) -> None:
    wall = 0.03
    bowl(wall).export(tmp_path / "bowl.stl")
    found = solve_file(Source(tmp_path / "bowl.stl", "bowl.stl"), 0.3, 8)
    assert found.notes == ()
    np.testing.assert_allclose(
        found.family.at(0.3).omega, solve(Body("bowl", (1.0, 0.5), wall), 0.3).omega[:8], rtol=0.025
    )


@pytest.mark.parametrize("angle_rad", [0.0, 0.5])
def test_thin_plates_that_touch_are_one_body(angle_rad: float, tmp_path: Path) -> None:
    """An angle of two plates, each with all six sides, 10 mm thick: as 42,000 nodes of tetrahedra have it."""
    plates = [trimesh.creation.box((0.1, 0.01, 0.4)), trimesh.creation.box((0.01, 0.09, 0.4))]
    plates[1].apply_translation((-0.045, 0.05, 0))
    axes = Rotation.from_rotvec(angle_rad * np.array([1, 2, 3]) / np.sqrt(14)).as_matrix()
    corners = np.concatenate([plate.triangles for plate in plates]).reshape(-1, 3) @ axes.T
    trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3)).export(tmp_path / "angle.stl")
    found = solve_file(Source(tmp_path / "angle.stl", "angle.stl"), 0.29, 8)
    assert found.notes == ()
    tetrahedra = [0.64324, 1.13350, 1.44700, 1.61483, 1.63455]
    np.testing.assert_allclose(found.family.at(0.29).omega[:5] / found.longest, tetrahedra, rtol=0.02)


def test_both_faces_of_a_card_at_one_place_are_no_wall() -> None:
    """Rounding leaves them a hair apart, which would be a wall that weighs nothing and bends at once."""
    up = turned(np.eye(3))[2]
    points = np.concatenate([turned(SQUARE), turned(SQUARE) + 1e-9 * up])
    depth, _ = walls.across(points, np.repeat([-up, up], 4, axis=0), 0.1, 0.1)
    assert not depth.any()
