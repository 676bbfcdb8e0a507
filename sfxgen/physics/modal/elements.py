"""Finite elements of second order for elastic bodies: shape functions, stiffness, mass, and the lowest modes of both.

Two kinds of cells share everything but their functions: hexahedra of 20 nodes and tetrahedra of 10.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import coo_matrix, csc_matrix, identity, kron
from scipy.sparse.linalg import splu
from skfem import ElementHexS2, ElementTetP2
from skfem.quadrature import get_quadrature

from sfxgen.events import untold
from sfxgen.physics.modal.shapes import Array, Index, Mesh

_CHUNK = 4096  # cells assembled at once: bounds memory
_BLOCK = 16  # vectors that are solved for at once: a third of the time of one by one
_RESIDUAL = 1e-3  # of a pair, relative: the eigenvalue's own error is its square
_MOST_STEPS = 60
_AT_ONCE = 128  # right-hand sides: each costs several times its memory
_ASTRAY = 1e-6  # of a new vector, along those before it
_SHIFT = 1e-13  # of a matrix's trace: well above what rounding makes of it
_MOST_ROUNDS = 40  # of making a block orthonormal: what hangs together at points only never is


class Unsolvable(ArithmeticError):
    """The body has more motions without stiffness than modes were asked for, or rounding hides its stiffness."""


@dataclass(frozen=True)
class Element:
    """A kind of cell. stiffness_order, mass_order: of the polynomials that its quadratures integrate exactly.

    Two points a side for the stiffness of hexahedra: full integration locks in thin curved walls, 64 % too high at a
    wall of D / 100 (Zienkiewicz, Taylor & Too 1971). The mass wants three.
    """

    functions: Any
    stiffness_order: int
    mass_order: int

    def values(self, points: Array) -> Array:
        """The shape functions at local points [3, n], [nodes, n]."""
        n_nodes = len(self.functions.doflocs)
        return np.array([self.functions.lbasis(points, i)[0] * np.ones(points.shape[1]) for i in range(n_nodes)])

    def gradients(self, points: Array) -> Array:
        """Their derivatives by the three local coordinates, [nodes, 3, n]."""
        n_nodes = len(self.functions.doflocs)
        return np.array([self.functions.lbasis(points, i)[1] * np.ones(points.shape[1]) for i in range(n_nodes)])


HEXAHEDRON = Element(ElementHexS2(), 3, 5)
TETRAHEDRON = Element(ElementTetP2(), 2, 4)
_BY_NODES = {20: HEXAHEDRON, 10: TETRAHEDRON}


def element_of(part: Mesh) -> Element:
    """The kind of its cells, by their number of nodes."""
    return _BY_NODES[len(part.cells)]


def jacobians(part: Mesh, points: Array) -> Array:
    """d place_a / d local_b at local points [3, n] of every cell, [cells, n, 3, 3]."""
    gradients = element_of(part).gradients(points)
    return np.asarray(np.einsum("aec,ebq->cqab", part.nodes[:, part.cells], gradients, optimize=True))


def assembled(part: Mesh, poisson: float) -> tuple[csc_matrix, csc_matrix, float]:
    """Stiffness and mass for unit Young's modulus and density, [dofs, dofs], and the volume."""
    (first, second), M, volume = assembled_parts(part)
    lame, shear = poisson / ((1 + poisson) * (1 - 2 * poisson)), 1 / (2 * (1 + poisson))
    return (lame * first + shear * second).tocsc(), M, volume


def assembled_parts(part: Mesh) -> tuple[tuple[csc_matrix, csc_matrix], csc_matrix, float]:
    """Both matrices of isotropic elasticity, to be weighed with Lamé's λ and μ, and the mass for unit density, all
    [dofs, dofs]; and the volume."""
    element = element_of(part)
    stiffness_rule = get_quadrature(element.functions, element.stiffness_order)
    mass_rule = get_quadrature(element.functions, element.mass_order)
    n = 3 * part.n_unknowns
    first, second, M, volume = csc_matrix((n, n)), csc_matrix((n, n)), csc_matrix((n, n)), 0.0
    for some in _chunks(part):
        blocks, size = mass(some, *mass_rule)
        stretched, sheared = stiffness(some, *stiffness_rule)
        first, second = first + scatter(some, stretched), second + scatter(some, sheared)
        M, volume = M + scatter(some, blocks), volume + size
    if part.ties is not None:
        second = (second + kron(part.ties.T @ part.ties, identity(3))).tocsc()
    return (first, second), M, volume


def volume_of(part: Mesh) -> float:
    """Of all cells, to the bit as `assembled_parts` has it."""
    points, weights = get_quadrature(element_of(part).functions, element_of(part).mass_order)
    return sum(float((np.abs(np.linalg.det(jacobians(some, points))) * weights).sum()) for some in _chunks(part))


def _chunks(part: Mesh) -> Iterator[Mesh]:
    for start in range(0, part.cells.shape[1], _CHUNK):
        yield Mesh(part.nodes, part.cells[:, start : start + _CHUNK], part.unknowns)


def stiffness(part: Mesh, points: Array, weights: Array) -> tuple[Array, Array]:
    """Isotropic elasticity's parts by λ and by μ, both [cells, dofs, dofs]; dof 3 i + c is displacement c of node i."""
    at_points = jacobians(part, points)
    n_nodes = len(part.cells)
    dx = np.abs(np.linalg.det(at_points)) * weights
    local = element_of(part).gradients(points)
    gradients = np.einsum("ebq,cqba->ceaq", local, np.linalg.inv(at_points)).reshape(len(dx), 3 * n_nodes, -1)
    products = (gradients * dx[:, None, :]) @ gradients.transpose(0, 2, 1)
    products = products.reshape(-1, n_nodes, 3, n_nodes, 3)
    sheared = products.transpose(0, 1, 4, 3, 2) + np.einsum(
        "eij,ab->eiajb", np.einsum("eiaja->eij", products), np.eye(3)
    )
    n_dofs = 3 * n_nodes
    return products.reshape(-1, n_dofs, n_dofs), np.asarray(sheared.reshape(-1, n_dofs, n_dofs))


def mass(part: Mesh, points: Array, weights: Array) -> tuple[Array, float]:
    """The mass of each cell for unit density, [cells, dofs, dofs], dofs as in `stiffness`; and all their volume."""
    dx = np.abs(np.linalg.det(jacobians(part, points))) * weights
    values = element_of(part).values(points)
    n_dofs = 3 * len(part.cells)
    scalar = (values * dx[:, None, :]) @ values.T
    return np.einsum("eij,ab->eiajb", scalar, np.eye(3)).reshape(-1, n_dofs, n_dofs), float(dx.sum())


def scatter(part: Mesh, blocks: Array) -> csc_matrix:
    """The sum of all cells' matrices, [dofs, dofs]."""
    n_dofs = 3 * len(part.cells)
    dofs = (3 * part.moving(part.cells.T)[:, :, None] + np.arange(3)).reshape(-1, n_dofs)
    place = np.repeat(dofs, n_dofs, axis=1).ravel(), np.tile(dofs, n_dofs).ravel()
    n = 3 * part.n_unknowns
    matrix = coo_matrix((blocks.ravel(), place), shape=(n, n)).tocsc()
    matrix.eliminate_zeros()  # two thirds of the mass
    return matrix


class Factors:
    """A definite symmetric matrix [dofs, dofs], factorised. order: in which its rows are eliminated; None: by least
    degree."""

    def __init__(self, matrix: csc_matrix, order: Index | None = None) -> None:
        self._order = order
        if order is not None:
            matrix = matrix[order][:, order].tocsc()
        method: Literal["MMD_AT_PLUS_A", "NATURAL"] = "MMD_AT_PLUS_A" if order is None else "NATURAL"
        self._factors = splu(matrix, method, diag_pivot_thresh=0, options={"SymmetricMode": True})

    def solve(self, block: Array) -> Array:
        """Of right-hand sides [dofs, n] the solutions, [dofs, n]."""
        if self._order is None:
            return np.asarray(self._factors.solve(np.asfortranarray(block)))
        found = np.empty_like(block, order="F")
        for start in range(0, block.shape[1], _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            found[self._order, some] = self._factors.solve(np.asfortranarray(block[self._order, some]))
        return found


def lowest_by(
    factors: Factors, M: csc_matrix, omega: float, n: int, rough: int = 0, tell: Callable[[str], None] = untold
) -> tuple[Array, Array]:
    """The n lowest eigenvalues of K v = λ M v, ascending, and their vectors [dofs, n]; factors: of K + omega² M. The
    last of them, `rough` in number, need not be near their end. tell: is told how many are found.

    Block Lanczos (Grimes, Lewis & Simon 1994) about the negative shift -omega², which makes the singular stiffness of a
    free body definite; every new block is made orthogonal to all before it. It finds all modes of one frequency.
    """
    width = min(_BLOCK, n)
    rows = np.arange(M.shape[0], dtype=np.float64)[:, None]
    block, _ = _orthonormal(np.cos(rows**2 + rows * np.arange(1.0, width + 1)), M)
    basis, projected = block, np.zeros((0, 0))
    for _ in range(_MOST_STEPS):
        new = factors.solve(M @ block)
        coupling = np.zeros((basis.shape[1], block.shape[1]))
        for _twice in range(2):
            share = basis.T @ (M @ new)
            new -= basis @ share
            coupling += share
        projected = np.pad(projected, ((0, block.shape[1]),) * 2)
        projected[:, -block.shape[1] :] = coupling
        projected[-block.shape[1] :] = coupling.T
        full = basis.shape[1] + block.shape[1] > M.shape[0]  # a problem so small that its whole space is spanned
        rest = np.zeros((block.shape[1],) * 2)
        if not full:
            block, rest = _orthonormal(new, M)
            astray = basis.T @ (M @ block)
            for _again in range(_MOST_ROUNDS):  # small columns, made large: what rounding left of the basis as well
                if not np.abs(astray).max() > _ASTRAY:
                    break
                block, turn = _orthonormal(block - basis @ astray, M)
                rest = turn @ rest
                astray = basis.T @ (M @ block)
        if basis.shape[1] >= n:
            inverse, vectors = np.linalg.eigh(projected)
            inverse, vectors = inverse[: -n - 1 : -1], vectors[:, : -n - 1 : -1]
            residual = np.linalg.norm(rest @ vectors[-rest.shape[1] :], axis=0)
            done = (residual <= _RESIDUAL * inverse)[: n - rough]
            tell(f"{int(done.sum())} of {n - rough} modes found")
            if full or done.all():
                break
        basis = np.concatenate([basis, block], axis=1)
    # Once more (K + omega² M)⁻¹ M, which the recurrence knows: what is left of very stiff motions would weigh in K
    # (purification: Ericsson & Ruhe, "The spectral transformation Lanczos method", 1980).
    rest = rest @ vectors[-rest.shape[1] :] / inverse
    return 1 / inverse - omega**2, basis @ vectors + block @ rest


def orthonormal(vectors: Array, M: csc_matrix) -> Array:
    """The same space with an orthonormal basis by M."""
    return _orthonormal(vectors, M)[0]


def _orthonormal(block: Array, M: csc_matrix) -> tuple[Array, Array]:
    """An orthonormal basis of the block's columns by M, and the square matrix that makes the columns of it."""
    whole, left = np.eye(block.shape[1]), 2
    for _ in range(_MOST_ROUNDS):
        if not left:
            break
        gram = block.T @ (M @ block)
        try:
            factor = np.linalg.cholesky(gram).T
            left -= 1
        except np.linalg.LinAlgError:
            # Columns so unlike in size, as of long wires, that rounding hides the small ones: first made more alike
            # (shifted Cholesky QR: Fukaya, Kannan, Nakatsukasa, Yamamoto & Yanagisawa 2020).
            factor = np.linalg.cholesky(gram + _SHIFT * np.trace(gram) * np.eye(len(gram))).T
        block = np.asarray(np.linalg.solve(factor.T, block.T).T, dtype=np.float64)
        whole = factor @ whole
    else:
        raise Unsolvable
    return block, whole
