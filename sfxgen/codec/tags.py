"""Vorbis comments in Ogg and FLAC files, and Ogg files whose bytes depend on nothing but the sound.

The tags LOOPSTART and LOOPLENGTH (in frames) are what RPG Maker and SDL_mixer read as a loop.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

FLAC_COMMENT = 4
LAST_BLOCK = 0x80
END_OF_STREAM = 0x04
BIT_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def loop_tags(loop: tuple[int, int]) -> list[str]:
    """The comments for a loop of [start, end) frames."""
    start, end = loop
    return [f"LOOPSTART={start}", f"LOOPLENGTH={end - start}"]


def tag_flac(data: bytes, comments: Sequence[str]) -> bytes:
    """A FLAC file with comments added to its comment block (RFC 9639, section 8.6).

    Raises ValueError where the file has no comment block; libFLAC always writes one.
    """
    at = 4
    while True:
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4])
        body = data[at + 4 : at + 4 + size]
        if kind & ~LAST_BLOCK == FLAC_COMMENT:
            tagged = _with_comments(body, comments)
            return data[:at] + bytes([kind]) + len(tagged).to_bytes(3) + tagged + data[at + 4 + size :]
        if kind & LAST_BLOCK:
            raise ValueError("the FLAC file has no comment block")
        at += 4 + size


def settle_ogg(data: bytes, comments: Sequence[str], n_opus_frames: int | None = None) -> bytes:
    """An Ogg file of one Vorbis or Opus stream with comments added and a serial number made from its content.

    Encoders draw the serial number from the clock, and every page's checksum covers it: two runs would differ.
    The second page begins with the comment packet (Vorbis I, section 4.2; RFC 7845, section 5.2).
    n_opus_frames: end an Opus stream after so many frames at 48 kHz; it holds at least as many.
    """
    pages = list(_pages(data))
    if n_opus_frames is not None:
        pages = _end_opus(pages, n_opus_frames)
    if comments:
        pages[1] = _tag_page(pages[1], comments)
    serial = zlib.crc32(b"".join(page.body for page in pages))
    return b"".join(replace(page, serial=serial).pack() for page in pages)


@dataclass(frozen=True)
class _Page:
    """A page of an Ogg stream (RFC 3533, section 6). lacing: the segment table."""

    flags: int
    granule: int
    serial: int
    sequence: int
    lacing: bytes
    body: bytes

    def pack(self) -> bytes:
        head = struct.pack("<4sBBQII", b"OggS", 0, self.flags, self.granule, self.serial, self.sequence)
        tail = bytes([len(self.lacing)]) + self.lacing + self.body
        return head + struct.pack("<I", ogg_checksum(head + bytes(4) + tail)) + tail


def ogg_checksum(page: bytes) -> int:
    """CRC-32 of a page whose checksum field is zero: polynomial 0x04C11DB7, most significant bit first, from 0.

    It is zlib's CRC with every byte and the result mirrored, and without zlib's inversions.
    """
    mirrored = zlib.crc32(page.translate(BIT_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def _pages(data: bytes) -> Iterator[_Page]:
    at = 0
    while at < len(data):
        magic, _, flags, granule, serial, sequence, _, n_segments = struct.unpack_from("<4sBBQIIIB", data, at)
        if magic != b"OggS":
            raise ValueError(f"no Ogg page at byte {at}")
        lacing = data[at + 27 : at + 27 + n_segments]
        end = at + 27 + n_segments + sum(lacing)
        yield _Page(flags, granule, serial, sequence, lacing, data[at + 27 + n_segments : end])
        at = end


def _tag_page(page: _Page, comments: Sequence[str]) -> _Page:
    n_segments = next(i for i, size in enumerate(page.lacing, 1) if size < 255)
    size = sum(page.lacing[:n_segments])
    packet, rest = page.body[:size], page.body[size:]
    magic = next(magic for magic in (b"\x03vorbis", b"OpusTags") if packet.startswith(magic))
    packet = magic + _with_comments(packet[len(magic) :], comments)
    lacing = b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) + page.lacing[n_segments:]
    return replace(page, lacing=lacing, body=packet + rest)


def _end_opus(pages: list[_Page], n_frames: int) -> list[_Page]:
    """End trimming (RFC 7845, section 4.4): the last page's position says where the sound ends."""
    pre_skip = int.from_bytes(pages[0].body[10:12], "little")
    granule = pre_skip + n_frames
    while pages[-2].granule >= granule:
        pages.pop()
    pages[-1] = replace(pages[-1], granule=granule, flags=pages[-1].flags | END_OF_STREAM)
    return pages


def _with_comments(block: bytes, comments: Sequence[str]) -> bytes:
    """A Vorbis comment block (vendor, count, strings) with more strings; what follows them stays."""
    vendor_end = 4 + int.from_bytes(block[:4], "little")
    count = int.from_bytes(block[vendor_end : vendor_end + 4], "little")
    end = vendor_end + 4
    for _ in range(count):
        end += 4 + int.from_bytes(block[end : end + 4], "little")
    added = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in comments)
    counted = struct.pack("<I", count + len(comments))
    return block[:vendor_end] + counted + block[vendor_end + 4 : end] + added + block[end:]
