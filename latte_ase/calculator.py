"""ASE calculator of a trained potential: the interface of ASE on `latte_ase.engine.engine.Engine`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, ClassVar, Self

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes

from latte_ase.engine import spatial_chunks
from latte_ase.engine.domain_guard import DomainGuard
from latte_ase.engine.engine import SKIN, Engine
from latte_ase.engine.evaluator import Stats
from latte_ase.engine.output import stress
from latte_ase.geometry import neighbours
from latte_ase.geometry.neighbours import equal
from latte_ase.geometry.structure import Structure
from latte_ase.io.pretrained import load_model
from latte_ase.model.committee import Uncertainty
from latte_ase.model.potential import Potential

ENERGIES = {"energy", "free_energy", "energies"}
PER_VOLUME = {"stress", "stresses"}


class LatteCalculator(Calculator):
    """ASE calculator of a trained potential.

    Conventions are those of ASE: eV, Angstrom, stress = (1/V) dE/d(strain) in eV/Angstrom^3, positive under tension,
    Voigt order xx yy zz yz xz xy.  The structure is not changed; charges and magnetic moments are not read.  Threads may
    share a calculator: every method returns the results for the atoms it was given, while the attributes `results` and
    `atoms` are those of the last calculation.

    Args:
        potential: the model, or what `latte_ase.load_model` takes.
        device: None for the default device of JAX, "cpu", "gpu", "cuda:1", or a JAX device.
        dtype: "float32", or "float64" for phonons, finite differences and tight relaxations.
        skin: additional radius of neighbour lists in Angstrom; a list is reused until atoms have moved by about half of it.
        threads: number of CPU cores; default all that this process may use.
        kernel: "native" (compiled for CPUs), "pallas" (GPUs), "xla", or "auto" for the fastest one.
        chunk: largest number of atoms that is computed in one piece; larger structures are computed in chunks of as many
            atoms, and have no `stresses`.
        strict: raise `DomainError` where a structure is outside the domain of use: pairs of elements that the training set
            has not, or closer than there, fewer neighbours than there, or forces of which the committee of the model is less
            certain than there.  Otherwise there is one `DomainWarning` per pair of elements, element, or composition.
            Distances and neighbours are compared in every call.  The committee is asked about the first structure of a
            composition, where atoms jump (if not strict, at the jumps number 1, 2, 4, 8, ...), and once in a thousand calls;
            not about structures in chunks, nor, if not strict, where the energy alone is computed.
        atoms, label, directory: as of `ase.calculators.calculator.Calculator`.
    """

    implemented_properties: ClassVar = ["energy", "free_energy", "energies", "forces", "stress", "stresses"]
    ignored_changes: ClassVar = {"initial_charges", "initial_magmoms"}
    nolabel = True

    def __init__(
        self,
        potential: Potential | str | PathLike,
        *,
        device: Any = None,
        dtype: str = "float32",
        skin: float = SKIN,
        threads: int | None = None,
        kernel: str = "auto",
        chunk: int | None = None,
        strict: bool = False,
        atoms: Atoms | None = None,
        label: str | None = None,
        directory: str | PathLike = ".",
    ):
        super().__init__(atoms=atoms, label=label, directory=os.fspath(directory))
        self._computed: tuple[Structure, dict[str, Any]] | None = None
        self.engine = Engine(
            load_model(potential), device=device, dtype=dtype, skin=skin, threads=threads, kernel=kernel
        )
        if chunk is not None and chunk < 1:
            raise ValueError(f"chunk is {chunk}; 1 atom or more is needed, or None for all at once.")
        self.chunk, self.strict = chunk, strict
        self._guard = DomainGuard(strict=strict, chunk=chunk)

    @classmethod
    def from_pretrained(
        cls,
        model: Potential | str | PathLike,
        *,
        device: Any = None,
        dtype: str = "float32",
        skin: float = SKIN,
        threads: int | None = None,
        kernel: str = "auto",
        chunk: int | None = None,
        strict: bool = False,
        atoms: Atoms | None = None,
        label: str | None = None,
        directory: str | PathLike = ".",
    ) -> Self:
        """Calculator of a model given by name, folder, file, or hub address.

        Args:
            model: see `latte_ase.load_model`.
            device: as for the class, like all that follow.
            dtype: "float32" or "float64".
            skin: additional radius of neighbour lists in Angstrom.
            threads: number of CPU cores.
            kernel: "native", "xla", "pallas" or "auto".
            chunk: largest number of atoms that is computed in one piece.
            strict: whether structures outside the domain of use raise `DomainError`.
            atoms, label, directory: as of `ase.calculators.calculator.Calculator`.
        """
        return cls(
            model,
            device=device,
            dtype=dtype,
            skin=skin,
            threads=threads,
            kernel=kernel,
            chunk=chunk,
            strict=strict,
            atoms=atoms,
            label=label,
            directory=directory,
        )

    @property
    def potential(self) -> Potential:
        """Potential of the calculator."""
        return self.engine.potential

    @property
    def stats(self) -> Stats:
        """Counters of calls, compilations, list builds and padding."""
        return self.engine.stats

    @property
    def allowed_atomic_numbers(self) -> set[int]:
        """Atomic numbers of the elements of the model."""
        return {int(z) for z in self.potential.architecture.numbers}

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """Refuse changes of settings, which are those of the constructor.

        Raises:
            TypeError: a setting was given, or the constructor was called with an unknown argument.
        """
        if kwargs:
            raise TypeError(
                f"LatteCalculator has no setting {', '.join(kwargs)}; the constructor takes device, dtype, skin, threads, "
                "kernel, chunk, strict, and ASE's atoms, label, directory. Make a new calculator to change one."
            )
        return super().set()

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = all_changes,
    ) -> None:
        """Compute properties into `results`, with those that need no additional time.

        Raises:
            ValueError: empty structure, unknown element, position not finite, impossible cell.
            DomainError: `strict`, and the structure is outside the model's domain.
            PropertyNotImplementedError: stress of a structure without a volume.
        """
        with self.engine.exclusive():
            super().calculate(atoms, properties, system_changes)
            assert self.atoms is not None
            # get_property says what changed; who calls this method does not, and asks again for what is there
            direct = len(system_changes) == len(all_changes)
            known = self._known(self.atoms) if direct else {}
            if system_changes:  # before anything can raise: old numbers must not pass for the new atoms'
                self.results = _copied(known)
            computed = self._compute(self.atoms, set(properties), set(properties) - set(self.results))
            self.results |= computed
            if not direct:
                self._computed = None
            elif computed:
                self._computed = Structure.of(self.atoms), known | _copied(computed)

    def _known(self, atoms: Atoms) -> dict[str, Any]:
        """Results of the last direct call of `calculate`, if it was for the very same structure."""
        return self._computed[1] if self._computed is not None and self._computed[0].is_same(atoms) else {}

    def reset(self) -> None:
        """Forget structure and results."""
        super().reset()
        self._computed = None

    def _compute(self, atoms: Atoms, asked: set[str], wanted: set[str]) -> dict[str, Any]:
        """Results by name: those that are wanted, and what comes with them."""
        volume = neighbours.volume(atoms.cell.array)
        if volume == 0 and PER_VOLUME & asked:
            raise PropertyNotImplementedError(
                f"Stress needs a volume, but the cell is {atoms.cell.array.tolist()}. Give the structure a cell "
                "(atoms.set_cell or atoms.center(vacuum=...))."
            )
        if asked and not wanted:
            return {}
        calls = self.stats.calls
        if wanted <= ENERGIES and not self.strict:
            self._guard.check_geometry(self.engine, atoms)
        else:
            self.watch_domain(atoms)
        consulted = self.stats.calls > calls  # the committee was, by the function that gives forces
        if self.chunk is not None and len(atoms) > self.chunk:
            return spatial_chunks.evaluate(self.engine, atoms, self.chunk).results(volume)
        found: dict[str, Any] = {}
        if "stresses" in wanted:
            found["stresses"] = stress(self.engine.atomic_virials(atoms), volume)
        if wanted <= {"stresses"}:
            return found
        if wanted <= ENERGIES and not consulted:
            energies = self.engine.energies(atoms)
            total = float(energies.sum())
            return found | {"energy": total, "free_energy": total, "energies": energies}
        return found | self.engine.evaluate(atoms).results(volume)

    def watch_domain(self, atoms: Atoms | Structure, member_forces: Callable | None = None) -> None:
        """Warn once about each way in which structures are outside the model's domain, or, where strict, raise DomainError.

        Args:
            atoms: the structure.
            member_forces: function of a number of members that gives their forces (members, atoms, 3); default the engine's.
        """
        self._guard.check(self.engine, atoms, member_forces)

    def check_state(self, atoms: Atoms, tol: float = 0.0):
        """Changes of a structure since the last calculation, of the quantities that this calculator reads.

        Every change counts, also one below `tol`.  (The comparison of ASE takes 0.1 ms, longer than forces of 9 atoms.)

        Returns:
            list of "positions", "numbers", "cell", "pbc".
        """
        before = self.atoms
        if before is None:
            return list(all_changes)
        pairs = {
            "positions": (atoms.positions, before.positions),
            "numbers": (atoms.numbers, before.numbers),
            "cell": (atoms.cell.array, before.cell.array),
            "pbc": (atoms.pbc, before.pbc),
        }
        return [name for name, (now, then) in pairs.items() if not equal(now, then)]

    def get_property(self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True):
        """Property of a structure, see `ase.calculators.calculator.Calculator`.

        Raises:
            PropertyNotImplementedError: the property is not among `implemented_properties`.
        """
        if name not in self.implemented_properties:
            raise PropertyNotImplementedError(
                f"A LATTE potential has no {name!r}; it has {', '.join(self.implemented_properties)}, and the methods "
                "get_hessian, get_sparse_hessian, get_descriptors. Take charges, dipoles and magnetic moments from "
                "another calculator (ase.calculators.mixing)."
            )
        with self.engine.exclusive():  # between here and the results no other thread's atoms may come
            return super().get_property(name, atoms, allow_calculation)

    def calculate_properties(self, atoms: Atoms, properties: Sequence[str]):
        """Properties of a structure, see `ase.calculators.calculator.Calculator`."""
        with self.engine.exclusive():
            return super().calculate_properties(atoms, properties)

    def warmup(self, sizes: int | Sequence[int], like: Atoms | None = None) -> int:
        """Compile functions for structures of some sizes ahead of time.

        Args:
            sizes: one or several numbers of atoms.
            like: periodic ase.Atoms with the composition and density of the structures; it is repeated up to at least
                each size.  Default: the structure of the last calculation.

        Returns:
            Number of functions that were compiled.

        Raises:
            ValueError: there is no structure, or it cannot be repeated to that size.
        """
        like = self._structure(like)
        compiled = 0
        for size in sorted({int(n) for n in np.atleast_1d(sizes)}):
            compiled += self.engine.warm_up(_repeated(like, size))
        return compiled

    def get_hessian(self, atoms: Atoms | None = None) -> np.ndarray:
        """Second derivatives of the energy with respect to positions, by automatic differentiation.

        Use dtype="float64" for vibrations and phonons.

        Args:
            atoms: the structure; default: that of the last calculation.

        Returns:
            (3 atoms, 3 atoms) in eV/Angstrom^2, coordinates in the order x0 y0 z0 x1 ...; as
            `ase.vibrations.VibrationsData.from_2d` takes it.
        """
        return self.get_sparse_hessian(atoms).toarray()

    def get_sparse_hessian(self, atoms: Atoms | None = None):
        """Hessian as a sparse array, without the zeros of atoms that do not interact; see `get_hessian`.

        Returns:
            scipy.sparse.csr_array (3 atoms, 3 atoms) in eV/Angstrom^2.
        """
        atoms = self._structure(atoms)
        self.watch_domain(atoms)
        return self.engine.hessian(atoms)

    def get_uncertainty(self, atoms: Atoms | None = None) -> Uncertainty:
        """Standard deviations of energy, site energies and forces, for the cost of one force call per committee member.

        Args:
            atoms: the structure; default: that of the last calculation.

        Raises:
            ValueError: the model has no committee, see `latte_ase.uncertainty`.
        """
        atoms = self._structure(atoms)
        committee = self.potential.committee
        values = self.engine.evaluate_members(atoms)
        assert committee is not None
        return committee.uncertainty(*values)

    def get_descriptors(self, atoms: Atoms | None = None, invariants_only: bool = True) -> np.ndarray:
        """The invariants of each atom that the networks see, before scaling: (atoms, features).

        Args:
            atoms: the structure; default: that of the last calculation.
            invariants_only: as MACE's calculators have it; only True, since these descriptors have no other parts.

        Raises:
            ValueError: `invariants_only` is False.
        """
        if not invariants_only:
            raise ValueError(
                "invariants_only is False, but all descriptors of latte_ase are invariant under rotation: there are no "
                "equivariant parts to return. Leave invariants_only out."
            )
        return self.engine.descriptors(self._structure(atoms))

    def _structure(self, atoms: Atoms | None) -> Atoms:
        known = self.atoms if atoms is None else atoms
        if known is None:
            raise ValueError("No structure was given and none was calculated before. Pass the atoms.")
        return known

    def _get_name(self) -> str:
        return "latte"  # in databases and trajectories

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """Description of this calculator for databases and trajectories."""
        return {
            "model": self.potential.metadata.get("name", "unnamed"),
            "dtype": self.engine.dtype.name,
            "skin": self.engine.skin,
        }


def _copied(results: dict[str, Any]) -> dict[str, Any]:
    """Results that nobody else can change in place."""
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in results.items()}


def _repeated(atoms, size: int):
    """Copy without a calculator, doubled along its shortest periodic vector until it has `size` atoms."""
    atoms = type(atoms)(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    while len(atoms) < size:
        if not atoms.pbc.any() or len(atoms) == 0:
            raise ValueError(
                f"A structure of {size} atoms is to be made from {len(atoms)} atoms with pbc {atoms.pbc.tolist()}, which "
                "cannot be repeated. Pass a periodic structure, or one of that size, as `like`."
            )
        lengths = np.where(atoms.pbc, atoms.cell.lengths(), np.inf)
        atoms = atoms * (1 + (np.arange(3) == np.argmin(lengths)))
    return atoms
