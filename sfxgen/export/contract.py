"""What the build tells an engine's writer about finished sounds, and what it gets back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sfxgen.errors import BadInput

Read = Callable[[str], str | None]  # the text of a project file by its project-relative path; None: no such file
Settings = Mapping[str, str]


@dataclass(frozen=True)
class SoundFile:
    """One finished audio file as the engine will see it.

    path: project-relative, with forward slashes. layer: "" when the sound has no velocity layers. index: from 1 within
    its layer. n_frames: without a guard frame. loop: [start, end) in frames.
    """

    path: str
    layer: str
    index: int
    rate_hz: int
    channels: int
    n_frames: int
    loop: tuple[int, int] | None

    @property
    def format(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def duration_s(self) -> float:
        return self.n_frames / self.rate_hz


@dataclass(frozen=True)
class SoundAssets:
    """All the files of one sound.

    name: the manifest's, "/" in it means folders. base: project-relative path without number and extension, such as
    "audio/sfx/sword_clang". prompt and category are "" where absent; category is a UCS CatID. bank: the path of its
    bank of modes, "" where it has none.
    """

    name: str
    base: str
    files: tuple[SoundFile, ...]
    prompt: str
    tags: tuple[str, ...]
    category: str
    bank: str = ""


@dataclass(frozen=True)
class Sidecar:
    """A file that the engine and its users share with us: the whole new text, and what we set in it.

    settings: key → value text, remembered by the build and handed back as `written` at the next merge.
    """

    text: str
    settings: dict[str, str]


class Engine(Protocol):
    """One game engine: where its assets lie and what it wants beside a sound file.

    name: as in sfxgen.yaml. title: as its makers write it. default_out: the asset folder when none is given.
    formats: the audio formats that it imports.
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def default_out(self) -> str: ...
    @property
    def formats(self) -> tuple[str, ...]: ...

    def detect(self, root: Path) -> bool:
        """Whether the folder is a project of this engine."""

    def guard_frame(self, format: str) -> bool:
        """Whether a looping file wants the frame at the loop's start again after the loop's end."""

    def sidecars(self, assets: SoundAssets, read: Read, written: Mapping[str, Settings]) -> dict[str, Sidecar]:
        """The files to lie beside a sound, by path, merged with what is there.

        written: by path, the settings that we wrote there last time. What a person set is kept.
        Raises BadInput for a format that the engine cannot import.
        """

    def index(self, sounds: Sequence[SoundAssets], out: str) -> dict[str, str]:
        """The files about all the sounds that are wholly ours, by path."""


def check_format(engine: Engine, format: str) -> None:
    """Raises BadInput for an audio format that the engine cannot import."""
    if format not in engine.formats:
        *others, last = engine.formats
        raise BadInput(f"{engine.title} cannot import {format} files; set format to {', '.join(others)} or {last}")
