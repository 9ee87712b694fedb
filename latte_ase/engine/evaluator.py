"""Evaluator: compiled functions from padded graphs of one or many structures to energies and their derivatives.

The functions are those of `latte_ase.model.derivatives`, which are also traced inside the loops of dynamics and in the loss
of training.  Calculator, predictions, chunks, dynamics, training, validation and committees all use them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import jax
import numpy as np

from latte_ase.engine.jit import jit, traces
from latte_ase.geometry.graph import Graph
from latte_ase.model import derivatives
from latte_ase.model.moments import kernel as kernel_context
from latte_ase.model.native import call as native
from latte_ase.model.potential import Potential
from latte_ase.model.program import Program, Weights, weights_of


@dataclass
class Stats:
    """Counters of an evaluator.

    Attributes:
        calls: evaluations.
        compilations: functions compiled because of them.
        list_builds: neighbour lists built.
        padding_waste: share of the places for pairs that the last list left empty, in blocks that are in use.
        kernel: name of the kernel that computes energies and forces: "native", "xla" or "pallas".
    """

    calls: int = 0
    compilations: int = 0
    list_builds: int = 0
    padding_waste: float = 0.0
    kernel: str = "xla"

    def __str__(self):
        return ", ".join(f"{k} {v if isinstance(v, str) else format(v, '.3g')}" for k, v in asdict(self).items())


COMPILED = {
    function: jit(function, static_argnums=0)
    for function in (
        derivatives.energies,
        derivatives.features,
        derivatives.pair_gradients,
        derivatives.atomic_virials,
        derivatives.derivatives,
        derivatives.of_structure,
        derivatives.hessian_products,
    )
}
"""Functions of `model.derivatives`, compiled; all take a program and weights first."""

_native_tables = jax.jit(native.tables, static_argnums=0)


class Evaluator:
    """Compiled functions of a potential on a device.  Threads may share an evaluator.

    Args:
        potential: the potential.
        device: JAX device.
        dtype: np.float32 or np.float64.
        kernel: "native", or a kernel of the sum over pairs, a name of `moments.KERNELS`.

    Attributes:
        program: what is computed.
        weights: of the potential, on the device.
        stats: counters.
    """

    def __init__(self, potential: Potential, *, device, dtype, kernel: str):
        self.device, self.dtype, self.kernel = device, np.dtype(dtype), kernel
        self.program = Program.on(device.platform, potential.architecture)
        self.stats = Stats(kernel=kernel)
        self.weights = self._prepared(self.put(weights_of(potential, self.dtype)))
        self._counting, self._compiling = threading.Lock(), threading.Lock()
        self._compiled: set[Any] = set()

    @contextmanager
    def precision(self):
        """Context with the precision, device and kernel of this evaluator, in this thread only."""
        with (
            jax.enable_x64(self.dtype == np.float64),
            jax.default_device(self.device),
            kernel_context("xla" if self.kernel == "native" else self.kernel),
        ):
            yield

    def put(self, arrays):
        """Arrays on the device."""
        with self.precision():
            return jax.device_put(arrays, self.device)

    def weights_with(self, params) -> Weights:
        """Weights with other parameters, arrays on the device, such as those of a member of a committee."""
        return self._prepared(self.weights.with_params(params))

    def _prepared(self, weights: Weights) -> Weights:
        """The weights, with the tables of the native kernel where it is used."""
        if self.kernel != "native":
            return weights
        with self.precision():
            tables = _native_tables(self.program.architecture, weights.params, weights.constants)
        return weights._replace(native=tables)

    def fetch(self, arrays):
        """Arrays as NumPy's; on a CPU nothing is copied, where `jax.device_get` would take 25 microseconds for each."""
        return jax.tree.map(np.asarray, arrays) if self.device.platform == "cpu" else jax.device_get(arrays)

    @contextmanager
    def counted(self, calls: int = 1):
        """Context whose calls and compilations are counted in `stats`."""
        before = traces.count
        try:
            yield
        finally:
            with self._counting:
                self.stats.calls += calls
                self.stats.compilations += traces.count - before

    def __call__(self, function: Callable, graph: Graph, *arrays, weights: Weights | None = None, used=None) -> Any:
        """Results of a function of `model.derivatives` as NumPy arrays.

        Args:
            function: one of `COMPILED`.
            graph: padded arrays, on the host or the device.
            *arrays: the motion, and what else the function takes.
            weights: in place of the potential's.
            used: number of blocks that hold atoms.
        """
        known = {} if used is None else {"used": used}
        with self.precision(), self.counted():
            return self.fetch(COMPILED[function](self.program, weights or self.weights, graph, *arrays, **known))

    @contextmanager
    def compiling(self, key):
        """Whether a call with this key is the first; it is made alone, for each waiting thread would compile the same."""
        if key in self._compiled:
            yield False
            return
        with self._compiling:
            yield key not in self._compiled
            self._compiled.add(key)

    def copy(self) -> Evaluator:
        """Evaluator with counters of its own, which shares the weights and what is known to be compiled."""
        twin = object.__new__(type(self))
        twin.__dict__ |= self.__dict__ | {"stats": Stats()}
        return twin
