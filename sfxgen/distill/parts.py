"""A batch through a model in as large parts as the memory holds."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sfxgen.errors import SfxgenError

_WORDS = ("not enough memory", "can't allocate memory", "out of memory")  # of the CPU's allocator, which has no class


class Parts:
    """Starts with whole batches; where the memory runs out it halves them for good, and says so once each time."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._most: int | None = None

    def each(self, call: Callable[[slice], tuple[Tensor, ...]], n: int) -> tuple[Tensor, ...]:
        """What `call` gives for all n rows, put together from parts. Raises SfxgenError where one row is too much."""
        while True:
            size = min(n, self._most or n)
            try:
                found = [call(slice(at, min(n, at + size))) for at in range(0, n, size)]
            except RuntimeError as error:
                if not _is_out_of_memory(error):
                    raise
                if size == 1:
                    cure = "a shorter sound, a smaller prior, or device: cpu"
                    raise SfxgenError(f"out of memory with a single sound in the prior; try {cure}") from error
            else:
                return tuple(torch.cat(maps) for maps in zip(*found, strict=True))
            self._most = size // 2
            self._warn(f"out of memory with {size} sounds at once in the prior: going on with {self._most}")


def _is_out_of_memory(error: RuntimeError) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _WORDS)
