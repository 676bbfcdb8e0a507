"""What a recipe gets and gives: the contract between the flow and one kind of sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from sfxgen.audio import Audio
from sfxgen.credit import Credit
from sfxgen.draw import Draw
from sfxgen.events import untold
from sfxgen.manifest.base import Spec

SpecT_contra = TypeVar("SpecT_contra", bound=Spec, contravariant=True)


def uncached(key: str, make: Callable[[], bytes]) -> bytes:  # noqa: ARG001
    """A `cached` that remembers nothing."""
    return make()


@dataclass(frozen=True)
class Request:
    """What the sound asks of its recipe beside its own parameters.

    duration_s: the length that the manifest asks for, > 0; None lets the recipe choose.
    loop: the sound shall repeat without a seam. Synths then make it exactly periodic: the block is one period.
    rate_hz: the rate to render at.
    root: the project's folder; paths in a spec are relative to it.
    prompt: what the sound shall be, "" where the manifest does not say. prior, device: as sfxgen.yaml names them.
    credit: to be told, once, whose recordings a library prior made the takes from. warn: to be told, a sentence each,
        what a person should know about the takes.
    tell: to be told what takes long just now, as it goes on.
    cached: cached(key, make) gives make()'s bytes, from the store when the key is known there.
    """

    rate_hz: int = 48_000
    duration_s: float | None = None
    loop: bool = False
    root: Path = Path()
    prompt: str = ""
    prior: tuple[str, ...] = ("library",)
    device: str = "auto"
    credit: Callable[[Sequence[Credit]], None] = untold
    warn: Callable[[str], None] = untold
    tell: Callable[[str], None] = untold
    cached: Callable[[str, Callable[[], bytes]], bytes] = uncached


class Recipe(Protocol[SpecT_contra]):
    """Makes the variations of one sound, one block of sound a draw, in their order."""

    def __call__(self, spec: SpecT_contra, draws: Sequence[Draw], request: Request) -> list[Audio]: ...
