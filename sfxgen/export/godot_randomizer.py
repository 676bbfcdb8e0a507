"""Godot's `AudioStreamRandomizer` as a `.tres` text: our variations kept up, a person's additions left alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sfxgen.export import godot_text
from sfxgen.export.contract import Settings, Sidecar
from sfxgen.export.godot_text import Section, quoted, unquoted
from sfxgen.export.godot_uid import uid_for
from sfxgen.export.merge import with_newlines_kept

TYPE = "AudioStreamRandomizer"
FRESH = f'[gd_resource type="{TYPE}" load_steps=1 format=3]\n\n[resource]\n'
STREAM_LINE = re.compile(r"(?:streams_count|stream_(?P<index>\d+)/(?P<name>\w+)) ?= ?(?P<value>.*?)\s*\Z", re.DOTALL)
EXTERNAL = re.compile(r'ExtResource\(("(?:\\.|[^"\\])*")\)\Z')


@dataclass(frozen=True)
class Stream:
    """One of our files. uid: "" where its `.import` has none."""

    res_path: str
    uid: str


# What a randomizer says of one stream, by the part of the key after "stream_N/": "stream", "weight".
Entry = dict[str, str]


def randomizer(
    res_path: str, streams: Sequence[Stream], current: str | None, written: Settings, taken: set[str]
) -> Sidecar:
    """The `.tres` at res_path with these streams.

    Ours are the streams here and those in `written`: they are added, removed and renumbered, and keep their place,
    weight and other properties while they last. Streams of other files and every other property are a person's.
    A stream of ours that a person took out comes back; weight 0 silences one for good. Only what Godot writes itself
    is written: values that equal its defaults (playback mode, weight 1) would vanish at the next save in the editor.
    A file that is no AudioStreamRandomizer is left as it is.
    """
    settings = {f"stream_{i}": stream.res_path for i, stream in enumerate(streams)}

    def edit(text: str) -> str:
        sections = godot_text.parse(text)
        heads = [section for section in sections if section.kind == "gd_resource"]
        bodies = [section for section in sections if section.kind == "resource"]
        if not heads or not bodies or heads[0].attributes.get("type") != quoted(TYPE):
            return text
        head, body = heads[0], bodies[0]
        if "uid" not in head.attributes:
            head.set_attribute("uid", quoted(uid_for(res_path, taken)))
        entries, at = _take_entries(body)
        gone = set(written.values()) - {stream.res_path for stream in streams}
        entries = [entry for entry in entries if _path_of(entry, sections) not in gone]
        _drop_references(sections, entries, gone)
        _refresh_uids(sections, streams)
        present = {_path_of(entry, sections) for entry in entries}
        entries += [_add(sections, stream) for stream in streams if stream.res_path not in present]
        body.insert(at, _lines(entries))
        if "load_steps" in head.attributes:
            n_resources = sum(section.kind in ("ext_resource", "sub_resource") for section in sections)
            head.set_attribute("load_steps", str(n_resources + 1))
        return godot_text.render(sections)

    start = current if current and current.strip() else FRESH
    return Sidecar(with_newlines_kept(start, edit), settings)


def _take_entries(body: Section) -> tuple[list[Entry], int]:
    """Takes the stream keys out of the section: the entries in their order, and where the keys began."""
    found: dict[int, Entry] = {}
    rest: list[str] = []
    at = None
    for line in body.lines:
        match = STREAM_LINE.match(line)
        if match is None:
            rest.append(line)
            continue
        at = len(rest) if at is None else at
        if match["index"]:
            found.setdefault(int(match["index"]), {})[match["name"]] = match["value"]
    body.lines = rest
    return [found[index] for index in sorted(found)], body.end_of_assignments() if at is None else at


def _lines(entries: Sequence[Entry]) -> list[str]:
    lines = [f"streams_count = {len(entries)}\n"]
    for index, entry in enumerate(entries):
        lines += [f"stream_{index}/{name} = {value}\n" for name, value in entry.items()]
    return lines


def _drop_references(sections: list[Section], entries: Sequence[Entry], gone: set[str]) -> None:
    """Takes out the references to files that are gone, unless something else in the resource uses one."""
    lines = [line for section in sections for line in section.lines]
    in_use = "".join([*lines, *(value for entry in entries for value in entry.values())])
    for external in [section for section in sections if section.kind == "ext_resource"]:
        is_gone = unquoted(external.attributes.get("path", '""')) in gone
        if is_gone and f"ExtResource({external.attributes.get('id')})" not in in_use:
            before = sections[sections.index(external) - 1]
            before.lines = before.lines or external.lines  # the blank line before the next section
            sections.remove(external)


def _add(sections: list[Section], stream: Stream) -> Entry:
    """A reference to the file, unless there is one already, and the entry that uses it."""
    externals = [section for section in sections if section.kind == "ext_resource"]
    for external in externals:
        if external.attributes.get("path") == quoted(stream.res_path):
            return {"stream": f"ExtResource({external.attributes['id']})"}
    numbers = [int(match[0]) for s in externals if (match := re.match(r"\d+", s.attributes.get("id", '""')[1:]))]
    slug = re.sub(r"[^0-9A-Za-z]", "", stream.res_path.rpartition("/")[2].rpartition(".")[0])
    name = quoted(f"{max(numbers, default=0) + 1}_{slug}")
    uid = f" uid={quoted(stream.uid)}" if stream.uid else ""
    section = Section(f'[ext_resource type="AudioStream"{uid} path={quoted(stream.res_path)} id={name}]\n')
    previous = externals[-1] if externals else next(s for s in sections if s.kind == "gd_resource")
    if externals:
        previous.lines, section.lines = [], previous.lines
    else:
        section.lines = ["\n"]
    sections.insert(sections.index(previous) + 1, section)
    return {"stream": f"ExtResource({name})"}


def _refresh_uids(sections: Sequence[Section], streams: Sequence[Stream]) -> None:
    """A reference's uid is its file's: no one's choice."""
    uids = {quoted(stream.res_path): quoted(stream.uid) for stream in streams if stream.uid}
    for section in sections:
        path = section.attributes.get("path", "")
        if section.kind == "ext_resource" and path in uids and section.attributes.get("uid") != uids[path]:
            section.set_attribute("uid", uids[path])


def _path_of(entry: Entry, sections: Sequence[Section]) -> str | None:
    """The file that an entry plays; None for an empty slot or a resource inside the `.tres`."""
    reference = EXTERNAL.match(entry.get("stream", ""))
    for section in sections:
        if reference and section.kind == "ext_resource" and section.attributes.get("id") == reference[1]:
            return unquoted(section.attributes.get("path", '""'))
    return None
