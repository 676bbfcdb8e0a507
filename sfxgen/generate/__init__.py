"""The table kind → recipe. A recipe composes the rooms below: parameters in, blocks of sound out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sfxgen.audio import Audio
    from sfxgen.draw import Draw
    from sfxgen.generate.recipe import Request
    from sfxgen.manifest.base import Spec


@dataclass(frozen=True)
class Kind:
    """module: where the recipe's `render` is, imported only when a job needs it (torch takes seconds).

    version: part of every key; raise it when the same parameters give another sound.
    periodic: a loop of this kind comes as exactly one period and must not be trimmed, faded or crossfaded.
    prior: whether it needs the project's prior. aligned: its takes run side by side and must stay so.
    """

    module: str
    version: int
    periodic: bool
    prior: bool = False
    aligned: bool = False


KINDS = {
    "impact": Kind("sfxgen.generate.impact", version=5, periodic=False),
    "scene": Kind("sfxgen.generate.scene", version=4, periodic=False),
    "fm": Kind("sfxgen.generate.fm", version=3, periodic=True),
    "texture": Kind("sfxgen.generate.texture", version=3, periodic=True),
    "liquid": Kind("sfxgen.generate.liquid", version=1, periodic=True),
    "text": Kind("sfxgen.generate.text", version=2, periodic=False, prior=True),
    "edit": Kind("sfxgen.generate.edit", version=1, periodic=False, prior=True),
    "separate": Kind("sfxgen.generate.separate", version=2, periodic=False, prior=True, aligned=True),
    "enhance": Kind("sfxgen.generate.enhance", version=1, periodic=False, prior=True),
    "file": Kind("sfxgen.generate.file", version=1, periodic=False),
}


def is_periodic(kind: str, body: Spec) -> bool:
    """Whether a loop of this sound comes as exactly one period; of impacts what rubs or rolls does."""
    return KINDS[kind].periodic or getattr(body, "friction", None) is not None


def generate(kind: str, body: Spec, draws: Sequence[Draw], request: Request) -> list[Audio]:
    """One block of sound a draw. Raises SfxgenError where the request cannot be met."""
    recipe: Any = import_module(KINDS[kind].module)
    blocks: list[Audio] = recipe.render(body, draws, request)
    return blocks
