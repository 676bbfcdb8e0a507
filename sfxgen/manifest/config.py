"""`sfxgen.yaml`: the project's own settings, every key optional."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from sfxgen.manifest.base import Spec
from sfxgen.manifest.master import Master

EngineName = Literal["godot", "unity", "plain"]


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Config(Spec):
    """The whole of `sfxgen.yaml`."""

    engine: EngineName | None = Field(None, description="The game engine; detected from the folder when absent.")
    manifests: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        BeforeValidator(_one_or_many),
        Field(strict=False, min_length=1, json_schema_extra={"type": ["string", "array"]}),
    ] = Field(
        ("sounds",), description="Folder of manifests, or a glob such as levels/*/sounds.yaml; or a list of these."
    )
    out: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="Folder for the finished files; the engine's usual one when absent."
    )
    cache: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="Folder of the cache, which machines may share; the user's own cache folder when absent."
    )
    prior: Annotated[
        tuple[Annotated[str, Field(min_length=1)], ...],
        BeforeValidator(_one_or_many),
        Field(strict=False, min_length=1, max_length=16, json_schema_extra={"type": ["string", "array"]}),
    ] = Field(
        ("library",),
        description="What prompts are sampled from: `library` (ships with sfxgen), a sound library of your own such as "
        "./library, a list of these, a hub id such as stabilityai/stable-audio-open-1.0 (pin it as id@revision), or "
        "the folder of a diffusers pipeline.",
    )
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:[0-9]+)?)$")] = Field(
        "auto", description="Where a pretrained prior runs: auto, cpu, mps, cuda or cuda:N."
    )
    master: Master = Field(default_factory=Master, description="Loudness, peaks and file format of every sound.")
