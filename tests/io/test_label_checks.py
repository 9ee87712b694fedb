"""Labels that are missing, that are no numbers, or that are those of another structure."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixCartesian
from ase.io import read, write

from latte_ase.io.label_checks import labelled_frames, require_labels
from latte_ase.io.labels import with_keys


def stored(atoms, **labels):
    """The structure with labels of its own."""
    atoms.calc = SinglePointCalculator(atoms, **labels)
    return atoms


def crystal(seed=0, **left_out):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=seed)
    labels = {"energy": float(seed), "forces": np.ones((4, 3)), "stress": np.ones(6)}
    return stored(atoms, **{name: value for name, value in labels.items() if name not in left_out})


def test_a_set_without_forces_is_refused():
    frames = [crystal(forces=None), crystal(1, forces=None)]
    with pytest.raises(
        ValueError, match=r"0 of 2 frames of my\.xyz have forces\..*forces:R:3 in Properties.*SinglePointCalculator"
    ):
        labelled_frames(frames, ["energy", "forces"], "my.xyz")
    with pytest.raises(
        ValueError, match=r"0 of 1 frames of the training set have energy\. Frame 0 has nothing but its"
    ):
        labelled_frames([Atoms("H")], ["energy"])
    with pytest.raises(ValueError, match="0 of 0 frames of what is left have energy"):
        require_labels([], ["energy"], "what is left")


def test_frames_are_used_for_the_labels_that_they_have():
    frames = [crystal(0), crystal(1, stress=None), crystal(2, energy=None), bulk("Cu")]
    with pytest.warns(UserWarning) as caught:
        found = labelled_frames(frames, ["energy", "stress"], "my.xyz")
    assert found == frames[:3]
    told = [str(warning.message) for warning in caught]
    assert told == [
        "2 of 4 frames of my.xyz have energy (frame 2 has none). Each frame is used for the labels that it has.",
        "2 of 4 frames of my.xyz have stress (frame 1 has none). Each frame is used for the labels that it has.",
    ]


@pytest.mark.filterwarnings("error")
def test_a_whole_set_is_left_as_it_is():
    frames = [crystal(0), crystal(1, stress=None)]
    assert labelled_frames(frames, ["energy", "forces"]) == frames


def test_what_stands_under_another_name_is_told():
    atoms = bulk("Cu", cubic=True)
    atoms.info |= {"REF_energy": -1.0, "config_type": "bulk"}
    atoms.arrays["dft_force"] = np.ones((4, 3))
    with pytest.raises(ValueError, match=r"0 of 1 frames of mine have energy\. Frame 0 has") as caught:
        labelled_frames([atoms], ("energy",), "mine")
    assert "Frame 0 has REF_energy, config_type (info); dft_force (arrays)." in str(caught.value)
    assert 'If REF_energy is the energy, say so: keys={"energy": "REF_energy"} in Python' in str(caught.value)
    assert 'keys = { energy = "REF_energy" } in [data], --key energy=REF_energy on the command' in str(caught.value)
    assert "weight" not in str(caught.value)
    with pytest.raises(ValueError, match=r'keys=\{"forces": "dft_force"\} .*Or set force_weight to 0\.$'):
        labelled_frames([atoms], ("forces",), "mine", otherwise="Or set {name}_weight to 0.")
    atoms.info["virial"] = np.eye(3)
    with pytest.raises(ValueError, match=r'If virial is the virial, say so: keys=\{"virial": "virial"\}'):
        labelled_frames([atoms], ("stress",), "mine")


def test_a_free_energy_alone_is_told():
    """ASE's `free_energy` is what forces are derivatives of; whether to count from it is the user's word."""
    atoms = stored(bulk("Cu"), free_energy=-1.0)
    with pytest.raises(
        ValueError, match=r'free_energy \(results\)\. If free_energy is the energy, say so: keys=\{"energy": '
    ):
        labelled_frames([atoms], ("energy",))
    assert len(labelled_frames([with_keys(atoms, {"energy": "free_energy"})], ("energy",))) == 1


def test_labels_of_another_structure_are_refused():
    shared, frames = EMT(), [crystal(k).copy() for k in range(3)]
    for atoms in frames:
        atoms.calc = shared
        atoms.get_forces()
    with pytest.raises(
        ValueError, match=r"labels of frame 0 of the training set are those of another structure.*SinglePoint"
    ):
        labelled_frames(frames, ("energy", "forces"))
    labelled_frames(frames[2:], ("energy", "forces"))
    changes = {
        "rattled": lambda a: a.rattle(0.01, seed=9),
        "strained": lambda a: a.set_cell(1.01 * a.cell),
        "another element": lambda a: a.symbols.__setitem__(0, "Au"),
    }
    for change in changes.values():
        atoms = crystal()
        change(atoms)
        for moved in (atoms, with_keys(atoms, {"stress": "other"})):
            with pytest.raises(ValueError, match="those of another structure"):
                labelled_frames([moved], ("energy",))


def test_a_shift_or_a_wrapped_atom_keeps_its_labels():
    shifted, wrapped, boxed = crystal(), crystal(), stored(molecule("H2O"), energy=-1.0)
    shifted.positions += (0.3, -7.0, 0.2)
    wrapped.positions[1] += 2 * wrapped.cell[0] - wrapped.cell[2]
    wrapped.wrap()
    boxed.center(vacuum=5.0)
    boxed.pbc = True
    labelled_frames([shifted, wrapped, boxed], ("energy",))


@pytest.mark.parametrize("name", ["energy", "forces", "stress"])
def test_labels_that_are_no_numbers_are_refused_also_where_they_are_not_needed(name):
    labels = {"energy": 1.0, "forces": np.ones((4, 3)), "stress": np.ones(6)}
    frames = [crystal(), stored(bulk("Cu", cubic=True), **labels | {name: labels[name] * np.nan})]
    with pytest.raises(ValueError, match=rf"The label {name!r} of frame 1 of mine is not finite\. Leave the frame out"):
        labelled_frames(frames, ("energy",), "mine")
    atoms = bulk("Cu", cubic=True)
    atoms.info["mine"] = "unknown"
    with pytest.raises(ValueError, match=rf"The label {name!r} of frame 0 of mine cannot be read: could not convert"):
        labelled_frames([with_keys(atoms, {name: "mine"})], ("energy",), "mine")


def test_forces_that_a_constraint_took_away_are_told(tmp_path):
    frames = []
    for applied in (True, False, True):
        atoms = crystal().copy()
        atoms.set_constraint([FixAtoms([0, 1]), FixCartesian([2], (False, False, True))])
        atoms.calc = EMT()
        frames.append(stored(atoms, energy=1.0, forces=atoms.get_forces(apply_constraint=applied)))
    write(tmp_path / "set.extxyz", frames)
    told = (
        r"In 2 of 3 frames of mine forces were stored with constraints applied \(frame 0: FixAtoms, FixCartesian, 3 of 4 atoms\)\. "
        r".*get_forces\(apply_constraint=False\)"
    )
    with pytest.warns(UserWarning, match=told):
        assert labelled_frames(frames, ("forces",), "mine") == frames
    with pytest.warns(UserWarning, match=r"In 2 of 3 frames .*\(frame 0: FixCartesian, 3 of 4 atoms\)"):
        labelled_frames(read(tmp_path / "set.extxyz", ":"), ("forces",))
    frames[0].set_constraint(FixAtoms([0, 1, 2, 3]))
    frames[0].calc.results["forces"][:] = 0.0
    with (
        pytest.raises(ValueError, match="0 of 1 frames of mine have forces"),
        pytest.warns(UserWarning, match="4 of 4"),
    ):
        labelled_frames(frames[:1], ("forces",), "mine")
