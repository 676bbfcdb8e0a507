"""The `fm:` section: a sound made by frequency modulation of a few sine operators."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from sfxgen.manifest.base import Between, Spec

Index = Annotated[float, Field(ge=0, le=50)]
Row = Annotated[tuple[Index, ...], Field(strict=False)]


class Shaped(Spec):
    """A level and its envelope: attack to full, hold, decay towards `sustain`, release where the note ends."""

    level: Annotated[float, Field(ge=0, le=1)] = Field(
        1.0, description="How loud it is heard, 0 to 1 of full scale. 0: it only modulates others."
    )
    attack_s: Annotated[float, Field(ge=0, le=30)] = Field(0.002, description="Rise from silence to full (s).")
    hold_s: Annotated[float, Field(ge=0, le=60)] = Field(0.0, description="Time at full before the decay (s).")
    decay_s: Annotated[float, Field(ge=0.001, le=60)] = Field(
        0.3, description="Time in which what is above `sustain` falls by 60 dB (s)."
    )
    sustain: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0, description="Where the decay ends, as a part of full (0 to 1)."
    )
    release_s: Annotated[float, Field(ge=0, le=10)] = Field(
        0.01, description="Fade to silence, finished where the note ends (s)."
    )


class Operator(Shaped):
    """One sine oscillator with its envelope."""

    ratio: Annotated[float, Field(ge=0.01, le=64)] = Field(1.0, description="Frequency as a multiple of the pitch.")
    hz: Annotated[float, Field(ge=0.1, le=20_000)] | None = Field(
        None, description="A fixed frequency (Hz), in place of `ratio`: it then follows neither pitch nor sweep."
    )
    detune_hz: Annotated[float, Field(ge=-1000, le=1000)] = Field(0.0, description="Added to the frequency (Hz).")


class Sweep(Spec):
    """A glide of the pitch that starts anew with every note."""

    start_semitones: Annotated[float, Field(ge=-96, le=96)] = Field(0.0, description="Offset at the note's start.")
    end_semitones: Annotated[float, Field(ge=-96, le=96)] = Field(0.0, description="Offset that it goes to.")
    time_s: Annotated[float, Field(ge=0.001, le=60)] = Field(
        0.2, description="The time constant of `settle`, the whole time of `steady` (s)."
    )
    curve: Literal["settle", "steady"] = Field(
        "settle", description="settle: fast at first, approaching the end. steady: even in semitones, then it stays."
    )


class Vibrato(Spec):
    """A periodic wave of the pitch."""

    rate_hz: Annotated[float, Field(ge=0.05, le=1000)] = Field(6.0, description="Waves a second (Hz).")
    depth_semitones: Annotated[float, Field(ge=0, le=48)] = Field(0.0, description="Largest offset, up and down.")


class Tremolo(Spec):
    """A periodic wave of the level."""

    rate_hz: Annotated[float, Field(ge=0.05, le=1000)] = Field(6.0, description="Waves a second (Hz).")
    depth: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="Part of the level that is taken away.")


class Note(Spec):
    """One step of a melody. Envelopes and sweep start anew; the note before is released by then."""

    at_s: Annotated[float, Field(ge=0, le=60)] = Field(description="Its start, from the start of the sound (s).")
    semitones: Annotated[float, Field(ge=-96, le=96)] = Field(0.0, description="Offset from the pitch.")
    level_db: Annotated[float, Field(ge=-60, le=0)] = Field(0.0, description="Its level beside the others (dB).")


class Noise(Shaped):
    """A band of noise beside the operators: breath, hiss, the click of a switch."""

    level: Annotated[float, Field(ge=0, le=1)] = Field(0.0, description="Level at full envelope (rms, full scale 1).")
    centre_hz: Annotated[float, Field(ge=20, le=20_000)] = Field(3000.0, description="Middle of the band (Hz).")
    width_octaves: Annotated[float, Field(ge=0.05, le=8)] = Field(
        2.0, description="Width between the −3 dB points (octaves)."
    )


class Fm(Spec):
    """Frequency modulation: sine operators, a matrix that says who modulates whom, and the course of the pitch."""

    pitch_hz: Annotated[tuple[float, float], Between(10, 20_000)] = Field(
        (440.0, 440.0), description="Pitch (Hz), or [low, high]: each variation takes its own."
    )
    operators: Annotated[tuple[Operator, ...], Field(strict=False, min_length=1, max_length=8)] = Field(
        (Operator(),), description="One to eight oscillators."
    )
    modulation: Annotated[tuple[Row, ...], Field(strict=False)] = Field(
        (),
        description="Row i, column j: how far operator i swings the phase of operator j (rad, 0 to 50). Empty: none.",
    )
    sweep: Sweep = Field(Sweep(), description="A glide of the pitch.")
    vibrato: Vibrato = Field(Vibrato(), description="A periodic wave of the pitch.")
    tremolo: Tremolo = Field(Tremolo(), description="A periodic wave of the level.")
    notes: Annotated[tuple[Note, ...], Field(strict=False, max_length=64)] = Field(
        (), description="A melody, in order of time. Empty: one note from the start."
    )
    noise: Noise = Field(Noise(), description="A band of noise beside the operators.")
    gain_db: Annotated[float, Field(ge=-60, le=12)] = Field(0.0, description="Level of the whole (dB).")
    jitter: Annotated[float, Field(ge=0, le=1)] = Field(
        0.3,
        description="How far variations stray, 0 (all alike) to 1 (pitch ±2 semitones, times ±27 %, modulation ±41 %, "
        "level ±6 dB).",
    )

    @field_validator("modulation")
    @classmethod
    def _acyclic_square(cls, matrix: tuple[Row, ...], info: ValidationInfo) -> tuple[Row, ...]:
        n = len(info.data.get("operators", ()))
        if not matrix or not n:  # operators at fault are reported as such
            return matrix
        if len(matrix) != n or any(len(row) != n for row in matrix):
            raise PydanticCustomError(
                "matrix", "the modulation matrix does not fit {n} operators; expected {n} rows of {n} numbers", {"n": n}
            )
        try:
            if any(any(row) for row in matrix):
                evaluation_order(matrix, n)
        except CycleError as error:
            path = " → ".join(str(i + 1) for i in error.args[1])
            raise PydanticCustomError(
                "cycle",
                "operators modulate each other in a circle ({path}); expected none that modulates itself, be it by way "
                "of others; set one of these to 0, or use a further operator",
                {"path": path},
            ) from error
        return matrix

    @field_validator("notes")
    @classmethod
    def _in_order(cls, notes: tuple[Note, ...]) -> tuple[Note, ...]:
        for before, after in itertools.pairwise(notes):
            if after.at_s <= before.at_s:
                raise PydanticCustomError(
                    "order",
                    "a note at {after} s is written after one at {before} s; expected notes in order of time",
                    {"after": f"{after.at_s:g}", "before": f"{before.at_s:g}"},
                )
        return notes


def evaluation_order(modulation: Sequence[Sequence[float]], n_operators: int) -> tuple[int, ...]:
    """An order of the operators in which each comes after all that modulate it (a topological order).

    modulation: [i][j], operator i modulates j, or empty. Raises graphlib.CycleError for a circle.
    """
    graph = {j: [i for i, row in enumerate(modulation) if row[j]] for j in range(n_operators)}
    return tuple(TopologicalSorter(graph).static_order())
