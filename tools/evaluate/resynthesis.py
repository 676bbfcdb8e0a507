"""From recording to log-mel and back: our resynthesis beside Griffin and Lim's from the same levels.

    python tools/evaluate/resynthesis.py [--sounds 200] [--out FOLDER]

Recordings come from build/corpus (tools/library gathers them), spread evenly over its packages. One line a method:
means with 95 % intervals (bootstrap over recordings). Less is better everywhere:

log      mean difference of log magnitudes (dB), averaged over FFT sizes 256, 1024 and 4096, where either is heard
conv     spectral convergence |X − Y| / |X| of magnitudes, averaged over the same
mel      mean difference (dB) of log-mel levels, on the grid that was given
short    the same in 6 ms windows, which the grid does not show: smear and crackle
judge    1 − cosine of embeddings by the outside judge
crest    difference of crest factors (dB)
attack   difference of attack times (ms, from 20 dB to 5 dB below the maximum), where the recording's is under 10 ms
time     processor seconds a second of sound

Two noises with equal statistics are some 6 dB apart in `log`. The line "fresh phases" shows what ignorance of phases
costs by itself: the recording's own frames, magnitudes kept, phases drawn anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import soundfile
import torch
from judge import NoJudge, embed
from numpy.typing import NDArray
from torch import Tensor

from sfxgen import mel
from sfxgen.synths import resynthesis_grid as grid
from sfxgen.synths.resynthesis import resynthesise

ROOT = Path(__file__).resolve().parents[2]
LONGEST_S, SHORTEST_S = 4.0, 0.1
FFT_SIZES = (256, 1024, 4096)
HIT_S = 0.010
HEARD_DB = -60.0
COLUMNS = ("log", "conv", "mel", "short", "judge", "crest", "attack", "time")
Method = Callable[[Tensor, Tensor, int], Tensor]  # recording [1, samples], levels, seed → audio


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sounds", type=int, default=200)
    parser.add_argument("--corpus", type=Path, default=ROOT / "build" / "corpus")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "resynthesis", help="where the sounds are kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recordings = choose(options.corpus, options.sounds)
    print(f"{len(recordings)} recordings of {len({name.split('/')[0] for name, _ in recordings})} packages")
    methods: dict[str, Method] = {
        "ours": lambda _, levels, seed: resynthesise(levels, torch.Generator().manual_seed(seed)),
        "Griffin-Lim 32": lambda _, levels, seed: griffin_lim(levels, 32, seed),
        "Griffin-Lim 100": lambda _, levels, seed: griffin_lim(levels, 100, seed),
        "fresh phases": lambda audio, _, seed: fresh_phases(audio, seed),
    }
    print(f"{'':18}" + "".join(f"{column:>15}" for column in COLUMNS))
    for name, method in methods.items():
        print(line(name, measure(method, recordings, options.out / name.replace(" ", "_"))), flush=True)
    return 0


def choose(corpus: Path, n: int) -> list[tuple[str, Path]]:
    """Names and files of n effects and percussion sounds, one package after the other, the same ones each time."""
    entries = json.loads((corpus / "index.json").read_text(encoding="utf-8"))
    fitting = [e for e in entries if e["use"] != "instrument" and e["seconds"] >= SHORTEST_S]
    ranks: dict[str, int] = {}
    keyed = []
    for entry in sorted(fitting, key=lambda e: hashlib.sha256(str(e["name"]).encode()).hexdigest()):
        rank = ranks[entry["package"]] = ranks.get(entry["package"], -1) + 1
        keyed.append((rank, entry["package"], entry["name"], entry["wav"]))
    return [(name, corpus / wav) for _, _, name, wav in sorted(keyed)[:n]]


def measure(method: Method, recordings: Iterable[tuple[str, Path]], out: Path) -> dict[str, list[float]]:
    """Every recording's figures, by column. The sounds are kept as WAV below out, for the judge and for the ear."""
    table: dict[str, list[float]] = {column: [] for column in COLUMNS}
    pairs = []
    for seed, (name, wav) in enumerate(recordings):
        audio = read(wav)
        levels = mel.log_mel(audio)
        began = time.process_time()
        with torch.no_grad():
            made = method(audio, levels, seed)
        table["time"].append((time.process_time() - began) / (audio.shape[-1] / mel.RATE_HZ))
        made = made * (audio.square().mean() / made.square().mean().clamp_min(1e-12)).sqrt()
        for column, value in distances(audio, made).items():
            table[column].append(value)
        pairs.append((keep(out.parent / "recordings", name, audio), keep(out, name, made)))
    try:
        ours, theirs = (embed([pair[side] for pair in pairs]) for side in (0, 1))
    except NoJudge as error:
        print(error, file=sys.stderr)
        return table
    cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    table["judge"] = [1.0 - float(c) for c in cosine]
    return table


def distances(audio: Tensor, made: Tensor) -> dict[str, float]:
    """All but the judge's, of two sounds [1, samples] of equal level. `attack` is left out where it is no hit."""
    logs, convergences = zip(*(spectral(audio, made, n_fft) for n_fft in FFT_SIZES), strict=True)
    figures = {
        "log": float(np.mean(logs)),
        "conv": float(np.mean(convergences)),
        "mel": log_difference(mel.mel_power(audio), mel.mel_power(made)),
        "short": short_mel_difference(audio, made),
        "crest": abs(crest_db(audio) - crest_db(made)),
    }
    if attack_s(audio) < HIT_S:
        figures["attack"] = 1000.0 * abs(attack_s(audio) - attack_s(made))
    return figures


def spectral(audio: Tensor, made: Tensor, n_fft: int) -> tuple[float, float]:
    """Mean difference of log magnitudes (dB), and spectral convergence."""
    x, y = (magnitudes(sound, n_fft) for sound in (audio, made))
    return log_difference(x.square(), y.square()), float((x - y).norm() / x.norm())


def log_difference(x: Tensor, y: Tensor) -> float:
    """Mean difference (dB) of powers, over cells where either is less than 60 dB below the recording's loudest."""
    floor = x.max() * 10.0 ** (HEARD_DB / 10.0)
    heard = torch.maximum(x, y) > floor
    return float(10.0 * (torch.log10(x + floor) - torch.log10(y + floor)).abs()[heard].mean())


def short_mel_difference(audio: Tensor, made: Tensor) -> float:
    """Mean difference (dB) of levels in 6 ms windows and bands two bins wide."""
    x, y = (magnitudes(sound, 256)[0, :128].square().reshape(64, 2, -1).sum(1) for sound in (audio, made))
    return log_difference(x, y)


def magnitudes(audio: Tensor, n_fft: int) -> Tensor:
    window = torch.hann_window(n_fft)
    return torch.stft(audio, n_fft, n_fft // 4, window=window, pad_mode="constant", return_complex=True).abs()


def crest_db(audio: Tensor) -> float:
    return float(20.0 * torch.log10(audio.abs().max() / audio.square().mean().sqrt()))


def attack_s(audio: Tensor) -> float:
    """How long the level (over 2 ms) takes from −20 to −5 dB of its maximum, each reached for the first time."""
    power = torch.nn.functional.avg_pool1d(audio.square()[None], 88, 4, padding=44)[0, 0]
    low, high = (int((power >= power.max() * 10.0 ** (db / 10.0)).to(torch.int8).argmax()) for db in (-20.0, -5.0))
    return (high - low) * 4 / mel.RATE_HZ


def griffin_lim(levels_db: Tensor, rounds: int, seed: int) -> Tensor:
    """Fast Griffin–Lim (Perraudin et al., 2013) from magnitudes by non-negative least squares (Lee and Seung)."""
    power = grid.to_power(levels_db)
    filters = torch.from_numpy(mel.filters()).to(power.dtype)
    density = torch.ones(*power.shape[:2], grid.N_BINS)
    for _ in range(60):
        density = density * (power @ filters.T) / (density @ filters @ filters.T + 1e-12)
    magnitude = density.sqrt().to(torch.complex64)
    turns = torch.rand(magnitude.shape, generator=torch.Generator().manual_seed(seed))
    phases = torch.polar(torch.ones_like(turns), 2.0 * torch.pi * turns)
    before = torch.zeros_like(phases)
    for _ in range(rounds):
        rebuilt = grid.split_frames(grid.join_frames(magnitude * phases, False), False)
        ahead = rebuilt + 0.99 * (rebuilt - before)
        before, phases = rebuilt, ahead / ahead.abs().clamp_min(1e-9)
    return grid.join_frames(magnitude * phases, False)


def fresh_phases(audio: Tensor, seed: int) -> Tensor:
    """The recording's frames with random phases."""
    spectra = grid.split_frames(audio, False)
    turns = torch.rand(spectra.shape, generator=torch.Generator().manual_seed(seed))
    return grid.join_frames(torch.polar(spectra.abs(), 2.0 * torch.pi * turns), False)


def read(wav: Path) -> Tensor:
    """At most LONGEST_S of a file, a whole number of hops, [1, samples], with the loudest cell near full scale."""
    audio, rate_hz = soundfile.read(wav, dtype="float32", always_2d=True)
    if rate_hz != mel.RATE_HZ:
        raise ValueError(f"{wav} is at {rate_hz} Hz, expected {mel.RATE_HZ}")
    n = min(len(audio), round(LONGEST_S * rate_hz)) // mel.HOP_SAMPLES * mel.HOP_SAMPLES
    mono = torch.from_numpy(audio[:n].mean(1))[None]
    return mono / mel.mel_power(mono).max().sqrt().clamp_min(1e-6)


def keep(folder: Path, name: str, audio: Tensor) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / (name.replace("/", "_") + ".wav")
    scaled = audio[0] / audio.abs().max().clamp_min(1e-6) * 0.9
    soundfile.write(place, scaled.numpy(), mel.RATE_HZ, subtype="FLOAT")
    return place


def line(name: str, table: dict[str, list[float]]) -> str:
    return f"{name:18}" + "".join(f"{interval(np.array(table[column])):>15}" for column in COLUMNS)


def interval(values: NDArray[np.float64]) -> str:
    """Mean ± half the width of its bootstrapped 95 % interval."""
    if not len(values):
        return "-"
    picks = np.random.default_rng(0).integers(len(values), size=(1000, len(values)))
    low, high = np.percentile(values[picks].mean(1), [2.5, 97.5])
    return f"{values.mean():.3f} ± {(high - low) / 2:.3f}"


if __name__ == "__main__":
    sys.exit(main())
