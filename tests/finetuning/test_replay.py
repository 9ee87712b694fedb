"""Replay: labels that are missing come from the base model, and every epoch takes as many of its frames as there are new ones."""

from __future__ import annotations

import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator

from latte_ase.finetuning.replay import labelled, order
from latte_ase.io.labels import label
from latte_ase.prediction import predict


def test_only_what_is_missing_is_predicted(tiny_potential, water_like):
    potential = tiny_potential("latte", repulsion=False)
    forces = np.arange(3.0 * len(water_like)).reshape(-1, 3)
    bare, partial, whole = (water_like.copy() for _ in range(3))
    for atoms in (bare, partial, whole):
        atoms.set_cell([9, 9, 9])
        atoms.pbc = True
    partial.calc = SinglePointCalculator(partial, forces=forces)
    whole.calc = SinglePointCalculator(whole, energy=1.0, forces=forces, stress=np.arange(6.0))
    names = ("energy", "forces", "stress")
    made = labelled(potential, [bare, partial, whole], names)
    (expected,) = predict(potential, bare)
    for name in names:
        np.testing.assert_allclose(made[0].calc.results[name], getattr(expected, name), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(label(made[1], "forces"), forces)
    np.testing.assert_allclose(label(made[1], "energy"), expected.energy, rtol=1e-6)
    assert made[2] is whole and partial.calc.results.keys() == {"forces"}


def test_an_epoch_has_all_new_frames_and_as_many_others():
    of = order(5, 20, 3)
    for epoch in (1, 2):
        found = of(epoch)
        assert sorted(found[found < 5]) == list(range(5))
        assert len(set(found)) == len(found) == 10 and found.max() < 25
    assert of(1).tolist() != of(2).tolist()
    np.testing.assert_array_equal(of(1), order(5, 20, 3)(1))
    assert of(1).tolist() != order(5, 20, 4)(1).tolist()
    assert sorted(order(5, 3, 0)(1)) == list(range(8))  # fewer than there are new ones: all
