"""The `guide:` section: how a prompt steers a synth, by score distillation from the project's prior."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from sfxgen.manifest.base import Spec


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


def switched(value: Any) -> Any:
    """`true` and `false` as sections."""
    if isinstance(value, bool):
        return {} if value else {"steps": 0, "generations": 0}
    return value
