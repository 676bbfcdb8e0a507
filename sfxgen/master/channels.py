"""From the channels that a sound has to those that its file shall have."""

from __future__ import annotations

import numpy as np

from sfxgen.master.filters import Block

ROOT_HALF = 0.5**0.5
# Rows L and R of a stereo file from a source's channels in WAV order; 5 and 6: ITU-R BS.775-3 table 2, no LFE.
STEREO_FROM: dict[int, tuple[tuple[float, ...], tuple[float, ...]]] = {
    1: ((1.0,), (1.0,)),
    2: ((1.0, 0.0), (0.0, 1.0)),
    5: ((1.0, 0.0, ROOT_HALF, ROOT_HALF, 0.0), (0.0, 1.0, ROOT_HALF, 0.0, ROOT_HALF)),
    6: ((1.0, 0.0, ROOT_HALF, 0.0, ROOT_HALF, 0.0), (0.0, 1.0, ROOT_HALF, 0.0, 0.0, ROOT_HALF)),
}


def to_channels(samples: Block, n_channels: int) -> Block:
    """`samples` of shape [any, frames] as mono or stereo.

    Mono to stereo: both channels are the mono one. Stereo to mono: the mean of both (−6 dB each), so that a mono
    sound that came as stereo returns as it was; what is only on one side becomes 6 dB quieter. Surround goes by
    ITU-R BS.775 first; other channel counts are averaged.
    """
    if samples.shape[0] == n_channels:
        return samples
    rows = STEREO_FROM.get(samples.shape[0])
    stereo = np.array(rows) @ samples if rows else np.repeat(samples.mean(axis=0, keepdims=True), 2, axis=0)
    return stereo if n_channels == 2 else stereo.mean(axis=0, keepdims=True)


def lost_in_mono_db(samples: Block) -> float:
    """How much quieter the mono mix is than the channels on average (dB, ≥ 0): about 3 for unlike channels, 0 for like
    ones, large where they cancel. 0.0 for one channel and for silence."""
    power = float(np.square(samples).mean()) if samples.size else 0.0
    mixed = float(np.square(to_channels(samples, 1)).mean()) if samples.size else 0.0
    return max(0.0, float(10 * np.log10(power / max(mixed, power * 1e-12)))) if power > 0 else 0.0
