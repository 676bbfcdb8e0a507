"""Pictures and measures of sounds, to judge them by eye.

    python tools/picture.py laser_01.wav laser_02.wav          one picture a file, laser_01.png beside it …
    python tools/picture.py laser_01.wav --out laser.png       … or where --out says (one file only)
    python tools/picture.py --presets DIR [--kind fm] [--only laser_retro …]
                                                               renders every preset: contact sheets and measures.tsv

A picture is the waveform (full scale ±1) above the spectrogram (Hz on a logarithmic axis, dB below the loudest
point). Needs matplotlib and pyloudnorm, which `pip install -e .[dev]` brings.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pyloudnorm
import soundfile
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray
from scipy import signal

from sfxgen.audio import Audio
from sfxgen.draw import Draw
from sfxgen.errors import SfxgenError
from sfxgen.generate import generate
from sfxgen.generate.recipe import Request
from sfxgen.manifest.base import Spec
from sfxgen.manifest.fm import Fm
from sfxgen.manifest.impact import Impact
from sfxgen.manifest.liquid import Liquid
from sfxgen.manifest.presets import Preset, presets
from sfxgen.manifest.scene import Scene
from sfxgen.manifest.texture import Texture

FLOOR_DB = -80.0
LOWEST_HZ, HIGHEST_HZ = 30.0, 20_000.0
TICKS_HZ = (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
COLOURS, INK = "BuPu", "#3b1f5b"
SHEET_ROWS, SHEET_COLUMNS = 3, 4
SPECS: dict[str, type[Spec]] = {
    "impact": Impact,
    "scene": Scene,
    "fm": Fm,
    "texture": Texture,
    "liquid": Liquid,
}


@dataclass(frozen=True)
class Measures:
    """duration_s; peak and rms (dB below full scale); loudness (LUFS, BS.1770-4; NaN below 0.4 s); the spectral
    centroid by power (Hz); t60_s (s): the fall from −5 to −25 dB of Schroeder's backward integral, times three.
    """

    duration_s: float
    peak_db: float
    rms_db: float
    loudness_lufs: float
    centroid_hz: float
    t60_s: float

    def __str__(self) -> str:
        loudness = "" if np.isnan(self.loudness_lufs) else f"  {self.loudness_lufs:.1f} LUFS"
        return (
            f"{self.duration_s:.2f} s  peak {self.peak_db:.1f} dB{loudness}  "
            f"centroid {self.centroid_hz:.0f} Hz  T60 {self.t60_s:.2f} s"
        )


def measure(audio: Audio) -> Measures:
    """Measures of a sound's mean over its channels (loudness: of all channels)."""
    mono = audio.samples.mean(0).astype(np.float64)
    power = np.abs(np.fft.rfft(mono)) ** 2
    f_hz = np.fft.rfftfreq(len(mono), 1 / audio.rate_hz)
    loudness = float("nan")
    if audio.duration_s >= 0.4:
        loudness = float(pyloudnorm.Meter(audio.rate_hz).integrated_loudness(audio.samples.T.astype(np.float64)))
    return Measures(
        duration_s=audio.duration_s,
        peak_db=_db(audio.peak),
        rms_db=_db(float(np.sqrt(np.mean(mono**2)))),
        loudness_lufs=loudness,
        centroid_hz=float((power * f_hz).sum() / max(power.sum(), 1e-30)),
        t60_s=decay_t60_s(mono, audio.rate_hz),
    )


def decay_t60_s(mono: NDArray[np.float64], rate_hz: int) -> float:
    """Reverberation time as in ISO 3382 (T20): Schroeder's integral from its −5 to its −25 dB point, times three."""
    left = np.cumsum(mono[::-1] ** 2)[::-1]
    if left[0] <= 0:
        return 0.0
    below = 10.0 * np.log10(np.maximum(left / left[0], 1e-12))
    first, last = (int(np.argmax(below <= level)) for level in (-5.0, -25.0))
    return 3.0 * max(0, last - first) / rate_hz


def draw_sound(wave: Axes, spectrum: Axes, audio: Audio, title: str) -> None:
    """The waveform into one pair of axes, the spectrogram into the other."""
    mono = audio.samples.mean(0)
    times_s = np.arange(audio.n_frames) / audio.rate_hz
    wave.plot(times_s, mono, color=INK, linewidth=0.5)
    wave.set(xlim=(0, audio.duration_s), ylim=(-1.05, 1.05), yticks=(-1, 0, 1))
    wave.tick_params(labelbottom=False)
    wave.set_title(title, loc="left", fontsize=9, fontweight="bold", color="black")
    window = 2048 if audio.duration_s > 0.5 else 1024
    hop = max(32, min(window // 4, audio.n_frames // 400))
    padded = np.pad(mono, window // 2)
    f_hz, at_s, power = signal.spectrogram(
        padded, audio.rate_hz, "hann", window, window - hop, nfft=4 * window, detrend=False
    )
    level = 10.0 * np.log10(np.maximum(power / max(power.max(), 1e-30), 10 ** (FLOOR_DB / 10)))
    heard = f_hz >= LOWEST_HZ / 2
    at_s = at_s - window / 2 / audio.rate_hz
    spectrum.pcolormesh(
        at_s, f_hz[heard], level[heard], cmap=COLOURS, vmin=FLOOR_DB, vmax=0, shading="nearest", rasterized=True
    )
    spectrum.set_yscale("log")
    spectrum.set(xlim=(0, audio.duration_s), ylim=(LOWEST_HZ, min(HIGHEST_HZ, audio.rate_hz / 2)))
    spectrum.yaxis.set_major_locator(FixedLocator(TICKS_HZ))
    spectrum.yaxis.set_minor_locator(NullLocator())
    spectrum.yaxis.set_major_formatter(FuncFormatter(lambda hz, _: f"{hz / 1000:g}k" if hz >= 1000 else f"{hz:g}"))
    for axes in (wave, spectrum):
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)


def save_picture(audio: Audio, title: str, path: Path) -> None:
    """One sound, one picture, with units on its axes and its measures below."""
    figure, (wave, spectrum) = plt.subplots(2, 1, figsize=(8, 4.5), height_ratios=(1, 2), sharex=True)
    draw_sound(wave, spectrum, audio, title)
    wave.set_ylabel("amplitude", fontsize=8)
    spectrum.set_ylabel("frequency (Hz)", fontsize=8)
    spectrum.set_xlabel(f"time (s)      {measure(audio)}", fontsize=8)
    bar = figure.colorbar(spectrum.collections[0], ax=(wave, spectrum), pad=0.02, aspect=35)
    bar.set_label("level (dB below the loudest point)", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    _save(figure, path)


def save_sheet(sounds: list[tuple[str, Audio]], path: Path) -> None:
    """Up to 12 sounds on one page."""
    figure = plt.figure(figsize=(5 * SHEET_COLUMNS, 4 * SHEET_ROWS), layout="constrained")
    grid = figure.add_gridspec(SHEET_ROWS, SHEET_COLUMNS)
    for place, (name, audio) in enumerate(sounds):
        cell = grid[place // SHEET_COLUMNS, place % SHEET_COLUMNS]
        inner = cell.subgridspec(2, 1, height_ratios=(1, 2.2), hspace=0.02)
        wave = figure.add_subplot(inner[0])
        spectrum = figure.add_subplot(inner[1], sharex=wave)
        draw_sound(wave, spectrum, audio, name)
        spectrum.set_xlabel(str(measure(audio)), fontsize=7)
    _save(figure, path)


def render_preset(preset: Preset, seed: int = 1) -> Audio:
    """The first take of a preset as it stands, at full intensity's middle."""
    body = SPECS[preset.kind].model_validate(preset.body)
    request = Request(duration_s=preset.entry.get("duration_s"), loop=bool(preset.entry.get("loop", False)))
    return generate(preset.kind, body, [Draw(seed)], request)[0]


def picture_presets(folder: Path, kind: str | None, only: list[str]) -> None:
    """Contact sheets, kind by kind, and measures.tsv."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = [p for p in presets().values() if kind in (None, p.kind) and (not only or p.name in only)]
    lines = ["preset\tduration_s\tpeak_db\trms_db\tloudness_lufs\tcentroid_hz\tt60_s"]
    per_sheet = SHEET_ROWS * SHEET_COLUMNS
    for each_kind in dict.fromkeys(preset.kind for preset in chosen):
        sounds = [(p.name, render_preset(p)) for p in chosen if p.kind == each_kind]
        for name, audio in sounds:
            m = measure(audio)
            numbers = (m.duration_s, m.peak_db, m.rms_db, m.loudness_lufs, m.centroid_hz, m.t60_s)
            lines.append("\t".join([name, *(f"{number:.2f}" for number in numbers)]))
        for first in range(0, len(sounds), per_sheet):
            save_sheet(sounds[first : first + per_sheet], folder / f"{each_kind}_{first // per_sheet + 1}.png")
    (folder / "measures.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines).expandtabs(16))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Waveform and spectrogram of sounds, as PNG.")
    parser.add_argument("files", nargs="*", type=Path, help="sound files that libsndfile reads")
    parser.add_argument("--out", type=Path, help="where the picture goes (one file only)")
    parser.add_argument("--presets", type=Path, metavar="DIR", help="render all presets into this folder")
    parser.add_argument("--kind", choices=SPECS, help="with --presets: only this kind")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="with --presets: only these")
    asked = parser.parse_args(arguments)
    if not asked.files and not asked.presets:
        parser.error("give sound files or --presets DIR")
    if asked.out and len(asked.files) != 1:
        parser.error("--out takes exactly one sound file")
    try:
        if asked.presets:
            picture_presets(asked.presets, asked.kind, asked.only)
        for path in asked.files:
            block, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
            target = asked.out or path.with_suffix(".png")
            save_picture(Audio.of(block.T, rate_hz), path.stem.replace("_", " "), target)
            print(target)
    except (SfxgenError, OSError, soundfile.LibsndfileError) as error:
        print(f"picture.py: {error}", file=sys.stderr)
        return 1
    return 0


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, facecolor="white", bbox_inches="tight")
    plt.close(figure)


def _db(amplitude: float) -> float:
    return 20.0 * float(np.log10(max(amplitude, 1e-10)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
