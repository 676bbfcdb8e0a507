"""The errors that a person who uses sfxgen can meet, each with its exit code.

`ValueError` is for programmers. What reaches a person is a `SfxgenError`: one clear message that names the
value, what was expected and the cure. The command line prints it and exits with `exit_code`; it never shows a
traceback for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

EXIT_OK = 0
EXIT_FAILED = 1  # a sound could not be made, or the machine stood in the way (disk, permission, missing program)
EXIT_BAD_INPUT = 2  # the command line, a manifest or a source file is at fault
EXIT_STALE = 3  # `build --check`: something is not up to date
EXIT_IN_THE_WAY = 4  # done, but files that are not ours, or were changed since, were left alone
EXIT_INTERRUPTED = 130


class SfxgenError(Exception):
    """The root of the tree. `str(error)` is the whole message."""

    exit_code = EXIT_FAILED


class BadInput(SfxgenError):
    """Something that the person gave cannot be used as it is."""

    exit_code = EXIT_BAD_INPUT


class SourceUnreadable(BadInput):
    """A recording that cannot be read or decoded."""


class MeshUnusable(BadInput):
    """A mesh file that cannot be read, or that bounds no body."""


class PromptUnknown(BadInput):
    """A prompt that the prior has no word of."""


class ProgramMissing(SfxgenError):
    """An outside program (ffmpeg) or an optional package that the request needs is not installed."""


class Cancelled(SfxgenError):
    """The work was ended before its result was there; nothing is wrong."""

    exit_code = EXIT_INTERRUPTED


class CannotWrite(SfxgenError):
    """The disk or its permissions refuse: nothing half-written is left behind."""


@dataclass(frozen=True, order=True)
class Fault:
    """One thing wrong in a manifest or in sfxgen.yaml, in the words of the person who edits it.

    file is as the person would name it (relative to the project); line and column count from 1 (0: the whole
    file); sound is the entry's name or ""; problem says what was found, expected what would do, cure what to do.
    """

    file: str
    line: int
    column: int
    sound: str
    problem: str
    expected: str = ""
    cure: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        sound = f" sound '{self.sound}':" if self.sound else ""
        expected = f"; expected {self.expected}" if self.expected else ""
        cure = f"; {self.cure}" if self.cure else ""
        return f"{place}:{sound} {self.problem}{expected}{cure}"


class ManifestError(BadInput):
    """All the faults of all the manifests of a project, sorted by place."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        super().__init__("\n".join(str(fault) for fault in self.faults))


def name_os_error(error: OSError, path: Path) -> CannotWrite:
    """What the operating system said about `path`, as one clear sentence."""
    reason = (error.strerror or str(error)).lower()
    return CannotWrite(f"cannot write {path}: {reason}; what was there before is untouched")
