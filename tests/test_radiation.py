"""The sound field around a body, held against closed forms: spheres, discs, and what must hold whatever the body."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from keeping import keeping
from scipy.signal import butter, sosfiltfilt
from scipy.special import spherical_jn, spherical_yn

from sfxgen.draw import Draw
from sfxgen.errors import SfxgenError
from sfxgen.generate import rooms
from sfxgen.generate.impact import render, struck
from sfxgen.generate.modal_bank import modal_bank
from sfxgen.generate.objects import solved
from sfxgen.generate.recipe import Request
from sfxgen.generate.scene import render as render_scene
from sfxgen.manifest.impact import AnyBody, FromFile, Impact
from sfxgen.manifest.room import Room
from sfxgen.manifest.scene import Scene
from sfxgen.physics.air.absorption import air_db_per_m
from sfxgen.physics.air.field import Field, all_round, field, on_skin
from sfxgen.physics.air.kernels import Layers
from sfxgen.physics.air.panels import MOST, panelled
from sfxgen.physics.air.shoebox import LONGEST_S, echoes, images, t60_s
from sfxgen.physics.meshing.triangles import areas, enclosed
from sfxgen.physics.modal.families import ModeFamily
from sfxgen.physics.modal.modes import family, solve
from sfxgen.physics.modal.shapes import Array, Body
from sfxgen.synths.room import of_echoes

RADIUS = 0.5
SPHERE = Layers.of(panelled(trimesh.creation.icosphere(4, RADIUS).triangles)[0].corners)
PLACE = np.array([0.3, 0.2, 0.9])


_known: dict[str, bytes] = {}
REQUEST = keeping(_known)


def field_of(item: AnyBody, request: Request) -> Field:
    found = solved(item, request, has_field=True).field
    assert found is not None
    return found


def hankel(z: float, slope: bool = False) -> complex:
    """h₁, or its slope."""
    return complex(spherical_jn(1, z, slope) + 1j * spherical_yn(1, z, slope))


@pytest.mark.parametrize("k", [0.2, 1.0, 3.0, 2 * np.pi, 8.98681891, 12.0])  # 2 π and 8.987: what a sphere holds inside
@pytest.mark.parametrize("order", [0, 1])
def test_a_sphere_that_pulses_or_moves_to_and_fro(order: int, k: float) -> None:
    """Pressure on its skin within 5 % everywhere, at a place beyond within 5 %, power within 0.3 dB, up to ka = 6."""
    ka, r = k * RADIUS, float(np.linalg.norm(PLACE))
    cosine = SPHERE.middles[:, 2] / np.linalg.norm(SPHERE.middles, axis=1)
    moved = cosine if order else np.ones(len(cosine))
    impedance = 1j * hankel(ka) / hankel(ka, slope=True) if order else 1j * ka / (1j * ka - 1)
    there = impedance * RADIUS / r * np.exp(1j * k * (r - RADIUS))
    if order:
        there = 1j * hankel(k * r) / hankel(ka, slope=True) * PLACE[2] / r
    one = np.array([k])
    pressure = on_skin(SPHERE, one, moved[:, None], is_sheet=False)
    found = Field(SPHERE.corners, moved[:, None], pressure, one, False, np.zeros(1), np.ones(1, dtype=bool))
    assert np.abs(pressure[:, 0] - impedance * moved).max() < 0.05 * abs(impedance)
    assert abs(found.at(PLACE)[0] - there) < 0.05 * abs(there)
    expected = impedance.real * 4 * np.pi * RADIUS**2 / (3 if order else 1)
    assert abs(10 * np.log10(all_round(found)[0] / expected)) < 0.3


@pytest.mark.parametrize("edge", [0.12, 0.06])
def test_a_disc_s_added_mass(edge: float) -> None:
    """A rigid disc that moves across itself at low frequencies carries 8/3 ρ a³ of air, pressed as √(a² - r²). With
    panels of constant pressure its rim lies a fraction of one farther out."""
    turn = np.linspace(0, 2 * np.pi, 97)[:-1]
    rim = RADIUS * np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=1)
    triangles = np.stack([np.zeros_like(rim), rim, np.roll(rim, -1, axis=0)], axis=1)
    panels, _ = panelled(triangles, edge)
    assert panels.is_sheet
    layers = Layers.of(panels.corners)
    jump = on_skin(layers, np.array([0.05]), np.ones((len(layers.areas), 1)), is_sheet=True)[:, 0]
    carried = -float((jump.imag * layers.areas).sum()) / 0.05
    assert 0 < carried / (8 / 3 * RADIUS**3) - 1 < 0.9 * edge


def test_sources_add_up_to_the_field_of_a_point_within() -> None:
    """Whatever the shape: a box that moves as the field of a point source inside of it has that source's pressure."""
    inside, k = np.array([0.12, -0.05, 0.04]), 5.0
    panels, _ = panelled(trimesh.creation.box((1.0, 0.6, 0.4)).triangles)
    layers = Layers.of(panels.corners)
    way = layers.middles - inside
    r = np.linalg.norm(way, axis=1)
    source = np.exp(1j * k * r) / r
    slope = source * (1j * k - 1 / r) * (way * layers.normals).sum(axis=1) / r
    moved = slope / (1j * k)
    parts = np.stack([moved.real, moved.imag], axis=1)
    pressure = on_skin(layers, np.array([k, k]), parts, is_sheet=False) @ np.array([1, 1j])
    assert np.abs(pressure - source).max() < 0.12 * np.abs(source).max()
    assert np.sqrt(np.mean(np.abs(pressure - source) ** 2)) < 0.04 * np.sqrt(np.mean(np.abs(source) ** 2))


@pytest.mark.parametrize(
    ("mesh", "is_sheet"),
    [
        (trimesh.creation.box((1.0, 0.6, 0.3)), False),
        (trimesh.creation.annulus(0.3, 0.5, 0.8), False),
        (trimesh.creation.torus(0.4, 0.1), False),
        (trimesh.creation.revolve([(0.0, -0.5), (0.3, -0.5), (0.3, 0.3)], sections=48), True),
    ],
    ids=["box", "ring", "torus", "cup"],
)  # fmt: skip
def test_panels_cover_the_skin(mesh: trimesh.Trimesh, is_sheet: bool) -> None:
    panels, means = panelled(mesh.triangles)
    assert 400 < len(panels.corners) <= MOST
    assert panels.is_sheet == is_sheet
    assert areas(panels.corners).sum() == pytest.approx(mesh.area, rel=0.02)
    np.testing.assert_allclose(np.asarray(means.sum(axis=1)).ravel(), 1.0)
    if not is_sheet:
        assert enclosed(panels.corners) == pytest.approx(mesh.volume, rel=0.06)
        layers = Layers.of(panels.corners)
        if mesh.euler_number == 2:  # closed: from within, a closed skin fills the whole view
            np.testing.assert_allclose(layers.double.sum(axis=1), -0.5, atol=1e-9)


@pytest.mark.parametrize(
    "body",
    [
        Body("bar", (1.0, 0.1, 0.06)), Body("plate", (1.0, 0.7, 0.01)), Body("box", (1.0, 0.7, 0.6)),
        Body("box", (1.0, 0.7, 0.6), 0.03), Body("sphere", (1.0,)), Body("cylinder", (1.0, 8.0)),
        Body("cylinder", (1.0, 0.05)), Body("tube", (1.0, 4.0), 0.03), Body("bowl", (1.0, 0.5), 0.02),
        Body("bell", (1.0, 0.9), 0.02),
    ],
    ids=lambda body: f"{body.shape}{'-walled' * (body.wall > 0)}",
)  # fmt: skip
def test_panels_of_every_shape_move_as_its_skin_does(body: Body) -> None:
    """∫ φ² over the outside in panels is that of the modes, but for what is inside a hollow body and for edges."""
    modes = solve(body, 0.3, 24, panels=True)
    assert modes.moved.shape == (len(modes.panels.corners), len(modes.omega))
    size = areas(modes.panels.corners)
    skin = (modes.moved**2 * size[:, None]).sum(axis=0) * (2 if modes.panels.is_sheet else 1)
    if body.shape == "box" and body.wall:
        skin = 2 * skin
    moves_out = (skin > 0.5 * modes.skin) & (
        modes.skin > 0.05 * modes.skin.max()
    )  # others twist, or move along a sheet
    assert moves_out.sum() >= 8
    np.testing.assert_allclose(skin[moves_out][:8], modes.skin[moves_out][:8], rtol=0.12)


def test_a_mesh_has_the_field_of_its_shape(tmp_path: Path) -> None:
    """A bowl from a file, open and thus a shell, beside the shape: the radiated power of pairs within 2 dB."""
    size, wall = 0.2, 0.004
    shape = Impact.model_validate(
        {"object": {"shape": "bowl", "size_m": [size, size / 2], "wall_m": wall}, "radiation": "field"}
    )
    turn = np.linspace(0, np.pi / 2, 24)
    profile = (size / 2 - wall / 2) * np.stack([np.sin(turn), -np.cos(turn)], axis=1)
    trimesh.creation.revolve(profile, sections=72).export(tmp_path / "bowl.stl")
    mesh = {"shape": "mesh", "file": "bowl.stl", "wall_m": wall}
    found, expected = (
        struck(Impact.model_validate({"object": item, "radiation": "field"}), Request(root=tmp_path))[0]
        for item in (mesh, shape.object.model_dump())
    )
    for hz in expected.frequency_hz[:3]:
        near = [np.abs(p.frequency_hz / hz - 1) < 0.04 for p in (found, expected)]
        levels = [
            10 * np.log10((p.areas @ p.gain[:, pair] ** 2).sum() / p.areas.sum())
            for p, pair in zip((found, expected), near, strict=True)
        ]
        assert abs(levels[0] - levels[1]) < 2.0


def plate(**keys: object) -> Impact:
    item = {"shape": "plate", "size_m": [0.3, 0.2, 0.003], "material": "steel"}
    return Impact.model_validate({"object": item, "radiation": "field", **keys}, strict=False)


def test_a_plate_is_silent_in_its_own_plane() -> None:
    """Front and back cancel at its edge. Above it the first mode that moves its middle is the loudest of all places."""
    above, beside = (struck(plate(listener_m=place), REQUEST)[0] for place in ([0, 0, 1], [1, 0, 0]))
    middle, known = above.reach.argmin(), above.frequency_hz < 4000
    assert np.abs(above.gain[middle, known]).max() > 1
    assert np.abs(beside.gain[middle, known]).max() < 0.01 * np.abs(above.gain[middle, known]).max()


def test_far_off_pressure_falls_with_distance_and_its_mean_square_is_the_power_s() -> None:
    found = field_of(plate().object, REQUEST)
    near, far = (r * np.abs(found.at(r * np.array([0.6, 0.0, 0.8]))) for r in (500.0, 1000.0))
    np.testing.assert_allclose(near, far, atol=0.01 * near.max())
    z = np.linspace(-1, 1, 41)[:-1] + 1 / 40
    turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    directions = [
        200 * np.array([np.sqrt(1 - c * c) * np.cos(t), np.sqrt(1 - c * c) * np.sin(t), c]) for c in z for t in turn
    ]
    mean = 4 * np.pi * 200**2 * np.mean([np.abs(found.at(d)) ** 2 for d in directions], axis=0)
    np.testing.assert_allclose(mean, found.radiated, rtol=0.05, atol=1e-6 * found.radiated.max())


def test_one_field_serves_every_size() -> None:
    small, large = (
        Impact.model_validate({"object": {"shape": "plate", "size_m": size}, "radiation": "field"}, strict=False)
        for size in ([0.2, 0.1, 0.002], [0.6, 0.3, 0.006])
    )
    first = field_of(small.object, REQUEST)
    n = len(_known)
    second = field_of(large.object, REQUEST)
    assert len(_known) == n
    np.testing.assert_array_equal(first.radiated, second.radiated)


def test_a_field_is_the_same_twice_and_as_bytes() -> None:
    item = plate().object
    first, second = field_of(item, REQUEST), field_of(item, Request())
    assert first.to_bytes() == second.to_bytes()
    assert Field.from_bytes(first.to_bytes()).to_bytes() == first.to_bytes()
    modes = family(Body("bowl", (1.0, 0.5), 0.02), 0.3, 16, panels=True)
    assert ModeFamily.from_bytes(modes.to_bytes()).to_bytes() == modes.to_bytes()


@pytest.mark.parametrize(
    "item",
    [{"shape": "cylinder", "size_m": [0.001, 0.4]}, {"shape": "bar", "size_m": [1.0, 0.009, 0.009]}],
    ids=["wire", "stick"],
)
def test_what_panels_do_not_go_round_is_heard_by_the_quick_law_and_says_so(item: dict[str, object]) -> None:
    said: list[str] = []
    quick, by_field = (
        struck(Impact.model_validate({"object": item, "radiation": way}, strict=False), Request(warn=said.append))[0]
        for way in ("quick", "field")
    )
    np.testing.assert_array_equal(quick.gain, by_field.gain)
    assert len(said) == 1
    assert "has no sound field" in said[0]


@pytest.mark.parametrize("body", [Body("bar", (1.0, 0.08, 0.08)), Body("cylinder", (1.0, 20.0))], ids=["bar", "rod"])
def test_both_modes_of_a_pair_radiate_alike(body: Body) -> None:
    """Bending one way and the other, of a square bar and of a round rod: within 0.3 dB."""
    modes = solve(body, 0.29, 16, panels=True)
    found = field(modes, 15.0)
    pairs = [i for i in range(len(found.radiated) - 1) if abs(modes.omega[i + 1] / modes.omega[i] - 1) < 1e-3]
    assert len(pairs) >= 3
    for i in pairs:
        assert abs(10 * np.log10(found.radiated[i + 1] / found.radiated[i])) < 0.3


def test_what_moves_along_a_sheet_keeps_the_quick_law() -> None:
    """The default bar is a sheet: its edgewise modes are not silent, as the sheet would have them."""
    item = {"shape": "bar", "size_m": [0.3, 0.03, 0.006]}
    spec = Impact.model_validate({"object": item, "radiation": "field"}, strict=False)
    found = field_of(spec.object, REQUEST)
    assert found.is_sheet
    assert 0 < (~found.known).sum() < found.known.sum()
    quick, by_field = (
        struck(spec.model_copy(update={"radiation": way}), REQUEST)[0].gain for way in ("quick", "field")
    )
    unknown = np.flatnonzero(~found.known)[:2]
    np.testing.assert_array_equal(by_field[:, unknown], quick[:, unknown])


def test_a_bank_has_the_level_of_its_wav_wherever_it_is_heard() -> None:
    """The bank of a body heard from twice as far is half as loud, its knock as well."""
    near, far = (modal_bank("x", plate(listener_m=[0, 0, r], runtime="modal"), REQUEST, 0.0) for r in (20.0, 40.0))
    ratio = np.max(near["mean_gain"]) / np.max(far["mean_gain"])
    assert ratio == pytest.approx(2.0, rel=0.02)
    np.testing.assert_allclose(np.array(near["click_gain"]) / np.array(far["click_gain"]), 2.0, rtol=1e-6)


def test_a_listener_s_distance_is_heard_and_the_field_changes_the_balance() -> None:
    (near,), (far,) = (render(plate(listener_m=[0, 0, r]), [Draw(1)], REQUEST) for r in (2.0, 4.0))
    assert near.peak / far.peak == pytest.approx(2.0, rel=0.1)
    quick, by_field = (struck(plate(radiation=way), REQUEST)[0] for way in ("quick", "field"))
    np.testing.assert_array_equal(quick.frequency_hz, by_field.frequency_hz)
    difference_db = 20 * np.log10(np.abs(by_field.gain).max(axis=0) / np.abs(quick.gain).max(axis=0))
    assert difference_db[:3].min() < -10  # a plate's first modes move four corners against each other
    assert (by_field.decay_per_s[:3] <= quick.decay_per_s[:3] * 1.001).all()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ((0.0, 0.05, 0.0), "inside of the body"),
        ((0.0, 0.0, 0.102), r"\d.* mm from the skin of the body; expected a place at least \d+ mm off"),
    ],
)
def test_a_listener_in_a_mesh_or_at_its_skin_is_said(
    tmp_path: Path, place: tuple[float, float, float], words: str
) -> None:
    trimesh.creation.box((0.2, 0.2, 0.2)).export(tmp_path / "box.stl")
    spec = Impact(object=FromFile(shape="mesh", file="box.stl"), radiation="field", listener_m=place)
    with pytest.raises(SfxgenError, match=rf"listener_m is \[.*\], {words}"):
        struck(spec, replace(REQUEST, root=tmp_path))


def test_a_mesh_far_from_its_origin_is_heard_from_there(tmp_path: Path) -> None:
    """The distance is that from the body: at the origin of its file, a metre away, it sounds as from a metre."""
    for name, z in (("here", 0.0), ("there", 1.0)):
        box = trimesh.creation.box((0.3, 0.2, 0.02))
        box.apply_translation((0, 0, z))
        box.export(tmp_path / f"{name}.stl")
    request = replace(REQUEST, root=tmp_path)
    item = {"shape": "mesh", "material": "wood"}
    at_origin, from_afar = (
        struck(Impact.model_validate({"object": {**item, "file": file}, "radiation": "field", "listener_m": place},
                                     strict=False), request)[0]
        for file, place in (("there.stl", [0, 0, 0]), ("here.stl", [0, 0, -1]))
    )  # fmt: skip
    assert at_origin.distance_m == pytest.approx(1.0, abs=0.01)
    loudness = [np.sqrt(p.areas @ p.gain[:, :12] ** 2) for p in (at_origin, from_afar)]
    np.testing.assert_allclose(loudness[0], loudness[1], rtol=0.02, atol=0.02 * float(loudness[1].max()))


def test_a_mesh_in_two_units_has_two_fields(tmp_path: Path) -> None:
    """With exact_hz the number of modes depends on the size, and so on the unit."""
    trimesh.creation.box((0.3, 0.2, 0.02)).export(tmp_path / "slab.stl")
    request = replace(REQUEST, root=tmp_path)
    for unit in ("m", "in"):
        item = FromFile(shape="mesh", file="slab.stl", unit=unit, material="plastic", exact_hz=7000)
        found = solved(item, request, has_field=True)
        assert found.field is not None
        assert len(found.field.wave_number) <= len(found.modes.omega)
        np.testing.assert_allclose(
            found.field.wave_number,
            (found.modes.omega * found.field.wave_number[0] / found.modes.omega[0])[: len(found.field.wave_number)],
        )


@pytest.mark.parametrize(
    ("hz", "db_per_km"),  # ISO 9613-2:1996, table 2: 20 °C, 70 % relative humidity
    [(125, 0.3), (250, 1.1), (500, 2.8), (1000, 5.0), (2000, 9.0), (4000, 22.9), (8000, 76.6)],
)
def test_air_absorbs_as_the_standard_s_table_says(hz: float, db_per_km: float) -> None:
    exact_hz = 1000 * 10 ** (3 / 10 * round(np.log2(hz / 1000)))
    found: Array = 1000 * air_db_per_m(np.array([exact_hz]), 20.0, 0.7)
    assert float(found[0]) == pytest.approx(db_per_km, abs=0.06, rel=0.01)


BOX = ((6.0, 4.0, 2.8), (2.1, 1.6, 1.0), (4.3, 2.7, 1.6))


def test_a_shoebox_s_first_echo_is_the_floor_s() -> None:
    """When and as loud as its mirror image is far; the level from band to band as the walls have it."""
    bands_hz, heights = echoes(*BOX, (0.1, 0.1, 0.2, 0.36, 0.36, 0.36), 48_000)
    assert list(bands_hz[:6]) == [125, 250, 500, 1000, 2000, 4000]
    direct, floor = math.dist(BOX[1], BOX[2]), math.dist((2.1, 1.6, -1.0), BOX[2])
    first = int(np.flatnonzero(heights[3])[0])
    assert first == round((floor - direct) / 343 * 48_000)
    np.testing.assert_allclose(heights[[0, 3], first], direct / floor * np.sqrt([0.9, 0.64]), rtol=0.01)


@pytest.mark.parametrize("size", [BOX[0], (15.0, 10.0, 6.0), (4.0, 3.5, 3.0)])
def test_a_shoebox_dies_away_as_eyring_says(size: tuple[float, float, float]) -> None:
    """Schroeder's T60 of its octaves from 500 to 4000 Hz within 15 %, with what the air takes."""
    absorption = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35)
    bands_hz, heights = echoes(size, (1.3, 1.6, 1.0), (2.7, 2.7, 1.6), absorption, 48_000)
    answer = of_echoes(torch.from_numpy(heights), torch.from_numpy(bands_hz), 48_000).numpy()
    air = air_db_per_m(bands_hz[:6]) * 343 / 60
    expected_s = 1 / (1 / t60_s(size, np.array(absorption)) + air)
    for hz, fall_s in list(zip(bands_hz, expected_s, strict=False))[2:]:
        octave = sosfiltfilt(butter(3, [hz / math.sqrt(2), hz * math.sqrt(2)], "band", fs=48_000, output="sos"), answer)
        energy = np.cumsum(octave[::-1] ** 2)[::-1]
        level_db = 10 * np.log10(energy / energy[0])
        start, end = (int(np.argmax(level_db < db)) for db in (-5, -25))
        assert 3 * (end - start) / 48_000 == pytest.approx(fall_s, rel=0.15)


def test_a_shoebox_that_rings_too_long_is_faded_out() -> None:
    size, absorption = (30.0, 20.0, 12.0), (0.01,) * 6
    assert t60_s(size, np.array(absorption)).max() > 2 * LONGEST_S
    _, heights = echoes(size, BOX[1], BOX[2], absorption, 8_000)
    assert heights.shape[1] == LONGEST_S * 8_000
    parts = heights.reshape(len(heights), 40, -1).std(axis=2)
    assert (parts[:, -1] < 0.03 * parts[:, 0]).all()
    assert (parts[0, 1:] > 0.5 * parts[0, :-1])[:30].all(), "it does not end before"


def test_a_room_of_noise_has_fallen_by_60_db_where_it_ends() -> None:
    room = Room.model_validate({"bands": [{"centre_hz": 1000, "t60_s": 18}]}, strict=False)
    wet = rooms.in_room(np.ones(1), room, 8_000)
    assert len(wet) == 18 * 8_000
    assert wet[-4_000:].std() < 2e-3 * wet[100:4_100].std()


def test_images_and_the_noise_after_them_have_one_energy() -> None:
    """N(t) of the images, each of its own energy, is the diffuse field's within 1 dB once there are some hundreds."""
    crowded = 0.18
    distance, order = images(*BOX, crowded * 343)
    energy = (math.dist(BOX[1], BOX[2]) / distance) ** 2 * 0.85**order
    found, edges = np.histogram(distance / 343, np.arange(0.04, crowded, 0.02), weights=energy)
    at_s = (edges[1:] + edges[:-1]) / 2
    falls = 10 ** (-6 * at_s / t60_s(BOX[0], np.array([0.15])))
    diffuse = 0.02 * 4 * np.pi * 343 * math.dist(BOX[1], BOX[2]) ** 2 / math.prod(BOX[0]) * falls
    np.testing.assert_allclose(10 * np.log10(found / diffuse), 0.0, atol=1.0)


def test_a_room_with_walls_leaves_the_blow_and_goes_on_after_it() -> None:
    item = {"shape": "sphere", "size_m": [0.01], "material": "rubber"}
    places: tuple[dict[str, object], ...] = ({}, {"room": {"shoebox": {}}})
    dry, wet = (
        render(Impact.model_validate({"object": item, "click_db": 12, **room}, strict=False), [Draw(1)], REQUEST)[0]
        for room in places
    )
    before = int(np.abs(dry.samples[0]).argmax()) + round(0.001 * 48_000)  # of the first echo
    np.testing.assert_allclose(wet.samples[0, :before], dry.samples[0, :before], atol=0.05 * dry.peak)
    assert wet.duration_s > dry.duration_s + 0.3


def test_a_room_answers_all_takes_alike_and_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    worked_out: list[tuple[float, ...]] = []

    def counted(size_m: tuple[float, float, float], *rest: Any) -> Any:
        worked_out.append(size_m)
        return echoes(size_m, *rest)

    monkeypatch.setattr(rooms, "echoes", counted)
    room = Room.model_validate({"shoebox": {"size_m": [5.5, 4.5, 3.5]}}, strict=False)
    click = np.ones((1, 1))
    first, second = (rooms.in_room(click, room, 16_000) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    again = room.model_copy(deep=True)
    np.testing.assert_array_equal(rooms.in_room(click, again, 16_000), first)
    assert worked_out == [(5.5, 4.5, 3.5)]
    assert rooms.in_room(click, again, 8_000).shape != first.shape


def test_scenes_have_fields_and_rooms() -> None:
    scene = {"bodies": [{"object": {"shape": "bar", "size_m": [0.2, 0.02, 0.004]}}], "height_m": [0.3, 0.3]}
    draws = [Draw(3)]
    ways: tuple[dict[str, object], ...] = ({}, {"radiation": "field"}, {"room": {"shoebox": {}}})
    plain, by_field, roomy = (
        render_scene(Scene.model_validate({**scene, **keys}, strict=False), draws, REQUEST)[0] for keys in ways
    )
    assert not np.array_equal(plain.samples, by_field.samples)
    assert roomy.duration_s > plain.duration_s
    added = roomy.samples[:, : plain.n_frames] - plain.samples
    assert np.sum(added**2) > 0.3 * np.sum(plain.samples**2)  # at 1.2 m the room is about as loud as the bar
