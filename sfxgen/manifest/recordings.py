"""The kinds that begin with a recording: `file:`, `edit:`, `separate:`, `enhance:`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from sfxgen.manifest.base import Spec

MAX_VARIATIONS = 64
LAYER_NAME = r"^[a-z0-9][a-z0-9_]*$"
LayerName = Annotated[str, Field(pattern=LAYER_NAME, max_length=32)]
Prompt = Annotated[str, Field(pattern=r"\S", max_length=500)]


def _one_or_many(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _named(value: Any) -> Any:
    """No stems are named: they are found."""
    if isinstance(value, dict) and len(value) == 1:
        raise PydanticCustomError("stems", "one stem alone is the recording itself; expected two or more, or auto")
    return {} if value == "auto" else value


Path = Annotated[str, Field(min_length=1)]
One = Annotated[tuple[Path], BeforeValidator(_one_or_many), Field(strict=False, json_schema_extra={"type": "string"})]
Many = Annotated[
    tuple[Path, ...],
    BeforeValidator(_one_or_many),
    Field(strict=False, min_length=1, max_length=MAX_VARIATIONS, json_schema_extra={"type": ["string", "array"]}),
]


class File(Spec):
    """A recording that only needs mastering."""

    source: Many = Field(
        description="Path of the recording, relative to the manifest; or a list of them, one variation each."
    )


class Edit(Spec):
    """A recording moved towards the entry's prompt; every variation is a try of its own."""

    source: One = Field(description="Path of the recording, relative to the manifest.")
    strength: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="0: the recording as it is; 1: as far towards the prompt as the prior takes it."
    )
    from_prompt: Prompt | None = Field(
        None, description="What the recording sounds like as it is; what both prompts say of it then stays."
    )


class Separate(Spec):
    """A recording taken apart: one file for each of several sounds in it, which together are the recording."""

    source: One = Field(description="Path of the recording, relative to the manifest.")
    stems: Annotated[dict[LayerName, Prompt], BeforeValidator(_named), Field(max_length=8)] = Field(
        default_factory=dict,
        description="Name and prompt of each stem: {sax: saxophone, cars: cars passing by}; auto finds them.",
    )
    count: Annotated[int, Field(ge=2, le=8)] = Field(2, description="How many stems `auto` looks for.")

    @property
    def stem_names(self) -> tuple[str, ...]:
        """Of the files, in order."""
        return tuple(self.stems) or tuple(f"stem_{i + 1}" for i in range(self.count))


class Enhance(Spec):
    """Speech in a recording without what disturbs it."""

    source: Many = Field(
        description="Path of the recording, relative to the manifest; or a list of them, one variation each."
    )
    noise: Prompt | None = Field(None, description="What disturbs, in plain words; found by itself when absent.")
    amount: Annotated[float, Field(ge=0, le=1)] = Field(1.0, description="How much of it is taken away, 0 to 1.")
