"""Trains the audio encoder: `python tools/library/encoder.py`, in the project's environment, a few minutes of CPU.

Reads the library that ships and writes sfxgen/priors/data/encoder.npz. The same library and word vectors give the same
file on the same machine. `tools/evaluate/ranking.py` measures what it is worth on packages left out.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from augment import changed
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sfxgen.errors import SfxgenError
from sfxgen.library.places import SHIPPED
from sfxgen.library.store import Exemplar, Library, read_library
from sfxgen.priors.descriptors import describe
from sfxgen.priors.encoder import FILE, WIDEST, Encoder, Weights, write_encoder
from sfxgen.words import embed

RECORDED = ("effect", "percussion", "instrument")
SHARES = {"render": 0.25, "speech": 0.04, "noise": 0.06}  # of what is drawn; recordings are the rest
SAME_NAME_POWER = 0.6  # n sounds of one source and caption count as n^0.4


@dataclass(frozen=True)
class Settings:
    """How to train. n_changed: changed versions of each sound. caption_sharpness: how far a sound counts as an example
    of another caption, by exp(β (cos − 1)). dropped: of inputs and of hidden units. mixed: the beta distribution's
    parameter of mixup (Zhang et al. 2018). decay: AdamW's."""

    seed: int = 0
    n_networks: int = 4
    n_hidden: int = 256
    n_dimensions: int = 64
    n_changed: int = 5
    epochs: int = 80
    batch: int = 128
    rate: float = 1e-3
    decay: float = 0.1
    dropped: tuple[float, float] = (0.2, 0.4)
    noise: float = 0.3
    mixed: float = 0.4
    caption_sharpness: float = 25.0


SETTINGS = Settings()


def described(library: Library, settings: Settings = SETTINGS) -> Tensor:
    """Descriptors of each sound as it is and changed, [1 + n_changed, exemplars, F]."""
    rows = []
    for index in range(len(library.exemplars)):
        rng = np.random.default_rng((settings.seed, index))
        levels = library.levels_db(index)
        versions = [levels, *(changed(levels, rng) for _ in range(settings.n_changed))]
        rows.append(torch.cat([describe(torch.from_numpy(version)[None]) for version in versions]))
    return torch.stack(rows, 1)


def counts(exemplars: Sequence[Exemplar]) -> NDArray[np.float64]:
    """How much each sound counts, [exemplars], summing to 1: many of one name count less each, and renders, speech and
    noises together have their SHARES."""
    names = [(e.source, e.captions[0]) for e in exemplars]
    how_many = Counter(names)
    weight = np.array([how_many[name] ** -SAME_NAME_POWER for name in names])
    uses = np.array([e.use if e.use in SHARES else RECORDED[0] for e in exemplars])
    present = {use: SHARES.get(use, 1.0 - sum(SHARES.values())) for use in np.unique(uses)}
    for use, share in present.items():
        weight[uses == use] *= share / weight[uses == use].sum()
    return np.asarray(weight / weight.sum())


def train(x: Tensor, exemplars: Sequence[Exemplar], settings: Settings = SETTINGS) -> Weights:
    """Fits the networks and the texts' way into their space.

    x: descriptors [versions, N, F]. The loss is the cross-entropy between the captions that a sound would be given,
    softly by the words' similarity, and softmax(s cos(sound, caption) + log p(caption)) over all captions: as the
    captions' frequency is in the softmax, s cos estimates log p(caption | sound) − log p(caption).
    """
    generator = torch.Generator().manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    weight = counts(exemplars)
    likely, captions = _targets(exemplars, settings.caption_sharpness)
    log_prior = torch.log(torch.from_numpy(weight).float() @ likely + 1e-9)
    text_centre = captions.mean(0)
    centred = functional.normalize(captions - text_centre, dim=1)
    weights = _start(x, centred, text_centre, settings, generator)
    learned = {name: getattr(weights, name).requires_grad_() for name in _LEARNED}
    kept = [learned.pop("text"), learned.pop("sharpness")]
    groups: list[dict[str, Any]] = [{"params": list(learned.values())}, {"params": kept, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=settings.rate, weight_decay=settings.decay)
    x = ((x - weights.centre) / weights.spread).clamp(-WIDEST, WIDEST)
    n_steps = settings.epochs * len(exemplars) // settings.batch
    for step in range(n_steps):
        for group in adam.param_groups:
            group["lr"] = settings.rate * 0.5 * (1 + math.cos(math.pi * step / n_steps))
        sounds, wanted = _batch(x, likely, weight, settings, rng, generator)
        found = _forward(weights, sounds, settings, generator)
        texts = functional.normalize(centred @ weights.text, dim=2)
        logits = weights.sharpness * found @ texts.transpose(1, 2) + log_prior
        loss = -(wanted * logits.log_softmax(2)).sum(2).mean(1).sum()
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
    return _with_sounds(weights, x[0], exemplars, weight)


_LEARNED = ("in_", "in_bias", "mid", "mid_bias", "out", "out_bias", "text", "sharpness")


def _targets(exemplars: Sequence[Exemplar], sharpness: float) -> tuple[Tensor, Tensor]:
    """p(caption | sound) [N, captions] over all first captions, and their vectors [captions, T]."""
    asked = embed(list(dict.fromkeys(e.captions[0] for e in exemplars)))
    every = embed([caption for e in exemplars for caption in e.captions])
    ends = np.cumsum([len(e.captions) for e in exemplars])
    best = np.stack([(part @ asked.T).max(0) for part in np.split(every, ends[:-1])])
    return torch.from_numpy(best * sharpness).float().softmax(1), torch.from_numpy(asked)


def _start(x: Tensor, centred: Tensor, text_centre: Tensor, settings: Settings, generator: torch.Generator) -> Weights:
    """Random networks; texts start in the space of their own principal components."""

    def uniform(*shape: int) -> Tensor:
        return (torch.rand(shape, generator=generator) * 2 - 1) / math.sqrt(shape[-2])

    m, n_in, h, d = settings.n_networks, x.shape[2], settings.n_hidden, settings.n_dimensions
    principal = torch.linalg.svd(centred, full_matrices=False).Vh[:d].T
    zeros = torch.zeros
    return Weights(
        centre=x[0].mean(0),
        spread=x[0].std(0) + 1e-6,
        in_=uniform(m, n_in, h),
        in_bias=zeros(m, 1, h),
        mid=uniform(m, h, h),
        mid_bias=zeros(m, 1, h),
        out=uniform(m, h, d),
        out_bias=zeros(m, 1, d),
        text_centre=text_centre,
        text=principal.repeat(m, 1, 1),
        sharpness=torch.tensor(10.0),
        sounds=zeros(0, m * d),
        meanings=zeros(0, centred.shape[1]),
        counts=zeros(0),
    )


def _batch(
    x: Tensor,
    likely: Tensor,
    weight: NDArray[np.float64],
    settings: Settings,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Descriptors [M, batch, F], mixed by pairs, and what captions are wanted [M, batch, captions]; each network has
    sounds of its own."""
    shape = (settings.n_networks, settings.batch)
    items = torch.from_numpy(rng.choice(len(weight), shape, p=weight))
    versions = torch.from_numpy(rng.integers(0, len(x), shape))
    sounds, wanted = x[versions, items], likely[items]
    share = torch.from_numpy(rng.beta(settings.mixed, settings.mixed, (*shape, 1))).float()
    share = torch.maximum(share, 1 - share)
    other = torch.randperm(settings.batch, generator=generator)
    sounds = share * sounds + (1 - share) * sounds[:, other]
    sounds = sounds + settings.noise * torch.randn(sounds.shape, generator=generator)
    return sounds, share * wanted + (1 - share) * wanted[:, other]


def _forward(w: Weights, x: Tensor, settings: Settings, generator: torch.Generator) -> Tensor:
    """Encoder.embed_described with dropout, the networks apart: [M, batch, F] → unit vectors [M, batch, D]."""

    def dropped(values: Tensor, share: float) -> Tensor:
        return values * (torch.rand(values.shape, generator=generator) >= share) / (1 - share)

    at_input, within = settings.dropped
    x = functional.gelu(torch.baddbmm(w.in_bias, dropped(x, at_input), w.in_))
    x = functional.gelu(torch.baddbmm(w.mid_bias, dropped(x, within), w.mid))
    return functional.normalize(torch.baddbmm(w.out_bias, dropped(x, within), w.out), dim=2)


def _with_sounds(weights: Weights, x: Tensor, exemplars: Sequence[Exemplar], weight: NDArray[np.float64]) -> Weights:
    """The finished weights: with the library's own sounds (x: their scaled descriptors) and what they mean."""
    found = {name: getattr(weights, name).detach() for name in weights.__dataclass_fields__}
    bare = Encoder(Weights(**found))
    raw = x * weights.spread + weights.centre
    sums = np.stack([embed(e.captions).mean(0) for e in exemplars])
    meanings = functional.normalize(torch.from_numpy(sums), dim=1)
    final = {**found, "sounds": bare.embed_described(raw), "meanings": meanings}
    return Weights(**{**final, "counts": torch.from_numpy(weight / weight.max()).float()})


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", type=Path, default=SHIPPED, help="the library to learn from")
    parser.add_argument("--out", type=Path, default=FILE, help="the file to write")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # with more, sums come out in another order
    began = time.perf_counter()
    try:
        library = read_library(options.library)
    except SfxgenError as error:
        print(f"encoder.py: {error}", file=sys.stderr)
        return 1
    write_encoder(options.out, train(described(library), library.exemplars))
    size_mb, minutes = options.out.stat().st_size / 1e6, (time.perf_counter() - began) / 60
    print(f"{len(library.exemplars)} sounds; {options.out.name} {size_mb:.1f} MB; {minutes:.1f} minutes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
