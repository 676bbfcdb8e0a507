"""Banks of modes that a game rings itself (`runtime: modal`), and the players that we write beside them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from pathlib import PurePosixPath

from sfxgen.export.contract import SoundAssets

PLAYER_VERSION = 2  # raise when a player or a bank changes: the sounds that have one are exported again
BANK_SUFFIX = ".modal.json"
PLAYERS = {  # by engine
    "godot": ("sfxgen_modal.gd", "sfxgen_modal_player.gd"),
    "unity": ("SfxgenModal.cs", "SfxgenModalPlayer.cs"),
    "plain": ("sfxgen-modal.js",),
}


def player_files(engine: str, sounds: Iterable[SoundAssets], out: str) -> dict[str, str]:
    """The texts of an engine's player by path in the folder `out`; none where no sound has a bank."""
    if not any(sound.bank for sound in sounds):
        return {}
    return {str(PurePosixPath(out, name)): player_text(name) for name in PLAYERS[engine]}


@lru_cache
def player_text(name: str) -> str:
    """One of PLAYERS as it ships, with plain line ends."""
    return files("sfxgen.export").joinpath("players", name).read_text(encoding="utf-8").replace("\r\n", "\n")
