"""Messages against their definition: full tensors, one pair, one radial function and one column at a time."""

from __future__ import annotations

from functools import reduce

import jax
import numpy as np
import pytest

from latte_ase.model.descriptors import Messages

TERMS = "2,-:2,a,a:1,ab,ab:2,a,b,ab:1,abc,abc"
SECOND = "1,-:2,a,a:2,ab,ab:1,a,b,ab:1,a,bc,abc"
CUTOFF, N_RADIAL, SHELLS = 3.0, 3, 2
SPECIES = np.array([0, 1, 0, 1, 1])
POSITIONS = np.random.default_rng(5).uniform(-1.3, 1.3, (len(SPECIES), 3))


def blocks(terms):
    return [(int(count), factors) for count, *factors in (b.replace("-", "").split(",") for b in terms.split(":"))]


def count_of(terms, rank):
    return sum(count * [len(f) for f in factors].count(rank) for count, factors in blocks(terms))


def contracted(terms, columns):
    """Invariants of columns[rank], full tensors one after the other."""
    unused, row = dict.fromkeys(range(4), 0), []
    for count, factors in blocks(terms):
        first = []
        for factor in factors:
            first.append(unused[len(factor)])
            unused[len(factor)] += count
        for t in range(count):
            tensors = [columns[len(f)][u + t] for f, u in zip(factors, first, strict=True)]
            row.append(np.einsum(",".join(factors) + "->", *tensors))
    return np.array(row)


def bounded(tensors):
    """N of tensors of one rank, written out in full."""
    return [t / np.sqrt(1 + np.mean(np.square(tensors))) for t in tensors]


def by_definition(descriptor, params):
    p = jax.tree.map(np.asarray, params)
    n = np.arange(1, N_RADIAL + 1)
    _, vectors, tensors = descriptor.sent

    def bonds(i):
        for j in range(len(SPECIES)):
            d = POSITIONS[j] - POSITIONS[i]
            r = np.linalg.norm(d)
            if i != j and r < CUTOFF:
                x = r / CUTOFF
                fade = (1 - 28 * x**6 + 48 * x**7 - 21 * x**8) / n**descriptor.smoothness
                yield j, d / r, np.sqrt(2 / CUTOFF) * np.sin(n * np.pi * x) / r * fade

    first, sent = [], []
    for i in range(len(SPECIES)):
        sizes = [count_of(TERMS, 0), count_of(TERMS, 1) + vectors, count_of(TERMS, 2) + tensors, count_of(TERMS, 3)]
        columns, start = [], 0
        for rank, size in enumerate(sizes):
            ours = [np.zeros((3,) * rank) for _ in range(size)]
            for j, unit, radial in bonds(i):
                weights = radial @ p["mixing"][SPECIES[i], SPECIES[j]][:, start : start + size]
                ours = [
                    a + w * reduce(np.multiply.outer, [unit] * rank, 1.0) for a, w in zip(ours, weights, strict=True)
                ]
            columns.append(ours)
            start += size
        features = contracted(TERMS, columns)
        first.append(features)
        sent.append(
            (
                np.array(bounded(features)) @ p["message"]["kernel"][SPECIES[i]],
                bounded(columns[1][-vectors:]),
                bounded(columns[2][-tensors:]),
            )
        )
    rows = []
    for i in range(len(SPECIES)):
        size = [count_of(SECOND, rank) for rank in range(4)]
        columns = [[np.zeros((3,) * rank) for _ in range(size[rank])] for rank in range(4)]
        for j, unit, radial in bonds(i):
            shells = radial @ p["shells"]["mixing"][SPECIES[i], SPECIES[j]]
            h, v, t = sent[j]
            seen = [*h, *(unit @ a for a in v), *(unit @ a @ unit for a in t)]
            q = [1.0, *(np.array(seen) + p["offset"][SPECIES[i], SPECIES[j]])]
            across = {
                1: [*v, *(a @ unit for a in t)],
                2: [*t, *((np.outer(a, unit) + np.outer(unit, a)) / 2 for a in v)],
            }
            for rank in range(4):
                carried = [w * reduce(np.multiply.outer, [unit] * rank, 1.0) for w in q] + across.get(rank, [])
                if size[rank]:
                    mixing = p["second"][str(rank)]["mixing"][SPECIES[i]].reshape(SHELLS, len(carried), size[rank])
                    for u in range(size[rank]):
                        columns[rank][u] = columns[rank][u] + sum(
                            shells @ mixing[:, m, u] * x for m, x in enumerate(carried)
                        )
        rows.append(np.concatenate([first[i], contracted(SECOND, columns)]))
    return np.array(rows)


@pytest.mark.parametrize("smoothness", [0.0, 1.0])
def test_features_are_those_of_the_definition(compile_features, float64, smoothness):
    descriptor = Messages(
        contractions=TERMS,
        second=SECOND,
        cutoff=CUTOFF,
        n_radial=N_RADIAL,
        sent=(3, 2, 2),
        shells=SHELLS,
        smoothness=smoothness,
    )
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(lambda key: descriptor.init(key, 2), jax.random.key(0))
    params = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape), shapes)
    expected = by_definition(descriptor, params)
    found = compile_features(descriptor)(params, POSITIONS, SPECIES)
    assert found.shape == expected.shape == (len(SPECIES), descriptor.n_features)
    assert (np.abs(expected).max(axis=0) > 1e-4).all()
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-11)
