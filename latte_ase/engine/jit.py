"""`jax.jit` with the compiler options of XLA that are fastest on a CPU.

The options belong to one compiled function; flags of JAX are not changed.  Such a function cannot be called inside
another compiled function.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from threading import Lock, local
from typing import Any

import jax

FASTEST: dict[str, Any] = {"xla_cpu_use_fusion_emitters": False}
"""The older loop emitters of XLA: a tenth faster for these functions, and compiled in two thirds of the time.
XLA will remove them (github.com/openxla/xla/pull/48001); `options` is then None."""

_making = Lock()


@cache
def options() -> dict[str, Any] | None:
    """Compiler options `FASTEST`, or None where JAX does not have them."""
    try:
        jax.jit(lambda: 0.0, compiler_options=FASTEST)()
    except Exception as error:
        # which class it is differs between versions of JAX; the option's name does not
        if not any(name in str(error) for name in FASTEST):
            raise
        return None
    return FASTEST


class _Traces(local):
    """Number of traces of functions in a thread, each of which leads to a compilation."""

    count = 0


traces = _Traces()
"""Traces of all functions that are compiled by `jit`."""


def jit(function: Callable, *, static_argnums: int | tuple[int, ...] = ()) -> Callable:
    """`jax.jit(function)` with `options`, which are asked for at the first call: imports must not start JAX.

    Args:
        function: what to compile; it is not called from within another compiled function.
        static_argnums: as of `jax.jit`.
    """

    @wraps(function)
    def traced(*arguments, **keywords):
        traces.count += 1
        return function(*arguments, **keywords)

    @cache
    def compiled():
        return jax.jit(traced, static_argnums=static_argnums, compiler_options=options())

    @wraps(function)
    def call(*arguments, **keywords):
        with _making:  # otherwise two threads could both compile the function
            made = compiled()
        return made(*arguments, **keywords)

    return call
