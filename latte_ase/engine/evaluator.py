"""The evaluator: padded graphs of one or many structures in, energies and their derivatives out.

`Program` is what is computed, as functions that can be traced: inside the loops of dynamics and in the loss of training.
`Evaluator` calls them compiled, with one potential's weights on one device in one precision, and counts.  Calculator,
predictions, chunks, dynamics, training, validation and committees compute through these two and in no other way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from latte_ase.engine.jit import jit, traces
from latte_ase.geometry.graph import Graph
from latte_ase.model import derivatives
from latte_ase.model.derivatives import Derivatives
from latte_ase.model.message_passing import PairGradients
from latte_ase.model.moments import kernel as kernel_context
from latte_ase.model.potential import Architecture, Potential, device_constants


class Weights(NamedTuple):
    """Numbers of a potential, as `Program` takes them.

    Attributes:
        params: trained parameters.
        constants: see `potential.device_constants`.
    """

    params: Any
    constants: Any


def weights_of(potential: Potential, dtype) -> Weights:
    """Weights as NumPy arrays of one precision."""
    tree = Weights(potential.params, device_constants(potential))
    return jax.tree.map(lambda a: np.asarray(a, dtype), tree)


class OfStructures(NamedTuple):
    """Results of a graph of several structures.

    Attributes:
        energy: (structures,) eV, without E0.
        forces: (blocks, block, 3) eV/Angstrom; 0 where padded.
        virial: (structures, 3, 3) eV.
    """

    energy: Any
    forces: Any
    virial: Any


class OfStructure(NamedTuple):
    """Results of a graph of one structure.

    Attributes:
        energies: (blocks, block) site energies without E0, eV; 0 where padded.
        forces: (blocks, block, 3) eV/Angstrom; 0 where padded.
        virial: (3, 3) eV.
    """

    energies: Any
    forces: Any
    virial: Any


@dataclass(frozen=True)
class Program:
    """Functions of one architecture on graphs, in the order that suits a device; the key of what is compiled.

    All take a graph, the displacements (blocks, block, 3) in Angstrom and the deformations (structures, 3, 3) since its pair
    list was built (None: none), and `used`, the number of blocks that hold atoms: where it is given, a CPU
    computes these alone, in a loop that cannot be differentiated in reverse.

    Attributes:
        architecture: of the potential.
        one_by_one: whether blocks are computed one after the other, which keeps them in a core's cache; otherwise all at
            once, which fills a GPU.
    """

    architecture: Architecture
    one_by_one: bool

    @classmethod
    def on(cls, platform: str, architecture: Architecture) -> Program:
        """Program for a platform of JAX, such as "cpu" or "gpu"."""
        return cls(architecture, platform == "cpu")

    def energies(self, weights: Weights, graph: Graph, displacements=None, deformation=None, *, used=None, own=None):
        """Site energies (blocks, block) in eV without E0; no derivative is computed."""
        how = self._order(graph, used)
        return derivatives.energies(self.architecture, *weights, graph, displacements, deformation, own=own, **how)

    def features(self, weights: Weights, graph: Graph, displacements=None, deformation=None, *, used=None, own=None):
        """Invariants of every atom, (blocks, block, features)."""
        how = self._order(graph, used)
        return derivatives.features(self.architecture, *weights, graph, displacements, deformation, own=own, **how)

    def pair_gradients(
        self, weights: Weights, graph: Graph, displacements=None, deformation=None, *, used=None, own=None
    ) -> PairGradients:
        """Site energies, and their derivatives with respect to pairs."""
        how = self._order(graph, used)
        return derivatives.pair_gradients(
            self.architecture, *weights, graph, displacements, deformation, own=own, **how
        )

    def atomic_virials(
        self, weights: Weights, graph: Graph, displacements=None, deformation=None, *, used=None, own=None
    ):
        """SUM_k g_ik (x) D_ik of every atom, (blocks, block, 3, 3) in eV."""
        return self.pair_gradients(weights, graph, displacements, deformation, used=used, own=own).virials

    def derivatives(
        self, weights: Weights, graph: Graph, displacements=None, deformation=None, *, used=None
    ) -> Derivatives:
        """Site energies, forces, and virials of atoms."""
        how = self._order(graph, used)
        return derivatives.derivatives(self.architecture, *weights, graph, displacements, deformation, **how)

    def structure(
        self, weights: Weights, graph: Graph, displacements=None, deformation=None, *, used=None
    ) -> OfStructure:
        """Site energies, forces and virial of the only structure of a graph."""
        found = self.derivatives(weights, graph, displacements, deformation, used=used)
        return OfStructure(found.energies, found.forces, jnp.sum(found.virials, axis=(0, 1)))

    def structures(
        self, weights: Weights, graph: Graph, count: int, displacements=None, deformation=None
    ) -> OfStructures:
        """Energies, forces and virials of `count` structures."""
        found = self.derivatives(weights, graph, displacements, deformation)
        owner = graph.structure.reshape(-1)
        energy = jax.ops.segment_sum(found.energies.reshape(-1), owner, count)
        virial = jax.ops.segment_sum(found.virials.reshape(-1, 3, 3), owner, count)
        return OfStructures(energy, found.forces, virial)

    def hessian_products(self, weights: Weights, graph: Graph, displacements, deformation, probes):
        """Products of the Hessian with vectors (blocks, block, 3, probes), in eV/Angstrom^2."""
        how = self._order(graph, None)
        return derivatives.hessian_products(
            self.architecture, *weights, graph, displacements, deformation, probes, **how
        )

    def _order(self, graph: Graph, used) -> dict[str, Any]:
        if not self.one_by_one:
            return {"at_once": graph.species.shape[0]}
        return {"at_once": 1} if used is None else {"used": used}


@dataclass
class Stats:
    """Counters of an evaluator.

    Attributes:
        calls: evaluations.
        compilations: functions compiled because of them.
        list_builds: neighbour lists built.
        padding_waste: share of the places for pairs that the last list left empty, in blocks that are in use.
    """

    calls: int = 0
    compilations: int = 0
    list_builds: int = 0
    padding_waste: float = 0.0

    def __str__(self):
        return ", ".join(f"{k} {v:.3g}" for k, v in asdict(self).items())


COMPILED = {
    method: jit(method, static_argnums=0)
    for method in (
        Program.energies,
        Program.features,
        Program.pair_gradients,
        Program.atomic_virials,
        Program.derivatives,
        Program.structure,
        Program.hessian_products,
    )
}
"""Methods of `Program`, compiled; all take the program and the weights first."""


class Evaluator:
    """Compiled functions of a potential on a device.  Threads may share it.

    Args:
        potential: what to compute.
        device: of JAX.
        dtype: np.float32 or np.float64.
        kernel: of the loop over pairs, a name of `moments.KERNELS`.

    Attributes:
        program: what is computed.
        weights: of the potential, on the device.
        stats: counters.
    """

    def __init__(self, potential: Potential, *, device, dtype, kernel: str):
        self.device, self.dtype, self.kernel = device, np.dtype(dtype), kernel
        self.program = Program.on(device.platform, potential.architecture)
        self.stats = Stats()
        self.weights = self.put(weights_of(potential, self.dtype))
        self._counting, self._compiling = threading.Lock(), threading.Lock()
        self._compiled: set[Any] = set()

    @contextmanager
    def precision(self):
        """Precision, device and kernel of this evaluator, in this thread: other users of JAX keep their own settings."""
        with (
            jax.enable_x64(self.dtype == np.float64),
            jax.default_device(self.device),
            kernel_context(self.kernel),
        ):
            yield

    def put(self, arrays):
        """Arrays on the device."""
        with self.precision():
            return jax.device_put(arrays, self.device)

    def fetch(self, arrays):
        """Arrays as NumPy's; on a CPU nothing is copied, where `jax.device_get` would take 25 microseconds for each."""
        return jax.tree.map(np.asarray, arrays) if self.device.platform == "cpu" else jax.device_get(arrays)

    @contextmanager
    def counted(self, calls: int = 1):
        """What is called and compiled inside counts in `stats`."""
        before = traces.count
        try:
            yield
        finally:
            with self._counting:
                self.stats.calls += calls
                self.stats.compilations += traces.count - before

    def __call__(self, method: Callable, graph: Graph, *arrays, weights: Weights | None = None, **blocks):
        """Results of a compiled function as NumPy arrays.

        Args:
            method: of `Program`, such as `Program.structure`.
            graph: padded arrays, on the host or the device.
            *arrays: displacements, deformations, and what else the method takes.
            weights: in place of the potential's.
            **blocks: `used` and `own` of the method.
        """
        with self.precision(), self.counted():
            return self.fetch(COMPILED[method](self.program, weights or self.weights, graph, *arrays, **blocks))

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
