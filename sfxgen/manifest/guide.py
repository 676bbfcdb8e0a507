"""The `guide:` section: how a prompt steers a synth, by score distillation from the project's prior."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from sfxgen.manifest.base import Spec

VERSION = 2  # raise when the same prompt and starts are guided to another sound


class Guide(Spec):
    """How the prompt guides the synth. `guide: false`: not at all, the preset sounds as it is."""

    steps: Annotated[int, Field(ge=0, le=5000)] = Field(
        40, description="Steps of gradient descent (score distillation); 0: none."
    )
    generations: Annotated[int, Field(ge=0, le=200)] = Field(
        6, description="Generations of the evolution strategy that searches before the descent; 0: none."
    )
    starts: Annotated[int, Field(ge=1, le=16)] = Field(
        2, description="How many starts are carried to the end; the best is kept."
    )
    draws: Annotated[int, Field(ge=0, le=512)] = Field(
        8, description="Random starts that are tried beside the presets, for fm and texture."
    )
    method: Literal["sds", "sdi", "ism", "csd"] = Field(
        "sds", description="Target of the descent: Decoder-SDS, SDI (by inversion), ISM (interval), CSD (classifier)."
    )
    denoising: Annotated[int, Field(ge=1, le=50)] = Field(
        2, description="Denoising steps to a target; more cost more and look further."
    )
    guidance: Annotated[float, Field(ge=0, le=100)] | None = Field(
        None, description="Classifier-free guidance; the prior's usual when absent."
    )

    @property
    def on(self) -> bool:
        return self.steps > 0 or self.generations > 0


def switched(value: Any) -> Any:
    """`true` and `false` as sections."""
    if isinstance(value, bool):
        return {} if value else {"steps": 0, "generations": 0}
    return value


@dataclass(frozen=True)
class Candidate:
    """A start that a prompt may be guided from: a kind, the name of its preset ("": none) and the whole body, as YAML
    has it."""

    kind: str
    preset: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Guided:
    """What guidance found; kept in the lock, so that a variation more or another loudness needs no guidance again.

    digest: of all that it follows from. kind, preset, body: the tuned sound (preset "" for a person's own start or a
    random one). before, after: the prior's score of the start as written and of what was found. steps: of descent.
    why: what was tried and what won, for a person. warnings: what a person should know.
    """

    digest: str
    kind: str
    preset: str
    body: dict[str, Any]
    before: float
    after: float
    steps: int
    why: str
    warnings: tuple[str, ...] = ()
