"""A body of a manifest's shape as many small grains: what fracture cuts, and walls are made of."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from sfxgen.physics.modal.elements import HEXAHEDRON
from sfxgen.physics.modal.shapes import Array, Body, Mesh, mesh

N_SAMPLES = 24_000  # grains that a body is divided into, about


@dataclass(frozen=True)
class Grains:
    """A body as many grains, lengths relative to its first size. places: [n, 3]; volumes: [n]; surface: [m, 3], points
    of the grains' corners, those on the skin among them."""

    places: Array
    volumes: Array
    surface: Array


@lru_cache(maxsize=32)
def grains(body: Body) -> Grains:
    """Every cell of the body's mesh divided evenly, along each of its axes into pieces about as long as wide."""
    part = mesh(body)
    signs = [np.array(flip) for flip in itertools.product((1, -1), repeat=len(body.mirrors))]
    corners = part.nodes[:, part.cells]  # [3, 20, cells]
    sides = [np.linalg.norm(_along(part, axis), axis=0).mean() for axis in range(3)]
    wanted = N_SAMPLES / len(signs) / part.cells.shape[1]
    n = _divisions(np.array(sides), wanted)
    middle = _lattice([(np.arange(k) + 0.5) / k for k in n])
    jacobian = np.einsum("aec,ebq->cqab", corners, HEXAHEDRON.gradients(middle), optimize=True)
    volumes = np.abs(np.linalg.det(jacobian)).T.ravel() / middle.shape[1]
    places = np.einsum("aec,eq->qca", corners, HEXAHEDRON.values(middle), optimize=True).reshape(-1, 3)
    ends = _lattice([np.linspace(0, 1, k + 1) for k in n])
    surface = np.einsum("aec,eq->qca", corners, HEXAHEDRON.values(ends), optimize=True).reshape(-1, 3)

    def whole(points: Array) -> Array:
        copies = []
        for flip in signs:
            sign = np.ones(3)
            sign[list(body.mirrors)] = flip
            copies.append(points * sign)
        return np.concatenate(copies)

    return Grains(whole(places), np.tile(volumes, len(signs)), whole(surface))


def _along(part: Mesh, axis: int) -> Array:
    """Vectors from one side of each cell to the other, along a local axis, [3, cells]."""
    place = np.full((3, 2), 0.5)
    place[axis] = 0.0, 1.0
    ends = np.einsum("aec,eq->qac", part.nodes[:, part.cells], HEXAHEDRON.values(place), optimize=True)
    return np.asarray(ends[1] - ends[0])


def _divisions(sides: Array, wanted: float) -> list[int]:
    """How many pieces along each side make about `wanted` of them, alike in length, one at least."""
    length = float((np.prod(sides) / wanted) ** (1 / 3))
    for _ in range(8):
        n = np.maximum(1, np.rint(sides / length))
        length *= float((np.prod(n) / wanted) ** (1 / 3))
    return [int(k) for k in np.clip(n, 1, 40)]


def _lattice(axes: Sequence[Array]) -> Array:
    return np.array(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)
