"""Other people's programs that separation and enhancement are held beside, in an environment of their own in build/.

None of them is needed by sfxgen or its tests. This file also is what runs in that environment:
`python peers.py WHAT in.npz out.npz`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

HOME = Path(__file__).resolve().parents[2] / "build" / "peers"
PACKAGES = ("numpy", "scipy", "soxr", "scikit-learn", "noisereduce", "pyrnnoise", "pesq", "pystoi", "G722")
N_FFT, HOP = 2048, 512


class NoPeers(Exception):
    """They are not to be had; the message says why."""


def ask(what: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """Runs one of PROGRAMS in the peers' environment. Raises NoPeers."""
    python = HOME / "bin" / "python"
    if not (HOME / "complete").exists():
        print(f"installing {', '.join(PACKAGES)} into build/peers", flush=True)
        venv.create(HOME, with_pip=True, clear=True)
        installed = subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=False)
        if installed.returncode:
            raise NoPeers("pip cannot install the peers; they need the network once, and a C compiler")
        (HOME / "complete").touch()
    with tempfile.TemporaryDirectory() as folder:
        sent, got = Path(folder) / "in.npz", Path(folder) / "out.npz"
        np.savez(sent, **arrays)
        done = subprocess.run([python, __file__, what, sent, got], capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoPeers(f"{what} failed: {done.stderr.strip().splitlines()[-1:]}")
        with np.load(got) as found:
            return dict(found)


def nmf_clustered(mixture: Any) -> Any:
    """scikit-learn's NMF (12 components, Kullback–Leibler), components clustered in two by k-means of their courses and
    spectra: [2, samples]."""
    signal, cluster_room = import_module("scipy.signal"), import_module("sklearn.cluster")
    _, _, found = signal.stft(mixture, nperseg=N_FFT, noverlap=N_FFT - HOP)
    kind = {"init": "nndsvda", "solver": "mu", "beta_loss": "kullback-leibler", "max_iter": 200, "random_state": 0}
    model = import_module("sklearn.decomposition").NMF(12, **kind)
    spectra = model.fit_transform(np.abs(found) + 1e-8)
    courses = model.components_
    unit = [np.sqrt(x / (x.sum(1, keepdims=True) + 1e-12)) for x in (spectra.T, courses)]
    cluster = cluster_room.KMeans(2, n_init=10, random_state=0).fit_predict(np.hstack(unit))
    parts = np.stack([spectra[:, cluster == k] @ courses[cluster == k] for k in (0, 1)])
    shares = parts / (parts.sum(0) + 1e-12)
    return np.stack([signal.istft(found * s, nperseg=N_FFT, noverlap=N_FFT - HOP)[1][: len(mixture)] for s in shares])


def soft_clusters(mixture: Any) -> Any:
    """Soft clusters of time-frequency places: a Gaussian mixture (scikit-learn) over frequency, level, level beside the
    frame and beside the bin; posteriors are the shares: [2, samples]."""
    signal = import_module("scipy.signal")
    _, _, found = signal.stft(mixture, nperseg=N_FFT, noverlap=N_FFT - HOP)
    level = np.log(np.abs(found) + 1e-3 * np.abs(found).mean() + 1e-12)
    octave = np.log2(np.arange(len(level)) + 1.0)[:, None] + 0 * level
    kinds = [octave, level, level - level.mean(0), level - level.mean(1, keepdims=True)]
    x = np.stack([(k - k.mean()) / (k.std() + 1e-9) for k in kinds], -1).reshape(-1, len(kinds))
    loud = np.argsort(-level.reshape(-1))[: max(2000, level.size // 4)]
    model = import_module("sklearn.mixture").GaussianMixture(2, random_state=0).fit(x[loud])
    share = model.predict_proba(x)[:, 0].reshape(level.shape)
    both = share, 1.0 - share
    return np.stack([signal.istft(found * s, nperseg=N_FFT, noverlap=N_FFT - HOP)[1][: len(mixture)] for s in both])


def noise_reduced(noisy: Any) -> Any:
    """noisereduce with its defaults (non-stationary), 16 kHz."""
    return import_module("noisereduce").reduce_noise(y=noisy, sr=16_000)


def rnnoise(noisy: Any) -> Any:
    """RNNoise through pyrnnoise at its 48 kHz, its delay taken out by correlation."""
    import soxr

    fast = soxr.resample(noisy, 16_000, 48_000)
    block = (np.clip(np.pad(fast, (0, 4800)), -1, 1) * 32767).astype(np.int16)
    denoiser = import_module("pyrnnoise").RNNoise(48_000)
    frames = [np.asarray(frame).reshape(-1) for _, frame in denoiser.denoise_chunk(block[None])]
    out = np.concatenate(frames) / 32768.0
    n = min(len(out), len(fast))
    spectrum = np.fft.rfft(out[:n], 2 * n) * np.conj(np.fft.rfft(fast[:n], 2 * n))
    delay = int(np.fft.irfft(spectrum)[:4800].argmax())
    slow = soxr.resample(out[delay:], 48_000, 16_000)[: len(noisy)]
    return np.pad(slow, (0, len(noisy) - len(slow)))


def judged(pair: Any) -> Any:
    """PESQ (wide band) and STOI of [estimate, reference] at 16 kHz."""
    estimate, reference = pair
    return np.array(
        [
            import_module("pesq").pesq(16_000, reference, estimate, "wb"),
            import_module("pystoi").stoi(reference, estimate, 16_000),
        ]
    )


def g722(data: Any) -> Any:
    """G.722 at 64 kbit/s → samples at 16 kHz."""
    return (
        np.asarray(import_module("G722").G722(16_000, 64_000).decode(data.tobytes()), np.int16).astype(np.float32)
        / 32768.0
    )


PROGRAMS = {
    "nmf": nmf_clustered,
    "soft clusters": soft_clusters,
    "noisereduce": noise_reduced,
    "rnnoise": rnnoise,
    "judge": judged,
    "g722": g722,
}


def main(what: str, sent: str, got: str) -> None:
    with np.load(sent) as arrays:
        np.savez(got, **{name: PROGRAMS[what](arrays[name]) for name in arrays.files})


if __name__ == "__main__":
    main(*sys.argv[1:])
