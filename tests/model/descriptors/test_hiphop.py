from __future__ import annotations

import jax
import numpy as np
import pytest

from latte_ase.model.descriptors.hiphop import POWER, HipHop
from latte_ase.model.radial import envelope

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


def test_padding_is_invisible_and_harmless(padded_and_not, cheap):
    """With random weights as training begins with."""
    params = jax.jit(TWO.init, static_argnums=1, compiler_options=cheap)(jax.random.key(0), 2)
    padded_and_not(TWO, params, POSITIONS, SPECIES)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"l_max": 4}, "l_max"),
        ({"n_max": 5}, "n_max"),
        ({"width": 1}, "width is 1; a whole number of 2 or more is needed"),
        ({"n_interactions": 0}, "n_interactions is 0; a whole number from 1 to 16 is needed"),
        ({"margin": 2.5}, "Sensitivities from 0.75 to 2.5 Angstrom inside a cutoff of 3.0"),
        ({"soft_min": 0.0}, r"soft_min is 0\.0; a finite number larger than 0"),
        ({"soft_min": 4.0, "margin": 1.5}, "soft_min < cutoff - margin is needed"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        HipHop(**(TINY | options))
