"""Report of `latte_ase.testing` on apax: its default model, trained for a minute on copper of ASE's EMT.

    python3.11 -m venv ENV && ENV/bin/pip install apax==0.14.0
    JAX_PLATFORMS=cpu PYTHONPATH=$PWD ENV/bin/python benchmarks/peers/apax_check.py apax.json apax-large.json

The settings are those of `apax template`, with stress switched on.  The model is trained in a
temporary folder; how good it becomes does not matter here.  There are two reports: of the small
structures that are the default, and of a crystal of 108 atoms, whose cell is wider than twice the
cutoff: apax takes another neighbour list there.
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml
from apax.md.ase_calc import ASECalculator
from apax.train.run import run
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write

from latte_ase.testing import check_calculator

TRAINING, VALIDATION = 80, 10
EPOCHS = 40


def frame(rng):
    """A strained and rattled copper crystal of 16 atoms, labelled by EMT."""
    atoms = bulk("Cu", cubic=True).repeat((2, 2, 1))
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.uniform(-0.05, 0.05, (3, 3))), scale_atoms=True)
    atoms.positions += rng.normal(scale=0.1, size=(len(atoms), 3))
    atoms.calc = EMT()
    atoms.get_forces()
    return atoms


def calculator(folder: Path) -> ASECalculator:
    """apax's calculator, with a model that is trained in this folder."""
    rng = np.random.default_rng(0)
    write(folder / "copper.extxyz", [frame(rng) for _ in range(TRAINING + VALIDATION)])
    settings = {
        "n_epochs": EPOCHS,
        "data": {
            "directory": str(folder),
            "experiment": "copper",
            "data_path": str(folder / "copper.extxyz"),
            "n_train": TRAINING,
            "n_valid": VALIDATION,
            "batch_size": 4,
            "valid_batch_size": VALIDATION,
        },
        "model": {"name": "gmnn", "basis": {"name": "bessel", "r_max": 5.0}, "calc_stress": True},
        "loss": [{"name": "energy"}, {"name": "forces", "weight": 4.0}],
        "metrics": [{"name": "forces", "reductions": ["mae"]}],
    }
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
    run(folder / "settings.yaml", log_level="warning")
    return ASECalculator(folder / "copper")


def report(calc: ASECalculator, **structures):
    """The report, in the tolerances of apax's default precision of descriptor and readout."""
    name = next(iter(structures))
    return check_calculator(
        calc,
        precision="float32",
        progress=lambda line: print(f"checking {name}: {line}", file=sys.stderr, flush=True),
        **structures,
    )


if __name__ == "__main__":
    small, large = (Path(path).resolve() for path in sys.argv[1:])
    crystal = bulk("Cu", cubic=True, a=3.9).repeat(3)  # also sheared it is wider than twice the cutoff
    crystal.rattle(0.05, seed=0)
    crystal.positions += 0.4  # no atom near a face of the cell
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # the log of the training is written here
        calc = calculator(Path(folder))
        for file, structures in (small, {"elements": ["Cu"]}), (large, {"structures": [crystal]}):
            found = report(calc, **structures)
            print(found)
            file.write_text(found.to_json())
