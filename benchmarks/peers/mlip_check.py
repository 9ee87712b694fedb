"""Report of `latte_ase.testing` on mlip (InstaDeep): a MACE with random weights, of its default kind but smaller.

    python3.11 -m venv ENV && ENV/bin/pip install mlip==0.2.5
    JAX_PLATFORMS=cpu PYTHONPATH=$PWD ENV/bin/python benchmarks/peers/mlip_check.py mlip.json

Weights need a network connection to come by, and no check asks whether energies are right.  Elements
are H and O, which the pretrained models know.  The calculator wants a structure when it is made, and
is told that the number of atoms may change.
"""

import sys
from pathlib import Path

from ase.build import molecule
from mlip.data import DatasetInfo
from mlip.models import ForceField, Mace
from mlip.simulation.ase.mlip_ase_calculator import MLIPForceFieldASECalculator

from latte_ase.testing import check_calculator

CUTOFF = 5.0
# small: in float32, the rounding of large total energies would hide everything else
REFERENCE_ENERGIES = {1: -1.0, 8: -2.0}


def calculator() -> MLIPForceFieldASECalculator:
    """The calculator as its documentation makes it, for systems that change."""
    information = DatasetInfo(
        atomic_energies_map=REFERENCE_ENERGIES,
        graph_cutoff_angstrom=CUTOFF,
        avg_num_neighbors=30.0,
        avg_r_min_angstrom=0.95,
    )
    network = Mace(Mace.Config(num_channels=16, l_max=2, correlation=2), information)
    return MLIPForceFieldASECalculator(
        molecule("H2O", vacuum=5.0),
        edge_capacity_multiplier=1.25,
        force_field=ForceField.from_mlip_network(network, seed=0),
        allow_nodes_to_change=True,
    )


if __name__ == "__main__":
    report = check_calculator(
        calculator(),
        elements=["H", "O"],
        precision="float32",  # JAX's default, which mlip uses
        progress=lambda name: print(name, end=" ", file=sys.stderr, flush=True),
    )
    print(report)
    for path in sys.argv[1:]:
        Path(path).write_text(report.to_json())
