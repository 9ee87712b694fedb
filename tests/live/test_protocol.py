"""Frames in binary, as the page reads them."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from ase import Atoms, units
from ase.constraints import FixAtoms

from latte_ase.live.frame import LiveFrame, LiveStructure, Moment
from latte_ase.live.protocol import frame_bytes, structure_text
from latte_ase.simulate.pull import Pull


@pytest.fixture
def frame():
    """Hydrogen and oxygen in a cell, one of them fixed and the other pulled."""
    atoms = Atoms("HO", cell=[4, 5, 6], pbc=[True, False, True])
    atoms.set_constraint(FixAtoms([0]))
    momenta = np.array([[0, 0, 0], [0.5, 0, -1.0]])
    moment = Moment(LiveStructure(atoms, 3), 12.5 * units.fs, np.arange(6.0).reshape(2, 3), atoms.cell.array, momenta)
    results = {"energy": -1.5, "forces": np.ones((2, 3))}
    return LiveFrame(7, moment, results, (Pull(1, [1, 2, 3]),), 0.25, np.array([[4.0, 5.0, 6.0]]))


def test_a_frame(frame):
    data = frame_bytes(frame)
    kinetic = (0.25 + 1) / (2 * 15.999)
    assert data[:4] == b"LAT1"
    assert struct.unpack_from("<III", data, 4) == (3, 2, 1)
    assert struct.unpack_from("<dddd", data, 16) == pytest.approx((12.5, -1.5, kinetic, 2 * kinetic / (3 * units.kB)))
    assert struct.unpack_from("<If", data, 48) == (7, 0.25)
    np.testing.assert_array_equal(np.frombuffer(data, "<f4", 9, 64).reshape(3, 3), np.diag([4, 5, 6]))
    np.testing.assert_array_equal(np.frombuffer(data, "<f4", 6, 100), np.arange(6))
    assert struct.unpack_from("<Iffffff", data, 124) == (1, 1, 2, 3, 4, 5, 6)
    assert len(data) == 152


def test_a_structure(frame):
    content = json.loads(structure_text(frame.structure, frame.moment.cell))
    assert content["symbols"] == ["H", "O"] and content["numbers"] == [1, 8]
    assert content["colors"] == ["#ffffff", "#ff0d0d"] and content["radii"] == [0.31, 0.66]
    assert content["pbc"] == [True, False, True] and content["fixed"] == [0] and content["revision"] == 3


def test_atoms_of_a_frame_have_its_results(frame):
    atoms = frame.atoms()
    assert atoms.get_potential_energy() == -1.5 and atoms.info["time_fs"] == pytest.approx(12.5)
    assert atoms.constraints
    np.testing.assert_array_equal(atoms.get_momenta()[1], [0.5, 0, -1.0])
    atoms.positions += 1
    assert frame.atoms().positions[0, 0] == 0
