"""Files that a source file names in turn: the buffers beside a .gltf."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote


def buffers(path: Path) -> tuple[str, ...]:
    """Paths of the .bin files of a .gltf, relative to its folder; none for other files, or where it cannot be read."""
    if path.suffix.lower() != ".gltf":
        return ()
    try:
        listed = json.loads(path.read_text(encoding="utf-8")).get("buffers", [])
        names = [buffer.get("uri", "data:") for buffer in listed]
    except (OSError, ValueError, AttributeError, TypeError):
        return ()  # whoever reads the mesh says what is wrong with it
    return tuple(unquote(name) for name in names if isinstance(name, str) and not name.startswith("data:"))
