"""`sfxgen rank` and `sfxgen detect`: what a recording sounds like, with or without a project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sfxgen.audio import Audio
from sfxgen.codec import decode
from sfxgen.disk import write_atomically
from sfxgen.distill import ranking
from sfxgen.distill.ranking import Fit, Found, Looking
from sfxgen.distill.vocabulary import NAMES
from sfxgen.errors import BadInput, ProgramMissing
from sfxgen.manifest.project import load_config
from sfxgen.priors import open_prior
from sfxgen.priors.contract import Prior, reproducible

MOST_COLUMNS = 2000  # of a picture


def rank(root: Path, file: Path, prompts: Sequence[str]) -> list[Fit]:
    """How well a recording fits the prompts, best first; the vocabulary's names where no prompt is given.

    Prompts are held against the vocabulary's other names, so that one that is asked for alone need not be true. Raises
    SfxgenError.
    """
    prior, wanted, others = _asked(root, prompts)
    try:
        with reproducible(prior):
            return ranking.rank(prior, decode(file), wanted, others)
    except BadInput as error:
        raise BadInput(f"{file}: {error}") from error


def detect(root: Path, file: Path, prompts: Sequence[str], looking: Looking) -> tuple[Audio, list[Found]]:
    """The recording, and which of the prompts (or of the vocabulary's names) are heard when. Raises SfxgenError."""
    prior, wanted, others = _asked(root, prompts)
    audio = decode(file)
    with reproducible(prior):
        return audio, ranking.detect(prior, audio, wanted, others, looking)


def _asked(root: Path, prompts: Sequence[str]) -> tuple[Prior, tuple[str, ...], tuple[str, ...]]:
    """The project's prior, what is asked for, and what else it may be."""
    config = load_config(root)
    wanted = tuple(dict.fromkeys(prompt.strip() for prompt in prompts)) or NAMES
    if not all(wanted):
        raise BadInput("a prompt is empty; expected words such as 'dog barking'")
    return open_prior(config.prior, root, config.device), wanted, ranking.beside(wanted)


def picture(audio: Audio, found: Sequence[Found], title: str, path: Path) -> None:
    """A PNG: the spectrogram, and below it a bar for whatever was found when. Needs matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise ProgramMissing("--picture needs matplotlib, which is not installed: pip install matplotlib") from error
    import io

    mpl.use("Agg")
    from matplotlib import pyplot

    names = list(dict.fromkeys(one.prompt for one in found))
    figure, (above, below) = pyplot.subplots(
        2, 1, figsize=(12, 4 + 0.25 * len(names)), height_ratios=(4, max(1.0, 0.35 * len(names))), sharex=True
    )
    above.imshow(_levels_db(audio), origin="lower", aspect="auto", extent=(0, audio.duration_s, 0, 1), cmap="magma")
    above.set(title=title, yticks=[], ylabel="mel bands, 20 Hz to 20 kHz")
    for one in found:
        sure = 1.0 if one.probability is None else one.probability
        below.barh(
            names.index(one.prompt), one.end_s - one.start_s, left=one.start_s, color="C0", alpha=0.3 + 0.7 * sure
        )
    if not found:
        below.text(0.5, 0.5, "nothing detected", transform=below.transAxes, ha="center", va="center")
    below.set(yticks=range(len(names)), yticklabels=names, xlabel="s", xlim=(0, audio.duration_s))
    below.invert_yaxis()
    figure.tight_layout()
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=100, metadata={"Software": None})
    pyplot.close(figure)
    write_atomically(path, png.getvalue())


def _levels_db(audio: Audio) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """[bands, columns], the mean of the channels."""
    import torch

    from sfxgen import mel
    from sfxgen.distill.heard import at_rate

    mono = at_rate(audio.samples.mean(0, keepdims=True), audio.rate_hz, mel.RATE_HZ)
    levels = mel.log_mel(torch.from_numpy(mono))[0].numpy().T
    step = -(-levels.shape[1] // MOST_COLUMNS)
    return np.asarray(levels[:, : levels.shape[1] // step * step].reshape(len(levels), -1, step).max(2))
