"""Our WAVs in Godot: a real engine imports them, and a model of Godot 4's player loops them without a seam."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from godot3 import import_all
from numpy.typing import NDArray

from sfxgen.audio import Audio
from sfxgen.codec import decode, encode
from sfxgen.export import ENGINES, SoundAssets, SoundFile

GODOT = ENGINES["godot"]
Imported = tuple[Path, dict[str, dict[str, Any]]]


def no_file(path: str) -> None:
    """A project without a single file."""


def godot_mix(
    samples: NDArray[np.float64], loop_begin: int, loop_end: int, rate: float, n_out: int
) -> NDArray[np.float64]:
    """A model of Godot 4's PCM player: linear interpolation towards the next stored frame, 13-bit fractions.

    audio_stream_wav.cpp: the position wraps to loop_begin once it reaches loop_end.
    """
    position = (np.arange(n_out, dtype=np.int64) * round(rate * 8192)) % ((loop_end - loop_begin) * 8192)
    frame, fraction = loop_begin + (position >> 13), (position & 8191) / 8192
    mixed: NDArray[np.float64] = samples[frame] + (samples[frame + 1] - samples[frame]) * fraction
    return mixed


@pytest.mark.parametrize("rate", [1.0, 0.919, 1.06])
def test_a_thousand_laps_of_a_loop_are_seamless(tmp_path: Path, rate: float) -> None:
    """As imported by our settings: loop_end=-1 is the index of the file's last frame, the guard."""
    n = 480
    period = Audio.of(0.5 * np.sin(2 * np.pi * 5 * np.arange(n) / n), 48_000)
    path = tmp_path / "loop.wav"
    path.write_bytes(encode(period, format="wav", loop=(0, n), guard_frame=GODOT.guard_frame("wav")))
    stored = decode(path).samples[0].astype(float)
    played = godot_mix(stored, 0, len(stored) - 1, rate, int(1000 * n / rate))
    time = np.arange(len(played)) * round(rate * 8192) / 8192
    assert np.abs(played - 0.5 * np.sin(2 * np.pi * 5 * time / n)).max() < 6e-4  # linear interpolation's own error
    unguarded = godot_mix(stored[:n], 0, n - 1, rate, int(1000 * n / rate))
    assert np.abs(unguarded - 0.5 * np.sin(2 * np.pi * 5 * time / n)).max() > 0.1


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """A Godot 3 project that the engine itself imported: its folder, and what it loaded from each WAV."""
    root = tmp_path_factory.mktemp("godot3")
    mono, stereo = sine(1), sine(2)
    for encoding in ("pcm16", "pcm24", "float32"):
        (root / f"once_{encoding}.wav").write_bytes(encode(mono, format="wav", encoding=encoding))
        loop = encode(stereo, format="wav", encoding=encoding, loop=(1000, 12_000), guard_frame=True)
        (root / f"loop_{encoding}.wav").write_bytes(loop)
    return root, import_all(root)


def sine(channels: int) -> Audio:
    """A quarter of a second on the grid of 16 bits."""
    tone = np.round(16_000 * np.sin(2 * np.pi * 440 * np.arange(12_000) / 48_000)) / 32768
    return Audio.of(np.tile(tone, (channels, 1)), 48_000)


@pytest.mark.godot
@pytest.mark.parametrize("encoding", ["pcm16", "pcm24", "float32"])
def test_a_real_godot_imports_our_wavs(imported: Imported, encoding: str) -> None:
    """Length, rate, channels, every sample, and the loop of the `smpl` chunk (mode 1 is forward in Godot 3)."""
    _, results = imported
    once, loop = results[f"once_{encoding}.wav"], results[f"loop_{encoding}.wav"]
    assert (once["rate"], once["stereo"], once["loop"]) == (48_000, False, [0, 0, 0])
    assert once["length"] == pytest.approx(0.25)
    assert once["sha256"] == hashlib.sha256(pcm16(sine(1).samples)).hexdigest()
    assert (loop["rate"], loop["stereo"], loop["loop"]) == (48_000, True, [1, 1000, 11_999])
    assert loop["length"] == pytest.approx(12_001 / 48_000)
    guarded = np.concatenate([sine(2).samples, sine(2).samples[:, 1000:1001]], axis=1)
    assert loop["sha256"] == hashlib.sha256(pcm16(guarded)).hexdigest()


def pcm16(samples: NDArray[np.float32]) -> bytes:
    assert samples.size
    return np.round(samples.T * 32768).astype("<i2").tobytes()


@pytest.mark.godot
def test_a_real_godot_names_imported_files_as_we_do(imported: Imported) -> None:
    root, _ = imported
    file = SoundFile("once_pcm16.wav", "", 1, 48_000, 1, 12_000, None)
    ours = GODOT.sidecars(SoundAssets("once", "once", (file,), "", (), ""), no_file, {})
    named = re.search(r"once_pcm16\.wav-[0-9a-f]{32}\.sample", ours["once_pcm16.wav.import"].text)
    assert named
    assert (root / ".import" / named[0]).is_file()
