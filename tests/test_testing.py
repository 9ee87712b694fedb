"""check_calculator: green on sound calculators, and each line seen to fail for its own reason."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import time
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.io import write
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress
from rich.console import Console
from typer.testing import CliRunner

from latte_ase import LatteCalculator, load_model
from latte_ase.cli.app import app
from latte_ase.testing import PROPERTIES, TOLERANCES, Check, Report, check_calculator
from latte_ase.testing.samples import from_elements

CUTOFF = 5.0


class Sound(Calculator):
    """Lennard-Jones of Cu and Au times (1 - r^2/rc^2)^3: fast, smooth, nothing wrong with it."""

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012
    allowed_atomic_numbers = {29, 79}  # noqa: RUF012
    most_images = 99

    def check_state(self, atoms, tol=1e-15):
        """What ASE's own does, in a tenth of its time; half of these tests would be spent there."""
        if self.atoms is None:
            return list(all_changes)
        names = [n for n in ("positions", "numbers", "cell", "pbc") if n not in self.ignored_changes]
        return [n for n in names if not np.array_equal(getattr(atoms, n), getattr(self.atoms, n))]

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        atoms = self.atoms
        self.refuse(atoms)
        energies, forces, virial = self.sum(atoms)
        energy = float(energies.sum())
        self.results = {"energy": energy, "free_energy": energy, "energies": energies, "forces": forces}
        if atoms.cell.rank == 3:
            stress = 0.5 * (virial + virial.T) / self.volume(atoms)
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)

    def refuse(self, atoms):
        unknown = set(atoms.numbers) - self.allowed_atomic_numbers
        if unknown:
            raise ValueError(f"unknown elements {unknown}")

    def volume(self, atoms):
        return atoms.get_volume()

    def cell(self, atoms):
        """Cell with rows of other directions made orthogonal, and what counts as periodic."""
        return atoms.cell.complete().array, atoms.pbc

    def place(self, atoms, cell, pbc):
        """Positions, wrapped."""
        fractional = np.linalg.solve(cell.T, atoms.positions.T).T
        return atoms.positions - np.where(pbc, np.floor(fractional), 0) @ cell

    def sum(self, atoms):
        cell, pbc = self.cell(atoms)
        positions = self.place(atoms, cell, pbc)
        heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
        reach = np.minimum(np.where(pbc, CUTOFF // heights + 1, 0), self.most_images).astype(int)
        shifts = np.array(list(product(*(range(-n, n + 1) for n in reach)))) @ cell
        d = positions[None, :, None] - positions[:, None, None] + shifts
        r = np.linalg.norm(d, axis=-1)
        i, j, s = np.nonzero((r < CUTOFF) & (r > 0))
        d, r = d[i, j, s], r[i, j, s]
        strength = 0.2 + 0.001 * (atoms.numbers[i] + atoms.numbers[j])
        u, g = self.pair(d, r, strength)
        energies = 0.5 * np.bincount(i, u, len(atoms))
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, i, 0.5 * g)
        np.add.at(forces, j, -0.5 * g)
        return energies, forces, 0.5 * d.T @ g

    def curve(self, r, strength):
        """Pair energy and its slope."""
        x, dx = (2.4 / r) ** 6, -6 * (2.4 / r) ** 6 / r
        v, dv = strength * (x * x - 2 * x), 2 * strength * (x - 1) * dx
        w = 1 - (r / CUTOFF) ** 2
        return v * w**3, dv * w**3 - v * 6 * w**2 * r / CUTOFF**2

    def pair(self, d, r, strength):
        """Pair energies (pairs,) and their gradients (pairs, 3) over d."""
        u, du = self.curve(r, strength)
        return u, (du / r)[:, None] * d


class Changed(Sound):
    """Sound, with the results edited by `edit(results, atoms)`."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.edit(self.results, self.atoms)


def shift(results, atoms, amount):
    """The energy of every atom raised."""
    results["energies"] = results["energies"] + amount
    results["energy"] = results["free_energy"] = results["energy"] + amount * len(atoms)


class WrongForces(Changed):
    def edit(self, results, atoms):
        results["forces"] *= 1.001


class WrongStress(Changed):
    def edit(self, results, atoms):
        if "stress" in results:
            results["stress"] *= 0.999


class VolumeOfABrick(Sound):
    def volume(self, atoms):
        return atoms.cell.lengths().prod()


class Field(Sound):
    """Pairs along x are weaker."""

    def pair(self, d, r, strength):
        u, g = super().pair(d, r, strength)
        w, along = (1 - (r / CUTOFF) ** 2) ** 3, d[:, 0] ** 2
        dw = -6 * (1 - (r / CUTOFF) ** 2) ** 2 / CUTOFF**2
        extra = (dw * along)[:, None] * d
        extra[:, 0] += 2 * w * d[:, 0]
        return u + 1e-4 * w * along, g + 1e-4 * extra


class Handed(Changed):
    """A force along a cross product, too small for finite differences."""

    def edit(self, results, atoms):
        if len(atoms) == 4:
            forces = results["forces"]
            polar = (np.linalg.norm(forces, axis=1)[:, None] * forces).sum(axis=0)
            results["forces"] = forces + 1e-5 * np.cross(forces, polar)


class FirstAtomCounts(Changed):
    def edit(self, results, atoms):
        shift(results, atoms, 1e-6 * (atoms.numbers[0] == 79) * (len(atoms) == 4))


class CoarseFarAway(Sound):
    """Positions in float32 where they are large."""

    def place(self, atoms, cell, pbc):
        far = np.abs(atoms.positions) > 200
        atoms = atoms.copy()
        atoms.positions[:] = np.where(far, atoms.positions.astype(np.float32), atoms.positions)
        return super().place(atoms, cell, pbc)


class NoWrapping(Sound):
    def place(self, atoms, cell, pbc):
        return atoms.positions


class FullBucket(Changed):
    def edit(self, results, atoms):
        if len(atoms) == 8:
            shift(results, atoms, 1e-6)


class OneAtomOneImage(Sound):
    """An atom alone in its cell sees its nearest images only."""

    def sum(self, atoms):
        self.most_images = 1 if len(atoms) == 1 else 99
        return super().sum(atoms)


class SignedVolume(Sound):
    def volume(self, atoms):
        return np.linalg.det(atoms.cell.array)


class AllOrNothing(Sound):
    """Periodic along one direction means periodic along all."""

    def cell(self, atoms):
        cell, pbc = super().cell(atoms)
        return cell, np.full(3, pbc.any() and atoms.cell.rank == 3) | pbc


class NeedsThreeVectors(Sound):
    def cell(self, atoms):
        if atoms.pbc.any():
            np.linalg.inv(atoms.cell.array)
        return super().cell(atoms)


class NoNeighboursNoNumber(Changed):
    def edit(self, results, atoms):
        if len(atoms) == 1 and not atoms.pbc.any():
            results["energy"] = results["free_energy"] = np.nan


class FlatForces(Changed):
    def edit(self, results, atoms):
        if not atoms.pbc.any():
            results["forces"] = results["forces"].squeeze()


class FiniteBox(Changed):
    def edit(self, results, atoms):
        if np.ptp(atoms.positions, axis=0).max() > 500:
            shift(results, atoms, 1e-6)


class Truncated(Sound):
    """No cutoff function: a jump of the energy."""

    def curve(self, r, strength):
        x = (2.4 / r) ** 6
        return strength * (x * x - 2 * x), -12 * strength * (x - 1) * x / r


class Shifted(Truncated):
    """A jump of the force."""

    def curve(self, r, strength):
        u, du = super().curve(r, strength)
        return u - super().curve(np.full_like(r, CUTOFF), strength)[0], du


class ForceShifted(Truncated):
    """A jump of the slope."""

    def curve(self, r, strength):
        u, du = super().curve(r, strength)
        u_c, du_c = super().curve(np.full_like(r, CUTOFF), strength)
        return u - u_c - du_c * (r - CUTOFF), du - du_c


class Friction(Changed):
    """Forces against the motion since the last call."""

    last = None

    def edit(self, results, atoms):
        if self.last is not None and self.last.shape == atoms.positions.shape and atoms.pbc.all():
            step = atoms.positions - self.last
            if np.abs(step).max() < 0.03:
                results["forces"] = results["forces"] - step
        self.last = atoms.positions.copy()


class CheapEnergy(Sound):
    """The energy alone comes from another route."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if list(properties) == ["energy"]:
            shift(self.results, self.atoms, 1e-6)


class BlindToTheCell(Sound):
    ignored_changes = {"cell"}  # noqa: RUF012


class WrapsTheInput(Sound):
    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        atoms.wrap()
        super().calculate(atoms, properties, system_changes)


class WritesNotes(Sound):
    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        atoms.info["energy"] = self.results["energy"]


class AttachedOnly(Sound):
    """Another number where the structure has a calculator."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        if atoms.calc is not None:
            shift(self.results, atoms, 1e-6)


class NoDeepCopy(Sound):
    def __deepcopy__(self, memo):
        raise TypeError("compiled functions cannot be copied")


class NoPickle(Sound):
    def __deepcopy__(self, memo):
        return type(self)()

    def __reduce__(self):
        raise TypeError("compiled functions cannot be pickled")


class OneScratchForAll(Changed):
    """Copies work in the same memory."""

    busy = threading.Lock()

    def edit(self, results, atoms):
        mine = self.busy.acquire(blocking=False)
        if threading.active_count() > 1:
            time.sleep(0.002)
        if mine:
            self.busy.release()
        else:
            shift(results, atoms, 1e-6)


class ForeignName(Changed):
    def edit(self, results, atoms):
        results["node_energy"] = results["energies"]


class ScalarArray(Changed):
    def edit(self, results, atoms):
        results["energy"] = np.array(results["energy"])


class LongForces(Changed):
    def edit(self, results, atoms):
        results["forces"] = results["forces"].astype(np.longdouble)


class LongStress(Changed):
    def edit(self, results, atoms):
        if "stress" in results:
            results["stress"] = results["stress"].astype(np.longdouble)


class SquareStress(Changed):
    """Right numbers in nine components, which `Atoms.get_stress` takes and `Atoms.get_properties` does not."""

    def edit(self, results, atoms):
        if "stress" in results:
            results["stress"] = voigt_6_to_full_3x3_stress(results["stress"])


class HandsOutItsOwn(Sound):
    def get_property(self, name, atoms=None, allow_calculation=True):
        super().get_property(name, atoms, allow_calculation)
        return self.results[name]


class NoFreeEnergy(Sound):
    implemented_properties = ["energy", "energies", "forces", "stress"]  # noqa: RUF012


class WrongSiteEnergies(Changed):
    def edit(self, results, atoms):
        results["energies"] = 1.001 * results["energies"]


class InventsZeros(Sound):
    def get_property(self, name, atoms=None, allow_calculation=True):
        if name == "dipole":
            return np.zeros(3)
        return super().get_property(name, atoms, allow_calculation)


class StressOfNothing(Changed):
    def edit(self, results, atoms):
        results.setdefault("stress", np.zeros(6))


class AnyElement(Sound):
    def refuse(self, atoms):
        pass


BROKEN = {
    WrongForces: {"forces"},
    WrongStress: {"stress", "stress, triclinic"},
    VolumeOfABrick: {"stress, triclinic"},
    Field: {"rotation"},
    Handed: {"inversion"},
    FirstAtomCounts: {"permutation"},
    CoarseFarAway: {"translation"},
    NoWrapping: {"wrapping"},
    FullBucket: {"replication"},
    OneAtomOneImage: {"small cell"},
    SignedVolume: {"left-handed cell"},
    AllOrNothing: {"mixed pbc"},
    NeedsThreeVectors: {"zero cell vector"},
    NoNeighboursNoNumber: {"isolated atom", "distant atoms"},
    FlatForces: {"isolated atom"},
    FiniteBox: {"distant atoms"},
    Truncated: {"smooth energy", "smooth forces", "smooth slope"},
    Shifted: {"smooth forces", "smooth slope"},
    ForceShifted: {"smooth slope"},
    Friction: {"NVE drift"},
    CheapEnergy: {"order of calls"},
    BlindToTheCell: {"changes seen"},
    WrapsTheInput: {"input untouched"},
    WritesNotes: {"input untouched"},
    AttachedOnly: {"copy of atoms"},
    NoDeepCopy: {"deepcopy"},
    NoPickle: {"pickle"},
    OneScratchForAll: {"threads"},
    ForeignName: {"result names"},
    ScalarArray: {"energy type", "result names"},  # ASE's own get_properties refuses it, too
    LongForces: {"forces type"},
    LongStress: {"stress type"},
    SquareStress: {"stress type", "result names"},  # and no line of physics
    HandsOutItsOwn: {"no aliasing"},
    NoFreeEnergy: {"free energy"},
    WrongSiteEnergies: {"site energies"},
    InventsZeros: {"missing property"},
    StressOfNothing: {"missing property"},
    AnyElement: {"unknown element"},
}
"""What is wrong with a calculator, and the lines that must say so: these and no others."""


class NoStress(Sound):
    """Sound, with energy and forces only."""

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012


def failing(report):
    return {check.name for check in report.failures}


def test_a_sound_calculator_passes_every_line():
    report = check_calculator(Sound())
    assert report.passed, report
    assert [check.name for check in report.checks] == list(PROPERTIES)
    assert {check.verdict for check in report.checks} == {"pass"}
    assert report.elements == ("Cu", "Au")


PHYSICS = list(PROPERTIES)[: list(PROPERTIES).index("NVE drift") + 1]
LONG = ["smooth energy", "smooth forces", "smooth slope", "NVE drift"]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_a_broken_calculator_fails_for_its_own_reason_only(broken):
    # bad manners with sound numbers: the long lines, three quarters of the time, have nothing to find
    skipped = [] if BROKEN[broken] & set(PHYSICS) else LONG
    report = check_calculator(broken(), only=[name for name in PROPERTIES if name not in skipped])
    assert failing(report) == BROKEN[broken], report


def test_every_property_has_a_calculator_that_lacks_it():
    assert set().union(*BROKEN.values()) == set(PROPERTIES)


def test_emt_fails_where_it_is_known_to():
    """Its switching function is 6.6e-6, not 0, where its neighbour list ends; a parameter table holds a lambda."""
    report = check_calculator(EMT())
    assert failing(report) == {"smooth energy", "smooth forces", "smooth slope", "pickle"}, report
    assert 1e-6 < report["smooth energy"].value < 1e-4
    assert "5.877 Å" in report["smooth energy"].detail  # rc + 0.5 of EMT
    assert "Can't pickle" in report["pickle"].detail


ONE_SHAPE = [
    "forces", "stress", "rotation", "inversion", "permutation", "translation", "wrapping", "order of calls",
    "changes seen", "input untouched", "copy of atoms", "no aliasing", "result names", "unknown element",
]  # fmt: skip
"""Lines whose structures have one number of atoms: two compilations, where all lines take ten."""


def test_our_calculator_passes_where_little_is_compiled(tiny_potential):
    report = check_calculator(LatteCalculator(tiny_potential(), dtype="float64"), [TRIMER], only=ONE_SHAPE)
    assert report.passed, str(report)
    assert report.precision == "float64" and report.elements == ("H", "O")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("model", ["tiny", "latte-si", "latte-water"])
def test_our_calculator_passes(tiny_potential, model, dtype):
    potential = tiny_potential() if model == "tiny" else load_model(model)
    report = check_calculator(LatteCalculator(potential, dtype=dtype))
    assert report.passed, str(report)
    assert report.precision == dtype  # read from the calculator
    assert all(check.verdict == "pass" for check in report.checks), str(report)


TRIMER = Atoms("HHO", [(0.4, 0.5, 0.6), (1.9, 0.7, 0.4), (1.1, 1.6, 1.3)], cell=[3.0, 3.1, 3.2], pbc=True)


def test_structures_of_the_user_are_used_and_left_alone():
    crystal = bulk("Cu", cubic=True)
    crystal.rattle(0.05, seed=1)
    crystal.positions += 5.0
    given = crystal.copy()
    report = check_calculator(Sound(), [given], only=["forces", "small cell", "rotation"])
    assert report.passed and report.elements == ("Cu",)
    assert "Cu4 3x3x3" in report["small cell"].detail
    assert given == crystal


def test_what_cannot_be_checked_says_why():
    report = check_calculator(NoStress(), [Atoms("CuAu", [(0, 0, 0), (0, 0, 2.5)])])
    assert report.passed, report
    missing = {check.name for check in report.checks if check.verdict == "not applicable"}
    crystals = {"wrapping", "replication", "small cell", "left-handed cell", "mixed pbc", "zero cell vector"}
    assert missing == crystals | {"stress", "stress, triclinic", "stress type", "site energies"}
    assert report["wrapping"].detail == "no structure is periodic along all directions"
    assert report["stress type"].detail == "the calculator has no stress"
    assert report["wrapping"].value is None


def test_a_calculator_that_raises_fails_with_what_it_said():
    class Raises(Sound):
        def refuse(self, atoms):
            raise RuntimeError("no licence\nserver")

    report = check_calculator(Raises(), elements=["Cu"], only=["rotation", "forces"])
    assert failing(report) == {"rotation", "forces"}
    assert report["rotation"].detail == "raised RuntimeError: no licence server"


def test_a_detail_stays_one_line():
    class SquareOfNothing(Changed):
        def edit(self, results, atoms):
            results.setdefault("stress", np.full((3, 3), np.nan))

    check = check_calculator(SquareOfNothing(), only=["missing property"])["missing property"]
    assert check.detail == "stress of Au2Cu2 without a cell is array([[nan, nan, nan], [nan, nan, nan],"


def test_a_value_that_is_not_a_number_fails():
    class Nan(Changed):
        def edit(self, results, atoms):
            results["forces"] = np.full_like(results["forces"], np.nan)

    report = check_calculator(Nan(), only=["forces", "smooth forces", "NVE drift", "rotation", "isolated atom"])
    assert len(report.failures) == 5
    assert all(row["value"] is None for row in json.loads(report.to_json())["checks"])


def test_precision_and_tolerances_can_be_chosen():
    class Rounded(Changed):
        dtype = "torch.float32"

        def edit(self, results, atoms):
            results["forces"] = results["forces"].astype(np.float32).astype(float) * (1 + 1e-5)

    assert check_calculator(Rounded(), only=["forces"]).passed
    assert not check_calculator(Rounded(), only=["forces"], precision="float64", tolerances=STRICT).passed
    with pytest.raises(ValueError, match=r"precision is 'float16'; allowed are 'float64', 'float32'"):
        check_calculator(Sound(), precision="float16")


STRICT = replace(TOLERANCES["float64"], forces_difference=1e-7)


def test_wrong_questions_are_refused():
    with pytest.raises(ValueError, match=r"no property 'colour'; allowed are forces, stress,"):
        check_calculator(Sound(), only=["colour"])
    with pytest.raises(ValueError, match=r"elements are \['Xy'\]; symbols of the periodic table"):
        check_calculator(Sound(), elements=["Xy"])
    with pytest.raises(ValueError, match=r"structures is empty"):
        check_calculator(Sound(), [])

    class NoForces(Sound):
        implemented_properties = ["energy"]  # noqa: RUF012

    with pytest.raises(ValueError, match="NoForces has no forces among its implemented_properties"):
        check_calculator(NoForces())

    class Nothing(Sound):
        allowed_atomic_numbers = None

        def refuse(self, atoms):
            raise ValueError("not one element")

    with pytest.raises(ValueError, match=r"Nothing has no attribute allowed_atomic_numbers .* elements=\['Cu'\]"):
        check_calculator(Nothing())


def test_elements_are_found_by_trying():
    class Silent(Sound):
        allowed_atomic_numbers = None

        def refuse(self, atoms):
            if set(atoms.numbers) - {14, 1, 8}:
                raise ValueError("unknown element")

    report = check_calculator(Silent(), only=["rotation", "unknown element"])
    assert report.elements == ("Si",)
    assert report["unknown element"].verdict == "pass"

    class Anything(Silent):
        def refuse(self, atoms):
            pass

    unknown = check_calculator(Anything(), only=["unknown element"])["unknown element"]
    assert unknown.verdict == "not applicable" and "does not say which elements" in unknown.detail


@pytest.mark.parametrize("elements", [["Ti"], ["Fe", "Cr"], ["C", "H", "O"], ["H"], ["N", "H"], ["Ga", "As"], ["Po"]])
def test_structures_of_any_elements_are_sensible(elements):
    """Periodic, no two atoms close to one another, every atom in the cell."""
    samples = from_elements(elements, seed=1)
    for atoms in samples.crystals:
        assert atoms.pbc.all() and len(atoms) >= 4
        doubled = atoms.repeat(2)
        distances = doubled.get_all_distances(mic=True)[np.triu_indices(len(doubled), 1)]
        assert distances.min() > 0.5
        scaled = atoms.get_scaled_positions(wrap=False)
        assert (scaled >= 0).all() and (scaled < 1).all()
    assert set(samples.symbols) <= set(elements)


def test_the_report_reads_well():
    checks = (
        Check("forces", 1.5e-7, 1e-5, "pass", "4 atoms of Cu4", "eV/Å", 0.2),
        Check("pickle", None, None, "fail", "raised TypeError: [no]"),
        Check("stress", None, None, "not applicable", "no stress"),
        Check("energy type", 1.0, 0.0, "fail", "energy is a list"),
    )
    report = Report("Mine", "float64", ("Cu",), checks)
    lines = str(report).splitlines()
    assert lines[0] == "Mine, Cu, tolerances of float64"
    assert lines[2].split() == ["forces", "pass", "1.5e-07", "1.0e-05", "eV/Å", "4", "atoms", "of", "Cu4"]
    assert len(lines) == 3 + len(checks)
    assert lines[-1] == "1 pass, 2 fail, 1 not applicable; 0 s"
    console = Console(width=30, file=io.StringIO())
    console.print(report, soft_wrap=True)
    assert console.file.getvalue().rstrip().splitlines() == lines  # a line stays a line, brackets stay
    assert not report.passed and [check.name for check in report.failures] == ["pickle", "energy type"]
    assert json.loads(report.to_json())["checks"][0]["unit"] == "eV/Å"
    with pytest.raises(KeyError, match="no check 'colour' in this report"):
        report["colour"]


def test_it_needs_neither_jax_nor_the_rest_of_the_package():
    code = (
        "import sys; from latte_ase.testing import check_calculator; from ase.calculators.emt import EMT;"
        "assert check_calculator(EMT(), only=['rotation', 'threads']).passed;"
        "print({'jax', 'flax', 'optax', 'matscipy', 'rich', 'latte_ase.engine.engine'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def command(*arguments):
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


def only(*names):
    return [word for name in names for word in ("--only", name)]


def test_the_command_checks_a_class(tmp_path):
    result = command("ase.calculators.emt:EMT", "--json", tmp_path / "emt.json", *only("forces", "pickle"))
    assert result.exit_code == 1, result.output
    assert "1 pass, 1 fail" in result.stdout
    written = json.loads((tmp_path / "emt.json").read_text())
    assert written["calculator"] == "EMT" and not written["passed"]
    assert [check["verdict"] for check in written["checks"]] == ["pass", "fail"]
    assert command("ase.calculators.emt:EMT", "--elements", "Al", *only("rotation")).exit_code == 0


def test_the_command_finds_a_module_in_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "calculators_of_mine.py").write_text("from ase.calculators.emt import EMT\ndef make(): return EMT()\n")
    write(tmp_path / "cu.extxyz", [bulk("Cu", cubic=True)])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    result = command("calculators_of_mine:make", "--structures", "cu.extxyz", *only("rotation"))
    assert result.exit_code == 0, result.output
    assert "EMT, Cu, tolerances of float64" in result.stdout


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_command_checks_a_model(dtype):
    result = command("latte-si", "--dtype", dtype, *only("unknown element", "missing property"))
    assert result.exit_code == 0, result.output
    assert f"LatteCalculator, Si, tolerances of {dtype}" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("latte-sy",), "There is no model 'latte-sy'"),
        (("no_such_module:Calc",), "There is no module 'no_such_module'"),
        (("ase.calculators.emt:EMY",), "Module ase.calculators.emt has no 'EMY'"),
        (("ase.calculators.mixing:SumCalculator",), "cannot be called without arguments"),
        (("ase.calculators.emt:EMT", "--structures", "none.xyz"), "There is no file none.xyz"),
        (("ase.calculators.emt:EMT", "--only", "colour"), "There is no property 'colour'"),
        (("ase.calculators.emt:EMT", "--dtype", "half"), "precision is 'half'"),
    ],
)
def test_mistakes_end_with_one_line(arguments, message):
    result = command(*arguments)
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output
