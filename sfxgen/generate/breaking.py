"""What breaking adds to a scene: what shards ring like, cracks that release them, splinters too small to follow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfxgen.generate.recipe import Request
from sfxgen.generate.ringers import Ringer
from sfxgen.manifest.materials import OwnMaterial, constants
from sfxgen.physics import strike
from sfxgen.physics.contact import Contact
from sfxgen.physics.modal import modes as modal_analysis
from sfxgen.physics.modal.families import ModeFamily
from sfxgen.physics.modal.shapes import Array
from sfxgen.physics.moving.course import SHARP_M, Break
from sfxgen.physics.moving.events import Blows
from sfxgen.physics.moving.restitution import restitution
from sfxgen.physics.moving.shards import irregular, of_proportions, thinned
from sfxgen.physics.moving.things import GRAVITY_M_S2, NOTHING, Thing
from sfxgen.synths.blows import ring

CRACK_SPEED = 0.28  # of a crack, over that of a long wave in a bar (glass: 1,500 of 5,100 m/s)
RINGING = 0.2  # of the energy that the blow loses: leaves the cracks as the ringing of shards
RELEASE_M = 0.006  # of its edge that each release of stress lets go, one after another …
RELEASED_S = 0.008  # … in about this time
SPLINTERS = 5.0  # of each size class, over the number of shards
SIZES = (0.45, 0.32, 0.22, 0.15)  # of splinters, over the length of the middle shard
SPLINTER_SHARE = 0.03  # of the body's mass, at most
LEAST_M = 0.0015
HELD_SHARD = 8.0  # how much faster shards decay while they lie: they have little mass and touch at many points
HOPS = 6
SLOWEST_M_S = 0.1


def shard_ringer(
    shard_proportions: tuple[float, float, float], material_name: str | OwnMaterial, damping: float, request: Request,
    rng: np.random.Generator,
) -> Ringer:  # fmt: skip
    """Of a shard of that area (m²), thickness (m), and length over width: its partials are its own."""
    material = constants(material_name)
    member, length_m, ratio = of_proportions(*shard_proportions)
    key = modal_analysis.key(member, material.poisson)
    found = request.cached(key, lambda: modal_analysis.family(member, material.poisson).to_bytes())
    modes, body = thinned(ModeFamily.from_bytes(found).at(material.poisson), member, ratio)
    modes = irregular(modes, rng)
    partials = strike.partials(modes, body, length_m, material, damping, request.rate_hz)
    return Ringer(
        partials, modes.points * length_m, body.shape == "plate", np.array(body.extent) * length_m / 2, HELD_SHARD
    )


def shard_ringers(
    broken: Break, material: str | OwnMaterial, damping: float, request: Request, rng: np.random.Generator
) -> dict[int, Ringer]:
    """Shard's index → what rings."""
    return {
        i: shard_ringer((s.area_m2, s.wall_m, s.slender), material, damping, request, rng)
        for i, s in zip(broken.ids, broken.shards, strict=True)
    }


def releases(broken: Break, things: Sequence[Thing], rng: np.random.Generator) -> Blows:
    """The cracks as small blows on the shards: each is let go as the crack comes to it, which runs out from the blow,
    and again as it branches. Together they bring in RINGING of what the blow lost, shared by mass, unevenly."""
    material = constants(things[broken.index].material)
    speed = CRACK_SPEED * material.bar_speed_m_s
    rows: list[tuple[float, int, float, float, Array]] = []
    for i, shard in zip(broken.ids, broken.shards, strict=True):
        n = 1 + int(rng.poisson(math.sqrt(shard.area_m2) / RELEASE_M))
        away = float(np.linalg.norm(things[i].place - broken.place))
        at = broken.at_s + away / speed + np.concatenate([[0.0], rng.exponential(RELEASED_S, n - 1)])
        parts = rng.exponential(1.0, n) * np.exp(-(at - at[0]) / RELEASED_S)
        energy = RINGING * broken.stop.lost_j * shard.share * parts / parts.sum() * float(rng.lognormal(0, 0.5))
        impulse = np.sqrt(2 * shard.solid.mass_kg * energy)
        open_s = math.sqrt(math.sqrt(shard.area_m2) * shard.wall_m) / speed  # between passing along it and through it
        for t, p in zip(at, impulse, strict=True):
            corner = shard.hull[int(rng.integers(len(shard.hull)))]
            rows.append((float(t), i, float(p), open_s * float(rng.uniform(0.5, 1.5)), corner))
    n_rows = len(rows)
    local = np.array([[row[4], row[4]] for row in rows]).reshape(n_rows, 2, 3)
    normal = np.tile(np.array([0.0, 0.0, 1.0]), (n_rows, 2, 1))
    still = np.zeros(n_rows)
    return Blows(
        np.array([row[0] for row in rows]), np.array([row[1] for row in rows], dtype=np.int64),
        np.full(n_rows, NOTHING), np.array([row[2] for row in rows]), np.array([row[3] for row in rows]),
        still, still, local, normal,
    )  # fmt: skip


@dataclass(frozen=True)
class Showering:
    """Where splinters fly. floor: its material; damping: of them; start_s: what is time 0 of the sound."""

    floor: str | OwnMaterial
    damping: float
    start_s: float
    n_most: int


def splinters(
    broken: Break, things: Sequence[Thing], showering: Showering, request: Request, rng: np.random.Generator
) -> list[Array]:
    """The sound of the splinters of a break (Pa at a metre), a wave for each size: they fly as points that bounce, and
    ring as shards of their size. Fractures have many: their number grows as their size to the power of -1.5."""
    whole, material = things[broken.index], constants(things[broken.index].material)
    middle = sorted(broken.shards, key=lambda s: s.area_m2)[len(broken.shards) // 2]
    waves, mass_left = [], SPLINTER_SHARE * whole.solid.mass_kg
    for size in SIZES:
        length_m = math.sqrt(middle.area_m2) * size
        wall_m = min(middle.wall_m, length_m)
        mass = material.density_kg_m3 * length_m**2 * wall_m
        wanted = SPLINTERS / 4 * len(broken.shards) * (SIZES[0] / size) ** 1.5
        n = min(round(wanted), int(mass_left / len(SIZES) / mass))
        if n < 1 or length_m < LEAST_M:
            continue
        ringer = shard_ringer((length_m**2, wall_m, 1.3), whole.material, showering.damping, request, rng)
        blows = [_hops(broken, whole, mass, showering, rng) for _ in range(n)]
        waves.append(_rung(ringer, np.concatenate(blows), request.rate_hz, showering, rng))
    return waves


def _hops(broken: Break, whole: Thing, mass: float, showering: Showering, rng: np.random.Generator) -> Array:
    """One splinter's blows on the floor, [hops, 3]: at (s), impulse (N s), contact (s)."""
    material, ground = constants(whole.material), constants(showering.floor)
    compliance = sum((1 - m.poisson**2) / m.youngs_pa for m in (material, ground))
    thrown = broken.speed_m_s * rng.lognormal(-1.0, 0.6)
    way = rng.standard_normal(3)
    up = float(thrown * (way / np.linalg.norm(way) + 0.5 * broken.normal)[2] + whole.velocity[2] * 0.2)
    height = max(0.001, float(broken.place[2]) + 0.2 * whole.reach_m * abs(float(rng.standard_normal())))
    at, rows = broken.at_s, []
    for _ in range(HOPS):
        at += (up + math.sqrt(up**2 + 2 * GRAVITY_M_S2 * height)) / GRAVITY_M_S2
        speed, height = math.sqrt(up**2 + 2 * GRAVITY_M_S2 * height), 0.0
        if speed < SLOWEST_M_S:
            break
        # It lands on a corner, so that only some of its mass bears on the blow, and turns as it leaves.
        felt = mass * float(rng.uniform(0.3, 1))
        back = float(rng.uniform(0.3, 1)) * restitution(whole.material, showering.floor)
        contact = Contact(1 / compliance, SHARP_M, felt)
        rows.append((at, (1 + back) * felt * speed, float(contact.duration_s(np.array(speed)))))
        up = back * speed
    return np.array(rows).reshape(-1, 3)


def _rung(ringer: Ringer, blows: Array, rate_hz: int, showering: Showering, rng: np.random.Generator) -> Array:
    """All splinters of one size as one body that is struck anywhere."""
    blows = blows[np.argsort(blows[:, 0], kind="stable")]
    at = np.rint((blows[:, 0] - showering.start_s) * rate_hz).astype(np.int64)
    kept = (at >= 0) & (at < showering.n_most)
    blows, at = blows[kept], at[kept]
    partials = ringer.partials
    if not len(at) or not len(partials.frequency_hz):
        return np.zeros(0)
    points = rng.integers(len(ringer.points), size=len(at))
    amplitude = strike.amplitudes(partials, points, blows[:, 1], blows[:, 2])
    floor = float(np.linalg.norm(amplitude, axis=1).max()) * 1e-3
    free = np.zeros(1, dtype=bool)
    return ring(partials.frequency_hz, partials.decay_per_s, at, amplitude, free, 1.0, floor, showering.n_most, rate_hz)
