"""Dynamics of the pupil."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule

from latte_ase.distillation.exploration import is_possible


@pytest.mark.parametrize(
    ("atoms", "possible"),
    [
        (molecule("H2O"), True),
        (bulk("Cu"), True),
        (Atoms("H2", [[0, 0, 0], [0, 0, 0.74]]), True),
        (Atoms("H2", [[0, 0, 0], [0, 0, 0.2]]), False),
        (Atoms("HCu", [[0, 0, 0], [0, 0, 0.7]]), False),  # half of 0.31 + 1.32
        (Atoms("HCu", [[0, 0, 0], [0, 0, 0.9]]), True),
        (Atoms("Cu", cell=[1.0, 9, 9], pbc=True), False),  # its own image
        (Atoms("H", [[np.nan, 0, 0]]), False),
    ],
)
def test_atoms_on_top_of_each_other_are_not_labelled(atoms, possible):
    assert is_possible(atoms) is possible
