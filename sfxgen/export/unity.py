"""Unity: a `.meta` beside each file, and a JSON index that scripts can read as a TextAsset."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from sfxgen.export.catalogue import FILE_NAME, catalogue
from sfxgen.export.contract import Read, Settings, Sidecar, SoundAssets, check_format
from sfxgen.export.merge import merge, unclaimed_digest, with_newlines_kept
from sfxgen.export.modal import player_files

LONG_S = 5.0  # from here on a sound stays compressed in memory
DECOMPRESS_ON_LOAD, COMPRESSED_IN_MEMORY = "0", "1"
PCM, VORBIS = "0", "1"
LOAD_TYPE = "AudioImporter.defaultSettings.loadType"
COMPRESSION = "AudioImporter.defaultSettings.compressionFormat"
NORMALIZE = "AudioImporter.normalize"
LINE = re.compile(r"( *)(\w+):(?: (.*))?\Z")

# Unity 2019 to 6 read this version and raise it as they need. The spaces at the ends are Unity's.
FRESH_META = """\
fileFormatVersion: 2
guid: {guid}
AudioImporter:
  externalObjects: {{}}
  serializedVersion: 6
  defaultSettings:
    loadType: {load_type}
    sampleRateSetting: 0
    sampleRateOverride: 44100
    compressionFormat: {compression}
    quality: 1
    conversionMode: 0
  platformSettingOverrides: {{}}
  forceToMono: 0
  normalize: 0
  preloadAudioData: 1
  loadInBackground: 0
  ambisonic: 0
  3D: 1
  userData: \n  assetBundleName: \n  assetBundleVariant: \n"""
SCRIPT_META = """\
fileFormatVersion: 2
guid: {guid}
MonoImporter:
  externalObjects: {{}}
  serializedVersion: 2
  defaultReferences: []
  executionOrder: 0
  icon: {{instanceID: 0}}
  userData: \n  assetBundleName: \n  assetBundleVariant: \n"""
INDEX_META = """\
fileFormatVersion: 2
guid: {guid}
TextScriptImporter:
  externalObjects: {{}}
  userData: \n  assetBundleName: \n  assetBundleVariant: \n"""


class Unity:
    """Unity 2019 and later.

    An AudioSource loops a whole clip and knows no loop points: a sound whose loop does not span its file plays its
    start again at each turn. The index names the points in seconds for scripts that schedule them.
    """

    name = "unity"
    title = "Unity"
    default_out = "Assets/Audio/Sfx"
    formats = ("wav", "flac", "ogg", "mp3")

    def detect(self, root: Path) -> bool:
        return (root / "ProjectSettings" / "ProjectVersion.txt").is_file() and (root / "Assets").is_dir()

    def guard_frame(self, format: str) -> bool:  # noqa: ARG002
        return False  # a clip that loops whole would play it

    def sidecars(self, assets: SoundAssets, read: Read, written: Mapping[str, Settings]) -> dict[str, Sidecar]:
        """`<file>.meta` for each file, a bank's included.

        Short sounds are kept as PCM and unpacked at load, as Unity's manual advises for effects; a sound with a file
        of LONG_S or more stays compressed in memory. Unity's own peak normalisation, on by default, would undo the
        loudness of a set: off.
        """
        is_long = any(file.duration_s >= LONG_S for file in assets.files)
        load_type, compression = (COMPRESSED_IN_MEMORY, VORBIS) if is_long else (DECOMPRESS_ON_LOAD, PCM)
        wanted = {LOAD_TYPE: load_type, COMPRESSION: compression, NORMALIZE: "0"}
        existing = {file.path: read(f"{file.path}.meta") for file in assets.files}
        taken = {guid for text in existing.values() if text and (guid := _guid_of(text))}
        sidecars = {}
        for file in assets.files:
            check_format(self, file.format)
            path, current = f"{file.path}.meta", existing[file.path]
            if current is None or not current.strip():
                guid = _guid_for(file.path, taken)
                current = FRESH_META.format(guid=guid, load_type=load_type, compression=compression)
            sidecars[path] = Sidecar(_merged(current, written.get(path, {}), wanted), wanted)
            taken.add(_guid_of(sidecars[path].text))
        if assets.bank:  # there is nothing in it that we would set anew
            path = f"{assets.bank}.meta"
            current = read(path)
            sidecars[path] = Sidecar(current or INDEX_META.format(guid=_guid_for(assets.bank, taken)), {})
        return sidecars

    def index(self, sounds: Sequence[SoundAssets], out: str) -> dict[str, str]:
        if not sounds:
            return {}
        path = str(PurePosixPath(out, FILE_NAME))
        files = {path: catalogue(sounds), f"{path}.meta": INDEX_META.format(guid=_guid_for(path, set()))}
        players = player_files(self.name, sounds, out)
        return files | players | {f"{p}.meta": SCRIPT_META.format(guid=_guid_for(p, set())) for p in players}


def _merged(text: str, written: Settings, wanted: Settings) -> str:
    """Our settings in a `.meta` whose guid and other lines stay. One of another importer is left alone."""

    def edit(plain: str) -> str:
        lines = plain.split("\n")
        places = {key: at for key, (at, _) in _settings(lines).items()}
        current = {key: value for key, (_, value) in _settings(lines).items()}
        if "AudioImporter" not in current:
            return plain
        merged = merge(current, written, wanted)
        for key in wanted.keys() & current.keys():
            lines[places[key]] = _line(key, merged[key])
        for key in [key for key in wanted if key not in current]:
            parent = key.rpartition(".")[0]
            if parent in current:
                lines.insert(_settings(lines)[parent][0] + 1, _line(key, merged[key]))
        return "\n".join(lines)

    return with_newlines_kept(text, edit)


def _line(key: str, value: str) -> str:
    return f"{'  ' * key.count('.')}{key.rpartition('.')[2]}: {value}"


def _settings(lines: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Dotted key → (line number, value text) of a `.meta`, whose blocks are indented by two spaces a level."""
    found: dict[str, tuple[int, str]] = {}
    parents: list[str] = []
    for at, line in enumerate(lines):
        if match := LINE.match(line):
            parents = [*parents[: len(match[1]) // 2], match[2]]
            found[".".join(parents)] = (at, match[3] or "")
    return found


def _guid_for(path: str, taken: set[str]) -> str:
    return unclaimed_digest(path, taken, lambda digest: f"{digest:064x}"[:32])


def _guid_of(meta: str) -> str:
    match = re.search(r"^guid: ([0-9a-f]{32})\s*$", meta, re.MULTILINE)
    return match[1] if match else ""
