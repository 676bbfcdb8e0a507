"""What sounds in a scene: a body's partials and where it can be struck, and all its blows as one sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sfxgen.generate.bodies import Kind
from sfxgen.generate.recipe import Request
from sfxgen.manifest.materials import constants
from sfxgen.manifest.scene import Scene
from sfxgen.physics import strike
from sfxgen.physics.modal import modes as modal_analysis
from sfxgen.physics.modal.families import ModeFamily
from sfxgen.physics.modal.shapes import Array, Body
from sfxgen.physics.moving.events import Blows
from sfxgen.physics.moving.things import FLOOR
from sfxgen.physics.strike import Hearing, Partials
from sfxgen.synths.blows import ring

END_DB = -70.0  # a body is silent where its ringing has fallen this far below its hardest blow
HELD = 3.0  # how much faster a body decays while it lies: the "about 3" of `impact.damping`
FLOOR_SIZE_M = (2.0, 1.6)  # the part of a floor that sounds
FLOOR_OFFSET_M = (0.23, 0.17)  # of the scene from its middle, where many modes have a node
MOST_BLOWS = 2000  # on one body: the loudest
EDGEWISE = 0.1  # how much of a blow on the narrow side of a plate bends it


@dataclass(frozen=True)
class Ringer:
    """A body that sounds. points: [points, 3], where it can be struck (m), in its frame; flat: struck on its faces.
    half: its half extent (m); held: how much faster it decays while it lies."""

    partials: Partials
    points: Array
    flat: bool
    half: Array
    held: float = HELD


def ringer_of(kind: Kind, damping: float, rate_hz: int) -> Ringer:
    material = constants(kind.material)
    hearing = Hearing(kind.field) if kind.field else None  # bodies turn as they fall: from all sides
    partials = strike.partials(kind.modes, kind.rings, kind.rings_m, material, damping, rate_hz, hearing)
    half = np.array(kind.body.extent) * kind.size_m / 2
    return Ringer(partials, kind.points, kind.body.shape in ("bar", "plate"), half)


def floor_of(spec: Scene, request: Request) -> Ringer | None:
    if spec.floor.thickness_m is None:
        return None
    long_m, wide_m = FLOOR_SIZE_M
    body = Body("plate", (1.0, wide_m / long_m, float(f"{spec.floor.thickness_m / long_m:.12g}")))
    material = constants(spec.floor.material)
    key = modal_analysis.key(body, material.poisson)
    found = request.cached(key, lambda: modal_analysis.family(body, material.poisson).to_bytes())
    modes = ModeFamily.from_bytes(found).at(material.poisson)
    partials = strike.partials(modes, body, long_m, material, spec.floor.damping, request.rate_hz)
    return Ringer(partials, modes.points * long_m, True, np.array(body.extent) * long_m / 2)


def struck(ringer: Ringer, index: int, local: Array, normal: Array) -> tuple[NDArray[np.int64], Array]:
    """The points of the skin nearest to places [n, 3], and how much of each blow along `normal` moves them, [n]."""
    if index == FLOOR:
        spot = local * [1.0, 1.0, 0.0] + [*FLOOR_OFFSET_M, float(ringer.half[2])]
        spot[:, :2] = np.clip(spot[:, :2], -ringer.half[:2], ringer.half[:2])
        along = np.ones(len(local))
    else:
        # A little inwards across the blow: at an edge the face that is struck is then the nearest.
        out = (local * normal).sum(1, keepdims=True) * normal
        spot = local - 0.15 * (local - out)
        along = np.maximum(np.abs(normal[:, 2]), EDGEWISE) if ringer.flat else np.ones(len(local))
    return np.asarray(cKDTree(ringer.points).query(spot)[1], dtype=np.int64), along


def voice(
    index: int, ringer: Ringer, blows: Blows, start_s: float, lying: NDArray[np.bool_], n_most: int, rate_hz: int
) -> Array:
    """The sound of one body (Pa at a metre), [n], from start_s on."""
    rows, sides = np.nonzero(np.stack([blows.first == index, blows.second == index], axis=1))
    at = np.rint((blows.at_s[rows] - start_s) * rate_hz).astype(np.int64)
    keep = at < n_most
    if keep.sum() > MOST_BLOWS:
        keep &= blows.impulse_n_s[rows] >= np.sort(blows.impulse_n_s[rows][keep])[-MOST_BLOWS]
    rows, sides, at = rows[keep], sides[keep], at[keep]
    if not len(rows) or not len(ringer.partials.frequency_hz):
        return np.zeros(0)
    points, along = struck(ringer, index, blows.local[rows, sides], blows.local_normal[rows, sides])
    amplitude = strike.amplitudes(ringer.partials, points, blows.impulse_n_s[rows] * along, blows.contact_s[rows])
    floor = float(np.linalg.norm(amplitude, axis=1).max()) * 10 ** (END_DB / 20)
    partials = ringer.partials
    return ring(partials.frequency_hz, partials.decay_per_s, at, amplitude, lying, ringer.held, floor, n_most, rate_hz)
