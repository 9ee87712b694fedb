"""LatteCalculator in the hands of ASE's other tools: names, command line, databases, sockets, i-PI, mixing."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import get_calculator_class
from ase.calculators.mixing import SumCalculator
from ase.calculators.socketio import SocketClient, SocketIOCalculator
from ase.constraints import FixAtoms, FixBondLength, FixCom
from ase.db import connect
from ase.io import read, write
from ase.md.langevin import Langevin
from ase.optimize import FIRE

from latte_ase import LatteCalculator, ase_plugin


@pytest.fixture(scope="module")
def si_calculator():
    return LatteCalculator.from_pretrained("latte-si", dtype="float64")


@pytest.fixture
def silicon(si_calculator):
    """Eight atoms off their sites."""
    atoms = bulk("Si", cubic=True, a=5.47)
    atoms.rattle(0.05, seed=1)
    atoms.calc = si_calculator
    return atoms


@pytest.fixture(scope="module")
def water_calculator():
    return LatteCalculator.from_pretrained("latte-water", dtype="float64")


@pytest.fixture
def water():
    """Eight molecules on a lattice, 1 g/cm3."""
    side = (18.015 / units.mol * 1e24) ** (1 / 3)
    atoms = Atoms(cell=[2 * side] * 3, pbc=True)
    for site in np.ndindex(2, 2, 2):
        one = molecule("H2O")
        one.rotate(90.0 * sum(site), "x")
        one.translate(side * np.array(site))
        atoms += one
    return atoms


def test_ase_finds_the_plugin():
    from ase._4.plugins import plugins

    (plugin,) = [p for p in plugins if p.name == "latte"]
    assert plugin.implementation is LatteCalculator
    assert plugin.package == "latte_ase"


def test_the_list_of_plugins_does_not_load_jax():
    code = "import sys; from ase._4.plugins import plugins; print(len(plugins), 'jax' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert int(found[0]) > 1 and found[1] == "False"


def test_a_name_in_ase_makes_a_calculator_from_text_alone(silicon):
    ase_plugin.register()
    ase_plugin.register()
    calc = get_calculator_class("latte")(potential="latte-si", dtype="float64")
    assert calc.get_property("energy", silicon) == silicon.get_potential_energy()


def test_ase_run_on_the_command_line(silicon, tmp_path):
    write(tmp_path / "si.xyz", Atoms(silicon))
    arguments = ["si.xyz", "-p", "potential=latte-si,dtype=float64", "-f", "0.05"]
    command = [sys.executable, "-m", "latte_ase.cli", "run", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.abs(read(tmp_path / "si.traj").get_forces()).max() < 0.05


def test_dispersion_is_added_with_a_sum_calculator(water, water_calculator):
    from dftd3.ase import DFTD3 as d3

    dispersion = d3(method="pbe", damping="d3bj")
    water.calc = SumCalculator([water_calculator, dispersion])
    total, forces, stress = water.get_potential_energy(), water.get_forces(), water.get_stress()
    parts = []
    for calc in (water_calculator, dispersion):
        water.calc = calc
        parts.append((water.get_potential_energy(), water.get_forces(), water.get_stress()))
    assert total == pytest.approx(parts[0][0] + parts[1][0], abs=1e-9)
    np.testing.assert_allclose(forces, parts[0][1] + parts[1][1], atol=1e-12)
    np.testing.assert_allclose(stress, parts[0][2] + parts[1][2], atol=1e-12)
    assert abs(parts[1][0]) > 0.01


@pytest.mark.parametrize(
    "constraint",
    [FixAtoms([0, 3]), FixCom(), FixBondLength(0, 1)],
    ids=["atoms", "centre of mass", "bond length"],
)
def test_constraints_hold_in_a_relaxation(silicon, constraint):
    start = silicon.copy()
    silicon.set_constraint(constraint)
    FIRE(silicon, logfile=None).run(fmax=0.02, steps=40)
    moved = silicon.positions - start.positions
    assert np.abs(moved).max() > 0.01
    if isinstance(constraint, FixAtoms):
        np.testing.assert_array_equal(moved[[0, 3]], 0)
    elif isinstance(constraint, FixCom):
        np.testing.assert_allclose(silicon.get_center_of_mass(), start.get_center_of_mass(), atol=1e-10)
    else:
        assert silicon.get_distance(0, 1) == pytest.approx(start.get_distance(0, 1), abs=1e-8)


def test_a_database_row_carries_the_results(silicon, tmp_path):
    energy, forces, stress = silicon.get_potential_energy(), silicon.get_forces(), silicon.get_stress()
    with connect(tmp_path / "a.db") as database:
        database.write(silicon, note="rattled")
    row = connect(tmp_path / "a.db").get(1)
    assert (row.energy, row.calculator) == (energy, "latte")
    assert row.calculator_parameters["model"] == "latte-si"
    np.testing.assert_array_equal(row.forces, forces)
    np.testing.assert_array_equal(row.stress, stress)
    found = row.toatoms()
    assert found.get_potential_energy() == energy


@pytest.mark.parametrize("name", ["a.traj", "a.extxyz", "a.json"])
def test_files_of_dynamics_carry_energy_forces_and_stress(silicon, tmp_path, name):
    Langevin(silicon, units.fs, temperature_K=300, friction=0.01 / units.fs, rng=np.random.default_rng(0)).run(3)
    silicon.get_stress()
    write(tmp_path / name, silicon)
    found = read(tmp_path / name)
    assert found.get_potential_energy() == pytest.approx(silicon.get_potential_energy(), abs=1e-6)
    np.testing.assert_allclose(found.get_forces(), silicon.get_forces(), atol=1e-6)
    np.testing.assert_allclose(found.get_stress(), silicon.get_stress(), atol=1e-6)


def serve(name, atoms):
    """A thread that computes `atoms` for whoever owns the socket, once that is there."""

    def run():
        for _ in range(200):
            try:
                client = SocketClient(unixsocket=name)
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise TimeoutError(f"no socket {name}")
        client.run(atoms, use_stress=True)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_it_serves_a_socket(silicon, si_calculator, tmp_path):
    expected = silicon.get_potential_energy(), silicon.get_forces(), silicon.get_stress()
    name = f"latte_{tmp_path.name}"
    client_atoms = silicon.copy()
    client_atoms.calc = LatteCalculator.from_pretrained("latte-si", dtype="float64")
    with SocketIOCalculator(unixsocket=name) as calc:
        thread = serve(name, client_atoms)
        silicon.calc = calc
        assert silicon.get_potential_energy() == pytest.approx(expected[0], abs=1e-9)
        np.testing.assert_allclose(silicon.get_forces(), expected[1], atol=1e-9)
        np.testing.assert_allclose(silicon.get_stress(), expected[2], atol=1e-9)
    thread.join(30)
    assert not thread.is_alive()


I_PI = """
<simulation verbosity='low'>
  <output prefix='run'>
    <properties stride='1' filename='out'>
      [step, potential{{electronvolt}}, kinetic_cv{{electronvolt}}, conserved{{electronvolt}}]
    </properties>
  </output>
  <total_steps>20</total_steps>
  <prng><seed>1</seed></prng>
  <ffsocket name='latte' mode='unix' pbc='false'><address>{name}</address><timeout>60</timeout></ffsocket>
  <system>
    <initialize nbeads='4'>
      <file mode='ase' units='ase'>water.extxyz</file>
      <velocities mode='thermal' units='kelvin'>300</velocities>
    </initialize>
    <forces><force forcefield='latte'/></forces>
    <ensemble><temperature units='kelvin'>300</temperature></ensemble>
    <motion mode='dynamics'>
      <dynamics mode='nvt'>
        <timestep units='femtosecond'>0.5</timestep>
        <thermostat mode='pile_l'><tau units='femtosecond'>100</tau></thermostat>
      </dynamics>
    </motion>
  </system>
</simulation>
"""


def test_i_pi_runs_path_integral_water(water, water_calculator, tmp_path):
    command = shutil.which("i-pi", path=str(sys.prefix) + "/bin")
    assert command, "the extra 'dev' installs i-PI"
    name = f"latte_pi_{tmp_path.name}"
    write(tmp_path / "water.extxyz", water)
    (tmp_path / "input.xml").write_text(I_PI.format(name=name))
    with open(tmp_path / "log", "w") as log:
        engine = subprocess.Popen([sys.executable, command, "input.xml"], cwd=tmp_path, stdout=log, stderr=log)
        water.calc = water_calculator
        thread = serve(name, water)
        try:
            assert engine.wait(120) == 0, (tmp_path / "log").read_text()
        finally:
            engine.kill()
    thread.join(10)
    rows = np.loadtxt(tmp_path / "run.out")
    assert rows.shape == (21, 4)
    assert np.isfinite(rows).all()
    # the conserved quantity of the thermostat, of 96 atoms of all beads: the step is short
    assert np.ptp(rows[:, 3]) < 0.05
    assert np.ptp(rows[:, 1]) > 0.05  # and something moved
