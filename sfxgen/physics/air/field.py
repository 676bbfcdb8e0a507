"""The sound field of a body's modes: boundary elements over its skin.

A closed skin: the equation of Burton & Miller. A thin wall: as a sheet, whose two sides differ in pressure. Everything
is relative to the body's first size, and to ρ₀ c for pressures: a mode's wave number times the size depends on the
speed of sound in the material alone, so that one solve serves every size.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lu_factor, lu_solve

from sfxgen.events import untold
from sfxgen.physics.air.kernels import Complex, Layers, burton_miller, hypersingular
from sfxgen.physics.meshing.triangles import areas, normals
from sfxgen.physics.modal.families import Modes
from sfxgen.physics.modal.shapes import Array

VERSION = "1"  # part of the cache keys: raise it when the same modes would give another field
PANELS_A_WAVE = 4.0  # of the air; modes above are left to the quick law
ALIKE = 0.03  # relative distance of wave numbers that one solve serves …
ALIKE_TURN = 0.5  # … if waves across the body then differ by no more than this (rad)
COUPLING = 10.0  # β = i / k, of Burton & Miller, but no more than i / COUPLING: at low k the first equation is better
N_DIRECTIONS = 400
SEEN = 0.5  # of a mode's motion, that moves a sheet, or the sheet does not know it


@dataclass(frozen=True)
class Field:
    """Of the lowest n modes of a body.

    corners: [panels, 3, 3]; moved: [panels, n], outward displacement for unit modal mass; pressure: [panels, n], on the
    skin, or its jump across a sheet, over ρ₀ c for a unit of modal velocity; wave_number: [n], times the first size.
    radiated: [n], the integral of the squared far field over all directions: half of it times ρ₀ c is the power of a
    unit of modal velocity. known: [n], False for modes that move along a sheet, of which it hears nothing.
    """

    corners: Array
    moved: Array
    pressure: Complex
    wave_number: Array
    is_sheet: bool
    radiated: Array
    known: NDArray[np.bool_]

    @property
    def nearest(self) -> float:
        """How near to the middle of a panel `at` holds: the panels' mean edge; 0 where there are none."""
        return edge_length(self.corners)

    def at(self, place: Array) -> Complex:
        """Pressure over ρ₀ c for a unit of modal velocity at a place [3], no nearer to the skin than `nearest`; [n].
        Kirchhoff's integral, the direction of time e^{-iωt}."""
        way = place - self.corners.mean(axis=1)
        r = np.linalg.norm(way, axis=1)
        kr = np.outer(r, self.wave_number)
        wave = np.exp(1j * kr) / (4 * np.pi * r)[:, None]
        across = (way * normals(self.corners)).sum(axis=1) / 2 / r**2  # n·(x - y) / r² times the panel's area
        heard = (self.pressure * (1 - 1j * kr) * wave * across[:, None]).sum(axis=0)
        if not self.is_sheet:
            size = areas(self.corners)[:, None]
            heard -= (1j * self.wave_number * self.moved * wave * size).sum(axis=0)
        return np.asarray(heard)

    def to_bytes(self) -> bytes:
        """An npz file; equal fields give equal bytes."""
        stream = io.BytesIO()
        np.savez(
            stream, corners=self.corners, moved=self.moved, pressure=self.pressure, wave_number=self.wave_number,
            is_sheet=np.array(self.is_sheet), radiated=self.radiated, known=self.known,
        )  # fmt: skip
        return stream.getvalue()

    @staticmethod
    def from_bytes(data: bytes) -> Field:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return Field(**{name: arrays[name] for name in arrays.files if name != "is_sheet"},
                         is_sheet=bool(arrays["is_sheet"]))  # fmt: skip


def field(modes: Modes, speed_ratio: float, tell: Callable[[str], None] = untold) -> Field:
    """Of modes that know their panels. speed_ratio: √(E/ρ) of the material over the speed of sound in air; tell: is
    told how it goes on."""
    corners, is_sheet = modes.panels.corners, modes.panels.is_sheet
    wave_number = modes.omega * speed_ratio
    n = int(np.searchsorted(wave_number, 2 * np.pi / (PANELS_A_WAVE * edge_length(corners)))) if len(corners) else 0
    wave_number, moved = wave_number[:n], modes.moved[:, :n]
    pressure = np.zeros(moved.shape, dtype=np.complex128)
    if n:
        layers = Layers.of(corners)
        for group in _alike(wave_number, float(np.ptp(corners.reshape(-1, 3), axis=0).max())):
            tell(f"sound field of {group.start} of {n} modes")
            pressure[:, group] = on_skin(layers, wave_number[group], moved[:, group], is_sheet)
    both = (areas(corners)[:, None] * moved**2).sum(axis=0) * (2 if is_sheet else 1)
    known = both > SEEN * modes.skin[:n] if is_sheet else np.ones(n, dtype=bool)
    found = Field(corners, moved, pressure, wave_number, is_sheet, np.zeros(n), known)
    return replace(found, radiated=all_round(found))


def edge_length(corners: Array) -> float:
    """The mean edge of triangles [n, 3, 3]; 0 of none."""
    return float(np.sqrt(areas(corners).mean() * 4 / np.sqrt(3))) if len(corners) else 0.0


def on_skin(layers: Layers, k: Array, moved: Array, is_sheet: bool) -> Complex:
    """Pressure, or its jump, over ρ₀ c for velocities [panels, m] at about the wave numbers k [m], [panels, m]."""
    at = float(np.sqrt(k[0] * k[-1]))
    slope = 1j * k * moved
    if is_sheet:
        return np.asarray(lu_solve(lu_factor(hypersingular(layers, at)), slope))
    left, right = burton_miller(layers, at, 1j / max(at, COUPLING))
    return np.asarray(lu_solve(lu_factor(left), -(right @ slope)))


def _alike(k: Array, across: float) -> list[slice]:
    """Runs of wave numbers, ascending, that one solve serves."""
    groups, begin = [], 0
    for i in range(1, len(k) + 1):
        if i == len(k) or k[i] > k[begin] + min(ALIKE * k[begin], ALIKE_TURN / across):
            groups.append(slice(begin, i))
            begin = i
    return groups


def all_round(found: Field) -> Array:
    """`radiated`, by the far field in evenly spread directions."""
    i = np.arange(N_DIRECTIONS) + 0.5
    z, turn = 1 - 2 * i / N_DIRECTIONS, np.pi * (1 + np.sqrt(5)) * i
    directions = np.stack([np.sqrt(1 - z**2) * np.cos(turn), np.sqrt(1 - z**2) * np.sin(turn), z], axis=1)
    middles, across = found.corners.mean(axis=1), normals(found.corners) / 2
    ahead, facing = directions @ middles.T, directions @ across.T
    size = areas(found.corners)
    total = np.zeros(len(found.wave_number))
    for j, k in enumerate(found.wave_number):
        wave = np.exp(-1j * k * ahead)
        far = (wave * facing) @ (-1j * k * found.pressure[:, j])
        if not found.is_sheet:
            far -= wave @ (1j * k * found.moved[:, j] * size)
        total[j] = (np.abs(far) ** 2).mean() / (4 * np.pi)
    return total
