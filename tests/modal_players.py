"""Our players of banks of modes, run by the programs that they are written for: node, Chromium, Godot, Mono."""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from modal_reference import Array, Bank, Hit

from sfxgen.export.modal import player_text

BLOCK = 100  # frames asked for at a time: no power of two, so that blows and blocks of the player do not meet

NODE = """\
import { readFileSync, writeFileSync } from "node:fs";
import { ModalObject } from "./sfxgen-modal.mjs";
const { bank, hits, frames, rate, modes, block } = JSON.parse(readFileSync("work.json", "utf8"));
const object = new ModalObject(bank, rate, modes);
const sound = new Float32Array(frames);
for (let at = 0; at < frames; at += block) {
  const n = Math.min(block, frames - at);
  for (const [start, speed, place, gain] of hits) {
    if (start >= at && start < at + n) object.strike(speed, place, gain, start - at);
  }
  object.render(sound, at, n);
}
writeFileSync("sound.f32", new Uint8Array(sound.buffer));
console.log(object.isRinging);
"""

PAGE = """\
<html><body><script type="module">
import { createModalNode } from "./sfxgen-modal.js";
try {
  const { bank, hits, frames, rate, modes } = await (await fetch("work.json")).json();
  const context = new OfflineAudioContext(1, frames, rate);
  const strikes = hits.map(([at, speed, place, gain]) => [speed, place, gain, at / rate]);
  const node = await createModalNode(context, bank, { maxModes: modes, strikes });
  node.connect(context.destination);
  const sound = (await context.startRendering()).getChannelData(0);
  await fetch("result", { method: "POST", body: JSON.stringify(Array.from(sound)) });
} catch (error) {
  await fetch("result", { method: "POST", body: JSON.stringify(String(error)) });
}
</script></body></html>
"""

GODOT_3 = """\
extends SceneTree

const Core = preload("sfxgen_modal.gd")

func _init():
    var file = File.new()
    file.open("res://work.json", File.READ)
    var work = JSON.parse(file.get_as_text()).result
    file.close()
    var object = Core.new(work["bank"], work["rate"], int(work["modes"]))
    var frames = int(work["frames"])
    file.open("res://sound.f64", File.WRITE)
    var at = 0
    while at < frames and object.is_valid:
        var n = int(min(work["block"], frames - at))
        for hit in work["hits"]:
            if hit[0] >= at and hit[0] < at + n:
                object.strike(hit[1], hit[2], hit[3], int(hit[0]) - at)
        for x in object.render(n):
            file.store_double(x)
        at += n
    file.close()
    print("RINGING ", object.is_ringing())
    quit()
"""

MONO = """\
using System;
using System.Globalization;
using System.IO;

public static class Probe
{
    static double[] Numbers(string text)
    {
        var words = text.Split(new[] { ' ' }, StringSplitOptions.RemoveEmptyEntries);
        return Array.ConvertAll(words, w => double.Parse(w, CultureInfo.InvariantCulture));
    }

    public static void Main()
    {
        var bank = new Sfxgen.ModalBank();
        double[] shape = null;
        var hits = new System.Collections.Generic.List<double[]>();
        foreach (string line in File.ReadAllLines("work.txt"))
        {
            int space = line.IndexOf(' ');
            string key = line.Substring(0, space), value = line.Substring(space + 1);
            if (key == "WORK") { shape = Numbers(value); continue; }
            if (key == "HIT") { hits.Add(Numbers(value)); continue; }
            var field = typeof(Sfxgen.ModalBank).GetField(key);
            if (field.FieldType == typeof(string)) field.SetValue(bank, value);
            else if (field.FieldType == typeof(int)) field.SetValue(bank, int.Parse(value));
            else if (field.FieldType == typeof(double)) field.SetValue(bank, Numbers(value)[0]);
            else field.SetValue(bank, Numbers(value));
        }
        int frames = (int)shape[0], block = (int)shape[3];
        var sound = new Sfxgen.ModalObject(bank, shape[1], (int)shape[2]);
        var part = new float[block];
        using (var output = new BinaryWriter(File.Create("sound.f32")))
            for (int at = 0; at < frames; at += block)
            {
                int n = Math.Min(block, frames - at);
                foreach (double[] hit in hits)
                    if (hit[0] >= at && hit[0] < at + n) sound.Strike(hit[1], hit[2], hit[3], (long)hit[0] - at);
                sound.Render(part, n);
                for (int t = 0; t < n; t++) output.Write(part[t]);
            }
        Console.WriteLine(sound.IsRinging);
    }
}
"""

# What SfxgenModalPlayer.cs takes from Unity, without what it does.
UNITY = """\
namespace UnityEngine
{
    public class Object { }
    public class Component : Object { public T GetComponent<T>() where T : new() { return new T(); } }
    public class MonoBehaviour : Component { }
    public class AudioSource : Component { public AudioClip clip; public bool loop; public void Play() { } }
    public class AudioClip : Object
    {
        public static AudioClip Create(string name, int length, int channels, int rate, bool stream) { return null; }
        public bool SetData(float[] data, int offset) { return true; }
    }
    public class TextAsset : Object { public string text; }
    public struct Vector3 { public float magnitude; }
    public class Collision { public Vector3 relativeVelocity; }
    public static class AudioSettings { public static int outputSampleRate; }
    public static class Random { public static float Range(float low, float high) { return low; } }
    public static class JsonUtility { public static T FromJson<T>(string json) { return default(T); } }
    public static class Debug { public static void LogError(object message, Object context) { } }
    public class RequireComponent : System.Attribute { public RequireComponent(System.Type type) { } }
    public class AddComponentMenu : System.Attribute { public AddComponentMenu(string name) { } }
    public class TooltipAttribute : System.Attribute { public TooltipAttribute(string text) { } }
    public class RangeAttribute : System.Attribute { public RangeAttribute(float low, float high) { } }
}
"""


def by_node(folder: Path, bank: Bank, hits: Sequence[Hit], n_frames: int, rate_hz: int, modes: int) -> Array:
    """Samples by the JavaScript core, [n_frames]."""
    node = program("node")
    work(folder, bank, hits, n_frames, rate_hz, modes)
    (folder / "sfxgen-modal.mjs").write_text(player_text("sfxgen-modal.js"), encoding="utf-8")
    (folder / "probe.mjs").write_text(NODE)
    run([node, "probe.mjs"], folder)
    return np.fromfile(folder / "sound.f32", "<f4").astype(np.float64)


def by_chromium(folder: Path, bank: Bank, hits: Sequence[Hit], n_frames: int, rate_hz: int, modes: int) -> Array:
    """Samples by a real AudioWorklet in an OfflineAudioContext, [n_frames]."""
    chromium = shutil.which("chromium") or program("chromium-browser")
    work(folder, bank, hits, n_frames, rate_hz, modes)
    (folder / "sfxgen-modal.js").write_text(player_text("sfxgen-modal.js"), encoding="utf-8")
    (folder / "page.html").write_text(PAGE)
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    with served(folder) as (address, results):
        command = [chromium, *flags, f"{address}/page.html"]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
            try:
                found = results.get(timeout=90)
            finally:
                browser.terminate()
    assert isinstance(found, list), found
    return np.array(found)


def by_godot(folder: Path, bank: Bank, hits: Sequence[Hit], n_frames: int, rate_hz: int, modes: int) -> Array:
    """Samples by the GDScript core in a headless Godot 3, [n_frames]."""
    godot = program("godot3-server")
    work(folder, bank, hits, n_frames, rate_hz, modes)
    (folder / "project.godot").write_text('config_version=4\n\n[application]\n\nconfig/name="probe"\n')
    (folder / "sfxgen_modal.gd").write_text(player_text("sfxgen_modal.gd"), encoding="utf-8")
    (folder / "probe.gd").write_text(GODOT_3.replace("    ", "\t"))
    words = run([godot, "--path", str(folder), "-s", "probe.gd"], folder)
    assert "SCRIPT ERROR" not in words, words
    return np.fromfile(folder / "sound.f64", "<f8")


def by_mono(folder: Path, bank: Bank, hits: Sequence[Hit], n_frames: int, rate_hz: int, modes: int) -> Array:
    """Samples by the C# core, [n_frames]."""
    compiler, mono = program("mcs"), program("mono")
    lines = [f"{key} {' '.join(map(repr, value)) if isinstance(value, list) else value}" for key, value in bank.items()]
    lines += [f"HIT {hit.at} {hit.speed_m_s} {hit.place} {hit.gain}" for hit in hits]
    (folder / "work.txt").write_text("\n".join([f"WORK {n_frames} {rate_hz} {modes} {BLOCK}", *lines]))
    (folder / "SfxgenModal.cs").write_text(player_text("SfxgenModal.cs"), encoding="utf-8")
    (folder / "Probe.cs").write_text(MONO)
    run([compiler, "-warnaserror", "-out:probe.exe", "SfxgenModal.cs", "Probe.cs"], folder)
    run([mono, "probe.exe"], folder)
    return np.fromfile(folder / "sound.f32", "<f4").astype(np.float64)


PLAYERS = {"node": by_node, "chromium": by_chromium, "godot": by_godot, "mono": by_mono}


def compiled_for_unity(folder: Path) -> str:
    """The C# files compiled against a stand-in for Unity; what the compiler said, warnings included."""
    compiler = program("mcs")
    (folder / "Unity.cs").write_text(UNITY)
    for name in ("SfxgenModal.cs", "SfxgenModalPlayer.cs"):
        (folder / name).write_text(player_text(name), encoding="utf-8")
    files = ["Unity.cs", "SfxgenModal.cs", "SfxgenModalPlayer.cs"]
    return run([compiler, "-target:library", "-nowarn:649", "-out:players.dll", *files], folder)


def work(folder: Path, bank: Bank, hits: Sequence[Hit], n_frames: int, rate_hz: int, modes: int) -> None:
    """What a probe reads: the bank and what to do with it, as JSON."""
    blows = [[hit.at, hit.speed_m_s, hit.place, hit.gain] for hit in hits]
    task = {"bank": bank, "hits": blows, "frames": n_frames, "rate": rate_hz, "modes": modes, "block": BLOCK}
    (folder / "work.json").write_text(json.dumps(task))


def program(name: str) -> str:
    """The path of a program; skips the test where it is not there."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on the PATH")
    return found


def run(command: Sequence[str], folder: Path) -> str:
    """What a program printed. Fails the test where it failed."""
    environment = os.environ | {"HOME": str(folder), "LANG": "en_US.UTF-8"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + (done.stderr if command[0].endswith("godot3-server") else "")


class _Site(http.server.SimpleHTTPRequestHandler):
    results: queue.SimpleQueue[object]

    def do_POST(self) -> None:
        self.results.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[str, queue.SimpleQueue[object]]]:
    """The folder as a site on this machine, since a page may load modules from a site only, and what it posts."""
    results: queue.SimpleQueue[object] = queue.SimpleQueue()
    site = type("Site", (_Site,), {"results": results})
    handler = functools.partial(site, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", results
        finally:
            server.shutdown()
            thread.join()
