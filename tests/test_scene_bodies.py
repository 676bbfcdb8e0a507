"""Bodies of scenes that are no plain convex shape: meshes from files, bowls that things fall into, what stands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from pydantic import ValidationError
from scipy.spatial import ConvexHull

from sfxgen.draw import Draw
from sfxgen.generate.bodies import Kind, kind_of
from sfxgen.generate.recipe import Request
from sfxgen.generate.scene import course_of, render
from sfxgen.manifest.scene import Scene, SceneBody
from sfxgen.physics.meshing.triangles import moments
from sfxgen.physics.modal.shapes import Body
from sfxgen.physics.moving.course import Course
from sfxgen.physics.moving.hulls import walls
from sfxgen.plan import plan_project

STORE: dict[str, bytes] = {}
COIN = {"shape": "cylinder", "size_m": [0.024, 0.002], "material": "brass"}
BOWL = {"shape": "bowl", "size_m": [0.2, 0.09], "wall_m": 0.004, "material": "ceramic"}


def cached(key: str, make: Callable[[], bytes]) -> bytes:
    if key not in STORE:
        STORE[key] = make()
    return STORE[key]


def exported(folder: Path, mesh: trimesh.Trimesh, name: str = "body.stl") -> str:
    mesh.export(folder / name)
    return name


def from_file(folder: Path, mesh: trimesh.Trimesh, **more: Any) -> tuple[Kind, Request]:
    request = Request(root=folder, cached=cached)
    item = {"shape": "mesh", "file": exported(folder, mesh), "material": "steel"} | more
    return kind_of(SceneBody.model_validate({"object": item}), request), request


def course(seed: int, **section: Any) -> Course:
    draw = Draw(seed)
    return course_of(Scene.model_validate(section), draw, Request(cached=cached), draw.rng())[1]


@pytest.mark.parametrize("corners", [4, 3])
def test_a_flat_sheet_without_thickness_falls_and_rings(tmp_path: Path, corners: int) -> None:
    points = np.array([[0.0, 0.0, 0.0], [0.2, 0.05, 0.1], [0.15, 0.15, 0.1], [-0.05, 0.1, 0.0]])
    sheet = trimesh.Trimesh(points, [[0, 1, 2], [0, 2, 3]][: corners - 2], process=False)
    kind, request = from_file(tmp_path, sheet, wall_m=0.002)
    assert kind.tall_m == pytest.approx(0.002, rel=0.01)
    body = {"object": {"shape": "mesh", "file": "body.stl", "material": "steel", "wall_m": 0.002}}
    (take,) = render(Scene.model_validate({"bodies": [body], "longest_s": 0.5}), [Draw(1)], request)
    assert 1e-4 < take.peak < 50


def test_a_mesh_has_the_mass_and_inertia_of_its_shape(tmp_path: Path) -> None:
    """A box in a file, askew and off its origin, against the closed form: principal axes along its sides."""
    box = trimesh.creation.box((0.3, 0.2, 0.1))
    box.vertices = box.vertices @ np.linalg.qr(np.arange(9.0).reshape(3, 3) ** 2 + np.eye(3))[0] + [1.0, -2.0, 0.5]
    kind, _ = from_file(tmp_path, box)
    mass = 7850 * 0.3 * 0.2 * 0.1
    assert kind.solid.mass_kg == pytest.approx(mass, rel=0.02)  # the tetrahedra's volume
    wanted = mass / 12 * np.array([0.05, 0.1, 0.13])
    np.testing.assert_allclose(kind.solid.inertia, wanted, rtol=0.02)
    np.testing.assert_allclose(np.array(kind.body.extent) * kind.size_m, [0.3, 0.2, 0.1], rtol=2e-3)
    assert kind.low_m == pytest.approx(0.05, rel=1e-3)
    (hull,) = kind.pieces
    assert ConvexHull(hull).volume == pytest.approx(0.006, rel=0.02)
    half = np.array([0.15, 0.1, 0.05])
    assert (np.abs(kind.points) < half + 0.005).all(), "where it is struck lies on its skin, in the same frame"
    assert (np.abs(kind.points / half).max(axis=1) > 0.9).all()


def test_moments_of_a_surface_and_of_what_it_encloses() -> None:
    """A cube: 1/12 a² along each axis filled, and of its six sheets 5/36 a²; the same wherever it lies."""
    triangles = trimesh.creation.box((0.2, 0.2, 0.2)).triangles + np.array([3.0, -1.0, 2.0])
    for filled, share in ((True, 1 / 12), (False, 5 / 36)):
        centre, spread = moments(triangles, filled)
        np.testing.assert_allclose(centre, [3.0, -1.0, 2.0])
        np.testing.assert_allclose(spread, share * 0.04 * np.eye(3), atol=1e-12)


def test_a_concave_mesh_is_told_in_pieces(tmp_path: Path) -> None:
    """A ring's hull is a disc; its pieces leave the hole open."""
    ring = trimesh.creation.torus(0.1, 0.02)
    kind, _ = from_file(tmp_path, ring)
    assert len(kind.pieces) > 8
    inside = [ConvexHull(piece).equations for piece in kind.pieces]
    for planes in inside:
        assert (planes[:, 3] > 0).any(), "the middle of the hole is in no piece"
    assert sum(ConvexHull(piece).volume for piece in kind.pieces) < 2.5 * ring.volume


def test_a_mesh_falls_and_rings_as_the_shape_it_has(tmp_path: Path) -> None:
    """A box from a file and a box of a manifest: first blow at the same time, centroids alike."""
    name = exported(tmp_path, trimesh.creation.box((0.3, 0.2, 0.1)))
    request = Request(root=tmp_path, cached=cached)

    def takes(item: dict[str, Any]) -> list[Any]:
        spec = Scene.model_validate({"bodies": [{"object": item, "edge_m": 0.002}], "longest_s": 0.3, "spin_hz": 0})
        return render(spec, [Draw(seed) for seed in range(4)], request)

    def centroid_hz(takes: list[Any]) -> float:
        sums = np.zeros(2)
        for audio in takes:
            power = np.abs(np.fft.rfft(audio.samples[0].astype(float))) ** 2
            sums += power.sum(), (power * np.fft.rfftfreq(audio.n_frames, 1 / 48_000)).sum()
        return float(sums[1] / sums[0])

    file = takes({"shape": "mesh", "file": name, "material": "oak"})
    shape = takes({"shape": "box", "size_m": [0.3, 0.2, 0.1], "material": "oak"})
    assert centroid_hz(file) == pytest.approx(centroid_hz(shape), rel=0.4)
    loud = [np.mean([float((a.samples.astype(float) ** 2).sum()) for a in made]) for made in (file, shape)]
    assert 0.2 < loud[0] / loud[1] < 5


def test_a_coin_falls_into_a_bowl_and_stays() -> None:
    for seed in range(4):
        bodies = [{"object": BOWL, "stands": True}, {"object": COIN, "bounce": 0.4}]
        found = course(seed, bodies=bodies, height_m=0.05, longest_s=1)
        pairs = set(zip(found.blows.first.tolist(), found.blows.second.tolist(), strict=True))
        assert (0, 1) in pairs
        assert (-1, 0) not in pairs, "the coin never meets the floor"
        assert found.energy <= 1.02


def test_walls_lie_about_the_room_inside() -> None:
    """No piece of the wall of a bowl or tube reaches farther in than the chord of its sector."""
    for body in (Body("bowl", (1.0, 0.5), 0.03), Body("tube", (1.0, 2.0), 0.03), Body("bell", (1.0, 0.9), 0.03)):
        pieces = walls(body, 0.2)
        depth = -0.3 * body.extent[2] if body.shape != "tube" else 0.0
        middle = 0.2 * np.array([[0.0, 0.0, depth], [0.1, 0.05, depth], [-0.2, 0.0, depth]])
        for piece in pieces:
            planes = ConvexHull(piece).equations
            assert ((middle @ planes[:, :3].T + planes[:, 3]).max(axis=1) > 0).all()
    assert walls(Body("box", (1.0, 1.0, 1.0)), 0.2) == ()


def test_what_stands_is_not_heard_before_it_is_struck() -> None:
    """The first blow of the take is the coin's, √(2h/g) after the start, though the bowl settles before."""
    spec = Scene.model_validate(
        {"bodies": [{"object": BOWL, "stands": True}, {"object": COIN}], "height_m": 0.3, "longest_s": 0.3}
    )
    (audio,) = render(spec, [Draw(1)], Request(cached=cached))
    power = audio.samples[0].astype(float) ** 2
    assert power[:2_400].sum() > 0.02 * power.sum()


def test_paths_of_meshes_count_from_the_manifest_and_are_watched(tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    exported(tmp_path, trimesh.creation.box((0.1, 0.1, 0.1)))
    body = "{object: {shape: mesh, file: ../body.stl, material: pine}}"
    text = f"version: 1\nsounds:\n  a:\n    scene:\n      bodies: [{{object: {{shape: box}}}}, {body}]\n"
    (tmp_path / "sounds" / "a.yaml").write_text(text, encoding="utf-8")
    (planned,) = plan_project(tmp_path).plan.sounds
    assert [path for path, _ in planned.job.recordings] == ["body.stl"]
    assert '"body.stl"' in planned.job.body.model_dump_json()
    key = planned.job.key
    exported(tmp_path, trimesh.creation.box((0.1, 0.1, 0.2)))
    assert plan_project(tmp_path).plan.sounds[0].job.key != key


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (
            {"bodies": [{"object": {"shape": "mesh", "file": "a.glb"}, "breaks": 8}]},
            "does not break",
        ),
        ({"bodies": [{"object": BOWL, "stands": True}]}, "all bodies stand"),
    ],
)
def test_faults_name_what_was_expected(section: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Scene.model_validate(section)
    assert words in str(caught.value)
