"""Sets of reactions, as their sources write them."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from ase import units

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

KCAL = units.kcal / units.mol

DIN = """# a set
#@ fieldasrxn 1
1
A-B
-1
A
-1
B
0
-4.659
-2
A
1
C
0
1.5
"""


@pytest.fixture
def truth(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return import_module("truth")


def test_reactions_of_a_din_file(truth, tmp_path):
    path = tmp_path / "set.din"
    path.write_text(DIN)
    assert truth.reactions_of(path) == [
        truth.Reaction({"A-B": 1.0, "A": -1.0, "B": -1.0}, -4.659),
        truth.Reaction({"A": -2.0, "C": 1.0}, 1.5),
    ]


@pytest.mark.parametrize(("title", "charge"), [("-1 1", -1), ("charge=1 charge_a=0 scaling=0.8", 1), ("", 0)])
def test_charge_of_a_molecule(truth, tmp_path, title, charge):
    path = tmp_path / "OH_0.90.xyz"
    path.write_text(f"2\n{title}\n O 0.0 0.0 0.0\n H 0.0 0.0 0.97\n")
    found = truth.molecule_in(path)
    assert found.info == {"charge": charge, "name": "OH_0.90"}
    assert found.get_chemical_formula() == "HO"
    assert found.get_distance(0, 1) == pytest.approx(0.97)


def test_conformers_relate_to_the_first(truth, tmp_path):
    (tmp_path / "part" / "xyz").mkdir(parents=True)
    (tmp_path / "part" / "part.csv").write_text("    #  ,  Model  ,  Ref.\n    1  ,  X_Y_2  ,   0.54265 \n")
    for number in (0, 2):
        (tmp_path / "part" / "xyz" / f"X_Y_{number}.xyz").write_text("1\n0 1\nO 0 0 0\n")
    structures, reactions = truth.conformers(tmp_path, "part")
    assert [atoms.info["name"] for atoms in structures] == ["X_Y_0", "X_Y_2"]
    assert reactions == [truth.Reaction({"X_Y_2": 1.0, "X_Y_0": -1.0}, 0.54265)]


def test_errors_of_reactions(truth):
    reactions = [truth.Reaction({"AB": 1.0, "A": -2.0}, -3.0), truth.Reaction({"A": 1.0}, 5.0)]
    energies = {"AB": -1.0 * KCAL, "A": 2.0 * KCAL}  # -5 and 2 kcal/mol: errors of -2 and -3
    found = truth.errors(reactions, energies)
    np.testing.assert_allclose(found, [2.5, np.sqrt(6.5), -2.5], rtol=1e-12)
