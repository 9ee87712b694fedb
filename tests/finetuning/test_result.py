"""The report before and after, in numbers."""

from __future__ import annotations

import numpy as np

from latte_ase.evaluation import Evaluation
from latte_ase.finetuning.result import FineTuned


def evaluation(energy, force):
    """Two frames of one atom, whose energies are off by 0 and `energy`, and force components by 0, 0 and `force` each."""
    forces = np.zeros((2, 3, 2))
    forces[:, 2, 1] = force
    return Evaluation(
        energy=np.array([[-1.0, -1.0], [-2.0, energy - 2.0]]),
        forces=forces,
        stress=np.zeros((0, 6, 2)),
        numbers=np.array([29, 29]),
    )


def test_the_table_has_mean_and_root_mean_square_errors_in_milli_units():
    found = FineTuned(
        potential=None,  # type: ignore[arg-type]
        history=[],
        evaluations={"base model": evaluation(0.1, 0.3), "fine-tuned": evaluation(0.02, 0.03)},
        base_evaluations={"fine-tuned": evaluation(0.2, 0.6)},
        path=None,
    )
    title, _, before, after, empty, base, _, forgotten = found.table.splitlines()
    assert title.split() == ["held-out", "frames", "energy", "(meV/atom)", "forces", "(meV/Å)"]
    assert before.split() == ["base", "model", "50.00", "70.71", "100.00", "173.21"]
    assert after.split() == ["fine-tuned", "10.00", "14.14", "10.00", "17.32"]
    assert empty == "" and base.startswith("base data")
    assert forgotten.split() == ["fine-tuned", "100.00", "141.42", "200.00", "346.41"]
    assert found.errors["fine-tuned"]["energy_mae"] == found.evaluations["fine-tuned"].metrics["energy_mae"]
