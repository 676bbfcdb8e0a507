"""`sfxgen render`: a prompt to finished WAV files, with or without a project."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from sfxgen.build import cache_folder
from sfxgen.cache import Cache
from sfxgen.disk import Disk, write_atomically
from sfxgen.errors import BadInput
from sfxgen.guiding import Watcher
from sfxgen.lock import Lock
from sfxgen.make import make
from sfxgen.manifest.presets import SYNTH_KINDS
from sfxgen.manifest.project import load_config, project_from_text
from sfxgen.plan import make_plan

KINDS = ("text", *SYNTH_KINDS)


def render(
    root: Path,
    prompt: str,
    out: Path,
    *,
    kind: str | None = None,
    variations: int = 1,
    duration_s: float | None = None,
    loop: bool = False,
    seed: int | None = None,
    trace: Path | None = None,
    guide: bool = True,
) -> Iterator[str]:
    """Make the variations of one prompt and write them: `out` itself, or out_01.wav and so on for several.

    The prior, the device and the mastering are those of the project in `root`, where there is one. Gives a line for
    each file, and one for whose recordings they come from. trace: a folder for pictures of guidance; guide: whether the
    prompt guides a synth. Raises SfxgenError.
    """
    if kind not in (None, *KINDS):
        raise BadInput(f"no kind '{kind}' can be made from a prompt; expected one of {', '.join(KINDS)}")
    entry = {
        "prompt": prompt,
        "variations": variations,
        **({kind: {}} if kind else {}),
        **({"duration_s": duration_s} if duration_s is not None else {}),
        **({"loop": True} if loop else {}),
        **({"seed": seed} if seed is not None else {}),
        **({} if guide else {"guide": False}),
    }
    config = load_config(root)
    wav = config.model_copy(update={"master": config.master.model_copy(update={"format": "wav"})})
    project = project_from_text(root, json.dumps({"version": 1, "sounds": {"sound": entry}}), wav)
    planned = make_plan(project, Lock(), Disk(root), "plain").sounds[0]
    made = make(planned.job, root, Cache(cache_folder(root, config)), Watcher(trace=trace))
    kind = made.guided.kind if made.guided else planned.job.kind
    yield f"{kind}: {planned.choice.why if planned.choice else 'as asked'}"
    if made.guided:
        yield f"{made.guided.why}; {made.guided.steps} steps, {made.seconds:.1f} s"
    for file in made.files:
        path = out if len(made.files) == 1 else out.with_name(f"{out.stem}_{file.slot.index:02d}{out.suffix}")
        write_atomically(path, file.data)
        yield f"wrote {path}: {file.n_frames / file.rate_hz:.2f} s, {file.loudness_lufs:.1f} LUFS"
    yield from made.warnings
    if made.credits:
        most = ", ".join(f"{credit.name} {credit.share:.0%}" for credit in made.credits[:5])
        yield f"from {len(made.credits)} recordings: {most}{', …' if len(made.credits) > 5 else ''}"
