"""WAV files: RIFF chunks, with the `smpl` chunk that carries a loop."""

from __future__ import annotations

import struct
from typing import Final, Literal

PCM: Final = 1
IEEE_FLOAT: Final = 3
MIDDLE_C = 60  # the MIDI note at which a sampler plays the file at its own rate
FORWARD = 0
FOR_EVER = 0


def wav_file(
    data: bytes, *, code: Literal[1, 3], bits: int, channels: int, rate_hz: int, loop: tuple[int, int] | None
) -> bytes:
    """The bytes of a WAV file around interleaved little-endian samples.

    code: PCM or IEEE_FLOAT. bits: of one sample. loop: [start, end) in frames, written as a `smpl` chunk.
    Microsoft's "Multimedia Programming Interface and Data Specifications 1.0" and its "New Multimedia Data Types"
    (a format other than PCM has an extension size and a `fact` chunk). 24-bit PCM keeps the plain header: readers that
    know only code 1 are common in games.
    """
    frame_bytes = channels * bits // 8
    fmt = struct.pack("<HHIIHH", code, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, bits)
    chunks = [_chunk(b"fmt ", fmt if code == PCM else fmt + struct.pack("<H", 0))]
    if code != PCM:
        chunks.append(_chunk(b"fact", struct.pack("<I", len(data) // frame_bytes)))
    chunks.append(_chunk(b"data", data))
    if loop is not None:
        chunks.append(_chunk(b"smpl", sampler(loop, rate_hz)))
    return _chunk(b"RIFF", b"WAVE" + b"".join(chunks))


def sampler(loop: tuple[int, int], rate_hz: int) -> bytes:
    """The body of a `smpl` chunk with one forward loop, 60 bytes.

    The chunk's end is the last frame played, so [start, end) is written as start, end − 1. An end at the file's size
    makes some readers drop the loop and others play what is not there.
    """
    start, end = loop
    period_ns = round(1e9 / rate_hz)
    head = struct.pack("<9I", 0, 0, period_ns, MIDDLE_C, 0, 0, 0, 1, 0)
    return head + struct.pack("<6I", 0, FORWARD, start, end - 1, 0, FOR_EVER)


def _chunk(name: bytes, body: bytes) -> bytes:
    """Chunks begin at even offsets: an odd body is followed by a byte that its size does not count."""
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
