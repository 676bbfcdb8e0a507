"""`texture:` as distillation sees it."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sfxgen.generate.tunable import Knob, SynthRenderer, within
from sfxgen.manifest.texture import Band, Envelope, Grains, Texture
from sfxgen.synths.texture import TextureSynth, TextureVariation, draw_noise, draw_shower

KNOBS = {
    "log_centre": Knob.log(0.4, 25, 18_000),
    "log_width": Knob.log(0.4, 0.1, 8),
    "level_db": Knob(4.0, -70, 0),
    "gust_db": Knob(2.0, 0, 14),
    "rise_octaves": Knob(0.4, -2, 2),
    "wander_octaves": Knob(0.2, -1, 1),
    "log_times": Knob.log(0.6, 1e-4, 20),
    "tilt_db": Knob(1.0, -9, 9),
    "grain_log_centre": Knob.log(0.4, 40, 16_000),
    "grain_log_duration": Knob.log(0.5, 0.0005, 1.0),
    "grain_level_db": Knob(4.0, -70, 0),
    "grain_chirp": Knob(0.3, -2, 2),
}
N_BANDS = 6


class TextureRenderer(SynthRenderer):
    """A `texture:` spec, made free. Bands that stand still stay so: moving one costs more than all the rest."""

    def __init__(self, spec: Texture, duration_s: float, rate_hz: int) -> None:
        self.spec = spec
        n_frames = max(2, round(duration_s * rate_hz))
        synth = TextureSynth(spec, n_frames, rate_hz)
        moving = torch.tensor([bool(b.rise_octaves or b.wander_octaves) for b in spec.bands], dtype=torch.bool)
        enveloped = torch.tensor([(b.envelope or spec.envelope) is not None for b in spec.bands], dtype=torch.bool)
        gusty = torch.tensor([b.gust_db > 0 for b in spec.bands], dtype=torch.bool)
        free = {
            "rise_octaves": moving & enveloped,
            "wander_octaves": torch.tensor([bool(b.wander_octaves) for b in spec.bands], dtype=torch.bool),
            "gust_db": gusty,
            "log_times": enveloped[:, None].expand(-1, 4),
        }
        one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
        level_db = torch.zeros(1, len(spec.bands), dtype=torch.float64)

        def variation(seed: int) -> TextureVariation:
            rng = np.random.Generator(np.random.PCG64(seed))
            noise, gusts = draw_noise(spec, rng, n_frames, rate_hz)
            showers = tuple(draw_shower(g, spec.envelope, rng, n_frames, rate_hz, False) for g in spec.grains)
            return TextureVariation(one, one, one, zero, level_db, noise, gusts, showers)

        super().__init__(synth, KNOBS, variation, free)

    def spec_at(self, theta: Tensor) -> Texture:
        """The spec of θ, with the rates of gusts and grains that the start has."""
        v = {name: value.detach() for name, value in self.values(theta).items()}
        bands = tuple(self._band(i, v) for i in range(len(self.spec.bands)))
        grains = tuple(self._shower(i, v) for i in range(len(self.spec.grains)))
        tilt = within(float(v["tilt_db"]), -12, 12)
        return self.spec.model_copy(update={"bands": bands, "grains": grains, "tilt_db_per_octave": tilt})

    def _band(self, i: int, v: dict[str, Tensor]) -> Band:
        band = self.spec.bands[i]
        delay_s, attack_s, hold_s, decay_s = torch.exp(v["log_times"][i]).tolist()
        times = {
            "delay_s": within(delay_s, 0, 60),
            "attack_s": within(attack_s, 0, 60),
            "hold_s": within(hold_s, 0, 60),
            "decay_s": within(decay_s, 0.001, 60),
        }
        moved = {
            "centre_hz": within(float(torch.exp(v["log_centre"][i])), 20, 20_000),
            "width_octaves": within(float(torch.exp(v["log_width"][i])), 0.05, 10),
            "level_db": within(float(v["level_db"][i]), -90, 0),
            "gust_db": within(float(v["gust_db"][i]), 0, 20),
            "wander_octaves": within(float(v["wander_octaves"][i]), -2, 2),
            "rise_octaves": within(float(v["rise_octaves"][i]), -6, 6),
            "envelope": Envelope(**times) if band.envelope or self.spec.envelope else None,
        }
        return band.model_copy(update=moved)

    def _shower(self, i: int, v: dict[str, Tensor]) -> Grains:
        def span(values: Tensor, low: float, high: float) -> tuple[float, ...]:
            return tuple(within(x, low, high) for x in sorted(values.tolist()))

        ranges = {
            "centre_hz": span(torch.exp(v["grain_log_centre"][i]), 20, 20_000),
            "duration_s": span(torch.exp(v["grain_log_duration"][i]), 0.0002, 2),
            "level_db": span(v["grain_level_db"][i], -90, 0),
            "chirp_octaves": within(float(v["grain_chirp"][i]), -3, 3),
        }
        return self.spec.grains[i].model_copy(update=ranges)


def drawn(rng: np.random.Generator) -> Texture:
    """A random start: noise bands across the spectrum, each with its own course, and a shower."""
    once = rng.random() < 0.6
    centres = np.geomspace(80, 9000, N_BANDS) * 2 ** rng.uniform(-0.5, 0.5, N_BANDS)

    def envelope() -> dict[str, float]:
        attack_s, hold_s, decay_s = (float(10**x) for x in rng.uniform([-3, -2.5, -1.2], [-0.3, -0.3, 0.5]))
        return {"attack_s": attack_s, "hold_s": hold_s, "decay_s": decay_s}

    bands = [
        {
            "centre_hz": float(centre),
            "width_octaves": float(2 ** rng.uniform(-1.5, 1.5)),
            "level_db": float(rng.uniform(-45, -12)),
            "envelope": envelope() if once else None,
            "gust_db": float(rng.uniform(0, 6)),
            "gust_hz": float(10 ** rng.uniform(-0.5, 1.2)),
        }
        for centre in centres
    ]
    centre_hz = float(10 ** rng.uniform(2.2, 3.8))
    duration_s = float(10 ** rng.uniform(-2.7, -1))
    grains = {
        "rate_hz": float(10 ** rng.uniform(0, 2)),
        "centre_hz": [centre_hz, min(2e4, 3 * centre_hz)],
        "duration_s": [duration_s, 3 * duration_s],
        "envelope": envelope() if once else None,
    }
    return Texture.model_validate({"bands": bands, "grains": [grains] if rng.random() < 0.5 else []})
