"""A plain folder: sound files and one JSON index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from sfxgen.export.catalogue import FILE_NAME, catalogue
from sfxgen.export.contract import Read, Settings, Sidecar, SoundAssets
from sfxgen.export.modal import player_files


class Plain:
    """No engine, or one without sidecars (raylib, LÖVE, pygame, a web page)."""

    name = "plain"
    title = "a plain folder"
    default_out = "audio/sfx"
    formats = ("wav", "flac", "ogg", "opus", "mp3", "m4a")

    def detect(self, root: Path) -> bool:  # noqa: ARG002
        return False  # it is what remains when no engine is found

    def guard_frame(self, format: str) -> bool:  # noqa: ARG002
        return False

    def sidecars(
        self,
        assets: SoundAssets,  # noqa: ARG002
        read: Read,  # noqa: ARG002
        written: Mapping[str, Settings],  # noqa: ARG002
    ) -> dict[str, Sidecar]:
        return {}

    def index(self, sounds: Sequence[SoundAssets], out: str) -> dict[str, str]:
        index = {str(PurePosixPath(out, FILE_NAME)): catalogue(sounds)} if sounds else {}
        return index | player_files(self.name, sounds, out)
