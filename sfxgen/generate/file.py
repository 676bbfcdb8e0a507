"""Recordings: decoded and cut, nothing else; mastering does the rest."""

from __future__ import annotations

from collections.abc import Sequence

from sfxgen.audio import Audio
from sfxgen.codec import decode
from sfxgen.draw import Draw
from sfxgen.errors import SourceUnreadable
from sfxgen.generate.recipe import Request
from sfxgen.manifest.recordings import File


def render(spec: File, draws: Sequence[Draw], request: Request) -> list[Audio]:
    """Each of the spec's recordings at its own rate and channels, cut to request.duration_s where that is given.

    The sources come as paths from request.root; there are as many draws as sources. Raises SourceUnreadable.
    """
    if len(draws) != len(spec.source):
        raise ValueError(f"{len(draws)} draws for {len(spec.source)} recordings")
    return [_cut(decode(request.root / source), request.duration_s, source) for source in spec.source]


def _cut(audio: Audio, duration_s: float | None, source: str) -> Audio:
    if audio.n_frames == 0:
        raise SourceUnreadable(f"{source} holds no sound: it has 0 frames")
    if duration_s is None:
        return audio
    return Audio.of(audio.samples[:, : round(duration_s * audio.rate_hz)], audio.rate_hz)
