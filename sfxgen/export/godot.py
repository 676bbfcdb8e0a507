"""Godot 4: `.import` settings beside each file and an `AudioStreamRandomizer` for each sound."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from sfxgen.export import godot_text
from sfxgen.export.contract import Read, Settings, Sidecar, SoundAssets, SoundFile, check_format
from sfxgen.export.godot_randomizer import Stream, randomizer
from sfxgen.export.godot_text import Section, quoted
from sfxgen.export.godot_uid import uid_for
from sfxgen.export.merge import merge, with_newlines_kept
from sfxgen.export.modal import player_files

IMPORTERS = {  # importer, resource type, extension of the imported file
    "wav": ("wav", "AudioStreamWAV", "sample"),
    "ogg": ("oggvorbisstr", "AudioStreamOggVorbis", "oggvorbisstr"),
    "mp3": ("mp3", "AudioStreamMP3", "mp3str"),
}
LOOP_DISABLED, LOOP_FORWARD = "1", "2"  # the importer's numbers; the resource's own are one lower
PCM = "0"
UID = re.compile(r'^(?:\[gd_resource [^\n]*?)?uid="(uid://[a-y0-8]+)"', re.MULTILINE)


class Godot:
    """Godot 4.0 and later."""

    name = "godot"
    title = "Godot"
    default_out = "audio/sfx"
    formats = tuple(IMPORTERS)

    def detect(self, root: Path) -> bool:
        """A project.godot, unless it says that it is Godot 3's: that engine's sidecars differ."""
        project = root / "project.godot"
        if not project.is_file():
            return False
        version = re.search(r"^config_version=(\d+)", project.read_text("utf-8", "replace"), re.MULTILINE)
        return version is None or int(version[1]) >= 5

    def guard_frame(self, format: str) -> bool:
        """Its WAV player interpolates towards the frame at loop_end, and loop_end=-1 is the file's last frame."""
        return format == "wav"

    def sidecars(self, assets: SoundAssets, read: Read, written: Mapping[str, Settings]) -> dict[str, Sidecar]:
        """`<file>.import` for each file; `<base>.tres`, or `<base>_<layer>.tres` for each velocity layer.

        The randomizer is there for a single variation too, so that a game's code has one path that stays.
        """
        imports = {file: f"{file.path}.import" for file in assets.files}
        layers = {
            layer: f"{assets.base}_{layer}.tres" if layer else f"{assets.base}.tres"
            for layer in dict.fromkeys(file.layer for file in assets.files)
        }
        existing = {path: read(path) for path in (*imports.values(), *layers.values())}
        taken = {_uid_of(text) for text in existing.values() if text}
        sidecars: dict[str, Sidecar] = {}
        streams: dict[str, list[Stream]] = {layer: [] for layer in layers}
        for file, path in imports.items():
            check_format(self, file.format)
            sidecars[path] = _import_settings(file, existing[path], written.get(path, {}), taken)
            uid = _uid_of(sidecars[path].text)
            taken.add(uid)
            streams[file.layer].append(Stream(_res(file.path), uid))
        for layer, path in layers.items():
            sidecars[path] = randomizer(_res(path), streams[layer], existing[path], written.get(path, {}), taken)
            taken.add(_uid_of(sidecars[path].text))
        return sidecars

    def index(self, sounds: Sequence[SoundAssets], out: str) -> dict[str, str]:
        """The player of banks; the randomizers are the index of sounds: res://audio/sfx/<name>.tres."""
        return player_files(self.name, sounds, out)


def _import_settings(file: SoundFile, current: str | None, written: Settings, taken: set[str]) -> Sidecar:
    importer = IMPORTERS[file.format][0]
    wanted = _wav_settings(file) if file.format == "wav" else _compressed_settings(file)
    if current is None or not current.strip():
        current = _fresh_import(file)

    def edit(text: str) -> str:
        sections = godot_text.parse(text)
        by_kind = {section.kind: section for section in sections if section.header}
        remap, deps, params = (by_kind.get(kind) for kind in ("remap", "deps", "params"))
        # "Keep file" or another importer is a person's choice; our settings mean nothing there.
        if not (remap and deps and params) or remap.assignments.get("importer") != quoted(importer):
            return text
        _name_files(remap, deps, file)
        if "uid" not in remap.assignments:
            at = 1 + max(i for i, line in enumerate(remap.lines) if line.startswith(("importer", "type")))
            remap.insert(at, [f"uid={quoted(uid_for(_res(file.path), taken))}\n"])
        for key, value in merge(params.assignments, written, wanted).items():
            params.assign(key, value)
        return godot_text.render(sections)

    return Sidecar(with_newlines_kept(current, edit), wanted)


def _name_files(remap: Section, deps: Section, file: SoundFile) -> None:
    """Points a sidecar that came along from another path to this file; one that fits stays as the engine wrote it."""
    source = _res(file.path)
    if deps.assignments.get("source_file") == quoted(source):
        return
    imported = quoted(_imported(file))
    remap.assign("path", imported)
    deps.assign("source_file", quoted(source))
    deps.assign("dest_files", f"[{imported}]")


def _wav_settings(file: SoundFile) -> dict[str, str]:
    """What keeps a finished file as it is: no trim, no peak normalisation, no lossy coding.

    PCM, since Godot's own default (QOA) is lossy and a loop's guard frame is exact in its PCM player only. Where the
    loop ends with the file, -1 is the guard frame: the first one not played. A loop that ends earlier is followed by
    the file's own next frame, and its end is named.
    """
    start, end = file.loop or (0, file.n_frames)
    return {
        "edit/trim": "false",
        "edit/normalize": "false",
        "edit/loop_mode": LOOP_FORWARD if file.loop else LOOP_DISABLED,
        "edit/loop_begin": str(start),
        "edit/loop_end": "-1" if end == file.n_frames else str(end),
        "compress/mode": PCM,
    }


def _compressed_settings(file: SoundFile) -> dict[str, str]:
    """Ogg and MP3 loop from loop_offset (s) to the end of the file; there is no loop end."""
    start = file.loop[0] if file.loop else 0
    return {"loop": "true" if file.loop else "false", "loop_offset": repr(round(start / file.rate_hz, 9))}


def _fresh_import(file: SoundFile) -> str:
    """A `.import` with the engine's own keys, order and defaults; ours, and the uid, are then merged in."""
    importer, type_, _ = IMPORTERS[file.format]
    source, imported = quoted(_res(file.path)), quoted(_imported(file))
    if file.format == "wav":
        params = "force/8_bit=false\nforce/mono=false\nforce/max_rate=false\nforce/max_rate_hz=44100\n" + "".join(
            f"{key}={value}\n" for key, value in _wav_settings(file).items()
        )
    else:
        params = "".join(f"{key}={value}\n" for key, value in _compressed_settings(file).items())
        params += "bpm=0.0\nbeat_count=0\nbar_beats=4\n"
    return (
        f'[remap]\n\nimporter="{importer}"\ntype="{type_}"\npath={imported}\n\n'
        f"[deps]\n\nsource_file={source}\ndest_files=[{imported}]\n\n[params]\n\n{params}"
    )


def _imported(file: SoundFile) -> str:
    source = _res(file.path)
    digest = hashlib.md5(source.encode(), usedforsecurity=False).hexdigest()
    name = file.path.rpartition("/")[2]
    return f"res://.godot/imported/{name}-{digest}.{IMPORTERS[file.format][2]}"


def _res(path: str) -> str:
    return f"res://{path}"


def _uid_of(text: str) -> str:
    """The uid of a `.import` or a `.tres`; "" when it has none."""
    match = UID.search(text)
    return match[1] if match else ""
