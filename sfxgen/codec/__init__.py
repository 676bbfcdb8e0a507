"""Audio to the bytes of a file, and a file to audio. The same sound always gives the same bytes."""

from __future__ import annotations

import io
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from sfxgen.audio import Audio
from sfxgen.codec import riff, tags
from sfxgen.errors import BadInput, ProgramMissing, SourceUnreadable

# What an encoder accepts; a format that is not here takes every rate of a manifest.
RATES_HZ = {
    "opus": (8000, 12000, 16000, 24000, 48000),
    "mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
}
BITS = {"pcm16": 16, "pcm24": 24}
OPUS_CLOCK_HZ = 48_000  # Opus counts frames at this rate whatever went in (RFC 7845, section 4)
OPUS_PACKET_S = 0.02
BLOCK_FRAMES = 4096
AAC_KBIT_S = (32, 160)  # a channel, at quality 0 and 1
FFMPEG_ADVICE = (
    "install it from https://ffmpeg.org/download.html or a package manager (apt install ffmpeg, "
    "brew install ffmpeg, winget install ffmpeg)"
)


def encode(
    audio: Audio,
    *,
    format: str,
    encoding: str = "pcm16",
    quality: float = 0.6,
    loop: tuple[int, int] | None = None,
    guard_frame: bool = False,
) -> bytes:
    """The bytes of an audio file.

    format: wav, flac, ogg (Vorbis), opus, mp3, m4a (AAC, needs ffmpeg).
    encoding: pcm16, pcm24 or float32, of wav and flac. quality: 0 smallest to 1 best, of the others.
    loop: [start, end) in frames. wav carries it as a `smpl` chunk, flac, ogg and opus as the tags LOOPSTART and
        LOOPLENGTH; mp3 and m4a have no place for it.
    guard_frame: where the loop ends with the file, append the frame at the loop's start. A player that interpolates
        beyond the loop's last frame then finds there what comes next.

    Integers are rounded to the nearest step, without dither: the error is at most half a step (−96 dBFS at 16 bits),
    silence stays silence, a 16-bit recording comes out as it went in, and a period stays a period. +1.0 becomes
    the largest integer, one step lower.

    Raises BadInput for a rate or encoding that the format cannot hold, ProgramMissing for m4a without ffmpeg,
    ValueError for audio that is empty or beyond full scale (float32 WAV may be), and for a loop outside of it.
    """
    _check(audio, format, encoding, loop)
    frames = audio.samples.T
    if guard_frame and loop is not None and loop[1] == audio.n_frames:
        frames = np.concatenate([frames, frames[loop[0] : loop[0] + 1]])
    if format == "wav":
        return _wav(frames, audio.rate_hz, encoding, loop)
    if format == "flac":
        return _flac(frames, audio.rate_hz, BITS[encoding], loop)
    if format == "m4a":
        return _m4a(frames, audio.rate_hz, quality)
    if format == "opus":
        return _opus(frames, audio.rate_hz, quality, loop)
    if format == "ogg":
        vorbis = _soundfile(frames, audio.rate_hz, "OGG", "VORBIS", quality)
        return tags.settle_ogg(vorbis, tags.loop_tags(loop) if loop else [])
    if format == "mp3":
        return _soundfile(frames, audio.rate_hz, "MP3", "MPEG_LAYER_III", quality)
    raise ValueError(f"unknown format {format!r}")


def decode(path: Path) -> Audio:
    """A recording with its own rate and channels: what libsndfile reads, and the rest through ffmpeg.

    Raises SourceUnreadable for a file that is missing, damaged, empty or no audio, and ProgramMissing where only ffmpeg
    could tell.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceUnreadable(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    try:
        samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError:
        samples, rate_hz = _decode_by_ffmpeg(path)
    if not len(samples):
        raise SourceUnreadable(f"{path} holds no sound: it has 0 frames")
    if not np.isfinite(samples).all():
        raise SourceUnreadable(f"{path} is damaged: it holds samples that are no numbers (NaN or infinity)")
    return Audio.of(samples.T, rate_hz)


def _check(audio: Audio, format: str, encoding: str, loop: tuple[int, int] | None) -> None:
    rates = RATES_HZ.get(format, (audio.rate_hz,))
    if audio.rate_hz not in rates:
        held = ", ".join(map(str, rates))
        cure = "set rate_hz to 48000 or choose another format, such as ogg"
        raise BadInput(f"format {format} cannot hold a rate of {audio.rate_hz} Hz; expected one of {held}; {cure}")
    if format == "flac" and encoding not in BITS:
        raise BadInput(f"format flac cannot hold encoding {encoding}; expected pcm16 or pcm24, or format wav")
    if not audio.n_frames:
        raise ValueError("there are no frames to encode")
    if audio.peak > 1.0 and not (format == "wav" and encoding == "float32"):
        raise ValueError(f"a peak of {audio.peak:.4f} would clip: master the sound first")
    if loop is not None and not 0 <= loop[0] < loop[1] <= audio.n_frames:
        raise ValueError(f"the loop {loop} lies outside of {audio.n_frames} frames")


def _wav(frames: NDArray[np.float32], rate_hz: int, encoding: str, loop: tuple[int, int] | None) -> bytes:
    channels = frames.shape[1]
    if encoding == "float32":
        data = frames.astype("<f4").tobytes()
        return riff.wav_file(data, code=riff.IEEE_FLOAT, bits=32, channels=channels, rate_hz=rate_hz, loop=loop)
    bits = BITS[encoding]
    low_bytes = _quantise(frames, bits).astype("<i4").view(np.uint8).reshape(-1, 4)[:, : bits // 8]
    return riff.wav_file(low_bytes.tobytes(), code=riff.PCM, bits=bits, channels=channels, rate_hz=rate_hz, loop=loop)


def _flac(frames: NDArray[np.float32], rate_hz: int, bits: int, loop: tuple[int, int] | None) -> bytes:
    top_aligned = _quantise(frames, bits) << (32 - bits)  # libsndfile takes the highest bits of an int32
    data = _soundfile(top_aligned, rate_hz, "FLAC", f"PCM_{bits}", None)
    return tags.tag_flac(data, tags.loop_tags(loop)) if loop else data


def _opus(frames: NDArray[np.float32], rate_hz: int, quality: float, loop: tuple[int, int] | None) -> bytes:
    """libsndfile does not drain the encoder's look-ahead (6.5 ms), so that the last frames would come out wrong.

    One more packet goes in, what the loop plays next or silence; the file then says where the sound ends.
    """
    n_extra = round(OPUS_PACKET_S * rate_hz)
    start, end = loop or (0, 0)
    follows = frames[start:] if end == len(frames) else np.zeros_like(frames[:1])
    extra = np.resize(follows, (n_extra, frames.shape[1]))
    data = _soundfile(np.concatenate([frames, extra]), rate_hz, "OGG", "OPUS", quality)
    scale = OPUS_CLOCK_HZ // rate_hz
    comments = tags.loop_tags((start * scale, end * scale)) if loop else []
    return tags.settle_ogg(data, comments, n_opus_frames=len(frames) * scale)


def _quantise(frames: NDArray[np.float32], bits: int) -> NDArray[np.int32]:
    """[-1, 1] to the nearest integers of that many bits, shape [frames, channels]."""
    full_scale = 1 << (bits - 1)
    steps = np.rint(np.ascontiguousarray(frames, np.float64) * full_scale)
    return np.clip(steps, -full_scale, full_scale - 1).astype(np.int32)


def _soundfile(frames: NDArray[Any], rate_hz: int, format: str, subtype: str, quality: float | None) -> bytes:
    """Through libsndfile, in blocks: its Vorbis encoder keeps a whole write on the stack and overflows it."""
    buffer = io.BytesIO()
    lossy = {} if quality is None else {"compression_level": 1.0 - quality}
    variable = {"bitrate_mode": "VARIABLE"} if format == "MP3" else {}
    with soundfile.SoundFile(
        buffer, "w", rate_hz, frames.shape[1], subtype, format=format, **lossy, **variable
    ) as file:
        for at in range(0, len(frames), BLOCK_FRAMES):
            file.write(np.ascontiguousarray(frames[at : at + BLOCK_FRAMES]))
    return buffer.getvalue()


def _m4a(frames: NDArray[np.float32], rate_hz: int, quality: float) -> bytes:
    if shutil.which("ffmpeg") is None:
        without = "or choose a format that needs no other program: wav, flac, ogg, opus or mp3"
        raise ProgramMissing(f"format m4a needs ffmpeg, which is not on the PATH: {FFMPEG_ADVICE}, {without}")
    smallest, best = AAC_KBIT_S
    channels = frames.shape[1]
    kbit_s = round((smallest + quality * (best - smallest)) * channels)
    pcm = _quantise(frames, 24) << 8
    segment = _audio_segment()(data=pcm.tobytes(), sample_width=4, frame_rate=rate_hz, channels=channels)
    # Without these two flags ffmpeg writes its own version into the file.
    exact = ["-fflags", "+bitexact", "-flags:a", "+bitexact", "-map_metadata", "-1"]
    buffer = io.BytesIO()
    segment.export(buffer, format="ipod", codec="aac", bitrate=f"{kbit_s}k", parameters=exact)
    return buffer.getvalue()


def _decode_by_ffmpeg(path: Path) -> tuple[NDArray[np.float32], int]:
    """Samples [frames, channels] and the rate, of whatever ffmpeg understands."""
    missing = [program for program in ("ffmpeg", "ffprobe") if shutil.which(program) is None]
    if missing:
        readable = "or store the recording as wav, flac, ogg, opus, mp3 or aiff"
        raise ProgramMissing(
            f"{path} is nothing that sfxgen reads itself, and {missing[0]} is not on the PATH: "
            f"{FFMPEG_ADVICE}, {readable}"
        )
    try:
        segment = _audio_segment().from_file(str(path))
    except Exception as error:  # pydub raises KeyError, IndexError and its own errors for what has no audio stream
        raise SourceUnreadable(
            f"{path} is no audio that libsndfile or ffmpeg can read; expected a recording such as wav, flac, ogg or mp3"
        ) from error
    samples = np.array(segment.get_array_of_samples(), np.float32).reshape(-1, segment.channels)
    return samples / np.float32(segment.max_possible_amplitude), segment.frame_rate


def _audio_segment() -> Any:
    """pydub's class; imported here, since it is slow and warns of what Python will drop and of ffmpeg's absence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pydub import AudioSegment
    return AudioSegment
