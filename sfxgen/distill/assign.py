"""Whose each part of a recording is, by how well the prior takes sums of parts for each source's prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import torch
from torch import Tensor

from sfxgen.distill.optimise import nothing
from sfxgen.priors.contract import Prior

MOST_TRIED = 20_000  # ways to give parts to sources that are all weighed; beyond it one part at a time is moved
AT_ONCE = 32  # sounds held against the prompts in one batch


@torch.no_grad()
def assigned(
    parts: Tensor,
    names: Sequence[tuple[str, ...]],
    prior: Prior,
    certainty: float,
    odds: Tensor | None = None,
) -> Tensor:
    """How much of each part [parts, channels, samples] each source has, [K, parts], summing to 1 over K.

    names: what each source may be called; the name that fits best counts. Every way to give the parts out is weighed by
    how much better its stems fit their own prompts than the others' (`Prior.fit`) and by the odds [K, parts]; the
    shares are the mean over all ways. Where there are too many ways, one part at a time is moved until nothing fits
    better, and the mean is over the ways that are one move from there.
    """
    n_parts, n_sources = len(parts), len(names)
    every = _fits_of_sums(parts, [name for group in names for name in group], prior)
    fits = torch.stack([of_source.amax(1) for of_source in _by_source(every, names)], 1)
    if n_sources**n_parts <= MOST_TRIED:
        ways = torch.tensor(list(product(range(n_sources), repeat=n_parts)))
        if n_parts >= n_sources:
            ways = ways[[len(set(way)) == n_sources for way in ways.tolist()]]
    else:
        ways = _neighbours(_climbed(fits, n_parts, n_sources), n_sources)
    evidence = _evidence(ways, fits)
    score = certainty * (evidence - evidence.mean()) / evidence.std().clamp_min(1e-12)
    if odds is not None:
        score = score + odds.double()[ways, torch.arange(n_parts)].sum(1)
    weights = torch.softmax(score, 0)
    return torch.stack([(weights[:, None] * (ways == k)).sum(0) for k in range(n_sources)]).float()


@torch.no_grad()
def best_names(
    stems: Tensor, names: Sequence[tuple[str, ...]], prior: Prior, warn: Callable[[str], None] = nothing
) -> list[str]:
    """Which of its names fits each of the stems [K, channels, samples] best. warn: told where another source's fits
    better."""
    every = prior.fit(stems.to(prior.device, prior.dtype), [name for group in names for name in group])
    every = torch.nan_to_num(every.double().cpu(), nan=-torch.inf)
    of_source = _by_source(every, names)
    best = [int(fits[k].argmax()) for k, fits in enumerate(of_source)]
    prompts = [group[place] for group, place in zip(names, best, strict=True)]
    _say_what_is_mixed_up(torch.stack([fits.amax(1) for fits in of_source], 1), prompts, warn)
    return prompts


def _by_source(fits: Tensor, names: Sequence[tuple[str, ...]]) -> tuple[Tensor, ...]:
    """The columns of each source's names."""
    return torch.split(fits, [len(group) for group in names], 1)


def _sums(way: Tensor, n_sources: int) -> Tensor:
    """The row of `_fits_of_sums` of each source's stem, [K]; of ways [ways, parts], [ways, K]."""
    powers = 2 ** torch.arange(way.shape[-1])
    return torch.stack([((way == k) * powers).sum(-1) for k in range(n_sources)], -1)


def _fits_of_sums(parts: Tensor, prompts: Sequence[str], prior: Prior) -> Tensor:
    """How well every sum of parts fits every prompt, [2^parts, K], float64; row number = Σ 2^part. Row 0 is silence."""
    n = len(parts)
    chosen = torch.tensor([[bool(number >> part & 1) for part in range(n)] for number in range(1, 2**n)])
    rows = [torch.zeros(1, len(prompts), dtype=torch.float64)]
    for start in range(0, len(chosen), AT_ONCE):
        batch = chosen[start : start + AT_ONCE]
        sums = torch.einsum("sp,pcn->scn", batch.to(parts), parts).to(prior.device, prior.dtype)
        rows.append(prior.fit(sums, prompts).double().cpu())
    fits = torch.cat(rows)
    return torch.nan_to_num(fits, nan=float(torch.nan_to_num(fits[1:], nan=0.0).min()))


def _evidence(ways: Tensor, fits: Tensor) -> Tensor:
    """Of each way [ways, parts]: Σ_k of fit(stem k, prompt k) − the mean of the other prompts' fits to it, [ways]."""
    n_sources = fits.shape[1]
    rows = _sums(ways, n_sources)
    own = fits[rows, torch.arange(n_sources)]
    others = (fits[rows].sum(2) - own) / (n_sources - 1)
    nothing_there = fits[1:].min() - fits[1:].max()  # a stem without any part fits worse than all
    return torch.where(rows > 0, own - others, nothing_there).sum(1)


def _climbed(fits: Tensor, n_parts: int, n_prompts: int) -> Tensor:
    """The best way [parts] that moving one part at a time leads to, from each part with its own best prompt."""
    singles = fits[2 ** torch.arange(n_parts)]
    way = (singles - singles.mean(0)).argmax(1)
    while True:
        near = _neighbours(way, n_prompts)
        best = near[int(_evidence(near, fits).argmax())]
        if bool((best == way).all()):
            return way
        way = best


def _neighbours(way: Tensor, n_prompts: int) -> Tensor:
    """The way itself and all that differ from it in one part, [1 + parts · (K − 1), parts]."""
    rows = [way]
    for part in range(len(way)):
        for k in range(n_prompts):
            if k != int(way[part]):
                moved = way.clone()
                moved[part] = k
                rows.append(moved)
    return torch.stack(rows)


def _say_what_is_mixed_up(fits: Tensor, prompts: Sequence[str], warn: Callable[[str], None]) -> None:
    """fits: of each stem to each prompt, [K, K]."""
    for prompt, of_stem in zip(prompts, fits, strict=True):
        best = prompts[int(of_stem.argmax())]
        if best != prompt:
            warn(
                f"what comes nearest to '{prompt}' in the recording is more like '{best}': the prior may not know that "
                "sound, or it is not there; try other words"
            )
