"""Reading of structures: FILE@INDEX, streams, and what is said of a file that cannot be read."""

import gzip
import zipfile

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.db import connect
from ase.io import write

from latte_ase.io.frames import read_frames
from latte_ase.io.structures import frozen, iterate_structures


def chain(length):
    return Atoms(f"H{length}", positions=np.arange(length)[:, None] * [1.0, 0, 0])


@pytest.fixture
def trajectory(tmp_path):
    """Six structures of 1 to 6 atoms."""
    write(tmp_path / "md.extxyz", [chain(k) for k in range(1, 7)])
    return tmp_path / "md.extxyz"


@pytest.mark.parametrize(
    ("index", "sizes"), [("0", [1]), ("-1", [6]), (":", [1, 2, 3, 4, 5, 6]), ("1::2", [2, 4, 6]), ("-2:", [5, 6])]
)
def test_file_at_index(trajectory, index, sizes):
    for source in (f"{trajectory}@{index}", trajectory.with_name(f"md.extxyz@{index}"), [f"{trajectory}@{index}"]):
        assert [len(atoms) for atoms in read_frames(source)] == sizes


def test_a_selection_of_a_database(tmp_path):
    with connect(tmp_path / "small.db") as database:
        for k in range(1, 6):
            database.write(chain(k))
    assert [len(atoms) for atoms in read_frames(f"{tmp_path / 'small.db'}@natoms<3")] == [1, 2]


def test_a_file_whose_name_has_an_at_sign_is_that_file(tmp_path):
    write(tmp_path / "md@0.extxyz", [chain(1), chain(2)])
    folder = tmp_path / "run@1"
    folder.mkdir()
    write(folder / "md.extxyz", [chain(3), chain(4)])
    assert [len(a) for a in read_frames(tmp_path / "md@0.extxyz")] == [1, 2]
    assert [len(a) for a in read_frames(folder / "md.extxyz")] == [3, 4]
    assert [len(a) for a in read_frames(f"{folder / 'md.extxyz'}@1")] == [4]


def test_compressed_files(trajectory):
    with gzip.open(f"{trajectory}.gz", "wb") as file:
        file.write(trajectory.read_bytes())
    assert len(read_frames(f"{trajectory}.gz")) == 6


def test_structures_are_read_when_they_are_asked_for(trajectory):
    trajectory.write_text(trajectory.read_text().rpartition("\n6\n")[0] + "\n1\n\nZq 0 0 0\n")
    found = iterate_structures([trajectory, trajectory])
    assert [len(next(found)) for _ in range(5)] == [1, 2, 3, 4, 5]
    with pytest.raises(
        ValueError, match=r"md\.extxyz could not be read as extxyz after 5 structures: 'Zq' is no chemi"
    ):
        next(found)


BROKEN = {
    "POSCAR": (b"x\n1.0\n1 0 0\n", r"as vasp: ValueError: .*Look whether the file is complete"),
    "OUTCAR": (b" vasp.5.4\n", r"as vasp-out: ParseError: Incomplete OUTCAR\. Look whether the file is complete"),
    "vasprun.xml": (b"<modeling>\n", r"as vasp-xml: ParseError: no element found"),
    "a.traj": (b"garbage", r"as traj: InvalidULMFileError: "),
    "a.db": (b"garbage", r"as db: DatabaseError: file is not a database\. Look whether"),
    "a.xyz": (b"1\n\nD 0 0 0\n", r"as extxyz: 'D' is no chemical symbol\. Correct .*tritium are H with another mass"),
    "b.xyz": (b"\xef\xbb\xbf1\n\nH 0 0 0\n", r"it begins with a byte-order mark\. Save it as UTF-8 without one"),
    "c.xyz": ("1\n\nH 0 0 0\n".encode("utf-16"), r"it begins with a byte-order mark\. Save it as UTF-8 without one"),
    "a.json": (b"{}", r"ASE does not know the type of this file .*Give it the suffix of its format, .*--formats"),
    "a.foo": (b"\x00\x01", r"ASE does not know the type of this file \(foo\)\. Give it the suffix"),
    "empty.xyz": (b"", r"it is empty\. Write or copy it again"),
    "a.extxyz.gz": (b"no gzip", r"BadGzipFile: "),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_read(name, tmp_path):
    content, message = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{name} could not be read.*{message}"):
        read_frames(tmp_path / name)


def test_an_archive(trajectory):
    with zipfile.ZipFile(trajectory.with_name("md.zip"), "w") as archive:
        archive.write(trajectory, "md.extxyz")
    with pytest.raises(ValueError, match=r"md\.zip could not be read: it is an archive\. Unpack it first; .*\.gz"):
        read_frames(trajectory.with_name("md.zip"))


def test_an_index_that_the_file_does_not_have(trajectory, tmp_path):
    for index in ("9", "7:"):
        with pytest.raises(
            ValueError, match=rf"md\.extxyz has no structure with the index {index}; the first one is 0"
        ):
            read_frames(f"{trajectory}@{index}")
    write(tmp_path / "POSCAR", bulk("Cu"))
    with pytest.raises(ValueError, match=r"POSCAR@1 could not be read as vasp: .*some formats hold only one"):
        read_frames(tmp_path / "POSCAR@1")
    with pytest.raises(ValueError, match=r"'last' in .*md\.extxyz@last is no index; after @ comes a number .*0:100:10"):
        read_frames(f"{trajectory}@last")


def test_no_such_file():
    with pytest.raises(FileNotFoundError, match=r"There is no file nowhere\.xyz\. Give the path"):
        iterate_structures("nowhere.xyz@3")


@pytest.mark.parametrize("source", [None, 3, [None]])
def test_something_else(source):
    with pytest.raises(TypeError, match=r"is a \w+; the path of a file, ase\.Atoms, or an iterable of these is needed"):
        read_frames(source)


def test_progress_counts_structures_of_a_file_and_items_of_a_list(trajectory):
    counted = []

    def show(items):
        for item in items:
            counted.append(item)
            yield item

    assert len(list(iterate_structures(trajectory, progress=show))) == len(counted) == 6
    counted.clear()
    assert len(list(iterate_structures([trajectory, chain(2)], progress=show))) == 7
    assert len(counted) == 2


def stretched():
    """One structure and one calculator, whose state changes from one yield to the next."""
    atoms = bulk("Cu", cubic=True)
    cell, atoms.calc = atoms.cell.array.copy(), EMT()
    for strain in (0.98, 1.0, 1.02):
        atoms.set_cell(strain * cell, scale_atoms=True)
        atoms.get_forces()
        yield atoms


@pytest.mark.parametrize("source", [stretched, lambda: [stretched()], lambda: (a for a in stretched())])
def test_each_structure_of_a_stream_counts_as_it_was_when_it_was_yielded(source):
    seen = [(a.get_volume(), a.get_potential_energy()) for a in stretched()]
    frames = read_frames(source())
    assert [(a.get_volume(), a.calc.results["energy"]) for a in frames] == seen
    assert len({id(a) for a in frames}) == 3


def test_lists_are_not_copied():
    frames = [chain(1), chain(2)]
    assert [id(a) for a in read_frames(frames)] == [id(a) for a in frames]


def test_frozen_labels_stay_those_of_the_structure_that_they_were_computed_for():
    atoms = bulk("Cu", cubic=True)
    atoms.calc = EMT()
    energy = atoms.get_potential_energy()
    atoms.positions[0] += 0.3
    now = frozen(atoms)
    atoms.get_potential_energy()
    assert now.calc.results["energy"] == energy
    assert now.positions[0, 0] == 0.3 and now.calc.atoms.positions[0, 0] == 0
    assert frozen(chain(2)).calc is None
