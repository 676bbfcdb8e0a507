"""What tests of scenes begin with: boxes, a request that keeps what is solved, the presets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import sfxgen
from sfxgen.audio import Audio
from sfxgen.generate.recipe import Request
from sfxgen.manifest.scene import Scene

PRESETS: dict[str, Any] = yaml.safe_load(
    (Path(sfxgen.__file__).parent / "manifest" / "presets" / "scene.yaml").read_text(encoding="utf-8")
)
STORE: dict[str, bytes] = {}


def cached(key: str, make: Callable[[], bytes]) -> bytes:
    if key not in STORE:
        STORE[key] = make()
    return STORE[key]


REQUEST = Request(cached=cached)


def scene(**section: Any) -> Scene:
    return Scene.model_validate(section)


def boxes(count: Any = 1, side_m: float = 0.1, **more: Any) -> list[dict[str, Any]]:
    return [{"object": {"shape": "box", "size_m": [side_m] * 3, "material": "wood"}, "count": count, **more}]


def centroid_hz(audio: Audio) -> float:
    power = np.abs(np.fft.rfft(audio.samples[0].astype(float))) ** 2
    return float((np.fft.rfftfreq(audio.n_frames, 1 / audio.rate_hz) * power).sum() / power.sum())
