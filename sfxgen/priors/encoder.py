"""A small audio encoder: what a sound is like as a vector, and how well it fits a text.

Fixed descriptors of the log-mel go through a few small networks, trained by `tools/library/encoder.py` on the captions
of the library that ships: sound and text meet in one space (ConVIRT, Zhang et al. 2020; CLIP, Radford et al. 2021). A
score joins two estimates of log p(sound | text) − log p(sound): the networks' own, and that of a kernel mixture over
the library's sounds in the same space.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sfxgen.disk import write_atomically
from sfxgen.priors.descriptors import describe
from sfxgen.words import embed as embed_texts

FILE = Path(__file__).parent / "data" / "encoder.npz"
WIDEST = 4.0  # standard deviations: further out descriptors are cut
_ITEM_BYTES = 127  # unit vectors are kept in 8 bits


@dataclass(frozen=True)
class Joining:
    """How a score joins its two estimates; from `tools/evaluate/ranking.py --joining`.

    kernel_sharpness: κ of exp(κ cos) between sounds. text_sharpness: β of a sound's weight exp(β cos) under a text.
    share: of the mixture's log ratio, beside the networks'.
    """

    kernel_sharpness: float = 15.0
    text_sharpness: float = 10.0
    share: float = 1.0


@dataclass(frozen=True, eq=False)
class Weights:
    """What training found. F descriptors, M networks of H hidden units and D dimensions, N sounds, word vectors of T.

    centre, spread: of the descriptors, [F]. in_, mid, out: [M, F, H], [M, H, H], [M, H, D] with their biases
    [M, 1, …]. text_centre [T], text [M, T, D]: from word vectors into the space. sharpness: of the cosine, scalar.
    sounds [N, M · D], meanings [N, T]: the library's sounds and the word vectors of their captions. counts: how much
    each sound counts, [N].
    """

    centre: Tensor
    spread: Tensor
    in_: Tensor
    in_bias: Tensor
    mid: Tensor
    mid_bias: Tensor
    out: Tensor
    out_bias: Tensor
    text_centre: Tensor
    text: Tensor
    sharpness: Tensor
    sounds: Tensor
    meanings: Tensor
    counts: Tensor


class Encoder:
    """Sounds and texts → unit vectors of one space. digest: of the weights' file."""

    def __init__(self, weights: Weights, digest: str = "", joining: Joining | None = None) -> None:
        self.weights, self.digest, self.joining = weights, digest, joining or Joining()

    @property
    def n_dimensions(self) -> int:
        return self.weights.out.shape[0] * self.weights.out.shape[2]

    def embed(self, levels_db: Tensor) -> Tensor:
        """Unit vectors [batch, n_dimensions] of log-mels as mel.log_mel gives them, [batch, frames, N_MELS].

        Differentiable. Each item by itself: neither the others nor silence before and after change its vector.
        """
        return self.embed_described(describe(levels_db.float()))

    def embed_described(self, descriptors: Tensor) -> Tensor:
        """The same of descriptors [batch, F]."""
        w = self.weights
        x = ((descriptors - w.centre) / w.spread).clamp(-WIDEST, WIDEST).expand(w.in_.shape[0], -1, -1)
        x = functional.gelu(torch.baddbmm(w.in_bias, x, w.in_))
        x = functional.gelu(torch.baddbmm(w.mid_bias, x, w.mid))
        return _side_by_side(torch.baddbmm(w.out_bias, x, w.out))

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors [texts, n_dimensions]."""
        return self._into_space(torch.from_numpy(embed_texts(texts)))

    def score(self, levels_db: Tensor, prompts: Sequence[str]) -> Tensor:
        """How well each sound fits each prompt, [batch, prompts]: higher is better, comparable along a row.

        An estimate of log p(sound | prompt) − log p(sound) in nats, up to a factor. Differentiable.
        """
        return self.score_embedded(self.embed(levels_db), torch.from_numpy(embed_texts(prompts)))

    def score_embedded(self, sounds: Tensor, texts: Tensor) -> Tensor:
        """The same of vectors [batch, n_dimensions] and word vectors [prompts, T]."""
        direct = self.weights.sharpness * sounds @ self._into_space(texts).T
        return direct + self.joining.share * self.mixture_ratio(sounds, texts)

    def mixture_ratio(self, sounds: Tensor, texts: Tensor) -> Tensor:
        """log Σ_n w_n(p) k(x, x_n) − log Σ_n w_n k(x, x_n), [batch, prompts]; w_n(p) ∝ w_n exp(β cos(p, c_n)) sums to 1
        as w_n does: Bayes' rule with kernel density estimates in the space of `embed`."""
        w = self.weights
        log_count = torch.log(w.counts / w.counts.sum())
        log_kernel = self.joining.kernel_sharpness * sounds @ w.sounds.T + log_count
        log_meant = self.joining.text_sharpness * texts @ w.meanings.T
        log_meant = log_meant - torch.logsumexp(log_meant + log_count, 1, keepdim=True)
        # neither exp can overflow: their arguments lie within 2 κ and 2 β plus log N
        kernel = torch.exp(log_kernel - log_kernel.detach().amax(1, keepdim=True))
        return torch.log(kernel @ torch.exp(log_meant).T) - torch.log(kernel.sum(1, keepdim=True))

    def _into_space(self, texts: Tensor) -> Tensor:
        centred = functional.normalize(texts - self.weights.text_centre, dim=1)
        return _side_by_side(centred @ self.weights.text)


def _side_by_side(vectors: Tensor) -> Tensor:
    """The networks' vectors [M, batch, D], each of the same length, as one unit vector [batch, M · D]."""
    each = functional.normalize(vectors, dim=2) / math.sqrt(len(vectors))
    return each.transpose(0, 1).flatten(1)


@cache
def shipped() -> Encoder:
    """The encoder that comes with the package, read once."""
    return read_encoder(FILE)


def read_encoder(path: Path) -> Encoder:
    data = path.read_bytes()
    with np.load(io.BytesIO(data)) as arrays:
        found = {field.name: torch.from_numpy(arrays[field.name]) for field in fields(Weights)}
    weights = {name: (x.float() / _ITEM_BYTES if x.dtype == torch.int8 else x.float()) for name, x in found.items()}
    return Encoder(Weights(**weights), hashlib.sha256(data).hexdigest())


def write_encoder(path: Path, weights: Weights) -> None:
    """Unit vectors in 8 bits, the rest as float16; the same weights give the same bytes."""
    arrays = {}
    for field in fields(Weights):
        tensor: Tensor = getattr(weights, field.name)
        eight_bits = field.name in ("sounds", "meanings")
        arrays[field.name] = (tensor * _ITEM_BYTES).round().to(torch.int8) if eight_bits else tensor.half()
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **{name: tensor.numpy() for name, tensor in arrays.items()})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, packed.getvalue())
