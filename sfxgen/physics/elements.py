"""Finite elements of second order for elastic bodies: shape functions, stiffness, mass, and the lowest modes of both.

Two kinds of cells share everything but their functions: hexahedra of 20 nodes and tetrahedra of 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_matrix, csc_matrix
from scipy.sparse.linalg import LinearOperator, eigsh, splu
from skfem import ElementHexS2, ElementTetP2
from skfem.quadrature import get_quadrature

from sfxgen.physics.shapes import Array, Mesh

_CHUNK = 4096  # cells assembled at once: bounds memory
_BLOCK = 16  # vectors that are solved for at once: a third of the time of one by one
_RESIDUAL = 1e-5  # of a pair, relative: the eigenvalue's own error is its square
_MOST_STEPS = 60


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
    element = element_of(part)
    stiffness_rule = get_quadrature(element.functions, element.stiffness_order)
    mass_rule = get_quadrature(element.functions, element.mass_order)
    n = 3 * part.n_unknowns
    K, M, volume = csc_matrix((n, n)), csc_matrix((n, n)), 0.0
    for start in range(0, part.cells.shape[1], _CHUNK):
        some = Mesh(part.nodes, part.cells[:, start : start + _CHUNK], part.unknowns)
        blocks, size = mass(some, *mass_rule)
        K, M, volume = (
            K + scatter(some, stiffness(some, poisson, *stiffness_rule)),
            M + scatter(some, blocks),
            volume + size,
        )
    return K, M, volume


def stiffness(part: Mesh, poisson: float, points: Array, weights: Array) -> Array:
    """Isotropic elasticity for unit Young's modulus, [cells, dofs, dofs]; dof 3 i + c is displacement c of node i."""
    at_points = jacobians(part, points)
    n_nodes = len(part.cells)
    dx = np.abs(np.linalg.det(at_points)) * weights
    local = element_of(part).gradients(points)
    gradients = np.einsum("ebq,cqba->ceaq", local, np.linalg.inv(at_points)).reshape(len(dx), 3 * n_nodes, -1)
    products = (gradients * dx[:, None, :]) @ gradients.transpose(0, 2, 1)
    products = products.reshape(-1, n_nodes, 3, n_nodes, 3)
    lame = poisson / ((1 + poisson) * (1 - 2 * poisson))
    shear = 1 / (2 * (1 + poisson))
    blocks = lame * products + shear * products.transpose(0, 1, 4, 3, 2)
    blocks += shear * np.einsum("eij,ab->eiajb", np.einsum("eiaja->eij", products), np.eye(3))
    return np.asarray(blocks.reshape(-1, 3 * n_nodes, 3 * n_nodes))


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


def lowest(K: csc_matrix, M: csc_matrix, omega: float, n: int) -> tuple[Array, Array]:
    """The n lowest eigenvalues of K v = λ M v, ascending, and their vectors [dofs, n], each with its largest entry > 0.

    Shift-invert Lanczos about the negative shift -omega², which makes the singular stiffness of a free body definite.
    """
    options = {"SymmetricMode": True}
    factors = splu((K + omega**2 * M).tocsc(), "MMD_AT_PLUS_A", diag_pivot_thresh=0, options=options)
    inverse = LinearOperator(K.shape, factors.solve, dtype=np.float64)
    start = np.cos(np.arange(K.shape[0]) ** 2)  # any fixed vector with a share in every mode
    eigenvalues, vectors = eigsh(K, n, M=M, sigma=-(omega**2), OPinv=inverse, v0=start, tol=1e-10)
    return eigenvalues, vectors * _signs(vectors)


def lowest_of_large(K: csc_matrix, M: csc_matrix, omega: float, n: int) -> tuple[Array, Array]:
    """As `lowest`, in less time for many unknowns and with all modes of one frequency sure to be found.

    Block Lanczos (Grimes, Lewis & Simon 1994) about the shift, every new block made orthogonal to all before it.
    """
    options = {"SymmetricMode": True}
    factors = splu((K + omega**2 * M).tocsc(), "MMD_AT_PLUS_A", diag_pivot_thresh=0, options=options)
    rows = np.arange(K.shape[0], dtype=np.float64)[:, None]
    block, _ = _orthonormal(np.cos(rows**2 + rows * np.arange(1.0, _BLOCK + 1)), M)
    basis, projected = block, np.zeros((0, 0))
    for _ in range(_MOST_STEPS):
        new = factors.solve(np.asfortranarray(M @ block))
        coupling = np.zeros((basis.shape[1], block.shape[1]))
        for _twice in range(2):
            share = basis.T @ (M @ new)
            new -= basis @ share
            coupling += share
        projected = np.pad(projected, ((0, block.shape[1]),) * 2)
        projected[:, -block.shape[1] :] = coupling
        projected[-block.shape[1] :] = coupling.T
        block, rest = _orthonormal(new, M)
        if basis.shape[1] >= n:
            inverse, vectors = np.linalg.eigh(projected)
            inverse, vectors = inverse[: -n - 1 : -1], vectors[:, : -n - 1 : -1]
            residual = np.linalg.norm(rest @ vectors[-rest.shape[1] :], axis=0)
            if (residual <= _RESIDUAL * inverse).all():
                break
        basis = np.concatenate([basis, block], axis=1)
    full = basis @ vectors
    return 1 / inverse - omega**2, full * _signs(full)


def _signs(vectors: Array) -> Array:
    """Of each column's first entry that is as large as any: a symmetric pattern has several, equal but for rounding,
    which differs from processor to processor."""
    size = np.abs(vectors)
    first = (size > (1 - 1e-6) * size.max(axis=0)).argmax(axis=0)
    return np.asarray(np.sign(vectors[first, np.arange(vectors.shape[1])]))


def _orthonormal(block: Array, M: csc_matrix) -> tuple[Array, Array]:
    """An orthonormal basis of the block's columns by M, and the square matrix that makes the columns of it."""
    whole = np.eye(block.shape[1])
    for _ in range(2):
        factor = np.linalg.cholesky(block.T @ (M @ block)).T
        block = np.asarray(np.linalg.solve(factor.T, block.T).T, dtype=np.float64)
        whole = factor @ whole
    return block, whole
