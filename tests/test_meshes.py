"""Bodies from mesh files: the surface as read, what is mended and what is refused, and the sound by a manifest."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh

from sfxgen.draw import Draw
from sfxgen.errors import MeshUnusable
from sfxgen.generate.impact import render, struck
from sfxgen.generate.objects import solved
from sfxgen.generate.recipe import Request
from sfxgen.manifest.impact import FromFile, Impact
from sfxgen.physics import solids
from sfxgen.physics.meshing.meshes import cleaned, read_surface, scaled_m
from sfxgen.physics.meshing.tetrahedra import filled
from sfxgen.physics.modal.elements import assembled
from sfxgen.physics.modal.shapes import Array
from sfxgen.physics.solids import Found, Source
from sfxgen.plan import plan_project

BALL = trimesh.creation.icosphere(subdivisions=5, radius=0.5)


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
    assert solids.Note(surface.notes[0]).said("ball.stl", 1.0).startswith("ball.stl has 1,310,720 triangles; details")


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
    assert "open.obj is open" in note.said("open.obj", found.longest)
    assert "rings as a wall of 3.33 mm; write wall_m" in note.said("open.obj", found.longest)


def test_what_is_said_of_a_mesh_is_of_the_job_that_asks(tmp_path: Path) -> None:
    """Of another file of the same content, at another size, the solve comes from the cache, but not its words."""
    damaged(tmp_path, "open.obj")
    (tmp_path / "{same}.obj").write_bytes((tmp_path / "open.obj").read_bytes())
    store: dict[str, bytes] = {}
    said: list[str] = []
    request = Request(root=tmp_path, cached=lambda key, make: store.setdefault(key, make()), warn=said.append)
    for name, size_m in (("open.obj", 0.2), ("{same}.obj", 0.4)):
        solved(FromFile(shape="mesh", file=name, size_m=size_m), request)
    assert len(store) == 1
    assert [text.partition(" is open")[0] for text in said] == ["open.obj", "{same}.obj"]
    assert ["a wall of 3.33 mm" in said[0], "a wall of 6.67 mm" in said[1]] == [True, True]


@pytest.mark.parametrize("across", [0.137, 0.12, 0.15])
def test_the_wall_that_is_told_as_the_most_is_allowed(tmp_path: Path, across: float) -> None:
    """Also where the file's single precision lies below the number that was meant."""
    trimesh.creation.box((1.0, across, 0.01)).export(tmp_path / "leaf.stl")
    with pytest.raises(MeshUnusable, match="too intricate for it; expected at most") as caught:
        solids.solve(Source(tmp_path / "leaf.stl", "leaf.stl", wall_m=across / 10 + 0.0005), 0.3, 8, 3_000)
    told = float(str(caught.value).rsplit(maxsplit=1)[1])
    assert 0.9 * across / 10 < told <= across / 10 + 1e-12
    for wall_m in (told, across / 10):
        assert solids.solve(Source(tmp_path / "leaf.stl", "leaf.stl", wall_m=wall_m), 0.3, 8).is_shell


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


def test_a_mesher_that_a_shell_does_not_ask_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytetwild", None)
    trimesh.creation.box((0.1, 0.06, 0.001)).export(tmp_path / "sheet.stl")
    found = solids.solve(Source(tmp_path / "sheet.stl", "sheet.stl", mesher="tetwild"), 0.3, 8, 3_000)
    assert found.is_shell
    (note,) = found.notes
    assert note.said("sheet.stl", 0.1).startswith("sheet.stl is thin or open and rings as a shell: mesher: tetwild")


def test_a_wall_too_thin_to_be_solved_is_told(tmp_path: Path) -> None:
    trimesh.creation.box((3.0, 2.0, 1.0)).export(tmp_path / "hall.stl")
    with pytest.raises(
        MeshUnusable, match=r"hall\.stl is 3 m long with a wall of 0\.1 mm, too thin .* 0\.0003 at least"
    ):
        solids.solve(Source(tmp_path / "hall.stl", "hall.stl", wall_m=0.0001), 0.3, 8, 3_000)


def test_triangles_that_hang_together_nowhere_are_no_body(tmp_path: Path) -> None:
    corners = np.random.default_rng(1).uniform(0, 0.2, (900, 3))
    trimesh.Trimesh(corners, np.arange(900).reshape(-1, 3), process=False).export(tmp_path / "soup.stl")
    with pytest.raises(MeshUnusable, match=r"soup.stl hangs together by so little that its modes cannot be found"):
        solids.solve(Source(tmp_path / "soup.stl", "soup.stl"), 0.3, 8)


def test_a_mesher_that_fails_is_no_fault_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> None:
        raise RuntimeError("no tets")

    monkeypatch.setitem(sys.modules, "pytetwild", SimpleNamespace(tetrahedralize=failing))
    trimesh.creation.box((0.1, 0.06, 0.04)).export(tmp_path / "box.stl")
    with pytest.raises(MeshUnusable, match=r"box\.stl was not filled by tetwild \(RuntimeError: no tets\)"):
        solids.solve(Source(tmp_path / "box.stl", "box.stl", mesher="tetwild"), 0.3, 8, 3_000)
