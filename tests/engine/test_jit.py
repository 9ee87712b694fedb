"""Options of compiled functions: the same numbers with them and without, and no harm where JAX does not know them."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latte_ase.engine import jit


@pytest.fixture
def fresh():
    """`options` is asked again, in this test and after it."""
    jit.options.cache_clear()
    yield
    jit.options.cache_clear()


def test_numbers_are_those_of_plain_jit():
    def function(x):
        return jnp.sin(x) @ x.T, jnp.sum(x**2, axis=0)

    x = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    for ours, plain in zip(jit.jit(function)(x), jax.jit(function)(x), strict=True):
        np.testing.assert_allclose(ours, plain, rtol=1e-5)


def test_static_arguments():
    power = jit.jit(lambda n, x: x**n, static_argnums=0)
    assert [float(power(n, 2.0)) for n in (2, 3, 2)] == [4.0, 8.0, 4.0]


@pytest.mark.usefixtures("fresh")
def test_an_option_that_this_jax_does_not_know_is_left_out(monkeypatch):
    monkeypatch.setattr(jit, "FASTEST", {"xla_cpu_no_such_option": True})
    assert jit.options() is None
    assert float(jit.jit(lambda x: x + 1)(1.0)) == 2.0


@pytest.mark.usefixtures("fresh")
def test_other_failures_are_not_hidden(monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("the driver is gone")

    monkeypatch.setattr(jax, "jit", fails)
    with pytest.raises(RuntimeError, match="driver is gone"):
        jit.options()


def test_making_functions_does_not_start_jax():
    code = "import latte_ase.training.train, latte_ase.simulate; from jax._src import xla_bridge; print(xla_bridge._backends)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "{}"


def test_threads_that_come_first_share_one_function():
    traced = []
    counted = jit.jit(lambda x: traced.append(1) or x + 1)
    with ThreadPoolExecutor(4) as pool:
        assert [float(y) for y in pool.map(counted, [1.0, 2.0, 3.0, 4.0])] == [2.0, 3.0, 4.0, 5.0]
    assert len(traced) == 1


def test_traces_are_those_of_the_thread():
    counted, before = jit.jit(lambda x: x), jit.traces.count
    for x in (1.0, 2.0, np.ones(3)):  # two kinds of argument, two traces
        counted(x)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(counted, np.ones(4)).result()
        assert pool.submit(lambda: jit.traces.count).result() == 1
    assert jit.traces.count - before == 2
