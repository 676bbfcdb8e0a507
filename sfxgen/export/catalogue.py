"""The JSON index of all sounds, for scripts and for engines that have no sidecars."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sfxgen.export.contract import SoundAssets, SoundFile

FILE_NAME = "sfx.json"
VERSION = 1


def catalogue(sounds: Sequence[SoundAssets]) -> str:
    """The index: `version`, and `sounds` sorted by name.

    A sound has `name`, `prompt`, `category` (UCS CatID) and `tags` (empty where the manifest has none), `layers` (its
    velocity layers in order, empty without any) and `files`. A file has `path` (from the project's folder), `layer`,
    `index` (from 1), `duration_s`, `frames`, `rate_hz`, `channels`, and, only where it loops, `loop` with
    `start_frame`, `end_frame` (the first frame after the loop), `start_s` and `end_s`.
    A sound with a bank of modes has its path as `bank`.
    Lists and objects with fixed keys only: Unity's JsonUtility reads nothing else.
    """
    entries = [_entry(sound) for sound in sorted(sounds, key=lambda sound: sound.name)]
    return json.dumps({"version": VERSION, "sounds": entries}, indent=2, ensure_ascii=False) + "\n"


def _entry(sound: SoundAssets) -> dict[str, Any]:
    entry = {
        "name": sound.name,
        "prompt": sound.prompt,
        "category": sound.category,
        "tags": list(sound.tags),
        "layers": list(dict.fromkeys(file.layer for file in sound.files if file.layer)),
        "files": [_file(file) for file in sound.files],
    }
    return entry | ({"bank": sound.bank} if sound.bank else {})


def _file(file: SoundFile) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "path": file.path,
        "layer": file.layer,
        "index": file.index,
        "duration_s": _seconds(file.n_frames, file),
        "frames": file.n_frames,
        "rate_hz": file.rate_hz,
        "channels": file.channels,
    }
    if file.loop is not None:
        start, end = file.loop
        facts["loop"] = {
            "start_frame": start,
            "end_frame": end,
            "start_s": _seconds(start, file),
            "end_s": _seconds(end, file),
        }
    return facts


def _seconds(n_frames: int, file: SoundFile) -> float:
    return round(n_frames / file.rate_hz, 6)
