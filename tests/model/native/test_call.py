"""The native kernel against the one in plain JAX."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from latte_ase.engine.engine import Engine
from latte_ase.model.descriptors import Reduced
from latte_ase.model.native import build, library
from latte_ase.model.potential import Architecture, Potential, init_params

pytestmark = pytest.mark.skipif(not build.compiler(), reason="there is no C++ compiler on this machine")

ELEMENTS = ("H", "C", "O")


def test_the_library_was_built_where_there_is_a_compiler():
    assert library.load()


def random_potential(
    *, hidden=(12, 9), activation="silu", terms="3,-:5,a,a:9,ab,ab:2,abc,abc:4,a,b,ab:1,ab,bc,ca", n_radial=5
):
    """Odd numbers of all things, so that the kernel pads; three elements, and repulsion that acts."""
    architecture = Architecture(
        elements=ELEMENTS,
        descriptor=Reduced(contractions=terms, cutoff=3.5, n_radial=n_radial, smoothness=1.0),
        hidden=hidden,
        activation=activation,
    )
    rng, size = np.random.default_rng(0), (3, architecture.descriptor.n_features)
    constants = {
        "mean": rng.normal(size=size),
        "deviation": rng.uniform(0.5, 2.0, size),
        "scale": np.array(0.7),
        "repulsion_range": rng.uniform(0.8, 1.2, (1, 3)) * np.ones((3, 3)),
    }
    params = jax.tree.map(lambda a: np.asarray(a, np.float64), init_params(architecture, jax.random.key(0)))
    return Potential(architecture, params, constants, np.array([1.0, 2.0, 3.0]))


def crystal() -> Atoms:
    """A sheared cell with three elements."""
    atoms = bulk("C", "diamond", 3.6, cubic=True) * (2, 2, 1)
    atoms.set_cell(atoms.cell.array + np.array([[0, 0.3, 0], [0, 0, 0], [0.2, 0, 0]]), scale_atoms=True)
    atoms.symbols[::3], atoms.symbols[::5] = "H", "O"
    atoms.rattle(0.2, seed=0)
    return atoms


STRUCTURES = {
    "crystal": crystal(),
    "molecule": molecule("CH3CH2OH"),
    "slab": Atoms("HCOH", np.random.default_rng(1).uniform(0, 4, (4, 3)), cell=[4, 4, 12], pbc=[True, True, False]),
    "one atom": Atoms("O", [[0.0, 0.0, 0.0]]),
    "no pairs": Atoms("OH", [[0.0, 0.0, 0.0], [9.0, 0.0, 0.0]]),
    "on top of each other": Atoms("OH", [[0.0, 0.0, 0.0], [0.02, 0.01, 0.0]]),
}
POTENTIALS = {
    "silu": {},
    "tanh": {"activation": "tanh"},
    "gaussian": {"activation": "gaussian", "hidden": (17,)},
    "linear": {"hidden": ()},
    "one column": {"terms": "1,-"},
    "ranks 1 and 2, many radial functions": {"terms": "2,a,a:3,a,b,ab", "n_radial": 11},
    "four factors": {"terms": "2,a,ab,bc,c:2,-"},
}


def outputs(potential, atoms, kernel, **options):
    engine = Engine(potential, kernel=kernel, dtype="float64", **options)
    assert engine.stats.kernel == kernel
    first = engine.evaluate(atoms)
    moved = atoms.copy()  # within the skin, so that displacements act
    moved.rattle(0.02, seed=3)
    return first, engine.evaluate(moved)


def assert_equal_to_rounding(potential, atoms, **options):
    for native, plain in zip(
        outputs(potential, atoms, "native", **options), outputs(potential, atoms, "xla"), strict=True
    ):
        for name in ("energies", "forces", "virial"):
            expected = getattr(plain, name)
            scale = max(1.0, float(np.abs(expected).max()))
            np.testing.assert_allclose(getattr(native, name), expected, rtol=0, atol=1e-11 * scale, err_msg=name)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_structures(structure):
    assert_equal_to_rounding(random_potential(), STRUCTURES[structure])


@pytest.mark.parametrize("kind", POTENTIALS)
def test_potentials(kind):
    assert_equal_to_rounding(random_potential(**POTENTIALS[kind]), STRUCTURES["crystal"])


def test_without_repulsion():
    potential = random_potential()
    without = replace(potential, architecture=replace(potential.architecture, repulsion=False))
    assert_equal_to_rounding(without, STRUCTURES["crystal"])


def test_single_precision():
    potential, atoms = random_potential(), STRUCTURES["crystal"]
    single = Engine(potential, kernel="native", dtype="float32").evaluate(atoms)
    double = Engine(potential, kernel="xla", dtype="float64").evaluate(atoms)
    np.testing.assert_allclose(single.forces, double.forces, rtol=0, atol=2e-5 * np.abs(double.forces).max())


def test_runs_are_equal_to_the_last_bit_with_any_number_of_threads():
    potential, atoms = random_potential(), STRUCTURES["crystal"] * (3, 3, 2)
    found = [Engine(potential, kernel="native", threads=threads).evaluate(atoms) for threads in (1, 1, 2)]
    for other in found[1:]:
        np.testing.assert_array_equal(other.energies, found[0].energies)
        np.testing.assert_array_equal(other.forces, found[0].forces)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_seen_in_the_results(value):
    potential = random_potential()
    params = jax.tree.map(np.array, potential.params)
    params["descriptor"]["mixing"][:] = value
    broken = Engine(replace(potential, params=params), kernel="native").evaluate(STRUCTURES["crystal"])
    assert not np.isfinite(broken.energies).any()
    assert not np.isfinite(broken.forces).all()


@pytest.mark.parametrize(("kind", "reason"), [("latte", "this is a Latte"), ("messages", "this is a Messages")])
def test_other_descriptors_say_why_not(tiny_potential, kind, reason):
    assert Engine(tiny_potential(kind)).stats.kernel == "xla"
    with pytest.raises(RuntimeError, match=rf"'native' cannot run on cpu:0: .* {reason}\. Use kernel='xla'"):
        Engine(tiny_potential(kind), kernel="native")
