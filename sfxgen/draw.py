"""What tells one variation of a sound from the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Draw:
    """One variation to be made.

    seed: 64-bit, from the sound's name (or its own seed), the layer and the index: never from the clock.
    intensity: [low, high] within [0, 1], 0 the softest and 1 the hardest that the sound's ranges allow; a velocity
        layer narrows it. A recipe draws its place in there from the seed.
    """

    seed: int
    intensity: tuple[float, float] = (0.0, 1.0)

    def rng(self) -> np.random.Generator:
        """A fresh generator: the same draw always gives the same numbers."""
        import numpy as np  # planning handles draws but never draws

        return np.random.Generator(np.random.PCG64(self.seed))
