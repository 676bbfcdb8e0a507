"""A recording taken apart by prompts: what fits each prompt best, then score distillation of every source under its own.

The recording is first cut into parts that come and go together. Which part belongs to which source is weighed by how
well the prior takes the sums of parts for the prompts; this is where the sources start. From there each follows its own
prompt by Audio-SDS, held together by the recording (Richter-Powell et al. 2025, section 4.3):
Σ_m ‖S_m(mix) − S_m(Σ_k x_k)‖² + γ Σ_k SDS(x_k; p_k).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import torch
from torch import Tensor

from sfxgen.distill.components import components
from sfxgen.distill.losses import emphasis
from sfxgen.distill.optimise import ADAM_BETAS, ADAM_EPS, nothing
from sfxgen.distill.sharing import Shares, fft_samples_for, spectrum, waveform, wiener
from sfxgen.distill.targets import Asked, denoised
from sfxgen.errors import BadInput, SfxgenError
from sfxgen.priors.contract import Prior

SILENT = 1e-4  # peak: a window below it is silence (−80 dB of full scale)
LONGEST_WINDOW_S, OVERLAP_S = 10.0, 1.0  # beyond 10 s sounds repeat themselves, and memory grows
MOST_TRIED = 20_000  # ways to give parts to sources that are all weighed; beyond it one part at a time is moved
AT_ONCE = 32  # sounds held against the prompts in one batch
LEAST_SHARE = 1e-3


@dataclass(frozen=True)
class Settings:
    """How to take apart.

    n_parts: parts of each window, 0: by the number of prompts. certainty: how strongly evidence counts, in standard
    deviations of it over all ways to give out the parts. n_steps, rate: of Adam; 0 steps leave the sources where
    evidence puts them. gamma: γ. guidance, t_first, t_last, n_denoising: as in `optimise.Settings`.
    """

    n_parts: int = 0
    certainty: float = 2.0
    n_steps: int = 30
    rate: float = 0.05
    gamma: float = 0.02
    guidance: float = 1.0
    t_first: tuple[float, float] = (0.5, 0.7)
    t_last: tuple[float, float] = (0.1, 0.3)
    n_denoising: int = 2
    against: bool = False


class Sources(Protocol):
    """K sources in terms of what distillation moves."""

    parameters: Tensor  # a leaf
    adds_up: bool  # whether the sources are the recording whatever the parameters are

    def stems(self) -> Tensor:
        """[K, channels, samples] at the prior's rate. Differentiable."""

    def shares(self) -> Shares: ...


class PartSources:
    """Sources made of the recording's parts: θ are logits of whose each part is, [K, parts]."""

    adds_up = True

    def __init__(self, found: Tensor, parts: Tensor, whose: Tensor, rate_hz: int, n_samples: int) -> None:
        """found: STFT [channels, bins, frames]. parts: shares [parts, bins, frames]. whose: [K, parts], sums 1 over K."""
        self._found, self._parts, self._rate_hz, self._n_samples = found, parts.to(found.real), rate_hz, n_samples
        self.parameters = torch.log(whose.clamp_min(LEAST_SHARE)).to(found.real).requires_grad_()

    def _values(self) -> Tensor:
        return torch.einsum("kp,pbf->kbf", self.parameters.softmax(0), self._parts)

    def stems(self) -> Tensor:
        return waveform(self._values()[:, None] * self._found, self._rate_hz, self._n_samples)

    def shares(self) -> Shares:
        n_fft = fft_samples_for(self._rate_hz)
        return Shares(self._values().detach(), self._rate_hz / n_fft, n_fft / 4 / self._rate_hz)


class LatentSources:
    """One latent a source, x_k = dec(h_k), as in the paper; for priors that diffuse latents. h: [K, …]."""

    adds_up = False

    def __init__(self, prior: Prior, start: Tensor, seeds: Sequence[int]) -> None:
        """start: the stems to begin at [K, channels, samples]."""
        self._prior, self._seeds, self._n_samples = prior, tuple(seeds), start.shape[-1]
        with torch.no_grad():
            self.parameters = prior.encode(start).detach().clone().requires_grad_()

    def stems(self) -> Tensor:
        generators = [torch.Generator().manual_seed(seed) for seed in self._seeds]
        audio = self._prior.decode(self.parameters, generators)[..., : self._n_samples]
        return torch.nn.functional.pad(audio, (0, self._n_samples - audio.shape[-1]))

    def shares(self) -> Shares:
        with torch.no_grad():
            return wiener(self.stems().cpu().float(), self._prior.rate_hz)


def separate(
    audio: Tensor,
    prompts: Sequence[str],
    prior: Prior,
    seed: int,
    settings: Settings | None = None,
    warn: Callable[[str], None] = nothing,
    cancelled: Callable[[], bool] = lambda: False,
) -> Shares:
    """Whose each place of a recording [channels, samples] at the prior's rate and channels is; any length.

    A recording longer than the prior's window is taken apart in overlapping windows, whose shares pass linearly into one
    another. Silence is shared equally. warn: told where a source gives no number, and where another prompt fits a stem
    better than its own. Raises BadInput for prompts that the prior cannot follow, fewer than two, or one twice.
    """
    settings = settings or Settings()
    _check(prompts)
    windows = list(windows_of(audio.shape[-1], prior))
    # at once, so that a prompt that cannot be followed is said before anything is computed
    lengths = {end - start for start, end in windows}
    for length in lengths:
        prior.condition(prompts, length / prior.rate_hz)
    whole: Tensor | None = None
    weights: Tensor | None = None
    hop = fft_samples_for(prior.rate_hz) // 4
    n_frames = audio.shape[-1] // hop + 1
    for number, (start, end) in enumerate(windows):
        if cancelled():
            raise SfxgenError("separation was cancelled")
        piece = audio[:, start:end]
        values = _window_shares(piece, prompts, prior, seed + number, settings, warn).values
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


def _check(prompts: Sequence[str]) -> None:
    if len(prompts) < 2:
        raise BadInput(f"separation needs two prompts or more, got {len(prompts)}; one stem is the recording itself")
    twice = next((prompt for number, prompt in enumerate(prompts) if prompt in prompts[:number]), None)
    if twice is not None:
        raise BadInput(f"two stems have the same prompt '{twice}'; say how they differ")


def _window_shares(
    audio: Tensor, prompts: Sequence[str], prior: Prior, seed: int, settings: Settings, warn: Callable[[str], None]
) -> Shares:
    found = spectrum(audio.float().cpu(), prior.rate_hz)
    n_fft = fft_samples_for(prior.rate_hz)
    if float(audio.abs().max()) < SILENT:
        equal = torch.full((len(prompts), *found.shape[1:]), 1.0 / len(prompts))
        return Shares(equal, prior.rate_hz / n_fft, n_fft / 4 / prior.rate_hz)
    n_parts = settings.n_parts or n_parts_for(len(prompts))
    parts = components(found.abs().mean(0), n_parts, seed)
    stems_of_parts = waveform(parts[:, None] * found, prior.rate_hz, audio.shape[-1])
    whose = assigned(stems_of_parts, prompts, prior, settings.certainty, warn)
    start = PartSources(found, parts, whose, prior.rate_hz, audio.shape[-1])
    if not settings.n_steps:
        return start.shares()
    sources: Sources = start
    if not prior.levels:
        with torch.no_grad():
            first = start.stems().to(prior.device, prior.dtype)
        sources = LatentSources(prior, first, [seed + number for number in range(len(prompts))])
    follow(sources, audio.to(prior.device, prior.dtype), prompts, prior, seed, settings, warn)
    shares = sources.shares()
    if not torch.isfinite(shares.values).all():
        warn("a source came out as no number; the stems stay where the parts of the recording put them")
        return start.shares()
    return shares


def n_parts_for(n_prompts: int) -> int:
    """How many parts a window is cut into: few, so that each says enough of what it is."""
    return min(8, n_prompts + 2)


@torch.no_grad()
def assigned(
    parts: Tensor, prompts: Sequence[str], prior: Prior, certainty: float, warn: Callable[[str], None] = nothing
) -> Tensor:
    """How much of each part [parts, channels, samples] each prompt's source has, [K, parts], summing to 1 over K.

    Every way to give the parts out is weighed by how much better its stems fit their own prompts than the others'
    (`Prior.fit`), and the shares are the mean over all ways. Where there are too many ways, one part at a time is moved
    until nothing fits better, and the mean is over the ways that are one move from there.
    """
    n_parts, n_prompts = len(parts), len(prompts)
    fits = _fits_of_sums(parts, prompts, prior)
    if n_prompts**n_parts <= MOST_TRIED:
        ways = torch.tensor(list(product(range(n_prompts), repeat=n_parts)))
        ways = ways[[len(set(way)) == n_prompts for way in ways.tolist()]] if n_parts >= n_prompts else ways
    else:
        ways = _neighbours(_climbed(fits, n_parts, n_prompts), n_prompts)
    evidence = _evidence(ways, fits)
    spread = evidence.std().clamp_min(1e-12)
    weights = torch.softmax(certainty * (evidence - evidence.mean()) / spread, 0)
    whose = torch.stack([(weights[:, None] * (ways == k)).sum(0) for k in range(n_prompts)])
    _say_what_is_mixed_up(ways[int(evidence.argmax())], fits, prompts, warn)
    return whose.float()


def _fits_of_sums(parts: Tensor, prompts: Sequence[str], prior: Prior) -> Tensor:
    """How well every sum of parts fits every prompt, [2^parts, K], float64; row number = Σ 2^part. Row 0 is silence."""
    n = len(parts)
    chosen = torch.tensor([[bool(number >> part & 1) for part in range(n)] for number in range(1, 2**n)])
    rows = [torch.zeros(1, len(prompts), dtype=torch.float64)]
    for batch in chosen.split(AT_ONCE):
        sums = torch.einsum("sp,pcn->scn", batch.to(parts), parts).to(prior.device, prior.dtype)
        rows.append(prior.fit(sums, prompts).double().cpu())
    fits = torch.cat(rows)
    return torch.nan_to_num(fits, nan=float(torch.nan_to_num(fits[1:], nan=0.0).min()))


def _evidence(ways: Tensor, fits: Tensor) -> Tensor:
    """Of each way [ways, parts]: Σ_k of fit(stem k, prompt k) − the mean of the other prompts' fits to it, [ways]."""
    n_prompts = fits.shape[1]
    total = torch.zeros(len(ways), dtype=torch.float64)
    powers = 2 ** torch.arange(ways.shape[1])
    for k in range(n_prompts):
        rows = ((ways == k) * powers).sum(1)
        of_stem = fits[rows]
        others = (of_stem.sum(1) - of_stem[:, k]) / (n_prompts - 1)
        total += torch.where(rows > 0, of_stem[:, k] - others, fits[1:].min() - fits[1:].max())
    return total


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


def _say_what_is_mixed_up(way: Tensor, fits: Tensor, prompts: Sequence[str], warn: Callable[[str], None]) -> None:
    powers = 2 ** torch.arange(len(way))
    for k, prompt in enumerate(prompts):
        of_stem = fits[int(((way == k) * powers).sum())]
        best = int(of_stem.argmax())
        if best != k:
            warn(
                f"what comes nearest to '{prompt}' in the recording is more like '{prompts[best]}': "
                "the prior may not know that sound, or it is not there; try other words"
            )


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
    for number in range(settings.n_steps):
        generators = [torch.Generator().manual_seed(seed + 7919 * number + 104_729 * k) for k in range(len(prompts))]
        stems = sources.stems().to(prior.dtype)
        loss = settings.gamma * _own_prompts(stems, asked, settings, number, generators)
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
    stems: Tensor, asked: Asked, settings: Settings, number: int, generators: Sequence[torch.Generator]
) -> Tensor:
    """Decoder-SDS of each source under its own prompt (eq. 5 and 7), [K]."""
    prior = asked.prior
    progress = number / max(1, settings.n_steps - 1)
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
