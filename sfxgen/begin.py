"""`sfxgen init`: the first files of a project. What is there already is never touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from sfxgen.disk import Disk, write_atomically
from sfxgen.export import ENGINES, detect_engine
from sfxgen.manifest.project import CONFIG_FILE
from sfxgen.manifest.schema import config_schema, manifest_schema

MANIFEST_SCHEMA = "manifest.schema.json"
CONFIG_SCHEMA = "config.schema.json"

_CONFIG = """\
# yaml-language-server: $schema=.sfxgen/{schema}
# Settings of sfxgen; every key is optional.
engine: {engine}
manifests: sounds        # folder or glob of manifests
out: {out}        # where the finished files go
master: {{loudness_lufs: -18, true_peak_dbtp: -1, rate_hz: 48000, channels: 1, format: wav}}
"""

_MANIFEST = """\
# yaml-language-server: $schema=../.sfxgen/{schema}
version: 1
sounds:
  # A prompt alone is enough: it chooses the nearest preset (`sfxgen presets "coin"` shows the candidates).
  coin: bright coin pickup

  # Physics: what is struck, by what, how fast. Four variations differ in speed and place of the blow.
  sword_clang:
    impact:
      object: {{shape: bar, size_m: [0.9, 0.04, 0.005], material: steel}}
      striker: {{material: steel, mass_kg: 0.3}}
      speed_m_s: [2, 6]
    variations: 4
"""


def begin(root: Path) -> Iterator[str]:
    """Write what is missing, refresh the schemas, and say each step. Raises CannotWrite."""
    engine = detect_engine(root)
    yield f"engine: {engine}"
    config = _CONFIG.format(schema=CONFIG_SCHEMA, engine=engine, out=ENGINES[engine].default_out)
    yield _write_new(root / CONFIG_FILE, config, CONFIG_FILE)
    if not any((root / "sounds").glob("*.y*ml")):
        manifest = _MANIFEST.format(schema=MANIFEST_SCHEMA)
        yield _write_new(root / "sounds" / "first.yaml", manifest, "sounds/first.yaml")
    state = Disk(root).make_state_folder()
    for name, schema in ((MANIFEST_SCHEMA, manifest_schema()), (CONFIG_SCHEMA, config_schema())):
        write_atomically(state / name, (json.dumps(schema, indent=1, ensure_ascii=False) + "\n").encode())
    yield f"wrote {state.name}/*.schema.json: editors with a YAML language server complete and check manifests now"
    yield "next: sfxgen build"


def _write_new(path: Path, text: str, name: str) -> str:
    if path.exists():
        return f"kept {name}: it is there already"
    write_atomically(path, text.encode())
    return f"wrote {name}"
