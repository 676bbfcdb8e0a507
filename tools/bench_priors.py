"""The library prior's part of tools/bench.py: run by it, each measurement in a process of its own.

`python tools/bench_priors.py step|large|load` prints one JSON line: seconds of each run and the peak of memory (MB).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from peak import peak_bytes

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from sfxgen.priors.library import LibraryPrior

BATCH, SECONDS, N_LARGE = 24, 1.5, 20_000
PROMPTS = ("footsteps", "explosion", "train horn", "glass breaks", "wind", "monster growls", "laser", "door opens")


def main(what: str, n_runs: int) -> None:
    if what == "load":
        measured, in_numpy = load(), None
    else:
        measured, in_numpy = step(_large() if what == "large" else _shipped(), n_runs)
    peak_mb = peak_bytes() / 1e6  # before numpy takes its own
    of_numpy = {name: _timed(work, n_runs) for name, work in (in_numpy or {}).items()}
    print(json.dumps({**measured, **of_numpy, "peak_mb": peak_mb}))


def load() -> dict[str, list[float]]:
    """Reading the shipped library and the vectors of its captions, once in this process; imports are not counted."""
    import torch  # noqa: F401

    from sfxgen.library.places import SHIPPED
    from sfxgen.library.store import read_library
    from sfxgen.priors.library import LibraryPrior

    began = time.perf_counter()
    LibraryPrior(read_library(SHIPPED))
    return {"load": [time.perf_counter() - began]}


def step(prior: LibraryPrior, n_runs: int) -> tuple[dict[str, list[float]], dict[str, Callable[[], object]]]:
    """One denoising step of a batch, as the condition has it and guided; and the like in plain numpy, still to do."""
    import numpy as np
    import torch

    condition = prior.condition([PROMPTS[i % len(PROMPTS)] for i in range(BATCH)], SECONDS)
    z = torch.randn(BATCH, *prior.z_shape(SECONDS), generator=torch.Generator().manual_seed(0))
    t = torch.full((BATCH,), 0.5)
    x = condition.encoded["x"].numpy()
    flat = z.reshape(BATCH, x.shape[1], -1).numpy()

    def conditional() -> None:  # whole-sound weights without gains: less work than ours
        distance = np.stack([np.square(flat[b][:, None] - x[b]).sum((0, 2)) for b in range(BATCH)])
        weights = np.exp(-0.005 * (distance - distance.min(1, keepdims=True)))
        np.stack([np.tensordot(x[b], weights[b], (1, 0)) for b in range(BATCH)])

    measured = {
        "conditional": _timed(lambda: prior.denoise(z, t, condition), n_runs),
        "guided": _timed(lambda: prior.denoise(z, t, condition, 2.0), n_runs),
    }
    return measured, {"numpy": conditional, "numpy_whole": lambda: _whole_library(prior, z)}


def _whole_library(prior: LibraryPrior, z: torch.Tensor) -> NDArray[np.float32]:
    """The unconditional mixture over every sound, none left out: distances in one pass, means in another, a part of
    the library at a time."""
    import numpy as np

    from sfxgen.library.store import STEP_DB
    from sfxgen.priors.library import CENTRE_DB, SCALE_DB

    parts = np.array_split(np.arange(len(prior.library.exemplars)), len(prior.library.exemplars) // 500 + 1)
    flat = z.flatten(1).numpy()

    def laid_out(part: NDArray[np.int64]) -> NDArray[np.float32]:
        levels = prior._codes(part, z.shape[1]).reshape(len(part), -1)
        return (np.float32(STEP_DB) * (levels.astype(np.float32) - 255.0) - np.float32(CENTRE_DB)) / np.float32(
            SCALE_DB
        )

    xs = (laid_out(part) for part in parts)
    distance = np.concatenate([np.square(x).sum(1) - 2.0 * flat @ x.T for x in xs], 1)
    weights = np.exp(-0.005 * (distance - distance.min(1, keepdims=True)))
    weights /= weights.sum(1, keepdims=True)
    total = np.zeros_like(flat)
    for part in parts:
        total += weights[:, part] @ laid_out(part)
    return total


def _shipped() -> LibraryPrior:
    from sfxgen.library.places import SHIPPED
    from sfxgen.library.store import read_library
    from sfxgen.priors.library import LibraryPrior

    return LibraryPrior(read_library(SHIPPED))


def _large() -> LibraryPrior:
    """Sounds of a second each, made of nothing; captions of two words."""
    import numpy as np

    from sfxgen.library.store import Exemplar, Library
    from sfxgen.priors.library import LibraryPrior

    frames = 86
    words = [word for prompt in PROMPTS for word in prompt.split()]
    captions = (f"{words[i % len(words)]} {words[i // 7 % len(words)]}" for i in range(N_LARGE))
    exemplars = [Exemplar(str(i), (c,), "", "own", "", "effect", 2e4, "", frames) for i, c in enumerate(captions)]
    codes = np.random.default_rng(0).integers(0, 255, (N_LARGE * frames, 128), dtype=np.uint8)
    return LibraryPrior(Library(tuple(exemplars), codes))


def _timed(work: Callable[[], object], n_runs: int) -> list[float]:
    work()
    seconds = []
    for _ in range(n_runs):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return seconds


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
