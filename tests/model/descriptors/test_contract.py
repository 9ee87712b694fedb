"""What every descriptor must give; a new one needs a line in TABLE."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latte_ase.model.descriptors import DESCRIPTORS, Cace, HipHop, Latte, Messages, Reduced

TERMS = "2,-:2,a,a:1,ab,ab:1,-:2,a,b,ab"
CUTOFF = 3.0
SPECIES = np.array([0, 1, 0, 1, 1])

TABLE = {
    "latte specific": Latte(contractions=TERMS, cutoff=CUTOFF, species_mode="specific", max_width=1.5),
    "latte common": Latte(contractions=TERMS, cutoff=CUTOFF, species_mode="common", max_width=1.5),
    "latte embedded": Latte(contractions=TERMS, cutoff=CUTOFF, species_mode="embedded", max_width=1.5, embedding=3),
    "reduced": Reduced(contractions=TERMS, cutoff=CUTOFF, n_radial=3),
    "reduced with vectors": Reduced(contractions=TERMS, cutoff=CUTOFF, n_radial=3, embedding=2, mixing="random"),
    "messages": Messages(contractions=TERMS, second=TERMS, cutoff=CUTOFF, n_radial=3, sent=(2, 1, 2), shells=2),
    "cace": Cace(cutoff=CUTOFF, n_rbf=3, n_radial=2, n_embedding=2, l_max=2),
    "cace with messages": Cace(
        cutoff=CUTOFF, n_rbf=3, n_radial=2, n_embedding=2, l_max=2, messages=("M", "Ar", "Bchi")
    ),
    "hiphop": HipHop(cutoff=CUTOFF, width=4, n_sensitivities=4, l_max=2, n_max=3, n_interactions=2, n_atom_layers=1),
}


def test_every_descriptor_is_in_the_table():
    assert {type(descriptor) for descriptor in TABLE.values()} == set(DESCRIPTORS.values())


@pytest.fixture(scope="module", params=TABLE.values(), ids=TABLE)
def member(request, compile_features, float64):
    """Descriptor, parameters with some bumps that end at the cutoff, compiled features."""
    descriptor = request.param
    params = jax.tree.map(lambda a: 1.3 * a, descriptor.init(jax.random.key(1), 2))
    return descriptor, descriptor.project(params), compile_features(descriptor)


@pytest.fixture(scope="module")
def positions():
    return np.random.default_rng(5).uniform(-1.3, 1.3, (len(SPECIES), 3))


def test_features_are_as_many_as_announced(member, positions):
    descriptor, params, features = member
    found = features(params, positions, SPECIES)
    assert found.shape == (len(SPECIES), descriptor.n_features)
    assert (np.abs(found).max(axis=0) > 0).all()


TURN = np.linalg.qr(np.random.default_rng(6).normal(size=(3, 3)))[0]
MOTIONS = {
    "rotation": TURN * np.linalg.det(TURN),
    "improper rotation": -TURN * np.linalg.det(TURN),
    "inversion": -np.eye(3),
}


@pytest.mark.parametrize("motion", MOTIONS.values(), ids=MOTIONS)
def test_invariant_under_rigid_motions(member, positions, motion):
    _, params, features = member
    moved = features(params, positions @ motion + [10.0, -4.0, 3.0], SPECIES)
    np.testing.assert_allclose(moved, features(params, positions, SPECIES), rtol=1e-10, atol=1e-11)


def test_equivariant_under_permutations(member, positions):
    _, params, features = member
    order = np.array([3, 0, 4, 2, 1])
    expected = np.asarray(features(params, positions, SPECIES))[order]
    np.testing.assert_allclose(features(params, positions[order], SPECIES[order]), expected, rtol=1e-11, atol=1e-12)


def test_species_matter(member, positions):
    _, params, features = member
    swapped = features(params, positions, 1 - SPECIES)
    assert (np.abs(swapped - features(params, positions, SPECIES)).max(axis=1) > 1e-3).all()


def test_isolated_atoms_have_zero_features(member):
    _, params, features = member
    apart = np.arange(len(SPECIES))[:, None] * np.array([1.001 * CUTOFF, 0, 0])
    np.testing.assert_array_equal(features(params, apart, SPECIES), 0)


def test_a_neighbour_leaves_the_cutoff_smoothly(member):
    """Its effect falls as h^3 at a distance h inside: value, first and second derivative go to 0.

    Atoms 0 and 1 stand on a line, and the last one moves away from 1 on its other side, out of the reach of 0, which
    feels it through messages only.
    """
    descriptor, params, features = member
    positions = np.zeros((len(SPECIES), 3))
    positions[1, 0] = 1.2
    positions[2:, 1] = 100.0 + 10 * np.arange(len(SPECIES) - 2)
    alone = features(params, positions, SPECIES)

    def effect(r, atom):
        moved = positions.copy()
        moved[-1] = positions[1] + [r, 0, 0]
        return np.abs(features(params, moved, SPECIES) - alone)[atom].max()

    for atom in (1, 0) if descriptor.n_rounds > 1 else (1,):
        far, near = effect(CUTOFF - 1e-2, atom), effect(CUTOFF - 1e-3, atom)
        assert effect(0.8 * CUTOFF, atom) > 300 * far > 0
        assert np.log10(far / near) > 2.9
        assert effect(1.001 * CUTOFF, atom) == 0


@settings(max_examples=20, derandomize=True, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-6, 1.0, 1e6]))
@pytest.mark.parametrize("descriptor", TABLE.values(), ids=TABLE)
def test_projection_is_idempotent_and_keeps_the_shape(descriptor, seed, scale):
    rng = np.random.default_rng(seed)
    params = descriptor.init(jax.random.key(0), 2)
    wild = jax.tree.map(lambda a: (scale * rng.normal(size=a.shape)).astype(a.dtype), params)
    once = descriptor.project(wild)
    assert jax.tree.map(jnp.shape, once) == jax.tree.map(jnp.shape, params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(once))
    jax.tree.map(np.testing.assert_array_equal, descriptor.project(once), once)


@pytest.mark.parametrize("descriptor", TABLE.values(), ids=TABLE)
def test_random_parameters_are_in_the_domain_and_depend_on_the_key(descriptor):
    params = descriptor.init(jax.random.key(3), 2)
    jax.tree.map(np.testing.assert_array_equal, descriptor.project(params), params)
    other = descriptor.init(jax.random.key(4), 2)
    assert any((a != b).any() for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(other), strict=True))


@pytest.mark.parametrize("descriptor", TABLE.values(), ids=TABLE)
def test_equal_descriptors_are_one_key(descriptor):
    """Compiled functions are looked up by their architecture."""
    fields = {name: getattr(descriptor, name) for name in descriptor.__dataclass_fields__}
    again = type(descriptor)(**fields)
    assert again == descriptor
    assert hash(again) == hash(descriptor)


@pytest.mark.parametrize("kind", [Latte, Reduced])
def test_bad_contractions_are_refused_at_once(kind):
    with pytest.raises(ValueError, match="not a scalar"):
        kind(contractions="2,a,b", cutoff=3.0)


@pytest.mark.parametrize("wrong", [{"contractions": "2,a,b"}, {"second": "2,a,b"}])
def test_bad_terms_of_either_round_are_refused(wrong):
    with pytest.raises(ValueError, match="not a scalar"):
        Messages(**({"contractions": TERMS, "second": TERMS, "cutoff": 3.0} | wrong))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"cutoff": 0.0}, r"cutoff is 0\.0; a finite number larger than 0 is needed"),
        ({"n_radial": 0}, "n_radial is 0; a whole number of 1 or more is needed"),
        ({"shells": 0}, "shells is 0; a whole number of 1 or more is needed"),
        ({"smoothness": -1.0}, r"smoothness is -1\.0; a finite number of 0 or more is needed"),
    ],
)
def test_refusals_of_messages(wrong, message):
    with pytest.raises(ValueError, match=message):
        Messages(contractions=TERMS, second=TERMS, **({"cutoff": 3.0} | wrong))


@pytest.mark.parametrize("sent", [(1, 2), (2, 0, 1)])
def test_messages_without_a_kind_of_tensor_are_refused(sent):
    with pytest.raises(
        ValueError, match=r"sent is \(.*\); a list of 3 entries, each a whole number of 1 or more, is needed"
    ):
        Messages(contractions=TERMS, second=TERMS, cutoff=3.0, sent=sent)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"cutoff": 0.0}, r"cutoff is 0\.0; a finite number larger than 0 is needed"),
        ({"cutoff": "5"}, "cutoff is '5'; a finite number larger than 0 is needed"),
        ({"n_radial": 4.5}, r"n_radial is 4\.5; a whole number of 1 or more is needed"),
        ({"embedding": -1}, "embedding is -1; a whole number of 0 or more is needed"),
        ({"smoothness": -1.0}, r"smoothness is -1\.0; a finite number of 0 or more is needed"),
        ({"mixing": "guessed"}, "mixing is 'guessed'; allowed are learned, random"),
    ],
)
def test_refusals_of_reduced(wrong, message):
    with pytest.raises(ValueError, match=message):
        Reduced(contractions=TERMS, **({"cutoff": 3.0} | wrong))
