"""Bodies of several materials or parts, held against beams of two materials and against each part alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from pydantic import ValidationError
from scipy.linalg import eigh

from sfxgen.draw import Draw
from sfxgen.errors import MeshUnusable
from sfxgen.generate.impact import render, struck
from sfxgen.generate.objects import source_of
from sfxgen.generate.recipe import Request
from sfxgen.lock import Lock, LockedSound
from sfxgen.manifest.guide import Guided
from sfxgen.manifest.impact import FromFile, Impact
from sfxgen.manifest.materials import MATERIALS, Material
from sfxgen.manifest.scene import Scene
from sfxgen.physics.meshing.meshes import read_parts
from sfxgen.physics.modal import elements, meshed
from sfxgen.physics.modal.families import ModeFamily
from sfxgen.physics.modal.mixtures import Ingredient
from sfxgen.physics.modal.shapes import Array, Mesh
from sfxgen.physics.solids import Found, Kinds, Source, solve

SIDE, HALF = 0.012, 0.15


def knife(folder: Path, ending: str = "glb") -> str:
    """A bar of two halves, which meet in the middle: blade and handle."""
    scene = trimesh.Scene()
    for name, x in (("Blade", HALF / 2), ("Handle", -HALF / 2)):
        bar = trimesh.creation.box((HALF, SIDE, 1.6 * SIDE))
        bar.apply_translation((x, 0, 0))
        scene.add_geometry(bar, node_name=name, geom_name=f"{name}.001")
    scene.export(folder / f"knife.{ending}")  # type: ignore[no-untyped-call]
    return f"knife.{ending}"


def two(folder: Path) -> str:
    """Two bars far from each other."""
    scene = trimesh.Scene()
    for name, length, y in (("Long", 0.2, 0.0), ("Short", 0.1, 0.1)):
        bar = trimesh.creation.box((length, 0.01, 0.016))
        bar.apply_translation((0, y, 0))
        scene.add_geometry(bar, node_name=name, geom_name=name)
    scene.export(folder / "two.glb")  # type: ignore[no-untyped-call]
    return "two.glb"


def struck_mesh(folder: Path, file: str, **keys: object) -> Impact:
    item = {"shape": "mesh", "file": file, "material": "steel", **keys}
    return Impact.model_validate({"object": item, "damping": 50}, strict=False)


def bending_hz(halves: tuple[Material, Material], thickness_m: float, n: int) -> Array:
    """Of a free beam of two halves, by cubic elements of Euler and Bernoulli with the rotary inertia of Rayleigh, and
    the shear of Timoshenko in the stiffness of each element (Przemieniecki, Theory of Matrix Structural Analysis)."""
    n_each, width = 40, 1.6 * SIDE * SIDE / thickness_m
    length, area, moment = HALF / n_each, width * thickness_m, width * thickness_m**3 / 12
    K, M = np.zeros((2, 4 * n_each + 2, 4 * n_each + 2))
    for i in range(2 * n_each):
        material = halves[i // n_each]
        E, rho, a = material.youngs_pa, material.density_kg_m3, length
        shear = 12 * E * moment / (E / 2 / (1 + material.poisson) * area * 5 / 6 * a**2)
        k = E * moment / ((1 + shear) * a**3) * np.array(
            [
                [12, 6 * a, -12, 6 * a],
                [6 * a, (4 + shear) * a**2, -6 * a, (2 - shear) * a**2],
                [-12, -6 * a, 12, -6 * a],
                [6 * a, (2 - shear) * a**2, -6 * a, (4 + shear) * a**2],
            ]
        )  # fmt: skip
        m = rho * area * a / 420 * np.array(
            [
                [156, 22 * a, 54, -13 * a],
                [22 * a, 4 * a**2, 13 * a, -3 * a**2],
                [54, 13 * a, 156, -22 * a],
                [-13 * a, -3 * a**2, -22 * a, 4 * a**2],
            ]
        ) + rho * moment / (30 * a) * np.array(
            [
                [36, 3 * a, -36, 3 * a],
                [3 * a, 4 * a**2, -3 * a, -(a**2)],
                [-36, -3 * a, 36, -3 * a],
                [3 * a, -(a**2), -3 * a, 4 * a**2],
            ]
        )  # fmt: skip
        here = slice(2 * i, 2 * i + 4)
        K[here, here] += k
        M[here, here] += m
    return np.asarray(np.sqrt(eigh(K, M, eigvals_only=True)[2 : 2 + n]) / 2 / np.pi)


@pytest.mark.parametrize("other", ["oak", "aluminium", "brass"])
def test_a_bar_of_two_halves_bends_as_a_beam_of_two(tmp_path: Path, other: str) -> None:
    spec = struck_mesh(tmp_path, knife(tmp_path), materials={"Handle": other})
    found = struck(spec, Request(root=tmp_path))[0].frequency_hz
    halves = MATERIALS[other], MATERIALS["steel"]
    for thickness in (SIDE, 1.6 * SIDE):
        for hz in bending_hz(halves, thickness, 3):
            assert np.abs(found / hz - 1).min() < 0.02


def test_one_material_twice_is_one_body(tmp_path: Path) -> None:
    file = knife(tmp_path)
    plain, both = (
        struck(struck_mesh(tmp_path, file, **keys), Request(root=tmp_path))[0]
        for keys in ({}, {"materials": {"Handle": "steel"}})
    )
    np.testing.assert_allclose(both.frequency_hz[:12], plain.frequency_hz[:12], rtol=1e-3)
    np.testing.assert_allclose(both.decay_per_s[:12], plain.decay_per_s[:12], rtol=0.02)
    assert both.mass_kg == pytest.approx(plain.mass_kg)


def test_each_material_damps_by_its_share_and_weighs_what_it_does(tmp_path: Path) -> None:
    """Of two halves that differ by loss factor alone, modes even or odd about the middle have the mean of both."""
    file = knife(tmp_path)
    dead = {"like": "steel", "loss_factor": 0.02}
    halves, whole, steel = (
        struck(struck_mesh(tmp_path, file, **keys), Request(root=tmp_path))[0]
        for keys in ({"materials": {"Handle": dead}}, {"material": dead}, {})
    )
    mean = (whole.decay_per_s[:8] + steel.decay_per_s[:8]) / 2
    np.testing.assert_allclose(halves.decay_per_s[:8], mean, rtol=0.02)
    oak = struck(struck_mesh(tmp_path, file, materials={"Handle": "oak"}), Request(root=tmp_path))[0]
    expected = HALF * SIDE * 1.6 * SIDE * (MATERIALS["oak"].density_kg_m3 + MATERIALS["steel"].density_kg_m3)
    assert oak.mass_kg == pytest.approx(expected, rel=0.02)


def test_a_heavier_material_makes_no_thicker_body(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the quick law of radiation bends is the same; each piece's matrices are worked out once."""
    assembled: list[int] = []
    whole = elements.assembled_parts

    def counted(part: Mesh) -> Any:
        assembled.append(part.cells.shape[1])
        found = whole(part)
        assert found[2] == elements.volume_of(part)
        return found

    monkeypatch.setattr(meshed, "assembled_parts", counted)
    path = tmp_path / knife(tmp_path)
    plain = solve(Source(path, "knife.glb"), 0.3, 8, 3_000)
    n_cells = sum(assembled)
    for density in (0.1, 10.0):
        assembled.clear()
        mixed = solve(Source(path, "knife.glb", others=(("Handle", Ingredient(1.0, density, 0.3)),)), 0.3, 8, 3_000)
        assert mixed.body.thickness == pytest.approx(plain.body.thickness, rel=1e-9)
        assert float(mixed.family.volume) == pytest.approx(float(plain.family.volume) * (1 + density) / 2, rel=0.02)
        assert sum(assembled) == n_cells


def test_parts_that_ring_apart_are_those_parts(tmp_path: Path) -> None:
    """All modes of each, each heard only where it is struck; masses of both."""
    file = two(tmp_path)
    request = Request(root=tmp_path)
    item = {"materials": {"Short": "brass"}, "parts": "apart"}
    both = struck(struck_mesh(tmp_path, file, **item), request)[0]
    for name, length, material in (("long.stl", 0.2, "steel"), ("short.stl", 0.1, "brass")):
        trimesh.creation.box((length, 0.01, 0.016)).export(tmp_path / name)
        alone = struck(struck_mesh(tmp_path, name, material=material), request)[0]
        for hz, decay in zip(alone.frequency_hz[:6], alone.decay_per_s[:6], strict=True):
            near = np.abs(both.frequency_hz / hz - 1) < 0.02
            assert (np.abs(both.decay_per_s[near] / decay - 1) < 0.1).any()
    heard = np.abs(both.gain[:, :20]) > 1e-9 * np.abs(both.gain).max()
    n = len(both.gain) // 2
    assert not (heard[:n].any(axis=0) & heard[n:].any(axis=0)).any()
    density = MATERIALS["steel"].density_kg_m3 * 0.2 + MATERIALS["brass"].density_kg_m3 * 0.1
    assert both.mass_kg == pytest.approx(0.01 * 0.016 * density, rel=0.02)


def test_pieces_of_one_mesh_ring_apart_too(tmp_path: Path) -> None:
    bars = [trimesh.creation.box((0.1, 0.01, 0.01)) for _ in range(3)]
    for i, bar in enumerate(bars):
        bar.apply_translation((0, 0.05 * i, 0))
    trimesh.util.concatenate(bars).export(tmp_path / "three.stl")  # type: ignore[no-untyped-call]
    spec = struck_mesh(tmp_path, "three.stl", parts="apart")
    partials, _ = struck(spec, Request(root=tmp_path))
    lowest = partials.frequency_hz[0]
    assert (np.abs(partials.frequency_hz / lowest - 1) < 0.01).sum() >= 1
    (take,) = render(spec, [Draw(1)], Request(root=tmp_path))
    assert np.isfinite(take.samples).all()
    assert take.peak > 0


@pytest.mark.parametrize("ending", ["glb", "obj"])
def test_parts_have_the_names_of_the_file_and_a_wrong_one_is_said(tmp_path: Path, ending: str) -> None:
    file = knife(tmp_path, ending)
    known = "Handle" if ending == "glb" else "Handle.001"
    assert struck(struck_mesh(tmp_path, file, materials={known: "oak"}), Request(root=tmp_path))[0].mass_kg > 0
    with pytest.raises(MeshUnusable, match=rf"knife\.{ending} has no part 'Handel'; expected one of .*Handle.*did you"):
        struck(struck_mesh(tmp_path, file, materials={"Handel": "oak"}), Request(root=tmp_path))


CUBE = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 0 0 1\nv 1 0 1\nv 1 1 1\nv 0 1 1\n"
LOWER, UPPER = ("f 1 3 2\nf 1 4 3\nf 1 2 6\nf 1 6 5\n", "f 5 6 7\nf 5 7 8\nf 2 3 7\nf 2 7 6\n")
REST = "f 3 4 8\nf 3 8 7\nf 4 1 5\nf 4 5 8\n"


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("o Blade\nusemtl Steel", "o Grip\nusemtl Oak", "o Blade\nusemtl Steel"), ["Blade Steel", "Grip Oak"]),
        (("g Blade", "g Grip", "g Blade"), ["Blade", "Grip"]),
        (("usemtl Steel", "# usemtl None\nusemtl Old oak", "usemtl Steel"), ["Old oak", "Steel"]),
        (("o Axe\ng a\nusemtl Steel", "g b\nusemtl Oak", "g c\nusemtl Steel"), ["Axe Oak", "Axe Steel"]),
        (("", "", "s off"), ["cube.obj 1"]),
    ],
)
def test_the_parts_of_an_obj_have_the_names_that_its_faces_stand_under(
    tmp_path: Path, words: tuple[str, ...], names: list[str]
) -> None:
    """No .mtl is needed; other groups than the only ones change nothing; what of one name stands apart is one part."""
    faces = zip(words, (LOWER, UPPER, REST), strict=True)
    (tmp_path / "cube.obj").write_text("mtllib none.mtl\n" + CUBE + "".join(f"{w}\n{f}" for w, f in faces))
    parts = read_parts(tmp_path / "cube.obj", "cube.obj")
    assert [" ".join(of) for of, _ in parts] == names
    n_faces = [len(surface.faces) for _, surface in parts]
    assert sum(n_faces) == 12
    assert max(n_faces) == (8 if len(names) > 1 else 12)


def test_a_part_without_a_surface_is_left_out(tmp_path: Path) -> None:
    """A marker of one line, as exporters leave them; a file of such parts alone is refused."""
    line = trimesh.Trimesh(np.array([[0.0, 0, 0], [0.1, 0, 0], [0.2, 0, 0]]), [[0, 1, 1]], process=False)
    scene = trimesh.Scene()
    scene.add_geometry(line, node_name="Marker", geom_name="Marker")
    scene.export(tmp_path / "empty.glb")  # type: ignore[no-untyped-call]
    with pytest.raises(MeshUnusable, match=r"empty\.glb holds no surface"):
        read_parts(tmp_path / "empty.glb", "empty.glb")
    for name, x in (("Left", 0.0), ("Right", 0.3)):
        box = trimesh.creation.box((0.1, 0.02, 0.02))
        box.apply_translation((x, 0, 0))
        scene.add_geometry(box, node_name=name, geom_name=name)
    scene.export(tmp_path / "marked.glb")  # type: ignore[no-untyped-call]
    assert [names[0] for names, _ in read_parts(tmp_path / "marked.glb", "marked.glb")] == ["Left", "Right"]


def test_a_part_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    for name, size in (("Good", (0.1, 0.1, 0.1)), ("Bad", (1.0, 0.137, 0.01))):
        scene.add_geometry(trimesh.creation.box(size), node_name=name, geom_name=name)
    scene.export(tmp_path / "two.glb")  # type: ignore[no-untyped-call]
    with pytest.raises(MeshUnusable, match=r"part 'Bad' of two\.glb has a wall of 0\.014 m about"):
        solve(Source(tmp_path / "two.glb", "two.glb", wall_m=0.014, apart=True), 0.3, 8, 3_000)


def test_a_shell_may_have_parts_of_other_materials(tmp_path: Path) -> None:
    """A thin tube of steel with a collar of brass: heavier than steel alone, and lower in pitch or equal."""
    scene = trimesh.Scene()
    for name, low, high in (("Tube", -0.1, 0.05), ("Collar", 0.05, 0.1)):
        side = trimesh.creation.revolve([(0.03, low), (0.03, high)], sections=32)
        scene.add_geometry(side, node_name=name, geom_name=name)
    scene.export(tmp_path / "can.glb")  # type: ignore[no-untyped-call]
    steel, mixed = (
        struck(struck_mesh(tmp_path, "can.glb", wall_m=0.001, **keys), Request(root=tmp_path))[0]
        for keys in ({}, {"materials": {"Collar": "brass"}})
    )
    area = 2 * np.pi * 0.03 * 0.001
    brass, iron = (MATERIALS[name].density_kg_m3 for name in ("brass", "steel"))
    assert mixed.mass_kg == pytest.approx(area * (0.15 * iron + 0.05 * brass), rel=0.02)
    assert mixed.frequency_hz[0] < steel.frequency_hz[0]


@pytest.mark.parametrize(
    ("named", "owner"),
    [(("Nail", "Beam"), "Nail"), (("Beam", "Nail"), "Beam"), (("Nail",), "Nail"), (("Beam",), "Beam")],
)
def test_where_parts_overlap_the_one_named_first_has_the_place(
    tmp_path: Path, named: tuple[str, ...], owner: str
) -> None:
    """A nail in a beam, whose own skin goes on within it; what is not named comes last. Also as the lock keeps it."""
    scene = trimesh.Scene()
    for name, size in (("Beam", (0.2, 0.02, 0.02)), ("Nail", (0.004, 0.004, 0.1))):
        scene.add_geometry(trimesh.creation.box(size), node_name=name, geom_name=name)
    scene.export(tmp_path / "nailed.glb")  # type: ignore[no-untyped-call]
    spec = struck_mesh(tmp_path, "nailed.glb", materials=dict.fromkeys(named, "oak"))
    assert isinstance(spec.object, FromFile)
    source = source_of(spec.object, Request(root=tmp_path))
    places = np.array([[0.0, 0.0, 0.001], [0.0, 0.0, 0.2], [0.3, 0.0, 0.0]])
    found = Kinds.of(source, 0.3).mixture(places, 0.2).owner
    of_part = {name: i + 1 for i, name in enumerate(named)}
    np.testing.assert_array_equal(found, [of_part.get(name, 0) for name in (owner, "Nail", "Beam")])
    guided = Guided("", "impact", "", spec.model_dump(mode="json"), 0.0, 0.0, 0, "")
    locked = json.loads(Lock({"one": LockedSound("", "", {}, {}, guided=guided)}).to_text())
    assert tuple(locked["sounds"]["one"]["guided"]["body"]["object"]["materials"]) == named


def test_what_no_part_holds_is_of_the_nearest_one(tmp_path: Path) -> None:
    """Also where that one is a long bar, whose few triangles have their middles farther away than many small ones."""
    scene = trimesh.Scene()
    bar, ball, block = (
        trimesh.creation.box((2.0, 0.02, 0.02)),
        trimesh.creation.icosphere(3, 0.05),
        trimesh.creation.box((0.04, 0.04, 0.04)),
    )
    ball.apply_translation((0.7, 0, 0.2))
    block.apply_translation((0.7, 0, 0.09))
    bar = trimesh.util.concatenate([bar, ball])
    scene.add_geometry(bar, node_name="Bar", geom_name="Bar")
    scene.add_geometry(block, node_name="Block", geom_name="Block")
    scene.export(tmp_path / "bar.glb")  # type: ignore[no-untyped-call]
    source = Source(tmp_path / "bar.glb", "bar.glb", others=(("Block", Ingredient(1.0, 2.0, 0.3)),))
    gap = np.array([[0.7, 0.0, 0.03], [0.7, 0.0, 0.05]])  # 20 and 40 mm from the bar, 40 and 20 from the block
    np.testing.assert_array_equal(Kinds.of(source, 0.3).mixture(gap, 1.0).owner, [0, 1])


def test_a_mixed_body_is_the_same_twice_and_as_bytes(tmp_path: Path) -> None:
    source = Source(tmp_path / two(tmp_path), "two.glb", apart=True)
    first, second = (solve(source, 0.29, 16, 8_000) for _ in range(2))
    assert first.to_bytes() == second.to_bytes()
    assert Found.from_bytes(first.to_bytes()).to_bytes() == first.to_bytes()
    assert isinstance(first.family, ModeFamily)
    assert first.family.n_rigid == 12


def test_a_scene_s_bodies_are_of_one_material() -> None:
    item = {"shape": "mesh", "file": "axe.glb", "materials": {"handle": "oak"}}
    with pytest.raises(ValidationError, match="moves as one, of one material"):
        Scene.model_validate({"bodies": [{"object": item}]}, strict=False)
