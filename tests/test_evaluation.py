"""Errors of a model against labels, by hand."""

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms

from latte_ase import LatteCalculator, evaluate, load_model, plots


@pytest.fixture(scope="module")
def labelled():
    """Two silicon frames whose labels are the model's values plus a known error."""
    calculator = LatteCalculator(load_model("latte-si"))
    made = []
    for k in range(2):
        atoms = bulk("Si", cubic=True)
        atoms.rattle(0.05, seed=k)
        atoms.calc = calculator
        energy = atoms.get_potential_energy() + (0.08 if k else -0.16)  # 8 atoms: 10 and 20 meV/atom
        forces = atoms.get_forces()
        forces[0, 0] += 0.24
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        made.append(atoms)
    return made


def test_metrics_are_those_of_the_known_errors(labelled):
    result = evaluate("latte-si", labelled)
    m = result.metrics
    assert m["energy_mae"] == pytest.approx(15.0, abs=0.05)
    assert m["energy_rmse"] == pytest.approx(np.sqrt((10**2 + 20**2) / 2), abs=0.05)
    assert m["forces_mae"] == pytest.approx(240 / 24, abs=0.05)
    assert m["forces_rmse"] == pytest.approx(240 / np.sqrt(24), abs=0.1)
    assert result.per_element["Si"]["atoms"] == 16
    assert result.per_element["Si"]["forces_mae"] == pytest.approx(m["forces_mae"])


def test_frames_without_labels_are_left_out(labelled):
    forces = labelled[1].copy()
    forces.calc = SinglePointCalculator(forces, forces=labelled[1].calc.results["forces"])
    forces.set_constraint(FixAtoms([0]))
    forces.calc.results["forces"][0] = 0.0
    forces.info["REF_energy"] = 0.0
    with pytest.warns(UserWarning, match="1 of 3 frames of the set have energy"):
        found = evaluate("latte-si", [labelled[0], bulk("Si"), forces])
    assert found.energy.shape == (1, 2) and found.forces.shape == (8 + 7, 3, 2) and found.numbers.shape == (15,)
    with pytest.raises(ValueError, match=r"0 of 1 frames of the set have energy\..*Or leave it out: labels="):
        evaluate("latte-si", [bulk("Si")])
    with pytest.warns(UserWarning, match="have forces"):
        assert evaluate("latte-si", [forces, bulk("Si")], keys={"energy": "REF_energy"}).energy[0, 0] == 0.0


def test_a_generator_may_change_the_frame_that_it_yielded(labelled):
    def one_that_changes():
        atoms = labelled[0].copy()
        for frame in labelled:
            atoms.positions[:] = frame.positions
            atoms.calc = frame.calc
            yield atoms

    assert evaluate("latte-si", one_that_changes()).metrics == evaluate("latte-si", labelled).metrics


def test_stress_is_compared_where_asked_for(labelled):
    calculator = LatteCalculator("latte-si")
    atoms = labelled[0].copy()
    atoms.calc = calculator
    stress = atoms.get_stress(voigt=False)
    stress[1, 2] += 3e-3
    stress[2, 1] += 3e-3
    atoms.calc = SinglePointCalculator(atoms, stress=stress)
    m = evaluate("latte-si", [atoms], labels=("stress",)).metrics
    assert m["stress_mae"] == pytest.approx(3 / 6, rel=1e-3) and m["stress_rmse"] == pytest.approx(
        3 / np.sqrt(6), rel=1e-3
    )
    assert "stress_mae" not in evaluate("latte-si", labelled).metrics


def test_a_label_of_another_name_is_refused(labelled):
    with pytest.raises(ValueError, match="labels are force; allowed are energy, forces, stress"):
        evaluate("latte-si", labelled, labels=("energy", "force"))


def test_plots_are_written(labelled, tmp_path):
    plots.parity(evaluate("latte-si", labelled), tmp_path / "new" / "parity.png")
    keys = [f"{part}_{name}_rmse" for part in ("train", "valid") for name in ("energy", "forces")]
    plots.history([{"epoch": k, **dict.fromkeys(keys, 1.0 / k)} for k in (1, 2)], tmp_path / "history.png")
    for name in ("new/parity.png", "history.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_a_missing_label_is_told_without_talk_of_a_loss():
    atoms = Atoms("Si2", [(0, 0, 0), (0, 0, 2.3)])
    with pytest.raises(
        ValueError, match=r"0 of 1 frames of the set have energy.*Or leave it out: labels=\.\.\. \(--labels\)$"
    ) as caught:
        evaluate("latte-si", [atoms])
    assert "weight" not in str(caught.value) and "loss" not in str(caught.value)


def test_stresses_in_other_units_are_told(labelled):
    calculator, rng, frames = LatteCalculator("latte-si"), np.random.default_rng(0), []
    for _ in range(8):
        atoms = labelled[0].copy()
        atoms.set_cell(atoms.cell * rng.uniform(0.97, 1.03), scale_atoms=True)
        atoms.calc = calculator
        results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress()}
        atoms.calc = SinglePointCalculator(atoms, **results | {"stress": results["stress"] / units.GPa})
        frames.append(atoms)
    with pytest.warns(UserWarning, match=r"Stresses and energies of the set do not belong .*as if .*they are in GPa"):
        evaluate("latte-si", frames, labels=("stress",))
