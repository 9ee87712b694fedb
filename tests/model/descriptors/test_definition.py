"""LATTE's contractions against their definition: full tensors, one neighbour, column and term at a time."""

from __future__ import annotations

from functools import reduce

import jax
import numpy as np
import pytest

from latte_ase.model.descriptors import Latte, Reduced

TERMS = "2,-:2,a,a:1,ab,ab:1,-:2,a,b,ab"
CUTOFF = 3.0
SPECIES = np.array([0, 1, 0, 1, 1])


def latte(mode):
    """Descriptor, and sigma f of its definition: (params, s_i, s_j, r) -> (columns,)."""

    def column_values(params, s_i, s_j, r):
        if mode == "specific":
            sigma, c, w = params["weights"][s_i, s_j], params["centres"][s_i], params["widths"][s_i]
        else:
            c, w = params["centres"], params["widths"]
            if mode == "common":
                sigma = params["weights"][s_j]
            else:
                e = params["elements"]
                sigma = (e[s_i] @ params["centre_weights"]) * (e[s_j] @ params["neighbour_weights"])
        return sigma * np.maximum(0, 1 - ((r - c) / w) ** 2) ** 3 / c**2

    return Latte(contractions=TERMS, cutoff=CUTOFF, species_mode=mode, max_width=1.5, embedding=3), column_values


def reduced(embedding, smoothness=0.0):
    """Descriptor, and SUM_n W[n, u] R_n / n^p of its definition."""

    def column_values(params, s_i, s_j, r):
        x, n = r / CUTOFF, np.arange(1, 4)
        fade = 1 - 28 * x**6 + 48 * x**7 - 21 * x**8
        mixing = params["mixing"][s_i, s_j] if not embedding else vector_mixing(params, s_i, s_j)
        return (np.sqrt(2 / CUTOFF) * np.sin(n * np.pi * x) / r * fade / n**smoothness) @ mixing

    options = {"n_radial": 3, "embedding": embedding, "smoothness": smoothness}
    return Reduced(contractions=TERMS, cutoff=CUTOFF, **options), column_values


def vector_mixing(params, s_i, s_j):
    """W = (e[s_i] . P[:, u]) SUM_k e[s_j, k] M[n, k, u]."""
    return params["centres"][s_i] @ params["columns"] * np.einsum("k,nku", params["neighbours"][s_j], params["mixing"])


MEMBERS = {
    "latte specific": latte("specific"),
    "latte common": latte("common"),
    "latte embedded": latte("embedded"),
    "reduced": reduced(0),
    "reduced with vectors": reduced(2),
    "reduced and smooth": reduced(0, 1.5),
    "reduced with vectors and smooth": reduced(2, 1.0),
}


def by_definition(descriptor, column_values, params, positions, species):
    """The invariants of every atom from full tensors, one neighbour, column and term at a time."""
    blocks = [block.replace("-", "").split(",") for block in descriptor.contractions.split(":")]
    ranks = sorted(len(factor) for count, *factors in blocks for factor in factors * int(count))
    params = jax.tree.map(np.asarray, params)
    rows = []
    for i in range(len(positions)):
        moments = [np.zeros((3,) * rank) for rank in ranks]
        for j in range(len(positions)):
            r = np.linalg.norm(positions[j] - positions[i])
            if i == j or r >= descriptor.cutoff:
                continue
            values = column_values(params, species[i], species[j], r)
            for u, rank in enumerate(ranks):
                moments[u] += values[u] * reduce(np.multiply.outer, [(positions[j] - positions[i]) / r] * rank, 1.0)
        unused = {rank: ranks.index(rank) for rank in ranks}
        row = []
        for count, *factors in blocks:
            first = []
            for factor in factors:
                first.append(unused[len(factor)])
                unused[len(factor)] += int(count)
            for t in range(int(count)):
                row.append(np.einsum(",".join(factors) + "->", *[moments[u + t] for u in first]))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize(("descriptor", "column_values"), MEMBERS.values(), ids=MEMBERS)
def test_features_are_those_of_the_definition(descriptor, column_values, compile_features, float64):
    params = descriptor.project(jax.tree.map(lambda a: 2 * a, descriptor.init(jax.random.key(1), 2)))
    positions = np.random.default_rng(5).uniform(-1.3, 1.3, (len(SPECIES), 3))
    found = compile_features(descriptor)(params, positions, SPECIES)
    expected = by_definition(descriptor, column_values, params, positions, SPECIES)
    assert found.shape == (len(SPECIES), descriptor.n_features)
    assert (np.abs(expected).max(axis=0) > 1e-4).all()
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
