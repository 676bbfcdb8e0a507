"""Whom to name for a recording, from the lists that its package carries, or by hand where those are prose."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import unquote

from archives import members

BY_HAND = Path(__file__).parent / "credits.csv"
_CLONK_TEAM = "Copyright (c) 2001-2009 RedWolf Design GmbH, 2009-2016 The OpenClonk Team and contributors"
# How paths inside the package differ from those that its copyright file speaks of.
_RENAMED = {
    "hydrogen-drumkits": (r".*/drumkits/([^/]+)/.*", r"drumkits/\1.h2drumkit"),
    "ufoai-sound": (r".*\.pk3\.x/", "base/"),
    "marsshooter-data": (r".*/marsshooter/", "data/"),
}

Credit = Callable[[str], str]


def credits_of(package: str, files: Path) -> Credit:
    """A function from a path of the corpus list to the people to name, for one unpacked package."""
    with BY_HAND.open(encoding="utf-8", newline="") as table:
        by_hand = [(row["pattern"], row["credit"]) for row in csv.DictReader(table) if row["package"] == package]
    special = {"openclonk-data": openclonk, "openttd-opensfx": opensfx, "sonic-pi-samples": sonic_pi}
    by_list = special[package](files) if package in special else copyright_file(package, files)

    def credit(path: str) -> str:
        return next((name for pattern, name in by_hand if fnmatchcase(path, pattern)), None) or by_list(path)

    return credit


def copyright_file(package: str, files: Path) -> Credit:
    """Debian's machine-readable copyright file (DEP 5): the last stanza that matches holds."""
    text = (files / "usr/share/doc" / package / "copyright").read_text(encoding="utf-8")
    stanzas = [dict(_fields(block)) for block in re.split(r"\n\s*\n", text)]
    rules = [(s["files"].split(), _holders(s)) for s in stanzas if "files" in s and "copyright" in s]

    def credit(path: str) -> str:
        known = re.sub(*_RENAMED[package], path) if package in _RENAMED else path
        parts = known.split("/")
        tails = ["/".join(parts[i:]) for i in range(len(parts))]
        named = [who for globs, who in rules if any(fnmatchcase(tail, glob) for tail in tails for glob in globs)]
        return named[-1] if named else ""

    return credit


def _fields(block: str) -> Iterator[tuple[str, str]]:
    for field in re.finditer(r"^([A-Za-z-]+):((?:.*\n?)(?:[ \t].*\n?)*)", block, re.M):
        yield field[1].lower(), re.sub(r"\n\s+\.?", "\n", field[2]).strip()


def _holders(stanza: dict[str, str]) -> str:
    """Names without signs, years, addresses; what the comment says where nobody holds a copyright."""
    names = []
    for line in stanza["copyright"].splitlines():
        name = re.sub(r"\(c\)|©|copyright|<[^>]*>|[\w.]+@[\w.]+", "", line, flags=re.I)
        name = re.sub(r"^(?:or|[\d\s,?–-])*", "", name).strip(" ,")
        if name:
            names.append(name)
    held = "; ".join(names)
    free = re.match(r"not applicable-*(?:public.domain)?|\W*public.domain\W*|no-copyright", held, re.I)
    if free:
        said = [held[free.end() :].strip(), *stanza.get("comment", "").strip().splitlines()[:1]]
        return " ".join(["public domain:", *(part for part in said if part)])
    return held


def opensfx(files: Path) -> Credit:
    """Each entry's own name says it: `Title. Original 'x.wav' by 'A'. Edited by 'B'. License: …`."""
    catalogue = next(files.rglob("opensfx.cat"))
    titles = {name[:2]: name[3:] for name in members(catalogue.name, catalogue.read_bytes())}

    def credit(path: str) -> str:
        title = titles[path.partition(".x/")[2][:2]].partition("License")[0]
        people = re.search(r"\b(original|by|edited|recorded)\b.*", title, re.I)
        return " ".join((people[0] if people else title).replace('"', "").split()).strip(" .").removeprefix("By ")

    return credit


def sonic_pi(files: Path) -> Credit:
    """The README links each sample to its page: `* `:drum_heavy_kick` - http://freesound.org/people/Zajo/…`."""
    readme = next(files.rglob("samples/README.md")).read_text(encoding="utf-8")
    people = {m[1]: m[2] for m in re.finditer(r"`:?(\w+)`.*?/people/([^/\s]+)", readme)}

    def credit(path: str) -> str:
        who = people.get(Path(path).stem)
        return f"{unquote(who)} (freesound.org)" if who else "Sonic Pi contributors, from CC0 sounds of freesound.org"

    return credit


def openclonk(files: Path) -> Credit:
    """authors.txt inside Sound.ocg: `author - Folder/Name1&2&3, Name*, Name1-6 (where from)`, over several lines."""
    group = next(files.rglob("Sound.ocg"))
    text = members(group.name, group.read_bytes())["authors.txt"].decode("utf-8", "replace")
    rules = list(_clonk_rules(text))

    def credit(path: str) -> str:
        known = re.sub(r"\.(?:oc.|x)\b|\.x", "", path.rpartition(".")[0])
        fitting = [(length, who) for pattern, length, who in rules if pattern.fullmatch(known)]
        longest = max((length for length, _ in fitting), default=0)
        people = list(dict.fromkeys(who for length, who in fitting if length == longest))
        return "; ".join(people) or _CLONK_TEAM

    return credit


def _clonk_rules(text: str) -> Iterator[tuple[re.Pattern[str], int, str]]:
    author, folder = "", ""
    for line in re.sub(r"\([^)]*\)", " ", text).splitlines():
        start = re.match(r"^(\S.*?)\s+- (.*)|^(\S.*?)\s*- (.*)", line)
        if start:
            author, folder, works = (start[1] or start[3]).strip(" ,"), "", start[2] or start[4]
        elif line[:1] in (" ", "\t") and author:
            works = line.strip().lstrip("- ")
        else:
            continue
        if works.endswith(":") and "/" in works:
            folder = works.rstrip(":") + "/"
            continue
        for word in re.findall(r"[\w:/]+(?:[&*/-][\w*&-]*)*", works):
            pattern = _clonk_pattern(folder + word.replace("::", "/"))
            yield re.compile(pattern, re.I), len(folder + word), author


def _clonk_pattern(word: str) -> str:
    """Folders of the word in order, others between them allowed; Name1&2, Name1-6 and Name* spelt out."""
    *folders, name = word.split("/")
    numbered = re.fullmatch(r"(.*?)(\d+)((?:&\d+)+|-\d+)", name)
    if name.endswith("*"):
        last = re.escape(name[:-1]) + ".*"
    elif numbered and numbered[3].startswith("-"):
        first, end = int(numbered[2]), int(numbered[3][1:])
        last = re.escape(numbered[1]) + "(?:" + "|".join(map(str, range(first, end + 1))) + ")"
    elif numbered:
        last = re.escape(numbered[1]) + "(?:" + "|".join([numbered[2], *numbered[3].strip("&").split("&")]) + ")"
    else:
        last = re.escape(name)
    return "".join(f".*/{re.escape(part)}" for part in folders) + "(?:.*)/" + last
