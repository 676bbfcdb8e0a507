"""glTF files as exporters write them: what is read, and what is told in place of being passed over."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

from sfxgen.errors import MeshUnusable
from sfxgen.physics.meshing.meshes import cleaned, read_surface

BOX = trimesh.creation.box((0.2, 0.1, 0.05))
POINTS, FACES = np.asarray(BOX.vertices, dtype=np.float32), np.asarray(BOX.faces, dtype=np.uint32)
DATA = POINTS.tobytes() + FACES.tobytes()


def document() -> dict[str, Any]:
    """A box, its buffer within."""
    return {
        "asset": {"version": "2.0"},
        "buffers": [
            {"byteLength": len(DATA), "uri": "data:application/octet-stream;base64," + base64.b64encode(DATA).decode()}
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": POINTS.nbytes},
            {"buffer": 0, "byteOffset": POINTS.nbytes, "byteLength": FACES.nbytes},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": len(POINTS), "type": "VEC3"},
            {"bufferView": 1, "componentType": 5125, "count": FACES.size, "type": "SCALAR"},
        ],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
        "scene": 0,
    }


def written(root: Path, content: dict[str, Any] | str) -> Path:
    path = root / "box.gltf"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_box_is_read(tmp_path: Path) -> None:
    surface = read_surface(written(tmp_path, document()), "box.gltf")
    assert (len(surface.faces), surface.holes) == (12, 0)


@pytest.mark.parametrize("uri", ["my box.bin", "my%20box.bin", "../buffers/box%C3%A9.bin"])
def test_buffers_are_found_by_their_names_percent_encoded_or_not(tmp_path: Path, uri: str) -> None:
    for folder in ("models", "buffers"):
        (tmp_path / folder).mkdir()
    for name in ("models/my box.bin", "buffers/boxé.bin"):
        (tmp_path / name).write_bytes(DATA)
    content = document()
    content["buffers"][0]["uri"] = uri
    assert len(read_surface(written(tmp_path / "models", content), "models/box.gltf").faces) == 12


def with_uri(content: dict[str, Any], uri: str) -> None:
    content["buffers"][0]["uri"] = uri


REFUSED: dict[str, Any] = {
    "compressed with Draco": lambda c: c.update(extensionsRequired=["KHR_draco_mesh_compression"]),
    "compressed with meshopt": lambda c: c.update(extensionsRequired=["EXT_meshopt_compression"]),
    "has instances": lambda c: c["nodes"][0].update(extensions={"EXT_mesh_gpu_instancing": {"attributes": {}}}),
    "has fans": lambda c: c["meshes"][0]["primitives"][0].update(mode=6),
    "has sparse accessors": lambda c: c["accessors"][0].update(sparse={"count": 1}),
    "has no scene": lambda c: c.pop("scenes"),
    "names 'gone.bin': no such file": lambda c: with_uri(c, "gone.bin"),
    "names '../../x.bin', which is no file of the project": lambda c: with_uri(c, "../../x.bin"),
    "names 'https://example.org/x.bin', which is no file of the project": lambda c: with_uri(
        c, "https://example.org/x.bin"
    ),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_would_be_passed_over_is_told(tmp_path: Path, words: str) -> None:
    content = document()
    REFUSED[words](content)
    with pytest.raises(MeshUnusable, match=rf"^models/box\.gltf .*{words}"):
        read_surface(written(tmp_path, content), "models/box.gltf")


@pytest.mark.parametrize("text", ["{", "[]", "<html></html>", ""])
def test_damaged_ones_are_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        MeshUnusable, match=r"^box\.gltf cannot .*: it is no glTF file, or a damaged one; export it again"
    ):
        read_surface(written(tmp_path, text), "box.gltf")
    (tmp_path / "box.glb").write_bytes(b"glTF" + text.encode())
    with pytest.raises(
        MeshUnusable, match=r"^box\.glb cannot .*: it is no glTF file, or a damaged one; export it again"
    ):
        read_surface(tmp_path / "box.glb", "box.glb")


def test_a_line_of_triangles_beside_a_body_is_left_out_but_not_one_within_its_skin() -> None:
    points = np.asarray(BOX.vertices)
    line = np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.3, 0.0, 0.0]])
    beside = cleaned(np.concatenate([points, line]), np.concatenate([FACES.astype(np.int64), [[8, 9, 10]]]))
    assert (len(beside.faces), beside.holes) == (12, 0)
    np.testing.assert_allclose(beside.extent, [0.2, 0.1, 0.05])
    # A point on an edge, where two triangles meet one, and an empty triangle between them.
    a, b, c = FACES[0].astype(np.int64)
    middle = (points[a] + points[b]) / 2
    split = [[a, 8, c], [8, b, c], [a, b, 8]]
    within = cleaned(np.concatenate([points, [middle]]), np.concatenate([FACES[1:].astype(np.int64), split]))
    assert (len(within.faces), within.holes) == (14, 0)


def test_a_body_too_far_from_its_origin_is_told(tmp_path: Path) -> None:
    far = BOX.copy()
    far.apply_translation([0, 1e4, 0])
    far.export(tmp_path / "far.stl")
    with pytest.raises(MeshUnusable, match=r"^far\.stl lies 50,\d\d\d times its length from its origin, .* move it to"):
        read_surface(tmp_path / "far.stl", "far.stl")
