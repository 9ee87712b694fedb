"""From ase.Atoms to numbers: compiled functions on a pair list, precision, device, counters.

Contracts: a pair list is reused while that is exact, and shapes are few (`lists.PairLists`), so compilation is bounded, and
`Stats` shows it; precision belongs to this engine, no JAX flag is changed for anybody else; E0 and the sum over atoms are
float64.
"""

from __future__ import annotations

import copy
import threading
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, NamedTuple

import jax
import numpy as np

from latte_ase.engine import compiled, hessian, out_of_memory
from latte_ase.engine.device_list import PairLists, Target
from latte_ase.engine.fork import refuse_fork
from latte_ase.engine.kernels import choose_kernel
from latte_ase.engine.stats import Stats
from latte_ase.engine.threads import at_once, cores
from latte_ase.model import message_passing
from latte_ase.model.committee import replaced
from latte_ase.model.domain import Excursion
from latte_ase.model.moments import kernel as kernel_context
from latte_ase.model.potential import Potential, device_constants

SKIN = 0.7
"""Default skin in Angstrom: the flat minimum of time per step for water and silicon, see docs/performance.md."""

PROBES = 8
"""Columns of a Hessian computed at once."""


class Output(NamedTuple):
    """What an evaluation gives, in the order of the atoms.

    Attributes:
        energies: (atoms,) float64 eV, with E0.
        forces: (atoms, 3) float64 eV/Angstrom.
        virial: (3, 3) float64 eV, SUM g (x) D.
    """

    energies: np.ndarray
    forces: np.ndarray
    virial: np.ndarray

    @property
    def energy(self) -> float:
        """Total energy in eV, summed in float64."""
        return float(self.energies.sum())


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


def _exclusive(method):
    @wraps(method)
    def alone(self, *arguments):
        with self.exclusive():
            return method(self, *arguments)

    return alone


class Engine:
    """Evaluates one potential.  Threads may share it: they take turns.

    Args:
        potential: what to evaluate.
        device: None for JAX's default, "cpu", "gpu", "cuda:1", or a jax device.
        dtype: "float32" or "float64", of this engine alone.
        skin: Angstrom added to the cutoff of the pair list.
        threads: CPU cores to use; default all that this process may use.
        kernel: of the pair loop, "xla", "pallas" (GPUs), or "auto", the faster one by measurement.

    Attributes:
        params, constants: of the potential, on the device and in the engine's precision.
        stats: counters, see `Stats`.
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
        self.potential, self.skin = potential, float(skin)
        self.dtype = np.dtype(str(dtype))
        self.device = find_device(device)
        self._kernel, self.kernel = kernel, choose_kernel(potential, self.device, kernel)
        self._threads = threads
        self.threads = (threads or cores()) if self.device.platform == "cpu" else 1
        self.stats = Stats()
        self.domain = potential.domain
        self.lists = self._own_lists()
        self._warm: set[tuple] = set()
        with self.precision():
            weights = (potential.params, device_constants(potential))
            cast = jax.tree.map(lambda a: np.asarray(a, self.dtype), weights)
            self.params, self.constants = jax.device_put(cast, self.device)
        self._members: dict[int, Any] = {}

    @contextmanager
    def exclusive(self):
        """The engine for one thread; others wait.  Raises as `refuse_fork`."""
        refuse_fork()  # first: a thread that is no more may hold the lock
        with self._lock:
            yield

    @contextmanager
    def precision(self):
        """Precision, device and kernel of this engine, in this thread: other users of JAX keep their own settings."""
        with (
            jax.enable_x64(self.dtype == np.float64),
            jax.default_device(self.device),
            kernel_context(self.kernel),
        ):
            yield

    def evaluate(self, atoms) -> Output:
        """Energies, forces and virial of ase.Atoms.

        Args:
            atoms: the structure; not changed.

        Raises:
            ValueError: no atoms, an unknown element, a position that is not finite, a bad cell.
        """
        placed, (energies, forces, virial) = self._run_derivatives(atoms)
        return Output(placed.total(energies), placed.gather(forces), virial.astype(np.float64))

    @_exclusive
    def evaluate_members(self, atoms):
        """Site energies (members, atoms) in eV and forces (members, atoms, 3) in eV/Angstrom, float64, of a committee.

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
        energies, forces = [], []
        shifts = (
            np.zeros((len(committee), len(self.potential.elements))) if committee.shifts is None else committee.shifts
        )
        for member, shift in enumerate(shifts):
            placed, (site, of_atoms, _) = self._run_derivatives(atoms, self._member(member))
            energies.append(placed.total(site) + shift[self.potential.species(atoms.numbers)])
            forces.append(placed.gather(of_atoms))
        return np.stack(energies), np.stack(forces)

    def _member(self, member: int):
        """Parameters of a member on the device."""
        if member not in self._members:
            committee = self.potential.committee
            assert committee is not None
            with self.precision():
                part = jax.tree.map(lambda a: np.asarray(a[member], self.dtype), committee.members)
                self._members[member] = replaced(self.params, jax.device_put(part, self.device))
        return self._members[member]

    def energies(self, atoms) -> np.ndarray:
        """Site energies (atoms,) in eV with E0, float64; no derivative is computed."""
        placed, energies = self._run(compiled.energies, atoms)
        return placed.total(energies)

    def atomic_virials(self, atoms) -> np.ndarray:
        """SUM_k g_ik (x) D_ik of each atom, (atoms, 3, 3) in eV, float64; their sum is the virial."""
        placed, virials = self._run(compiled.atomic_virials, atoms)
        return placed.gather(virials)

    def descriptors(self, atoms) -> np.ndarray:
        """Invariants of each atom as the descriptor makes them, (atoms, features) float64."""
        placed, features = self._run(compiled.features, atoms)
        return placed.gather(features)

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
        pairs = self.place(atoms)[0].verlet.pairs
        n_rounds = self.potential.architecture.descriptor.n_rounds
        pattern = hessian.pattern(len(atoms), pairs.i, pairs.j, rounds=n_rounds)
        colours = hessian.colour(pattern)
        probes = hessian.probes(colours)  # (atoms, 3, probes)
        products = []
        for start in range(0, probes.shape[-1], PROBES):
            chunk = np.zeros((len(atoms), 3, PROBES))
            chunk[..., : probes.shape[-1] - start] = probes[..., start : start + PROBES]
            placed, product = self._run(compiled.hessian_products, atoms, chunk)
            products.append(placed.gather(product))
        return hessian.expand(pattern, colours, np.concatenate(products, axis=-1)[..., : probes.shape[-1]])

    def warm_up(self, atoms) -> int:
        """Compile what energies and forces of such a structure need; returns the number of compilations."""
        before = self.stats.compilations
        self.evaluate(atoms)
        self.energies(atoms)
        return self.stats.compilations - before

    def excursions(self, atoms) -> list[Excursion]:
        """The pairs of elements that are closer here than in the training set, or never met there."""
        placed, displacements, deformation = self.place(atoms)
        return self.domain.excursions(placed.suspects, displacements, deformation)

    @_exclusive
    def _run_derivatives(self, atoms, params=None):
        """The list; energies, forces and virial in graph order, with these parameters instead of the potential's."""
        placed, *motion = self.place(atoms)
        if len(placed.parts) == 1:
            return placed, self._call(compiled.forces, placed, *motion, params=params)
        architecture, starts = self.potential.architecture, [part.start for part in placed.parts]

        def run(stage, step, each):
            return self._in_parts(
                partial(compiled.stage, stage, architecture, step), placed, *motion, each=each, params=params
            )

        def give_back(received):
            return compiled.given_back(received, starts, placed.reverse)

        exchange = message_passing.Exchange(len(starts), run, partial(compiled.shared, starts=starts), give_back)
        with self._counting(), self._explained(placed), self.precision():
            parts = message_passing.in_exchange(architecture.descriptor.n_rounds, exchange)
            forces, virial = self._fetch(compiled.together(parts, starts, placed.reverse))
        return placed, (placed.joined([part.energies for part in parts]), forces, virial)

    @_exclusive
    def _run(self, function, atoms, *per_atom):
        """A compiled function of the structure and of further arrays (atoms, ...): the list, the result."""
        placed, *motion = self.place(atoms)
        architecture = self.potential.architecture
        together = function is compiled.hessian_products or architecture.descriptor.n_rounds > 1
        if together or len(placed.parts) == 1:
            return placed, self._call(function, placed, *motion, *per_atom)
        with self._counting(), self._explained(placed):
            return placed, placed.joined(self._in_parts(partial(function, architecture, 1), placed, *motion))

    def _call(self, function, placed, displacements, deformation, *per_atom, params=None):
        u, *more = (placed.spread(a, self.dtype) for a in (displacements, *per_atom))
        cpu = self.device.platform == "cpu"
        # only loops over all blocks can be differentiated in reverse; a GPU takes all at once anyway
        blocks = {"used": placed.used} if cpu and function is not compiled.hessian_products else {}
        with self._counting(), self.precision(), self._explained(placed):
            result = function(
                self.potential.architecture, 1 if cpu else placed.shape.blocks, params or self.params, self.constants,
                placed.graph, u, deformation.astype(self.dtype)[None], *more, **blocks,
            )  # fmt: skip
            return self._fetch(result)

    def _explained(self, placed):
        pairs = len(placed.verlet.pairs.i)
        return out_of_memory.explained(len(placed.layout.place), pairs, device=self.device, dtype=self.dtype)

    def _fetch(self, arrays):
        """To numpy; on a CPU nothing is copied, and `jax.device_get` would take 25 microseconds for each."""
        return jax.tree.map(np.asarray, arrays) if self.device.platform == "cpu" else jax.device_get(arrays)

    def _in_parts(self, function: partial, placed, displacements, deformation, *, each=None, params=None) -> list:
        """Results of the parts of the list, each computed by a thread of its own.

        Args:
            function: a compiled one, with its static arguments.
            placed, displacements, deformation: the list, and what moved since.
            each: further keywords, a dictionary for each part.
            params: instead of the potential's.
        """
        u, f = placed.spread(displacements, self.dtype), deformation.astype(self.dtype)[None]

        def one(part, keywords):
            with self.precision():  # settings of JAX belong to a thread
                result = function(
                    params or self.params, self.constants, part.graph, u, f, own=part.of(u), used=part.used, **keywords
                )
                return jax.block_until_ready(result)

        work = list(zip(placed.parts, each or [{}] * len(placed.parts), strict=True))
        if (key := (function.func, function.args, placed.shape)) not in self._warm:
            one(*work[0])  # compiles, once and in this thread, which counts
            self._warm.add(key)
        return at_once(lambda arguments: one(*arguments), work)

    @contextmanager
    def _counting(self):
        before = compiled.traces.count
        yield
        self.stats.calls += 1
        self.stats.compilations += compiled.traces.count - before

    @_exclusive
    def place(self, atoms):
        """The list on the device, and what moved since it was built: u (atoms, 3) and F (3, 3); see `PairLists.place`."""
        return self.lists.place(atoms)

    def twin(self, shapes) -> Engine:
        """An engine with a list and counters of its own, and these buckets; it shares weights and what is compiled."""
        twin = copy.copy(self)
        twin.lists.shapes, twin._warm = list(shapes), self._warm
        return twin

    @_exclusive
    def adopt(self, twin: Engine) -> None:
        """Take over a twin's list, which spares this engine one of the same positions, and its buckets."""
        self.lists.adopt(twin.lists)

    def _put(self, arrays):
        with self.precision():
            return jax.device_put(arrays, self.device)

    def _own_lists(self) -> PairLists:
        target = Target(self.device, self.dtype, self.threads, self._put)
        return PairLists(self.potential, skin=self.skin, target=target, stats=self.stats)

    def __deepcopy__(self, memo):
        """An engine with its own list and counters that shares the weights on the device."""
        twin = memo[id(self)] = copy.copy(self)
        twin.potential = copy.deepcopy(self.potential, memo)
        return twin

    def __copy__(self):
        twin = object.__new__(type(self))
        twin.__dict__ |= self.__dict__ | {"stats": Stats(), "_lock": threading.RLock(), "_warm": set(self._warm)}
        twin.lists = twin._own_lists()
        twin.lists.shapes = list(self.lists.shapes)
        return twin

    def __getstate__(self):
        return {
            "potential": self.potential,
            "device": f"{self.device.platform}:{self.device.id}",
            "dtype": self.dtype.name,
            "skin": self.skin,
            "threads": self._threads,
            "kernel": self._kernel,
        }

    def __setstate__(self, state):
        try:
            self.__init__(**state)
        except (ValueError, RuntimeError):  # pickled on a machine with another device
            self.__init__(**{**state, "device": None, "kernel": "auto"})
