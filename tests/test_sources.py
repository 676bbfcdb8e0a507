"""Recordings and meshes that are not there: told by `check`, beside the other faults, and where they are needed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import trimesh
from command_line import sfxgen

from sfxgen.build import build
from sfxgen.errors import EXIT_BAD_INPUT, EXIT_OK, EXIT_STALE, ManifestError
from sfxgen.plan import plan_project

MANIFEST = """\
version: 1
sounds:
  anvil: {impact: {object: {shape: mesh, file: ../anvl.glb}}}
  voice: {file: {source: [../voice.wav, ../gone.wav]}}
  fall:
    scene:
      bodies: [{object: {shape: box}}, {object: {shape: mesh, file: ../cup.gltf}}]
"""
ANVIL = "sounds/all.yaml:3:48: sound 'anvil': anvl.glb does not exist; expected a mesh file; did you mean 'anvil.glb'?"
VOICE = (
    "sounds/all.yaml:4:41: sound 'voice': gone.wav does not exist; expected a recording; "
    "check the path, which counts from the manifest"
)
CUP = (
    "sounds/all.yaml:7:69: sound 'fall': cup.bin does not exist, which cup.gltf names; "
    "check the path, which counts from the manifest"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "all.yaml").write_text(MANIFEST)
    trimesh.creation.box((0.2, 0.1, 0.05)).export(tmp_path / "anvil.glb")
    (tmp_path / "cup.gltf").write_text(json.dumps({"buffers": [{"uri": "cup.bin", "byteLength": 4}]}))
    soundfile.write(tmp_path / "voice.wav", np.sin(np.arange(4800)), 48000)
    return tmp_path


def test_check_tells_what_is_not_there_with_its_place_and_the_nearest_name(root: Path) -> None:
    done = sfxgen(root, "check")
    assert (done.returncode, done.stdout) == (EXIT_BAD_INPUT, "")
    assert done.stderr.splitlines() == [ANVIL, VOICE, CUP]
    faults = [json.loads(line) for line in sfxgen(root, "check", "--json").stdout.splitlines()]
    assert [(fault["sound"], fault["line"]) for fault in faults] == [("anvil", 3), ("voice", 4), ("fall", 7)]


def test_it_is_told_beside_the_other_faults(root: Path) -> None:
    manifest = root / "sounds" / "all.yaml"
    manifest.write_text(
        MANIFEST + "  knock: {impact: {hit: 2}}\n  axe: {impact: {object: {shape: mesh, file: a.fbx}}}\n"
    )
    with pytest.raises(ManifestError) as caught:
        plan_project(root)
    *gone, hit, ending = str(caught.value).splitlines()
    assert gone == [ANVIL, VOICE, CUP]
    assert "sound 'knock': impact.hit is 2" in hit
    assert "sound 'axe': impact.object.file is 'a.fbx'; expected a mesh, a file that ends in .glb, .gltf" in ending


def test_without_other_faults_a_build_makes_the_other_sounds(root: Path) -> None:
    (root / "sounds" / "all.yaml").write_text(MANIFEST.replace("../gone.wav", "../voice.wav"))
    assert {sound.job.name for sound in plan_project(root).plan.stale} == {"anvil", "voice", "fall"}
    report = build(root, names=["anvil", "voice"], n_workers=1)
    assert (set(report.made), set(report.failed)) == ({"voice"}, {"anvil"})


def test_what_was_made_of_it_needs_it_no_more(root: Path) -> None:
    """As in a checkout without recordings."""
    text = MANIFEST[: MANIFEST.index("  fall")].replace("../gone.wav", "../voice.wav").replace("anvl", "anvil")
    (root / "sounds" / "all.yaml").write_text(text)
    assert build(root, n_workers=1).exit_code == EXIT_OK
    for name in ("anvil.glb", "voice.wav"):
        (root / name).unlink()
    assert sfxgen(root, "check").returncode == EXIT_OK
    (root / "sounds" / "all.yaml").write_text(text.replace("anvil.glb", "anvl.glb"))
    assert "anvl.glb does not exist" in sfxgen(root, "check").stderr
    assert sfxgen(root, "build", "--check").returncode == EXIT_STALE
