"""How many threads torch may use for one sound."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from sfxgen.priors.contract import Prior


@contextlib.contextmanager
def threads_for(prior: Prior) -> Iterator[None]:
    """One for a small prior: sounds are made side by side, and come out the same however many cores there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if prior.small else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
