from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest

from latte_ase.geometry.graph import FAR
from latte_ase.model import repulsion
from latte_ase.model.descriptors import Cace, Latte
from latte_ase.model.descriptors.base import Shared
from latte_ase.model.potential import (
    FEATURE_FLOOR,
    Architecture,
    Potential,
    feature_constants,
    init_params,
    site_energies,
    species_tables,
)
from latte_ase.model.program import weights_of

DESCRIPTOR = Latte(contractions="2,-:1,a,a", cutoff=4.0)


@pytest.fixture(scope="module", params=["latte", "reduced"])
def block(request, tiny_potential, cheap):
    """A potential, and its compiled function (species, edges) -> features, energies of four atoms."""
    potential = tiny_potential(request.param)
    architecture = potential.architecture
    weights = weights_of(potential, np.float32)
    tables = species_tables(architecture, weights.params, weights.constants)
    neighbour_species = np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])

    @partial(jax.jit, compiler_options=cheap)
    def of_row(row, edges):
        features = architecture.descriptor.features(row["descriptor"], edges, neighbour_species)
        return features, site_energies(architecture, row, edges, neighbour_species)

    def of_species(species, edges):
        def row(table):
            return table.value if isinstance(table, Shared) else table[species]

        return of_row(jax.tree.map(row, tables, is_leaf=lambda table: isinstance(table, Shared)), edges)

    return potential, neighbour_species, of_species


def test_an_isolated_atom_has_exactly_its_reference_energy(block):
    far = np.broadcast_to(np.float32([FAR, 0, 0]), (4, 3, 3))
    for species in (0, 1):
        np.testing.assert_array_equal(block[2](species, (far, far))[1], 0)


def test_energy_is_the_scaled_network_of_standardised_features_plus_repulsion(block):
    potential, neighbour_species, of_species = block
    constants = potential.constants
    edges = tuple(np.random.default_rng(0).normal(size=(2, 4, 3, 3)).astype(np.float32))
    pairs = repulsion.tables(potential.architecture.numbers, constants["repulsion_range"])
    for species in (0, 1):
        features, energies = of_species(species, edges)
        x = (np.vstack([features, 0 * features[:1]]) - constants["mean"][species]) / constants["deviation"][species]
        hidden, last = (potential.params["network"][f"Dense_{layer}"] for layer in (0, 1))
        x = x @ hidden["kernel"][species] + hidden["bias"][species]
        values = (x / (1 + np.exp(-x)) @ last["kernel"][species])[:, 0]
        core = sum(
            repulsion.zbl(np.linalg.norm(group, axis=-1), *pairs[species, kind].T[..., None]).sum(axis=1) / 2
            for group, kind in zip(edges, neighbour_species, strict=True)
        )
        assert (core > 0.1).all()
        np.testing.assert_allclose(energies, constants["scale"] * (values[:-1] - values[-1]) + core, rtol=1e-4)


def toy(*elements):
    architecture = Architecture(elements=elements, descriptor=DESCRIPTOR)
    return Potential(architecture, {}, {}, np.zeros(len(elements)), {"name": "toy"})


def test_species():
    np.testing.assert_array_equal(toy("H", "C", "O").species([8, 1, 6, 8]), [2, 0, 1, 2])


@pytest.mark.parametrize("numbers, strange", [([1, 26, 7, 26], "Fe, N"), ([118], "Og")])
def test_unknown_elements_are_named_with_the_known_ones(numbers, strange):
    with pytest.raises(ValueError, match=rf"Element {strange} is unknown to toy, .* trained on H, C, O\."):
        toy("H", "C", "O").species(numbers)


@pytest.mark.parametrize(
    "numbers, message",
    [
        ([8, 119, 150], r"of the atomic number 119, 150; numbers from 1 \(H\) to 118 \(Og\) are allowed\."),
        ([8, -1], "of the atomic number -1; numbers from 1"),
        ([8, 1 - 119], "of the atomic number -118; numbers from 1"),  # an index from the end would be H
        (
            [8, 0],
            r"of the atomic number 0; .*0 is a ghost atom: leave such atoms out, del atoms\[atoms\.numbers == 0\]",
        ),
    ],
)
def test_numbers_of_no_element_are_refused(numbers, message):
    with pytest.raises(ValueError, match=f"There is no element {message}"):
        toy("H", "C", "O").species(numbers)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"elements": ()}, r"elements is \(\); a list of one or more chemical symbols such as Si is needed"),
        ({"elements": ("H", "Water")}, "'Water'.*chemical symbols"),
        ({"elements": ("X", "H")}, "'X'.*chemical symbols"),
        ({"elements": ("O", "H")}, r"sorted: \('H', 'O'\)"),
        ({"elements": ("H", "H")}, "once each"),
        ({"activation": "relu6"}, "activation is 'relu6'; allowed are silu, tanh, gaussian"),
    ],
)
def test_architecture_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        Architecture(**{"elements": ("H", "O"), "descriptor": DESCRIPTOR, **options})


def test_equal_architectures_are_one_key():
    first, second = (Architecture(elements=("H", "O"), descriptor=replace(DESCRIPTOR)) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    assert first != replace(first, hidden=(3,))


def test_feature_constants():
    """Plain mean and deviation where features vary; a floor where they do not."""
    rng = np.random.default_rng(0)
    varied = rng.normal(loc=3.0, scale=[1.0, 2.0, 1e-6, 0.0], size=(500, 4))
    varied[:, 3] = 0.0  # no pair of the set touches this bump
    crystal = np.tile([5.0, -2.0, 0.0, 0.3], (4, 1))
    features = np.concatenate([varied, crystal])
    species = np.repeat([0, 2], [500, 4])
    mean, deviation = feature_constants(features, species, 3)
    np.testing.assert_allclose(mean[0], varied.mean(axis=0))
    np.testing.assert_allclose(deviation[0, :2], varied[:, :2].std(axis=0))
    typical = np.sqrt((varied.std(axis=0) ** 2).mean())
    assert deviation[0, 2] == pytest.approx(FEATURE_FLOOR * 3.0, rel=1e-3)
    assert deviation[0, 3] == pytest.approx(FEATURE_FLOOR * typical)
    np.testing.assert_array_equal(mean[1], 0)
    np.testing.assert_array_equal(deviation[1], 1)
    np.testing.assert_allclose(mean[2], crystal[0])
    np.testing.assert_allclose(deviation[2], np.maximum(FEATURE_FLOOR * np.abs(crystal[0]), 1e-3))


def test_random_parameters_have_a_row_of_their_own_for_every_species(tiny_potential):
    params = tiny_potential().params
    assert params["descriptor"]["weights"].shape[:2] == (2, 2)
    rows = [leaf for leaf in jax.tree.leaves(params) if leaf.any()]  # biases start at 0
    assert len(rows) == 5
    assert all((leaf[0] != leaf[1]).all() for leaf in rows)


WATER = {"n_rbf": 6, "n_radial": 12, "n_embedding": 3, "l_max": 3}
MOLECULE = {"n_radial": 12, "n_embedding": 4, "l_max": 4, "messages": ("M", "Ar", "Bchi")}


@pytest.mark.parametrize(
    ("options", "elements", "hidden", "count"),
    [
        (WATER | {"messages": ("Bchi",)}, "H O", (32, 16), 69_320),
        (MOLECULE | {"n_rbf": 6}, "H C O", (32, 16), 261_616),
        (MOLECULE | {"n_rbf": 8}, "H C N O", (32, 16), 263_546),
        (
            {"n_rbf": 6, "n_radial": 8, "messages": ("Bchi",)},
            "Sc Ti V Cr Mn Fe Co Ni Cu Zn Y Zr Nb Mo Ru Rh Pd Ag Hf Ta W Re Os Ir Pt",
            (24, 12),
            91_232,
        ),
    ],
    ids=["water", "ethanol", "3bpa", "alloys"],
)
def test_a_potential_of_cace_has_the_published_number_of_parameters(options, elements, hidden, count):
    """The fits of github.com/BingqingCheng/cacefit; one network for all elements, and a linear function beside it."""
    descriptor = Cace(cutoff=5.0, **options)
    architecture = Architecture(elements=tuple(elements.split()), descriptor=descriptor, hidden=hidden, linear=True)
    params = jax.eval_shape(lambda: init_params(architecture, jax.random.key(0)))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


def test_whether_reference_energies_are_given(tiny_potential):
    potential = tiny_potential()
    data = {"isolated_atoms": "", "reference_energies": {}}
    given = {
        name: {"recipe": {"data": data | {name: value}}}
        for name, value in (("isolated_atoms", "a.xyz"), ("reference_energies", {"Cu": 0.0}))
    }
    for metadata, expected in (
        ({}, False),
        ({"recipe": {"data": data}}, False),
        *((m, True) for m in given.values()),
        ({"finetuning": {"strategy": "full"}}, False),
        ({"finetuning": {"energies": {"Cu": 0.0}}}, True),
        ({"finetuning": "text", "recipe": [1]}, False),  # a file may hold anything
    ):
        found = replace(potential, metadata=metadata)
        assert found.reference_energies_are_given is found.domain.isolated is expected
