"""`text:` a sound sampled from the prior by its prompt."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sfxgen.manifest.base import Spec


class Text(Spec):
    """A sound sampled from the prior by its prompt; `sfxgen.yaml` names the prior."""

    guidance: Annotated[float, Field(ge=0, le=30)] | None = Field(
        None, description="Classifier-free guidance: 1 follows the prior alone, more follows the prompt closer."
    )
    best_of: Annotated[int, Field(ge=1, le=64)] = Field(
        4, description="Samples drawn for each variation; the one that the prior thinks fits best is kept."
    )
    steps: Annotated[int, Field(ge=1, le=500)] | None = Field(
        None, description="Denoising steps; the prior's usual number when absent."
    )
