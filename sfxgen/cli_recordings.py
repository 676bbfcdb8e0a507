"""The commands that begin with a recording: what it is, and what can be made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sfxgen.cli_options import Folder, Json, guarded

app = typer.Typer()

Recording = Annotated[Path, typer.Argument(help="An audio file: any rate, any number of channels.")]
# `FILE a b`, `FILE --prompts a b` and `FILE -p a -p b` are all the same.
Prompts = Annotated[
    list[str] | None, typer.Argument(help="What it may sound like, each a prompt. Default: a vocabulary of sounds.")
]
MorePrompts = Annotated[list[str] | None, typer.Option("--prompts", "-p", help="The same, as an option.")]


@app.command()
@guarded
def rank(
    file: Recording,
    prompts: Prompts = None,
    first: MorePrompts = None,
    top: Annotated[int, typer.Option("--top", min=1, help="How many of the vocabulary's names to show.")] = 10,
    project: Folder = None,
    as_json: Json = False,
) -> None:
    """Say what a recording sounds like: how well it fits prompts, by the prior's score. Works without a project."""
    from sfxgen.listen import rank as run_rank
    from sfxgen.manifest.project import find_root
    from sfxgen.show import show_fits

    asked = [*(first or ()), *(prompts or ())]
    found = run_rank(find_root(project or Path()), file, asked)
    show_fits(found if asked else found[:top], as_json)


@app.command()
@guarded
def detect(
    file: Recording,
    prompts: Prompts = None,
    first: MorePrompts = None,
    window_s: Annotated[float, typer.Option("--window", min=0.1, max=30, help="Length of a look, in seconds.")] = 2.0,
    least: Annotated[
        float, typer.Option("--least", min=0, max=1, help="How probable a sound must be to count as heard.")
    ] = 0.1,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="Write a PNG: the spectrogram and what was heard when.")
    ] = None,
    project: Folder = None,
    as_json: Json = False,
) -> None:
    """Say what is heard in a recording, and when. Works without a project."""
    from sfxgen import listen
    from sfxgen.distill.ranking import Looking
    from sfxgen.manifest.project import find_root
    from sfxgen.show import show_found

    looking = Looking(window_s=window_s, hop_s=window_s / 4, least=least)
    asked = [*(first or ()), *(prompts or ())]
    audio, found = listen.detect(find_root(project or Path()), file, asked, looking)
    show_found(found, as_json)
    if picture:
        listen.picture(audio, found, file.name, picture)


@app.command()
@guarded
def edit(
    file: Recording,
    prompt: Annotated[str, typer.Argument(help="What it shall sound like, in plain words.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write: wav, flac, ogg, opus, mp3 or m4a.")],
    strength: Annotated[
        float, typer.Option("--strength", "-s", min=0, max=1, help="0: the recording as it is; 1: as far as it goes.")
    ] = 0.5,
    source_prompt: Annotated[
        str | None, typer.Option("--source-prompt", help="What it sounds like now; only the difference is changed.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed is another try.")] = 0,
    project: Folder = None,
) -> None:
    """Move a recording towards a prompt. Length, rate and channels stay. Works without a project."""
    from sfxgen.manifest.project import find_root
    from sfxgen.steer import steer

    root = find_root(project or Path())
    for line in steer(root, file, prompt, out, strength=strength, from_prompt=source_prompt, seed=seed):
        print(line)


@app.command()
@guarded
def separate(
    recording: Annotated[Path, typer.Argument(help="The recording.")],
    prompts: Annotated[
        list[str] | None, typer.Argument(help="What is in it, a prompt a stem; found when none is given.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the stems; NAME_stems beside it.")] = None,
    count: Annotated[int, typer.Option("--stems", min=2, max=8, help="How many to look for without prompts.")] = 2,
    ask: Annotated[
        str | None,
        typer.Option("--ask", help="A command that reads ranked names of sounds and prints the prompts, a line each."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Fixes the random choices.")] = 0,
    project: Folder = None,
) -> None:
    """Take a recording apart into the sounds in it; the stems add up to it. Works without a project."""
    from sfxgen.manifest.project import find_root
    from sfxgen.recordings import separate as run_separate

    root = find_root(project or Path())
    for line in run_separate(root, recording, prompts or (), out, count=count, ask=ask, seed=seed):
        print(line)


@app.command()
@guarded
def enhance(
    recording: Annotated[Path, typer.Argument(help="Speech with something that disturbs it.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The WAV file to write; NAME_clean.wav.")] = None,
    noise: Annotated[str | None, typer.Option("--noise", help="What disturbs; found when not given.")] = None,
    amount: Annotated[float, typer.Option("--amount", min=0, max=1, help="How much of it to take away.")] = 1.0,
    project: Folder = None,
) -> None:
    """Speech without its noise. Works without a project."""
    from sfxgen.manifest.project import find_root
    from sfxgen.recordings import enhance as run_enhance

    for line in run_enhance(find_root(project or Path()), recording, out, noise=noise, amount=amount):
        print(line)
