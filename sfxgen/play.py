"""`sfxgen play`: one finished sound to a file or the speaker."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from sfxgen.build import cache_folder
from sfxgen.cache import Cache
from sfxgen.disk import Disk, write_atomically
from sfxgen.errors import BadInput, ProgramMissing
from sfxgen.lock import Lock
from sfxgen.make import MadeFile, make
from sfxgen.manifest.presets import presets
from sfxgen.manifest.project import load_config, project_from_text
from sfxgen.plan import Planned, make_plan, plan_project

_PLAYERS = (["afplay"], ["paplay"], ["pw-play"], ["aplay", "-q"], ["ffplay", "-v", "error", "-nodisp", "-autoexit"])


def play(root: Path, sound: str, *, out: Path | None, layer: str | None, index: int) -> str:
    """Render a project's sound, a preset or a prompt (tried in this order) and play it, or write it to `out` as WAV.

    Gives one line that says what was rendered. Raises SfxgenError.
    """
    planned = _in_project(root, sound) or _on_its_own(root, sound)
    wav = planned.job.settings.model_copy(update={"format": "wav"})
    cache = Cache(cache_folder(root, load_config(root)))
    made = make(replace(planned.job, settings=wav, guard_frame=False), root, cache)
    file = _pick(made.files, layer, index)
    start = f"{planned.job.kind}: {planned.choice.why}" if planned.choice else planned.job.kind
    line = f"{sound} ({start}): {file.n_frames / file.rate_hz:.2f} s, {file.loudness_lufs:.1f} LUFS"
    if out is not None:
        write_atomically(out, file.data)
        return f"{line}; wrote {out}"
    _to_speaker(file.data)
    return line


def _in_project(root: Path, name: str) -> Planned | None:
    try:
        plan = plan_project(root).plan
    except BadInput as error:
        if "no manifests" in str(error):
            return None
        raise
    return next((planned for planned in plan.sounds if planned.job.name == name), None)


def _on_its_own(root: Path, sound: str) -> Planned:
    preset = presets().get(sound)
    entry = {**preset.entry, preset.kind: {"preset": sound}} if preset else sound
    project = project_from_text(root, json.dumps({"version": 1, "sounds": {"sound": entry}}))
    return make_plan(project, Lock(), Disk(root), "plain").sounds[0]


def _pick(files: tuple[MadeFile, ...], layer: str | None, index: int) -> MadeFile:
    layers = list(dict.fromkeys(file.slot.layer for file in files))
    wanted = layers[0] if layer is None else layer
    for file in files:
        if (file.slot.layer, file.slot.index) == (wanted, index):
            return file
    count = max(file.slot.index for file in files)
    found = f"layer '{layer}', variation {index}" if layer else f"variation {index}"
    named = f" in the layers {', '.join(layers)}" if layers != [""] else ""
    raise BadInput(f"the sound has no {found}; it has variations 1 to {count}{named}")


def _to_speaker(wav: bytes) -> None:
    """Through what the system has for it. Raises ProgramMissing where there is nothing."""
    if sys.platform == "win32":
        import winsound

        winsound.PlaySound(wav, winsound.SND_MEMORY)
        return
    command = next((player for player in _PLAYERS if shutil.which(player[0])), None)
    if command is None:
        names = ", ".join(player[0] for player in _PLAYERS)
        raise ProgramMissing(f"no player found to reach the speaker (tried {names}); write a file with --out x.wav")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound.wav"
        path.write_bytes(wav)
        try:
            subprocess.run([*command, str(path)], check=True, capture_output=True)
        except subprocess.CalledProcessError as error:
            said = error.stderr.decode(errors="replace").strip().splitlines()
            reason = said[-1] if said else f"it ended with {error.returncode}"
            raise ProgramMissing(f"{command[0]} could not play it: {reason}; write a file with --out x.wav") from error
