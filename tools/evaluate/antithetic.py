"""Does antithetic noise lower the variance of a step's gradient? `python tools/evaluate/antithetic.py [--seeds 16]`.

Score distillation with the library prior: FM and texture starts, several prompts, early and late times. The gradient of
one step, drawn again with other t and ε while sound and θ stay: its variance over its mean's square, for one pair, two
that are drawn apart, and two that mirror one another (t in its range, ε at 0). A step costs by its pairs, so two must
halve the variance of one to be worth as much. Rows of one time show ε alone. Intervals: 95 %, bootstrapped over the
cases (prompt × start).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from sfxgen.distill.optimise import Renderer, Run, Settings, Start, Step, Walk, distil
from sfxgen.generate import tunable_fm, tunable_texture
from sfxgen.generate.tunable_fm import FmRenderer
from sfxgen.generate.tunable_texture import TextureRenderer
from sfxgen.library.places import SHIPPED
from sfxgen.library.store import read_library
from sfxgen.priors.library import LibraryPrior

PROMPTS = ("laser", "explosion", "wind howling", "door slam", "coin pickup", "rain")
TIMES = {"0.7 to 0.9": (0.7, 0.9), "0.15 to 0.35": (0.15, 0.35), "0.8": (0.8, 0.8), "0.25": (0.25, 0.25)}
WAYS = {
    "one": Settings(n_pairs=1),
    "two apart": Settings(n_pairs=2, antithetic=False),
    "two antithetic": Settings(n_pairs=2),
}
SECONDS, N_BOOTSTRAPS = 0.5, 2000


class Still:
    """A renderer whose own noise never changes: what varies is t and ε alone."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer, self.low, self.high = renderer, renderer.low, renderer.high

    def __call__(self, theta: torch.Tensor, seed: int) -> torch.Tensor:
        del seed
        return self.renderer(theta, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=16, help="draws of each gradient")
    n_seeds = parser.parse_args().seeds
    torch.set_num_threads(1)
    prior = LibraryPrior(read_library(SHIPPED))
    cases = [(prompt, renderer) for i, prompt in enumerate(PROMPTS) for renderer in renderers(i, prior.rate_hz)]
    print(f"variance of a step's gradient over its mean's square; {len(cases)} cases, {n_seeds} draws each")
    print(f"{'t':12s}" + "".join(f"{name:>26s}" for name in WAYS) + f"{'antithetic / apart':>26s}")
    measured = {}
    for name, times in TIMES.items():
        of_ways = np.array(
            [
                [spread(prior, *case, times, way, range(n_seeds * i, n_seeds * (i + 1))) for way in WAYS.values()]
                for i, case in enumerate(cases)
            ]
        )  # [cases, ways]
        ratio = of_ways[:, 2] / of_ways[:, 1]
        columns = [*of_ways.T, ratio]
        measured[name] = [interval(column) for column in columns]
        print(f"{name:12s}" + "".join(f"{m:10.3f} ({low:.3f}–{high:.3f})".rjust(26) for m, low, high in measured[name]))
    print(json.dumps(measured))


def renderers(seed: int, rate_hz: int) -> list[Renderer]:
    """One random start of each kind."""
    rng = np.random.Generator(np.random.PCG64(seed))
    fm, texture = tunable_fm.drawn(rng), tunable_texture.drawn(rng)
    return [Still(FmRenderer(fm, SECONDS, rate_hz)), Still(TextureRenderer(texture, SECONDS, rate_hz))]


def spread(
    prior: LibraryPrior,
    prompt: str,
    renderer: Renderer,
    times: tuple[float, float],
    way: Settings,
    seeds: Sequence[int],
) -> float:
    """tr Cov(g) / ‖E g‖² of the first step's gradient; the mean's own error is taken out of the denominator."""
    settings = Settings(n_steps=1, t_first=times, n_pairs=way.n_pairs, antithetic=way.antithetic)
    seen: list[torch.Tensor] = []

    def look(step: Step, walk: Walk) -> None:
        del step
        seen.append(walk.first_moment / 0.1)  # of Adam: a tenth of the first gradient

    starts = [Start(renderer, prompt, seed) for seed in seeds]
    condition = prior.repeated(prior.condition([prompt], SECONDS), len(seeds))
    distil(starts, prior, condition, settings, Run(on_step=look))
    gradients = seen[0].numpy()
    variance = float(gradients.var(0, ddof=1).sum())
    square = float(np.square(gradients.mean(0)).sum()) - variance / len(seeds)
    return variance / max(square, 1e-3 * variance)


def interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Geometric mean and its 95 % interval: ratios spread by factors."""
    logs = np.log(values)
    rng = np.random.Generator(np.random.PCG64(0))
    means = logs[rng.integers(0, len(logs), (N_BOOTSTRAPS, len(logs)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(np.exp(logs.mean())), float(np.exp(low)), float(np.exp(high))


if __name__ == "__main__":
    main()
