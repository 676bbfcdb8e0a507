"""Whatever stands in a manifest, in sfxgen.yaml or in the lock: sfxgen works or says what is wrong, in words.

The default is a few seconds; `SFXGEN_EXAMPLES=20000 pytest tests/test_properties.py` searches for longer.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfxgen.errors import SfxgenError
from sfxgen.manifest.presets import presets
from sfxgen.manifest.schema import config_schema, manifest_schema
from sfxgen.plan import plan_project

EXAMPLES = int(os.environ.get("SFXGEN_EXAMPLES", "50"))
SOME = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)

ROOT = Path(__file__).parent.parent
GOOD = [path.read_bytes() for path in sorted((ROOT / "manifests").rglob("sounds/*.yaml"))]


def words_of(schema: Any) -> set[str]:
    """Every key and every enumerated text of a JSON Schema."""
    if isinstance(schema, list):
        return set().union(*map(words_of, schema))
    if not isinstance(schema, dict):
        return set()
    own = set(schema.get("properties", ())) | {value for value in schema.get("enum", ()) if isinstance(value, str)}
    return own.union(*map(words_of, schema.values()))


WORDS = sorted(words_of(manifest_schema()) | words_of(config_schema()) | {"version", "<<", "coin", "ui/click"})

odd_numbers = st.sampled_from([0, -1, 1.5, 1e308, -1e-308, 2**63, -(2**64), 10**400, float("inf"), float("nan"), True])
odd_texts = st.sampled_from(
    ["", " ", "../..", "/", "C:\\", "a\0b", "con", "x" * 300, "é", "\u202e", "\U0001f600", "*a"]
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    odd_numbers,
    odd_texts,
    st.sampled_from(WORDS),
    st.text(max_size=20),
)
keys = st.one_of(st.sampled_from(WORDS), st.sampled_from(WORDS), st.text(max_size=10), st.integers(), odd_texts)
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(keys, inner, max_size=6)),
    max_leaves=25,
)
presets_with_changes = st.sampled_from(sorted(presets())).flatmap(
    lambda name: st.dictionaries(keys, trees, max_size=3).map(
        lambda body: {presets()[name].kind: {"preset": name, **body}}
    )
)
entries = st.one_of(trees, st.dictionaries(st.sampled_from(WORDS), trees, max_size=5), presets_with_changes)
manifests = st.fixed_dictionaries(
    {"version": st.just(1), "sounds": st.dictionaries(keys, entries, min_size=1, max_size=4)},
    optional={"defaults": trees},
)


def check(manifest: bytes = b"version: 1\nsounds: {coin: coin}\n", **files: bytes) -> None:
    """A project of these files is planned, or refused with a message."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "sounds").mkdir()
        (root / "sounds" / "a.yaml").write_bytes(manifest)
        for name, data in files.items():
            (root / f"sfxgen.{name}").write_bytes(data)
        told = ""
        try:
            plan_project(root)
        except SfxgenError as error:
            told = str(error) or "nothing"
        assert told != "nothing"


def as_yaml(data: Any) -> bytes:
    return yaml.safe_dump(data, allow_unicode=True).encode("utf-8", "surrogatepass")


def as_json(data: Any) -> bytes:
    return json.dumps(data, skipkeys=True).encode()


@SOME
@given(st.binary(max_size=300))
def test_bytes(data: bytes) -> None:
    check(data)


@SOME
@given(st.text(alphabet=st.characters(max_codepoint=127) | st.sampled_from("&*<!|>[]{}:-#\n \t'\""), max_size=120))
def test_text(text: str) -> None:
    check(b"version: 1\nsounds:\n  " + text.encode())


@SOME
@given(trees)
def test_any_structure(data: Any) -> None:
    check(as_yaml(data))


@SOME
@given(manifests)
def test_the_schemas_own_words(data: Any) -> None:
    check(as_yaml(data))


@SOME
@given(st.dictionaries(keys, trees, max_size=5))
def test_settings(data: Any) -> None:
    check(yaml=as_yaml(data))


@SOME
@given(st.data())
def test_a_mutated_good_manifest(data: st.DataObject) -> None:
    text = bytearray(data.draw(st.sampled_from(GOOD)))
    for _ in range(data.draw(st.integers(1, 4))):
        at, length = data.draw(st.integers(0, len(text))), data.draw(st.integers(0, 12))
        text[at : at + length] = data.draw(st.binary(max_size=3) | scalars.map(as_yaml))
    check(bytes(text))


@SOME
@given(trees | st.fixed_dictionaries({"version": st.just(1), "index": trees, "sounds": trees}))
def test_the_lock(data: Any) -> None:
    check(lock=as_json(data))


@SOME
@given(st.data())
def test_a_lock_of_the_right_shape(data: st.DataObject) -> None:
    """One value of a lock's entry is replaced by anything else."""
    file = {
        "digest": "0",
        "layer": "",
        "index": 1,
        "rate_hz": 48000,
        "channels": 1,
        "n_frames": 1,
        "loop": None,
        "loudness_lufs": -18.0,
        "loudness_rule": "",
        "true_peak_dbtp": -1.0,
    }
    sound: dict[str, Any] = {
        "key": "0",
        "raw_key": "0",
        "parts": {"prompt": "0"},
        "files": {"audio/sfx/coin.wav": file},
        "sidecars": {"audio/sfx/coin.wav.import": {"digest": "0", "settings": {}}},
        "choice": {"prompt": "coin", "kind": "", "preset": "coin", "why": "nearest"},
        "warnings": [],
    }
    target = data.draw(st.sampled_from([sound, file, sound["choice"], sound["parts"], sound["files"]]))
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(trees)
    check(lock=as_json({"version": 1, "index": {}, "sounds": {"coin": sound}}))


def test_there_is_something_to_mutate() -> None:
    assert len(GOOD) >= 5
    assert len(WORDS) >= 100
