"""How fast sfxgen is, beside tools that do the same work: `python tools/bench.py [names] [--runs N]`.

Each line gives the median of its runs and their range. A figure holds for the machine that the first lines name; the
order of two lines of one group is what carries over to others.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

N_SOUNDS = 1000
N_MODES, MODAL_S, RATE_HZ = 100, 3.0, 48_000
LOUDNESS_S = 60.0
LIBRARY_WORK = {
    "load": "reading it, with the vectors of its captions",
    "conditional": "a step of 24 sounds",
    "guided": "a step of 24 sounds, guided: the whole library as well",
    "numpy": "whole-sound weights of the same exemplars in numpy",
    "numpy_whole": "whole-sound weights of the whole library in numpy",
}
SFXGEN = [sys.executable, "-m", "sfxgen"]


def main() -> int:
    benches = {
        "nothing": nothing_to_do,
        "help": show_help,
        "modal": modal,
        "solids": solids,
        "players": players,
        "scene": scene,
        "loudness": loudness,
        "watch": save_to_sound,
        "priors": library_prior,
        "guidance": guidance,
        "distill": real_size,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"which to run, of {', '.join(benches)}; all when none is given")
    parser.add_argument("--runs", type=int, default=7, help="runs of each (default 7)")
    options = parser.parse_args()
    if unknown := [name for name in options.names if name not in benches]:
        parser.error(f"no benchmark {', '.join(unknown)}; there are {', '.join(benches)}")
    print(machine())
    for name in options.names or benches:
        with tempfile.TemporaryDirectory(prefix="sfxgen-bench-") as folder:
            benches[name](Path(folder), options.runs)
    return 0


def nothing_to_do(folder: Path, n_runs: int) -> None:
    """A build in a fresh process that finds everything fresh, beside make on as many targets."""
    print(f"\nNothing to do, {N_SOUNDS:,} sounds, a fresh process each run")
    project = write_sounds(folder / "project")
    subprocess.run([*SFXGEN, "build"], cwd=project, check=True, capture_output=True)

    def build() -> None:
        words = subprocess.run([*SFXGEN, "build"], cwd=project, check=True, capture_output=True, text=True).stdout
        if f"{N_SOUNDS} up to date" not in words:
            raise RuntimeError(f"there was something to do after all: {words.splitlines()[-1:]}")

    report("sfxgen build (Godot project: a WAV, a .import and a .tres each)", timed(build, n_runs))
    if shutil.which("make"):
        report(
            "make (a file made of a file each)", timed(command(write_makefile(folder / "make"), "make", "-s"), n_runs)
        )


def write_sounds(project: Path) -> Path:
    """A Godot project of very short sounds in ten manifests."""
    (project / "sounds").mkdir(parents=True)
    (project / "project.godot").write_text("config_version=5\n", encoding="utf-8")
    (project / "sfxgen.yaml").write_text("cache: .sfxgen/cache\n", encoding="utf-8")
    for i in range(10):
        names = (f"click_{j:04d}" for j in range(i * N_SOUNDS // 10, (i + 1) * N_SOUNDS // 10))
        sounds = "".join(f"  {name}: {{fm: {{preset: ui_click}}, tags: [bench]}}\n" for name in names)
        (project / "sounds" / f"part_{i}.yaml").write_text(f"version: 1\nsounds:\n{sounds}", encoding="utf-8")
    return project


def write_makefile(folder: Path) -> Path:
    """Targets that are all newer than what they are made of."""
    folder.mkdir()
    names = [f"sound_{i:04d}" for i in range(N_SOUNDS)]
    for suffix in (".yaml", ".wav"):
        for name in names:
            (folder / (name + suffix)).write_text(name, encoding="utf-8")
    targets = " ".join(f"{name}.wav" for name in names)
    (folder / "Makefile").write_text(f"all: {targets}\n%.wav: %.yaml\n\tcp $< $@\n", encoding="utf-8")
    return folder


def show_help(folder: Path, n_runs: int) -> None:
    print("\nThe command line's start, a fresh process each run")
    report("sfxgen --help", timed(command(folder, *SFXGEN, "--help"), n_runs))
    report("python -c pass", timed(command(folder, sys.executable, "-c", "pass"), n_runs))


def modal(folder: Path, n_runs: int) -> None:  # noqa: ARG001
    """One struck body on one core, rendered four ways that must agree."""
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from scipy.signal import lfilter, sosfilt

    from sfxgen.synths.modal import ModalSynth

    torch.set_num_threads(1)
    print(f"\nModal synthesis on one core, {N_MODES} modes × {MODAL_S:g} s at {RATE_HZ} Hz, as multiples of real time")
    rng = np.random.default_rng(1)
    frequency_hz, decay_per_s = np.geomspace(80, 18_000, N_MODES), rng.uniform(2, 60, N_MODES)
    amplitude, n_frames = rng.uniform(0.1, 1, N_MODES) / N_MODES, round(MODAL_S * RATE_HZ)

    def ours() -> NDArray[np.float32]:
        with torch.inference_mode():
            f, d, a = (torch.from_numpy(values)[None] for values in (frequency_hz, decay_per_s, amplitude))
            return np.asarray(ModalSynth(f, d, a, RATE_HZ)(n_frames)[0])

    def filters() -> NDArray[np.float64]:
        impulse, total = np.zeros(n_frames), np.zeros(n_frames)
        impulse[0] = 1.0
        for f_hz, d, a in zip(frequency_hz, decay_per_s, amplitude, strict=True):
            radius, angle = np.exp(-d / RATE_HZ), 2 * np.pi * f_hz / RATE_HZ
            total += lfilter([0, a * radius * np.sin(angle)], [1, -2 * radius * np.cos(angle), radius**2], impulse)
        return total

    def sections() -> NDArray[np.float64]:
        impulse, total = np.zeros(n_frames), np.zeros(n_frames)
        impulse[0] = 1.0
        for f_hz, d, a in zip(frequency_hz, decay_per_s, amplitude, strict=True):
            radius, angle = np.exp(-d / RATE_HZ), 2 * np.pi * f_hz / RATE_HZ
            section = [[0, a * radius * np.sin(angle), 0, 1, -2 * radius * np.cos(angle), radius**2]]
            total += sosfilt(section, impulse)
        return total

    def sines() -> NDArray[np.float64]:
        seconds, total = np.arange(n_frames) / RATE_HZ, np.zeros(n_frames)
        for f_hz, d, a in zip(frequency_hz, decay_per_s, amplitude, strict=True):
            total += a * np.exp(-d * seconds) * np.sin(2 * np.pi * f_hz * seconds)
        return total

    exact = sines()
    for name, render in (
        ("sfxgen ModalSynth", ours),
        ("scipy lfilter, one a mode", filters),
        ("scipy sosfilt, one a mode", sections),
        ("numpy, a sine a mode", sines),
    ):
        error_db = 20 * np.log10(max(float(np.abs(render() - exact).max() / np.abs(exact).max()), 1e-16))
        note = f"{error_db:.0f} dB from the formula" if render is not sines else "the formula itself"
        seconds = timed(render, n_runs)
        report(name, seconds, f"{MODAL_S / statistics.median(seconds):8,.0f} × real time, {note}")


def solids(folder: Path, n_runs: int) -> None:  # noqa: ARG001
    """A mesh to its modes, the next material and size of it, and the largest that is solved; a process each."""
    print("\nModes of bodies from meshes, one core")
    script = Path(__file__).with_name("bench_solids.py")
    environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    for what in ("usual", "million", "largest", "many_modes"):
        words = [sys.executable, str(script), what]
        done = subprocess.run(words, check=True, capture_output=True, text=True, env=environment)
        figures = (f"{key} {value:,.4g}" for key, value in json.loads(done.stdout).items())
        print(f"  {what:10s} {', '.join(figures)}", flush=True)


def players(folder: Path, n_runs: int) -> None:
    """Struck objects that a game rings itself, all modes of all of them sounding."""
    from bench_players import N_MODES, by_godot, by_node

    print("\nPlayers of modal banks on one core, 1 s of bells that are struck four times, as shares of real time")
    for name, program, time_it, n_objects, n_modes in (
        ("JavaScript (node)", "node", by_node, 16, N_MODES),
        ("JavaScript (node)", "node", by_node, 1, N_MODES),
        ("GDScript (headless Godot 3)", "godot3-server", by_godot, 1, N_MODES // 2),
    ):
        found = shutil.which(program)
        if found:
            seconds = time_it(folder, found, n_objects, n_modes, n_runs)
            share = f"{100 * statistics.median(seconds):.1f} % of a core"
            report(f"{name}: {n_objects} × {n_modes} modes", seconds, share)


def scene(folder: Path, n_runs: int) -> None:  # noqa: ARG001
    """Ten bodies, two seconds, one core: from poses to samples. Modes are solved before."""
    import torch

    from sfxgen.draw import Draw
    from sfxgen.generate.recipe import Request
    from sfxgen.generate.scene import render
    from sfxgen.manifest.scene import Scene

    torch.set_num_threads(1)
    print("\nA scene of ten bodies, two seconds followed: processor time, modes solved before")
    store: dict[str, bytes] = {}

    def cached(key: str, make: Callable[[], bytes]) -> bytes:
        if key not in store:
            store[key] = make()
        return store[key]

    for name, item in (
        ("ten wooden boxes dropped", {"shape": "box", "size_m": [0.1, 0.1, 0.1], "material": "wood"}),
        ("ten coins dropped", {"shape": "cylinder", "size_m": [0.024, 0.002], "material": "brass"}),
        ("ten forks dropped", {"shape": "bar", "size_m": [0.2, 0.018, 0.0025], "material": "steel"}),
    ):
        spec = Scene.model_validate({"bodies": [{"object": item, "count": 10}], "height_m": 0.8, "longest_s": 2})
        report(name, timed(partial(render, spec, [Draw(1)], Request(cached=cached)), n_runs, time.process_time))
    pane = {"shape": "plate", "size_m": [0.3, 0.2, 0.004], "material": "glass"}
    spec = Scene.model_validate({"bodies": [{"object": pane, "breaks": 20}], "height_m": 0.8, "longest_s": 2})
    report("a pane that breaks into twenty", timed(partial(render, spec, [Draw(1)], Request(cached=cached)), n_runs,
                                                   time.process_time))  # fmt: skip


def loudness(folder: Path, n_runs: int) -> None:
    """Integrated loudness of one file by three implementations, and ffmpeg's corrector."""
    import numpy as np
    import pyloudnorm
    import soundfile

    from sfxgen.master.loudness import read

    print(f"\nIntegrated loudness of {LOUDNESS_S:g} s of stereo noise at {RATE_HZ} Hz")
    rng = np.random.default_rng(2)
    swell = 0.05 + 0.05 * np.sin(np.arange(round(LOUDNESS_S * RATE_HZ)) / RATE_HZ)
    samples = rng.standard_normal((2, swell.size)) * swell
    path = folder / "noise.wav"
    soundfile.write(path, samples.T, RATE_HZ, subtype="FLOAT")
    meter = pyloudnorm.Meter(RATE_HZ)
    by_pyloudnorm = f"{meter.integrated_loudness(samples.T):.2f} LUFS"
    report(
        "sfxgen, in memory", timed(lambda: read(samples, RATE_HZ), n_runs), f"{read(samples, RATE_HZ).lufs():.2f} LUFS"
    )
    report("pyloudnorm, in memory", timed(lambda: meter.integrated_loudness(samples.T), n_runs), by_pyloudnorm)
    if shutil.which("ffmpeg"):
        for name, option in (("ebur128", "framelog=verbose"), ("loudnorm", "print_format=summary")):
            call = ["ffmpeg", "-nostats", "-i", str(path), "-af", f"{name}={option}", "-f", "null", "-"]
            words = subprocess.run(call, check=True, capture_output=True, text=True).stderr
            found = re.search(r"(?:I|Input Integrated): +(-[\d.]+) LUFS", words)
            note = f"{found[1]} LUFS" if found else ""
            report(f"ffmpeg {name}, a process that reads the file", timed(command(folder, *call), n_runs), note)


def save_to_sound(folder: Path, n_runs: int) -> None:
    """From a saved edit of an impact's speed to the finished file, with the watcher running."""
    print("\nWatching, from a save (speed_m_s of an impact) to the new WAV in the game's folder")
    manifest, sound = folder / "sounds" / "hits.yaml", folder / "audio" / "sfx" / "clang.wav"
    manifest.parent.mkdir()
    (folder / "project.godot").write_text("config_version=5\n", encoding="utf-8")
    (folder / "sfxgen.yaml").write_text("cache: .sfxgen/cache\n", encoding="utf-8")
    write_impact(manifest, speed_m_s=2.0)
    with watching(folder) as watcher:
        wait_for_change(sound, None, watcher)
        time.sleep(3.0)  # the first build also warms the workers
        seconds = []
        for i in range(max(n_runs, 5)):
            before, old = sound.stat().st_mtime_ns, sound.read_bytes()
            started = time.perf_counter()
            write_impact(manifest, speed_m_s=2.5 + 0.25 * i)
            wait_for_change(sound, before, watcher)
            seconds.append(time.perf_counter() - started)
            if sound.read_bytes() == old:
                raise RuntimeError("the file was written again, but sounds as before")
            time.sleep(1.0)
    report("sfxgen watch", seconds)


def write_impact(manifest: Path, speed_m_s: float) -> None:
    body = "{shape: bar, size_m: [0.6, 0.04, 0.006], material: steel}"
    text = f"version: 1\nsounds:\n  clang:\n    impact: {{object: {body}, speed_m_s: {speed_m_s}}}\n"
    manifest.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def watching(project: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`sfxgen watch` for as long as the block lasts, ended by Ctrl-C as a person would."""
    log = project / "watch.log"
    with (
        log.open("wb") as output,
        subprocess.Popen([*SFXGEN, "watch"], cwd=project, stdout=output, stderr=output) as process,
    ):
        try:
            yield process
        except TimeoutError as error:
            raise RuntimeError(f"{error}; sfxgen watch said:\n{log.read_text('utf-8', 'replace')}") from None
        finally:
            process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)


def wait_for_change(
    path: Path, before_ns: int | None, watcher: subprocess.Popen[bytes], at_most_s: float = 60.0
) -> None:
    """Until the file exists with another time of change than `before_ns`."""
    deadline = time.perf_counter() + at_most_s
    while time.perf_counter() < deadline and watcher.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime_ns != before_ns:
                return
        time.sleep(0.002)
    raise TimeoutError(f"{path.name} did not change in {at_most_s:g} s, or the watcher ended")


def library_prior(folder: Path, n_runs: int) -> None:
    """The library prior: loading, a denoising step of 24 sounds of 1.5 s, and a prompt to a file."""
    for what, title in (("load", "the shipped library"), ("step", "the shipped library"), ("large", "20,000 sounds")):
        processes = n_runs if what == "load" else 1  # what is read once a process is timed in fresh ones
        results = [measured_apart(what, n_runs) for _ in range(processes)]
        peak_mb = max(peak for _, peak in results)
        print(f"\nThe library prior, {title}; peak of memory {peak_mb:,.0f} MB")
        for name in results[0][0]:
            report(LIBRARY_WORK[name], [one for measured, _ in results for one in measured[name]])
    print("\nA prompt to files (sfxgen render), a fresh process and an empty cache each run")
    runs = iter(range(1000))

    def render(count: str) -> Callable[[], object]:
        def run() -> None:
            environment = {**os.environ, "SFXGEN_CACHE": str(folder / f"cache{next(runs)}")}
            words = [*SFXGEN, "render", "train horn", "--kind", "text", "-n", count, "-o", "x.wav"]
            subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True)

        return run

    report("one sound", timed(render("1"), n_runs))
    report("four variations", timed(render("4"), n_runs))


GUIDED = {
    "fm": ("laser_retro", "big spaceship laser"),
    "impact": ("sword_clang", "hitting pot with wooden spoon"),
    "texture": ("wind_howling", "storm over the sea"),
}


def guidance(folder: Path, n_runs: int) -> None:
    """A guided sound of 1.5 s of each kind in a process that is warm, then ten in a build from an empty cache."""
    print("\nGuidance of a sound of 1.5 s by the library prior, in a warm process on one core")
    from sfxgen.cache import Cache
    from sfxgen.generate.guide import Begin, Wish, guide
    from sfxgen.generate.recipe import Request
    from sfxgen.manifest.guide import Guide
    from sfxgen.manifest.presets import presets
    from sfxgen.manifest.sound import KINDS
    from sfxgen.priors import open_prior

    prior, cache = open_prior(("library",), folder), Cache(folder / "cache")
    for kind, (name, prompt) in GUIDED.items():
        body = KINDS[kind].model_validate(presets()[name].body)
        wish = Wish("", prompt, (Begin(kind, name, body),), Guide(), 1, True)
        guide(wish, prior, Request(duration_s=1.5, cached=cache.cached))
        seconds = timed(partial(guide, wish, prior, Request(duration_s=1.5, cached=cache.cached)), min(n_runs, 3))
        report(f"{kind}, from '{name}' by '{prompt}'", seconds)
    kinds = list(GUIDED.items())
    lines = [
        f"  s{i}: {{{kind}: {{preset: {name}}}, prompt: {prompt} {i}, duration_s: 1.5}}\n"
        for i, (kind, (name, prompt)) in enumerate(kinds[i % 3] for i in range(10))
    ]
    project = folder / "ten"
    (project / "sounds").mkdir(parents=True)
    (project / "sounds" / "a.yaml").write_text("version: 1\nsounds:\n" + "".join(lines), encoding="utf-8")
    (project / "sfxgen.yaml").write_text("cache: .cache\nengine: plain\n", encoding="utf-8")
    run = timed(command(project, *SFXGEN, "build", "--force"), min(n_runs, 3))
    report("ten of them, `sfxgen build` in a fresh process, a sound", [s / 10 for s in run])


def real_size(folder: Path, n_runs: int) -> None:  # noqa: ARG001
    """A step at the size of Stable Audio Open, with random weights; Decoder-SDS beside the encoder's gradient.

    On an NVIDIA GPU where there is one, in batches.
    """
    print("\nA step of score distillation at the real size of Stable Audio Open 1.0, random weights (minutes)")
    import torch

    script = [sys.executable, str(Path(__file__).with_name("bench_distill.py"))]
    words = [*script, "--gpu"] if torch.cuda.is_available() else script
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    for name, case in found["cases"].items():
        print(f"  {name}: {json.dumps(case)}")
    if "fit" in found:
        print(f"  fits 24 GB: {json.dumps(found['fit'])}")


def measured_apart(what: str, n_runs: int) -> tuple[dict[str, list[float]], float]:
    """Seconds of each run, and the peak of memory (MB), of a process of tools/bench_priors.py."""
    words = [sys.executable, str(Path(__file__).with_name("bench_priors.py")), what, str(n_runs)]
    measured = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    peak_mb: float = measured.pop("peak_mb")
    return measured, peak_mb


def command(folder: Path, *words: str) -> Callable[[], object]:
    return lambda: subprocess.run(words, cwd=folder, check=True, capture_output=True)


def timed(work: Callable[[], object], n_runs: int, clock: Callable[[], float] = time.perf_counter) -> list[float]:
    """Seconds of each run, after one that warms up."""
    work()
    seconds = []
    for _ in range(n_runs):
        started = clock()
        work()
        seconds.append(clock() - started)
    return seconds


def report(name: str, seconds: list[float], note: str = "") -> None:
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    figures = f"{middle * 1e3:9.1f} ms  ({low * 1e3:.1f} … {high * 1e3:.1f}, n = {len(seconds)})"
    print(f"  {name:64s}{figures}{'  ' + note if note else ''}", flush=True)


def machine() -> str:
    """What the figures hold for."""
    import numpy
    import torch

    return (
        f"{platform.system()} {platform.machine()}, {processor()}, {os.cpu_count()} cores; Python "
        f"{platform.python_version()}, torch {torch.__version__}, numpy {numpy.__version__}"
    )


def processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


if __name__ == "__main__":
    sys.exit(main())
