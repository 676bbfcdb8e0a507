"""A prior that listens by a rule of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from sfxgen.priors.library import LibraryPrior

Rule = Callable[[torch.Tensor, Sequence[str]], torch.Tensor]  # (audio, prompts) → how well each fits each


class Listener(LibraryPrior):
    """Fits by the rule, in place of the library's."""

    rule: Rule

    def fit(self, audio: torch.Tensor, prompts: Sequence[str], seeds: Sequence[int] = ()) -> torch.Tensor:
        del seeds
        return self.rule(audio, prompts)


def listener(prior: LibraryPrior, rule: Rule) -> Listener:
    made = Listener(prior.library)
    made.rule = rule
    return made
