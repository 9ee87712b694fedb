"""Ensembles of trainings with different seeds."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest

from latte_ase import LatteCalculator
from latte_ase.model.potential import init_params
from latte_ase.uncertainty import assess, ensemble
from latte_ase.uncertainty.ensemble import _params_for


def test_its_spread_is_that_of_the_models(trained, base, copper):
    others = [base, trained(1), trained(2)]
    together = ensemble(others, held_out=copper(40, seed=2))
    atoms = copper(1, seed=7)[0]
    forces = [LatteCalculator(p).engine.evaluate(atoms).forces for p in others]
    found = LatteCalculator(together).get_uncertainty(atoms)
    factor = together.committee.forces_factor
    np.testing.assert_allclose(found.forces, factor * np.std(forces, axis=0, ddof=1), rtol=1e-4, atol=1e-7)
    # each seed has E0 of its own, fitted to what its network leaves
    assert np.ptp([p.reference_energies for p in others]) > 1e-6
    energies = [LatteCalculator(p).get_potential_energy(atoms) for p in others]
    spread = together.committee.energy_factor * np.std(energies, ddof=1)
    assert found.energy == pytest.approx(spread, rel=1e-3, abs=1e-6)
    assert assess(together, copper(40, seed=2)).metrics["forces_within_1"] == pytest.approx(0.6827, abs=0.01)


def test_models_that_do_not_belong_together_are_refused(base, trained, copper, tiny_potential):
    held = copper(2, seed=2)
    with pytest.raises(ValueError, match="1 model was given"):
        ensemble([base], held_out=held)
    with pytest.raises(ValueError, match="Model 2 has another architecture"):
        ensemble([base, tiny_potential("latte", ("Cu",))], held_out=held)
    assert not np.array_equal(trained(1).constants["mean"], base.constants["mean"])  # it takes more than one seed's
    other = replace(base, constants=base.constants | {"scale": 2 * base.constants["scale"]})
    with pytest.raises(ValueError, match=r"Model 3 was trained on other frames.*\[data\] valid"):
        ensemble([base, base, other], held_out=held)


@pytest.mark.parametrize(("kind", "linear"), [("latte", False), ("latte", True), ("cace", True)])
def test_parameters_take_over_the_constants_of_another(kind, linear, tiny_potential, water_like):
    def made(seed):
        potential = tiny_potential(kind, repulsion=False, seed=seed)
        architecture = replace(potential.architecture, linear=linear)
        shared = {k: np.tile(potential.constants[k][:1], (2, 1)) for k in ("mean", "deviation")}
        constants = potential.constants | (shared if architecture.shared else {})
        with jax.enable_x64(True):
            params = jax.tree.map(np.asarray, init_params(architecture, jax.random.key(seed)))
        return replace(potential, architecture=architecture, params=params, constants=constants)

    first, other = made(0), made(1)
    moved = replace(first, params=_params_for(other, first))
    forces = [LatteCalculator(p, dtype="float64").engine.evaluate(water_like).forces for p in (other, moved, first)]
    assert np.abs(forces[0] - forces[2]).max() > 1e-2
    np.testing.assert_allclose(forces[1], forces[0], rtol=0, atol=1e-9)


def test_held_out_frames_without_labels_are_refused(base, trained, copper):
    bare = [atoms.copy() for atoms in copper(2, seed=2)]
    with pytest.raises(ValueError, match="0 of 2 frames of the held-out frames have energy"):
        ensemble([base, trained(1)], held_out=bare)
