"""On a GPU: the numbers of the CPU.  Run with `make test-gpu`."""

import numpy as np
import pytest
from ase.build import bulk

from latte_ase import LatteCalculator


@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-4), ("float64", 1e-10)])
def test_forces_and_stress_equal_those_of_the_cpu(dtype, tolerance):
    """float32 on a GPU must not mean TF32: that would be wrong in the third digit."""
    atoms = bulk("Si", cubic=True) * (3, 3, 3)
    atoms.rattle(0.1, seed=0)
    results = []
    for device in ("cpu", "gpu"):
        atoms.calc = LatteCalculator.from_pretrained("latte-si", device=device, dtype=dtype)
        results.append((atoms.get_potential_energy() / len(atoms), atoms.get_forces(), atoms.get_stress()))
    for cpu, gpu in zip(*results, strict=True):
        np.testing.assert_allclose(gpu, cpu, atol=tolerance)
