"""How plans, progress and results look: tables and a bar on a terminal, plain lines elsewhere, JSON for CI."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from sfxgen.events import Event, OnEvent

if TYPE_CHECKING:
    from sfxgen.build import Report
    from sfxgen.distill.ranking import Fit, Found
    from sfxgen.lock import LockedSound
    from sfxgen.plan import Planned, Planning

_NOTEWORTHY = ("failed", "warning", "left", "waiting")


def show_plan(planning: Planning, as_json: bool) -> None:
    """Every sound with where it starts from and why it must run."""
    if as_json:
        for planned in planning.plan.sounds:
            print(json.dumps(_planned_json(planned), ensure_ascii=False))
        return
    rows = []
    for planned in planning.plan.sounds:
        start = _start_of(planned)
        why = ", ".join(planned.reasons) or "up to date"
        rows.append((planned.job.name, planned.job.kind, start, str(len(planned.job.slots)), why))
    print_table(("sound", "kind", "starts from", "files", "why"), rows)
    for path in planning.plan.orphans:
        print(f"will be removed, no sound makes it any more: {path}")
    _say_warnings(planning)
    print(f"{len(planning.plan.stale)} of {len(planning.plan.sounds)} sounds to make for {planning.plan.engine}")


def _start_of(planned: Planned) -> str:
    """Where a sound starts from, and what its prompt does with it."""
    start = planned.choice.why if planned.choice else "as written"
    job = planned.job
    if job.guided:
        return f"{start}; {job.guided.why}"
    if job.guide and job.rivals:
        rivals = ", ".join(f"{rival.kind} '{rival.preset}'" for rival in job.rivals)
        return f"{start}; the prompt will guide it, tried against {rivals}"
    return f"{start}; the prompt will guide it" if job.guide else start


def show_stale(planning: Planning, as_json: bool) -> bool:
    """For `build --check`: lists what is not up to date; whether nothing is."""
    plan = planning.plan
    others = [
        *plan.records,
        *(f"{path}: no sound makes it any more" for path in plan.orphans),
        *(f"{path}: {why}" for path, why in plan.left_alone.items()),
    ]
    fresh = not (plan.stale or others)
    if as_json:
        for planned in plan.stale:
            print(json.dumps({"event": "stale", **_planned_json(planned)}, ensure_ascii=False))
        for text in others:
            print(json.dumps({"event": "stale", "text": text}, ensure_ascii=False))
        return fresh
    for planned in plan.stale:
        print(f"stale: {planned.job.name} ({planned.place}): {', '.join(planned.reasons)}")
    for text in others:
        print(f"stale: {text}")
    if fresh:
        print(f"{len(plan.sounds)} sounds, all up to date")
    else:
        print(f"{len(plan.stale)} of {len(plan.sounds)} sounds are stale; run `sfxgen build` and commit the result")
    return fresh


@contextlib.contextmanager
def progress(as_json: bool) -> Iterator[OnEvent]:
    """A receiver of a build's events."""
    if as_json:
        yield lambda event: print(event.to_json(), flush=True)
        return
    if not sys.stderr.isatty():
        yield _plain_line
        return
    from rich.console import Console  # it takes as long to load as planning a few hundred sounds
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("making sounds", total=None, visible=False)

        def on_event(event: Event) -> None:
            if event.kind == "planned":
                bar.update(task, total=event.data["stale"], visible=True)
            elif event.kind == "made":
                bar.update(task, advance=1, description=escape(event.sound))
            elif event.kind == "guiding":
                step = f"{event.data['step']}/{event.data['of']}"
                bar.update(task, description=escape(f"guiding {event.sound[:40]} {step}"))
            elif event.kind == "working":
                bar.update(task, description=escape(f"{event.sound[:40]}: {event.text[:80]}"))
            elif event.kind in _NOTEWORTHY:
                bar.console.print(f"{event.kind}: {event.text}", markup=False, highlight=False)

        yield on_event


@contextlib.contextmanager
def watching(as_json: bool) -> Iterator[OnEvent]:
    """A receiver for watch mode: a line an event, as it happens."""
    if as_json:
        yield lambda event: print(event.to_json(), flush=True)
    else:
        yield _plain_line


def _plain_line(event: Event) -> None:
    if event.kind == "made":
        print(f"made {event.sound} in {event.data['seconds']:.2f} s ({event.text})", flush=True)
    elif event.kind == "planned":
        print(f"{event.data['stale']} of {event.data['sounds']} sounds to make", flush=True)
    elif event.kind == "sketched":
        print(f"made {event.sound} in {event.data['seconds']:.2f} s, as it starts; guiding it …", flush=True)
    elif event.kind in ("guiding", "working"):
        return  # many a second
    else:
        stream = sys.stderr if event.kind in _NOTEWORTHY else sys.stdout
        print(f"{event.kind}: {event.text}", file=stream, flush=True)


def show_report(report: Report, as_json: bool, everything: bool = False) -> None:
    """The summary after a build: a row for each sound that was made (or for every sound), then what needs a look."""
    lock = report.planning.lock
    if as_json:
        summary = {"event": "done", "made": len(report.made), "failed": len(report.failed)}
        print(json.dumps(summary | {"left_alone": report.left_alone, "removed": report.removed}))
        return
    _say_warnings(report.planning)
    names = sorted(lock.sounds if everything else report.made)
    if names:
        seconds = {name: f"{spent_s:.2f}" for name, spent_s in report.made.items()}
        rows = [(name, *_measures(lock.sounds[name]), seconds.get(name, "fresh")) for name in names]
        print_table(("sound", "files", "duration s", "loudness LUFS", "true peak dBTP", "loop", "time s"), rows)
    for name in names:
        guided = lock.sounds[name].guided
        if guided:
            spent = f", {report.made[name]:.1f} s" if name in report.made else ""
            print(f"{name}: {guided.why}; {guided.steps} steps{spent}")
    for path, why in report.left_alone.items():
        print(f"left alone: {path}: {why}", file=sys.stderr)
    keys = {name: sound.key for name, sound in lock.sounds.items() if name not in report.made}
    fresh = sum(keys.get(planned.job.name) == planned.job.key for planned in report.planning.plan.sounds)
    removed = f", {len(report.removed)} files removed" if report.removed else ""
    print(f"{len(report.made)} sounds made, {fresh} up to date, {len(report.failed)} failed{removed}")


def _measures(sound: LockedSound) -> tuple[str, ...]:
    """Files, duration, loudness, true peak and loop of a sound, as spans over its files."""
    files = list(sound.files.values())
    return (
        str(len(files)),
        _span([file.n_frames / file.rate_hz for file in files], 2),
        _span([file.loudness_lufs for file in files], 1),
        _span([file.true_peak_dbtp for file in files], 1),
        "yes" if any(file.loop for file in files) else "",
    )


def _span(values: list[float] | list[float | None], digits: int) -> str:
    finite = [value for value in values if value is not None]
    if not finite:
        return "silent"
    low, high = (f"{value:.{digits}f}" for value in (min(finite), max(finite)))
    return low if low == high else f"{low} … {high}"


def show_built(sounds: Mapping[str, LockedSound], as_json: bool) -> None:
    """A row a sound with its measures."""
    if as_json:
        for name, sound in sounds.items():
            print(json.dumps({"sound": name, "files": {path: vars(f) for path, f in sound.files.items()}}))
        return
    rows = [(name, *_measures(sound)) for name, sound in sorted(sounds.items())]
    print_table(("sound", "files", "duration s", "loudness LUFS", "true peak dBTP", "loop"), rows)


def show_credits(sounds: dict[str, LockedSound], as_json: bool) -> None:
    """A row a recording: whom to name for it under which licence, and the sounds that it has a hand in."""
    from sfxgen.report import credited

    found = list(credited(sounds))
    if as_json:
        for recording in found:
            print(json.dumps(vars(recording), ensure_ascii=False))
        return
    if not found:
        print("no sound comes from a library's recordings: nobody is to be credited")
        return
    rows = [
        (r.credit, r.licence, r.name, r.source, ", ".join(f"{name} {share:.0%}" for name, share in r.sounds.items()))
        for r in found
    ]
    print_table(("credit", "licence", "recording", "from", "in"), rows)


def show_priors(as_json: bool) -> None:
    """A row a prior: ours first, then the pretrained ones that we know of."""
    from sfxgen.priors.known import installed
    from sfxgen.priors.names import LIBRARY, shipped_summary

    ours = shipped_summary()
    size = f"{ours.n_bytes / 1e6:.0f} MB"
    rows = [(LIBRARY, ours.about, "44.1", "30", size, ours.licences, "seconds", "yes: ships with sfxgen")]
    for standing in installed():
        known = standing.known
        window = f"{known.window_s:g}" if known.window_s else "?"
        size = f"{standing.n_bytes / 1e9:.1f} GB" if standing.n_bytes else "?"
        speed = f"about {standing.seconds:.2g} s" if standing.seconds else "?"
        here = "no: " + standing.obstacle if standing.obstacle else f"yes: {standing.commit[:12]}"
        rate = f"{known.rate_hz / 1000:g}"
        rows.append((known.name, known.about, rate, window, size, standing.licence, speed, here))
    columns = ("prior", "what it is", "rate kHz", "window s", "size", "licence", "5 s of sound takes", "usable here")
    if as_json:
        for row in rows:
            print(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False))
        return
    print_table(columns, rows)
    print(
        "'?': not known without the hub, or before it is downloaded. Any other diffusers pipeline of these kinds works."
    )


def show_presets(words: str, kind: str | None, as_json: bool) -> None:
    """All presets, or those that fit a prompt, the nearest first."""
    from sfxgen.errors import BadInput
    from sfxgen.manifest.presets import SYNTH_KINDS, presets, search

    if kind not in (None, *SYNTH_KINDS):
        raise BadInput(f"no kind '{kind}' has presets; expected one of {', '.join(SYNTH_KINDS)}")
    found = [(c.preset, c.score) for c in search(words, kind) if c.score > 0] if words else []
    rows = found if words else [(preset, 1.0) for preset in presets().values() if kind in (None, preset.kind)]
    if as_json:
        for preset, score in rows:
            row = {"name": preset.name, "kind": preset.kind, "caption": preset.caption, "score": round(score, 3)}
            print(json.dumps(row, ensure_ascii=False))
        return
    if not rows:
        raise BadInput(f"no preset comes near to '{words}'; `sfxgen presets` lists all of them")
    fits = [(f"{score:.0%}",) if words else () for _, score in rows]
    cells = [(preset.name, preset.kind, preset.caption, *fit) for (preset, _), fit in zip(rows, fits, strict=True)]
    print_table(("preset", "kind", "what it sounds like", "fit")[: len(cells[0])], cells)


def show_fits(fits: Sequence[Fit], as_json: bool) -> None:
    """A row a prompt, best first; then what is left for everything that was not asked for."""
    if as_json:
        for fit in fits:
            print(json.dumps(vars(fit), ensure_ascii=False))
        return
    rows = [(one.prompt, f"{one.fit:.4g}", _percent(one.probability)) for one in fits]
    rest = 1.0 - sum(one.probability or 0.0 for one in fits)
    if fits and fits[0].probability is not None and rest > 0.001:
        rows.append(("something else of the vocabulary", "", _percent(rest)))
    print_table(("sounds like", "fit", "probability"), rows)


def show_found(found: Sequence[Found], as_json: bool) -> None:
    """A row a stretch, by time."""
    if as_json:
        for one in found:
            print(json.dumps(vars(one), ensure_ascii=False))
        return
    if not found:
        print("nothing detected")
        return
    rows = [(f"{one.start_s:.2f}", f"{one.end_s:.2f}", one.prompt, _percent(one.probability)) for one in found]
    print_table(("from s", "to s", "what", "probability"), rows)


def _percent(probability: float | None) -> str:
    """Not known is said, not guessed."""
    return "not measured" if probability is None else f"{probability:.0%}"


def _planned_json(planned: Planned) -> dict[str, object]:
    return {
        "sound": planned.job.name,
        "kind": planned.job.kind,
        "place": planned.place,
        "reasons": planned.reasons,
        "files": [slot.path for slot in planned.job.slots],
        "choice": planned.choice.to_json() if planned.choice else None,
        "guided": {"by": list(planned.job.prior), "why": _start_of(planned)} if planned.job.guide else None,
    }


def _say_warnings(planning: Planning) -> None:
    for warning in planning.project.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """On standard output; where that is no terminal, wide enough that no row is broken."""
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False)
    for column in columns:
        numeric = column.split()[-1] in ("s", "LUFS", "dBTP", "files", "fit", "probability")
        table.add_column(column, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*map(escape, row))
    console = Console(highlight=False)
    (console if console.is_terminal else Console(highlight=False, width=200)).print(table)
