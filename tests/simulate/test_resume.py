"""A run that was cut off and resumed has the numbers of one that was not, to the last bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import units
from ase.constraints import FixAtoms
from ase.io import read
from safetensors.numpy import save_file

from latte_ase import LatteCalculator
from latte_ase.simulate import NVE, Langevin, md
from latte_ase.simulate.ensembles import ENSEMBLES

FS = units.fs


def run(atoms, calc, steps, **options):
    """`md` without a bar; the same random numbers each time."""
    return md(atoms, calc, steps, **{"timestep": 2 * FS, "seed": 1, "progress": False, **options})


@pytest.fixture
def short(silicon, calculator, tmp_path):
    """A run of three steps: atoms, calculator, path of its checkpoint."""
    path, calc = tmp_path / "md.ckpt", calculator()
    run(silicon, calc, 3, checkpoint=path)
    return silicon, calc, path


@pytest.mark.parametrize("name", ENSEMBLES)
def test_a_resumed_run_has_the_same_numbers_to_the_last_bit(name, silicon, calculator, ensembles, tmp_path):
    paths = {"trajectory": tmp_path / "a.traj", "log": tmp_path / "a.log"}
    whole, calc = silicon.copy(), calculator()
    settings = {"ensemble": ensembles[name], "interval": 20}
    run(whole, calc, 150, **settings, **paths, checkpoint=tmp_path / "a", checkpoint_interval=64)
    assert calc.stats.list_builds > 3

    cut = {"trajectory": tmp_path / "b.traj", "log": tmp_path / "b.log", "checkpoint": tmp_path / "b"}
    first = silicon.copy()
    with pytest.raises(KeyboardInterrupt):  # at step 107: the checkpoint is of 64, the files hold 100
        run(first, Interrupted(calculator(), after=107), 150, **settings, **cut, checkpoint_interval=64)
    assert len(read(cut["trajectory"], ":")) == 6
    again = silicon.copy()
    again.set_momenta(np.zeros((8, 3)))  # whatever these are: the checkpoint counts
    again.positions += 5.0
    summary = run(again, calculator(), 150, **settings, **cut, checkpoint_interval=7, resume=True, seed=99)
    assert summary.steps == 150 - 64
    for get in ("get_positions", "get_momenta", "get_forces", "get_stress"):
        np.testing.assert_array_equal(getattr(again, get)(), getattr(whole, get)())
    np.testing.assert_array_equal(again.cell, whole.cell)
    assert cut["log"].read_text() == paths["log"].read_text()
    frames = [[a.positions for a in read(p["trajectory"], ":")] for p in (cut, paths)]
    np.testing.assert_array_equal(*frames)


class Interrupted(LatteCalculator):
    """A calculator that presses Ctrl-C when the host looks after some step."""

    def __init__(self, other, *, after):
        self.__dict__ |= other.__dict__
        self.after = after

    def watch_domain(self, atoms, member_forces=None):
        if self.stats.calls > self.after:
            raise KeyboardInterrupt


def test_how_often_the_host_looks_changes_nothing(silicon, calculator, ensembles):
    other, calc = silicon.copy(), calculator()
    run(silicon, calc, 60, ensemble=ensembles["Langevin"])
    run(other, calc, 60, ensemble=ensembles["Langevin"], checkpoint_interval=1)
    np.testing.assert_array_equal(silicon.positions, other.positions)


def test_a_run_can_be_made_longer(short, calculator):
    atoms, calc, path = short
    assert run(atoms, calc, 5, checkpoint=path, resume=True).steps == 2
    assert run(atoms, calc, 5, checkpoint=path, resume=True).steps == 0
    np.testing.assert_allclose(atoms.get_forces(), calculator().get_forces(atoms), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "options, change, message",
    [
        ({"timestep": FS}, None, "by a run with another timestep"),
        ({"ensemble": "NoseHooverChain"}, None, "by a run with another ensemble ('NVE'; now 'NoseHooverChain')"),
        ({}, lambda a: a.set_masses([29.0] * 8), "by a run with another list of masses"),
        ({}, lambda a: a.set_constraint(FixAtoms([0])), "by a run with another set of mobile atoms"),
        ({}, lambda a: a.set_pbc((True, True, False)), "by a run with another pbc"),
        ({}, lambda a: a.__delitem__(0), "by a run with another number of atoms (8; now 7)"),
        ({"checkpoint": "absent"}, None, "There is no checkpoint absent to resume from. Run without resume first."),
    ],
)
def test_the_checkpoint_of_another_run_is_refused(short, ensembles, options, change, message):
    atoms, calc, path = short
    if "ensemble" in options:
        options = {"ensemble": ensembles[options["ensemble"]]}
    if change:
        change(atoms)
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        run(atoms, calc, 5, **{"checkpoint": path, "resume": True, **options})
    assert message in str(error.value)


@pytest.mark.parametrize("change", ["constants", "architecture", "E0"])
def test_the_checkpoint_of_another_model_is_refused(short, change):
    atoms, calc, path = short
    base = calc.potential
    other = {
        "constants": lambda: replace(base, constants={**base.constants, "scale": np.array(0.5)}),
        "architecture": lambda: replace(base, architecture=replace(base.architecture, activation="tanh")),
        "E0": lambda: replace(base, reference_energies=base.reference_energies + 1e-6),
    }[change]()
    with pytest.raises(ValueError, match="by a run with another model"):
        run(atoms, LatteCalculator(other, dtype="float64", skin=0.3), 5, checkpoint=path, resume=True)


@pytest.mark.parametrize("damage", ["cut", "foreign", "newer"])
def test_a_damaged_checkpoint_is_refused(short, damage):
    atoms, calc, path = short
    message = r"is not a complete checkpoint of dynamics \(.*copy it again, or run without resume"
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:500])
    elif damage == "foreign":
        save_file({"a": np.zeros(1)}, path)
    else:
        save_file({"a": np.zeros(1)}, path, {"facts": '{"kind": "dynamics", "version": 99}'})
        message = "is a checkpoint of dynamics 99; dynamics 2 is needed"
    before = atoms.copy()
    with pytest.raises(ValueError, match=message):
        run(atoms, calc, 5, checkpoint=path, resume=True)
    assert atoms == before


def test_resume_needs_a_checkpoint(silicon, calculator):
    with pytest.raises(ValueError, match=r"resume=True, but no checkpoint was given.*Pass checkpoint=PATH"):
        run(silicon, calculator(), 5, resume=True, ensemble=NVE())


def test_numbers_of_numpy_are_written_too(silicon, calculator, tmp_path):
    calc, path = calculator(), tmp_path / "md.ckpt"
    ensemble = Langevin(np.int64(300), np.float32(0.1))
    assert type(ensemble.temperature_K) is int and type(ensemble.friction) is float
    run(silicon, calc, 1, ensemble=ensemble, checkpoint=path)
    assert run(silicon, calc, 2, ensemble=ensemble, checkpoint=path, resume=True).steps == 1


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"friction": 0.2}, "by a run with another setting of the ensemble"),
        ({"dtype": "float32"}, "by a run with another dtype ('float64'; now 'float32')"),
        ({"skin": 0.4}, "by a run with another skin"),
    ],
)
def test_the_checkpoint_of_another_setting_is_refused(silicon, calculator, tmp_path, how, message):
    path = tmp_path / "md.ckpt"
    run(silicon, calculator(), 1, ensemble=Langevin(300, 0.1), checkpoint=path)
    calc = calculator(**{name: how[name] for name in ("dtype", "skin") if name in how})
    with pytest.raises(ValueError) as error:
        run(silicon, calc, 2, ensemble=Langevin(300, how.get("friction", 0.1)), checkpoint=path, resume=True)
    assert message in str(error.value)


def test_the_checkpoint_of_other_elements_is_refused(silicon, tiny_potential, tmp_path):
    path, calc = tmp_path / "md.ckpt", LatteCalculator(tiny_potential("latte", ("Si", "Ge"), repulsion=False))
    run(silicon, calc, 1, checkpoint=path)
    masses = silicon.get_masses()
    silicon.symbols[0] = "Ge"
    silicon.set_masses(masses)
    with pytest.raises(ValueError, match="by a run with another list of elements"):
        run(silicon, calc, 2, checkpoint=path, resume=True)
