"""JAX does not survive a fork: say so, instead of waiting forever."""

from __future__ import annotations

import os
import sys

_forked = False


def _after_fork():
    global _forked
    running = getattr(sys.modules.get("jax._src.xla_bridge"), "_backends", True)
    _forked = _forked or bool(running)


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_after_fork)


def refuse_fork():
    """Raise where JAX would hang.

    Raises:
        RuntimeError: this process was forked from one in which JAX was running.
    """
    if _forked:
        raise RuntimeError(
            "This process was forked from one in which JAX was already running; the threads of JAX do not survive "
            "that, and it would wait for them forever. Start processes with multiprocessing.get_context('spawn') or "
            "'forkserver' (joblib's default does so too), and make a calculator in each."
        )
