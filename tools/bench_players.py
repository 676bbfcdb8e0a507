"""The players of modal banks, timed by the programs that they are written for; part of `python tools/bench.py`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from sfxgen.export.modal import player_text
from sfxgen.generate.modal_bank import modal_bank
from sfxgen.generate.recipe import Request
from sfxgen.manifest.impact import Impact

RATE_HZ = 48_000
N_MODES = 64
BELL = {"object": {"shape": "bell", "size_m": [0.9, 0.8], "wall_m": 0.04, "material": "bronze"}}

NODE = """\
import { readFileSync } from "node:fs";
import { ModalObject } from "./sfxgen-modal.mjs";
const { bank, objects, modes, rate, runs } = JSON.parse(readFileSync("work.json", "utf8"));
const block = new Float32Array(128);
const seconds = [];
for (let run = 0; run <= runs; run++) {
  const bells = Array.from({ length: objects }, () => new ModalObject(bank, rate, modes));
  const begun = performance.now();
  for (let at = 0; at < rate; at += block.length) {
    for (const bell of bells) {
      if (at % 12288 === 0) bell.strike(3, Math.random());
      bell.render(block);
    }
  }
  if (run > 0) seconds.push((performance.now() - begun) / 1000);
}
console.log("SECONDS " + JSON.stringify(seconds));
"""

GODOT_3 = """\
extends SceneTree

const Core = preload("sfxgen_modal.gd")

func _init():
    var file = File.new()
    file.open("res://work.json", File.READ)
    var work = JSON.parse(file.get_as_text()).result
    file.close()
    var seconds = []
    for run in range(work["runs"] + 1):
        var bells = []
        for i in range(work["objects"]):
            bells.append(Core.new(work["bank"], work["rate"], int(work["modes"])))
        var begun = OS.get_ticks_usec()
        var at = 0
        while at < work["rate"]:
            for bell in bells:
                if at % 12288 == 0:
                    bell.strike(3.0, randf())
                bell.render(512)
            at += 512
        if run > 0:
            seconds.append((OS.get_ticks_usec() - begun) / 1000000.0)
    print("SECONDS ", to_json(seconds))
    quit()
"""


def by_node(folder: Path, node: str, n_objects: int, n_modes: int, n_runs: int) -> list[float]:
    """Seconds of each run that it took for a second of sound: bells of `n_modes`, each struck four times."""
    _prepare(folder, n_objects, n_modes, n_runs)
    (folder / "sfxgen-modal.mjs").write_text(player_text("sfxgen-modal.js"), encoding="utf-8")
    (folder / "bench.mjs").write_text(NODE, encoding="utf-8")
    return _seconds([node, "bench.mjs"], folder)


def by_godot(folder: Path, godot: str, n_objects: int, n_modes: int, n_runs: int) -> list[float]:
    """As by_node, in GDScript of a headless Godot 3."""
    _prepare(folder, n_objects, n_modes, n_runs)
    (folder / "project.godot").write_text('config_version=4\n\n[application]\n\nconfig/name="bench"\n')
    (folder / "sfxgen_modal.gd").write_text(player_text("sfxgen_modal.gd"), encoding="utf-8")
    (folder / "bench.gd").write_text(GODOT_3.replace("    ", "\t"), encoding="utf-8")
    return _seconds([godot, "--path", str(folder), "-s", "bench.gd"], folder)


def _prepare(folder: Path, n_objects: int, n_modes: int, n_runs: int) -> None:
    bank = modal_bank("bell", Impact.model_validate(BELL), Request(), -20.0)
    work = {"bank": bank, "objects": n_objects, "modes": n_modes, "rate": RATE_HZ, "runs": n_runs}
    (folder / "work.json").write_text(json.dumps(work), encoding="utf-8")


def _seconds(words: list[str], folder: Path) -> list[float]:
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if "SECONDS" in line]
    seconds: list[float] = json.loads(line.partition("SECONDS ")[2])
    return seconds
