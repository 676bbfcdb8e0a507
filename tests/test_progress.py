"""What takes long says how it goes on, from any process."""

from __future__ import annotations

from pathlib import Path

import pytest
import trimesh

from sfxgen.build import build
from sfxgen.events import Event

MANIFEST = """version: 1
sounds:
  block: {impact: {object: {shape: mesh, file: block.stl, material: glass}, radiation: field}}
  bar: {impact: {object: {shape: mesh, file: bar.stl, material: glass}, radiation: field}}
"""


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_solve_says_how_it_goes_on(tmp_path: Path, n_workers: int) -> None:
    (tmp_path / "sfxgen.yaml").write_text(f"engine: plain\nmanifests: sounds\ncache: {tmp_path / 'cache'}\n")
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "all.yaml").write_text(MANIFEST)
    for name, size in (("block", (0.1, 0.06, 0.04)), ("bar", (0.2, 0.02, 0.02))):
        trimesh.creation.box(size).export(tmp_path / "sounds" / f"{name}.stl")
    events: list[Event] = []
    build(tmp_path, n_workers=n_workers, on_event=events.append)
    for name in ("block", "bar"):
        said = [event.text for event in events if event.kind == "working" and event.sound == name]
        assert f"sounds/{name}.stl: filled with tetrahedra" in said
        assert any(text.endswith(" unknowns") for text in said)
        assert any(text.endswith("70 of 70 modes found") for text in said)
    assert any(event.text.startswith("sound field of ") for event in events if event.sound == "bar")
    assert {event.sound for event in events if event.kind == "made"} == {"block", "bar"}
