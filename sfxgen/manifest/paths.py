"""Paths as manifests write them: relative, with forward slashes, and never out of the project."""

from __future__ import annotations

import re


def inside(folder: str, path: str) -> str | None:
    """`path`, taken from `folder`, as a path from the root without '.' and '..'; None where it leaves the root.

    Judged by the text alone, so that it says the same on every machine: absolute paths, drive letters, NUL and
    other control characters leave; backslashes count as slashes.
    """
    path = path.replace("\\", "/")
    if path.startswith("/") or re.search(r"[:\x00-\x1f]", path):
        return None
    parts: list[str] = []
    for part in f"{folder}/{path}".split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def is_path(prior: str) -> bool:
    """`./library`, `../priors/x` and `/srv/priors/x` are paths; `stabilityai/stable-audio-open-1.0` is a hub id."""
    return prior.startswith((".", "/", "~")) or "\\" in prior
