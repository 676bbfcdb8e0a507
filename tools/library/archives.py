"""Archives of games, opened in memory: OpenClonk's C4Group, Doom's WAD, OpenTTD's sound catalogue, and zip.

Every function takes an archive's bytes and gives its members' bytes by name. Raises ValueError for what it is not.
"""

from __future__ import annotations

import gzip
import io
import struct
import zipfile

C4_HEADER_BYTES, C4_ENTRY_BYTES, C4_NAME_BYTES = 204, 316, 260
DMX_PAD_SAMPLES = 16  # DMX repeats the first and the last sample this often


def members(archive: str, data: bytes) -> dict[str, bytes]:
    """All members of an archive, told apart by its file name; nested groups appear as "Inner.ocg/Sound.ogg"."""
    ending = archive.rpartition(".")[2].lower()
    if ending in ("ocg", "ocf", "ocd", "ocs"):
        return c4_group(data)
    readers = {"wad": wad_sounds, "cat": sound_catalogue, "pk3": zip_members, "zip": zip_members}
    if ending not in readers:
        raise ValueError(f"{archive}: no archive that this tool opens")
    return readers[ending](data)


def c4_group(data: bytes) -> dict[str, bytes]:
    """OpenClonk's groups: gzip with another magic number, then a scrambled header, a table, and the members."""
    if data[:2] == b"\x1e\x8c":
        data = gzip.decompress(b"\x1f\x8b" + data[2:])
    header = _unscramble(data[:C4_HEADER_BYTES])
    if not header.startswith(b"RedWolf Design GrpFolder"):
        raise ValueError("no C4Group: its header does not unscramble")
    (n_entries,) = struct.unpack_from("<I", header, 36)
    contents = C4_HEADER_BYTES + n_entries * C4_ENTRY_BYTES
    found: dict[str, bytes] = {}
    for at in range(C4_HEADER_BYTES, contents, C4_ENTRY_BYTES):
        name = data[at : at + C4_NAME_BYTES].partition(b"\0")[0].decode("utf-8", "replace")
        _, is_group, size, _, offset = struct.unpack_from("<5I", data, at + C4_NAME_BYTES)
        member = data[contents + offset : contents + offset + size]
        if is_group:
            found.update({f"{name}/{inner}": content for inner, content in c4_group(member).items()})
        else:
            found[name] = member
    return found


def _unscramble(header: bytes) -> bytes:
    plain = bytearray(byte ^ 237 for byte in header)
    for at in range(0, len(plain) - 2, 3):
        plain[at], plain[at + 2] = plain[at + 2], plain[at]
    return bytes(plain)


def wad_sounds(data: bytes) -> dict[str, bytes]:
    """The sound lumps of a Doom WAD as "dspistol.wav": DMX sounds become WAV files, others stay as they are."""
    magic, n_lumps, table = struct.unpack_from("<4sii", data)
    if magic not in (b"IWAD", b"PWAD"):
        raise ValueError("no WAD: it begins with neither IWAD nor PWAD")
    found = {}
    for at in range(table, table + 16 * n_lumps, 16):
        offset, size, raw_name = struct.unpack_from("<ii8s", data, at)
        name = raw_name.partition(b"\0")[0].decode("ascii", "replace").lower()
        lump = data[offset : offset + size]
        if name.startswith("ds") and size > 8:
            found[f"{name}.wav"] = dmx_to_wav(lump) if lump[:2] == b"\x03\0" else lump
    return found


def dmx_to_wav(lump: bytes) -> bytes:
    """A DMX sound (u16 3, u16 rate, u32 samples, unsigned 8-bit mono with padding) as a WAV file."""
    _, rate_hz, n_samples = struct.unpack_from("<HHI", lump)
    pcm = lump[8 : 8 + n_samples][DMX_PAD_SAMPLES:-DMX_PAD_SAMPLES]
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, rate_hz, 1, 8)
    padded = pcm + b"\0" * (len(pcm) % 2)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(pcm)) + padded
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def sound_catalogue(data: bytes) -> dict[str, bytes]:
    """OpenTTD's .cat: members as "12 Title. By Author. License: …". Each is a Pascal string, then a WAV file.

    The high bit of the first offset only says that the names are UTF-8-safe new ones.
    """
    first = struct.unpack_from("<I", data)[0] & 0x7FFFFFFF
    if first % 8 or not 0 < first <= len(data):
        raise ValueError("no sound catalogue: its first offset is not the end of a table")
    found = {}
    for index in range(first // 8):
        offset, size = struct.unpack_from("<II", data, 8 * index)
        offset &= 0x7FFFFFFF
        length = data[offset]
        title = data[offset + 1 : offset + 1 + length].partition(b"\0")[0].decode("utf-8", "replace")
        start = offset + 1 + length
        riff_size = struct.unpack_from("<I", data, start + 4)[0] + 8 if data[start : start + 4] == b"RIFF" else size
        found[f"{index:02d} {title}"] = data[start : start + riff_size]
    return found


def zip_members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
