"""Trajectory and log: ASE reads them, and a resumed run cuts what came after its checkpoint."""

from __future__ import annotations

import io
from types import SimpleNamespace

import numpy as np
import pytest
from ase import units
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import Trajectory, read
from ase.md import MDLogger, VelocityVerlet

from latte_ase.simulate.output import Files, Written
from latte_ase.simulate.run import Snapshot

RUN = SimpleNamespace(freedom=3, timestep=0.5 * units.fs)


def record(files, steps, *, cell=0.0):
    """Frames of a molecule; returns the last."""
    rng = np.random.default_rng(0)
    for step in steps:
        atoms = molecule("H2O", cell=[cell] * 3)
        atoms.positions += step
        atoms.set_momenta(rng.normal(size=(3, 3)))
        values = rng.normal(size=(3, 3))
        virial = values + values.T
        snapshot = Snapshot(step, atoms.positions, atoms.cell.array, atoms.get_momenta(), values[0], values, virial)
        files.write(atoms, snapshot)
    return atoms, snapshot


def test_ase_reads_the_frames(tmp_path):
    with Files(tmp_path / "new" / "md.traj", None, RUN) as files:
        atoms, snapshot = record(files, [0, 10], cell=7.0)
        assert len(read(tmp_path / "new" / "md.traj", ":")) == 2  # while it grows
    last = read(tmp_path / "new" / "md.traj")
    assert last.get_potential_energy() == pytest.approx(snapshot.energies.sum())
    np.testing.assert_array_equal(last.get_forces(), snapshot.forces)
    np.testing.assert_allclose(last.get_stress(voigt=False), snapshot.virial / 343, rtol=1e-12)
    np.testing.assert_array_equal(last.get_momenta(), atoms.get_momenta())
    assert last == atoms


@pytest.mark.parametrize("name", ["md.extxyz", "md.xyz", "md.json"])
def test_the_suffix_is_the_format(tmp_path, name):
    with Files(tmp_path / name, None, RUN) as files:
        _, snapshot = record(files, [0, 10, 20], cell=7.0)
        written = Written(2)
    frames = read(tmp_path / name, ":")
    assert len(frames) == 3
    assert frames[-1].get_potential_energy() == pytest.approx(snapshot.energies.sum())
    np.testing.assert_allclose(frames[-1].get_forces(), snapshot.forces, atol=1e-7)
    with Files(tmp_path / name, None, RUN, written=written) as files:  # as a resumed run does
        record(files, [30])
        assert files.written.frames == 3
    again = read(tmp_path / name, ":")
    assert [a.positions[0, 0] for a in again] == pytest.approx([a.positions[0, 0] for a in frames[:2]] + [30])
    with pytest.raises(ValueError, match=rf"when the trajectory .*{name} had 9 frames; it has 3\. Resume with"):
        Files(tmp_path / name, None, RUN, written=Written(9))
    with Files(tmp_path / name, None, RUN) as files:  # a new run
        record(files, [0])
    assert len(read(tmp_path / name, ":")) == 1


@pytest.mark.parametrize("name", ["md.cif", "md.foo", "md.dcd"])
def test_a_format_that_cannot_grow_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"ASE cannot append frames to a \.\w+ file\. Write \.traj or \.extxyz"):
        Files(tmp_path / name, None, RUN)


def test_a_writer_of_ase(tmp_path):
    with Trajectory(tmp_path / "own.traj", "w") as writer:
        for steps in ([0, 10], [20]):  # it stays open
            with Files(writer, None, RUN) as files:
                record(files, steps)
        with pytest.raises(
            ValueError, match=r"had 2 frames, and frames that came later cannot be dropped .* path of the"
        ):
            Files(writer, None, RUN, written=Written(2))
    assert len(read(tmp_path / "own.traj", ":")) == 3
    with (tmp_path / "text").open("w") as text:
        for wrong in (text, 3):
            with pytest.raises(TypeError, match="a path is needed, or a writer of ASE such as"):
                Files(wrong, None, RUN)


def test_a_frame_without_a_volume_has_no_stress(tmp_path):
    with Files(tmp_path / "md.traj", None, RUN) as files:
        record(files, [0])
    assert "stress" not in read(tmp_path / "md.traj").calc.results


def test_the_log_has_the_numbers_of_mdlogger(tmp_path):
    with Files(None, tmp_path / "md.log", RUN) as files:
        atoms, snapshot = record(files, [0, 100])
    heading, _, line = (tmp_path / "md.log").read_text().splitlines()
    theirs, clock = io.StringIO(), VelocityVerlet(atoms, 50 * units.fs)
    clock.nsteps = 1
    atoms.calc = SinglePointCalculator(atoms, energy=snapshot.energies.sum())
    MDLogger(clock, atoms, theirs, header=True)()
    their_heading, their_line = theirs.getvalue().splitlines()
    assert heading.split() == their_heading.split()
    ours, their = (np.array(text.split(), float) for text in (line, their_line))
    ours[4] *= RUN.freedom / 9  # ASE divides by 3 n
    np.testing.assert_allclose(ours, their, atol=0.06)
    np.testing.assert_allclose(ours[1:4], their[1:4], atol=0.001)


def test_with_a_cell_the_log_has_pressure_and_volume(tmp_path, capsys):
    with Files(None, "-", RUN) as files:
        atoms, snapshot = record(files, [0], cell=7.0)
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.split()[-2:] == ["P[GPa]", "V[A^3]"]
    inner = -np.trace(snapshot.virial / 343) / 3 + 2 * atoms.get_kinetic_energy() / 3 / 343
    assert float(line.split()[-2]) == pytest.approx(inner / units.GPa, abs=1e-4)
    assert float(line.split()[-1]) == pytest.approx(343)


def test_a_resumed_run_drops_what_came_after_its_checkpoint(tmp_path):
    paths = tmp_path / "md.traj", tmp_path / "md.log"
    with Files(*paths, RUN) as files:
        record(files, [0, 10])
        written = files.written
        record(files, [20, 30])
    assert written.frames == 2
    with Files(*paths, RUN, written=written) as files:
        record(files, [20])
        assert files.written.frames == 3
    assert [round(a.positions[0, 0]) for a in read(paths[0], ":")] == [0, 10, 20]
    times = [line.split()[0] for line in paths[1].read_text().splitlines()]
    assert times == ["Time[ps]", "0.0000", "0.0050", "0.0100"]


def test_files_that_a_resumed_run_leaves_out_are_remembered(tmp_path):
    with Files(None, None, RUN, written=Written(7, 300)) as files:
        assert files.written == Written(7, 300)


def test_a_trajectory_of_another_run_is_refused(tmp_path):
    for name in ("md.traj", "absent.traj"):
        with Files(tmp_path / "md.traj", None, RUN) as files:
            record(files, [0])
        found = 1 if name == "md.traj" else 0
        with pytest.raises(ValueError, match=f"had 3 frames; it has {found}. Resume with the trajectory of that run"):
            Files(tmp_path / name, None, RUN, written=Written(3, 0))


def test_a_new_run_replaces_the_files(tmp_path):
    for steps in ([0, 1, 2], [0, 1]):
        with Files(tmp_path / "md.traj", tmp_path / "md.log", RUN) as files:
            record(files, steps)
    assert len(read(tmp_path / "md.traj", ":")) == 2
    assert len((tmp_path / "md.log").read_text().splitlines()) == 3
