"""Renders of our own with exact captions: every preset, and a grid of struck things."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from bodies import BODIES, STRIKERS, Body

from sfxgen.audio import Audio
from sfxgen.disk import Disk
from sfxgen.generate import generate
from sfxgen.generate.recipe import Request
from sfxgen.library.captions import captions_from_name
from sfxgen.library.features import Facts, Sound, digest_of, sound_of
from sfxgen.lock import Lock
from sfxgen.manifest.presets import presets
from sfxgen.manifest.project import project_from_text
from sfxgen.mel import RATE_HZ
from sfxgen.plan import make_plan

LICENCE, CREDIT = "CC0-1.0", "sfxgen"
TAKES, LOOP_TAKES = 3, 2
LOOP_S, IMPACT_S = 3.0, 2.0  # longest stretch kept: a loop repeats, a free steel bar rings for ten seconds


def preset_sounds() -> Iterator[Sound]:
    """A few takes of each preset, captioned as the preset is."""
    for name, preset in presets().items():
        loop = bool(preset.entry.get("loop"))
        entry = {**preset.entry, preset.kind: {"preset": name}, "variations": LOOP_TAKES if loop else TAKES}
        first, _, rest = preset.caption.partition(", ")
        captions = captions_from_name("", [preset.caption, first, *([rest] if rest else [])])
        for number, take in enumerate(_takes(name, entry, {}), 1):
            longest_s = LOOP_S if loop else 2 * IMPACT_S
            yield _sound(f"preset/{name}_{number}", captions, entry, take, longest_s)


def impact_sounds() -> Iterator[Sound]:
    """Each body of the grid, struck by each striker, hard and soft."""
    for name, body in BODIES.items():
        modes: dict[str, bytes] = {}  # the eigenvalue problem of a body is the same whatever strikes it
        for striker, (spec, with_what) in STRIKERS.items():
            for force, (slow, fast) in {"hard": (4.0, 5.0), "soft": (0.4, 0.6)}.items():
                entry = {"impact": {"object": body.spec, "striker": spec, "speed_m_s": [slow, fast], **body.more}}
                title = f"{name}_{striker}_{force}"
                take = _takes(title, entry, modes)[0]
                yield _sound(f"impact/{title}", _impact_captions(body, with_what, force), entry, take, IMPACT_S)


def _impact_captions(body: Body, with_what: str, force: str) -> tuple[str, ...]:
    how, hit = ("hard", "hit") if force == "hard" else ("softly", "tap")
    noun, other = body.nouns
    return (
        f"{noun} struck {how} by {with_what}",
        f"{noun} {hit}",
        f"{other} {hit} with {with_what}",
        f"{'loud' if force == 'hard' else 'quiet'} {body.word} {'impact' if force == 'hard' else 'knock'}",
    )


def _takes(name: str, entry: Mapping[str, Any], memory: dict[str, bytes]) -> Sequence[Audio]:
    """The raw takes of one manifest entry, before mastering, at the house's rate."""
    root = Path()
    project = project_from_text(root, json.dumps({"version": 1, "sounds": {name: entry}}))
    job = make_plan(project, Lock(), Disk(root), "plain").sounds[0].job
    request = Request(RATE_HZ, job.duration_s, job.loop, root, cached=_remembered(memory))
    return generate(job.kind, job.body, [slot.draw for slot in job.slots], request)


def _remembered(memory: dict[str, bytes]) -> Callable[[str, Callable[[], bytes]], bytes]:
    def cached(key: str, make: Callable[[], bytes]) -> bytes:
        if key not in memory:
            memory[key] = make()
        return memory[key]

    return cached


def _sound(name: str, captions: tuple[str, ...], entry: Mapping[str, Any], take: Audio, longest_s: float) -> Sound:
    digest = digest_of(f"{name} {json.dumps(entry, sort_keys=True)}".encode())
    facts = Facts(f"sfxgen/{name}", captions, "sfxgen", LICENCE, CREDIT, "render", digest)
    loud = take.samples * (0.5 / take.peak)  # before mastering a take is as loud as physics has it
    rested = np.pad(loud, ((0, 0), (0, take.rate_hz // 50)))  # a tick of 10 ms is no recording by itself
    return sound_of(facts, rested, take.rate_hz, longest_s=longest_s)
