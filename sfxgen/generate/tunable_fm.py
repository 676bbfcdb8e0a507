"""`fm:` as distillation sees it."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from sfxgen.generate.tunable import Knob, SynthRenderer, within
from sfxgen.manifest.fm import Fm, Operator
from sfxgen.synths.fm import FmSynth, FmVariation
from sfxgen.synths.noise import white_spectrum

N_OPERATORS = 4  # as in Audio-SDS: a start with fewer gets silent ones that guidance may bring in
KNOBS = {
    "log_pitch": Knob.log(0.25, 20, 8000),
    "log_frequency": Knob.log(0.2, 0.05, 20_000),
    "detune_hz": Knob(4.0, -60, 60),
    "level": Knob(0.2, 0, 1),
    "index": Knob(0.8, 0, 12),
    "log_times": Knob.log(0.6, 1e-4, 8),
    "sustain": Knob(0.2, 0, 1),
    "sweep_semitones": Knob(4.0, -60, 60),
    "log_sweep_time": Knob.log(0.6, 0.005, 8),
    "vibrato_semitones": Knob(0.6, 0, 12),
    "tremolo_depth": Knob(0.2, 0, 1),
    "noise_level": Knob(0.1, 0, 0.7),
    "log_noise_centre": Knob.log(0.4, 40, 16_000),
    "log_noise_width": Knob.log(0.4, 0.2, 8),
}


class FmRenderer(SynthRenderer):
    """An `fm:` spec, made free. duration_s: of what is rendered, at rate_hz."""

    def __init__(self, spec: Fm, duration_s: float, rate_hz: int) -> None:
        self.spec = _enriched(spec)
        n_frames = max(2, round(duration_s * rate_hz))
        synth = FmSynth(self.spec, n_frames, rate_hz)
        n = len(self.spec.operators)
        may_modulate = torch.zeros(n, n, dtype=torch.bool)
        for place, j in enumerate(synth.order):
            may_modulate[list(synth.order[:place]), j] = True
        one = torch.ones(1, dtype=torch.float64)

        def variation(seed: int) -> FmVariation:
            rng = np.random.Generator(np.random.PCG64(seed))
            return FmVariation(one, one, one, one, torch.from_numpy(white_spectrum(rng, (1, n_frames // 2 + 1))))

        super().__init__(synth, KNOBS, variation, {"index": may_modulate})

    def spec_at(self, theta: Tensor) -> Fm:
        """The spec of θ, with the notes, rates and jitter that the start has."""
        v = {name: value.detach() for name, value in self.values(theta).items()}
        spec, times = self.spec, torch.exp(v["log_times"])
        operators = []
        for i, operator in enumerate(spec.operators):
            frequency = math.exp(float(v["log_frequency"][i]))
            at = {"ratio": within(frequency, 0.01, 64)} if operator.hz is None else {"hz": within(frequency, 0.1, 2e4)}
            shape = _shape(times[i], float(v["sustain"][i]), float(v["level"][i]))
            detune = {"detune_hz": within(float(v["detune_hz"][i]), -1e3, 1e3)}
            operators.append(operator.model_copy(update=at | shape | detune))
        low, high = spec.pitch_hz
        spread = math.sqrt(high / low)
        pitch = math.exp(float(v["log_pitch"]))
        start, end = v["sweep_semitones"].tolist()
        noise = _shape(times[-1], float(v["sustain"][-1]), float(v["noise_level"])) | {
            "centre_hz": within(math.exp(float(v["log_noise_centre"])), 20, 20_000),
            "width_octaves": within(math.exp(float(v["log_noise_width"])), 0.05, 8),
        }
        sweep = {
            "start_semitones": within(start, -96, 96),
            "end_semitones": within(end, -96, 96),
            "time_s": within(math.exp(float(v["log_sweep_time"])), 0.001, 60),
        }
        return spec.model_copy(
            update={
                "operators": tuple(operators),
                "modulation": tuple(tuple(within(x, 0, 50) for x in row) for row in v["index"].tolist()),
                "pitch_hz": (within(pitch / spread, 10, 20_000), within(pitch * spread, 10, 20_000)),
                "sweep": spec.sweep.model_copy(update=sweep),
                "vibrato": spec.vibrato.model_copy(
                    update={"depth_semitones": within(float(v["vibrato_semitones"]), 0, 48)}
                ),
                "tremolo": spec.tremolo.model_copy(update={"depth": within(float(v["tremolo_depth"]), 0, 1)}),
                "noise": spec.noise.model_copy(update=noise),
            }
        )


def drawn(rng: np.random.Generator) -> Fm:
    """A random start: anything from a click to a siren."""

    def shape(level: float) -> dict[str, float]:
        return {
            "level": level,
            "attack_s": float(10 ** rng.uniform(-3.5, -0.7)),
            "hold_s": float(10 ** rng.uniform(-3, -0.7)),
            "decay_s": float(10 ** rng.uniform(-1.3, 0.3)),
        }

    n = N_OPERATORS
    ratios = [1.0, *(float(2 ** rng.uniform(-2, 3)) for _ in range(n - 1))]
    operators = tuple(Operator(ratio=within(r, 0.01, 64), **shape(float(rng.uniform(0, 0.7)))) for r in ratios)
    index = np.triu(rng.exponential(1.5, (n, n)) * (rng.random((n, n)) < 0.5), 1)
    pitch_hz = float(10 ** rng.uniform(1.7, 3.3))
    return Fm.model_validate(
        {
            "pitch_hz": pitch_hz,
            "operators": [o.model_dump() for o in operators],
            "modulation": np.minimum(index, 12).tolist(),
            "sweep": {"start_semitones": float(rng.normal(0, 12)), "time_s": float(10 ** rng.uniform(-2, 0))},
            "noise": shape(float(rng.uniform(0, 0.3))) | {"centre_hz": float(10 ** rng.uniform(2, 4))},
        }
    )


def _enriched(spec: Fm) -> Fm:
    """With silent operators up to N_OPERATORS: they start with the first one's envelope."""
    n, missing = len(spec.operators), N_OPERATORS - len(spec.operators)
    if missing <= 0:
        return spec
    silent = spec.operators[0].model_copy(update={"level": 0.0, "hz": None, "detune_hz": 0.0})
    more = tuple(silent.model_copy(update={"ratio": ratio}) for ratio in (2.0, 0.5, 3.5)[:missing])
    given = spec.modulation or ((0.0,) * n,) * n
    rows = [*((*row, *(0.0,) * missing) for row in given), *((0.0,) * (n + missing),) * missing]
    return spec.model_copy(update={"operators": (*spec.operators, *more), "modulation": tuple(rows)})


def _shape(times: Tensor, sustain: float, level: float) -> dict[str, float]:
    attack_s, hold_s, decay_s, release_s = times.tolist()
    return {
        "level": within(level, 0, 1),
        "attack_s": within(attack_s, 0, 30),
        "hold_s": within(hold_s, 0, 60),
        "decay_s": within(decay_s, 0.001, 60),
        "sustain": within(sustain, 0, 1),
        "release_s": within(release_s, 0, 10),
    }
