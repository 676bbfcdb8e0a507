"""What guidance may turn: a synth's parameters as one vector of audible steps, and back to a spec.

Each synth says for each of its parameters how large a step is that can be heard, and how far it may go; the vector
counts in such steps from the start. A tuned sound is a spec like any other: variations, layers and loops come of it
as they do of one that a person wrote.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

OCTAVE = math.log(2.0)
N_NOISES = 8  # that are kept


@dataclass(frozen=True)
class Knob:
    """A parameter of a synth, in the synth's own terms (logarithms for frequencies and times): one audible step, and
    the lowest and highest value that it may have."""

    step: float
    low: float
    high: float

    @staticmethod
    def log(step: float, low: float, high: float) -> Knob:
        """Of a parameter kept as a logarithm: the step in octaves, the limits as they are."""
        return Knob(step * OCTAVE, math.log(low), math.log(high))


class SynthRenderer:
    """A synth as distillation sees it: θ [P] → audio [1, frames]; θ = 0 is the synth as it was built.

    knobs: by the name of the synth's parameters; the others stay. free: which entries of one may move, where not all.
    variation: what the synth renders with, from a seed.
    """

    def __init__(
        self,
        synth: nn.Module,
        knobs: Mapping[str, Knob],
        variation: Callable[[int], Any],
        free: Mapping[str, Tensor] | None = None,
    ) -> None:
        self._synth = synth
        self._variation = lru_cache(maxsize=N_NOISES)(variation)  # noise costs as much as a sound made of it
        fixed = {name: parameter.detach().clone() for name, parameter in synth.named_parameters()}
        self._fixed = fixed
        self._places = {
            name: (free or {}).get(name, torch.ones_like(fixed[name], dtype=torch.bool))
            for name in knobs
            if fixed[name].numel()
        }
        self._steps = {name: knobs[name].step for name in self._places}
        self._counts = {name: int(place.sum()) for name, place in self._places.items()}
        low, high = [torch.zeros(0, dtype=torch.float64)], [torch.zeros(0, dtype=torch.float64)]
        for name, place in self._places.items():
            base, knob = fixed[name][place], knobs[name]
            low.append(torch.clamp((knob.low - base) / knob.step, max=0.0))
            high.append(torch.clamp((knob.high - base) / knob.step, min=0.0))
        self.low, self.high = torch.cat(low), torch.cat(high)

    @property
    def names(self) -> list[str]:
        """Of θ's entries: the parameter, and its place in it where it has several."""
        return [
            name + "".join(f"[{i}]" for i in place.nonzero()[k].tolist())
            for name, place in self._places.items()
            for k in range(int(place.sum()))
        ]

    def values(self, theta: Tensor) -> dict[str, Tensor]:
        """The synth's parameters at θ, by name; those that do not move keep no gradient."""
        values, at = dict(self._fixed), 0
        for name, n in self._counts.items():
            fixed = self._fixed[name]
            part = theta[at : at + n] * self._steps[name]
            if n < fixed.numel():
                part = torch.zeros_like(fixed).masked_scatter(self._places[name], part)
            values[name] = fixed + part.reshape(fixed.shape)
            at += n
        return values

    def __call__(self, theta: Tensor, seed: int) -> Tensor:
        audio: Tensor = functional_call(self._synth, self.values(theta), (self._variation(seed),))
        return audio


def rounded(value: float, digits: int = 4) -> float:
    """So many digits: enough to sound the same, few enough to be read in a manifest."""
    return float(f"{float(value):.{digits}g}")


def within(value: float, low: float, high: float) -> float:
    """Rounded, and inside of a manifest's limits whatever rounding did."""
    return min(high, max(low, rounded(value)))
