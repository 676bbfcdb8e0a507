"""Samples of SoundFont 2 banks, compressed ones (SF3) too, by name."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np
import soundfile
from numpy.typing import NDArray

VORBIS = 0x10  # a flag of the sample's type: the sample is a whole Ogg file


def samples(bank: bytes) -> Iterator[tuple[str, NDArray[np.float32], int]]:
    """Name, float32 [frames, 1] and rate (Hz) of each. Raises ValueError for what is no SoundFont."""
    if bank[:4] != b"RIFF" or bank[8:12] != b"sfbk":
        raise ValueError("no SoundFont: it does not begin with RIFF and sfbk")
    found = dict(_chunks(bank, 12, len(bank)))
    pcm, (first, last) = found[b"smpl"][0], found[b"shdr"]
    for at in range(first, last - 46, 46):  # the last one ends the list
        name = bank[at : at + 20].partition(b"\0")[0].decode("latin-1")
        begin, end, _, _, rate_hz = struct.unpack_from("<5I", bank, at + 20)
        (kind,) = struct.unpack_from("<H", bank, at + 44)
        if kind & VORBIS:
            audio, rate_hz = soundfile.read(io.BytesIO(bank[pcm + begin : pcm + end]), dtype="float32", always_2d=True)
        else:
            audio = np.frombuffer(bank, "<i2", end - begin, pcm + 2 * begin).astype(np.float32)[:, None] / 32768
        yield name, audio, rate_hz


def _chunks(bank: bytes, at: int, end: int) -> Iterator[tuple[bytes, tuple[int, int]]]:
    """Name, begin and end of each chunk, those in lists too (sections 3 to 7 of the SoundFont 2.04 specification)."""
    while at + 8 <= end:
        name, (size,) = bank[at : at + 4], struct.unpack_from("<I", bank, at + 4)
        if name == b"LIST":
            yield from _chunks(bank, at + 12, at + 8 + size)
        else:
            yield name, (at + 8, at + 8 + size)
        at += 8 + size + size % 2
