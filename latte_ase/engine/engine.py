"""Engine: energies, forces, virials, descriptors and Hessians of one ase.Atoms at a time.

A pair list is reused while that is exact, and shapes are few (`buckets`), so compilation is bounded, and `Stats` shows it.
Precision belongs to this engine, no JAX flag is changed for anybody else.  E0 and the sum over atoms are float64.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from latte_ase.engine import hessian, out_of_memory, parts
from latte_ase.engine.device_list import DeviceList, PairLists, Target
from latte_ase.engine.devices import find_device
from latte_ase.engine.evaluator import Evaluator, Stats
from latte_ase.engine.fork import refuse_fork
from latte_ase.engine.kernels import choose_kernel
from latte_ase.engine.output import Output
from latte_ase.engine.threads import cores
from latte_ase.geometry.graph import Shape
from latte_ase.model import derivatives
from latte_ase.model.committee import replaced
from latte_ase.model.domain import Excursion
from latte_ase.model.potential import Potential
from latte_ase.model.program import Weights

SKIN = 0.7
"""Default skin in Angstrom: the flat minimum of time per step for water and silicon, see docs/performance.md."""

HESSIAN_COLUMNS = 8
"""Columns of a Hessian computed at once."""


def _exclusive(method):
    @wraps(method)
    def alone(self, *arguments):
        with self.exclusive():
            return method(self, *arguments)

    return alone


class Engine:
    """Evaluation of one potential for ase.Atoms.  Threads may share an engine; they wait for each other.

    Args:
        potential: what to evaluate.
        device: None for JAX's default, "cpu", "gpu", "cuda:1", or a jax device.
        dtype: "float32" or "float64", of this engine alone.
        skin: Angstrom added to the cutoff of the pair list.
        threads: CPU cores to use; default all that this process may use.
        kernel: "native" (CPUs), "pallas" (GPUs), "xla", or "auto", the fastest one; see `kernels.choose_kernel`.

    Attributes:
        evaluator: the compiled functions, with the potential's weights on the device and in the engine's precision.
        lists: the pair list and its buckets.
        domain: of the potential.
    """

    def __init__(
        self,
        potential: Potential,
        *,
        device=None,
        dtype: str = "float32",
        skin: float = SKIN,
        threads: int | None = None,
        kernel: str = "auto",
    ):
        if str(dtype) not in ("float32", "float64"):
            raise ValueError(f"dtype is {dtype!r}; allowed are 'float32' and 'float64'.")
        if not (np.isfinite(skin) and skin >= 0):
            raise ValueError(f"skin is {skin}; a length of 0 Angstrom or more is needed.")
        if threads is not None and threads < 1:
            raise ValueError(f"threads is {threads}; 1 or more are needed, or None for all cores.")
        refuse_fork()
        self._lock = threading.RLock()
        self.potential, self.skin, self._threads, self._kernel = potential, float(skin), threads, kernel
        self.domain = potential.domain
        device = find_device(device)
        kernel = choose_kernel(potential, device, kernel)
        self.evaluator = Evaluator(potential, device=device, dtype=dtype, kernel=kernel)
        self.threads = (threads or cores()) if device.platform == "cpu" else 1
        self.lists = self._own_lists()
        self._members: dict[int, Weights] = {}

    @property
    def device(self) -> Any:
        """JAX device."""
        return self.evaluator.device

    @property
    def dtype(self) -> np.dtype:
        """Precision."""
        return self.evaluator.dtype

    @property
    def stats(self) -> Stats:
        """Counters."""
        return self.evaluator.stats

    def exclusive(self) -> AbstractContextManager:
        """Context in which one thread has the engine and others wait.  Raises as `refuse_fork`."""
        refuse_fork()  # first: a thread that is no more may hold the lock
        return self._lock

    def evaluate(self, atoms) -> Output:
        """Energies, forces and virial of ase.Atoms.

        Args:
            atoms: the structure; not changed.

        Raises:
            ValueError: no atoms, an unknown element, a position that is not finite, a bad cell.
        """
        return self._evaluate(atoms, self.evaluator.weights)

    @_exclusive
    def evaluate_members(self, atoms, count: int | None = None):
        """Site energies (members, atoms) in eV and forces (members, atoms, 3) in eV/Angstrom, float64, of a committee.

        Args:
            atoms: the structure.
            count: number of members, the first ones; default all.

        Raises:
            ValueError: as `evaluate`; the potential has no committee.
        """
        committee = self.potential.committee
        if committee is None:
            raise ValueError(
                f"The model {self.potential.metadata.get('name', 'unnamed')!r} has no committee, so it cannot say how "
                "uncertain it is. Give it one: latte_ase.uncertainty.last_layer(model, frames, held_out=...), or "
                "`latte-ase uncertainty`."
            )
        outputs = [self._evaluate(atoms, self.member(k)) for k in range(count or len(committee))]
        energies = np.stack([output.energies for output in outputs])
        if committee.shifts is not None:
            energies += committee.shifts[: len(energies), self.potential.species(atoms.numbers)]
        return energies, np.stack([output.forces for output in outputs])

    def member(self, member: int) -> Weights:
        """Weights of a member of the committee, on the device."""
        if member not in self._members:
            committee = self.potential.committee
            assert committee is not None
            part = jax.tree.map(lambda a: np.asarray(a[member], self.dtype), committee.members)
            weights = self.evaluator.weights
            self._members[member] = self.evaluator.weights_with(replaced(weights.params, self.evaluator.put(part)))
        return self._members[member]

    def energies(self, atoms) -> np.ndarray:
        """Site energies (atoms,) in eV with E0, float64; no derivative is computed."""
        present, energies = self._of_atoms(derivatives.energies, atoms)
        return present.total(energies)

    def atomic_virials(self, atoms) -> np.ndarray:
        """SUM_k g_ik (x) D_ik of each atom, (atoms, 3, 3) in eV, float64; their sum is the virial."""
        present, virials = self._of_atoms(derivatives.atomic_virials, atoms)
        return present.packed.gather(virials)

    def descriptors(self, atoms) -> np.ndarray:
        """Invariants of each atom as the descriptor makes them, (atoms, features) float64."""
        present, features = self._of_atoms(derivatives.features, atoms)
        return present.packed.gather(features)

    @_exclusive
    def hessian(self, atoms):
        """Second derivatives of the energy with respect to positions, exact, sparse.

        Columns that share no row are computed together (`latte_ase.engine.hessian`), so that the number
        of evaluations does not grow with a large system.

        Args:
            atoms: the structure.

        Returns:
            scipy.sparse.csr_array (3 atoms, 3 atoms) in eV/Angstrom^2, symmetric; coordinates in the
            order x0 y0 z0 x1 ...
        """
        present, displacements, deformation = self.place(atoms)
        n_rounds = self.potential.architecture.descriptor.n_rounds
        pattern = hessian.pattern(len(atoms), present.verlet.pairs.i, present.verlet.pairs.j, rounds=n_rounds)
        colours = hessian.colour(pattern)
        probes = hessian.probes(colours)  # (atoms, 3, probes)
        padded = np.zeros((len(atoms), 3, -(-probes.shape[-1] // HESSIAN_COLUMNS) * HESSIAN_COLUMNS))
        padded[..., : probes.shape[-1]] = probes
        motion, products = present.motion(displacements, deformation, self.dtype), []
        for vectors in np.split(padded, padded.shape[-1] // HESSIAN_COLUMNS, axis=-1):
            spread = present.packed.spread(vectors, self.dtype)
            with self._explained(present):
                product = self.evaluator(derivatives.hessian_products, present.graph, motion, spread)
            products.append(present.packed.gather(product))
        return hessian.expand(pattern, colours, np.concatenate(products, axis=-1)[..., : probes.shape[-1]])

    def warm_up(self, atoms) -> int:
        """Compile what energies and forces of such a structure need; returns the number of compilations."""
        before = self.stats.compilations
        self.evaluate(atoms)
        self.energies(atoms)
        return self.stats.compilations - before

    @_exclusive
    def excursions(self, atoms, told: Collection[tuple[str, ...]] = ()) -> list[Excursion]:
        """Pairs of elements that are closer here than in the training set, or never met there, and elements that have fewer
        neighbours.

        Args:
            atoms: the structure.
            told: see `DomainWatch.excursions`.
        """
        present, displacements, deformation = self.place(atoms)
        return present.watch.excursions(displacements, deformation, told)

    @_exclusive
    def _evaluate(self, atoms, weights: Weights) -> Output:
        """Output with these weights."""
        present, displacements, deformation = self.place(atoms)
        motion = present.motion(displacements, deformation, self.dtype)
        with self._explained(present):
            if len(present.parts) == 1:
                energies, forces, virial = self.evaluator(
                    derivatives.of_structure, present.graph, motion, weights=weights, used=present.packed.used
                )
            else:
                with self.evaluator.counted():
                    found = parts.structure(self.evaluator, present.parts, motion, present.reverse, weights)
                    energies, (forces, virial) = present.joined(found[0]), self.evaluator.fetch(found[1:])
        return Output(present.total(energies), present.packed.gather(forces), virial.astype(np.float64))

    @_exclusive
    def _of_atoms(self, function, atoms) -> tuple[DeviceList, np.ndarray]:
        """The list, and results of a function that needs no other atom's, in the order of the graph."""
        present, displacements, deformation = self.place(atoms)
        motion = present.motion(displacements, deformation, self.dtype)
        with self._explained(present):
            if len(present.parts) == 1 or self.potential.architecture.descriptor.n_rounds > 1:
                return present, self.evaluator(function, present.graph, motion, used=present.packed.used)
            with self.evaluator.counted():
                return present, present.joined(parts.of_each(self.evaluator, function, present.parts, motion))

    def _explained(self, present: DeviceList):
        atoms, pairs = len(present.packed.layout.place), len(present.verlet.pairs.i)
        return out_of_memory.explained(atoms, pairs, device=self.device, dtype=self.dtype)

    @_exclusive
    def place(self, atoms):
        """The list on the device, and what moved since it was built: u (atoms, 3) and F (3, 3); see `PairLists.place`."""
        return self.lists.place(atoms)

    def twin(self, known: Sequence[Shape], *, margin: float = 0.0) -> Engine:
        """Engine with a list and counters of its own, which shares weights and what is compiled.

        Args:
            known: its buckets.
            margin: see `buckets.Buckets`.
        """
        twin = copy.copy(self)
        twin.lists.buckets = replace(twin.lists.buckets, known=list(known), margin=margin)
        return twin

    @_exclusive
    def adopt(self, twin: Engine) -> None:
        """Take over a twin's list, which spares this engine one of the same positions, and its buckets."""
        self.lists.adopt(twin.lists)

    def _own_lists(self) -> PairLists:
        target = Target(self.device, self.dtype, self.threads, self.evaluator.put)
        return PairLists(self.potential, skin=self.skin, target=target, stats=self.stats)

    def __deepcopy__(self, memo):
        """An engine with its own list and counters that shares the weights on the device."""
        twin = memo[id(self)] = copy.copy(self)
        twin.potential = copy.deepcopy(self.potential, memo)
        return twin

    def __copy__(self):
        twin = object.__new__(type(self))
        twin.__dict__ |= self.__dict__ | {"evaluator": self.evaluator.copy(), "_lock": threading.RLock()}
        twin.lists = twin._own_lists()
        twin.lists.buckets.known = list(self.lists.buckets.known)
        return twin

    def __getstate__(self):
        return self.__dict__.get("_pickled") or {
            "potential": self.potential,
            "device": f"{self.device.platform}:{self.device.id}",
            "dtype": self.dtype.name,
            "skin": self.skin,
            "threads": self._threads,
            "kernel": self._kernel,
        }

    def __setstate__(self, state):
        # Nothing is done before the first use: a process that must not use JAX (`refuse_fork`) can receive an engine, and a
        # pool of such processes would wait forever for one that raised in the midst of receiving.
        self.__dict__ |= {"_pickled": state, "_unpacking": threading.RLock()}

    if not TYPE_CHECKING:  # a type checker would take any attribute for one that exists

        def __getattr__(self, name: str) -> Any:
            """Attributes of an engine that was unpickled and not used since: it is initialised here."""
            if name.startswith("__") or "_unpacking" not in self.__dict__:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            refuse_fork()  # first: a thread that is no more may hold the lock
            with self._unpacking:
                if state := self.__dict__.get("_pickled"):
                    try:
                        self.__init__(**state)
                    except (ValueError, RuntimeError):  # pickled on a machine with another device
                        self.__init__(**{**state, "device": None, "kernel": "auto"})
                    del self._pickled
            try:
                return self.__dict__[name]
            except KeyError:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None
