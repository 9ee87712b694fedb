"""Sparsity of the Hessian of a local potential: columns that can be computed together.

    d2E / dr_a dr_b  is not 0 only if some site energy depends on both a and b.

With A the adjacency matrix of neighbours (including the diagonal), this is the pattern P = A A of pairs of atoms.  Two
columns can share one product H (v + w) if no row contains both, so atoms of one colour must not be connected in P P
(Curtis, Powell, Reid, J. Inst. Math. Appl. 13, 117 (1974)).  The number of colours depends on the density and the cutoff,
not on the number of atoms.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def pattern(n_atoms: int, i, j, *, rounds: int = 1):
    """Pattern of the pairs of atoms whose block of the Hessian can differ from 0.

    Args:
        n_atoms: number of atoms.
        i, j: (pairs,) int, the neighbour list.
        rounds: number of rounds of the descriptor.

    Returns:
        scipy.sparse.csr_array of bool (n_atoms, n_atoms).
    """
    from scipy.sparse import coo_array, eye_array

    near: Any = coo_array((np.ones(len(i), bool), (i, j)), shape=(n_atoms, n_atoms)).tocsr()
    near = near + eye_array(n_atoms, dtype=bool)
    felt = near
    for _ in range(rounds - 1):
        felt = felt @ near
    return (felt @ felt).tocsr()


def colour(pattern) -> np.ndarray:
    """Colours (n_atoms,) of atoms such that no row of the pattern contains a colour twice, chosen greedily."""
    conflicts = (pattern @ pattern).tocsr()
    colours = np.full(pattern.shape[0], -1)
    for atom in range(len(colours)):
        taken = colours[conflicts.indices[conflicts.indptr[atom] : conflicts.indptr[atom + 1]]]
        free = np.ones(len(taken) + 1, bool)
        free[taken[(taken >= 0) & (taken < len(free))]] = False
        colours[atom] = int(np.argmax(free))
    return colours


def probes(colours) -> np.ndarray:
    """Vectors (n_atoms, 3, 3 * number of colours) of zeros and ones: one per colour and axis."""
    n_colours = int(colours.max()) + 1
    vectors = np.zeros((len(colours), 3, n_colours, 3))
    atom = np.arange(len(colours))
    for axis in range(3):
        vectors[atom, axis, colours, axis] = 1.0
    return vectors.reshape(len(colours), 3, 3 * n_colours)


def expand(pattern, colours, products):
    """Sparse Hessian from its products with `probes`.

    Args:
        pattern: from `pattern`.
        colours: from `colour`.
        products: (n_atoms, 3, 3 * number of colours), H times each probe.

    Returns:
        scipy.sparse.csr_array (3 n_atoms, 3 n_atoms), made symmetric.
    """
    from scipy.sparse import bsr_array

    n = len(colours)
    products = products.reshape(n, 3, -1, 3)
    row = np.repeat(np.arange(n), np.diff(pattern.indptr))
    blocks = products[row, :, colours[pattern.indices], :]
    matrix = bsr_array((blocks, pattern.indices, pattern.indptr), shape=(3 * n, 3 * n)).tocsr()
    return ((matrix + matrix.T) / 2).tocsr()
