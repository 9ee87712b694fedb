"""What is trained stands for the potential's parameters: the same at the start, and only where it should differ later."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from latte_ase.io.model_file import flatten
from latte_ase.training.config import TrainingConfig, load_config
from latte_ase.training.initial import initial_potential
from latte_ase.training.optimiser import optimiser
from latte_ase.training.parametrisation import everything, last_layer, low_rank, networks

ALL = (everything, networks, last_layer, low_rank)
OPTIONS = {
    "latte": {"contractions": "2,-:6,a,a"},
    "reduced": {"contractions": "2,-:6,a,a"},
    "messages": {"contractions": "2,-:6,a,a", "second": "2,-:3,a,a", "sent": [2, 1, 1]},
    "cace": {"l_max": 1},
    "hiphop": {"width": 8},
}


@pytest.fixture(scope="module", params=OPTIONS)
def potential(request):
    """A random potential of two elements."""
    table = {"name": "tiny", "descriptor": request.param, "cutoff": 4.0, "elements": ["Al", "Cu"], "hidden": [9, 7]}
    return initial_potential(load_config({"model": table | OPTIONS[request.param], "data": {"train": ""}}), [])


def changed(potential, parametrisation, trained):
    """Names of the parameters that differ from the potential's."""
    before, after = flatten(potential.params), flatten(parametrisation.params(trained))
    assert before.keys() == after.keys()
    return {name for name in before if not np.array_equal(before[name], after[name])}


@pytest.mark.parametrize("parametrise", ALL)
def test_the_start_is_the_potential(potential, parametrise):
    made = parametrise(potential)
    assert changed(potential, made, made.start) == set()


@pytest.mark.parametrize(("parametrise", "part"), [(networks, "network/"), (last_layer, "network/Dense_2/")])
def test_a_part_changes_that_part_and_all_of_it(potential, parametrise, part):
    made = parametrise(potential)
    moved = jax.tree.map(lambda a: a + 1, made.start)
    assert changed(potential, made, moved) == {name for name in flatten(potential.params) if name.startswith(part)}


def test_changes_of_low_rank_are_of_low_rank(potential):
    made = low_rank(potential, 2, seed=3)
    rng = np.random.default_rng(0)
    moved = jax.tree.map(lambda a: rng.normal(size=a.shape), made.start)
    before, after = flatten(potential.params), flatten(made.params(moved))
    names = changed(potential, made, moved)
    assert names == {n for n in before if n.endswith(("kernel", "mixing")) and np.ndim(before[n]) >= 2} != set()
    for name in names:
        difference = after[name] - before[name]
        assert (np.linalg.matrix_rank(difference, tol=1e-6) <= 2).all(), name
        assert (np.linalg.matrix_rank(difference, tol=1e-6) >= 1).all(), name


def test_low_rank_has_fewer_parameters(potential):
    sizes = [
        sum(np.size(a) for a in jax.tree.leaves(made.start)) for made in (low_rank(potential, 1), everything(potential))
    ]
    assert sizes[0] < sizes[1]


def test_decay_draws_changes_to_nothing_and_not_the_networks(potential):
    made = low_rank(potential, 2)
    start = jax.tree.map(lambda a: np.asarray(a, np.float32) + 1, made.start)
    transformation = optimiser(TrainingConfig(weight_decay=0.1), 10)
    zero = jax.tree.map(np.zeros_like, start)
    updates = jax.jit(lambda g, p: transformation.update(g, transformation.init(p), p)[0])(zero, start)
    for name, update in updates.items():
        for part, step in update.items():
            assert (np.asarray(step) * start[name][part] <= 0).all()
            assert bool(np.any(step)) == ("kernel" in name)


def test_no_rank_is_refused(potential):
    with pytest.raises(ValueError, match="rank is 0; 1 or more is needed"):
        low_rank(potential, 0)
