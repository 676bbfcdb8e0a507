"""What is wrong with a text that is no YAML, in the words of the person who wrote it."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

import yaml

# What YAML 1.1 does not allow in a text, beside half surrogates, which no decoder lets through.
_CONTROL = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class SyntaxFault:
    """Line and column from 1 (0: the whole file); the rest as in a Fault."""

    line: int
    column: int
    problem: str
    expected: str = ""
    cure: str = ""


def decode(data: bytes) -> str | SyntaxFault:
    """The file's text (UTF-8, or UTF-16 with its mark), or where it is none."""
    encoding, name = ("utf-16", "UTF-16") if data.startswith(_UTF_16) else ("utf-8-sig", "UTF-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start].decode(encoding, "replace")
        problem = f"the byte 0x{data[error.start]:02X} is not {name} text"
        return SyntaxFault(*_place(before), problem, "text in UTF-8", "save the file as UTF-8")
    control = _CONTROL.search(text)
    if control:
        problem = f"a control character (U+{ord(control[0]):04X})"
        return SyntaxFault(*_place(text[: control.start()]), problem, "printable text", "delete it")
    return text


def explain_syntax(error: yaml.MarkedYAMLError, text: str) -> SyntaxFault:
    """PyYAML's error, where the mistake was made rather than where the parser gave up."""
    context, problem = str(error.context or ""), str(error.problem or "")
    found, opened = error.problem_mark or error.context_mark, error.context_mark or error.problem_mark
    if found is None or opened is None:
        return SyntaxFault(0, 0, f"this is not YAML: {problem}")
    here, start = (found.line + 1, found.column + 1), (opened.line + 1, opened.column + 1)
    first = _character(text, found)
    for kind, bracket, end in (("sequence", "[", "]"), ("mapping", "{", "}")):
        if f"flow {kind}" in context:
            said = f"'{bracket}' has no '{end}' (the text goes on to line {here[0]})"
            return SyntaxFault(*start, said, f"'{end}' at its end and commas between its parts")
    if "flow node" in context:
        return SyntaxFault(*here, "a value or a closing bracket is missing here", "a value, or the ']' or '}'")
    if "quoted scalar" in context and "unexpected" in problem:
        return SyntaxFault(*start, "this quote is never closed", "the same quote at the end of the text")
    if "escape" in problem:
        cure = "write single quotes, or / in paths"
        return SyntaxFault(*here, "in double quotes \\ begins a special character, and this one is unknown", cure=cure)
    if first == "\t" or "tab character" in problem:
        return SyntaxFault(*here, "a tab indents this line", "spaces")
    if "cannot start any token" in problem:
        return SyntaxFault(*here, f"text cannot begin with {first}", "quotes around the text")
    if "mapping values are not allowed" in problem:
        cure = "put the text in quotes, or correct the indentation or the line above"
        return SyntaxFault(*here, "this ':' would begin a second value in one place", "one 'key: value' a line", cure)
    if "simple key" in context:
        return SyntaxFault(*start, "this line has no ':' after its key", "key: value")
    if context.startswith("while parsing a block") and first in ("]", "}"):
        return SyntaxFault(*here, f"'{first}' closes what was never opened", cure="delete it")
    if context.startswith("while parsing a block"):
        return SyntaxFault(
            *here, "the indentation of this line fits nothing above it", "as much as its neighbours have"
        )
    return SyntaxFault(*here, f"this is not YAML: {', '.join(part for part in (context, problem) if part)}")


def _place(before: str) -> tuple[int, int]:
    lines = before.split("\n")
    return len(lines), len(lines[-1]) + 1


def _character(text: str, mark: yaml.Mark) -> str:
    lines = text.split("\n")
    return lines[mark.line][mark.column : mark.column + 1] if mark.line < len(lines) else ""
