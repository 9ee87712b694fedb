"""The fused kernel against the plain one: by JAX's interpreter, and as code for a GPU without one."""

from __future__ import annotations

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latte_ase.geometry.graph import FAR, Shape
from latte_ase.model import derivatives
from latte_ase.model.moments import group_moments, kernel, moments
from latte_ase.model.program import Program, weights_of
from latte_ase.model.radial import BUMP, bessel

pytestmark = pytest.mark.usefixtures("float64")

COLUMNS = (3, 5, 2, 1)
"""Of every rank some, no power of two, so that the kernel has to mask."""
FEW = (3, 2)

BESSEL = bessel(3, 3.0)


def inputs(columns, sizes, atoms=2):
    """Edges with one padded place, weights, parameters of the bumps."""
    rng = np.random.default_rng(0)
    edges = tuple(rng.normal(size=(atoms, k, 3)) for k in sizes)
    edges[0][:, -1] = FAR, 0, 0
    u = sum(columns)
    centres, widths = rng.uniform(1.0, 1.5, u), rng.uniform(0.8, 1.3, u)
    return edges, rng.normal(size=(atoms, len(sizes), u)), (1 / widths, centres / widths)


# more neighbours than the adjoint holds at once, a number that is no power of two, and a group without places
CASES = {
    "weighted": (partial(moments, BUMP, COLUMNS), inputs(COLUMNS, (67, 0, 3))),
    "one column": (partial(moments, BUMP, (1,)), inputs((1,), (5,))),
    "by group": (partial(group_moments, BESSEL, (0, 2)), inputs((), (9, 0, 3))[:1]),
}


def with_cotangents(function, cotangents, *args):
    return jax.vjp(function, *args)[1](cotangents)


def both(function, args, cheap, names=("interpreted", "xla")):
    """The results of both kernels, leaf by leaf."""
    results = []
    for name in names:
        with kernel(name):
            results.append(jax.tree.leaves(jax.jit(function, compiler_options=cheap)(*args)))
    return zip(*results, strict=True)


def like(results):
    """Random numbers in the shape of results."""
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda a: rng.normal(size=a.shape), results)


def assert_same(pairs):
    for found, expected in pairs:
        scale = np.abs(expected).max(initial=0)
        assert scale > 1e-3 or expected.size == 0
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-11 * scale)


@pytest.mark.parametrize("function, args", CASES.values(), ids=CASES)
def test_moments_and_their_gradients_are_those_of_the_plain_kernel(function, args, cheap):
    cotangents = like(jax.eval_shape(function, *args))

    def jet(cotangents, *args):
        return function(*args), with_cotangents(function, cotangents, *args)

    assert_same((a, b) for a, b in both(jet, (cotangents, *args), cheap) if np.size(b) and np.abs(b).max() > 0)


@pytest.mark.gpu
@pytest.mark.parametrize("function, args", CASES.values(), ids=CASES)
def test_same_on_a_gpu(function, args):
    cotangents = like(jax.eval_shape(function, *args))

    def jet(cotangents, *args):
        return function(*args), with_cotangents(function, cotangents, *args)

    with jax.default_device(jax.devices("gpu")[0]):
        assert_same(both(jet, (cotangents, *args), None, ("pallas", "xla")))


def test_padded_neighbours_and_empty_groups_give_exactly_nothing(cheap):
    function, args = CASES["by group"]
    cotangents = like(jax.eval_shape(function, *args))
    with kernel("interpreted"):
        sums = jax.jit(function, compiler_options=cheap)(*args)
        (edges,) = jax.jit(partial(with_cotangents, function), compiler_options=cheap)(cotangents, *args)
    for m in sums:
        np.testing.assert_array_equal(m[:, 1], 0)
        assert np.abs(m[:, [0, 2]]).min() > 0
    np.testing.assert_array_equal(edges[0][:, -1], 0)
    assert np.abs(edges[0][:, 0]).max() > 1e-3


@pytest.mark.parametrize(
    "function, args",
    [
        (partial(moments, BUMP, FEW), inputs(FEW, (4, 3))),
        (partial(group_moments, BESSEL, (0, 1)), inputs((), (4, 3))[:1]),
    ],
    ids=["weighted", "by group"],
)
def test_second_derivatives_are_those_of_the_plain_kernel(function, args, cheap):
    """Those of the gradient with respect to edges, as training on forces takes them."""
    cotangents = like(jax.eval_shape(function, *args))

    def gradient(cotangents, *args):
        return with_cotangents(function, cotangents, *args)[0]

    probes = like(args[0])
    assert_same(both(partial(with_cotangents, gradient), (probes, cotangents, *args), cheap))


ROOM = Shape(2, 8, (32, 24))


@pytest.fixture(scope="module", params=["latte", "reduced"])
def model(request, tiny_potential, make_graph, water_like):
    """Function of weights and a graph, all blocks together as on a GPU: the grid of the kernel gets another axis; its arguments."""
    potential = tiny_potential(request.param, repulsion=False)
    graph, _ = make_graph(potential, water_like, shape=ROOM)
    program = Program(potential.architecture, one_by_one=False)
    return lambda *args: tuple(derivatives.derivatives(program, *args)), (weights_of(potential, np.float64), graph)


def test_energies_and_forces_of_a_potential(model, cheap):
    results, args = model
    assert_same(both(results, args, cheap))


@pytest.mark.parametrize("model", ["latte"], indirect=True)
def test_training_on_forces(model, cheap):
    """The gradient of a loss of forces with respect to all parameters."""
    results, (weights, graph) = model

    def loss(params):
        return jnp.sum(results(weights._replace(params=params), graph)[1] ** 2)

    pairs = list(both(jax.grad(loss), (weights.params,), cheap))
    assert max(np.abs(b).max() for _, b in pairs) > 1e-3
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


def test_unknown_kernel_is_refused():
    function, args = CASES["one column"]
    with kernel("cuda"), pytest.raises(ValueError, match="kernel is 'cuda'; allowed are xla, pallas, interpreted"):
        function(*args)


def test_the_choice_is_part_of_the_key_of_compiled_functions():
    names = []

    @jax.jit
    def compiled(x):
        names.append(kernel.value)
        return x

    for name in ("xla", "interpreted", "xla"):
        with kernel(name):
            compiled(1.0)
    assert names == ["xla", "interpreted"]


def lowered(name, function, *args):
    with kernel(name):
        return jax.jit(function).trace(*args).lower(lowering_platforms=("cuda",)).as_text()


needs_lowering = pytest.mark.skipif(
    jax.__version_info__ > (0, 10, 2) and not any(d.platform == "gpu" for d in jax.devices()),
    reason="from jax 0.11 on, Triton compiles while lowering and needs a GPU; tests marked gpu cover it",
)


@needs_lowering
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_potential_lowers_for_a_gpu(model, dtype):
    """Through Triton's rules: shapes are powers of two, primitives are known."""
    results, args = model
    args = jax.tree.map(lambda a: a.astype(dtype) if a.dtype == np.float64 else a, args)
    with jax.enable_x64(dtype == "float64"):
        text = lowered("pallas", results, *args)
    assert [text.count(f'"{name}"') for name in ("latte_moments", "latte_adjoint")] == [1, 1]


@needs_lowering
def test_nothing_over_pairs_and_columns_is_written():
    """Outside the kernel, all that has an axis of neighbours are the edges and their gradients."""
    function, args = partial(moments, BUMP, COLUMNS), inputs(COLUMNS, (67, 41))
    cotangents = like(jax.eval_shape(function, *args))

    def gradient(cotangents, *args):
        return with_cotangents(function, cotangents, *args)[0]

    def shapes(name):
        found = re.findall(r"tensor<([0-9x]+)x[a-z]", lowered(name, gradient, cotangents, *args))
        return {shape for shape in found if {"67", "41"} & set(shape.split("x"))}

    assert shapes("pallas") == {"2x67x3", "2x41x3"}
    assert "2x5x67" in shapes("xla")
