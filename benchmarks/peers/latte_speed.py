"""latte_ase itself, answering as the peers do: the engine on atoms that moved a little since the call before."""

from pathlib import Path
from sys import argv, path

import numpy as np
from ase.io import read
from serve import serve

from latte_ase import LatteCalculator

path.append(str(Path(__file__).parents[1]))
from potentials import potential


def make(structure, cutoff):
    """The call: energy, forces and virial, the host's part included; the preset is the third argument."""
    atoms = read(structure)
    engine = LatteCalculator(potential(argv[3], cutoff=cutoff)).engine
    start, rng = atoms.positions.copy(), np.random.default_rng(0)

    def call():
        atoms.positions = start + rng.uniform(-1e-3, 1e-3, start.shape)
        engine.evaluate(atoms)

    return call


if __name__ == "__main__":
    serve(make, "latte_ase", "engine, neighbour list kept while it is valid")
