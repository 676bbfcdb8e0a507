"""Some files of one commit of a public repository on GitHub, fetched by plain git."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from debian import CannotFetch

HOST = "https://github.com"


def check_out(pinned: str, patterns: Iterable[str], folder: Path) -> None:
    """Writes the files whose path, after a `/`, matches a pattern, into `folder`. `pinned`: OWNER/NAME@COMMIT.

    No history and no other file is fetched, where the host can leave them out. Raises CannotFetch.
    """
    name, _, commit = pinned.partition("@")
    cure = f"github.com has to be in reach, or the wanted files of {pinned} in {folder}"
    partial = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    _git(cure, partial, "init", "--quiet")
    _git(cure, partial, "remote", "add", "origin", f"{HOST}/{name}")
    _git(cure, partial, "fetch", "--quiet", "--depth=1", "--filter=blob:none", "origin", commit)
    paths = _git(cure, partial, "ls-tree", "-r", "-z", "--name-only", commit).split("\0")
    any_of = re.compile("|".join(f"(?:{pattern})" for pattern in patterns))
    wanted = "\0".join(path for path in paths if any_of.search(f"/{path}"))
    _git(cure, partial, "checkout", commit, "--pathspec-from-file=-", "--pathspec-file-nul", entered=wanted)
    shutil.rmtree(partial / ".git")
    partial.rename(folder)


def _git(cure: str, folder: Path, *words: str, entered: str = "") -> str:
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, input=entered, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise CannotFetch("git is needed to fetch recordings from GitHub") from error
    if done.returncode:
        why = (done.stderr.strip() or "no reason given").splitlines()[0]
        raise CannotFetch(f"git {words[0]} failed: {why}; {cure}")
    return done.stdout
