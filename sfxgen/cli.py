"""The command line: a thin face over plan, build and watch. Each command imports what it needs when it runs."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sfxgen import __version__
from sfxgen.cli_options import Folder, Json, guarded
from sfxgen.cli_recordings import app as recordings
from sfxgen.errors import EXIT_BAD_INPUT, EXIT_FAILED, EXIT_STALE
from sfxgen.threads import one_a_process

if TYPE_CHECKING:
    from sfxgen.plan import Planning

_EPILOG = (
    "Exit codes: 0 done; 1 a sound could not be made or the machine refused; 2 bad input; 3 `build --check` found "
    "something stale; 4 done, but files that are not as sfxgen wrote them were left alone; 130 interrupted."
)
app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, epilog=_EPILOG
)

library = typer.Typer(no_args_is_help=True, help="A studio's own recordings as a prior; what ours holds.")
priors = typer.Typer(help="What prompts can be sampled from, and what this machine can run.")
app.add_typer(recordings)
app.add_typer(library, name="library")
app.add_typer(priors, name="priors")

Names = Annotated[list[str] | None, typer.Argument(help="Names of sounds; all when none is given.")]
Which = Annotated[
    str | None,
    typer.Option("--library", "-l", help="Its folder, or `library` for the one that ships. Default: ./library."),
]
Kind = Annotated[str | None, typer.Option("--kind", help="Only this kind: impact, scene, fm, texture or liquid.")]


def _version(wanted: bool) -> None:
    if wanted:
        print(f"sfxgen {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Sound effects for games, made from YAML manifests by impact physics, synthesis and score distillation."""


@app.command()
@guarded
def init(project: Folder = None) -> None:
    """Begin: a first manifest, sfxgen.yaml and the editor's schemas. What is there already stays."""
    from sfxgen.begin import begin

    for line in begin((project or Path()).resolve()):
        print(line)


@app.command()
@guarded
def check(project: Folder = None, as_json: Json = False) -> None:
    """Read every manifest and report all faults. Makes nothing."""
    from sfxgen.errors import ManifestError
    from sfxgen.sources import absent

    try:
        planning = _plan(project)
        gone = [fault for e in planning.project.entries for fault in absent(e, planning.lock, planning.disk)]
        if gone:
            raise ManifestError(gone)
    except ManifestError as error:
        if as_json:
            for fault in error.faults:
                print(json.dumps(vars(fault), ensure_ascii=False))
            raise typer.Exit(EXIT_BAD_INPUT) from None
        raise
    for warning in planning.project.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{len(planning.plan.sounds)} sounds in {len(planning.project.manifest_files)} manifests: no faults")


@app.command()
@guarded
def plan(names: Names = None, project: Folder = None, as_json: Json = False) -> None:
    """Show what a build would do, and why."""
    from sfxgen.show import show_plan

    show_plan(_plan(project, names), as_json)


@app.command()
@guarded
def build(
    names: Names = None,
    check: Annotated[bool, typer.Option("--check", help="Make nothing; fail where something is stale.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Make the sounds again even if they are fresh.")] = False,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, max=256, help="Processes to use.")] = None,
    summary: Annotated[bool, typer.Option("--summary", help="Show every sound's measures in the end.")] = False,
    project: Folder = None,
    as_json: Json = False,
) -> None:
    """Make every sound that is not up to date."""
    from sfxgen import show
    from sfxgen.build import build as run_build
    from sfxgen.manifest.project import find_root

    if check:
        fresh = show.show_stale(_plan(project, names), as_json)
        if not fresh:
            raise typer.Exit(EXIT_STALE)
        return
    with show.progress(as_json) as on_event:
        report = run_build(
            find_root(project or Path()), names=names or (), force=force, n_workers=jobs, on_event=on_event
        )
    show.show_report(report, as_json, everything=summary)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


@app.command()
@guarded
def watch(
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", min=1, max=256, help="Processes to hold.")] = None,
    project: Folder = None,
    as_json: Json = False,
) -> None:
    """Build, then build again at every save, until Ctrl-C."""
    from sfxgen.manifest.project import find_root
    from sfxgen.show import watching
    from sfxgen.watch import watch as run_watch

    with watching(as_json) as on_event:
        run_watch(find_root(project or Path()), n_workers=jobs, on_event=on_event)


@app.command()
@guarded
def clean(
    cache: Annotated[bool, typer.Option("--cache", help="Empty the cache as well.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    project: Folder = None,
) -> None:
    """Remove the files that sfxgen made and nobody changed since. Manifests stay."""
    from sfxgen.clean import clean as run_clean
    from sfxgen.manifest.project import find_root

    for line in run_clean(find_root(project or Path()), cache=cache, dry_run=dry_run):
        print(line)


@app.command()
@guarded
def schema(
    config: Annotated[bool, typer.Option("--config", help="The schema of sfxgen.yaml instead.")] = False,
) -> None:
    """Print the JSON Schema of a manifest, for editors."""
    from sfxgen.manifest.schema import config_schema, manifest_schema

    print(json.dumps(config_schema() if config else manifest_schema(), indent=2, ensure_ascii=False))


@app.command()
@guarded
def presets(
    words: Annotated[list[str] | None, typer.Argument(help="A prompt; all presets when none is given.")] = None,
    kind: Kind = None,
    as_json: Json = False,
) -> None:
    """List the presets that a prompt may start from, the nearest first."""
    from sfxgen.show import show_presets

    show_presets(" ".join(words or ()), kind, as_json)


@app.command()
@guarded
def play(
    sound: Annotated[str, typer.Argument(help="A sound's name, a preset's name, or a prompt.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write a WAV file instead of playing it.")] = None,
    layer: Annotated[str | None, typer.Option("--layer", help="A velocity layer; the first when not given.")] = None,
    index: Annotated[int, typer.Option("--index", min=1, help="Which variation.")] = 1,
    project: Folder = None,
) -> None:
    """Render one sound, mastered, to a file or the speaker. Works without a project for presets and prompts."""
    from sfxgen.manifest.project import find_root
    from sfxgen.play import play as run_play

    print(run_play(find_root(project or Path()), sound, out=out, layer=layer, index=index))


@app.command()
@guarded
def render(
    prompt: Annotated[str, typer.Argument(help="What it sounds like, in plain words.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The WAV file to write; name_01.wav … for several.")],
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="text, impact, scene, fm, texture, liquid; the prompt chooses when not given."),
    ] = None,
    variations: Annotated[int, typer.Option("--variations", "-n", min=1, max=64, help="How many to make.")] = 1,
    duration_s: Annotated[float | None, typer.Option("--seconds", min=0.01, max=120, help="Length.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Repeats without a seam.")] = False,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Fixes the random choices.")] = None,
    trace: Annotated[
        Path | None, typer.Option("--trace", help="Folder for a picture and a table of what guidance did.")
    ] = None,
    unguided: Annotated[bool, typer.Option("--no-guide", help="The preset as it is.")] = False,
    project: Folder = None,
) -> None:
    """Make finished WAV files from a prompt. Works without a project."""
    from sfxgen.manifest.project import find_root
    from sfxgen.render import render as run_render

    root = find_root(project or Path())
    for line in run_render(
        root,
        prompt,
        out,
        kind=kind,
        variations=variations,
        duration_s=duration_s,
        loop=loop,
        seed=seed,
        trace=trace,
        guide=not unguided,
    ):
        print(line)


@app.command()
@guarded
def report(
    names: Names = None,
    credits: Annotated[bool, typer.Option("--credits", help="Whose recordings the sounds come from.")] = False,
    project: Folder = None,
    as_json: Json = False,
) -> None:
    """Show what was built: measures of every sound, or the credits that a game must give. Needs only the lock."""
    from sfxgen.manifest.project import find_root
    from sfxgen.report import built_sounds
    from sfxgen.show import show_built, show_credits

    sounds = built_sounds(find_root(project or Path()), names or ())
    (show_credits if credits else show_built)(sounds, as_json)


@library.command()
@guarded
def add(
    folder: Annotated[Path, typer.Argument(help="Folder of recordings, searched through.")],
    which: Which = None,
    captions: Annotated[
        Path | None, typer.Option("--captions", help="CSV: file,caption[,licence,credit]; captions.csv in the folder.")
    ] = None,
    licence: Annotated[str, typer.Option("--licence", help="Of all recordings the table does not name.")] = "own",
    credit: Annotated[str, typer.Option("--credit", help="Whom to name for them.")] = "",
    project: Folder = None,
) -> None:
    """Add a folder of recordings to the project's own library. Nothing leaves this machine."""
    from sfxgen.manifest.project import find_root
    from sfxgen.shelf import add as run_add

    for line in run_add(find_root(project or Path()), folder, which, captions, licence, credit):
        print(line)


@library.command("list")
@guarded
def list_library(which: Which = None, project: Folder = None) -> None:
    """List the sounds of a library with their captions, licences and credits."""
    _show_shelf(which, project, "")


@library.command()
@guarded
def search(
    words: Annotated[list[str], typer.Argument(help="A prompt.")], which: Which = None, project: Folder = None
) -> None:
    """The sounds of a library that a prompt would draw on, the nearest first."""
    _show_shelf(which, project, " ".join(words))


@library.command()
@guarded
def remove(
    names: Annotated[list[str], typer.Argument(help="Names, or globs such as 'steps/*'.")],
    which: Which = None,
    project: Folder = None,
) -> None:
    """Take sounds out of the project's own library."""
    from sfxgen.manifest.project import find_root
    from sfxgen.shelf import remove as run_remove

    for line in run_remove(find_root(project or Path()), which, names):
        print(line)


@library.command("check")
@guarded
def check_library(which: Which = None, project: Folder = None) -> None:
    """Report what is missing in a library: captions, licences, credits; damage; the same sound twice."""
    from sfxgen.manifest.project import find_root
    from sfxgen.shelf import check as run_check

    findings = run_check(find_root(project or Path()), which)
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings")
    if findings:
        raise typer.Exit(EXIT_FAILED)


@priors.callback(invoke_without_command=True)
@guarded
def list_priors(context: typer.Context, as_json: Json = False) -> None:
    """What prompts can be sampled from: what ships, what is cached, what this machine can run."""
    if context.invoked_subcommand is None:
        from sfxgen.show import show_priors

        show_priors(as_json)


@priors.command()
@guarded
def pull(name: Annotated[str, typer.Argument(help="A hub id; id@revision pins it.")]) -> None:
    """Download a pretrained prior's weights into the hub's cache."""
    from sfxgen.priors.download import pull as run_pull

    print(run_pull(name))


@app.command()
@guarded
def doctor(project: Folder = None) -> None:
    """Say what is installed and usable here: device, ffmpeg, engine, caches, versions."""
    from sfxgen.doctor import examine
    from sfxgen.manifest.project import find_root

    for topic, finding in examine(find_root(project or Path())):
        print(f"{topic:<12} {finding}")


def _show_shelf(which: str | None, project: Path | None, words: str) -> None:
    from sfxgen.manifest.project import find_root
    from sfxgen.shelf import rows
    from sfxgen.show import print_table

    columns = ("sound", "captions", "duration s", "licence", "credit", "fit")
    print_table(columns[: 6 if words else 5], rows(find_root(project or Path()), which, words))


def _plan(project: Path | None, names: list[str] | None = None) -> Planning:
    from sfxgen.manifest.project import find_root
    from sfxgen.plan import plan_project

    return plan_project(find_root(project or Path()), names or ())


def main() -> None:
    """The entry point of the `sfxgen` program."""
    one_a_process()
    gc.set_threshold(100_000)  # a plan makes many small objects that live to its end: looking for cycles finds none
    app(prog_name="sfxgen")
