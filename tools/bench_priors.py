"""The library prior's part of tools/bench.py: run by it, each measurement in a process of its own.

`python tools/bench_priors.py step|large|load` prints one JSON line: seconds of each run and the peak of memory (MB).
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfxgen.priors.library import LibraryPrior

BATCH, SECONDS, N_LARGE = 24, 1.5, 20_000
PROMPTS = ("footsteps", "explosion", "train horn", "glass breaks", "wind", "monster growls", "laser", "door opens")


def main(what: str, n_runs: int) -> None:
    measured = load(n_runs) if what == "load" else step(_large() if what == "large" else _shipped(), n_runs)
    scale = 1.0 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6
    print(json.dumps({**measured, "peak_mb": peak_mb}))


def load(n_runs: int) -> dict[str, list[float]]:
    """Reading the shipped library and the vectors of its captions; imports are not counted."""
    import torch  # noqa: F401

    from sfxgen.library.places import SHIPPED
    from sfxgen.library.store import read_library
    from sfxgen.priors.library import LibraryPrior

    return {"load": _timed(lambda: LibraryPrior(read_library(SHIPPED)), n_runs, warm=False)}


def step(prior: LibraryPrior, n_runs: int) -> dict[str, list[float]]:
    """One denoising step of a batch, as the condition has it and guided, and the same mixture in plain numpy."""
    import numpy as np
    import torch

    condition = prior.condition([PROMPTS[i % len(PROMPTS)] for i in range(BATCH)], SECONDS)
    z = torch.randn(BATCH, *prior.z_shape(SECONDS), generator=torch.Generator().manual_seed(0))
    t = torch.full((BATCH,), 0.5)
    x = condition.encoded["x"].numpy()
    flat = z.reshape(BATCH, x.shape[1], -1).numpy()

    def in_numpy() -> None:  # whole-sound weights without gains: less work than ours
        distance = np.stack([np.square(flat[b][:, None] - x[b]).sum((0, 2)) for b in range(BATCH)])
        weights = np.exp(-0.005 * (distance - distance.min(1, keepdims=True)))
        np.stack([np.tensordot(x[b], weights[b], (1, 0)) for b in range(BATCH)])

    return {
        "conditional": _timed(lambda: prior.denoise(z, t, condition), n_runs),
        "guided": _timed(lambda: prior.denoise(z, t, condition, 2.0), n_runs),
        "numpy": _timed(in_numpy, n_runs),
    }


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


def _timed(work: Callable[[], object], n_runs: int, warm: bool = True) -> list[float]:
    if warm:
        work()
    seconds = []
    for _ in range(n_runs):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return seconds


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
