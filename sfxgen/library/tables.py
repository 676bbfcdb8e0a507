"""A CSV that says what recordings are: columns file, caption and, where wanted, licence and credit."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sfxgen.errors import BadInput

COLUMNS = ("file", "caption", "licence", "credit")


@dataclass(frozen=True)
class Entry:
    """What the table says of one file; licence and credit "" where it says nothing."""

    captions: tuple[str, ...]
    licence: str
    credit: str


def read_table(table: Path, files: Sequence[str]) -> dict[str, Entry]:
    """Entries by file (a path within the folder, / between its parts). Several lines on a file give it more captions.

    Raises BadInput with every fault and its line.
    """
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{table} cannot be read as text in UTF-8: {error}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    header = [(name or "").strip().lower() for name in reader.fieldnames or ()]
    _check_header(table, header)
    reader.fieldnames = header
    entries: dict[str, Entry] = {}
    faults: list[str] = []
    for row in reader:
        fault = _fault(row, files)
        if fault:
            faults.append(f"{table}:{reader.line_num}: {fault}")
            continue
        values = {key: (row.get(key) or "").strip() for key in COLUMNS}
        file = values["file"].replace("\\", "/")
        before = entries.get(file, Entry((), "", ""))
        captions = (*before.captions, values["caption"])
        entries[file] = Entry(captions, values["licence"] or before.licence, values["credit"] or before.credit)
    if faults:
        raise BadInput("\n".join(faults))
    return entries


def _check_header(table: Path, header: Sequence[str]) -> None:
    missing = [name for name in COLUMNS[:2] if name not in header]
    unknown = [name for name in header if name not in COLUMNS]
    if missing or unknown:
        problem = f"no column {' and '.join(missing)}" if missing else f"unknown column {', '.join(unknown)}"
        raise BadInput(f"{table}:1: {problem}; expected file,caption and, where wanted, licence,credit")


def _fault(row: dict[str | None, str | None], files: Sequence[str]) -> str:
    file, caption = ((row.get(key) or "").strip() for key in ("file", "caption"))
    if None in row:
        return 'more values than columns; put a caption that has commas between "quotes"'
    if not file:
        return "no file named"
    if not caption:
        return f"{file} has no caption; say what it sounds like, or drop the line"
    if file.replace("\\", "/") not in files:
        return f"there is no sound {file} in the folder{_meant(file, files)}"
    return ""


def _meant(file: str, files: Sequence[str]) -> str:
    near = next(_nearest(file, files), None)
    return f"; did you mean {near}?" if near else ""


def _nearest(file: str, files: Sequence[str]) -> Iterator[str]:
    name = file.replace("\\", "/").rpartition("/")[2].lower()
    yield from (
        known for known in files if known.rpartition("/")[2].lower().startswith(name.rpartition(".")[0] or name)
    )
