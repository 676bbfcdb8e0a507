"""A sound bank over sfx.json: `python play.py tile_move` prints which file to hand to the mixer."""

import json
import random
import sys
from pathlib import Path

GAME = Path(__file__).parent
INDEX = json.loads((GAME / "assets/sfx/sfx.json").read_text(encoding="utf-8"))
SOUNDS = {sound["name"]: sound["files"] for sound in INDEX["sounds"]}


def pick(name, layer="", random=random):
    """One variation of a sound: its path, and the frames [start, end) between which it loops, or None."""
    file = random.choice([file for file in SOUNDS[name] if file["layer"] == layer])
    loop = file.get("loop")
    return GAME / file["path"], (loop["start_frame"], loop["end_frame"]) if loop else None


if __name__ == "__main__":
    for name in sys.argv[1:] or SOUNDS:
        print(name, *pick(name))
