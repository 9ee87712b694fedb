"""mlip (InstaDeep): a MACE of 64 channels, l_max 2, with random weights, through its ASE calculator.

pip install mlip==0.2.5
"""

import numpy as np
from ase.io import read
from mlip.data.dataset_info import DatasetInfo
from mlip.models import ForceField, Mace
from mlip.simulation.ase.mlip_ase_calculator import MLIPForceFieldASECalculator
from serve import serve


def make(structure, cutoff):
    """The call: forces of atoms that moved a little."""
    atoms = read(structure)
    if atoms.cell.volume == 0:
        atoms.center(vacuum=2 * cutoff)
    info = DatasetInfo(
        atomic_energies_map={int(z): 0.0 for z in set(atoms.numbers)},
        graph_cutoff_angstrom=cutoff,
        avg_num_neighbors=50.0,
        avg_r_min_angstrom=1.0,
    )
    network = Mace(Mace.Config(num_channels=64, l_max=2, node_symmetry=1), info)
    atoms.calc = MLIPForceFieldASECalculator(atoms, 1.1, ForceField.from_mlip_network(network))
    rng = np.random.default_rng(0)

    def call():
        atoms.positions += rng.normal(scale=1e-4, size=atoms.positions.shape)
        atoms.get_forces()

    return call


if __name__ == "__main__":
    serve(make, "mlip", "MACE, 64 channels, l_max 2, through its ASE calculator")
