"""The integrals of the Helmholtz equation's layers over flat triangles, at the middles of those triangles.

With G = e^{ikr} / (4π r) and normals n: the single layer S = ∫ G, the double layer D = ∫ ∂G/∂n_y, its adjoint
D' = ∫ ∂G/∂n_x and the hypersingular H = ∫ ∂²G/∂n_x∂n_y. Each is its value at k = 0, which a flat triangle has in closed
form however near the point is, plus a difference that is smooth enough for three points. (Wilton et al., "Potential
integrals for uniform and linear source distributions on polygonal and polyhedral domains", 1984; the solid angle: Van
Oosterom & Strackee 1983; H at k = 0 is the field of a current around the triangle.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfxgen.physics.meshing.triangles import areas, normals
from sfxgen.physics.modal.shapes import Array

Complex = NDArray[np.complex128]

_RULE: Array = np.array([[4, 1, 1], [1, 4, 1], [1, 1, 4]]) / 6  # exact for quadratics; its points are not the middle
_BLOCK = 64  # rows at a time: the arrays stay in the processor's cache


@dataclass(frozen=True)
class Layers:
    """What depends on the panels alone. n panels; all [n, n], points along the rows, panels along the columns."""

    corners: Array
    middles: Array
    normals: Array
    areas: Array
    single: Array
    double: Array
    adjoint: Array
    hyper: Array

    @staticmethod
    def of(corners: Array) -> Layers:
        """corners: [n, 3, 3], turned so that normals point into the air."""
        size = areas(corners)
        normal = normals(corners) / (2 * size)[:, None]
        middles = corners.mean(axis=1)
        blocks = [
            _static(middles[i : i + _BLOCK], normal[i : i + _BLOCK], corners) for i in range(0, len(size), _BLOCK)
        ]
        single, double, adjoint, hyper = (np.concatenate(part) for part in zip(*blocks, strict=True))
        for matrix in (double, adjoint):
            np.fill_diagonal(matrix, 0.0)  # a flat panel does not see itself
        return Layers(corners, middles, normal, size, single, double, adjoint, hyper)


def _static(points: Array, facing: Array, corners: Array) -> tuple[Array, Array, Array, Array]:
    """S, D, D', H at k = 0. points, facing (their normals): [m, 3]; corners: [n, 3, 3]. Each [m, n]."""
    across = normals(corners)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    to = points[:, None, None] - corners  # [m, n, 3 corners, 3]
    distance = np.linalg.norm(to, axis=-1)
    height = (to[:, :, 0] * across).sum(axis=-1)
    angle = _solid_angle(to, distance)
    single, turning = -height * angle, np.zeros((*height.shape, 3))
    current = np.zeros_like(turning)
    for i in range(3):
        j = (i + 1) % 3
        side = corners[:, j] - corners[:, i]
        length = np.linalg.norm(side, axis=1)
        outwards = np.cross(side / length[:, None], across)  # within the plane, away from the triangle
        both = distance[:, :, i] + distance[:, :, j]
        logarithm = np.log((both + length) / np.maximum(both - length, 1e-12 * length))
        single -= (to[:, :, i] * outwards).sum(axis=-1) * logarithm
        turning += outwards * logarithm[..., None]
        product = distance[:, :, i] * distance[:, :, j]
        share = both / np.maximum(product * (product + (to[:, :, i] * to[:, :, j]).sum(axis=-1)), 1e-300)
        current += np.cross(to[:, :, i], to[:, :, j]) * share[..., None]
    adjoint = -(turning @ facing[..., None])[..., 0] - angle * (facing @ across.T)
    hyper = -(current @ facing[..., None])[..., 0]
    return single / (4 * np.pi), angle / (4 * np.pi), adjoint / (4 * np.pi), hyper / (4 * np.pi)


def _solid_angle(to: Array, distance: Array) -> Array:
    """That a triangle fills, > 0 from the side its normal points to. to: from its corners, [..., 3, 3]."""
    a, b, c = (to[..., i, :] for i in range(3))
    ra, rb, rc = (distance[..., i] for i in range(3))
    volume = (a * np.cross(b, c)).sum(axis=-1)
    below = ra * rb * rc + (a * b).sum(-1) * rc + (b * c).sum(-1) * ra + (c * a).sum(-1) * rb
    return np.asarray(2 * np.arctan2(volume, below))


def hypersingular(layers: Layers, k: float) -> Complex:
    """H at the wave number k, [n, n]."""
    return np.concatenate([layers.hyper[rows] + wave.hyper() for rows, wave in _waves(layers, k)])


def burton_miller(layers: Layers, k: float, coupling: complex) -> tuple[Complex, Complex]:
    """½ - D - βH and S + β (½ + D'), β the coupling, each [n, n]: the equation for the pressure, given its slope, that
    has one solution at every k (Burton & Miller, "The application of integral equation methods to the numerical
    solution of some exterior boundary-value problems", 1971)."""
    left, right = [], []
    for rows, wave in _waves(layers, k):
        left.append(-(layers.double[rows] + wave.double()) - coupling * (layers.hyper[rows] + wave.hyper()))
        right.append(layers.single[rows] + wave.single() + coupling * (layers.adjoint[rows] + wave.adjoint()))
    of_pressure, of_slope = np.concatenate(left), np.concatenate(right)
    diagonal = np.diag_indices(len(of_pressure))
    of_pressure[diagonal] += 0.5
    of_slope[diagonal] += 0.5 * coupling
    return of_pressure, of_slope


@dataclass(frozen=True)
class _Waves:
    """What k adds to the layers, for some points and all panels.

    terms: e^{ikr} - 1, (ikr - 1) e^{ikr} + 1 and (2 - 2ikr - k²r²) e^{ikr} - 2, which stand in G and its two slopes;
    over: the weights of the rule over 4πr, 4πr² and 4πr³; at_point, at_panel: cosines of the way from the panel with
    both normals. All [3 points of the rule, points, panels]. alike: cosine of the normals, known: see `hyper`;
    [points, panels].
    """

    terms: tuple[Complex, Complex, Complex]
    over: tuple[Array, Array, Array]
    at_point: Array
    at_panel: Array
    alike: Array
    known: Array

    def single(self) -> Complex:
        return _summed(self.over[0] * self.terms[0])

    def double(self) -> Complex:
        return -_summed(self.at_panel * self.over[1] * self.terms[1])

    def adjoint(self) -> Complex:
        return _summed(self.at_point * self.over[1] * self.terms[1])

    def hyper(self) -> Complex:
        """Its part that grows as 1/r, n_x·n_y k²/2 G at k = 0, is known in closed form: the rule takes the rest."""
        both = self.at_point * self.at_panel
        bent, turned = both * self.over[2], (self.alike - both) * self.over[2]
        return self.known - _summed(bent * self.terms[2] + turned * self.terms[1])


def _summed(parts: Complex) -> Complex:
    return np.asarray(parts.sum(axis=0))


def _waves(layers: Layers, k: float) -> Iterator[tuple[slice, _Waves]]:
    places = np.einsum("qi,nic->qnc", _RULE, layers.corners)
    for begin in range(0, len(layers.areas), _BLOCK):
        rows = slice(begin, begin + _BLOCK)
        way = layers.middles[None, rows, None] - places[:, None]
        r = np.sqrt(np.einsum("qmnc,qmnc->qmn", way, way))
        at_point = np.einsum("qmnc,mc->qmn", way, layers.normals[rows]) / r
        at_panel = np.einsum("qmnc,nc->qmn", way, layers.normals) / r
        alike = layers.normals[rows] @ layers.normals.T
        weight = layers.areas / (12 * np.pi) / r
        kr = k * r
        wave = np.cos(kr) + 1j * np.sin(kr)
        terms = wave - 1, (1j * kr - 1) * wave + 1, (2 - 2j * kr - kr**2) * wave - 2
        known = k**2 / 2 * alike * (layers.single[rows] - weight.sum(axis=0))
        yield rows, _Waves(terms, (weight, weight / r, weight / r**2), at_point, at_panel, alike, known)
