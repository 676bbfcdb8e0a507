"""glTF files: what of them trimesh would pass over in silence, and the files that they name."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sfxgen.errors import MeshUnusable
from sfxgen.manifest.paths import inside

ENDINGS = (".glb", ".gltf")
_HEADER = struct.Struct("<4sIII4s")  # of a .glb: magic, version, length; length and type of its first chunk, the JSON
_COMPRESSED = {"KHR_draco_mesh_compression": "Draco", "EXT_meshopt_compression": "meshopt"}
_INSTANCES = "EXT_mesh_gpu_instancing"
_FAN = 6  # the mode of a primitive of triangles about one point


def check(path: Path, name: str) -> None:
    """Raises MeshUnusable for what would not be read as it is meant. name: as messages call the file."""
    try:
        document = _document(path.read_bytes())
    except (ValueError, struct.error) as error:
        raise MeshUnusable(
            f"{name} cannot be read as a mesh: it is no glTF file, or a damaged one; export it again"
        ) from error
    required = document.get("extensionsRequired", [])
    for extension in (extension for extension in _COMPRESSED if extension in required):
        raise MeshUnusable(
            f"{name} is compressed with {_COMPRESSED[extension]}, which sfxgen does not read; export it without"
        )
    if any(_INSTANCES in node.get("extensions", {}) for node in document.get("nodes", [])):
        raise MeshUnusable(
            f"{name} has instances ({_INSTANCES}), which sfxgen does not read; export each as a node of its own"
        )
    primitives = [primitive for mesh in document.get("meshes", []) for primitive in mesh.get("primitives", [])]
    if any(primitive.get("mode") == _FAN for primitive in primitives):
        raise MeshUnusable(f"{name} has fans of triangles, which sfxgen does not read; export it as triangles")
    accessors, places = document.get("accessors", []), {p.get("attributes", {}).get("POSITION") for p in primitives}
    if any("sparse" in accessors[i] for i in places if isinstance(i, int) and i < len(accessors)):
        raise MeshUnusable(f"{name} has sparse accessors, which sfxgen does not read; export it without")
    if not document.get("scenes"):
        raise MeshUnusable(f"{name} has no scene, which places its meshes; export it with one")


class Beside:
    """Gives trimesh the files that a glTF file names, whose names are percent-encoded, by its resolvers' protocol.

    name: the path of the file from the project's root, out of which nothing is read.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    def get(self, uri: str) -> bytes:
        """Raises MeshUnusable."""
        folder, wanted = self.name.rpartition("/")[0], unquote(uri)
        if inside(folder, wanted) is None:
            raise MeshUnusable(f"{self.name} names '{uri}', which is no file of the project; export it again as .glb")
        try:
            return (self.path.parent / wanted).read_bytes()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise MeshUnusable(f"{self.name} names '{uri}': {reason}; export it again, or copy that file") from error

    __getitem__ = get


def _document(data: bytes) -> dict[str, Any]:
    if data[:4] == b"glTF":
        _, _, _, length, _ = _HEADER.unpack_from(data)
        data = data[_HEADER.size : _HEADER.size + length]
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError("the JSON of a glTF file is an object")
    return found
