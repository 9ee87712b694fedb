from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latte_ase.descriptors.base import Shared
from latte_ase.descriptors.hiphop import POWER, HipHop
from latte_ase.graph import FAR
from latte_ase.radial import envelope

CUTOFF = 3.0
SPECIES = np.array([0, 1, 0, 1, 1, 0])
POSITIONS = np.random.default_rng(5).uniform(-1.5, 1.5, (len(SPECIES), 3))
TINY = {"cutoff": CUTOFF, "width": 3, "n_sensitivities": 4}
TWO = HipHop(**TINY, l_max=2, n_interactions=2, n_atom_layers=1)
MEMBERS = {
    "one interaction": HipHop(**TINY),
    "two interactions": TWO,
    "scalars": HipHop(**TINY, l_max=0, n_atom_layers=2),
}

# the invariants in the order of hippynn, as full contractions of trace-free tensors s, v, Q, T
INVARIANTS = (
    ("->", "s"),
    ("a,a->", "vv"),
    ("ab,ab->", "QQ"),
    ("abc,abc->", "TT"),
    ("a,ab,b->", "vQv"),
    ("ab,ac,bc->", "QQQ"),
    ("ab,acd,bcd->", "QTT"),
    ("a,b,c,abc->", "vvvT"),
    ("a,ab,bc,c->", "vQQv"),
    ("a,abc,bcd,d->", "vTTv"),
    ("ab,bc,ade,cde->", "QQTT"),
    ("ab,abc,cde,de->", "QTTQ"),
    ("abc,abd,efc,efd->", "TTTT"),
)


def trace_free(unit, rank):
    """unit^(x)rank less its traces, all 3^rank components."""
    one, n = np.eye(3), unit
    if rank == 3:
        traces = sum(np.einsum(f"a,bc->{abc}", n, one) for abc in ("abc", "bac", "bca"))
        return np.einsum("a,b,c->abc", n, n, n) - traces / 5
    return (1.0, n, np.outer(n, n) - one / 3)[rank]


def softplus(x):
    return np.log1p(np.exp(x))


def network(descriptor, params, positions, species):
    """z of every atom after each interaction, neuron by neuron from the published equations."""
    z, found = np.eye(2)[species], []
    letters = "svQT"[: descriptor.l_max + 1]
    chosen = [
        (text, names) for text, names in INVARIANTS if len(names) <= descriptor.n_max and set(names) <= set(letters)
    ]
    for t in range(descriptor.n_interactions):
        p = params[f"interaction{t}"]
        invariants = np.zeros((len(species), descriptor.width, len(chosen)))
        for i, a in np.ndindex(invariants.shape[:2]):
            tensors = {name: np.zeros((3,) * rank) for rank, name in enumerate(letters)}
            for j in range(len(species)):
                vector = positions[j] - positions[i]
                r = np.linalg.norm(vector)
                if i == j or r >= descriptor.cutoff:
                    continue
                x = r / descriptor.cutoff
                s = np.exp(-0.5 * (1 / r - p["inverse_distances"]) ** 2 * p["sharpness"] ** 2)
                s = s * (1 - 10 * x**3 + 15 * x**4 - 6 * x**5)
                weight = s @ (z[j] @ p["mixing"][:, :, a].reshape(len(z[j]), -1))
                for rank, name in enumerate(letters):
                    tensors[name] += weight * trace_free(vector / r, rank)
            invariants[i, a] = [np.einsum(text, *(tensors[name] for name in names)) for text, names in chosen]
        mean, variance = invariants.mean(axis=1, keepdims=True), invariants.var(axis=1, keepdims=True)
        normal = p["norm_scale"] * (invariants - mean) / np.sqrt(variance + 1e-5) + p["norm_shift"]
        x = np.einsum("iak,akb->ib", normal, p["invariants"]) + z @ p["weights"] + p["bias"]
        z = (z @ p["lift"] if t == 0 else z) + softplus(x) @ p["residual"] + p["residual_bias"]
        for k in range(descriptor.n_atom_layers):
            weights, bias, residual, residual_bias = (
                p["layers"][name][k] for name in ("weights", "bias", "residual", "residual_bias")
            )
            z = z + softplus(z @ weights + bias) @ residual + residual_bias
        found.append(z)
    return np.concatenate(found, axis=1)


def random_params(descriptor):
    """No two neurons or elements alike, nothing 0, sensitivities between 0.8 and 3 Angstrom."""
    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(lambda key: descriptor.init(key, 2), jax.random.key(0))
    params = jax.tree.map(lambda leaf: rng.uniform(0.2, 0.8, leaf.shape) * rng.choice([-1, 1], leaf.shape), shapes)
    for p in params.values():
        p["inverse_distances"] = rng.uniform(0.33, 1.2, p["inverse_distances"].shape)
        p["sharpness"] = rng.uniform(2, 8, p["sharpness"].shape)
    return params


@pytest.mark.parametrize("descriptor", MEMBERS.values(), ids=MEMBERS)
def test_features_are_what_the_published_network_adds_to_isolated_atoms(descriptor, compile_features, float64):
    params = random_params(descriptor)
    apart = np.arange(len(SPECIES))[:, None] * np.array([10.0, 0, 0])
    z, isolated = (network(descriptor, params, positions, SPECIES) for positions in (POSITIONS, apart))
    assert (np.abs(z - isolated).max(axis=0) > 1e-2).all()
    found = compile_features(descriptor)(params, POSITIONS, SPECIES)
    assert found.shape == (len(SPECIES), descriptor.n_features)
    np.testing.assert_allclose(found, z - isolated, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(
    "n_max, l_max, published", [(4, 3, 13), (4, 2, 6), (4, 1, 2), (4, 0, 1), (3, 3, 7), (3, 2, 5), (2, 3, 4), (2, 2, 3)]
)
def test_as_many_trained_numbers_as_in_hippynn(n_max, l_max, published):
    """Counted from its layers: sensitivities, interaction, self-interaction, mixing, norm, and linear layers."""
    descriptor = HipHop(cutoff=6.5, width=20, l_max=l_max, n_max=n_max, n_interactions=2)
    params = jax.eval_shape(lambda key: descriptor.init(key, 4), jax.random.key(0))
    linear, sensitivities, n = 20 * 20 + 20, 2 * 20, 20
    count = 0
    for inputs, lift in ((4, 4 * 20), (20, 0)):
        interaction = n * 20 * inputs + inputs * 20 + 20 + 20 * published * 20 + 2 * published * 20
        count += sensitivities + interaction + linear + lift + 3 * 2 * linear
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count
    assert descriptor.n_features == 40


def test_the_envelope_is_the_closest_to_the_published_one():
    x = np.linspace(0, 1, 400)
    apart = {power: np.abs(envelope(x, power) - np.cos(np.pi * x / 2) ** 2).max() for power in range(1, 8)}
    assert min(apart, key=apart.__getitem__) == POWER
    assert apart[POWER] < 0.05


@pytest.fixture(scope="module")
def features(compile_features, float64):
    """Function (positions, species) -> features with two interactions."""
    compiled, params = compile_features(TWO), random_params(TWO)
    return lambda positions, species=SPECIES: compiled(params, positions, species)


@pytest.mark.parametrize("parity", [1, -1], ids=["rotation", "improper rotation"])
def test_invariant_under_motions_and_exchange(features, parity):
    turn = np.linalg.qr(np.random.default_rng(6).normal(size=(3, 3)))[0]
    turn *= parity * np.linalg.det(turn)
    order = np.array([3, 0, 5, 4, 2, 1])
    moved = features((POSITIONS @ turn + [10.0, -4.0, 3.0])[order], SPECIES[order])
    np.testing.assert_allclose(moved, features(POSITIONS)[order], rtol=1e-9, atol=1e-11)


def test_exactly_zero_without_neighbours(features):
    apart = np.arange(len(SPECIES))[:, None] * np.array([1.001 * CUTOFF, 0, 0])
    np.testing.assert_array_equal(features(apart), 0)


@pytest.mark.parametrize("centre", [0, 1], ids=["direct", "through a neighbour"])
def test_a_neighbour_leaves_the_cutoff_smoothly(features, centre):
    """Its effect falls as h^3 at a distance h inside: value, first and second derivative go to 0.

    Atoms 0 and 1 stand on a line, and the last one moves away from 1 on its other side, out of the reach of 0.
    """
    positions = np.zeros((len(SPECIES), 3))
    positions[1, 0] = 1.2
    positions[2:, 1] = 100.0 + 10 * np.arange(4)

    def effect(r):
        moved = positions.copy()
        moved[-1] = positions[1] + [r, 0, 0]
        return np.abs(features(moved) - features(positions))[1 - centre].max()

    far, near = effect(CUTOFF - 1e-2), effect(CUTOFF - 1e-3)
    assert effect(0.8 * CUTOFF) > 300 * far > 0
    assert np.log10(far / near) > 2.9
    assert effect(1.001 * CUTOFF) == 0


def rounds(descriptor, params, edges, neighbour):
    """All rounds of one block, the gather by hand: edges (atoms, k, 3), neighbour (atoms, k)."""
    rows = jax.tree.map(
        lambda t: t.value if isinstance(t, Shared) else jnp.asarray(t)[SPECIES],
        descriptor.tables(params),
        is_leaf=lambda t: isinstance(t, Shared),
    )
    own = received = None
    for step in range(descriptor.n_rounds):
        own, sent = descriptor.update(step, rows, (edges,), (jnp.asarray(SPECIES)[neighbour],), own, received)
        received = (jax.tree.map(lambda a: a[neighbour], sent),)
    return own


def test_padding_is_invisible_and_harmless(cheap):
    """Wherever it stands and whatever it points at; in float32, with random weights as training begins with."""
    n = len(SPECIES)
    others = np.array([[j for j in range(n) if j != i] for i in range(n)])
    edges = (POSITIONS[others] - POSITIONS[:, None]).astype(np.float32)
    padding = np.broadcast_to(np.float32([FAR, 0, 0]), (n, 3, 3))
    params = jax.jit(TWO.init, static_argnums=1, compiler_options=cheap)(jax.random.key(0), 2)

    @partial(jax.jit, compiler_options=cheap)
    def value_and_slope(edges, neighbour):
        value, pull = jax.vjp(lambda e: rounds(TWO, params, e, neighbour), edges)
        return value, pull(jnp.ones_like(value))[0]

    behind = value_and_slope(
        np.concatenate([edges, padding], axis=1), np.concatenate([others, np.full((n, 3), 2)], axis=1)
    )
    before = value_and_slope(
        np.concatenate([padding, edges], axis=1), np.concatenate([np.full((n, 3), 3), others], axis=1)
    )
    assert np.isfinite(behind[1]).all()
    np.testing.assert_array_equal(behind[1][:, -3:], 0)
    np.testing.assert_array_equal(before[1][:, :3], 0)
    for a, b in ((behind[0], before[0]), (behind[1][:, :-3], before[1][:, 3:])):
        assert 0.03 < np.abs(a).max() < 100
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * np.abs(a).max())


@pytest.mark.parametrize(
    "options, message",
    [
        ({"l_max": 4}, "l_max"),
        ({"n_max": 5}, "n_max"),
        ({"width": 1}, "width is 1; at least 2"),
        ({"n_interactions": 0}, "n_interactions is 0; at least 1"),
        ({"margin": 2.5}, "Sensitivities from 0.75 to 2.5 Angstrom inside a cutoff of 3.0"),
        ({"soft_min": 0.0}, "0 < soft_min < cutoff - margin"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        HipHop(**(TINY | options))
