"""Errors on crystals that were not taught, lattice constants, and short dynamics of a model.

    python benchmarks/materials/check.py MODEL FOLDER [--crystals 20] [--picoseconds 2]

FOLDER holds test.extxyz, structures of the crystals of the test list with energies, forces and stresses of the teacher, as
`labels.py` and `join.py` write them.
"""

import argparse
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from ase import Atoms, units
from ase.filters import FrechetCellFilter
from ase.io import read
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import FIRE

from latte_ase import LatteCalculator, evaluate, simulate
from latte_ase.model.domain import DomainWarning

TIMESTEP, TEMPERATURE, ATOMS = 1.0, 300.0, 40
"""fs, K, and atoms at least in a box, of the dynamics."""
BAR = 0.05
"""eV/Angstrom: largest force after relaxation."""
GPA = 160.21766
"""GPa in eV/Angstrom^3."""


def print_errors(model: str, frames: list[Atoms]) -> None:
    """A row for each temperature."""
    print("| structures | number | mean force | energy MAE, meV/atom | force MAE / RMSE, meV/Å | stress RMSE, GPa |")
    print("| --- | --- | --- | --- | --- | --- |")
    for kelvin in sorted({int(atoms.info["kelvin"]) for atoms in frames}):
        part = [atoms for atoms in frames if atoms.info["kelvin"] == kelvin]
        found = evaluate(model, part, labels=("energy", "forces", "stress"))
        m, mean = found.metrics, 1e3 * np.abs(found.forces[..., 0]).mean()
        errors = f"{m['energy_mae']:.1f} | {m['forces_mae']:.1f} / {m['forces_rmse']:.1f} | {m['stress_rmse'] * GPA / 1e3:.2f}"
        print(f"| {kelvin} K | {len(part)} | {mean:.0f} | {errors} |", flush=True)


def relaxed_volume(atoms: Atoms, calculator) -> float:
    """Volume in Angstrom^3 after relaxation of atoms and cell, or nan where it does not end."""
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    atoms.calc = calculator
    converged = FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=BAR, steps=200)
    return atoms.get_volume() if converged else np.nan


def boxed(atoms: Atoms) -> Atoms:
    """The crystal repeated along its shortest edges, without labels."""
    atoms = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    while len(atoms) < ATOMS:
        times = np.ones(3, int)
        times[np.argmin(atoms.cell.lengths())] = 2
        atoms = atoms.repeat(times)
    return atoms


def survives(atoms: Atoms, model: str, picoseconds: float) -> bool:
    """Whether dynamics ends."""
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=np.random.default_rng(0))
    with TemporaryDirectory() as folder:
        try:
            simulate.md(
                atoms,
                LatteCalculator(model, threads=1),
                round(1000 * picoseconds / TIMESTEP),
                timestep=TIMESTEP * units.fs,
                ensemble=simulate.Langevin(temperature_K=TEMPERATURE, friction=0.01 / units.fs),
                seed=0,
                trajectory=Path(folder) / "run.traj",
                progress=False,
            )
        except simulate.BlewUp as error:
            print(f"  {atoms.symbols}: {error}")
            return False
    return True


def main(options: argparse.Namespace) -> None:
    """All tables."""
    warnings.simplefilter("ignore", DomainWarning)
    frames = read(options.folder / "test.extxyz", ":")
    print_errors(options.model, frames)
    calculator = LatteCalculator(options.model, threads=1)
    crystals = [atoms for atoms in frames if atoms.info["kind"] == "relaxed"][: options.crystals]
    if not crystals:
        return
    ratios = np.array([(relaxed_volume(atoms, calculator) / atoms.get_volume()) ** (1 / 3) - 1 for atoms in crystals])
    ended, percent = np.isfinite(ratios), 100 * np.abs(ratios[np.isfinite(ratios)])
    print(
        f"\nlattice constants of {ended.sum()} of {len(crystals)} crystals: error {np.median(percent):.2f} % (median)"
    )
    alive = [survives(boxed(atoms), options.model, options.picoseconds) for atoms in crystals]
    print(
        f"dynamics of {options.picoseconds:g} ps at {TEMPERATURE:.0f} K: {sum(alive)} of {len(alive)} crystals to the end"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--crystals", type=int, default=0)
    parser.add_argument("--picoseconds", type=float, default=2.0)
    main(parser.parse_args())
