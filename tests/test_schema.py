"""The JSON Schemas, judged by jsonschema and by the language server that the YAML extension of VS Code runs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from language_server import LanguageServer
from patience import run_or_skip

from sfxgen.manifest.document import Document
from sfxgen.manifest.presets import presets
from sfxgen.manifest.schema import config_schema, manifest_schema

ROOT = Path(__file__).parent.parent
BAD = Path(__file__).parent / "manifests_bad"
VALIDATORS = {
    "manifest": jsonschema.Draft7Validator(manifest_schema()),
    "config": jsonschema.Draft7Validator(config_schema()),
}

# What a schema of one file cannot say, and `sfxgen check` does: cases of manifests_bad/ by their reason.
BEYOND_A_SCHEMA = {
    "keys that contradict one another": {
        "config_contradiction",
        "config_encoding",
        "config_opus_rate",
        "defaults_contradict",
        "file_keys",
        "impact_loop",
        "liquid_silent",
        "scene_loop",
        "impact_ignored",
        "impact_wall",
        "loop_mp3",
        "output_encoding",
        "output_opus_rate",
        "preset_matrix",
        "texture_silent",
    },
    "names and paths": {
        "config_leaves",
        "file_source_leaves",
        "name_case_clash",
        "name_reserved",
        "output_folder_leaves",
    },
    "other files": {
        "folder_and_name",
        "godot_format",
        "layer_and_name",
        "lock_conflict",
        "lock_damaged",
        "lock_deep",
        "lock_list",
        "lock_newer",
        "lock_not_json",
        "no_manifests",
        "one_file_twice",
        "two_manifests_one_name",
        "unity_format",
    },
}


def validator(path: Path) -> Any:
    return VALIDATORS["config" if path.name == "sfxgen.yaml" else "manifest"]


def read(path: Path) -> Document:
    return Document(path.name, path.read_bytes())


GOOD = sorted((ROOT / "manifests").rglob("*.yaml"))


@pytest.mark.parametrize("path", GOOD, ids=lambda path: "/".join(path.parts[-3:]))
def test_good_manifests_are_accepted(path: Path) -> None:
    assert [error.message for error in validator(path).iter_errors(read(path).data)] == []


@pytest.mark.parametrize("preset", presets().values(), ids=lambda preset: preset.name)
def test_presets_written_out_are_accepted(preset: Any) -> None:
    entry = {**preset.entry, preset.kind: preset.body}
    manifest = {"version": 1, "sounds": {"whole": entry, "named": {preset.kind: {"preset": preset.name}}}}
    assert [error.message for error in VALIDATORS["manifest"].iter_errors(manifest)] == []


def test_bad_manifests_are_refused_as_far_as_a_schema_can() -> None:
    """Of the cases that are YAML at all and a schema can judge, every one."""
    cases = sorted(path for path in BAD.iterdir() if path.suffix != ".expected")
    beyond = set().union(*BEYOND_A_SCHEMA.values())
    assert beyond <= {case.stem for case in cases}
    accepted, n_refused = [], 0
    for case in cases:
        documents = [(path, read(path)) for path in ([case] if case.is_file() else sorted(case.rglob("*.yaml")))]
        if any(document.faults for _, document in documents):
            continue
        if all(validator(path).is_valid(document.data) for path, document in documents if document.data is not None):
            accepted.append(case.stem)
        else:
            n_refused += 1
    assert n_refused >= 50
    assert sorted(set(accepted) - beyond) == ["sounds_is_empty", "top_empty"], "there is nothing to judge"
    assert beyond <= set(accepted), "the list says of no case that it is beyond a schema when it is not"


@pytest.mark.parametrize("name", VALIDATORS)
def test_schemas_are_draft_7_and_describe_every_key(name: str) -> None:
    schema = VALIDATORS[name].schema
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(schema)
    keys = list(properties(schema))
    assert len(keys) >= 15
    assert [key for key, described in keys if not described.get("description")] == []


def test_descriptions_name_the_units_that_keys_end_in() -> None:
    units = {
        "_hz": "Hz",
        "_s": "s",
        "_m": "m",
        "_db": "dB",
        "_kg": "kg",
        "_lufs": "LUFS",
        "_dbtp": "dBTP",
        "_m_s": "m/s",
    }
    keys = [(key, described["description"]) for key, described in properties(VALIDATORS["manifest"].schema)]
    unnamed = []
    n_checked = 0
    for key, description in keys:
        unit = next((unit for end, unit in sorted(units.items(), key=lambda e: -len(e[0])) if key.endswith(end)), None)
        n_checked += unit is not None
        if unit and not re.search(rf"(?<![\w'’]){re.escape(unit)}(?!\w)", description):
            unnamed.append(key)
    assert n_checked >= 40
    assert unnamed == []


def properties(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that the schema names, with its own schema."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for value in schema.values():
            yield from properties(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from properties(value)


# In the editor


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("npm and node are not installed")
    folder = tmp_path_factory.mktemp("language_server")
    install = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), "yaml-language-server@1.19.2"]
    run_or_skip(install)
    program = folder / "node_modules" / "yaml-language-server" / "bin" / "yaml-language-server"
    settings = {"yaml": {"completion": True, "hover": True, "validate": True}}
    with LanguageServer([node, str(program), "--stdio"], settings) as running:
        yield running


def shown(server: LanguageServer, folder: Path, sounds: str) -> str:
    """A manifest with its first line as `sfxgen init` writes it, open in the editor. Sounds begin in line 4."""
    (folder / "manifest.schema.json").write_text(json.dumps(manifest_schema()), encoding="utf-8")
    text = f"# yaml-language-server: $schema=manifest.schema.json\nversion: 1\nsounds:\n{sounds}"
    return server.open(folder / "a.yaml", text)


@pytest.mark.slow
def test_the_editor_completes_keys_and_values(server: LanguageServer, tmp_path: Path) -> None:
    uri = shown(
        server,
        tmp_path,
        """\
  hit:
    impact:
      speed_m_s: 3
      object: {shape: bar}
"""
        + "      \n    \n",
    )
    assert {"striker", "hit", "preset"} <= server.complete(uri, 7, 6).keys()
    assert {"prompt", "fm", "texture", "variations"} <= server.complete(uri, 8, 4).keys()


@pytest.mark.slow
def test_the_editor_offers_presets_with_their_captions(server: LanguageServer, tmp_path: Path) -> None:
    uri = shown(
        server, tmp_path, "  laser:\n    fm:\n      preset: \n  hit:\n    impact:\n      object:\n        shape: \n"
    )
    offered = server.complete(uri, 5, 14)
    assert offered.keys() == {name for name, preset in presets().items() if preset.kind == "fm"}
    assert presets()["laser_retro"].caption in str(offered["laser_retro"]["documentation"])
    assert "bowl" in server.complete(uri, 9, 15)


@pytest.mark.slow
def test_the_editor_explains_keys_with_their_units(server: LanguageServer, tmp_path: Path) -> None:
    uri = shown(server, tmp_path, "  hit:\n    impact:\n      speed_m_s: 3\n      object: {shape: bar}\n")
    assert "Speed of the striker (m/s)" in server.hover(uri, 5, 8)
    assert "A straight bar" in server.hover(uri, 6, 23)


@pytest.mark.slow
def test_the_editor_marks_faults_where_they_are_and_nothing_else(server: LanguageServer, tmp_path: Path) -> None:
    uri = shown(
        server,
        tmp_path,
        """\
  coin: {prompt: coin, varations: 3}
  hit: {impact: {object: {shape: bar, material: stel}}}
  both: {fm: {}, texture: {}}
  good: {prompt: wind, loop: true, layers: {soft, hard}}
  many: {prompt: coin, variations: 100}
""",
    )
    marked = sorted((found["range"]["start"]["line"], found["message"]) for found in server.diagnostics(uri))
    assert [line for line, _ in marked] == [3, 4, 5, 7]
    assert "varations" in marked[0][1]
    assert '"steel"' in marked[1][1]
    assert "64" in marked[3][1]
