"""What is solved once and then kept, for the tests of a module."""

from __future__ import annotations

from collections.abc import Callable

from sfxgen.generate.recipe import Request


def keeping(store: dict[str, bytes] | None = None) -> Request:
    """A request that remembers, in `store` where that is given."""
    known = {} if store is None else store

    def cached(key: str, make: Callable[[], bytes]) -> bytes:
        if key not in known:
            known[key] = make()
        return known[key]

    return Request(cached=cached)
