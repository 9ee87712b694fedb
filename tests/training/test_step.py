"""One optimiser step: padding, domain, moving average, frozen parameters."""

from __future__ import annotations

import jax
import numpy as np
import optax
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator

from latte_ase.geometry.buckets import Buckets
from latte_ase.geometry.graph import Shape
from latte_ase.io.model_file import flatten
from latte_ase.model.derivatives import of_structures
from latte_ase.model.program import Program, weights_of
from latte_ase.training.batch_rules import buckets_of
from latte_ase.training.batches import make_batch
from latte_ase.training.config import TrainingConfig, load_config
from latte_ase.training.dataset import prepare
from latte_ase.training.initial import initial_potential
from latte_ase.training.loss import errors, loss
from latte_ase.training.optimiser import optimiser
from latte_ase.training.parametrisation import everything
from latte_ase.training.step import OptimiserState, make_step

CONFIG = TrainingConfig(rate=20.0, stress_weight=1.0, ema=0.5)  # the first step has a rate of 1


@pytest.fixture(scope="module")
def potential():
    """A random potential of aluminium and copper."""
    model = {
        "name": "tiny",
        "contractions": "2,-:2,a,a",
        "cutoff": 4.0,
        "elements": ["Al", "Cu"],
        "hidden": [8],
        "repulsion": False,
    }
    return initial_potential(load_config({"model": model, "data": {"train": ""}}), [])


def frames():
    """Two alloys with the labels of EMT."""
    made = []
    for seed in range(2):
        atoms = bulk("Cu", cubic=True, a=3.8)
        atoms.symbols = "CuAlAlCu"
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        results = {name: atoms.calc.get_property(name, atoms) for name in ("energy", "forces", "stress")}
        atoms.calc = SinglePointCalculator(atoms, **results)
        made.append(atoms)
    return made


@pytest.fixture(scope="module")
def steps(potential):
    """The start, and the state and error sums after a step in two paddings."""
    prepared = prepare(potential, frames())
    (tight,) = buckets_of(prepared, 2).known
    roomy = Shape(tight.blocks + 2, tight.block, tuple(n + 5 for n in tight.neighbours))
    with jax.enable_x64(True):
        params, constants, _ = weights_of(potential, np.float64)
        transformation = optimiser(CONFIG, 10)
        whole = everything(potential)
        step = make_step(Program(potential.architecture), transformation, CONFIG, parametrisation=whole)
        start = OptimiserState(params, params, jax.jit(transformation.init)(params), np.zeros((), np.int32))
        ends = []
        for shape, size in ((tight, 2), (roomy, 4)):
            batch = make_batch(prepared, potential.reference_energies, Buckets(known=[shape]), size, np.float64)
            ends.append(jax.device_get(step(start, constants, batch)))
        late = step(start._replace(step=np.int32(100)), constants, batch)[0]
    return start, *ends, jax.device_get(late)


def test_padding_does_not_show(steps):
    _, (one, sums), (other, other_sums), _ = steps
    np.testing.assert_allclose(sums, other_sums, rtol=1e-10)
    assert sums.n_forces == 2 * 4 * 3
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


def test_a_large_step_stays_in_the_domain(potential, steps):
    start, (end, _), *_ = steps
    descriptor = potential.architecture.descriptor
    widths, centres = end.params["descriptor"]["widths"], end.params["descriptor"]["centres"]
    assert np.abs(widths - start.params["descriptor"]["widths"]).max() > 0.1
    assert (widths >= descriptor.min_width).all() and (widths <= descriptor.max_width).all()
    assert (centres >= widths).all() and (centres <= descriptor.cutoff - widths).all()
    assert np.isin(widths, [descriptor.min_width, descriptor.max_width]).any()  # some were stopped there


def test_the_average_follows_early_on_and_keeps_its_share_later(steps):
    start, (early, _), _, late = steps
    assert (early.step, late.step) == (1, 101)
    for end, kept in ((early, 0.1), (late, CONFIG.ema)):  # 101 / 110 would be more than ema
        trees = (jax.tree.leaves(t) for t in (start.average, end.params, end.average))
        for old, new, average in zip(*trees, strict=True):
            # the share is a number of single precision
            np.testing.assert_allclose(average, kept * old + (1 - kept) * new, rtol=0, atol=1e-7)


def changed_by(transformation, gradient, params):
    """Names of the parameters that this gradient changes."""
    updates = jax.jit(lambda g, p: transformation.update(g, transformation.init(p), p)[0])(gradient, params)
    return {name for name, update in flatten(updates).items() if np.any(update)}


def test_decay_acts_on_kernels_only(potential):
    transformation = optimiser(TrainingConfig(weight_decay=0.1), 10)
    moved = changed_by(transformation, jax.tree.map(np.zeros_like, potential.params), potential.params)
    assert moved == {name for name in flatten(potential.params) if "kernel" in name} != set()


def test_weak_supervision_changes_a_step_and_every_step_has_directions_of_its_own(potential):
    """A step along the gradient, of a loss without labels."""

    def changes(numbers, **settings):
        config = TrainingConfig(energy_weight=0.0, force_weight=0.0, **settings)
        prepared = prepare(potential, frames(), skin=config.skin)
        shapes = buckets_of(prepared, 2)
        batch = make_batch(prepared, potential.reference_energies, shapes, 2, np.float32)
        params, constants, _ = weights_of(potential, np.float32)
        steepest = optax.sgd(1.0)
        step = make_step(Program(potential.architecture), steepest, config, parametrisation=everything(potential))
        starts = [OptimiserState(params, params, steepest.init(params), np.int32(k)) for k in numbers]
        ends = [jax.device_get(step(start, constants, batch))[0].params for start in starts]
        return [end["network"]["Dense_0"]["kernel"] - params["network"]["Dense_0"]["kernel"] for end in ends]

    first, second, again = changes((0, 1, 0), taylor_weight=1e7)
    (nothing,) = changes((0,))
    assert not nothing.any()
    assert np.abs(first).max() > 1e-3
    assert np.abs(first - second).max() > 0.1 * np.abs(first).max()
    np.testing.assert_array_equal(first, again)


def loops(jaxpr):
    """Lengths of all loops over blocks in a traced function, also of those within others."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "scan":
            yield equation.params["length"]
        for value in equation.params.values():
            for inner in value if isinstance(value, (list, tuple)) else [value]:
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    yield from loops(inner)


def test_a_gpu_trains_on_all_blocks_at_once(potential):
    """One after the other they would be thousands of launches per step."""
    prepared = prepare(potential, [atoms for atoms in frames() for _ in range(8)])
    batch = make_batch(prepared, potential.reference_energies, buckets_of(prepared, 16), 16, np.float32)
    blocks, weights, gradients = batch.graph.is_atom.shape[0], weights_of(potential, np.float32), []
    for platform in ("cpu", "gpu"):
        program = Program.on(platform, potential.architecture)

        def value(params, program=program):
            predicted = of_structures(program, weights._replace(params=params), batch.graph, 16)
            return loss(errors(predicted, batch), (1.0, 1.0, 1.0))

        lengths = set(loops(jax.make_jaxpr(jax.grad(value))(weights.params).jaxpr))
        assert (max(lengths, default=1) == 1) == (platform == "gpu"), lengths
        assert platform == "gpu" or blocks in lengths
        gradients.append(jax.jit(jax.grad(value))(weights.params))
    for one_by_one, at_once in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(at_once, one_by_one, rtol=0, atol=2e-5 * np.abs(one_by_one).max())
