"""Where a library's files are. Needs nothing, so that planning can look without loading numpy."""

from __future__ import annotations

from pathlib import Path

INDEX_FILE, LEVELS_FILE = "library.json", "levels.bin"
SHIPPED = Path(__file__).parent / "data"
