"""How wide the library prior's kernel should be, and for how much its cells count: `python tools/evaluate/kernel.py`.

Widths by leave-one-out likelihood: recordings whose whole package is left out, under the mixture of the exemplars that
their own caption chooses, blocks apart (then it is a proper density). Tempering by the participation ratio of what the
nearest exemplar leaves unexplained, (tr C)² / tr C², over the neighbourhood that evidence is gathered from: how many
numbers that neighbourhood really holds, as a part of its cells.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch

from sfxgen.library.places import SHIPPED
from sfxgen.library.search import Captions, nearest
from sfxgen.library.store import read_library
from sfxgen.priors.library import KERNEL, LibraryPrior
from sfxgen.priors.mixture import BLOCK_BANDS, BLOCK_FRAMES, Components, from_blocks, posterior

N_RECORDINGS, N_CANDIDATES, FRAMES = 200, 16, 64
RESIDUALS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
GAINS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 1.0)
APART = 1e-3  # frames and bands: every block for itself


def main() -> None:
    torch.set_num_threads(2)
    z, components, sounding = left_out()
    print(f"log likelihood a cell (nats) of {len(z)} recordings, their packages left out; σ_g across, σ_k down")
    print("      " + "".join(f"{gain:8.2f}" for gain in GAINS))
    for residual in RESIDUALS:
        row = [log_likelihood(z, components, sounding, residual, gain) for gain in GAINS]
        print(f"{residual:6.2f}" + "".join(f"{value:8.3f}" for value in row))
    print()
    for frames, bands in ((8, 8), (16, 32), (32, 64), (32, 128), (64, 128)):
        ratio = participation(z, components, sounding, frames, bands)
        print(f"{frames:3d} x {bands:3d} cells hold {ratio:5.1f} numbers: each counts for {ratio / frames / bands:.4f}")
    print(f"\nin use: {KERNEL}")


def left_out() -> tuple[torch.Tensor, Components, torch.Tensor]:
    """Recordings as blocks, what their captions choose elsewhere, and how much sounds in each block."""
    library = read_library(SHIPPED)
    prior = LibraryPrior(library)
    captions = Captions.of(library)
    sources = np.array([exemplar.source for exemplar in library.exemplars])
    recorded = [i for i, exemplar in enumerate(library.exemplars) if exemplar.use == "effect"]
    picked = np.random.default_rng(0).permutation(recorded)[:N_RECORDINGS]
    similarity = captions.similarity([library.exemplars[i].captions[0] for i in picked])
    similarity[sources[picked][:, None] == sources] = -1.0
    chosen = nearest(similarity, N_CANDIDATES)
    seconds = FRAMES * 512 / 44_100 - 0.01
    x, active = prior.lay_out(chosen, seconds, ((0, 0),))
    own, own_active = prior.lay_out(picked[:, None], seconds, ((0, 0),))
    grid = (FRAMES // BLOCK_FRAMES, 128 // BLOCK_BANDS)
    log_prior = torch.full(chosen.shape, -math.log(N_CANDIDATES))
    components = Components.of(x, active, log_prior, torch.from_numpy(chosen), grid)
    return own[:, :, 0], components, own_active[:, :, 0]


def log_likelihood(
    z: torch.Tensor, components: Components, sounding: torch.Tensor, residual: float, gain: float
) -> float:
    """Mean over the blocks that sound, in nats a cell."""
    kernel = replace(KERNEL, residual=residual, gain=gain, frames=APART, bands=APART, temper=1.0)
    one = torch.ones(len(z), 1, 1)
    found = posterior(z, one, 0.0 * one, components, kernel)
    n_cells = z.shape[-1]
    of_blocks = found.block_evidence - 0.5 * n_cells * math.log(2.0 * math.pi * residual**2)
    heard = (sounding > 0.3).float()
    return float((of_blocks * heard).sum() / (heard.sum() * n_cells))


def participation(z: torch.Tensor, components: Components, sounding: torch.Tensor, frames: int, bands: int) -> float:
    """Of what the best exemplar, at its best local gain, leaves of patches this large; unbiased for few patches."""
    one = torch.ones(len(z), 1, 1)
    found = posterior(z, one, 0.0 * one, components, KERNEL)
    best = found.log_weights.mean(1).argmax(1)
    rows = torch.arange(len(z))
    x, gain = components.x[rows, :, best], (found.gain * components.active)[rows, :, best]
    rest = from_blocks(z - x - gain[..., None], components.grid)
    heard = from_blocks(sounding[..., None].expand(z.shape), components.grid)
    patches, weights = (
        v.unfold(1, frames, frames // 2).unfold(2, bands, bands // 2).reshape(-1, frames * bands) for v in (rest, heard)
    )
    patches = patches[weights.mean(1) > 0.5].double()
    n = len(patches)
    powers = patches.square().sum(1)
    of_pairs = (patches.T @ patches).square().sum() - powers.square().sum()  # Σ (r_i · r_j)² over i ≠ j
    return float(powers.mean().square() / (of_pairs / (n * (n - 1))))


if __name__ == "__main__":
    main()
