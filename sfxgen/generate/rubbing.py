"""What sliding and rolling make of the bodies of a scene, by the model of `physics.friction`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.signal import oaconvolve

from sfxgen.generate.ringers import Ringer, struck
from sfxgen.manifest.scene import Scene
from sfxgen.physics import friction
from sfxgen.physics.modal.shapes import Array
from sfxgen.physics.moving.events import FLATTEST_M, FRAME_S, Rub
from sfxgen.physics.moving.things import ROUND, Thing
from sfxgen.synths.blows import ring

RUB_S = 1.5  # length of a body's answer to rubbing
STILL_M_S = 5e-3  # rubbing slower than this is not heard
QUIETEST = 3e-4  # rubs of less than this share of the hardest, by load times speed, are left out
ON_FACE = 0.98  # of a normal along the axis of a disc
UNEVEN = 0.3  # how much a wheel's own shape presses as it turns


def rubbed(
    spec: Scene, rubs: Sequence[Rub], things: Sequence[Thing], ringers: dict[int, Ringer], start_s: float, n_most: int,
    rate_hz: int, rng: np.random.Generator,
) -> list[Array]:  # fmt: skip
    """Of each body of each pair (Pa at a metre), from start_s on, n_most frames at most."""
    work = [float((rub.force_n * rub.sweep_m_s).sum()) for rub in rubs]
    parts = []
    for rub, done in zip(rubs, work, strict=True):
        heard = np.flatnonzero((rub.sweep_m_s > STILL_M_S) & (rub.force_n > 0))
        if not len(heard) or done < QUIETEST * max(work):
            continue
        cut = slice(int(heard[0]), int(heard[-1]) + 1)
        force = 10 ** (spec.rubbing_db / 20) * _force(spec, rub, cut, things, rate_hz, rng)
        begin = round(((rub.begin + cut.start) * FRAME_S - start_s) * rate_hz)
        force = force[max(0, -begin) :]
        begin = max(0, begin)
        for side, index in enumerate((rub.first, rub.second)):
            ringer = ringers.get(index)
            if ringer is None or not len(ringer.partials.frequency_hz) or begin >= n_most or not len(force):
                continue
            wave = oaconvolve(force[: n_most - begin], _answer(ringer, index, rub, side, rate_hz) / rate_hz)
            parts.append(np.concatenate([np.zeros(begin), wave])[:n_most])
    return parts


def _force(spec: Scene, rub: Rub, cut: slice, things: Sequence[Thing], rate_hz: int, rng: np.random.Generator) -> Array:
    """The alternating force (N) over the frames of `cut`."""
    hop = round(FRAME_S * rate_hz)
    load, sweep = rub.force_n[cut], rub.sweep_m_s[cut]
    frames = np.arange(len(load))
    at = (np.arange(hop * len(load)) + 0.5) / hop - 0.5
    path = friction.path(np.maximum(np.interp(at, frames, sweep), 1e-6), rate_hz)
    materials = [spec.floor.material if i < 0 else things[i].material for i in (rub.first, rub.second)]
    radius_m = _wheel_m(rub, things)
    spots = _spots(rub, things)
    mean = float((load**2).sum() / load.sum())
    _, spot_m = friction.pressed(rub.contact, rub.contact.radius_m, mean / spots)
    height = friction.profile(friction.roughness(*materials), spot_m, path, rate_hz, rng, radius_m) / np.sqrt(spots)
    force = friction.changing_force(height, rub.contact, spots, load, hop, rate_hz)
    if radius_m:
        force = force * (1 + UNEVEN * friction.turning(path, radius_m, False, rng))
    return force


def _wheel_m(rub: Rub, things: Sequence[Thing]) -> float:
    """Radius of the smaller of the two that roll (m), 0 if none does: a ball, or what is round and not on its face."""
    radii = []
    for side, index in enumerate((rub.first, rub.second)):
        if index < 0 or things[index].body.shape not in ("sphere", *ROUND):
            continue
        if things[index].body.shape == "sphere" or abs(rub.local_normal[side, 2]) < ON_FACE:
            radii.append(things[index].body.extent[0] * things[index].size_m / 2)
    return min(radii, default=0.0)


def _spots(rub: Rub, things: Sequence[Thing]) -> int:
    """In how many places two things touch that are so far apart that their heights have nothing to do with one another:
    along the side of a cylinder one for every LONGEST_M, between faces friction.SPOTS."""
    for side, index in enumerate((rub.first, rub.second)):
        if index >= 0 and things[index].body.shape in ("cylinder", "tube") and abs(rub.local_normal[side, 2]) < 0.5:
            length_m = things[index].body.extent[2] * things[index].size_m
            return int(np.clip(length_m / friction.LONGEST_M, 1, friction.SPOTS))
    return friction.SPOTS if rub.contact.radius_m >= FLATTEST_M else 1


def _answer(ringer: Ringer, index: int, rub: Rub, side: int, rate_hz: int) -> Array:
    """The body's answer to an impulse of 1 N s where it is rubbed (Pa), while it lies."""
    points, along = struck(ringer, index, rub.local[None, side], rub.local_normal[None, side])
    gain = ringer.partials.gain[points] * along[:, None]
    decay = ringer.partials.decay_per_s * ringer.held
    floor, free = float(np.linalg.norm(gain)) * 1e-3, np.zeros(1, dtype=bool)
    at = np.zeros(1, dtype=np.int64)
    return ring(ringer.partials.frequency_hz, decay, at, gain, free, 1.0, floor, round(RUB_S * rate_hz), rate_hz)
