"""A model of the mixer through which Godot plays a WAV: the judge of our loops.

After AudioStreamPlaybackWAV::mix and ::do_resample (scene/resources/audio_stream_wav.cpp): 16-bit samples, a position
in fixed point with 13 fractional bits, linear interpolation between a frame and the next one in memory, and a wrap only
when the position has passed the loop's end. The frame *at* the loop's end is therefore played, or blended in, before
the wrap.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FRAC_BITS = 13
FRAC_LEN = 1 << FRAC_BITS


def to_pcm16(samples: NDArray[np.floating]) -> NDArray[np.int64]:
    """Full scale ±1 to integers as a 16-bit file holds them."""
    pcm: NDArray[np.int64] = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int64)
    return pcm


def with_guard_frame(loop: NDArray[np.int64]) -> NDArray[np.int64]:
    """The loop and its first frame again, as a file for Godot has it."""
    return np.append(loop, loop[:1])


class Mixer:
    """Plays file[0 … loop_end) for ever; loop_end −1 is the last frame of the file, as the importer reads it."""

    def __init__(self, file: NDArray[np.int64], rate: float, loop_end: int = -1) -> None:
        self.memory = np.append(file, [0, 0])  # the mixer may read beyond the data, where there is padding
        self.end = ((len(file) - 1) if loop_end == -1 else loop_end) << FRAC_BITS
        self.increment = max(int(np.float32(rate) * FRAC_LEN), 1)
        self.offset = 0

    def seam(self, width: int) -> NDArray[np.float64]:
        """Plays one lap on: the `width` frames heard before the wrap and as many after it. Shape [2 · width]."""
        count = (self.end - self.offset) // self.increment + 1
        before = self.offset + self.increment * np.arange(count - width, count, dtype=np.int64)
        self.offset += self.increment * count - self.end
        after = self.offset + self.increment * np.arange(width, dtype=np.int64)
        return self._read(np.concatenate([before, after]))

    def play(self, n_frames: int) -> NDArray[np.float64]:
        """The next frames of this lap, without a wrap, ±1."""
        offsets = self.offset + self.increment * np.arange(n_frames, dtype=np.int64)
        self.offset = int(offsets[-1]) + self.increment
        return self._read(offsets)

    def _read(self, offsets: NDArray[np.int64]) -> NDArray[np.float64]:
        at, frac = offsets >> FRAC_BITS, offsets & (FRAC_LEN - 1)
        now, following = self.memory[at], self.memory[at + 1]
        heard: NDArray[np.float64] = (now + ((following - now) * frac >> FRAC_BITS)) / 32767.0
        return heard
