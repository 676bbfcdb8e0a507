"""A headless Godot 3 as a judge: it imports the WAVs of a folder and says what it found in them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PROBE = """
extends SceneTree

func _init():
    var dir = Directory.new()
    dir.open("res://")
    dir.list_dir_begin(true, true)
    var name = dir.get_next()
    while name != "":
        if name.ends_with(".wav"):
            var sample = load("res://" + name)
            var hash_context = HashingContext.new()
            hash_context.start(HashingContext.HASH_SHA256)
            hash_context.update(sample.data)
            print("RESULT ", to_json({"name": name, "length": sample.get_length(), "rate": sample.mix_rate,
                "stereo": sample.stereo, "loop": [sample.loop_mode, sample.loop_begin, sample.loop_end],
                "sha256": hash_context.finish().hex_encode()}))
        name = dir.get_next()
    quit()
"""


def import_all(root: Path) -> dict[str, dict[str, Any]]:
    """Import the WAVs that lie in `root`: name → length (s), rate, stereo, loop [mode, begin, end], sha256 of the data.

    Skips the test where there is no godot3-server.
    """
    godot = shutil.which("godot3-server")
    if godot is None:
        pytest.skip("godot3-server is not on the PATH")
    (root / "project.godot").write_text('config_version=4\n\n[application]\n\nconfig/name="probe"\n')
    (root / "probe.gd").write_text(PROBE.replace("    ", "\t"))
    environment = {"HOME": str(root), "PATH": "", "LANG": "en_US.UTF-8"}
    for arguments in (["--editor", "--quit"], ["-s", "probe.gd"]):
        command = [godot, "--path", str(root), *arguments]
        for _ in range(4):  # the editor of 3.2 at times crashes in a thread of its own; begun again, it goes on
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
            if done.returncode >= 0:
                break
        assert done.returncode == 0, done.stdout + done.stderr
    results = [json.loads(line.removeprefix("RESULT ")) for line in done.stdout.splitlines() if "RESULT" in line]
    return {result["name"]: result for result in results}
