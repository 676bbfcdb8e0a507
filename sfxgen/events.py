"""What a build tells whoever shows it: a terminal, a CI log, the watcher."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


def untold(*words: object) -> None:
    """Tells nobody: for callers who ask for no word."""


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    kind: waiting (another sfxgen builds here), planned (data: sounds, stale), guiding (a step of a descent; data: step,
        of, loss), working (text: what takes long just now, as the modes of a mesh), sketched (published as it starts,
        to be guided; data: seconds), made (text: the reasons; data: seconds), failed, warning, removed (text: path). In
        watch mode also changed (text: the files), fault (text: one fault of a manifest), left (text: a file left alone,
        and why) and ready (a build has ended, the watch goes on).
    sound: the sound's name, "" where the event is about none.
    """

    kind: str
    sound: str = ""
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """One line for `--json`."""
        known = {"event": self.kind, "sound": self.sound, "text": self.text}
        return json.dumps({key: value for key, value in known.items() if value} | dict(self.data), ensure_ascii=False)


OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Shows nothing."""
