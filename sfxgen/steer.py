"""`sfxgen edit`: a recording moved towards a prompt, with or without a project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from sfxgen.audio import Audio
from sfxgen.codec import BITS, decode, encode
from sfxgen.credit import Credit
from sfxgen.disk import write_atomically
from sfxgen.distill.ranking import fits
from sfxgen.draw import Draw
from sfxgen.errors import BadInput
from sfxgen.generate import edit
from sfxgen.generate.recipe import Request
from sfxgen.manifest.project import load_config
from sfxgen.manifest.recordings import Edit
from sfxgen.priors import open_prior
from sfxgen.priors.contract import reproducible

FORMATS = ("wav", "flac", "ogg", "opus", "mp3", "m4a")


def steer(
    root: Path, file: Path, prompt: str, out: Path, *, strength: float, from_prompt: str | None, seed: int
) -> Iterator[str]:
    """Edit a recording and write it at its own rate, length and channels, unmastered. Gives what there is to say.

    The prior and the device are those of the project in `root`, where there is one. Raises SfxgenError.
    """
    format = out.suffix.lower().removeprefix(".")
    if format not in FORMATS:
        raise BadInput(f"--out {out} names no format that can be written; expected a file such as edited.wav")
    config = load_config(root)
    told: list[Credit] = []
    request = Request(root=Path(), prompt=prompt, prior=config.prior, device=config.device, credit=told.extend)
    spec = Edit(source=(str(file.absolute()),), strength=strength, from_prompt=from_prompt)
    (edited,) = edit.render(spec, [Draw(seed)], request)
    prior = open_prior(config.prior, root, config.device)
    with reproducible(prior):
        before, after = (float(fits(prior, one, [prompt])[0]) for one in (decode(file), edited))
    if edited.peak > 1.0:
        yield f"turned down by {20 * np.log10(edited.peak):.1f} dB, since its peaks would clip"
        edited = Audio.of(edited.samples / edited.peak, edited.rate_hz)
    encoding = "pcm24" if format in ("wav", "flac") else next(iter(BITS))
    write_atomically(out, encode(edited, format=format, encoding=encoding))
    yield f"wrote {out}: {edited.duration_s:.2f} s; fit to '{prompt}' {before:.3g}, now {after:.3g}"
    if told:
        most = ", ".join(f"{credit.name} {credit.share:.0%}" for credit in told[:5])
        yield f"after the likeness of {len(told)} recordings: {most}{', …' if len(told) > 5 else ''}"
