"""One solve for a band of Poisson ratios, held against solves at each ratio; and the order of elimination."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import trimesh
from scipy.sparse import csr_matrix, eye, kron
from scipy.sparse.linalg import splu

from sfxgen.manifest.materials import MATERIALS
from sfxgen.physics.meshing.tetrahedra import filled
from sfxgen.physics.modal.families import BANDS, ModeFamily, centre
from sfxgen.physics.modal.meshed import family_of_solid
from sfxgen.physics.modal.modes import _family, family, key
from sfxgen.physics.modal.ordering import dissected, unknowns_dissected
from sfxgen.physics.modal.shapes import Body

BAR = Body("bar", (1.0, 0.1, 0.05))
ENDS = [(low, high) for (low, _), (high, _) in itertools.pairwise(((0.0, 0.0), *BANDS[:-1]))]


@pytest.mark.parametrize("body", [BAR, Body("sphere", (1.0,)), Body("tube", (1.0, 3.0), 0.05)], ids=lambda b: b.shape)
def test_one_solve_gives_the_modes_of_its_whole_band(body: Body) -> None:
    for low, high in ENDS[:3]:
        found = family(body, (low + high) / 2, 24)
        for poisson in (low + 0.02, high - 0.01):
            np.testing.assert_allclose(found.at(poisson).omega, _family(body, poisson, 24).at(poisson).omega, rtol=1e-3)


def test_a_mesh_s_solve_gives_its_band_within_five_cents() -> None:
    part = filled(trimesh.creation.box((1.0, 0.6, 0.3)).triangles, dofs=4_000).part
    found = family_of_solid(part, centre(0.29), 40)
    for name in ("glass", "wood", "steel", "aluminium", "oak"):
        poisson = MATERIALS[name].poisson
        expected = family_of_solid(part, poisson, 40).at(poisson)
        np.testing.assert_allclose(found.at(poisson).omega, expected.omega, rtol=2.9e-3)
        first = slice(0, 6)
        a, b = found.at(poisson).shapes[:, first], expected.shapes[:, first]
        alike = (a * b).sum(axis=0) ** 2 / ((a**2).sum(axis=0) * (b**2).sum(axis=0))
        assert alike.min() > 0.999
        np.testing.assert_allclose(found.at(poisson).skin[first], expected.skin[first], rtol=2e-3)


def test_most_materials_share_a_solve_and_a_key_says_which() -> None:
    common = [m for m in MATERIALS.values() if 0.17 < m.poisson <= 0.38]
    assert len(common) > 0.8 * len(MATERIALS)
    assert len({key(BAR, material.poisson) for material in common}) == 1
    assert key(BAR, 0.29) != key(BAR, 0.49)


def test_a_family_reads_back_and_equal_ones_give_equal_bytes() -> None:
    first, second = family(BAR, 0.3, 12), family(BAR, 0.3, 12)
    assert first.to_bytes() == second.to_bytes()
    back = ModeFamily.from_bytes(first.to_bytes())
    assert back.to_bytes() == first.to_bytes()
    np.testing.assert_array_equal(back.at(0.25).shapes, first.at(0.25).shapes)


# --- order of elimination -------------------------------------------------------------------------------------------


def grid(n: int) -> tuple[csr_matrix, np.ndarray]:
    """A cube of n³ points, each the neighbour of the 26 around it."""
    line = eye(n) + eye(n, k=1) + eye(n, k=-1)
    places = np.stack(np.meshgrid(*[np.arange(n, dtype=float)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return csr_matrix(kron(kron(line, line), line)), places


def test_dissection_is_a_permutation_whose_factors_are_smaller_than_those_of_least_degree() -> None:
    graph, places = grid(14)
    order = dissected(graph, places)
    assert sorted(order.tolist()) == list(range(len(places)))
    matrix = (graph + 30 * eye(len(places))).tocsc()
    options = {"SymmetricMode": True}
    ours = splu(matrix[order][:, order].tocsc(), "NATURAL", diag_pivot_thresh=0, options=options)
    least = splu(matrix, "MMD_AT_PLUS_A", diag_pivot_thresh=0, options=options)
    assert ours.L.nnz < least.L.nnz


def test_halves_without_their_separator_have_no_neighbours() -> None:
    """The last nodes to be eliminated, taken away, leave two parts: nothing of one touches the other."""
    graph, places = grid(8)
    order = dissected(graph, places)
    separator = order[-64:]
    left = np.setdiff1d(np.arange(len(places)), separator)
    low = left[places[left, 0] < places[separator, 0].mean()]
    high = np.setdiff1d(left, low)
    assert graph[low][:, high].nnz == 0


def test_all_unknowns_of_a_node_stay_together() -> None:
    graph, places = grid(5)
    matrix = kron(graph, np.ones((3, 3))).tocsc()
    order = unknowns_dissected(matrix, places).reshape(-1, 3)
    np.testing.assert_array_equal(order, 3 * dissected(graph, places)[:, None] + np.arange(3))


def test_nodes_at_one_place_are_cut_as_well() -> None:
    graph, _ = grid(5)
    assert sorted(dissected(graph, np.zeros((125, 3))).tolist()) == list(range(125))
