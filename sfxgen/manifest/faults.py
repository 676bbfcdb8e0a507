"""pydantic's errors, said again for the person who edits the manifest."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from sfxgen.errors import Fault
from sfxgen.manifest.document import Document, Key
from sfxgen.manifest.presets import SYNTH_KINDS

Model = TypeVar("Model", bound=BaseModel)

_TYPE_NAMES: dict[Any, str] = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}
_SIZE_ERRORS = ("too_short", "too_long", "string_too_long")

# How the models' own errors are written: "expected …", with "problem; " before and "; cure" behind where they help.
_CUSTOM = re.compile(r"(?:(?P<problem>.+?); )?expected (?P<expected>.+?)(?:; (?P<cure>.+))?")


@dataclass(frozen=True)
class _Spot:
    """Where an error is: its path in the file, the model that owns the last key, that key's field, and the value's
    type with its bounds."""

    path: list[Key]
    owner: type[BaseModel]
    field: FieldInfo | None
    annotation: Any
    section: Sequence[Key] = ()  # what stands before `path` where that is no sound

    @property
    def name(self) -> str:
        """As messages call it: fm.operators.0.ratio."""
        return ".".join(str(key) for key in (*self.section, *self.path)) or "the file"


def validated(
    model: type[Model],
    data: Any,
    document: Document,
    base: Sequence[Key],
    sound: str = "",
    materials: Sequence[str] = (),
) -> tuple[Model | None, list[Fault]]:
    """`data`, which stands at `base` in the document, as the model, or None and its faults. materials: names of the
    document's own."""
    try:
        return model.model_validate(data, context={"materials": materials}), []
    except ValidationError as error:
        errors = [one for one in error.errors(include_url=False) if not _is_echo(one)]
        return None, [_explain(one, model, document, base, sound) for one in errors]


def nearest(word: str, known: Sequence[str]) -> str:
    """ "did you mean 'steel'?" where a known word is close, else an empty text."""
    lowered = {candidate.lower(): candidate for candidate in known}
    close = get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return f"did you mean '{lowered[close[0]]}'?" if close else ""


def show(value: Any) -> str:
    """A value as YAML would write it; what is long or nested by its kind alone."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        text = f"[{', '.join(show(item) for item in value)}]"
        nested = any(isinstance(item, dict) for item in value)
        return f"a list of {len(value)}" if nested or len(text) > 60 else text
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _is_echo(error: ErrorDetails) -> bool:
    """Whether a list is called too short only because items of it, which are reported themselves, did not count."""
    return error["type"] == "too_short" and len(error["input"]) >= error["ctx"]["min_length"]


_ELSEWHERE = {"runtime": "write it below impact: only what is struck has modes that a game can ring itself"}


def _explain(error: ErrorDetails, model: type[BaseModel], document: Document, base: Sequence[Key], sound: str) -> Fault:
    """One error as a fault: what was found, what would do, how to mend it."""
    spot = _walk(model, error["loc"], () if sound else base)
    kind, value, path = error["type"], error["input"], [*base, *spot.path]
    if kind == "extra_forbidden":
        known = _keys_of(spot)
        cure = nearest(str(spot.path[-1]), known) or _ELSEWHERE.get(str(spot.path[-1]), "")
        problem = f"unknown key '{spot.name}'"
        return document.fault(path, problem, f"one of {', '.join(known)}", cure, sound=sound, at_key=True)
    if kind == "missing" and isinstance(spot.path[-1], int):  # the list is too short
        spot = replace(spot, path=spot.path[:-1], annotation=spot.field.annotation if spot.field else Any)
        kind, path = "too_long", path[:-1]
    if kind == "missing":
        return document.fault(path, f"'{spot.name}' is missing", _expected(error, spot), "add it", sound=sound)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _wrong_tag(error, spot, document, path, sound)
    if spot.path and spot.path[-1] == "[key]":
        parent = ".".join(str(key) for key in spot.path[:-2])
        expected = "lower-case letters, digits and _, at most 32"
        return document.fault(
            path[:-1], f"{parent}: {show(value)} cannot be a name", expected, sound=sound, at_key=True
        )
    custom = _CUSTOM.fullmatch(error["msg"].removeprefix("Value error, "))
    problem, expected, cure = custom.groups("") if custom else ("", _expected(error, spot), "")
    if isinstance(value, str):
        cure = cure or nearest(value, _choices(error, spot))
    if not cure and len(spot.path) > 1 and spot.path[0] in SYNTH_KINDS and not document.holds(path):
        cure = "this comes from the preset: write your own"
    key = error.get("ctx", {}).get("key")
    problem = problem or (
        f"{spot.name} has {_size(value)}" if kind in _SIZE_ERRORS else f"{spot.name} is {show(value)}"
    )
    return document.fault([*path, key] if key else path, problem, expected, cure, sound=sound)


def _wrong_tag(error: ErrorDetails, spot: _Spot, document: Document, path: list[Key], sound: str) -> Fault:
    """The key that says which of several models a mapping is (`shape`) is absent or has a value that none has."""
    key = str(error["ctx"]["discriminator"]).strip("'")
    found = error["input"].get(key) if isinstance(error["input"], dict) else None
    models = [model for model in _models(spot.annotation) if key in model.model_fields]
    tags = [str(tag) for model in models for tag in get_args(model.model_fields[key].annotation)]
    expected = f"one of {', '.join(tags)}"
    if found is None:
        return document.fault(path, f"'{spot.name}.{key}' is missing", expected, "add it", sound=sound)
    cure = nearest(found, tags) if isinstance(found, str) else ""
    return document.fault([*path, key], f"{spot.name}.{key} is {show(found)}", expected, cure, sound=sound)


def _walk(model: type[BaseModel], loc: Sequence[Key], section: Sequence[Key]) -> _Spot:
    """Follow pydantic's loc through the models. It also names the branches of unions, which are not in the file."""
    path: list[Key] = []
    owner, field = model, None
    annotation: Any = model
    for key in loc:
        if isinstance(key, str) and key.startswith("("):  # a branch of materials
            continue
        models = _models(annotation)
        branch = next((option for option in models if len(models) > 1 and _is_tag(option, key)), None)
        if branch is not None:
            annotation = owner = branch
            continue
        path.append(key)
        if models and isinstance(key, str):
            owner = models[0]
            field = owner.model_fields.get(key)
            annotation = Annotated[field.annotation, field] if field else Any
        else:
            annotation = _item(annotation, key)
    return _Spot(path, owner, field, annotation, section)


def _item(annotation: Any, key: Key) -> Any:
    """The type of one item of a list, tuple or mapping."""
    for option in _options(annotation):
        items = [item for item in get_args(option) if item is not Ellipsis]
        if items:
            fixed = get_origin(option) is tuple and Ellipsis not in get_args(option)
            return items[key] if fixed and isinstance(key, int) and key < len(items) else items[-1]
    return Any


def _options(annotation: Any) -> list[Any]:
    """The branches of a type, without Annotated and None."""
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [option for arg in get_args(annotation) if arg is not type(None) for option in _options(arg)]
    return [annotation]


def _models(annotation: Any) -> list[type[BaseModel]]:
    return [option for option in _options(annotation) if isinstance(option, type) and issubclass(option, BaseModel)]


def _is_tag(model: type[BaseModel], key: Key) -> bool:
    fields = model.model_fields.values()
    return any(get_origin(field.annotation) is Literal and key in get_args(field.annotation) for field in fields)


def _keys_of(spot: _Spot) -> list[str]:
    """The keys of the innermost model; a kind's body may name a preset besides."""
    is_body = len(spot.path) == 2 and spot.path[0] in SYNTH_KINDS
    return [*(("preset",) if is_body else ()), *spot.owner.model_fields]


def _expected(error: ErrorDetails, spot: _Spot) -> str:
    choices = _choices(error, spot)
    if choices:
        return f"one of {', '.join(choices)}"
    models = _models(spot.annotation)
    if models:
        return f"a mapping with keys such as {', '.join(list(models[0].model_fields)[:4])}"
    description, limits = _description(spot.field), error.get("ctx", {})
    collection = get_origin(_options(spot.annotation)[0])
    if collection and (description.startswith("[") or "list" in description):  # it says the shape itself
        return description
    if error["type"] in _SIZE_ERRORS:
        return f"at most {limits['max_length']}" if "max_length" in limits else f"at least {limits['min_length']}"
    if collection:
        return f"a {'mapping' if collection is dict else 'list'}: {description}"
    if error["type"] == "string_too_short":
        return "text that is not empty"
    if error["type"] in ("missing", "string_pattern_mismatch"):
        return description
    return _span(spot.annotation)


def _choices(error: ErrorDetails, spot: _Spot) -> list[str]:
    for option in _options(spot.annotation) if error["type"] == "literal_error" else ():
        if get_origin(option) is Literal:
            return [str(choice) for choice in get_args(option)]
    return list(error.get("ctx", {}).get("choices", ()))


def _span(annotation: Any) -> str:
    """'a number from 0.01 to 120', by a type and its bounds."""
    name = next((_TYPE_NAMES[option] for option in _options(annotation) if option in _TYPE_NAMES), "another value")
    low = high = ""
    for limit in _limits(annotation):
        if isinstance(limit, Ge):
            low = f" from {_plain(limit.ge)}"
        elif isinstance(limit, Gt):
            low = f" above {_plain(limit.gt)}"
        elif isinstance(limit, Le):
            high = f" to {_plain(limit.le)}" if low else f" up to {_plain(limit.le)}"
        elif isinstance(limit, Lt):
            high = f" below {_plain(limit.lt)}"
    return name + low + high


def _limits(annotation: Any) -> Iterator[Any]:
    """The bounds that Annotated and Field put around a type, also below `| None`."""
    if get_origin(annotation) is Annotated:
        inner, *extras = get_args(annotation)
        for extra in extras:
            yield from extra.metadata if isinstance(extra, FieldInfo) else (extra,)
        yield from _limits(inner)
    elif get_origin(annotation) in (Union, types.UnionType):
        for option in get_args(annotation):
            yield from _limits(option)


def _plain(number: Any) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


def _description(field: FieldInfo | None) -> str:
    """A field's description first sentence, as a part of ours."""
    text = (field.description if field else "") or ""
    text = text.partition(". ")[0].rstrip(".")
    return text[0].lower() + text[1:] if text[:1].isupper() and text[1:2].islower() else text


def _size(value: Any) -> str:
    unit = "character" if isinstance(value, str) else "item"
    return f"{len(value)} {unit}{'' if len(value) == 1 else 's'}"
