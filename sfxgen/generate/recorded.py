"""Recordings on their way to a prior and back: read, cut, brought to its rate and channels."""

from __future__ import annotations

from pathlib import Path

import torch

from sfxgen.audio import Audio
from sfxgen.codec import decode
from sfxgen.distill.heard import heard
from sfxgen.errors import BadInput
from sfxgen.priors.contract import Prior

LONGEST_S = 600.0  # of a recording that is taken apart: what the memory of an ordinary machine holds


def read_recording(path: Path, duration_s: float | None = None) -> Audio:
    """A recording at its own rate and channels, cut to duration_s. Raises SourceUnreadable, BadInput if too long."""
    audio = decode(path)
    if duration_s is not None:
        audio = Audio.of(audio.samples[:, : max(1, round(duration_s * audio.rate_hz))], audio.rate_hz)
    if audio.duration_s > LONGEST_S:
        raise BadInput(
            f"{path} lasts {audio.duration_s:.0f} s; recordings of up to {LONGEST_S:.0f} s can be taken apart: cut it"
        )
    return audio


def as_prior_takes_it(audio: Audio, prior: Prior) -> torch.Tensor:
    """The recording at the prior's rate and channels, float32 [channels, samples] on the CPU."""
    return heard(audio, prior)[0].float().cpu()
