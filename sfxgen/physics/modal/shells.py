"""Thin shells: flat triangles with membrane and bending, six degrees of freedom a node, for what no lattice meets.

Bending is the discrete Kirchhoff triangle (Batoz, Bathe & Ho, "A study of three-node triangular plate bending
elements", 1980), which cannot lock: the wall does not shear. The membrane is Felippa's optimal triangle with drilling
rotations ("A study of optimal membrane triangles with drilling freedoms", 2003), so that flat neighbours have no free
rotation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csc_matrix

from sfxgen.physics.modal.shapes import Array, Index

# Of plane stress, E / (1 - ν²) (FIXED + ν CROSSED), for the strains xx, yy and 2 xy.
FIXED: Array = np.diag([1.0, 1.0, 0.5])
CROSSED: Array = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -0.5]])

_DRILLING = 0.32  # β0 of the membrane: (1 - 4 ν²) / 2 at ν = 0.3, one for all so that the stiffness is linear in ν
# Points of exact quadrature for quadratics, and the functions of six nodes: corners, then middles of 12, 23, 31.
_MIDDLES: Array = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5]])
_DEGREE_4: Array = np.array(
    [
        [a, b, 1 - a - b]
        for g in (0.445948490915965, 0.091576213509771)
        for a, b in ((g, g), (g, 1 - 2 * g), (1 - 2 * g, g))
    ]
)
_DEGREE_4_WEIGHTS: Array = np.repeat([0.223381589678011, 0.109951743655322], 3)


@dataclass(frozen=True)
class Facets:
    """points: [points, 3]; faces: [faces, 3], turned alike; walls: [faces], thickness of each."""

    points: Array
    faces: Index
    walls: Array


def assembled_shell(shell: Facets) -> tuple[tuple[csc_matrix, csc_matrix], csc_matrix]:
    """(K_crossed, K_fixed) and M for unit Young's modulus and density, [6 points, 6 points]; the stiffness is
    (ν K_crossed + K_fixed) / (1 - ν²). A point's degrees of freedom are its displacement and its rotation vector."""
    axes, flat = frames(shell)
    membrane, bending, mass = _membrane(flat, shell.walls), _bending(flat, shell.walls), _mass(flat, shell.walls)
    turn = _to_local(axes)
    dofs = (6 * shell.faces[:, :, None] + np.arange(6)).reshape(-1, 18)
    n = 6 * len(shell.points)

    def whole(blocks: Array) -> csc_matrix:
        turned = turn.transpose(0, 2, 1) @ blocks @ turn
        place = np.repeat(dofs, 18, axis=1).ravel(), np.tile(dofs, 18).ravel()
        matrix = coo_matrix((turned.ravel(), place), shape=(n, n)).tocsc()
        return ((matrix + matrix.T) / 2).tocsc()

    fixed, crossed = (whole(m + b) for m, b in zip(membrane, bending, strict=True))
    return (crossed, fixed), whole(mass)


def frames(shell: Facets) -> tuple[Array, Array]:
    """Of each face its axes [faces, 3 axes, 3], the last the normal, and its corners in them, [faces, 3, 2]."""
    corners = shell.points[shell.faces]
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    x = first / np.linalg.norm(first, axis=1, keepdims=True)
    z = np.cross(first, second)
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    axes = np.stack([x, np.cross(z, x), z], axis=1)
    flat = np.einsum("fic,fac->fia", corners - corners[:, :1], axes[:, :2])
    return axes, np.asarray(flat)


def out_of_plane(shell: Facets, vectors: Array) -> tuple[Array, Array, Array]:
    """Where the middles of the sides of all faces are [3 faces, 3], their share of the area [3 faces], and how far
    `vectors` [6 points, modes] move them along the face's normal, [3 faces, modes]: exact for integrals of quadratics.
    """
    axes, flat = frames(shell)
    corners = shell.points[shell.faces]
    places = (corners + np.roll(corners, -1, axis=1)) / 2
    dofs = (6 * shell.faces[:, :, None] + np.arange(6)).reshape(-1, 18)
    across = _motion(flat)[:, 2, 3:] @ _to_local(axes)  # [faces, 3, 18]
    moved = across @ vectors[dofs]
    share = np.repeat(_double_area(flat) / 6, 3)
    return places.reshape(-1, 3), share, moved.reshape(len(share), -1)


def _to_local(axes: Array) -> Array:
    """[faces, 18, 18]: a face's degrees of freedom in its own axes from those in the world's."""
    turn = np.zeros((len(axes), 18, 18))
    for i in range(6):
        turn[:, 3 * i : 3 * i + 3, 3 * i : 3 * i + 3] = axes
    return turn


def _double_area(flat: Array) -> Array:
    x, y = flat[..., 0], flat[..., 1]
    return np.asarray((x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (x[:, 2] - x[:, 0]) * (y[:, 1] - y[:, 0]))


def _slopes(flat: Array) -> Array:
    """Derivatives of the three area coordinates by x and y, [faces, 3, 2]."""
    ahead, behind = np.roll(flat, -1, axis=1), np.roll(flat, 1, axis=1)
    slopes = np.stack([ahead[..., 1] - behind[..., 1], behind[..., 0] - ahead[..., 0]], axis=2)
    return np.asarray(slopes / _double_area(flat)[:, None, None])


def _both(strains: Array, weights: Array) -> tuple[Array, Array]:
    """Σ Bᵀ D B over quadrature points for both parts of plane stress; strains [faces, points, 3, n]."""
    weighted = strains * weights[..., None, None]
    fixed, crossed = (
        np.einsum("fqai,ab,fqbj->fij", weighted, part, strains, optimize=True) for part in (FIXED, CROSSED)
    )
    return fixed, crossed


# --- bending --------------------------------------------------------------------------------------------------------


def _along_sides(flat: Array) -> tuple[Array, Array]:
    """Of the sides 12, 23 and 31: unit vectors [faces, 3, 2] and lengths [faces, 3]."""
    side = np.roll(flat, -1, axis=1) - flat
    length = np.linalg.norm(side, axis=2)
    return side / length[..., None], length


def _bending(flat: Array, walls: Array) -> tuple[Array, Array]:
    """Both parts of the stiffness, [faces, 18, 18]. Slopes of w are quadratic; at a side's middle the slope along it is
    that of the cubic through both ends, the slope across it the mean of both ends'."""
    unit, length = _along_sides(flat)
    n = len(flat)
    # slope [faces, 6 nodes, 2, 18]: w,x = -θy and w,y = θx at corners.
    slope = np.zeros((n, 6, 2, 18))
    for i in range(3):
        slope[:, i, 0, 6 * i + 4] = -1
        slope[:, i, 1, 6 * i + 3] = 1
    for i in range(3):
        j = (i + 1) % 3
        s, along = unit[:, i], np.zeros((n, 18))
        across = np.stack([-s[:, 1], s[:, 0]], axis=1)
        ends = slope[:, i] + slope[:, j]
        along[:, 6 * i + 2], along[:, 6 * j + 2] = -1.5 / length[:, i], 1.5 / length[:, i]
        along -= np.einsum("fa,fad->fd", s, ends) / 4
        middle = np.einsum("fa,fad->fd", across, ends) / 2
        slope[:, 3 + i] = s[:, :, None] * along[:, None] + across[:, :, None] * middle[:, None]
    gradients = _quadratic_gradients(flat, _MIDDLES)  # [faces, points, 6, 2]
    curve = np.einsum("fqna,fnbd->fqabd", gradients, slope, optimize=True)
    strains = np.stack([curve[:, :, 0, 0], curve[:, :, 1, 1], curve[:, :, 0, 1] + curve[:, :, 1, 0]], axis=2)
    weights = (walls**3 / 12 * _double_area(flat) / 2)[:, None] * np.full(3, 1 / 3)
    return _both(strains, weights)


def _quadratic(points: Array) -> Array:
    """The functions of six nodes at area coordinates [points, 3], [points, 6]."""
    ahead = np.roll(points, -1, axis=1)
    return np.concatenate([points * (2 * points - 1), 4 * points * ahead], axis=1)


def _quadratic_gradients(flat: Array, points: Array) -> Array:
    """Their derivatives by x and y, [faces, points, 6, 2]."""
    slopes, ahead = _slopes(flat), np.roll(points, -1, axis=1)
    corner = (4 * points - 1)[None, :, :, None] * slopes[:, None]
    next_slopes = np.roll(slopes, -1, axis=1)
    middle = 4 * (points[None, :, :, None] * next_slopes[:, None] + ahead[None, :, :, None] * slopes[:, None])
    return np.concatenate([corner, middle], axis=2)


# --- membrane -------------------------------------------------------------------------------------------------------


def _membrane(flat: Array, walls: Array) -> tuple[Array, Array]:
    """Both parts of the stiffness, [faces, 18, 18], by Felippa's equations 22 to 33 with the free parameters of OPT."""
    area = _double_area(flat) / 2
    n = len(flat)
    lumped = _lumping(flat)  # [faces, 9, 3], per thickness
    basic = lumped.transpose(0, 2, 1) / area[:, None, None]  # mean strain from the nine degrees of freedom
    weights = (walls * area)[:, None]
    fixed, crossed = _both(basic[:, None], weights)
    higher = _higher_strains(flat)
    more = _both(higher, 0.75 * _DRILLING * weights * np.ones(3))
    nine = np.array([6 * i + k for i in range(3) for k in (0, 1, 5)])
    parts = []
    for small in (fixed + more[0], crossed + more[1]):
        block = np.zeros((n, 18, 18))
        block[:, nine[:, None], nine] = small
        parts.append(block)
    return parts[0], parts[1]


def _differences(flat: Array) -> tuple[Array, Array]:
    """x_i - x_j and y_i - y_j as [faces, 3, 3]."""
    x, y = flat[..., 0], flat[..., 1]
    return x[:, :, None] - x[:, None, :], y[:, :, None] - y[:, None, :]


def _lumping(flat: Array) -> Array:
    """The forces at (u, v, θ) of each corner that unit mean stresses mean, α_b = 3/2, [faces, 9, 3]."""
    x, y = _differences(flat)
    lumped = np.zeros((len(flat), 9, 3))
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        lumped[:, 3 * i, 0] = lumped[:, 3 * i + 1, 2] = y[:, j, k] / 2
        lumped[:, 3 * i + 1, 1] = lumped[:, 3 * i, 2] = x[:, k, j] / 2
        lumped[:, 3 * i + 2, 0] = y[:, j, k] * (y[:, i, k] - y[:, j, i]) / 8
        lumped[:, 3 * i + 2, 1] = x[:, k, j] * (x[:, k, i] - x[:, i, j]) / 8
        lumped[:, 3 * i + 2, 2] = (x[:, k, i] * y[:, i, k] - x[:, i, j] * y[:, j, i]) / 4
    return lumped


def _higher_strains(flat: Array) -> Array:
    """Strains of the rotations beside the mean one, at the middles of the sides, [faces, 3, 3, 9]."""
    x, y = _differences(flat)
    area = (_double_area(flat) / 2)[:, None, None]
    squared = {(i, j): x[:, i, j] ** 2 + y[:, i, j] ** 2 for i, j in ((1, 0), (2, 1), (0, 2))}
    l21, l32, l13 = squared[1, 0], squared[2, 1], squared[0, 2]
    # θ of each corner less the mean rotation of the triangle
    relative = np.zeros((len(flat), 3, 9))
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        relative[:, :, 3 * i] = x[:, k, j][:, None]
        relative[:, :, 3 * i + 1] = y[:, k, j][:, None]
    relative /= 4 * area
    relative[:, range(3), [2, 5, 8]] += 1
    to_cartesian = np.stack(
        [
            np.stack([y[:, 1, 2] * y[:, 0, 2] * l21, y[:, 2, 0] * y[:, 1, 0] * l32, y[:, 0, 1] * y[:, 2, 1] * l13], 1),
            np.stack([x[:, 1, 2] * x[:, 0, 2] * l21, x[:, 2, 0] * x[:, 1, 0] * l32, x[:, 0, 1] * x[:, 2, 1] * l13], 1),
            np.stack(
                [
                    (y[:, 1, 2] * x[:, 2, 0] + x[:, 2, 1] * y[:, 0, 2]) * l21,
                    (y[:, 2, 0] * x[:, 0, 1] + x[:, 0, 2] * y[:, 1, 0]) * l32,
                    (y[:, 0, 1] * x[:, 1, 2] + x[:, 1, 0] * y[:, 2, 1]) * l13,
                ],
                1,
            ),
        ],
        axis=1,
    ) / (4 * area**2)
    inverse = 1 / np.stack([l21, l32, l13], axis=1)[..., None]
    # β1 to β9 of OPT in three arrangements: natural strains along 21, 32, 13 from the rotations of the corners
    corners = np.array(
        [
            [[1, 2, 1], [0, 1, -1], [-1, -1, -2]],
            [[-2, -1, -1], [1, 1, 2], [-1, 0, 1]],
            [[1, -1, 0], [-1, -2, -1], [2, 1, 1]],
        ]
    )
    at_corner = 2 * area[:, None] / 3 * inverse[:, None] * corners
    at_middle = (at_corner + np.roll(at_corner, -1, axis=1)) / 2
    return np.asarray(np.einsum("fab,fqbc,fcd->fqad", to_cartesian, at_middle, relative, optimize=True))


# --- mass -----------------------------------------------------------------------------------------------------------


def _motion(flat: Array) -> Array:
    """u, v, w at corners and at the middles of sides 12, 23, 31 from a face's degrees of freedom, [faces, 3, 6, 18].

    u and v are linear; w is quadratic, at a side's middle that of the cubic through both ends.
    """
    unit, length = _along_sides(flat)
    motion = np.zeros((len(flat), 3, 6, 18))
    for i in range(3):
        j = (i + 1) % 3
        for k in range(3):
            motion[:, k, i, 6 * i + k] = 1
            motion[:, k, 3 + i, [6 * i + k, 6 * j + k]] = 0.5
        along = length[:, i, None] / 8 * np.stack([unit[:, i, 1], -unit[:, i, 0]], axis=1)  # w,s = θx s_y - θy s_x
        motion[:, 2, 3 + i, 6 * i + 3 : 6 * i + 5] = along
        motion[:, 2, 3 + i, 6 * j + 3 : 6 * j + 5] = -along
    return motion


def _mass(flat: Array, walls: Array) -> Array:
    """[faces, 18, 18]."""
    motion, values = _motion(flat), _quadratic(_DEGREE_4)
    gram = values.T @ (values * _DEGREE_4_WEIGHTS[:, None])
    mass = np.einsum("fkid,ij,fkje->fde", motion, gram, motion, optimize=True)
    mass *= (walls * _double_area(flat) / 2)[:, None, None]
    turning = walls**3 / 12 * _double_area(flat) / 6  # of the wall's own thickness; it keeps the mass definite
    for i in range(3):
        mass[:, range(6 * i + 3, 6 * i + 6), range(6 * i + 3, 6 * i + 6)] += turning[:, None]
    return np.asarray(mass)
