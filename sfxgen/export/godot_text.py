"""Godot's text format of `.import` and `.tres` files, edited in place: what we do not touch stays byte for byte."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# A statement is a line, longer where a string in it holds line ends.
STATEMENT = re.compile(r'(?:;[^\n]*|(?:"(?:\\.|[^"\\])*"|[^\n])*)\n?', re.DOTALL)
ASSIGNMENT = re.compile(r"\s*([^\s=;\[\"]+) ?= ?(.*?)\s*\Z", re.DOTALL)
ATTRIBUTE = re.compile(r'(\w+)=("(?:\\.|[^"\\])*"|[^\s\]]+)')


@dataclass(eq=False)
class Section:
    """A `[header]` statement and the statements below it; the part before the first header has header ""."""

    header: str
    lines: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """The first word in the brackets, such as "params" or "ext_resource"."""
        return re.split(r"[\s\]]", self.header.lstrip()[1:], maxsplit=1)[0]

    @property
    def attributes(self) -> dict[str, str]:
        """What the header assigns, as written, quotes included."""
        return dict(ATTRIBUTE.findall(self.header))

    @property
    def assignments(self) -> dict[str, str]:
        """What the statements below assign, as written."""
        found = (ASSIGNMENT.match(line) for line in self.lines)
        return {match[1]: match[2] for match in found if match}

    def set_attribute(self, name: str, value: str) -> None:
        """Replaces an attribute of the header, or adds it at the end."""
        if name in self.attributes:
            pattern = re.compile(rf'(?<=\s){name}=("(?:\\.|[^"\\])*"|[^\s\]]+)')
            self.header = pattern.sub(lambda _: f"{name}={value}", self.header, count=1)
        else:
            head, _, tail = self.header.rpartition("]")
            self.header = f"{head} {name}={value}]{tail}"

    def assign(self, key: str, value: str) -> None:
        """Replaces the value of a key (`key=value`), or adds it after the last assignment."""
        for at, line in enumerate(self.lines):
            match = ASSIGNMENT.match(line)
            if match and match[1] == key:
                self.lines[at] = line[: match.start(2)] + value + line[match.end(2) :]
                return
        self.insert(self.end_of_assignments(), [f"{key}={value}\n"])

    def end_of_assignments(self) -> int:
        """The place after the last assignment; after the blank line that follows a header when there is none."""
        assigned = [at for at, line in enumerate(self.lines) if ASSIGNMENT.match(line)]
        if assigned:
            return assigned[-1] + 1
        return 1 if self.lines and not self.lines[0].strip() else 0

    def insert(self, at: int, lines: list[str]) -> None:
        """Puts whole lines in; the file's last line may have lacked its line end."""
        before = self.lines[at - 1] if at else self.header
        if not before.endswith("\n"):
            lines = ["\n" + lines[0], *lines[1:]]
        self.lines[at:at] = lines


def parse(text: str) -> list[Section]:
    """The sections of a text with plain newlines; `render` gives the same text back."""
    sections = [Section("")]
    for statement in STATEMENT.findall(text):
        if statement.lstrip().startswith("["):
            sections.append(Section(statement))
        elif statement:
            sections[-1].lines.append(statement)
    return sections


def render(sections: list[Section]) -> str:
    return "".join(section.header + "".join(section.lines) for section in sections)


def quoted(text: str) -> str:
    """A string as Godot writes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL)
