"""From ase.Atoms to numbers: list reuse, shape buckets, precision, device, counters.

Contracts: a pair list is reused while that is exact (`neighbours.VerletList`); shapes grow
geometrically and are kept, so compilation is bounded, and `Stats` shows it; precision belongs to
this engine, no JAX flag is changed for anybody else; E0 and the sum over atoms are float64.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from latte_ase import derivatives
from latte_ase.graph import Graph, Layout, Shape, capacity, fill, lay_out
from latte_ase.neighbours import VerletList
from latte_ase.potential import Architecture, Potential, device_constants

SKIN = 0.5
"""Default skin in Angstrom."""
SLACK = 0.08
"""Room left in a new bucket of neighbours, as a fraction: densities fluctuate."""

_traced = threading.local()


@dataclass
class Stats:
    """Counters of an engine.

    Attributes:
        calls: evaluations.
        compilations: functions compiled because of this engine.
        list_builds: neighbour lists built.
        padding_waste: share of the places for pairs that the last list left empty.
    """

    calls: int = 0
    compilations: int = 0
    list_builds: int = 0
    padding_waste: float = 0.0

    def __str__(self):
        return ", ".join(f"{k} {v:.3g}" for k, v in asdict(self).items())


class Output(NamedTuple):
    """What an evaluation gives, in the order of the atoms.

    Attributes:
        energies: (atoms,) float64 eV, with E0.
        forces: (atoms, 3) float64 eV/Angstrom, or None if not asked for.
        virial: (3, 3) float64 eV, SUM g (x) D, or None.
    """

    energies: np.ndarray
    forces: np.ndarray | None
    virial: np.ndarray | None

    @property
    def energy(self) -> float:
        """Total energy in eV, summed in float64."""
        return float(self.energies.sum())


class _Placed(NamedTuple):
    """A pair list on the device."""

    verlet: VerletList
    layout: Layout
    shape: Shape
    graph: Graph


def _count_trace():
    _traced.count = getattr(_traced, "count", 0) + 1


@partial(jax.jit, static_argnums=(0, 1))
def _energies(architecture: Architecture, at_once: int, params, constants, graph, displacements, deformation):
    _count_trace()
    return derivatives.energies(
        architecture, params, constants, graph, displacements, deformation[None], at_once=at_once
    )


@partial(jax.jit, static_argnums=(0, 1))
def _derivatives(architecture: Architecture, at_once: int, params, constants, graph, displacements, deformation):
    _count_trace()
    result = derivatives.derivatives(
        architecture, params, constants, graph, displacements, deformation[None], at_once=at_once
    )
    return result.energies, result.forces, jnp.sum(result.virials, axis=(0, 1))


def find_device(device) -> Any:
    """A JAX device from None, "cpu", "gpu", "cuda", "cuda:1" or a device.

    Raises:
        ValueError: there is no such device; lists those that exist.
    """
    if device is None:
        return jax.devices()[0]
    if not isinstance(device, str):
        return device
    name, _, number = device.partition(":")
    try:
        return jax.devices(name)[int(number or 0)]
    except (RuntimeError, IndexError, ValueError) as error:
        present = ", ".join(f"{d.platform}:{d.id}" for d in jax.devices())
        raise ValueError(
            f"There is no device {device!r} here; JAX sees {present}. For a GPU install jax[cuda12] or "
            "jax[cuda13], or leave device out."
        ) from error


class Engine:
    """Evaluates one potential.

    Args:
        potential: what to evaluate.
        device: None for JAX's default, "cpu", "gpu", "cuda:1", or a jax device.
        dtype: "float32" or "float64", of this engine alone.
        skin: Angstrom added to the cutoff of the pair list.
    """

    def __init__(self, potential: Potential, *, device=None, dtype: str = "float32", skin: float = SKIN):
        if str(dtype) not in ("float32", "float64"):
            raise ValueError(f"dtype is {dtype!r}; allowed are 'float32' and 'float64'.")
        if not (np.isfinite(skin) and skin >= 0):
            raise ValueError(f"skin is {skin}; a length of 0 Angstrom or more is needed.")
        self.potential, self.skin = potential, float(skin)
        self.dtype = np.dtype(str(dtype))
        self.device = find_device(device)
        self.stats = Stats()
        self._placed: _Placed | None = None
        self._shapes: list[Shape] = []
        with self._precision():
            weights = (potential.params, device_constants(potential))
            cast = jax.tree.map(lambda a: np.asarray(a, self.dtype), weights)
            self._params, self._constants = jax.device_put(cast, self.device)

    @contextmanager
    def _precision(self):
        # thread-local contexts: other users of JAX in this process keep their own setting
        with jax.enable_x64(self.dtype == np.float64), jax.default_device(self.device):
            yield

    def evaluate(self, atoms, *, forces: bool = True) -> Output:
        """Energies, and forces with the virial, of ase.Atoms.

        Args:
            atoms: the structure; not changed.
            forces: whether forces and virial are wanted; without, no derivative is computed.

        Raises:
            ValueError: no atoms, an unknown element, a position that is not finite, a bad cell.
        """
        if len(atoms) == 0:
            raise ValueError("The structure has no atoms; at least one is needed.")
        placed, displacements, deformation = self._place(atoms)
        size = placed.shape.blocks * placed.shape.block
        u = np.zeros((size, 3), self.dtype)
        u[placed.layout.place] = displacements
        u = u.reshape(placed.shape.blocks, placed.shape.block, 3)
        at_once = 1 if self.device.platform == "cpu" else placed.shape.blocks
        function = _derivatives if forces else _energies
        before = getattr(_traced, "count", 0)
        with self._precision():
            result = function(
                self.potential.architecture, at_once, self._params, self._constants,
                placed.graph, u, deformation.astype(self.dtype),
            )  # fmt: skip
            result = jax.device_get(result)
        self.stats.calls += 1
        self.stats.compilations += getattr(_traced, "count", 0) - before
        site = result[0] if forces else result
        species = self.potential.species(atoms.numbers)
        energies = site.reshape(-1)[placed.layout.place].astype(np.float64)
        energies += self.potential.reference_energies[species]
        if not forces:
            return Output(energies, None, None)
        everyone = result[1].reshape(-1, 3)[placed.layout.place].astype(np.float64)
        return Output(energies, everyone, result[2].astype(np.float64))

    def _place(self, atoms):
        """The list on the device, and what moved since it was built."""
        placed = self._placed  # a local name: another thread may replace the list meanwhile
        motion = None if placed is None else placed.verlet.motion(atoms)
        if placed is None or motion is None:
            self._placed = placed = self._build(atoms)
            motion = np.zeros((len(atoms), 3)), np.eye(3)
        return placed, *motion

    def _build(self, atoms) -> _Placed:
        species = self.potential.species(atoms.numbers)
        verlet = VerletList.build(atoms, cutoff=self.potential.cutoff, skin=self.skin)
        layout = lay_out(species, verlet.pairs)
        shape = self._choose(layout.need)
        graph = fill(layout, verlet.pairs, np.zeros(len(species), np.int64), shape, self.dtype)
        self.stats.list_builds += 1
        self.stats.padding_waste = 1 - len(verlet.pairs.i) / max(shape.places, 1)
        with self._precision():
            return _Placed(verlet, layout, shape, jax.device_put(graph, self.device))

    def _choose(self, need: Shape) -> Shape:
        """The smallest known bucket that holds `need` without wasting half, else a new one."""
        fitting = [s for s in self._shapes if s.holds(need) and s.places <= 2 * max(need.places, 64)]
        if fitting:
            return min(fitting, key=lambda s: s.places)
        blocks = need.blocks if need.blocks <= 4 else capacity(need.blocks, step=1)
        neighbours = tuple(capacity(max(n, 1), slack=SLACK) for n in need.neighbours)
        shape = Shape(blocks, need.block, neighbours)
        self._shapes.append(shape)
        return shape

    def __getstate__(self):
        return {
            "potential": self.potential,
            "device": f"{self.device.platform}:{self.device.id}",
            "dtype": self.dtype.name,
            "skin": self.skin,
        }

    def __setstate__(self, state):
        try:
            self.__init__(**state)
        except ValueError:  # pickled on a machine with another device
            self.__init__(**{**state, "device": None})
