"""Encoded files: what goes in comes out, others read them, and the same sound gives the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import subprocess
import sys
import time
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from wavinfo import WavInfoReader

from sfxgen.audio import Audio
from sfxgen.codec import decode, encode
from sfxgen.codec.tags import ogg_checksum
from sfxgen.errors import BadInput, ProgramMissing, SourceUnreadable

LOSSLESS = [("wav", "pcm16"), ("wav", "pcm24"), ("wav", "float32"), ("flac", "pcm16"), ("flac", "pcm24")]
LOSSY = ["ogg", "opus", "mp3", pytest.param("m4a", marks=pytest.mark.ffmpeg)]
BITS = {"pcm16": 16, "pcm24": 24, "float32": 24}


def noise(n_frames: int, channels: int = 1, rate_hz: int = 48_000, seed: int = 7) -> Audio:
    """Low-passed noise at about -23 dBFS RMS: every lossy coder can follow it."""
    white = np.random.Generator(np.random.PCG64(seed)).standard_normal((channels, n_frames + 31))
    window = np.hanning(33)[1:-1]
    smooth = np.apply_along_axis(np.convolve, 1, white, window / np.sqrt((window**2).sum()), "valid")
    return Audio.of(np.clip(0.07 * smooth[:, :n_frames], -1, 1), rate_hz)


def on_grid(audio: Audio, bits: int) -> Audio:
    """The audio rounded to that many bits by arithmetic of our own."""
    return Audio.of(np.round(audio.samples.astype(float) * 2 ** (bits - 1)) / 2 ** (bits - 1), audio.rate_hz)


def saved(folder: Path, data: bytes, format: str) -> Path:
    path = folder / f"sound.{format}"
    path.write_bytes(data)
    return path


def rms_db(samples: np.ndarray) -> float:
    assert samples.size
    return float(10 * np.log10(np.mean(samples.astype(float) ** 2)))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("format", "encoding"), LOSSLESS)
def test_lossless_formats_return_every_sample(tmp_path: Path, format: str, encoding: str, channels: int) -> None:
    audio = on_grid(noise(4801, channels, 44_100), BITS[encoding])
    back = decode(saved(tmp_path, encode(audio, format=format, encoding=encoding), format))
    assert back.rate_hz == 44_100
    assert back.samples.size
    np.testing.assert_array_equal(back.samples, audio.samples)


@pytest.mark.parametrize("rate_hz", [24_000, 48_000])
@pytest.mark.parametrize("format", LOSSY)
def test_lossy_formats_keep_length_level_and_place(tmp_path: Path, format: str, rate_hz: int) -> None:
    audio = noise(rate_hz, 2, rate_hz)
    back = decode(saved(tmp_path, encode(audio, format=format, quality=0.9), format))
    assert back.rate_hz == rate_hz
    # An AAC decoder delivers whole packets of 1024 frames; the others end with the sound.
    assert audio.n_frames <= back.n_frames <= audio.n_frames + (1024 if format == "m4a" else 0)
    decoded = back.samples[:, : audio.n_frames]
    assert rms_db(decoded) == pytest.approx(rms_db(audio.samples), abs=0.1)
    assert rms_db(decoded - audio.samples) < rms_db(audio.samples) - 12  # a shift by one frame leaves -9 dB


@pytest.mark.parametrize("n_frames", [1, 100, 47_900, 48_000])
def test_opus_is_right_to_its_last_frame(tmp_path: Path, n_frames: int) -> None:
    """libsndfile alone leaves the last 5 ms of a second of this tone off by 0.5."""
    tone = Audio.of(0.5 * np.sin(2 * np.pi * 440 * np.arange(n_frames) / 48_000), 48_000)
    back = decode(saved(tmp_path, encode(tone, format="opus", quality=1.0), "opus"))
    assert back.n_frames == n_frames
    assert np.abs(back.samples - tone.samples)[:, -300:].max() < 0.05


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=50))
def test_rounding_to_16_bits_errs_by_half_a_step_at_most(values: list[float]) -> None:
    audio = Audio.of(np.array(values), 48_000)
    stored, _ = soundfile.read(io.BytesIO(encode(audio, format="wav")), dtype="int16", always_2d=True)
    steps = stored[:, 0].astype(float)
    exact = np.array(values) * 32768
    at_the_top = exact > 32767  # full scale is one step more than the largest integer
    assert np.abs(steps - exact)[~at_the_top].max(initial=0) <= 0.5
    assert (steps[at_the_top] == 32767).all()


def test_silence_stays_silence() -> None:
    data = encode(Audio.of(np.zeros(1000), 48_000), format="wav")
    assert data.endswith(bytes(2000))


@pytest.mark.parametrize(
    ("format", "encoding"), [("wav", "pcm16"), ("flac", "pcm24"), ("ogg", "pcm16"), ("mp3", "pcm16")]
)
def test_clipping_is_refused(format: str, encoding: str) -> None:
    with pytest.raises(ValueError, match="would clip"):
        encode(Audio.of(np.array([0.0, 1.01]), 48_000), format=format, encoding=encoding)


def test_float_wav_keeps_what_is_beyond_full_scale(tmp_path: Path) -> None:
    loud = Audio.of(np.array([0.0, 1.5, -2.0]), 48_000)
    back = decode(saved(tmp_path, encode(loud, format="wav", encoding="float32"), "wav"))
    np.testing.assert_array_equal(back.samples, loud.samples)


@pytest.mark.parametrize("encoding", ["pcm16", "pcm24", "float32"])
@pytest.mark.parametrize("channels", [1, 2])
def test_wavinfo_reads_the_loop_with_its_end_inclusive(tmp_path: Path, encoding: str, channels: int) -> None:
    data = encode(noise(4801, channels), format="wav", encoding=encoding, loop=(100, 4801))
    info = WavInfoReader(saved(tmp_path, data, "wav"))
    assert info.data is not None
    assert info.data.frame_count == 4801
    assert info.smpl is not None
    (loop,) = info.smpl.sample_loops
    assert (loop.loop_type_desc(), loop.start, loop.end, loop.repetition_count) == ("FORWARD", 100, 4800, 0)
    assert info.smpl.midi_note == 60
    assert info.smpl.sample_period_ns == round(1e9 / 48_000)


def test_chunk_sizes_add_up_to_the_file() -> None:
    """An odd number of bytes (24-bit mono, odd frames) is padded, and the pad is not counted."""
    data = encode(noise(3), format="wav", encoding="pcm24", loop=(0, 3))
    chunks, at = {}, 12
    while at < len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        chunks[name] = size
        at += 8 + size + size % 2
    assert chunks == {b"fmt ": 16, b"data": 9, b"smpl": 60}
    assert at == len(data)
    assert struct.unpack_from("<4sI4s", data) == (b"RIFF", len(data) - 8, b"WAVE")


def test_a_sound_without_a_loop_has_no_smpl_chunk(tmp_path: Path) -> None:
    assert WavInfoReader(saved(tmp_path, encode(noise(100), format="wav"), "wav")).smpl is None


@pytest.mark.parametrize(("format", "rate_hz", "scale"), [("flac", 44_100, 1), ("ogg", 44_100, 1), ("opus", 16_000, 3)])
def test_mutagen_reads_the_loop_tags(tmp_path: Path, format: str, rate_hz: int, scale: int) -> None:
    """Opus counts at 48 kHz."""
    audio = noise(rate_hz // 2, 2, rate_hz)
    path = saved(tmp_path, encode(audio, format=format, loop=(500, audio.n_frames)), format)
    found = mutagen.File(path)
    assert found["loopstart"] == [str(500 * scale)]
    assert found["looplength"] == [str((audio.n_frames - 500) * scale)]
    assert found.info.length == pytest.approx(0.5, abs=0.001)
    assert decode(path).n_frames == audio.n_frames


def test_the_guard_frame_repeats_the_loops_first_frame(tmp_path: Path) -> None:
    audio = on_grid(noise(480, 2), 16)
    looped = encode(audio, format="wav", loop=(17, 480), guard_frame=True)
    back = decode(saved(tmp_path, looped, "wav"))
    assert back.n_frames == 481
    np.testing.assert_array_equal(back.samples[:, 480], audio.samples[:, 17])
    inner = encode(audio, format="wav", loop=(17, 400), guard_frame=True)
    assert decode(saved(tmp_path, inner, "wav")).n_frames == 480  # the file's own next frame follows that loop


CODECS = {"wav": "pcm_s16le", "flac": "flac", "ogg": "vorbis", "opus": "opus", "mp3": "mp3", "m4a": "aac"}


@pytest.mark.ffmpeg
@pytest.mark.parametrize(("format", "codec"), CODECS.items())
def test_ffmpeg_reads_every_format_without_complaint(tmp_path: Path, format: str, codec: str) -> None:
    path = str(saved(tmp_path, encode(noise(30_000, 2), format=format, loop=(0, 30_000)), format))
    probe = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,sample_rate,channels", "-of", "json", path]
    (stream,) = json.loads(subprocess.run(probe, check=True, capture_output=True).stdout)["streams"]
    assert stream == {"codec_name": codec, "sample_rate": "48000", "channels": 2}
    play = ["ffmpeg", "-v", "error", "-xerror", "-i", path, "-f", "s16le", "-"]
    played = subprocess.run(play, check=True, capture_output=True)
    assert played.stderr == b""
    assert 30_000 <= len(played.stdout) / 4 <= 30_000 + 1152


def test_ogg_checksums_are_the_ones_that_libogg_writes() -> None:
    buffer = io.BytesIO()
    soundfile.write(buffer, noise(4800).samples.T, 48_000, format="OGG", subtype="VORBIS")
    pages = [b"OggS" + rest for rest in buffer.getvalue().split(b"OggS")[1:]]
    assert len(pages) >= 3
    for page in pages:
        (stored,) = struct.unpack_from("<I", page, 22)
        assert ogg_checksum(page[:22] + bytes(4) + page[26:]) == stored


DIGEST = """
import hashlib, sys
import numpy as np
from sfxgen.audio import Audio
from sfxgen.codec import encode
tone = Audio.of(0.25 * np.sin(np.arange(30_000) * 0.1), 48_000)
data = encode(tone, format=sys.argv[1], encoding=sys.argv[2], loop=(0, 30_000))
print(hashlib.sha256(data).hexdigest())
"""


@pytest.mark.parametrize("format", ["wav", "flac", *LOSSY])
def test_two_processes_write_the_same_bytes(format: str) -> None:
    encoding = "float32" if format == "wav" else "pcm16"
    tone = Audio.of(0.25 * np.sin(np.arange(30_000) * 0.1), 48_000)
    here = hashlib.sha256(encode(tone, format=format, encoding=encoding, loop=(0, 30_000))).hexdigest()
    time.sleep(max(0.0, 1.01 - time.time() % 1))  # into the next second: what libraries stamp counts seconds
    there = subprocess.run([sys.executable, "-c", DIGEST, format, encoding], check=True, capture_output=True, text=True)
    assert there.stdout.strip() == here


@pytest.mark.ffmpeg
def test_m4a_does_not_name_the_ffmpeg_that_wrote_it() -> None:
    """Another version that codes alike shall give the same bytes."""
    data = encode(noise(4800), format="m4a")
    assert b"mdat" in data
    assert b"Lavf" not in data
    assert b"Lavc" not in data


def test_a_minute_of_vorbis_can_be_written(tmp_path: Path) -> None:
    """In one write, libsndfile 1.2 overflows its stack and takes the process down."""
    script = (
        "import numpy as np; from sfxgen.audio import Audio; from sfxgen.codec import encode;"
        "print(len(encode(Audio.of(np.zeros((2, 60 * 48_000)), 48_000), format='ogg')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 4000


def test_quality_buys_fidelity_with_size() -> None:
    audio = noise(24_000)
    for format in ("ogg", "opus", "mp3"):
        sizes = [len(encode(audio, format=format, quality=quality)) for quality in (0.1, 0.5, 0.9)]
        assert sizes == sorted(sizes)
        assert sizes[0] < sizes[2]


@pytest.mark.parametrize(
    ("format", "encoding", "rate_hz", "message"),
    [
        ("opus", "pcm16", 44_100, r"opus cannot hold a rate of 44100 Hz; expected one of 8000, .* 48000; set rate_hz"),
        ("mp3", "pcm16", 96_000, r"mp3 cannot hold a rate of 96000 Hz"),
        ("flac", "float32", 48_000, r"flac cannot hold encoding float32; expected pcm16 or pcm24"),
    ],
)
def test_what_a_format_cannot_hold_is_named(format: str, encoding: str, rate_hz: int, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        encode(noise(100, rate_hz=rate_hz), format=format, encoding=encoding)


@pytest.mark.parametrize("loop", [(0, 101), (50, 50), (-1, 10)])
def test_a_loop_outside_of_the_sound_is_a_mistake(loop: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="lies outside"):
        encode(noise(100), format="wav", loop=loop)


def test_without_ffmpeg_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramMissing, match=r"needs ffmpeg.*apt install ffmpeg.*wav, flac, ogg, opus or mp3"):
        encode(noise(100), format="m4a")
    with pytest.raises(ProgramMissing, match=r"ffmpeg is not on the PATH"):
        decode(saved(tmp_path, b"\0\0\0\x18ftypM4A ", "m4a"))


@pytest.mark.parametrize("format", ["aiff", "au", "caf", "w64"])
def test_recordings_keep_their_rate_and_channels(tmp_path: Path, format: str) -> None:
    audio = on_grid(noise(300, 2, 11_025), 16)
    path = tmp_path / f"recording.{format}"
    soundfile.write(path, audio.samples.T, 11_025, format=format, subtype="PCM_16")
    back = decode(path)
    assert back.rate_hz == 11_025
    np.testing.assert_array_equal(back.samples, audio.samples)


@pytest.mark.ffmpeg
def test_what_libsndfile_does_not_know_comes_through_ffmpeg(tmp_path: Path) -> None:
    wav = saved(tmp_path, encode(noise(22_050, 2, 22_050), format="wav"), "wav")
    path = tmp_path / "recording.wma"
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, "-b:a", "192k", path], check=True)
    back = decode(path)
    assert (back.rate_hz, back.n_channels) == (22_050, 2)
    assert rms_db(back.samples) == pytest.approx(rms_db(decode(wav).samples), abs=0.5)


@pytest.mark.ffmpeg
@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("text.wav", b"this is no sound", "no audio"),
        ("empty.wav", b"", "no audio"),
        ("nothing.wav", encode(noise(1), format="wav")[:40] + bytes(4), "0 frames"),
    ],
)
def test_unreadable_recordings_are_named(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(SourceUnreadable, match=message) as caught:
        decode(path)
    assert str(path) in str(caught.value)


def test_missing_and_damaged_recordings_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadable, match="no such file"):
        decode(tmp_path / "missing.wav")
    with pytest.raises(SourceUnreadable, match="cannot read"):
        decode(tmp_path)
    damaged = tmp_path / "nan.wav"
    soundfile.write(damaged, np.array([0.0, np.nan]), 48_000, subtype="FLOAT")
    with pytest.raises(SourceUnreadable, match="NaN"):
        decode(damaged)
