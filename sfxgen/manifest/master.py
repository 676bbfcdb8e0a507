"""How finished files shall sound and be stored: the `master:` section and a sound's `output:` overrides."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from sfxgen.manifest.base import Spec

Rate = Literal[8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000]
# The rates above that a format can hold, where not all of them: RFC 6716 and ISO 11172-3 with 13818-3.
RATES_HZ = {
    "opus": (8000, 16000, 24000, 48000),
    "mp3": (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000),
}
Format = Literal["wav", "flac", "ogg", "opus", "mp3", "m4a"]
Encoding = Literal["pcm16", "pcm24", "float32"]


class Master(Spec):
    """Loudness, peaks, edges and the file format. Every key has a default that suits a game."""

    loudness_lufs: Annotated[float, Field(ge=-60, le=0)] = Field(
        -18.0, description="Loudness that the loudest variation of a set is brought to (LUFS, ITU-R BS.1770-4)."
    )
    loudness_measure: Literal["integrated", "momentary"] = Field(
        "integrated",
        description="What counts as loudness: integrated (BS.1770-4, gated) or momentary (the loudest 0.4 s). "
        "Under 0.4 s both are the K-weighted level of the sound as a whole.",
    )
    true_peak_dbtp: Annotated[float, Field(ge=-20, le=0)] = Field(
        -1.0, description="True-peak ceiling (dBTP). Where loudness would break it, the set stays quieter and says so."
    )
    rate_hz: Rate = Field(48000, description="Sample rate of the files (Hz).")
    channels: Literal[1, 2] = Field(1, description="1 (mono, right for 3D sounds) or 2 (stereo).")
    format: Format = Field("wav", description="File format. wav keeps loop points; mp3 and m4a cannot loop cleanly.")
    encoding: Encoding = Field("pcm16", description="Sample encoding of wav and flac (flac has no float32).")
    quality: Annotated[float, Field(ge=0, le=1)] = Field(
        0.6, description="Quality of ogg, opus, mp3 and m4a, 0 smallest to 1 best."
    )
    trim_threshold_db: Annotated[float, Field(ge=-120, le=-10)] | None = Field(
        -60.0, description="Cut the ends where the sound stays below this, relative to its peak (dB). null: no trim."
    )
    trim_guard_s: Annotated[float, Field(ge=0, le=1)] = Field(0.002, description="Left before the first sound (s).")
    fade_in_s: Annotated[float, Field(ge=0, le=10)] = Field(0.0, description="Fade at the start (s).")
    fade_out_s: Annotated[float, Field(ge=0, le=10)] = Field(0.02, description="Fade at the end (s).")
