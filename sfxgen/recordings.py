"""`sfxgen separate` and `sfxgen enhance`: a recording to WAV files, with or without a project, not mastered."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from sfxgen.audio import Audio
from sfxgen.disk import write_atomically
from sfxgen.errors import ProgramMissing, SfxgenError
from sfxgen.manifest.project import load_config

ASK_S = 300.0  # how long a command may think about prompts


def separate(
    root: Path,
    recording: Path,
    prompts: Sequence[str],
    out: Path | None = None,
    *,
    count: int = 2,
    ask: str | None = None,
    seed: int = 0,
) -> Iterator[str]:
    """Write a stem a prompt, named after it, into the folder `out`: 32-bit float, which add up to the recording.

    Without prompts, `count` of them are found; ask: a command that is shown names of sounds and prints the prompts. The
    prior and the device are those of the project in `root`, where there is one. Gives a line for each file and each
    doubt. Raises SfxgenError.
    """
    from sfxgen.codec import encode
    from sfxgen.generate.recorded import read_recording
    from sfxgen.generate.separate import apart, found_prompts
    from sfxgen.priors import open_prior

    config = load_config(root)
    audio = read_recording(recording)
    prior = open_prior(config.prior, root, config.device)
    if not prompts:
        asked = None if ask is None else (lambda names, n: _answers(ask, names, n))
        prompts = found_prompts(audio, count, prior, seed, asked)
        yield f"found: {', '.join(prompts)}"
    doubts: list[str] = []
    stems = apart(audio, prompts, prior, seed, warn=doubts.append)
    folder = out or recording.with_name(f"{recording.stem}_stems")
    for name, stem in zip(file_names(prompts), stems, strict=True):
        path = folder / f"{name}.wav"
        write_atomically(path, encode(stem, format="wav", encoding="float32"))
        yield f"wrote {path}: {_described(stem, audio)}"
    for doubt in dict.fromkeys(doubts):
        yield f"warning: {doubt}"


def enhance(
    root: Path, recording: Path, out: Path | None = None, *, noise: str | None = None, amount: float = 1.0
) -> Iterator[str]:
    """Write the recording's speech to `out` or NAME_clean.wav beside it: 24 bits, or float beyond full scale."""
    from sfxgen.codec import encode
    from sfxgen.generate.enhance import cleaned
    from sfxgen.generate.recorded import read_recording
    from sfxgen.priors import open_prior

    config = load_config(root)
    audio = read_recording(recording)
    doubts: list[str] = []
    speech = cleaned(audio, open_prior(config.prior, root, config.device), 0, noise, amount, warn=doubts.append)
    path = out or recording.with_name(f"{recording.stem}_clean.wav")
    write_atomically(path, encode(speech, format="wav", encoding="pcm24" if speech.peak <= 1.0 else "float32"))
    yield f"wrote {path}: {_described(speech, audio)}"
    for doubt in dict.fromkeys(doubts):
        yield f"warning: {doubt}"


def file_names(prompts: Sequence[str]) -> list[str]:
    """A file name for each prompt, none twice: "cars passing by" → cars_passing_by."""
    names: list[str] = []
    for prompt in prompts:
        base = re.sub(r"[^\w-]+", "_", prompt.lower()).strip("_")[:60] or "stem"
        number, name = 1, base
        while name in names:
            number += 1
            name = f"{base}_{number}"
        names.append(name)
    return names


def _answers(command: str, names: Sequence[str], count: int) -> list[str]:
    """What a command prints, a prompt a line. It reads how many are wanted and the names, the likeliest first."""
    words = shlex.split(command)
    asked = f"{count}\n" + "".join(f"{name}\n" for name in names)
    try:
        done = subprocess.run(words, input=asked, capture_output=True, text=True, timeout=ASK_S, check=False)
    except (OSError, IndexError) as error:
        raise ProgramMissing(f"--ask: cannot run '{command}': {error}") from error
    except subprocess.TimeoutExpired as error:
        raise SfxgenError(f"--ask: '{command}' gave no answer within {ASK_S:.0f} s") from error
    if done.returncode:
        raise SfxgenError(f"--ask: '{command}' failed with exit code {done.returncode}: {done.stderr.strip()[:200]}")
    return done.stdout.splitlines()


def _described(part: Audio, whole: Audio) -> str:
    import numpy as np

    power, of_all = (float(np.square(audio.samples, dtype=np.float64).mean()) for audio in (part, whole))
    below = 10.0 * np.log10(power / of_all) if power and of_all else -np.inf
    return f"{part.duration_s:.2f} s, {below:+.1f} dB beside the recording"
