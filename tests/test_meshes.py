"""Bodies from mesh files: the surface as read, the tetrahedra that fill it, its modes, and the sound by a manifest."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh
from beams import nearest_error, timoshenko

from sfxgen.draw import Draw
from sfxgen.errors import MeshUnusable
from sfxgen.generate.impact import render, struck
from sfxgen.generate.recipe import Request
from sfxgen.manifest.impact import Impact
from sfxgen.physics import solids
from sfxgen.physics.meshing.distance import Distance, split, winding
from sfxgen.physics.meshing.meshes import cleaned, read_surface, scaled_m
from sfxgen.physics.meshing.stuffing import DIHEDRAL_DEG, dihedral_angles_deg, stuff, volumes
from sfxgen.physics.meshing.tetrahedra import TooThin, filled, skin_sides
from sfxgen.physics.modal.elements import assembled
from sfxgen.physics.modal.meshed import family_of_solid
from sfxgen.physics.modal.modes import solve
from sfxgen.physics.modal.shapes import Array, Body, Mesh
from sfxgen.physics.solids import Found, Source
from sfxgen.plan import plan_project

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


@pytest.mark.parametrize("askew", [False, True])
def test_a_steel_bar_from_a_surface_has_timoshenko_s_frequencies(askew: bool) -> None:
    """300 × 20 × 15 mm through our own mesher: the first six in each plane within 0.5 %, along the lattice or askew."""
    poisson, sides = 0.29, (20 / 300, 15 / 300)
    bar = trimesh.creation.box((1.0, *sides))
    if askew:
        bar.apply_transform(trimesh.transformations.euler_matrix(0.3, 0.5, 0.7))  # type: ignore[no-untyped-call]
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
    assert "two.stl has loose parts: the largest rings, and 33% of the volume was left out" in note


def test_the_first_cell_of_every_mesh_is_well_shaped() -> None:
    part = filled(trimesh.creation.torus(0.4, 0.1).triangles, dofs=6_000).part
    straight = Mesh(part.nodes, part.cells)
    assert volumes(straight.nodes.T, straight.cells[:4].T).min() > 0


# --- files ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for ending in ("glb", "obj", "stl", "ply"):
        trimesh.creation.box((0.2, 0.1, 0.05)).export(tmp_path / f"box.{ending}")
    return tmp_path


@pytest.mark.parametrize("ending", ["glb", "obj", "stl", "ply"])
def test_every_format_gives_the_same_body(folder: Path, ending: str) -> None:
    surface = read_surface(folder / f"box.{ending}", f"box.{ending}")
    assert (len(surface.points), len(surface.faces), surface.holes) == (8, 12, 0)
    np.testing.assert_allclose(surface.extent, [0.2, 0.1, 0.05], rtol=1e-6)
    assert surface.notes == ()


def test_the_same_file_gives_the_same_bytes_that_read_back(folder: Path) -> None:
    source = Source(folder / "box.glb", "box.glb")
    first, second = (solids.solve(source, 0.2, 12, 8_000) for _ in range(2))
    assert first.to_bytes() == second.to_bytes()
    assert Found.from_bytes(first.to_bytes()).to_bytes() == first.to_bytes()
    assert float(first.family.volume * first.longest**3) == pytest.approx(0.001, rel=0.03)


def test_units_and_sizes() -> None:
    assert scaled_m(0.2, "b", "in")[0] == pytest.approx(0.2 * 0.0254)
    assert scaled_m(0.2, "b", size_m=3.0) == (3.0, ())
    longest_m, (note,) = scaled_m(200, "mm.stl")
    assert longest_m == 200
    assert "write unit: mm" in note
    with pytest.raises(MeshUnusable, match="long; expected"):
        scaled_m(20_000, "huge.stl")


def test_one_solve_of_a_solid_serves_every_size(folder: Path) -> None:
    """The next size asks the cache for what it has; its partials lie as much lower as it is larger."""
    store: dict[str, bytes] = {}

    def cached(key: str, make: Callable[[], bytes]) -> bytes:
        if key not in store:
            store[key] = make()
        return store[key]

    request = Request(root=folder, cached=cached)
    small, large = (
        struck(Impact.model_validate({"object": {"shape": "mesh", "file": "box.stl", **size}}), request)[0]
        for size in ({}, {"size_m": 0.4})
    )
    assert len(store) == 1
    assert large.mass_kg == pytest.approx(8 * small.mass_kg, rel=1e-6)
    np.testing.assert_allclose(large.frequency_hz[:5], small.frequency_hz[:5] / 2, rtol=1e-6)


def test_scenes_are_placed_and_mirrored_parts_face_outwards(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    part = trimesh.creation.box((0.1, 0.1, 0.1))
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirror[0, 3] = 0.3
    scene.add_geometry(part, transform=np.eye(4))
    scene.add_geometry(part, transform=mirror)
    scene.export(tmp_path / "two.glb")  # type: ignore[no-untyped-call]
    surface = read_surface(tmp_path / "two.glb", "two.glb")
    np.testing.assert_allclose(surface.extent, [0.4, 0.1, 0.1], rtol=1e-6)
    assert volume_of(surface.triangles) == pytest.approx(0.002, rel=1e-6)


def volume_of(triangles: Array) -> float:
    return float(np.einsum("ij,ij->i", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])).sum()) / 6


def test_usual_faults_are_mended() -> None:
    """Unmerged points, doubled and empty faces, single faces turned, all inside out: the same ball."""
    soup = BALL.triangles.reshape(-1, 3)
    faces = np.arange(len(soup)).reshape(-1, 3)
    faces = np.concatenate([faces, faces[:7], [[0, 0, 1]]])
    faces[::3] = faces[::3, ::-1]
    for order in (1, -1):
        surface = cleaned(soup, faces[:, ::order])
        assert len(surface.points) == len(BALL.vertices)
        assert len(surface.faces) == len(BALL.faces)
        assert surface.holes == 0
        assert volume_of(surface.triangles) == pytest.approx(BALL.volume)


def test_a_cavity_stays_one() -> None:
    inner = BALL.triangles[:, ::-1] * 0.5
    corners = np.concatenate([BALL.triangles, inner]).reshape(-1, 3)
    surface = cleaned(corners, np.arange(len(corners)).reshape(-1, 3))
    assert volume_of(surface.triangles) == pytest.approx(BALL.volume * (1 - 1 / 8))
    _, _, volume = assembled(filled(surface.triangles, dofs=8_000).part, 0.3)
    assert volume == pytest.approx(np.pi / 6 * 7 / 8, rel=0.02)


def test_a_million_faces_are_merged() -> None:
    fine = trimesh.creation.icosphere(subdivisions=8, radius=0.5)
    assert len(fine.faces) > 1_000_000
    surface = cleaned(np.asarray(fine.vertices), np.asarray(fine.faces))
    assert len(surface.faces) < 600_000
    assert surface.holes == 0
    assert volume_of(surface.triangles) == pytest.approx(np.pi / 6, rel=2e-3)
    assert "triangles" in surface.notes[0]


def damaged(folder: Path, name: str) -> Path:
    path = folder / name
    match name:
        case "empty.stl":
            path.write_bytes(b"")
        case "noise.glb":
            path.write_bytes(bytes(range(256)) * 8)
        case "text.obj":
            path.write_text("v 0 0 0\nv 1 0 0\n")
        case "nan.ply":
            box = trimesh.creation.box((0.1, 0.1, 0.1))
            points = np.array(box.vertices)
            points[3, 1] = np.nan
            trimesh.Trimesh(points, box.faces, process=False).export(path)
        case "open.obj":
            half = trimesh.creation.icosphere(subdivisions=3, radius=0.1)
            trimesh.Trimesh(half.vertices, half.faces[half.triangles_center[:, 2] < 0]).export(path)
        case "flat.obj":
            path.write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nf 1 2 2\n")
        case "box.fbx":
            path.write_bytes(b"Kaydara")
    return path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.glb", "absent.glb does not exist; expected a mesh file"),
        ("empty.stl", "empty.stl"),
        ("noise.glb", "noise.glb cannot be read as a mesh"),
        ("text.obj", "text.obj"),
        ("nan.ply", "nan.ply has 1 points that are no numbers"),
        ("flat.obj", "flat.obj holds no surface"),
        ("box.fbx", "expected a file that ends in .glb, .gltf, .obj, .stl, .ply"),
    ],
)
def test_a_bad_file_is_named_with_its_cure(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(MeshUnusable) as caught:
        solids.solve(Source(damaged(tmp_path, name), name), 0.3, 8, 3_000)
    assert words in str(caught.value)
    assert name in str(caught.value)


def test_an_open_surface_is_a_shell_of_the_wall_that_is_written_or_of_a_usual_one(tmp_path: Path) -> None:
    path = damaged(tmp_path, "open.obj")
    area = trimesh.load_mesh(path).area
    wall_m = 0.0003
    found = solids.solve(Source(path, "open.obj", wall_m=wall_m), 0.3, 8)
    assert float(found.family.volume) * found.longest**3 == pytest.approx(area * wall_m, rel=0.01)
    assert found.notes == ()
    (note,) = solids.solve(Source(path, "open.obj"), 0.3, 8).notes
    assert "rings as a wall of 3.33 mm; write wall_m" in note


def test_a_gltf_is_known_by_its_buffers_as_well(tmp_path: Path) -> None:
    """A .gltf keeps its points in a .bin beside it: another one is another body, by the plan's key and the solve's."""
    (tmp_path / "sounds").mkdir()
    manifest = "version: 1\nsounds:\n  knock: {impact: {object: {shape: mesh, file: ../models/block.gltf}}}\n"
    (tmp_path / "sounds" / "a.yaml").write_text(manifest)
    (tmp_path / "models").mkdir()
    files = trimesh.exchange.gltf.export_gltf(  # type: ignore[no-untyped-call]
        trimesh.Scene(trimesh.creation.box((0.3, 0.2, 0.1)))
    )
    for name, data in files.items():
        (tmp_path / "models" / name.replace("model.gltf", "block.gltf")).write_bytes(data)
    path = tmp_path / "models" / "block.gltf"

    def keys() -> tuple[str, str]:
        (planned,) = plan_project(tmp_path).plan.sounds
        return planned.job.key, solids.key(Source(path, "block.gltf"), 0.3)

    before = keys()
    assert keys() == before
    for buffer in (tmp_path / "models").glob("*.bin"):
        data = np.frombuffer(buffer.read_bytes(), dtype="<f4").copy()
        data[np.isclose(np.abs(data), 0.15)] *= 2
        buffer.write_bytes(data.tobytes())
    assert read_surface(path, "block.gltf").extent[0] == pytest.approx(0.6)
    after = keys()
    assert before[0] != after[0]
    assert before[1] != after[1]


# --- sound ----------------------------------------------------------------------------------------------------------


def test_a_mesh_of_a_manifest_sounds_and_is_solved_once(folder: Path) -> None:
    store: dict[str, bytes] = {}
    made = 0

    def cached(key: str, make: Callable[[], bytes]) -> bytes:
        nonlocal made
        if key not in store:
            made += 1
            store[key] = make()
        return store[key]

    trimesh.creation.box((0.5, 0.08, 0.06)).export(folder / "beam.glb")
    takes = []
    for material in ("granite", "marble"):  # both have ν = 0.25
        item = {"shape": "mesh", "file": "beam.glb", "material": material}
        spec = Impact.model_validate({"object": item})
        takes += render(spec, [Draw(1), Draw(2)], Request(root=folder, cached=cached))
    assert made == 1
    assert len(takes) == 4
    assert all(np.isfinite(take.samples).all() and take.peak > 1e-3 for take in takes)
    assert takes[0].duration_s > 0.05


def test_a_mesher_that_is_not_there_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytetwild", None)
    trimesh.creation.box((0.1, 0.06, 0.04)).export(tmp_path / "box.stl")
    with pytest.raises(MeshUnusable, match=r"box\.stl asks for mesher: tetwild, .*'sfxgen\[tetwild\]'` installs it"):
        solids.solve(Source(tmp_path / "box.stl", "box.stl", mesher="tetwild"), 0.3, 8, 3_000)


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
