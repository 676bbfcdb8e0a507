"""What every engine's writer shares: detection, the three-way merge, the plain index."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfxgen.errors import BadInput
from sfxgen.export import ENGINES, SoundAssets, SoundFile, check_format, detect_engine
from sfxgen.export.merge import merge, unclaimed_digest, with_newlines_kept

WORDS = st.sampled_from(["true", "false", "0", "0.0", "1", "2", "two"])
SETTINGS = st.dictionaries(st.sampled_from("abcd"), WORDS)


def means(value: str | None) -> float | str | None:
    """The value as an engine reads it: 0 and 0.0 are one number."""
    try:
        return None if value is None else float(value)
    except ValueError:
        return value


@given(current=SETTINGS, written=SETTINGS, wanted=SETTINGS)
def test_a_persons_value_survives_and_ours_is_updated(
    current: dict[str, str], written: dict[str, str], wanted: dict[str, str]
) -> None:
    merged = merge(current, written, wanted)
    assert merged.keys() == wanted.keys()
    for key in wanted:
        is_persons = key in current and (key not in written or means(current[key]) != means(written[key]))
        if is_persons:
            assert merged[key] == current[key]
        else:
            assert means(merged[key]) == means(wanted[key])


@given(current=SETTINGS, written=SETTINGS, wanted=SETTINGS)
def test_merging_again_changes_nothing(
    current: dict[str, str], written: dict[str, str], wanted: dict[str, str]
) -> None:
    once = current | merge(current, written, wanted)
    assert once | merge(once, wanted, wanted) == once


def test_the_merge_case_by_case() -> None:
    wanted = {"key": "2"}
    assert merge({}, {}, wanted) == {"key": "2"}
    assert merge({"key": "1"}, {"key": "1"}, wanted) == {"key": "2"}  # ours: updated
    assert merge({"key": "1"}, {}, wanted) == {"key": "1"}  # never ours
    assert merge({"key": "1"}, {"key": "0"}, wanted) == {"key": "1"}  # changed since
    assert merge({"key": "1.0"}, {"key": "1"}, wanted) == {"key": "2"}  # the engine's spelling of ours
    assert merge({"key": "2.0"}, {"key": "2"}, wanted) == {"key": "2.0"}  # right already


def test_windows_line_ends_are_kept() -> None:
    assert with_newlines_kept("a\r\nb\r\n", lambda text: text + "c\n") == "a\r\nb\r\nc\r\n"
    assert with_newlines_kept("a\nb\n", lambda text: text + "c\n") == "a\nb\nc\n"


def test_a_taken_identifier_is_not_given_again() -> None:
    first = unclaimed_digest("a.wav", set(), str)
    second = unclaimed_digest("a.wav", {first}, str)
    assert first == unclaimed_digest("a.wav", set(), str)
    assert second not in ("", first)


def no_file(path: str) -> None:
    """A project without a single file."""


def godot_project(version: int) -> str:
    return f'; Engine configuration file.\nconfig_version={version}\n\n[application]\n\nconfig/name="game"\n'


def test_engines_are_known_by_their_projects(tmp_path: Path) -> None:
    assert detect_engine(tmp_path) == "plain"
    (tmp_path / "project.godot").write_text(godot_project(5))
    assert detect_engine(tmp_path) == "godot"
    (tmp_path / "project.godot").write_text(godot_project(4))
    assert detect_engine(tmp_path) == "plain"  # Godot 3
    (tmp_path / "Assets").mkdir()
    assert detect_engine(tmp_path) == "plain"  # a folder of that name is no Unity project yet
    (tmp_path / "ProjectSettings").mkdir()
    (tmp_path / "ProjectSettings" / "ProjectVersion.txt").write_text("m_EditorVersion: 6000.0.23f1\n")
    assert detect_engine(tmp_path) == "unity"


def test_the_table_names_its_engines() -> None:
    assert [engine.name for engine in ENGINES.values()] == list(ENGINES)


@pytest.mark.parametrize(
    ("engine", "format"), [("godot", "flac"), ("godot", "opus"), ("godot", "m4a"), ("unity", "opus")]
)
def test_formats_that_an_engine_cannot_import_are_refused(engine: str, format: str) -> None:
    file = SoundFile(f"sfx/a.{format}", "", 1, 48_000, 1, 100, None)
    sound = SoundAssets("a", "sfx/a", (file,), "", (), "")
    with pytest.raises(BadInput, match=rf"cannot import {format} files; set format to wav, .*ogg or mp3"):
        ENGINES[engine].sidecars(sound, no_file, {})
    with pytest.raises(BadInput):
        check_format(ENGINES[engine], format)


def test_the_plain_index_says_what_a_game_needs() -> None:
    wind = SoundFile("audio/wind_01.ogg", "", 1, 44_100, 2, 88_200, (22_050, 88_200))
    steps = tuple(
        SoundFile(f"audio/ui/step_{layer}_01.wav", layer, 1, 48_000, 1, 4_800, None) for layer in ("soft", "hard")
    )
    sounds = [
        SoundAssets("wind", "audio/wind", (wind,), "kalter Wind, böig", ("ambience",), "WINDGust"),
        SoundAssets("ui/step", "audio/ui/step", steps, "", (), ""),
    ]
    (path, text), *others = ENGINES["plain"].index(sounds, "audio").items()
    assert path == "audio/sfx.json"
    assert not others
    assert json.loads(text) == {
        "version": 1,
        "sounds": [
            {
                "name": "ui/step",
                "prompt": "",
                "category": "",
                "tags": [],
                "layers": ["soft", "hard"],
                "files": [
                    {
                        "path": f"audio/ui/step_{layer}_01.wav",
                        "layer": layer,
                        "index": 1,
                        "duration_s": 0.1,
                        "frames": 4800,
                        "rate_hz": 48000,
                        "channels": 1,
                    }
                    for layer in ("soft", "hard")
                ],
            },
            {
                "name": "wind",
                "prompt": "kalter Wind, böig",
                "category": "WINDGust",
                "tags": ["ambience"],
                "layers": [],
                "files": [
                    {
                        "path": "audio/wind_01.ogg",
                        "layer": "",
                        "index": 1,
                        "duration_s": 2.0,
                        "frames": 88200,
                        "rate_hz": 44100,
                        "channels": 2,
                        "loop": {"start_frame": 22050, "end_frame": 88200, "start_s": 0.5, "end_s": 2.0},
                    }
                ],
            },
        ],
    }
    assert ENGINES["plain"].index(sounds[::-1], "audio") == {path: text}
    assert ENGINES["plain"].index([], "audio") == {}
    assert ENGINES["plain"].sidecars(sounds[0], no_file, {}) == {}


def test_importing_the_engines_loads_no_audio_library() -> None:
    script = "import sys, sfxgen.export; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    assert "sfxgen.export.godot" in loaded
    assert not {"numpy", "soundfile", "pydub", "torch"} & set(loaded)
