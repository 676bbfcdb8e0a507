"""What all commands of the command line share."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ParamSpec

import typer

from sfxgen.errors import EXIT_INTERRUPTED, SfxgenError

P = ParamSpec("P")

Folder = Annotated[
    Path | None, typer.Option("--project", "-C", help="The game project's folder. Default: found from here upwards.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for scripts and CI.")]


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """One clear line and an exit code for whatever a person can cause; never a traceback."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except SfxgenError as error:
            print(error, file=sys.stderr)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            print("interrupted; what was finished is kept", file=sys.stderr)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:  # `sfxgen plan | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return run
