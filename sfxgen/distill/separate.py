"""A recording taken apart by prompts: what fits each prompt best, then score distillation of each source under its own.

The recording is first cut, in several ways, into parts that come and go together. Which part belongs to which source is
weighed by how well the prior takes the sums of parts for the prompts; the mean over the cuts is where the sources
start. From there each follows its own prompt by Audio-SDS, held together by the recording (Richter-Powell et al. 2025,
section 4.3):
Σ_m ‖S_m(mix) − S_m(Σ_k x_k)‖² + γ Σ_k SDS(x_k; p_k).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sfxgen.distill.assign import assigned, best_names
from sfxgen.distill.cuts import Cut, Cutter, by_courses
from sfxgen.distill.losses import emphasis
from sfxgen.distill.optimise import ADAM_BETAS, ADAM_EPS, nothing
from sfxgen.distill.sharing import Shares, fft_samples_for, spectrum, waveform
from sfxgen.distill.sources import LatentSources, PartSources, Sources
from sfxgen.distill.targets import Asked, denoised
from sfxgen.errors import BadInput, SfxgenError
from sfxgen.priors.contract import Prior

SILENT = 1e-4  # peak: a window below it is silence (−80 dB of full scale)
LONGEST_WINDOW_S, OVERLAP_S = 10.0, 1.0  # beyond 10 s sounds repeat themselves, and memory grows


@dataclass(frozen=True)
class Settings:
    """How to take apart.

    certainty: how strongly evidence counts, in standard deviations of it over all ways to give out the parts. n_steps,
    rate: of Adam; 0 steps leave the sources where evidence puts them, None is the prior's usual number. gamma: γ.
    guidance, t_first, t_last, n_denoising: as in `optimise.Settings`. against: see `against_others`.
    """

    certainty: float = 3.0
    n_steps: int | None = None
    rate: float = 0.05
    gamma: float = 0.02
    guidance: float = 1.0
    t_first: tuple[float, float] = (0.5, 0.7)
    t_last: tuple[float, float] = (0.1, 0.3)
    n_denoising: int = 2
    against: bool = False


def separate(
    audio: Tensor,
    prompts: Sequence[str | Sequence[str]],
    prior: Prior,
    seed: int,
    settings: Settings | None = None,
    warn: Callable[[str], None] = nothing,
    cut: Cutter = by_courses,
) -> Shares:
    """Whose each place of a recording [channels, samples] at the prior's rate and channels is; any length.

    prompts: one a source, or several that it may be called by. A recording longer than the prior's window is taken
    apart in overlapping windows, whose shares pass linearly into one another. Silence is shared equally. warn: told
    where a source gives no number, and where another prompt fits a stem better than its own. Raises BadInput for
    prompts that the prior cannot follow, fewer than two, or one twice.
    """
    settings = settings or Settings()
    names = [(prompt,) if isinstance(prompt, str) else tuple(prompt) for prompt in prompts]
    _check([name for group in names for name in group], len(names))
    windows = list(windows_of(audio.shape[-1], prior))
    # at once, so that a prompt that cannot be followed is said before anything is computed
    for length in {end - start for start, end in windows}:
        prior.condition([name for group in names for name in group], length / prior.rate_hz)
    whole: Tensor | None = None
    weights: Tensor | None = None
    hop = fft_samples_for(prior.rate_hz) // 4
    n_frames = audio.shape[-1] // hop + 1
    for number, (start, end) in enumerate(windows):
        values = _window_shares(audio[:, start:end], names, prior, seed + number, settings, warn, cut).values
        if whole is None or weights is None:
            whole = torch.zeros(*values.shape[:2], n_frames)
            weights = torch.zeros(n_frames)
        at = start // hop
        n = min(values.shape[2], n_frames - at)
        ramp = _ramp(n, start > 0, end < audio.shape[-1], hop, prior.rate_hz)
        whole[:, :, at : at + n] += values[:, :, :n].cpu().float() * ramp
        weights[at : at + n] += ramp
    if whole is None or weights is None:
        raise ValueError("there are no samples to take apart")
    return Shares(whole / weights, prior.rate_hz / hop / 4, hop / prior.rate_hz)


def windows_of(n_samples: int, prior: Prior) -> Iterator[tuple[int, int]]:
    """Windows that the prior can take, [start, end) in samples: even, overlapping, beginning at whole frames."""
    hop = fft_samples_for(prior.rate_hz) // 4
    longest = min(int(prior.window_s * prior.rate_hz), round(LONGEST_WINDOW_S * prior.rate_hz))
    if n_samples <= longest:
        if n_samples:
            yield 0, n_samples
        return
    overlap = min(round(OVERLAP_S * prior.rate_hz), longest // 4)
    count = math.ceil((n_samples - overlap) / (longest - overlap - hop))
    for number in range(count):
        start = (n_samples - longest) * number // (count - 1) // hop * hop
        yield start, n_samples if number == count - 1 else start + longest


def _ramp(n: int, fades_in: bool, fades_out: bool, hop: int, rate_hz: int) -> Tensor:
    """What each frame of a window counts for: less towards an end where another window goes on."""
    width = max(1.0, OVERLAP_S * rate_hz / hop)
    place = torch.arange(n) + 1.0
    ramp = torch.ones(n)
    if fades_in:
        ramp = torch.minimum(ramp, place / width)
    if fades_out:
        ramp = torch.minimum(ramp, place.flip(0) / width)
    return ramp


def _check(prompts: Sequence[str], n_sources: int) -> None:
    if n_sources < 2:
        raise BadInput(f"separation needs two prompts or more, got {n_sources}; one stem is the recording itself")
    twice = next((prompt for number, prompt in enumerate(prompts) if prompt in prompts[:number]), None)
    if twice is not None:
        raise BadInput(f"two stems have the same prompt '{twice}'; say how they differ")


def _window_shares(
    audio: Tensor,
    names: Sequence[tuple[str, ...]],
    prior: Prior,
    seed: int,
    settings: Settings,
    warn: Callable[[str], None],
    cut: Cutter,
) -> Shares:
    found = spectrum(audio.float().cpu(), prior.rate_hz)
    n_fft = fft_samples_for(prior.rate_hz)
    if float(audio.abs().max()) < SILENT:
        equal = torch.full((len(names), *found.shape[1:]), 1.0 / len(names))
        return Shares(equal, prior.rate_hz / n_fft, n_fft / 4 / prior.rate_hz)
    cuts = cut(found, len(names), seed)
    whose = torch.cat([_whose(one, found, audio.shape[-1], names, prior, settings.certainty) for one in cuts], 1)
    parts = torch.cat([one.shares for one in cuts]) / len(cuts)
    start = PartSources(found, parts, whose, prior.rate_hz, audio.shape[-1])
    stems = waveform(start.values(whose)[:, None] * found, prior.rate_hz, audio.shape[-1])
    prompts = best_names(stems, names, prior, warn)
    n_steps = settings.n_steps if settings.n_steps is not None else usual_steps(prior)
    if not n_steps:
        return Shares(start.values(whose), prior.rate_hz / n_fft, n_fft / 4 / prior.rate_hz)
    sources: Sources = start
    if not prior.levels:
        with torch.no_grad():
            first = start.stems().to(prior.device, prior.dtype)
        sources = LatentSources(prior, first, [seed + number for number in range(len(names))])
    walk = replace(settings, n_steps=n_steps)
    follow(sources, audio.to(prior.device, prior.dtype), prompts, prior, seed, walk, warn)
    shares = sources.shares()
    if not torch.isfinite(shares.values).all():
        warn("a source came out as no number; the stems stay where the parts of the recording put them")
        return start.shares()
    return shares


def _whose(
    cut: Cut, found: Tensor, n_samples: int, names: Sequence[tuple[str, ...]], prior: Prior, certainty: float
) -> Tensor:
    parts = waveform(cut.shares[:, None] * found, prior.rate_hz, n_samples)
    return assigned(parts, names, prior, certainty, cut.odds)


def usual_steps(prior: Prior) -> int:
    """Steps of score distillation where nobody says: none in a prior of levels, whose fit alone puts the parts
    where they belong: steps after it made stems no better (tools/evaluate/separation.py --steps)."""
    return 0 if prior.levels else 30


def follow(
    sources: Sources,
    mixture: Tensor,
    prompts: Sequence[str],
    prior: Prior,
    seed: int,
    settings: Settings,
    warn: Callable[[str], None] = nothing,
) -> None:
    """Moves the sources' parameters: Adam on the loss at the head of this module.

    mixture: [channels, samples] as the prior takes it. A source that gives no number is left where it is and named.
    Raises SfxgenError where none gives one.
    """
    condition = prior.condition(prompts, mixture.shape[-1] / prior.rate_hz)
    asked = Asked(prior, condition, settings.guidance, settings.n_denoising)
    wanted_mix = [map_.detach() for map_ in prior.features(mixture[None])]
    optimiser = torch.optim.Adam([sources.parameters], settings.rate, ADAM_BETAS, ADAM_EPS)
    lost: set[str] = set()
    n_steps = settings.n_steps or 0
    for number in range(n_steps):
        generators = [torch.Generator().manual_seed(seed + 7919 * number + 104_729 * k) for k in range(len(prompts))]
        stems = sources.stems().to(prior.dtype)
        loss = settings.gamma * _own_prompts(stems, asked, settings, number / max(1, n_steps - 1), generators)
        if not sources.adds_up:
            loss = loss + emphasis(prior.features(stems.sum(0, keepdim=True)), wanted_mix, 1) / len(prompts)
        (gradient,) = torch.autograd.grad(loss.sum(), sources.parameters)
        sound = torch.isfinite(gradient.flatten(1)).all(1) & torch.isfinite(loss.detach().to(gradient.device))
        if not sound.any():
            raise SfxgenError("separation found no finite gradient: the prior or the recording gives NaN")
        lost.update(prompt for prompt, fine in zip(prompts, sound.tolist(), strict=True) if not fine)
        sources.parameters.grad = torch.where(
            sound.reshape(-1, *(1,) * (gradient.dim() - 1)), gradient, torch.zeros_like(gradient)
        )
        optimiser.step()
    for prompt in sorted(lost):
        warn(f"the source '{prompt}' gave NaN in score distillation: its part of those steps was left out")


def _own_prompts(
    stems: Tensor, asked: Asked, settings: Settings, progress: float, generators: Sequence[torch.Generator]
) -> Tensor:
    """Decoder-SDS of each source under its own prompt (eq. 5 and 7), [K]."""
    prior = asked.prior
    low, high = (a + (b - a) * progress for a, b in zip(settings.t_first, settings.t_last, strict=True))
    with torch.no_grad():
        z0 = prior.encode(stems.detach())
        t = torch.cat([torch.rand(1, generator=g) for g in generators]) * (high - low) + low
        eps = torch.stack([torch.randn(z0.shape[1:], generator=g) for g in generators]).to(z0)
        aim = against_others if settings.against else denoised
        wanted = prior.features_of(aim(z0, t.to(z0.device), eps, asked), generators)
    return emphasis(prior.features(stems), wanted, len(stems))


@torch.no_grad()
def against_others(z0: Tensor, t: Tensor, eps: Tensor, asked: Asked) -> Tensor:
    """Classifier score distillation (Yu et al. 2023, eq. 8) with the other sources' prompts as what a source is not:
    ε̂(z_t; p_k) − mean of ε̂(z_t; p_j), here in x̂. A batch item a source."""
    z = asked.noised(z0, t, eps)
    n = len(z0)
    own = asked.x0(z, t)
    others = torch.zeros_like(own)
    for by in range(1, n):
        turned = [(k + by) % n for k in range(n)]
        condition = asked.prior.condition([asked.condition.prompts[k] for k in turned], asked.condition.seconds)
        others = others + asked.prior.denoise(z, t, condition, asked.guidance) / (n - 1)
    return z0 + own - others
