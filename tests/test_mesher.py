"""Our own mesher: distances, the tetrahedra that fill a surface, and their modes against closed forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from beams import nearest_error, timoshenko

from sfxgen.physics import solids
from sfxgen.physics.meshing.distance import Distance, split, winding, winding_at
from sfxgen.physics.meshing.stuffing import DIHEDRAL_DEG, dihedral_angles_deg, stuff, volumes
from sfxgen.physics.meshing.tetrahedra import MOST_DOFS, TooThin, filled, most_dofs, skin_sides
from sfxgen.physics.meshing.triangles import first_of_each, unique_points
from sfxgen.physics.modal.elements import assembled
from sfxgen.physics.modal.meshed import family_of_solid
from sfxgen.physics.modal.modes import solve
from sfxgen.physics.modal.shapes import Array, Body, Mesh
from sfxgen.physics.solids import Source

BALL = trimesh.creation.icosphere(subdivisions=5, radius=0.5)
ROOM = np.full(3, 0.7)


def turned(vector: Array) -> Array:
    """By a fixed rotation along no axis."""
    axes, _ = np.linalg.qr(np.array([[1.0, 2.0, 0.3], [0.2, 1.0, -1.0], [-1.0, 0.4, 1.0]]))
    return np.asarray(vector @ axes)


def ball(points: Array, start: Array | None) -> Array:
    return np.asarray(np.linalg.norm(points, axis=1) - 0.5)


def block(points: Array, start: Array | None) -> Array:
    beyond = np.abs(turned(points)) - np.array([0.5, 0.3, 0.1])
    return np.asarray(np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0))


def ring(points: Array, start: Array | None) -> Array:
    p = turned(points)
    return np.asarray(np.hypot(np.hypot(p[:, 0], p[:, 1]) - 0.35, p[:, 2]) - 0.12)


# --- tetrahedra -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [ball, block, ring])
@pytest.mark.parametrize("cell", [0.15, 0.08, 0.05])
def test_dihedral_angles_keep_the_papers_bound_and_the_skin_is_closed(
    level: Callable[[Array, Array | None], Array], cell: float
) -> None:
    mesh = stuff(level, -ROOM, ROOM, cell)
    angles = dihedral_angles_deg(mesh.points, mesh.cells)
    assert len(angles) > 100
    assert angles.min() > DIHEDRAL_DEG[0]
    assert angles.max() < DIHEDRAL_DEG[1]
    sides = skin_sides(mesh.cells)
    corners = mesh.cells[sides[:, None] // 4, np.array([[0, 2, 1], [0, 1, 3], [1, 2, 3], [0, 3, 2]])[sides % 4]]
    edges = np.stack([corners, np.roll(corners, -1, axis=1)], axis=2).reshape(-1, 2)
    forth, back = {tuple(e) for e in edges.tolist()}, {tuple(e) for e in edges[:, ::-1].tolist()}
    assert forth == back, "every side of a skin's triangle is met by another, the other way round"
    assert np.abs(level(mesh.points[mesh.on_surface], None)).max() < 0.02 * cell


def test_volume_converges_with_the_square_of_the_lattice() -> None:
    cells = np.array([0.2, 0.1, 0.05])
    errors = []
    for cell in cells:
        mesh = stuff(ball, -ROOM, ROOM, cell)
        errors.append(1 - volumes(mesh.points, mesh.cells).sum() / (np.pi / 6))
    order = np.polyfit(np.log(cells), np.log(errors), 1)[0]
    assert 1.8 < order < 2.3


@pytest.mark.parametrize("dofs", [3_000, 20_000])
def test_a_filled_ball_has_the_balls_volume(dofs: int) -> None:
    _, _, volume = assembled(filled(BALL.triangles, dofs=dofs).part, 0.3)
    assert volume == pytest.approx(np.pi / 6, rel=0.01)


def test_the_number_of_unknowns_is_about_what_is_asked() -> None:
    for dofs in (4_000, 12_000):
        part = filled(trimesh.creation.box((1, 0.5, 0.4)).triangles, dofs=dofs).part
        assert 0.6 * dofs < 3 * part.nodes.shape[1] <= 1.15 * dofs


def test_a_wall_too_thin_for_the_lattice_is_refused_with_the_least_that_would_do() -> None:
    with pytest.raises(TooThin) as caught:
        filled(BALL.triangles, wall=0.001)
    assert 0.005 < caught.value.least < 0.2


# --- distance -------------------------------------------------------------------------------------------------------


def test_distance_and_side_of_a_box_are_exact() -> None:
    box = trimesh.creation.box((1.0, 0.6, 0.2)).triangles
    axes = [np.linspace(-0.7, 0.7, 15) + 0.0123] * 3
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    beyond = np.abs(points) - np.array([0.5, 0.3, 0.1])
    expected = np.linalg.norm(np.maximum(beyond, 0), axis=1) + np.minimum(beyond.max(axis=1), 0)
    place, distance = Distance(split(np.asarray(box), 0.2)).nearest(points)
    np.testing.assert_allclose(distance, np.abs(expected), atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(points - place, axis=1), distance, atol=1e-12)
    np.testing.assert_allclose(winding(points, np.asarray(box)), (expected < 0).astype(float), atol=1e-12)


def test_triangles_left_aside_would_not_have_been_nearer() -> None:
    """Of needles and of points on their very corners, the least of the distances to each one."""
    draw = np.random.default_rng(1)
    corners = draw.random((40, 1, 3)) + np.array([0.3, 0.01, 0.01]) * draw.random((40, 3, 3))
    points = np.concatenate([draw.random((200, 3)), corners[:, 0]])
    _, distance = Distance(corners).nearest(points)
    each = [Distance(corners[i : i + 1]).nearest(points)[1] for i in range(len(corners))]
    np.testing.assert_array_equal(distance, np.min(each, axis=0))


@pytest.mark.parametrize("n_small", [20, 200])
def test_a_long_triangle_beside_many_small_ones_is_the_nearest(n_small: int) -> None:
    """Its centre is far, those of the small ones are near: however many they are, they do not hide it."""
    corner = np.array([[0.0, 0.0, 0.0], [0.01, 0.0, 0.0], [0.0, 0.01, 0.0]])
    small = corner + np.array([0.0, 0.0, 0.3]) + np.linspace(0, 0.1, n_small)[:, None, None] * np.eye(3)[0]
    long = np.array([[0.0, 0.0, -0.1], [10.0, 0.0, -0.1], [10.0, 0.1, -0.1]])
    place, distance = Distance(np.concatenate([small, long[None]])).nearest(np.zeros((1, 3)))
    np.testing.assert_allclose(place, [[0.0, 0.0, -0.1]], atol=1e-12)
    np.testing.assert_allclose(distance, [0.1], atol=1e-12)


def test_equal_points_and_faces_are_found_as_numpy_finds_them() -> None:
    draw = np.random.default_rng(1)
    points, faces = draw.integers(0, 4, (300, 3)) / 4, draw.integers(0, 6, (300, 3))
    for found, expected in zip(unique_points(points), np.unique(points, axis=0, return_inverse=True), strict=True):
        np.testing.assert_array_equal(found, expected)
    expected = np.sort(np.unique(np.sort(faces, axis=1), axis=0, return_index=True)[1])
    np.testing.assert_array_equal(first_of_each(faces), expected)


def test_a_hole_is_outvoted_and_parts_may_overlap() -> None:
    points = np.array([[0.01, 0.02, 0.03], [0.31, 0.02, 0.03], [0.9, 0.02, 0.03]])
    holed = BALL.triangles[20:]
    other = BALL.triangles + np.array([0.4, 0, 0])
    assert list(winding(points, holed) > 0.5) == [True, True, False]
    assert list(winding(points, np.concatenate([BALL.triangles, other])) > 0.5) == [True, True, False]
    assert winding(points[1:2], np.concatenate([BALL.triangles, other]))[0] == pytest.approx(2)


# --- modes ----------------------------------------------------------------------------------------------------------


def test_a_ball_from_our_own_mesher_has_lambs_frequencies() -> None:
    """ω R / c_s within 1 %, with their multiplicities; six rigid motions under 1 Hz for steel of 10 cm."""
    poisson = 0.29
    lamb = [2.501] * 5 + [2.645] * 5 + [3.510] * 3 + [3.865] * 7 + [3.933] * 7
    part = filled(BALL.triangles, dofs=6_000).part
    found = family_of_solid(part, poisson, len(lamb)).at(poisson).omega / 2 * np.sqrt(2 * (1 + poisson))
    np.testing.assert_allclose(found, lamb, rtol=0.01)
    K, M, _ = assembled(part, poisson)
    turns = [np.cross(np.eye(3)[axis], part.nodes.T) for axis in range(3)]
    shifts = [np.broadcast_to(np.eye(3)[axis], part.nodes.T.shape) for axis in range(3)]
    for motion in (m.ravel() for m in turns + shifts):
        assert np.sqrt(abs(motion @ (K @ motion)) / (motion @ (M @ motion))) * 5048 / 0.1 / (2 * np.pi) < 1


def test_lambs_sixth_frequency_is_there() -> None:
    """η = 4.870, degree 0 to 4 between it and the others: the nearest mode within 1 %."""
    part = filled(BALL.triangles, dofs=8_000).part
    found = family_of_solid(part, 0.29, 60).at(0.29).omega / 2 * np.sqrt(2 * 1.29)
    assert np.abs(found - 4.870).min() < 0.01 * 4.870


def test_frequencies_converge_faster_than_the_square_of_the_lattice() -> None:
    exact, cells, errors = 2.50113, [], []
    for dofs in (1_500, 4_000, 12_000):
        solid = filled(BALL.triangles, dofs=dofs)
        found = family_of_solid(solid.part, 0.29, 5).at(0.29).omega.mean() / 2 * np.sqrt(2 * 1.29)
        cells.append(solid.cell)
        errors.append(abs(found / exact - 1))
    assert errors[-1] < 1e-3
    assert np.polyfit(np.log(cells), np.log(errors), 1)[0] > 1.5


def test_a_bar_of_tetrahedra_rings_as_our_bar_of_hexahedra() -> None:
    size = (1.0, 0.2, 0.15)
    expected = solve(Body("bar", size), 0.29).omega[:10]
    part = filled(trimesh.creation.box(size).triangles, dofs=12_000).part
    np.testing.assert_allclose(family_of_solid(part, 0.29, 10).at(0.29).omega, expected, rtol=0.01)


@pytest.mark.parametrize("angles", [(0, 0, 0), (0.3, 0.5, 0.7), (0, 0.2, 0.1), (1.0, 0.4, 0.2), (0.5, 0.5, 0)])
def test_a_steel_bar_from_a_surface_has_timoshenko_s_frequencies(angles: tuple[float, float, float]) -> None:
    """300 × 20 × 15 mm through our own mesher: the first six in each plane within 0.5 %, however it lies."""
    poisson, sides = 0.29, (20 / 300, 15 / 300)
    bar = trimesh.creation.box((1.0, *sides))
    bar.apply_transform(trimesh.transformations.euler_matrix(*angles))  # type: ignore[no-untyped-call]
    length = 1 / float(np.ptp(bar.vertices, axis=0).max())  # in the longest side of the box around it
    part = filled(bar.triangles * length).part
    found = family_of_solid(part, poisson, 40).at(poisson).omega * length
    cowper = 10 * (1 + poisson) / (12 + 11 * poisson)
    for side in sides:
        assert nearest_error(found, timoshenko(1.0, side / np.sqrt(12), cowper, poisson, 6)) < 0.005


@pytest.mark.parametrize("size", [(1.0, 0.6, 0.33), (1.0, 1.0, 1.0), (1.0, 0.3, 0.05), (1.0, 0.07, 0.05)])
def test_a_box_keeps_its_volume_and_its_edges(size: tuple[float, float, float]) -> None:
    part = filled(trimesh.creation.box(size).triangles, dofs=15_000).part
    assert assembled(part, 0.3)[2] == pytest.approx(np.prod(size), rel=0.005)
    np.testing.assert_allclose(np.ptp(part.nodes, axis=1), size, rtol=1e-6)


def test_a_shell_from_a_surface_rings_as_our_tube() -> None:
    """A cylinder's side without ends, given a wall: the tube of that wall about its middle radius."""
    wall = 0.2
    pipe = trimesh.creation.cylinder(radius=0.5 - wall / 2, height=1.5, sections=96, cap=True)
    side = pipe.triangles[np.abs(pipe.face_normals[:, 2]) < 0.5]
    expected = solve(Body("tube", (1.0, 1.5), wall), 0.3).omega[:4]
    found = family_of_solid(filled(side, wall).part, 0.3, 4).at(0.3).omega
    np.testing.assert_allclose(found, expected, rtol=0.06)  # open edges come out rounded: half a wall longer


def test_parts_that_nearly_touch_ring_as_one() -> None:
    """A bar sawn through, glued over a gap of two thirds of a cube of the lattice, rings as the whole within 10 %."""
    whole = solve(Body("bar", (1.0, 0.2, 0.15)), 0.29).omega[:4]
    half, away = trimesh.creation.box((0.48, 0.2, 0.15)).triangles, np.array([0.26, 0, 0])
    halves = np.concatenate([half + away, half - away])
    solid = filled(halves, dofs=12_000)
    assert solid.lost == 0
    assert solid.part.n_unknowns < solid.part.nodes.shape[1]
    np.testing.assert_allclose(family_of_solid(solid.part, 0.29, 4).at(0.29).omega, whole, rtol=0.1)


def test_parts_that_are_apart_are_told(tmp_path: Path) -> None:
    ball = trimesh.creation.icosphere(subdivisions=2, radius=0.05)
    far = ball.copy().apply_translation((0.3, 0, 0)).apply_scale(0.8)
    corners = np.concatenate([ball.triangles, far.triangles])
    trimesh.Trimesh(corners.reshape(-1, 3), np.arange(3 * len(corners)).reshape(-1, 3)).export(tmp_path / "two.stl")
    (note,) = solids.solve(Source(tmp_path / "two.stl", "two.stl"), 0.3, 8, 2_000).notes
    assert "two.stl has loose parts: the largest rings, and 34% of the volume was left out" in note.said("two.stl", 1.0)


def test_the_first_cell_of_every_mesh_is_well_shaped() -> None:
    part = filled(trimesh.creation.torus(0.4, 0.1).triangles, dofs=6_000).part
    straight = Mesh(part.nodes, part.cells)
    assert volumes(straight.nodes.T, straight.cells[:4].T).min() > 0


def test_scattered_points_are_told_apart_as_those_of_a_lattice_are() -> None:
    lattice = np.stack(np.meshgrid(*[np.linspace(-0.57, 0.53, 12)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    scattered = np.random.default_rng(1).uniform(-0.6, 0.6, (4_000, 3))
    np.testing.assert_allclose(winding_at(lattice, BALL.triangles), winding(lattice, BALL.triangles), atol=1e-9)
    inside = np.linalg.norm(scattered, axis=1)
    clear = np.abs(inside - 0.5) > 0.005  # of its facets
    np.testing.assert_allclose(winding_at(scattered, BALL.triangles)[clear], inside[clear] < 0.5, atol=1e-9)


def test_boxes_that_touch_are_one_body() -> None:
    """Two halves that share a face, or run into one another, have the modes of the whole."""
    whole = filled(trimesh.creation.box((1.0, 0.2, 0.15)).triangles, dofs=12_000).part
    expected = family_of_solid(whole, 0.29, 8).at(0.29).omega
    for overlap in (0.0, 0.1):
        halves = [trimesh.creation.box((0.5 + overlap, 0.2, 0.15)) for _ in range(2)]
        for half, side in zip(halves, (-1, 1), strict=True):
            half.apply_translation((side * (0.25 - overlap / 2), 0, 0))
        part = filled(np.concatenate([half.triangles for half in halves]), dofs=12_000).part
        np.testing.assert_allclose(family_of_solid(part, 0.29, 8).at(0.29).omega, expected, rtol=3e-3)


def test_many_modes_have_fewer_unknowns() -> None:
    """So that both fit into memory: what a wall takes is bounded as is told."""
    assert MOST_DOFS == most_dofs(64) > most_dofs(100) > most_dofs(320) > MOST_DOFS / 2
    box = trimesh.creation.box((1.0, 1.0, 1.0)).triangles
    assert 25_000 < 3 * filled(box, 0.2, 3_000).part.n_unknowns < MOST_DOFS
    with pytest.raises(TooThin):
        filled(box, 0.2, 3_000, most=25_000)


def test_tetwild_fills_a_body_as_our_lattice_does(tmp_path: Path) -> None:
    """The same lowest modes within 1 %, where it is installed."""
    pytest.importorskip("pytetwild")
    trimesh.creation.box((0.1, 0.06, 0.04)).export(tmp_path / "box.stl")
    ours, theirs = (
        solids.solve(Source(tmp_path / "box.stl", "box.stl", mesher=mesher), 0.3, 12, 12_000)
        for mesher in ("lattice", "tetwild")
    )
    np.testing.assert_allclose(theirs.family.at(0.3).omega, ours.family.at(0.3).omega, rtol=0.01)
    assert 6_000 < theirs.n_dofs < 24_000
