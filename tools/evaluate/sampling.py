"""Sounds for samples.py to judge: sampled from the library prior, or recordings through its decoder.

Kept below build/samples/ by everything that they depend on.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from ranking import ROOT, Task

from sfxgen import mel
from sfxgen.library.places import LEVELS_FILE, SHIPPED
from sfxgen.priors import library as prior_module
from sfxgen.priors.library import CENTRE_DB, SCALE_DB, LibraryPrior
from sfxgen.priors.mixture import Kernel

FOLDER = ROOT / "build" / "samples"


@dataclass(frozen=True)
class Sample:
    """kind: its prompt's number. drawn_db, heard_db: log-mels [frames, bands] as the prior drew it, and of the sound
    itself. shares: of the recordings that it was mixed from, by name."""

    kind: int
    wav: Path
    drawn_db: NDArray[np.float32]
    heard_db: NDArray[np.float32]
    shares: dict[str, float]


def sampled(task: Task, kernel: Kernel, n_seeds: int) -> list[Sample]:
    """All prompts with all seeds, as generate/text.py makes them; from the cache where nothing has changed."""
    prior = LibraryPrior(task.library, kernel=kernel)
    folder = FOLDER / _key(repr((kernel, prior_module.N_CANDIDATES, prior_module.SHARPNESS)))
    every = [_of_kind(prior, kind, prompt, n_seeds, folder) for kind, prompt in enumerate(task.prompts)]
    return [sample for of_kind in every for sample in of_kind]


def _of_kind(prior: LibraryPrior, kind: int, prompt: str, n_seeds: int, folder: Path) -> list[Sample]:
    place = folder / f"{kind:02d}_{prompt.replace(' ', '_')}_{n_seeds}"
    notes = place / "shares.json"
    if not notes.exists():
        place.mkdir(parents=True, exist_ok=True)
        seconds = prior.natural_s(prompt)
        generators = [torch.Generator().manual_seed(1000 * kind + seed) for seed in range(n_seeds)]
        condition = prior.drawn(prior.condition([prompt] * n_seeds, seconds), generators)
        z0 = prior.sample_z0(condition, generators)
        credits = prior.credits(z0, condition)
        blocks = prior.decode(z0, generators)[:, 0, : round(seconds * prior.rate_hz)]
        np.save(place / "z0.npy", z0.numpy())
        for seed, block in enumerate(blocks):
            _write(place / f"{seed}.wav", block)
        notes.write_text(json.dumps([{credit.name: credit.share for credit in of} for of in credits]), "utf-8")
    drawn_db = np.clip(np.load(place / "z0.npy") * SCALE_DB + CENTRE_DB, mel.FLOOR_DB, 0.0)
    wavs = [place / f"{seed}.wav" for seed in range(n_seeds)]
    every = zip(wavs, drawn_db, json.loads(notes.read_text("utf-8")), strict=True)
    return [Sample(kind, wav, levels_db, heard(wav), shares) for wav, levels_db, shares in every]


def through_resynthesis(task: Task) -> list[Path]:
    """The recordings' own levels through the decoder alone: what it costs."""
    prior = LibraryPrior(task.library)
    folder = FOLDER / _key("recordings")
    folder.mkdir(parents=True, exist_ok=True)
    wavs = [folder / f"{number:03d}.wav" for number in range(len(task.recordings))]
    for wav, exemplar in zip(wavs, task.recordings.tolist(), strict=True):
        if not wav.exists():
            levels_db = torch.from_numpy(task.library.levels_db(exemplar))[None]
            _write(wav, prior.decode((levels_db - CENTRE_DB) / SCALE_DB, [torch.Generator().manual_seed(1)])[0, 0])
    return wavs


def heard(wav: Path) -> NDArray[np.float32]:
    """The log-mel of a file (dB), [frames, bands]."""
    audio, _ = soundfile.read(wav, dtype="float32")
    levels_db: NDArray[np.float32] = mel.log_mel(torch.from_numpy(audio)[None])[0].numpy()
    return levels_db


def _write(wav: Path, audio: torch.Tensor) -> None:
    """Whole or not at all, at full scale."""
    part = wav.with_suffix(".part")
    soundfile.write(part, (audio / audio.abs().max().clamp_min(1e-9)).numpy(), mel.RATE_HZ, format="WAV")
    part.replace(wav)


def _key(settings: str) -> str:
    """Of the settings, the library and the code between a prompt and a sound."""
    root = ROOT / "sfxgen"
    code = [
        path for wanted in ("mel.py", "priors/*.py", "synths/resynthesis*.py") for path in sorted(root.glob(wanted))
    ]
    parts = [settings.encode(), *(path.read_bytes() for path in (SHIPPED / LEVELS_FILE, *code))]
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]
