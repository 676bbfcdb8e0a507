"""The order in which a body's unknowns are eliminated: few fill-ins, so that a factorisation is small and quick."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix, csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from sfxgen.physics.modal.shapes import Array, Index

LEAF = 24  # nodes that are cut no further


def unknowns_dissected(matrix: csc_matrix, places: Array) -> Index:
    """As `dissected`, of all unknowns of a matrix [n k, n k], in which every node at places [n, 3] has k in a row."""
    n = len(places)
    k = matrix.shape[0] // n
    entries = matrix.tocoo()
    links = coo_matrix((np.ones(entries.nnz), (entries.row // k, entries.col // k)), shape=(n, n)).tocsr()
    return np.asarray((k * dissected(links, places)[:, None] + np.arange(k)).ravel())


def dissected(graph: csr_matrix, places: Array) -> Index:
    """A permutation of the nodes by nested dissection (George, "Nested dissection of a regular finite element mesh",
    1973): both halves first, then the nodes that separate them.

    graph: [nodes, nodes], which nodes share a cell; places: [nodes, 3], by which halves are cut.
    """
    marked = np.zeros(len(places), dtype=np.int64)
    pieces: list[Index] = []  # from the last to be eliminated to the first
    stack = [np.arange(len(places))]
    while stack:
        nodes = stack.pop()
        if len(nodes) <= LEAF:
            pieces.append(nodes)
            continue
        along = places[nodes, int(np.ptp(places[nodes], axis=0).argmax())]
        first = along <= np.partition(along, (len(nodes) - 1) // 2)[(len(nodes) - 1) // 2]
        if first.all():  # all at one place: no plane tells them apart
            first = np.arange(len(nodes)) < len(nodes) // 2
        halves = nodes[first], nodes[~first]
        edge = _between(graph, *halves, marked)
        marked[edge] = 1
        stack += [half[marked[half] == 0] for half in halves]
        marked[edge] = 0
        pieces.append(edge)
    return np.concatenate(pieces[::-1])


def _between(graph: csr_matrix, one: Index, other: Index, number: NDArray[np.int64]) -> Index:
    """The fewest nodes without which no neighbours are left across: a cover of the links between both, by König's
    theorem as large as a matching of them. number: zeros [all nodes], and so again afterwards."""
    number[other] = np.arange(1, len(other) + 1)
    rows = graph[one]
    reached = number[rows.indices]
    number[other] = 0
    across = reached > 0
    counts = np.bincount(np.repeat(np.arange(len(one)), np.diff(rows.indptr))[across], minlength=len(one))
    left = np.flatnonzero(counts)
    right, column = np.unique(reached[across] - 1, return_inverse=True)
    if not len(left):
        return one[:0]
    pointers = np.concatenate([[0], np.cumsum(counts[left])])
    links = csr_matrix((np.ones(len(column), dtype=np.int8), column, pointers), shape=(len(left), len(right)))
    mate = maximum_bipartite_matching(links, perm_type="column")  # of each left one its right one, or -1
    # From the left ones without a mate, links one way and mates the other: what is reached stays, or is the cover.
    seen_left, seen_right = mate < 0, np.zeros(len(right), dtype=bool)
    front, of_right = np.flatnonzero(seen_left), np.full(len(right), -1)
    of_right[mate[mate >= 0]] = np.flatnonzero(mate >= 0)
    while len(front):
        found = np.unique(links[front].indices)
        found = found[~seen_right[found]]
        seen_right[found] = True
        front = of_right[found]
        front = front[(front >= 0) & ~seen_left[front]]
        seen_left[front] = True
    return np.concatenate([one[left[~seen_left]], other[right[seen_right]]])
