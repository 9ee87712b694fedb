"""Write models/NAME/reference.json: what the model gives, for tests/test_models.py.

    python models/make_reference.py NAME

Run it once, when the weights of a new model are final; a name never changes its numbers.
"""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from crystal import CRYSTALS

from latte_ase import LatteCalculator

TOLERANCE = {  # eV/atom, eV/Angstrom, eV/Angstrom^3
    "float64": {"energy": 1e-10, "forces": 1e-10, "stress": 1e-12},
    "float32": {"energy": 1e-5, "forces": 1e-4, "stress": 5e-6},
}
"""Four times what rounding makes of latte-h2-combustion in single precision, thirty times and more of the others; in double
precision rounding makes less than 1e-13."""
SHEAR = np.array([[1.0, 0.03, 0], [0, 0.98, 0.02], [-0.01, 0, 1.03]])


def silicon():
    """Eight atoms off their sites."""
    return bulk("Si", cubic=True, a=5.4)


def crystal(name):
    """The cubic cell of a model of one element, squeezed by a hundredth."""
    found = CRYSTALS[name]
    return bulk(found.symbol, found.structure, a=0.99 * found.lattice, cubic=True)


def water():
    """Eight molecules at 1.1 g/cm^3."""
    rng, side, atoms = np.random.default_rng(0), 3.0, Atoms(cell=[6.0] * 3, pbc=True)
    for site in np.ndindex(2, 2, 2):
        one = molecule("H2O")
        one.euler_rotate(*rng.uniform(0, 360, 3), center="COM")
        one.translate(side * np.array(site))
        atoms += one
    return atoms


def boxed(formula):
    """A molecule in a periodic box that is smaller than the cutoff."""
    atoms = molecule(formula, cell=[4.8] * 3, pbc=True)
    atoms.center()
    return atoms


def alloy():
    """Eight atoms of Mo, Nb, Ta and W."""
    atoms = bulk("W", "bcc", a=3.2, cubic=True) * (2, 2, 1)
    atoms.symbols = ["Mo", "Nb", "Ta", "W"] * 2
    return atoms


def ether_and_pyridine():
    """Dimethyl ether over pyridine."""
    atoms = molecule("CH3OCH3", cell=[9.0] * 3, pbc=True)
    other = molecule("C5H5N")
    other.rotate(90, "y")
    other.translate([4.0, 0, 0])
    atoms += other
    atoms.center()
    return atoms


def mixture():
    """Eight molecules with H, C, N, O, F, P, S and Cl."""
    names = ("CH3CONH2", "CH3SCH3", "CH3Cl", "PH3", "HCF3", "C2H6SO", "C5H5N", "CH3COOH")
    rng, side, atoms = np.random.default_rng(0), 6.0, Atoms(cell=[12.0] * 3, pbc=True)
    for site, name in zip(np.ndindex(2, 2, 2), names, strict=True):
        one = molecule(name)
        one.euler_rotate(*rng.uniform(0, 360, 3), center="COM")
        one.positions += side * np.array(site) - one.get_center_of_mass()
        atoms += one
    return atoms


OTHERS = {
    "latte-si": silicon,
    "latte-si-large": silicon,
    "latte-water": water,
    "latte-water-large": water,
    "latte-h2-combustion": partial(boxed, "H2O2"),
    "latte-monbtaw": alloy,
    "latte-3bpa": ether_and_pyridine,
    "latte-organic": mixture,
}


def main(name):
    """Two structures, the second one sheared, in float64."""
    structures = []
    for deformation in (np.eye(3), SHEAR):
        atoms = OTHERS.get(name, partial(crystal, name))()
        atoms.rattle(0.05, seed=1)
        atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
        atoms.calc = LatteCalculator.from_pretrained(name, dtype="float64")
        structures.append(
            {
                "atoms": {
                    "symbols": atoms.get_chemical_symbols(),
                    "positions": atoms.positions.tolist(),
                    "cell": atoms.cell.array.tolist(),
                    "pbc": atoms.pbc.tolist(),
                },
                "energy": atoms.get_potential_energy(),
                "forces": atoms.get_forces().tolist(),
                "stress": atoms.get_stress().tolist(),
            }
        )
    path = Path(__file__).parent / name / "reference.json"
    path.write_text(json.dumps({"structures": structures, "tolerance": TOLERANCE}) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main(sys.argv[1])
