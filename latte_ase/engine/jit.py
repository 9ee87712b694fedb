"""`jax.jit` as this package uses it: with the options of XLA that were measured fastest on a CPU.

Options belong to one compiled function; no flag of JAX is touched.  Therefore such a function cannot be called from
within another compiled one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from threading import Lock, local
from typing import Any

import jax

FASTEST: dict[str, Any] = {"xla_cpu_use_fusion_emitters": False}
"""XLA's older way to write loops: for these functions a tenth faster, and compiled in two thirds of the time.
XLA will drop it one day (github.com/openxla/xla/pull/48001), and then `options` is empty."""

_making = Lock()


@cache
def options() -> dict[str, Any] | None:
    """`FASTEST`, or None where this JAX does not know it."""
    try:
        jax.jit(lambda: 0.0, compiler_options=FASTEST)()
    except Exception as error:
        # which class it is differs between versions of JAX; the option's name does not
        if not any(name in str(error) for name in FASTEST):
            raise
        return None
    return FASTEST


class _Traces(local):
    """Of one thread: how often it traced a function, each time to compile it."""

    count = 0


traces = _Traces()
"""Of all functions that are compiled by `jit`."""


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
        with _making:  # two threads that come first would each make, and compile, one of their own
            made = compiled()
        return made(*arguments, **keywords)

    return call
