"""mace-torch: a MACE of 64 channels, l_max 2, with random weights, through its ASE calculator on the CPU.

pip install torch mace-torch
"""

import os
import warnings

# e3nn 0.4.4, which mace-torch asks for, reads a table of its own in a way that newer torch refuses without this
os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from ase.io import read  # noqa: E402
from e3nn import o3  # noqa: E402
from mace.calculators import MACECalculator  # noqa: E402
from mace.modules import ScaleShiftMACE, gate_dict, interaction_classes  # noqa: E402
from serve import serve  # noqa: E402


def make(structure, cutoff):
    """The call: forces of atoms that moved a little.  Two interactions, correlation 3, as in its examples."""
    torch.set_default_dtype(torch.float32)
    atoms = read(structure)
    numbers = sorted(set(atoms.numbers.tolist()))
    interaction = interaction_classes["RealAgnosticResidualInteractionBlock"]
    model = ScaleShiftMACE(
        r_max=cutoff,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=2,
        interaction_cls=interaction,
        interaction_cls_first=interaction,
        num_interactions=2,
        num_elements=len(numbers),
        hidden_irreps=o3.Irreps("64x0e + 64x1o"),
        MLP_irreps=o3.Irreps("16x0e"),
        gate=gate_dict["silu"],
        atomic_energies=np.zeros(len(numbers)),
        avg_num_neighbors=50.0,
        atomic_numbers=numbers,
        correlation=3,
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )
    atoms.calc = MACECalculator(models=[model], device="cpu", default_dtype="float32")
    rng = np.random.default_rng(0)

    def call():
        atoms.positions += rng.normal(scale=1e-4, size=atoms.positions.shape)
        atoms.get_forces()

    return call


if __name__ == "__main__":
    serve(make, "mace-torch", "MACE, 64 channels, l_max 2, through its ASE calculator")
