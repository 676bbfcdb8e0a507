"""Game engines: what each wants beside a sound file. Light to import: no audio library is loaded here."""

from __future__ import annotations

from pathlib import Path

from sfxgen.export.contract import Engine, Read, Settings, Sidecar, SoundAssets, SoundFile, check_format
from sfxgen.export.godot import Godot
from sfxgen.export.plain import Plain
from sfxgen.export.unity import Unity

__all__ = [
    "ENGINES",
    "Engine",
    "Read",
    "Settings",
    "Sidecar",
    "SoundAssets",
    "SoundFile",
    "check_format",
    "detect_engine",
]

ENGINES: dict[str, Engine] = {"godot": Godot(), "unity": Unity(), "plain": Plain()}


def detect_engine(root: Path) -> str:
    """The name of the engine whose project lies in the folder; "plain" when none does."""
    return next((name for name, engine in ENGINES.items() if engine.detect(root)), "plain")
