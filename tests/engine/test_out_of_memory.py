"""Errors that were made up, and the message that comes of them."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from latte_ase.engine import out_of_memory


def device(limit):
    stats = None if limit is None else {"bytes_limit": limit}
    return SimpleNamespace(platform="gpu", id=1, memory_stats=lambda: stats)


JAX = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 8.11GiB.")
ERRORS = [JAX, MemoryError("std::bad_alloc"), np._core._exceptions._ArrayMemoryError((10**12,), np.dtype(float))]  # type: ignore


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_the_message_says_what_fits_and_what_to_do(error):
    with (
        pytest.raises(MemoryError) as caught,
        out_of_memory.explained(1_000_000, 50_000_000, device=device(10e9), dtype="float32"),
    ):
        raise error
    assert caught.value.__cause__ is error
    text = str(caught.value)
    assert "on gpu:1: 1000000 atoms with 50000000 pairs in float32 need about 20 GB in one piece" in text
    assert "can have 10 GB. About 400000 atoms like these would fit." in text  # 10 GB of 20, less a fifth
    assert "predict(calculator, atoms, chunk=50000)), which takes about 1 GB at a time" in text


@pytest.mark.parametrize(
    ("limit", "dtype", "fit", "chunk"),
    [(1e9, "float32", 40_000, 20_000), (1e9, "float64", 20_000, 10_000), (None, "float32", 500_000, 50_000)],
)
def test_what_fits_follows_memory_and_precision(limit, dtype, fit, chunk):
    text = out_of_memory.explanation(1_000_000, 50_000_000, device=device(limit), dtype=dtype)
    assert f"About {fit} atoms like these would fit" in text
    assert f"chunk={chunk})" in text


def test_what_was_too_much_is_not_said_to_fit():
    """Others use the memory too: what failed did not fit, whatever the estimate."""
    assert "About 500 atoms" in out_of_memory.explanation(1000, 50_000, device=device(1e12), dtype="float32")


def test_other_errors_pass():
    for error in (jax.errors.JaxRuntimeError("INTERNAL: something else"), ValueError("bad")):
        with pytest.raises(type(error)) as caught, out_of_memory.explained(1, 0, device=device(1e9), dtype="float32"):
            raise error
        assert caught.value is error


def test_memory_of_this_machine_is_known_or_not():
    most = out_of_memory.obtainable(jax.devices("cpu")[0])
    assert most is None or 1e8 < most < 1e14
