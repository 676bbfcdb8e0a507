"""Spoken words and sentences by Flite's voices, so that the library knows what a voice is.

Flite and its voices (kal, awb, rms, slt of Carnegie Mellon University) may be used and distributed freely, without
restriction, with their authors named: SPDX MIT-Festival. Its speech is the same on every run.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import soundfile
from debian import CannotFetch, unpacked

from sfxgen.library.features import Facts, Sound, digest_of, sound_of

LICENCE = "MIT-Festival"
CREDIT = "Language Technologies Institute, Carnegie Mellon University; Cepstral, LLC (Flite {voice} voice)"
PACKAGES = ("flite", "libflite1")

# Flite's voice, its settings, and who is heard: a noun and an adjective
SPEAKERS = {
    "kal": ("kal16", (), "man", "male"),
    "awb": ("awb", (), "man", "male"),
    "rms": ("rms", (), "man", "male"),
    "slt": ("slt", (), "woman", "female"),
    "slt_quick": ("slt", ("--setf", "duration_stretch=0.8", "--setf", "int_f0_target_mean=230"), "woman", "female"),
    "rms_slow": ("rms", ("--setf", "duration_stretch=1.3", "--setf", "int_f0_target_mean=75"), "man", "deep male"),
}
WORDS = (
    *("hello", "yes", "no", "help", "stop", "go", "warning", "danger", "welcome", "goodbye", "ready", "attack", "fire"),
    *("one, two, three", "game over", "level complete", "mission failed", "thank you", "look out", "follow me"),
)
SENTENCES = (
    "The door is locked.",
    "Enemy forces approaching from the north.",
    "Please stand clear of the closing doors.",
    "What are you doing here?",
    "I found something over there.",
    "All systems are operational.",
    "You have a new message.",
    "We have to leave this place before the night comes.",
)


def speech_sounds(cache: Path) -> Iterator[Sound]:
    """Every speaker says every word and sentence. Raises CannotFetch."""
    folders = [unpacked(package, cache) for package in PACKAGES]
    program = folders[0] / "usr/bin/flite"
    libraries = [str(path.parent) for path in folders[1].rglob("libflite.so.1")]
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}
    for speaker, (voice, settings, noun, adjective) in SPEAKERS.items():
        for number, text in enumerate((*WORDS, *SENTENCES), 1):
            with tempfile.TemporaryDirectory() as folder:
                wav = Path(folder) / "said.wav"
                _say(program, environment, ["-voice", voice, *settings, "-t", text, str(wav)])
                digest = digest_of(wav.read_bytes())
                samples, rate_hz = soundfile.read(wav, dtype="float32", always_2d=True)
            facts = Facts(
                name=f"flite/{speaker}_{number:02d}",
                captions=_captions(text, noun, adjective),
                source="flite",
                licence=LICENCE,
                credit=CREDIT.format(voice=voice),
                use="speech",
                digest=digest,
            )
            yield sound_of(facts, samples.T, rate_hz, longest_s=3.0)


def _captions(text: str, noun: str, adjective: str) -> tuple[str, ...]:
    said = text.rstrip(".?").lower()
    how = "speaking" if text in SENTENCES else "says a word"
    return (f'a {noun} says "{said}"', f"{adjective} voice speaking", f"{noun} {how}", "speech")


def _say(program: Path, environment: dict[str, str], arguments: list[str]) -> None:
    done = subprocess.run([str(program), *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotFetch(f"flite does not run: {done.stderr.strip()}")
