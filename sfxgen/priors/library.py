"""Our own prior: the exact denoiser of a text-conditioned kernel mixture over a library's log-mels.

The prompt chooses exemplars by their captions, π_i(p) a softmax of the similarity; `mixture` does the rest. It needs no
training and no GPU, and says whose recordings a sound comes from. The unconditional model is the whole library.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from sfxgen import mel
from sfxgen.credit import Credit
from sfxgen.errors import PromptUnknown
from sfxgen.library.search import Captions, nearest
from sfxgen.library.store import STEP_DB, Library
from sfxgen.priors import encoder
from sfxgen.priors.contract import Condition, Prior
from sfxgen.priors.diffusion import cosine
from sfxgen.priors.mixture import (
    BLOCK_BANDS,
    BLOCK_FRAMES,
    Components,
    Kernel,
    Posterior,
    bounded,
    from_blocks,
    mean,
    posterior,
    shares,
    to_blocks,
    without_residual,
)
from sfxgen.synths.resynthesis import resynthesise
from sfxgen.synths.turning import turn
from sfxgen.words import knows

CENTRE_DB, SCALE_DB = -45.0, 20.0  # z = (level − centre) / scale: about unit variance where there is sound
# Widths and tempering by tools/evaluate/kernel.py; the neighbourhood by tools/evaluate/samples.py: an outside judge
# hears the prompt better in parts that follow one another than in bands of different exemplars on top of one another.
KERNEL = Kernel(residual=0.4, gain=0.4, frames=48.0, temper=0.005)
N_CANDIDATES = 16  # exemplars that a prompt mixes
SHARPNESS = 25.0  # of π: a caption that is 0.04 less similar counts e times less
FULL_BAND_HZ = 16_000.0
LEAST_SHARE = 0.005  # that is worth a credit
MOST_SHARE = 0.5  # of one recording in any sound
VARIANTS = ((0, 0), (-2, 0), (2, 0), (0, -1), (0, 1))  # (frames later, bands up) of every exemplar
DRAW_TEMPERATURE = 0.5  # how clearly one draw stands out before the others; evidence does the rest
N_RETRIEVED = 32  # for each item, of the whole library
N_SPREAD = 256  # evenly over the library's order, package by package: the unconditional model's stand-ins for the rest
AGREEMENT_TIMES = (0.3, 0.6)
NATS_AN_ERROR = 20.0  # of the mixture's denoising error beside the encoder's nats: their spreads over presets are alike
SOUNDING_DB = 12.0  # above the floor


class LibraryPrior(Prior):
    """See the module. window_s is a matter of memory, not of the model."""

    rate_hz, channels, window_s = mel.RATE_HZ, 1, 30.0
    schedule = cosine()
    usual_steps = 25
    small = True
    levels = True
    # Of recordings whose whole package was left out (tools/evaluate/listening.py).
    nats_a_fit: float | None = 0.5
    clear_fit: float | None = 2.0

    def __init__(self, library: Library, name: str = "library", digest: str = "", kernel: Kernel = KERNEL) -> None:
        if not library.exemplars:
            raise ValueError("a library prior needs at least one exemplar")
        self.name, self.digest, self.kernel = name, digest, kernel
        self.device, self.dtype = torch.device("cpu"), torch.float32
        self.library = library
        self.captions = Captions.of(library)
        self._starts = library.starts
        tops_hz = np.array([exemplar.top_hz for exemplar in library.exemplars], np.float32)
        self._dullness = np.log2(np.maximum(1.0, FULL_BAND_HZ / tops_hz))  # nats, one an octave that is missing
        self._means: dict[int, torch.Tensor] = {}  # frames → block means, made once a length

    def condition(self, prompts: Sequence[str], seconds: float, *, ongoing: bool = False) -> Condition:
        """Chooses each prompt's exemplars and lays them out, with their variants in time and pitch."""
        if len(prompts) > 1 and len(set(prompts)) == 1:
            return self.repeated(self.condition(prompts[:1], seconds, ongoing=ongoing), len(prompts))
        self._check_words(prompts)
        similarity = self.captions.similarity(prompts)
        chosen = nearest(similarity, min(N_CANDIDATES, similarity.shape[1]))
        preference = SHARPNESS * np.take_along_axis(similarity, chosen, 1) - self._dullness[chosen]
        log_prior = torch.from_numpy(preference).log_softmax(1)
        x, active = self.lay_out(chosen, seconds, VARIANTS, ongoing)
        n_variants = len(VARIANTS)
        log_prior = log_prior.repeat_interleave(n_variants, 1) - math.log(n_variants)
        owner = torch.from_numpy(chosen).repeat_interleave(n_variants, 1)
        components = vars(Components.of(x, active, log_prior, owner, (0, 0)))
        return Condition(tuple(prompts), seconds, {key: components[key] for key in components if key != "grid"})

    def _check_words(self, prompts: Sequence[str]) -> None:
        unknown = next((prompt for prompt in prompts if not knows(prompt)), None)
        if unknown is not None:
            raise PromptUnknown(f"prior '{self.name}' knows no word of the prompt '{unknown}'; say it in other words")

    def drawn(self, condition: Condition, generators: Sequence[torch.Generator]) -> Condition:
        """Each item's own draw among the exemplars and their variants: Gumbel noise on log π, so that each is first as
        often as π says (Gumbel 1954). Tempered evidence hardly feels white noise, so z alone would choose always alike.
        """
        log_prior = condition.encoded["log_prior"]
        n_exemplars = log_prior.shape[1] // len(VARIANTS)
        draws = [torch.rand(n_exemplars + log_prior.shape[1], generator=g).clamp(1e-6, 1 - 1e-6) for g in generators]
        gumbel = -torch.log(-torch.log(torch.stack(draws)))
        of_exemplar, of_variant = gumbel[:, :n_exemplars], gumbel[:, n_exemplars:]
        perturbed = log_prior + of_exemplar.repeat_interleave(len(VARIANTS), 1) + of_variant
        chosen = (perturbed / DRAW_TEMPERATURE).log_softmax(1)
        return replace(condition, encoded={**condition.encoded, "log_prior": chosen})

    def unconditional(self, condition: Condition) -> Condition:
        return Condition(("",) * len(condition), condition.seconds, {})

    def z_shape(self, seconds: float) -> tuple[int, ...]:
        """(frames, bands), whole blocks."""
        frames = mel.n_frames_for(round(seconds * mel.RATE_HZ))
        return (math.ceil(frames / BLOCK_FRAMES) * BLOCK_FRAMES, mel.N_MELS)

    def encode(self, audio: torch.Tensor) -> torch.Tensor:
        levels_db = mel.log_mel(audio.mean(1))
        missing = -levels_db.shape[1] % BLOCK_FRAMES
        padded = torch.nn.functional.pad(levels_db, (0, 0, 0, missing), value=mel.FLOOR_DB)
        return (padded - CENTRE_DB) / SCALE_DB

    def decode(self, z0: torch.Tensor, generators: Sequence[torch.Generator]) -> torch.Tensor:
        levels_db = (z0 * SCALE_DB + CENTRE_DB).clamp(mel.FLOOR_DB, 0.0)
        return torch.cat([resynthesise(one[None], g) for one, g in zip(levels_db, generators, strict=True)])[:, None]

    @torch.no_grad()
    def moved(
        self, audio: torch.Tensor, z0: torch.Tensor, goal: torch.Tensor, generators: Sequence[torch.Generator]
    ) -> torch.Tensor:
        """The recording itself with its bands turned up and down, and noise where there is nothing to turn up."""
        return turn(audio, (goal - z0) * SCALE_DB, generators)

    def features(self, audio: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.encode(audio),)

    def features_of(self, z0: torch.Tensor, generators: Sequence[torch.Generator]) -> tuple[torch.Tensor, ...]:
        del generators  # z0 is what distillation compares: nothing needs to be decoded
        return (z0,)

    def predict_x0(self, z: torch.Tensor, t: torch.Tensor, condition: Condition) -> torch.Tensor:
        blocks, grid = to_blocks(z)
        alpha, sigma = self.schedule.at(t, blocks)
        components, found = self._posterior(blocks, alpha, sigma, grid, condition)
        return from_blocks(mean(blocks, alpha, sigma, components, self.kernel, found), grid)

    def solve(
        self, condition: Condition, generators: Sequence[torch.Generator], steps: int, guidance: float
    ) -> torch.Tensor:
        """As in the contract, without the chance residual of each cell: what makes noise of it draws that anew."""
        z0 = super().solve(condition, generators, steps, guidance)
        components, found = self._at_the_end(z0, condition)
        return from_blocks(without_residual(components, found), components.grid)

    def credits(self, z0: torch.Tensor, condition: Condition) -> list[list[Credit]]:
        """Whose recordings each z0 comes from: every exemplar with at least LEAST_SHARE, most first."""
        components, found = self._at_the_end(z0, condition)
        of_all = shares(found, components, len(self.library.exemplars))
        rows = []
        for row in of_all:
            order = torch.argsort(row, descending=True, stable=True)
            rows.append([self._credit(i, float(row[i])) for i in order.tolist() if row[i] >= LEAST_SHARE])
        return rows

    def _credit(self, index: int, share: float) -> Credit:
        exemplar = self.library.exemplars[index]
        return Credit(exemplar.name, exemplar.source, exemplar.licence, exemplar.credit, share)

    @torch.no_grad()
    def fit(self, audio: torch.Tensor, prompts: Sequence[str], seeds: Sequence[int] = ()) -> torch.Tensor:
        """How well each sound fits each prompt, [batch, prompts], by a trained encoder: it recognises recordings of
        packages that it never saw twice as often as the mixture's own log-mel distance (tools/evaluate/ranking.py)."""
        del seeds  # nothing is drawn
        self._check_words(prompts)
        return encoder.shipped().score(mel.log_mel(audio.mean(1)), prompts).double()

    @torch.no_grad()
    def agreement_of(self, z0: torch.Tensor, condition: Condition, seed: int = 0) -> torch.Tensor:
        """The encoder's score less the mixture's denoising error: a sound must be recognised and lie near to sounds
        that the prompt means, and two judges are harder to fool than one. The mixture's error needs no unconditional
        one beside it: it is a distance from exemplars, and silence is none of them."""
        levels_db = (z0 * SCALE_DB + CENTRE_DB).clamp(mel.FLOOR_DB, 0.0)
        prompts = list(dict.fromkeys(condition.prompts))
        scores = encoder.shipped().score(levels_db, prompts).double()
        score = scores[torch.arange(len(z0)), torch.tensor([prompts.index(prompt) for prompt in condition.prompts])]
        for number, at in enumerate(AGREEMENT_TIMES):
            t = torch.full((len(z0),), at)
            z, _ = self.noise(z0, t, [torch.Generator().manual_seed(seed + number) for _ in range(len(z0))])
            error = (self.predict_x0(z, t, condition) - z0).square().flatten(1).mean(1)
            score = score - NATS_AN_ERROR / len(AGREEMENT_TIMES) * error.double()
        return score

    def repeated(self, condition: Condition, n: int) -> Condition:
        """As in the contract; one set of exemplars serves all of them, which is several times faster."""
        return Condition(condition.prompts * n, condition.seconds, condition.encoded)

    def natural_s(self, prompt: str) -> float:
        """How long such sounds last: the median of the exemplars that the prompt chooses (s)."""
        (chosen,) = nearest(self.captions.similarity([prompt]), N_CANDIDATES // 2)
        return float(np.median([self.library.exemplars[i].n_frames for i in chosen])) / mel.FRAMES_A_SECOND

    def _at_the_end(self, z0: torch.Tensor, condition: Condition) -> tuple[Components, Posterior]:
        """What a clean z0 was mixed from."""
        blocks, grid = to_blocks(z0)
        one = torch.ones(len(z0), 1, 1)
        return self._posterior(blocks, one, 1e-3 * one, grid, condition)

    def _posterior(
        self,
        blocks: torch.Tensor,
        alpha: torch.Tensor,
        sigma: torch.Tensor,
        grid: tuple[int, int],
        condition: Condition,
    ) -> tuple[Components, Posterior]:
        encoded = condition.encoded
        if not encoded:
            components = self._retrieved(blocks, alpha, grid, condition.seconds)
            return components, posterior(blocks, alpha, sigma, components, self.kernel)
        components = Components(grid=grid, **encoded)
        found = posterior(blocks, alpha, sigma, components, self.kernel)
        return components, bounded(found, components, MOST_SHARE, len(self.library.exemplars))

    def _retrieved(
        self, blocks: torch.Tensor, alpha: torch.Tensor, grid: tuple[int, int], seconds: float
    ) -> Components:
        """The whole library, all equally likely: for each z the exemplars nearest to it, and a spread of the others
        that stands for all of them, since in much noise the near ones weigh no more than the rest.

        Nearest by their blocks' means, in which most of the noise has averaged out. The batch shares x, but an item
        gives no weight to what only its neighbours retrieved.
        """
        table = self._block_means(seconds)
        n = len(table)
        distance = alpha[:, 0] * table.square().sum(1) - 2.0 * blocks.mean(-1) @ table.T  # ‖z − α x‖² / α − ‖z‖² / α
        near = distance.topk(min(N_RETRIEVED, n), dim=1, largest=False).indices
        spread = np.unique(np.linspace(0, n - 1, min(N_SPREAD, n)).round().astype(np.int64))
        chosen = np.union1d(near.numpy(), spread)
        is_near = (near[..., None] == torch.from_numpy(chosen)).any(1)
        stands_for_others = torch.from_numpy(np.isin(chosen, spread)) & ~is_near
        each = (n - near.shape[1]) / stands_for_others.sum(1, keepdim=True).clamp_min(1)
        log_prior = torch.log((is_near + stands_for_others * each) / n)
        x, active = self.lay_out(chosen[None], seconds, ((0, 0),))
        return Components.of(x, active, log_prior, torch.from_numpy(chosen)[None], grid)

    def _block_means(self, seconds: float) -> torch.Tensor:
        """[exemplars, blocks] for sounds of this length."""
        frames = self.z_shape(seconds)[0]
        if frames not in self._means:
            n = len(self.library.exemplars)
            # Filled in place: small results between large temporaries would keep the heap from shrinking.
            means = torch.empty(n, frames * mel.N_MELS // (BLOCK_FRAMES * BLOCK_BANDS))
            for part in np.array_split(np.arange(n), n // 256 + 1):
                means[part] = to_blocks(_from_codes(self._codes(part, frames)))[0].mean(-1)
            self._means[frames] = means
        return self._means[frames]

    def lay_out(
        self,
        chosen: NDArray[np.int64],
        seconds: float,
        variants: Sequence[tuple[int, int]],
        ongoing: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """x [batch, blocks, K · variants, cells] and active [batch, blocks, K · variants] of chosen [batch, K]."""
        codes = self._codes(chosen.reshape(-1), self.z_shape(seconds)[0], ongoing)
        shifted = [_shifted(codes, frames, bands) for frames, bands in variants]
        every = np.stack(shifted, 1).reshape(*chosen.shape[:1], -1, *codes.shape[1:])  # [batch, K · variants, T, bands]
        x, _ = to_blocks(_from_codes(every))
        sounding = torch.from_numpy(every > round(SOUNDING_DB / STEP_DB)).float()
        active = to_blocks(sounding)[0].mean(-1)
        return x.transpose(1, 2).contiguous(), active.transpose(1, 2).contiguous()

    def _codes(self, indices: NDArray[np.int64], frames: int, ongoing: bool = False) -> NDArray[np.uint8]:
        """The levels of exemplars cut to so many frames, uint8 [n, frames, bands].

        A shorter one is filled up with silence; ongoing, with itself, to and fro so that nothing jumps.
        """
        codes = np.zeros((len(indices), frames, mel.N_MELS), np.uint8)
        for row, index in enumerate(indices.tolist()):
            start, end = self._starts[index], self._starts[index + 1]
            levels = self.library.codes[start:end]
            if ongoing:
                levels = np.concatenate([levels, levels[::-1]])
                levels = np.tile(levels, (math.ceil(frames / len(levels)), 1))
            n = min(frames, len(levels))
            codes[row, :n] = levels[:n]
        return codes


def _shifted(codes: NDArray[np.uint8], frames: int, bands: int) -> NDArray[np.uint8]:
    """Moved later and up, silence coming in at the ends."""
    moved = np.roll(codes, (frames, bands), (1, 2))
    for axis, by in ((1, frames), (2, bands)):
        edge = [slice(None)] * 3
        edge[axis] = slice(0, by) if by >= 0 else slice(by, None)
        if by:
            moved[tuple(edge)] = 0
    return moved


def _from_codes(codes: NDArray[np.uint8]) -> torch.Tensor:
    """Codes → z."""
    scale, offset = STEP_DB / SCALE_DB, (-255.0 * STEP_DB - CENTRE_DB) / SCALE_DB
    return torch.from_numpy(codes).float().mul_(scale).add_(offset)
