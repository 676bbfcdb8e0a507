"""The one value that every stage hands on: a block of sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Audio:
    """A finite stretch of sound.

    samples: float32, shape [channels, frames], full scale ±1.0; values beyond it are legal until export.
        The array is made read-only: stages build new ones.
    rate_hz: frames a second, > 0.

    Raises ValueError for another dtype or shape, and for NaN or infinity: what is not finite must
    never travel down the flow.
    """

    samples: FloatArray
    rate_hz: int

    def __post_init__(self) -> None:
        if self.samples.dtype != np.float32 or self.samples.ndim != 2:
            found = f"{self.samples.dtype} {self.samples.shape}"
            raise ValueError(f"samples must be float32 [channels, frames], got {found}")
        if self.rate_hz <= 0:
            raise ValueError(f"rate_hz must be positive, got {self.rate_hz}")
        if not np.isfinite(self.samples).all():
            raise ValueError("samples contain NaN or infinity")
        self.samples.flags.writeable = False

    @property
    def n_channels(self) -> int:
        return int(self.samples.shape[0])

    @property
    def n_frames(self) -> int:
        return int(self.samples.shape[1])

    @property
    def duration_s(self) -> float:
        return self.n_frames / self.rate_hz

    @property
    def peak(self) -> float:
        """Largest absolute sample, linear; 0.0 for an empty block."""
        return float(np.abs(self.samples).max(initial=0.0))

    @staticmethod
    def of(samples: NDArray[np.floating], rate_hz: int) -> Audio:
        """Audio from any float array [frames] or [channels, frames]: cast to float32 and copied."""
        block = np.array(samples, dtype=np.float32, order="C", copy=True)
        return Audio(block[None, :] if block.ndim == 1 else block, int(rate_hz))
