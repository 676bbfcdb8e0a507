"""JSON Schemas for editors: completion, documentation with units on hover, and faults while typing.

They are made from the models, and say what one key can hold. What keys contradict one another, which paths leave the
project and which names clash is left to `sfxgen check`.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from sfxgen.manifest.config import Config
from sfxgen.manifest.presets import SYNTH_KINDS, presets
from sfxgen.manifest.reader import MAX_NAME
from sfxgen.manifest.recordings import LAYER_NAME
from sfxgen.manifest.sound import KINDS, NAME_PATTERN, PROMPTED, Defaults, Sound

_DRAFT = "http://json-schema.org/draft-07/schema#"
_WHOLE = (
    "File",
    "Edit",
    "Separate",
    "Enhance",
    "Note",
    "FromFile",
    "SceneBody",
    "OwnMaterial",
)  # models that no preset fills up: what they require must be written


def manifest_schema() -> dict[str, Any]:
    """The schema of a manifest (sounds/*.yaml), JSON Schema draft 7."""
    sound, definitions = _parts_of(Sound)
    definitions |= {"Sound": sound, "Defaults": _parts_of(Defaults)[0]}
    for kind in SYNTH_KINDS:
        _offer_presets(definitions[kind.capitalize()], kind)
    for name in ("Sound", "Defaults"):
        definitions[name]["properties"]["layers"] = _layers(definitions[name]["properties"]["layers"])
        guide = definitions[name]["properties"]["guide"]
        definitions[name]["properties"]["guide"] = {
            "description": guide["description"],
            "anyOf": [{"type": "boolean"}, {"$ref": "#/definitions/Guide"}],
        }
    stems = definitions["Separate"]["properties"]["stems"]
    definitions["Separate"]["properties"]["stems"] = {
        "description": stems.pop("description"),
        "anyOf": [{"const": "auto"}, stems],
    }
    sound["properties"]["prompt"]["type"] = "string"
    sound["anyOf"] = [{"required": [key]} for key in ("prompt", *KINDS)]
    sound["dependencies"] = {kind: {"not": {"anyOf": _others(kind)}} for kind in KINDS}
    for kind in PROMPTED:
        sound["dependencies"][kind]["required"] = ["prompt"]
    return {
        "$schema": _DRAFT,
        "title": "sfxgen manifest",
        "type": "object",
        "additionalProperties": False,
        "required": ["version", "sounds"],
        "patternProperties": {"^x-": {"description": "Anything, not read: a place for anchors (&name)."}},
        "properties": {
            "version": {"const": 1, "description": "Version of the manifest format: 1."},
            "defaults": {"allOf": [{"$ref": "#/definitions/Defaults"}], "description": Defaults.__doc__},
            "materials": {
                "type": "object",
                "description": "Materials of your own, by name, for the sounds of this file.",
                "additionalProperties": {"$ref": "#/definitions/OwnMaterial"},
            },
            "sounds": {
                "type": "object",
                "description": "Every sound by its name, which becomes the file's name; '/' makes folders.",
                "propertyNames": {"pattern": f"^{NAME_PATTERN}$", "maxLength": MAX_NAME},
                "additionalProperties": {"anyOf": [sound["properties"]["prompt"], {"$ref": "#/definitions/Sound"}]},
            },
        },
        "definitions": definitions,
    }


def config_schema() -> dict[str, Any]:
    """The schema of sfxgen.yaml, JSON Schema draft 7."""
    schema, definitions = _parts_of(Config)
    return {"$schema": _DRAFT, "title": "sfxgen.yaml", **schema, "definitions": definitions}


def _parts_of(model: type[BaseModel]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A model's own schema and those that it refers to, by name."""
    schema = model.model_json_schema(ref_template="#/definitions/{model}")
    definitions: dict[str, Any] = schema.pop("$defs", {})
    for name, definition in definitions.items():
        if name not in _WHOLE:
            definition.pop("required", None)  # over a preset any part may be written
        for key, field in definition["properties"].items():
            if key == "shape":
                field["description"] = definition["description"]
            elif "$ref" in field:  # pydantic leaves out a description that is the model's own
                field.setdefault("description", definitions[field["$ref"].rpartition("/")[2]]["description"])
    return _tidy(schema), {name: _tidy(definition) for name, definition in definitions.items()}


def _tidy(schema: Any) -> Any:
    """What editors read better: no titles made from keys, no null to insert as default, 'or null' as a plain type, and
    a description beside `$ref` where draft 7 sees it."""
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {key: _tidy(value) for key, value in schema.items() if key not in ("title", "discriminator")}
    if isinstance(schema.get("title"), dict):  # a property of that name
        tidy["title"] = _tidy(schema["title"])
    if tidy.get("default", ...) is None:
        del tidy["default"]
    if "oneOf" in tidy:  # parts of several shapes look alike while their shape is not written
        tidy["anyOf"] = tidy.pop("oneOf")
    match tidy.get("anyOf"):
        case [{"type": str(name), **rest}, {"type": "null"}]:
            del tidy["anyOf"]
            tidy |= {"type": [name, "null"], **rest}
    if "$ref" in tidy and len(tidy) > 1:
        tidy["allOf"] = [{"$ref": tidy.pop("$ref")}]
    return tidy


def _offer_presets(definition: dict[str, Any], kind: str) -> None:
    """Let a kind's body name a preset."""
    known = [preset for preset in presets().values() if preset.kind == kind]
    preset = {
        "type": "string",
        "enum": [preset.name for preset in known],
        "enumDescriptions": [preset.caption for preset in known],
        "markdownEnumDescriptions": [preset.caption for preset in known],
        "description": "Start from this preset; the keys beside it change it.",
    }
    definition["properties"] = {"preset": preset, **definition["properties"]}


def _layers(described: dict[str, Any]) -> dict[str, Any]:
    """Layers may lack their intensity."""
    (intensity,) = described["patternProperties"].values()
    return {
        "type": "object",
        "description": described["description"],
        "maxProperties": described["maxLength"],
        "propertyNames": {"pattern": LAYER_NAME, **described["propertyNames"]},
        "additionalProperties": {"anyOf": [*intensity["anyOf"], {"type": "null"}]},
    }


def _others(kind: str) -> list[dict[str, list[str]]]:
    return [{"required": [other]} for other in KINDS if other != kind]
