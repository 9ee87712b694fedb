from __future__ import annotations

from itertools import pairwise, product
from math import factorial, prod

import jax
import numpy as np
import pytest

from latte_ase.model.descriptors.cace import Cace

CUTOFF = 3.0
SPECIES = np.array([0, 1, 0, 1, 1, 0])
POSITIONS = np.random.default_rng(5).uniform(-1.5, 1.5, (len(SPECIES), 3))
TINY = {"cutoff": CUTOFF, "n_rbf": 3, "n_radial": 2, "n_embedding": 2, "average_neighbours": 3.0}
ALL = Cace(**TINY, l_max=2, messages=("M", "Ar", "Bchi"), cutoff_power=2)
MEMBERS = {
    "one round": Cace(**TINY, l_max=3, max_factors=4),
    "M": Cace(**TINY, l_max=1, messages=("M",)),
    "Ar": Cace(**TINY, l_max=1, messages=("Ar",)),
    "Bchi": Cace(**TINY, l_max=1, messages=("Bchi",)),
    "all messages": ALL,
}

# of the training scripts published with CACE (cacefit); the readout and the counts of trained numbers with them
WATER = Cace(cutoff=5.5, n_embedding=3, messages=("Bchi",), average_neighbours=1.0)
ETHANOL = Cace(cutoff=4.0, l_max=4, messages=("M", "Ar", "Bchi"), cutoff_power=5)
PEPTIDE = Cace(cutoff=6.0, n_rbf=8, l_max=4, messages=("M", "Ar", "Bchi"), cutoff_power=2)
ALLOYS = Cace(cutoff=4.5, n_radial=8, messages=("Bchi",))


@pytest.mark.parametrize(
    "descriptor, elements, hidden, published",
    [
        (WATER, 2, (32, 16), 69_320),
        (ETHANOL, 3, (32, 16), 261_616),
        (PEPTIDE, 4, (32, 16), 263_546),
        (ALLOYS, 25, (24, 12), 91_232),
    ],
    ids=["water", "ethanol", "3BPA", "HEA25"],
)
def test_as_many_trained_numbers_as_published(descriptor, elements, hidden, published):
    """With a readout of two hidden layers and a linear one beside it."""
    params = jax.eval_shape(lambda key: descriptor.init(key, elements), jax.random.key(0))
    sizes = [descriptor.n_features, *hidden, 1]
    readout = sum((a + 1) * b for a, b in pairwise(sizes)) + descriptor.n_features + 1
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) + readout == published


def exponents(rank):
    return [e for e in product(range(rank + 1), repeat=3) if sum(e) == rank]


def times(e):
    return factorial(sum(e)) // prod(map(factorial, e))


def plus(a, b):
    return tuple(x + y for x, y in zip(a, b, strict=True))


def invariants(descriptor, a):
    """B (atoms, channels .., invariants) from A by exponents, term by term as listed in CACE's code."""
    found, top = [a[0, 0, 0]], descriptor.l_max
    if descriptor.max_factors >= 2:
        for rank in range(1, top + 1):
            found.append(sum(times(e) * a[e] ** 2 for e in exponents(rank)))
    if descriptor.max_factors >= 3:
        for low, high in product(range(1, top), repeat=2):
            if low <= high <= top - low:
                pairs = product(exponents(low), exponents(high))
                found.append(sum(times(e) * times(f) * a[e] * a[f] * a[plus(e, f)] for e, f in pairs))
    if descriptor.max_factors >= 4:
        for low, high, middle in product(range(1, top), repeat=3):
            if low < high <= top - middle:
                triples = product(exponents(low), exponents(high), exponents(middle))
                found.append(
                    sum(
                        times(e) * times(f) * times(g) * a[e] * a[f] * a[plus(e, g)] * a[plus(f, g)]
                        for e, f, g in triples
                    )
                )
    return np.stack(found, axis=-1)


def by_definition(descriptor, params, positions, species):
    """All features from the equations, edge by edge, channel (a, b) by channel and monomial by monomial."""
    p = jax.tree.map(np.asarray, params)
    n, power = descriptor.n_embedding, descriptor.cutoff_power
    radial = np.arange(1, power + 1)
    shape = (len(species), descriptor.n_radial, n, n)
    monomials = [e for rank in range(descriptor.l_max + 1) for e in exponents(rank)]
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    edges = [(i, j) for i, j in np.ndindex(distance.shape) if i != j and distance[i, j] < descriptor.cutoff]

    def fade(r):
        """The same polynomial as in the paper, as a product that shows its triple zero."""
        x = r / descriptor.cutoff
        return (1 - x) ** 3 * sum(k * (k + 1) / 2 * x ** (k - 1) for k in radial)

    def chi(i, j, e):
        """(m, a, b)"""
        r = distance[i, j]
        waves = np.sqrt(2 / descriptor.cutoff) * np.sin(p["waves"] * r) / r * fade(r)
        angular = np.prod(((positions[i] - positions[j]) / r) ** e)
        return np.einsum("m,a,b->mab", waves, p["sender"][species[j]], p["receiver"][species[i]]) * angular

    def mixed(sums):
        return {e: np.einsum("imab,mnab->inab", s, p["mixing"][sum(e)]) for e, s in sums.items()}

    sums = {e: np.zeros((len(species), descriptor.n_rbf, n, n)) for e in monomials}
    for (i, j), e in product(edges, monomials):
        sums[e][i] += chi(i, j, e)
    first = mixed(sums)
    features = [invariants(descriptor, first)]
    if descriptor.messages:
        second = {e: np.zeros(shape) for e in monomials}
        norm = descriptor.average_neighbours**-0.5
        ranks = (descriptor.l_max + 1, *shape[1:])
        if "M" in descriptor.messages:
            for e in monomials:
                second[e] += p["memory"].reshape(ranks)[sum(e)] * first[e]
        if "Ar" in descriptor.messages:
            strength, decay = p["strength"].reshape(ranks), p["decay"].reshape(ranks)
            for (i, j), e in product(edges, monomials):
                r, rank = distance[i, j], sum(e)
                second[e][i] += norm * first[e][j] * strength[rank] * np.exp(-r * decay[rank]) * fade(r)
        if "Bchi" in descriptor.messages:
            h = features[0].reshape(len(species), -1) @ p["message"] + p["message_bias"]
            h = h.reshape(len(species), descriptor.l_max + 1, n, n)
            sums = {e: np.zeros((len(species), descriptor.n_rbf, n, n)) for e in monomials}
            for (i, j), e in product(edges, monomials):
                sums[e][i] += chi(i, j, e) * h[j, sum(e)]
            for e, s in mixed(sums).items():
                second[e] += norm * s
        features.append(invariants(descriptor, second))
    return np.concatenate([f.reshape(len(species), -1) for f in features], axis=1)


def random_params(descriptor):
    """No two channels, ranks or elements alike, nothing 0."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(lambda key: descriptor.init(key, 2), jax.random.key(0))
    return jax.tree.map(lambda leaf: rng.uniform(0.6, 1.6, leaf.shape) * rng.choice([-1, 1], leaf.shape), shapes)


@pytest.mark.parametrize("descriptor", MEMBERS.values(), ids=MEMBERS)
def test_features_are_those_of_the_definition(descriptor, compile_features, float64):
    params = random_params(descriptor)
    expected = by_definition(descriptor, params, POSITIONS, SPECIES)
    assert expected.shape == (len(SPECIES), descriptor.n_features)
    assert (np.abs(expected).max(axis=0) > 1e-6).all()
    found = compile_features(descriptor)(params, POSITIONS, SPECIES)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


def test_padding_is_invisible_and_harmless(padded_and_not):
    """Also where a trained decay has become a growth."""
    params = jax.tree.map(np.float32, random_params(ALL) | {"decay": np.full((3, 8), -2.0)})
    padded_and_not(ALL, params, POSITIONS, SPECIES)


def test_vectors_of_many_elements_are_as_large_as_those_of_few():
    params = Cace(**TINY, l_max=1).init(jax.random.key(0), 80)
    for name in ("sender", "receiver"):
        np.testing.assert_allclose(np.mean(params[name] ** 2), 1 / 3, atol=0.1)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"cutoff": -1.0}, "cutoff is -1.0; a finite number larger than 0"),
        ({"average_neighbours": 0.0}, "average_neighbours is 0.0; a finite number larger than 0"),
        ({"n_radial": 0}, "n_radial is 0; a whole number of 1 or more"),
        ({"max_factors": 5}, "max_factors is 5"),
        ({"messages": ("M", "m")}, r"messages is \('M', 'm'\); a list of any of M, Ar, Bchi, each once"),
        ({"messages": ("M", "M")}, "each once, or an empty one, is needed"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        Cace(**(TINY | options))
