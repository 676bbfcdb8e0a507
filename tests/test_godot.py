"""Godot's sidecars: as godot_parser reads them, and with a person's settings kept."""

from __future__ import annotations

import hashlib
import re
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfxgen.export import ENGINES, Sidecar, SoundAssets, SoundFile
from sfxgen.export.godot_text import parse, render
from sfxgen.export.godot_uid import uid_text

GODOT = ENGINES["godot"]


class Project:
    """A project's files and our lock, in memory; `build` does what the build does with sidecars."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self.written: dict[str, dict[str, str]] = {}

    def build(self, sound: SoundAssets) -> dict[str, Sidecar]:
        sidecars = GODOT.sidecars(sound, self.files.get, self.written)
        for path, sidecar in sidecars.items():
            self.files[path] = sidecar.text
            self.written[path] = sidecar.settings
        return sidecars

    def edit(self, path: str, old: str, new: str) -> None:
        assert self.files[path].count(old) == 1
        self.files[path] = self.files[path].replace(old, new)


def step(
    n: int = 2, loop: tuple[int, int] | None = None, format: str = "wav", layers: tuple[str, ...] = ("",)
) -> SoundAssets:
    files = tuple(
        SoundFile(f"sfx/step{layer and '_' + layer}_{i:02}.{format}", layer, i, 48_000, 1, 4_800, loop)
        for layer in layers
        for i in range(1, n + 1)
    )
    return SoundAssets("step", "sfx/step", files, "", (), "")


def godot_parse(text: str) -> Any:
    """The text as godot_parser reads it; that library speaks to an older pyparsing, which warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import godot_parser

        return godot_parser.parse(text)


def streams(project: Project, path: str = "sfx/step.tres") -> list[str]:
    """The files that the randomizer plays, in order, as godot_parser reads it."""
    resource = godot_parse(project.files[path])
    paths = {section.id: section.path for section in resource.get_ext_resources()}
    (body,) = resource.find_all("resource")
    return [paths[body[f"stream_{i}/stream"].id] for i in range(body["streams_count"])]


def uid_of(text: str) -> str:
    found = re.search(r'uid="(uid://[a-y0-8]+)"', text)
    assert found
    return found[1]


def test_the_uid_of_the_largest_number_is_the_engines() -> None:
    assert uid_text(0x7FFFFFFFFFFFFFFF) == "uid://d4n4ub6itg400"
    assert uid_text(0) == "uid://a"
    assert uid_text(34) == "uid://ba"


def test_a_fresh_import_has_the_engines_keys_in_its_order() -> None:
    project = Project()
    project.build(step(1))
    text = project.files["sfx/step_01.wav.import"]
    digest = hashlib.md5(b"res://sfx/step_01.wav").hexdigest()
    assert text == (
        f'[remap]\n\nimporter="wav"\ntype="AudioStreamWAV"\nuid="{uid_of(text)}"\n'
        f'path="res://.godot/imported/step_01.wav-{digest}.sample"\n\n'
        '[deps]\n\nsource_file="res://sfx/step_01.wav"\n'
        f'dest_files=["res://.godot/imported/step_01.wav-{digest}.sample"]\n\n'
        "[params]\n\nforce/8_bit=false\nforce/mono=false\nforce/max_rate=false\nforce/max_rate_hz=44100\n"
        "edit/trim=false\nedit/normalize=false\nedit/loop_mode=1\nedit/loop_begin=0\nedit/loop_end=-1\n"
        "compress/mode=0\n"
    )


@pytest.mark.parametrize(
    ("format", "importer", "type_", "extension"),
    [
        ("wav", "wav", "AudioStreamWAV", "sample"),
        ("ogg", "oggvorbisstr", "AudioStreamOggVorbis", "oggvorbisstr"),
        ("mp3", "mp3", "AudioStreamMP3", "mp3str"),
    ],
)
def test_godot_parser_reads_our_import_files(format: str, importer: str, type_: str, extension: str) -> None:
    project = Project()
    project.build(step(1, loop=(2400, 4800), format=format))
    remap, deps, params = godot_parse(project.files[f"sfx/step_01.{format}.import"]).get_sections()
    assert (remap["importer"], remap["type"]) == (importer, type_)
    assert remap["path"].endswith(f".{extension}")
    assert deps["dest_files"] == [remap["path"]]
    if format == "wav":
        assert (params["edit/loop_mode"], params["edit/loop_begin"], params["edit/loop_end"]) == (2, 2400, -1)
    else:
        assert (params["loop"], params["loop_offset"]) == (True, 0.05)


def test_a_loop_that_ends_before_the_file_names_its_end() -> None:
    project = Project()
    project.build(step(1, loop=(100, 4000)))
    assert "edit/loop_begin=100\nedit/loop_end=4000\n" in project.files["sfx/step_01.wav.import"]


def test_godot_parser_reads_the_randomizer() -> None:
    project = Project()
    project.build(step(3))
    resource = godot_parse(project.files["sfx/step.tres"])
    head = resource.get_sections()[0].header
    assert (head["type"], head["format"], head["load_steps"]) == ("AudioStreamRandomizer", 3, 4)
    assert streams(project) == [f"res://sfx/step_0{i}.wav" for i in (1, 2, 3)]
    uids = {section.header["uid"] for section in resource.get_ext_resources()}
    assert uids == {uid_of(project.files[f"sfx/step_0{i}.wav.import"]) for i in (1, 2, 3)}
    assert head["uid"] not in uids


def test_each_velocity_layer_has_its_own_randomizer() -> None:
    project = Project()
    sidecars = project.build(step(2, layers=("soft", "hard")))
    assert [path for path in sidecars if path.endswith(".tres")] == ["sfx/step_soft.tres", "sfx/step_hard.tres"]
    assert streams(project, "sfx/step_hard.tres") == ["res://sfx/step_hard_01.wav", "res://sfx/step_hard_02.wav"]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5))
def test_variations_come_and_go(counts: list[int]) -> None:
    project = Project()
    for n in counts:
        sidecars = project.build(step(n))
        assert project.build(step(n)) == sidecars  # merging our own output gives the same bytes
        assert streams(project) == [f"res://sfx/step_0{i}.wav" for i in range(1, n + 1)]
    fresh = Project()
    fresh.build(step(counts[-1]))
    assert project.files["sfx/step.tres"] == fresh.files["sfx/step.tres"]


def test_a_new_format_replaces_the_streams() -> None:
    project = Project()
    project.build(step(2))
    uid = uid_of(project.files["sfx/step.tres"])
    project.build(step(2, format="ogg"))
    assert streams(project) == ["res://sfx/step_01.ogg", "res://sfx/step_02.ogg"]
    assert ".wav" not in project.files["sfx/step.tres"]
    assert uid_of(project.files["sfx/step.tres"]) == uid


def test_import_settings_of_a_person_survive_and_ours_follow_the_manifest() -> None:
    project = Project()
    project.build(step(1))
    path = "sfx/step_01.wav.import"
    project.edit(path, "force/mono=false", "force/mono=true")
    project.edit(path, "compress/mode=0", "compress/mode=2")
    project.edit(path, uid_of(project.files[path]), "uid://td2mgko63p61")
    project.edit(path, "[params]\n", "; hand-tuned\n[params]\nnew_in_godot_5=[1, 2]\n")
    before = project.files[path]
    project.build(step(1, loop=(0, 4800)))
    assert project.files[path] == before.replace("edit/loop_mode=1", "edit/loop_mode=2")
    assert 'uid="uid://td2mgko63p61"' in project.files["sfx/step.tres"]
    project.build(step(1))
    assert project.files[path] == before


def test_settings_that_were_there_before_us_survive() -> None:
    project = Project()
    project.build(step(1))
    theirs = project.files["sfx/step_01.wav.import"].replace("edit/trim=false", "edit/trim=true")
    newcomer = Project()
    newcomer.files["sfx/step_01.wav.import"] = theirs
    newcomer.build(step(1))
    assert newcomer.files["sfx/step_01.wav.import"] == theirs


def test_a_file_kept_from_import_is_left_alone() -> None:
    project = Project()
    project.build(step(1))
    kept = '[remap]\n\nimporter="keep"\n'
    project.files["sfx/step_01.wav.import"] = kept
    project.build(step(1))
    assert project.files["sfx/step_01.wav.import"] == kept


def test_a_missing_uid_is_added_and_windows_line_ends_stay() -> None:
    project = Project()
    project.build(step(1))
    path = "sfx/step_01.wav.import"
    complete = project.files[path]
    project.files[path] = re.sub(r"uid=.*\n", "", complete).replace("\n", "\r\n")
    project.build(step(1))
    assert project.files[path] == complete.replace("\n", "\r\n")


def test_a_file_renamed_with_its_sidecar_keeps_its_uid_and_the_new_one_gets_another() -> None:
    project = Project()
    project.build(step(1))
    moved = project.files.pop("sfx/step_01.wav.import")
    project.files = {"sfx/step_02.wav.import": moved}
    project.build(step(2))
    first, second = (project.files[f"sfx/step_0{i}.wav.import"] for i in (1, 2))
    assert uid_of(second) == uid_of(moved)
    assert uid_of(first) != uid_of(second)
    assert first.count("step_01") == 3
    assert second.count("step_02") == 3
    assert "step_01" not in second


def test_a_renamed_layer_keeps_its_uid_and_the_new_one_gets_another() -> None:
    project = Project()
    project.build(step(1, layers=("soft",)))
    moved = project.files.pop("sfx/step_soft.tres")
    project.files["sfx/step_medium.tres"] = moved
    project.build(step(1, layers=("soft", "medium")))
    heads = [project.files[f"sfx/step_{layer}.tres"].splitlines()[0] for layer in ("soft", "medium")]
    assert heads[1] == moved.splitlines()[0].replace("load_steps=2", "load_steps=3")
    assert uid_of(heads[0]) != uid_of(heads[1])


EDITED = """\
[gd_resource type="AudioStreamRandomizer" load_steps=5 format=3 uid="uid://cmine"]

[ext_resource type="AudioStream" uid="uid://b1" path="res://sfx/step_01.wav" id="1_step01"]
[ext_resource type="AudioStream" uid="uid://b9" path="res://foley/gravel.ogg" id="9_gravel"]
[ext_resource type="AudioStream" uid="uid://b2" path="res://sfx/step_02.wav" id="2_step02"]

[sub_resource type="AudioStreamGenerator" id="gen"]
mix_rate = 22050.0

[resource]
resource_name = "steps [resource]
two lines"
random_pitch = 1.2
streams_count = 4
stream_0/stream = ExtResource("9_gravel")
stream_0/weight = 0.25
stream_1/stream = ExtResource("2_step02")
stream_1/weight = 3.0
stream_2/stream = ExtResource("1_step01")
stream_3/stream = SubResource("gen")
metadata/note = {
"stream_0/stream": "mine"
}
"""


def test_a_randomizer_that_a_person_edited_keeps_everything_but_our_count() -> None:
    project = Project()
    project.build(step(2))
    project.files["sfx/step.tres"] = EDITED
    project.build(step(2))
    uids = [uid_of(project.files[f"sfx/step_0{i}.wav.import"]) for i in (1, 2)]
    refreshed = EDITED.replace("uid://b1", uids[0]).replace("uid://b2", uids[1])
    assert project.files["sfx/step.tres"] == refreshed

    project.build(step(1))
    assert project.files["sfx/step.tres"] == (
        refreshed.replace("load_steps=5", "load_steps=4")
        .replace(f'[ext_resource type="AudioStream" uid="{uids[1]}" path="res://sfx/step_02.wav" id="2_step02"]\n', "")
        .replace("streams_count = 4", "streams_count = 3")
        .replace('stream_1/stream = ExtResource("2_step02")\nstream_1/weight = 3.0\n', "")
        .replace("stream_2/", "stream_1/")
        .replace("stream_3/", "stream_2/")
    )

    project.build(step(3))
    text = project.files["sfx/step.tres"]
    assert 'stream_0/stream = ExtResource("9_gravel")\nstream_0/weight = 0.25\n' in text
    assert 'stream_3/stream = ExtResource("10_step02")\nstream_4/stream = ExtResource("11_step03")\n' in text
    assert "random_pitch = 1.2\nstreams_count = 5\n" in text
    assert EDITED[EDITED.index("metadata/note") :] in text


def test_another_kind_of_resource_in_the_place_is_left_alone() -> None:
    project = Project()
    theirs = '[gd_resource type="AudioStreamPlaylist" format=3]\n\n[resource]\nloop = false\n'
    project.files["sfx/step.tres"] = theirs
    project.build(step(2))
    assert project.files["sfx/step.tres"] == theirs


@given(st.text(st.sampled_from('[]"\\;=\n ab/'), max_size=60))
def test_any_text_is_given_back_as_it_was(text: str) -> None:
    assert render(parse(text)) == text
