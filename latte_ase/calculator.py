"""LatteCalculator: ASE's contract and nothing else.  The numbers come from `engine.Engine`."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from ase.calculators.calculator import Calculator, PropertyNotImplementedError, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from latte_ase.engine import SKIN, Engine, Stats
from latte_ase.potential import Potential

DERIVED = {"forces", "stress"}


class LatteCalculator(Calculator):
    """ASE calculator of a trained potential.

    >>> from ase.build import bulk
    >>> atoms = bulk("Si", cubic=True)
    >>> atoms.calc = LatteCalculator.from_pretrained("latte-si")

    Conventions are ASE's: eV, Angstrom, stress = (1/V) dE/d(strain) in eV/Angstrom^3, positive
    under tension, Voigt order xx yy zz yz xz xy.  The atoms are never changed; charges and
    magnetic moments are not read.

    Args:
        potential: the model, for example from `latte_ase.load_model` or `latte_ase.train`.
        device: None for JAX's default device, "cpu", "gpu", "cuda:1", or a jax device.
        dtype: "float32", or "float64" for phonons, finite differences and tight relaxations.
        skin: Angstrom; a neighbour list serves until atoms moved by about half of it.
        **ase_kwargs: of `ase.calculators.calculator.Calculator`, such as `directory`.
    """

    implemented_properties: ClassVar = ["energy", "free_energy", "energies", "forces", "stress"]
    ignored_changes: ClassVar = {"initial_charges", "initial_magmoms"}
    nolabel = True

    def __init__(
        self,
        potential: Potential,
        *,
        device=None,
        dtype: str = "float32",
        skin: float = SKIN,
        **ase_kwargs: Any,
    ):
        super().__init__(**ase_kwargs)
        self.engine = Engine(potential, device=device, dtype=dtype, skin=skin)

    @classmethod
    def from_pretrained(
        cls, model, *, device=None, dtype: str = "float32", skin: float = SKIN, **ase_kwargs: Any
    ) -> LatteCalculator:
        """A calculator of a model by name, folder, file, or hub address.

        Args:
            model: see `latte_ase.load_model`.
            device, dtype, skin, **ase_kwargs: as for the class.
        """
        from latte_ase.pretrained import load_model

        return cls(load_model(model), device=device, dtype=dtype, skin=skin, **ase_kwargs)

    @property
    def potential(self) -> Potential:
        """The model."""
        return self.engine.potential

    @property
    def stats(self) -> Stats:
        """Counters: calls, compilations, list builds, padding waste."""
        return self.engine.stats

    @property
    def allowed_atomic_numbers(self) -> set[int]:
        """Atomic numbers that the model knows."""
        return {int(z) for z in self.potential.architecture.numbers}

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        """Fill `results` with what was asked and what comes along at no cost.

        Raises:
            ValueError: empty structure, unknown element, position not finite, impossible cell.
            PropertyNotImplementedError: stress of a structure without a volume.
        """
        super().calculate(atoms, properties, system_changes)
        atoms = self.atoms
        assert atoms is not None
        volume = abs(np.linalg.det(atoms.cell.array))
        if "stress" in properties and volume == 0:
            raise PropertyNotImplementedError(
                f"Stress needs a volume, but the cell is {atoms.cell.array.tolist()}. Give the structure a cell "
                "(atoms.set_cell or atoms.center(vacuum=...))."
            )
        output = self.engine.evaluate(atoms, forces=bool(DERIVED & set(properties)))
        energy = output.energy
        self.results = {"energy": energy, "free_energy": energy, "energies": output.energies}
        if output.forces is not None and output.virial is not None:
            self.results["forces"] = output.forces
            if volume > 0:
                stress = 0.5 * (output.virial + output.virial.T) / volume
                self.results["stress"] = full_3x3_to_voigt_6_stress(stress)

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """What identifies this calculator in a database or trajectory."""
        return {
            "model": self.potential.metadata.get("name", "unnamed"),
            "dtype": self.engine.dtype.name,
            "skin": self.engine.skin,
        }
