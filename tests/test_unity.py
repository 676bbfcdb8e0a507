"""Unity's `.meta`: read by unityparser, guids and a person's settings kept."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml
from patience import run_or_skip

from sfxgen.export import ENGINES, SoundAssets, SoundFile

UNITY = ENGINES["unity"]
PATH = "Assets/Audio/Sfx/step_01.wav.meta"


def step(n: int = 1, n_frames: int = 4_800, loop: tuple[int, int] | None = None) -> SoundAssets:
    files = tuple(
        SoundFile(f"Assets/Audio/Sfx/step_{i:02}.wav", "", i, 48_000, 1, n_frames, loop) for i in range(1, n + 1)
    )
    return SoundAssets("step", "Assets/Audio/Sfx/step", files, "a step on gravel", ("foley",), "FEETHmn")


def build(
    sound: SoundAssets, files: dict[str, str] | None = None, written: dict[str, dict[str, str]] | None = None
) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """The sidecars' texts and settings for a project in that state."""
    sidecars = UNITY.sidecars(sound, (files or {}).get, written or {})
    return {path: s.text for path, s in sidecars.items()}, {path: s.settings for path, s in sidecars.items()}


def test_a_fresh_meta_is_what_unity_writes_with_our_choices() -> None:
    files, _ = build(step())
    guid = re.search(r"^guid: ([0-9a-f]{32})$", files[PATH], re.MULTILINE)
    assert guid
    assert files[PATH] == (
        f"fileFormatVersion: 2\nguid: {guid[1]}\nAudioImporter:\n  externalObjects: {{}}\n  serializedVersion: 6\n"
        "  defaultSettings:\n    loadType: 0\n    sampleRateSetting: 0\n    sampleRateOverride: 44100\n"
        "    compressionFormat: 0\n    quality: 1\n    conversionMode: 0\n  platformSettingOverrides: {}\n"
        "  forceToMono: 0\n  normalize: 0\n  preloadAudioData: 1\n  loadInBackground: 0\n  ambisonic: 0\n  3D: 1\n"
        "  userData: \n  assetBundleName: \n  assetBundleVariant: \n"
    )


def test_guids_come_from_the_path_and_differ() -> None:
    first, _ = build(step(5))
    again, _ = build(step(5))
    guids = [yaml.safe_load(text)["guid"] for text in first.values()]
    assert first == again
    assert len(set(guids)) == 5


def test_merging_our_own_output_changes_nothing() -> None:
    files, written = build(step(3))
    assert build(step(3), files, written) == (files, written)


def test_a_long_sound_stays_compressed_in_memory() -> None:
    short, _ = build(step(n_frames=48_000))
    long, _ = build(step(n_frames=8 * 48_000))
    settings = [yaml.safe_load(files[PATH])["AudioImporter"]["defaultSettings"] for files in (short, long)]
    assert [(s["loadType"], s["compressionFormat"]) for s in settings] == [(0, 0), (1, 1)]


def test_a_persons_settings_and_guid_survive_and_ours_follow_the_sound() -> None:
    files, written = build(step())
    theirs = re.sub(r"guid: \w+", "guid: 4bd459bac7321754eb4f8f7352f7fee8", files[PATH])
    theirs = theirs.replace("compressionFormat: 0", "compressionFormat: 2").replace("forceToMono: 0", "forceToMono: 1")
    theirs = theirs.replace("  platformSettingOverrides: {}", "  platformSettingOverrides:\n    4:\n      loadType: 2")
    merged, _ = build(step(n_frames=8 * 48_000), {PATH: theirs}, written)
    assert merged[PATH] == theirs.replace("    loadType: 0", "    loadType: 1")


def test_a_meta_that_unity_made_before_us_is_respected() -> None:
    files, _ = build(step())
    theirs = files[PATH].replace("normalize: 0", "normalize: 1")
    merged, _ = build(step(), {PATH: theirs})
    assert merged[PATH] == theirs


def test_settings_that_a_newer_unity_moved_are_not_put_back() -> None:
    """Version 7 keeps preloadAudioData inside defaultSettings."""
    files, written = build(step())
    newer = files[PATH].replace("  preloadAudioData: 1\n", "").replace("serializedVersion: 6", "serializedVersion: 7")
    newer = newer.replace("    conversionMode: 0\n", "    conversionMode: 0\n    preloadAudioData: 1\n")
    merged, _ = build(step(), {PATH: newer}, written)
    assert merged[PATH] == newer


def test_a_missing_setting_of_ours_is_put_in_its_block() -> None:
    files, written = build(step())
    partial = files[PATH].replace("    loadType: 0\n", "").replace("  normalize: 0\n", "").replace("\n", "\r\n")
    merged, _ = build(step(), {PATH: partial}, written)
    importer = yaml.safe_load(merged[PATH])["AudioImporter"]
    assert (importer["normalize"], importer["defaultSettings"]["loadType"]) == (0, 0)
    assert merged[PATH].count("\n") == merged[PATH].count("\r\n")


def test_the_meta_of_another_importer_is_left_alone() -> None:
    theirs = "fileFormatVersion: 2\nguid: 4bd459bac7321754eb4f8f7352f7fee8\nDefaultImporter:\n  userData: \n"
    merged, _ = build(step(), {PATH: theirs})
    assert merged[PATH] == theirs


def test_a_file_renamed_with_its_meta_keeps_its_guid_and_the_new_one_gets_another() -> None:
    files, written = build(step())
    merged, _ = build(step(2), {"Assets/Audio/Sfx/step_02.wav.meta": files[PATH]}, written)
    guids = [yaml.safe_load(text)["guid"] for text in merged.values()]
    assert guids[1] == yaml.safe_load(files[PATH])["guid"]
    assert guids[0] != guids[1]


def test_the_index_is_an_asset_with_a_meta_of_its_own() -> None:
    files = UNITY.index([step(loop=(0, 4_800))], "Assets/Audio/Sfx")
    assert list(files) == ["Assets/Audio/Sfx/sfx.json", "Assets/Audio/Sfx/sfx.json.meta"]
    (sound,) = json.loads(files["Assets/Audio/Sfx/sfx.json"])["sounds"]
    assert sound["files"][0]["loop"]["end_s"] == 0.1
    meta = yaml.safe_load(files["Assets/Audio/Sfx/sfx.json.meta"])
    assert list(meta) == ["fileFormatVersion", "guid", "TextScriptImporter"]
    assert re.fullmatch("[0-9a-f]{32}", meta["guid"])


READ = """
import json, sys
from unityparser import UnityDocument
document = UnityDocument.load_yaml(sys.argv[1])
document.dump_yaml(sys.argv[2])
print(json.dumps(document.entry))
"""


@pytest.mark.slow
def test_unityparser_reads_our_meta(tmp_path: Path) -> None:
    """It writes the file back byte for byte, as Unity would: in an environment of its own, since it pins PyYAML."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    python = str(environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "unityparser==4.0.0"]
    run_or_skip(install)
    files, _ = build(step())
    meta, copy = tmp_path / "step_01.wav.meta", tmp_path / "copy.meta"
    meta.write_text(files[PATH], newline="\n")
    read = subprocess.run([python, "-c", READ, meta, copy], check=True, capture_output=True, text=True)
    entry = json.loads(read.stdout)
    assert entry["guid"] == re.findall(r"guid: (\w+)", files[PATH])[0]
    assert (entry["AudioImporter"]["normalize"], entry["AudioImporter"]["serializedVersion"]) == ("0", "6")
    assert copy.read_bytes() == meta.read_bytes()
