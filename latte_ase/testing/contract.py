"""Checks of ASE's rules for calculators: order of calls, caching, copies, threads, names and types of results."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError, all_properties
from ase.outputs import all_outputs

from latte_ase.testing.samples import declared_elements, displaced
from latte_ase.testing.subject import Deviation, NotApplicable, Subject, violations, voigt

THREADS = 4
STRUCTURES_PER_THREAD = 3
UNLIKELY = ("Og", "Ts", "Fm", "Ac", "Po", "Kr", "He", "V")
"""Elements that are tried as unknown ones, the least likely to be known first."""


def _first(subject):
    """First structure, a periodic one where there is any."""
    return subject.everything[0]


def order_of_calls(subject: Subject) -> list[Deviation]:
    """Results do not depend on the order in which properties are requested, nor on structures computed in between."""
    atoms, other = _first(subject), subject.everything[-1][:-1]
    names = ["energy", "forces", *(["stress"] if subject.implements("stress") and atoms.pbc.all() else [])]
    expected = subject.answer(atoms)
    found = []
    for names_in_order in (names, names[::-1], names[1:] + names[:1]):
        subject.answer(other)
        values = {name: subject.calc.get_property(name, atoms) for name in names_in_order}
        answer = expected._replace(energy=float(values["energy"]), forces=values["forces"])
        answer = answer._replace(stress=voigt(values["stress"]) if "stress" in values else None)
        found += subject.compare(answer, expected, f"{', '.join(names_in_order)} asked in this order")
    return found


def changes_seen(subject: Subject) -> list[Deviation]:
    """A change of positions, cell, elements or pbc in place is detected: results are those of a new structure."""
    atoms, other = _first(subject), subject.everything[-1][:-1]
    rng = subject.rng

    def elements(changed):
        changed.numbers[:] = np.roll(changed.numbers, 1)

    changes = {
        "positions": lambda changed: changed.positions.__setitem__((0, 1), changed.positions[0, 1] + 0.1),
        "all positions": lambda changed: changed.set_positions(displaced(changed, rng, 0.05).positions),
    }
    if atoms.pbc.all():
        changes["cell"] = lambda changed: changed.set_cell(1.02 * changed.cell.array)
        changes["pbc"] = lambda changed: changed.set_pbc((True, False, True))
    if len(np.unique(atoms.numbers)) > 1:
        changes["elements"] = elements
    found = []
    for name, change in changes.items():
        changed = atoms.copy()
        subject.answer(changed, stress=False)
        change(changed)
        answer = subject.answer(changed, stress=False)
        subject.answer(other, stress=False)  # clears the old result from the cache
        found += subject.compare(answer, subject.answer(changed.copy(), stress=False), f"{name} changed in place")
    return found


def input_untouched(subject: Subject) -> list[Deviation]:
    """A calculation leaves positions, numbers, cell, pbc, arrays and info of the structure unchanged."""
    problems = []
    for sample in subject.everything:
        atoms = sample.copy()
        if atoms.pbc.any():
            atoms.positions += 2.5 * atoms.cell.array[0]  # outside the cell, where wrapping would show
        atoms.info["note"] = [1, 2]
        atoms.set_tags(np.arange(len(atoms)))
        atoms.set_array("mine", np.linspace(0, 1, 3 * len(atoms)).reshape(-1, 3))
        before = copy.deepcopy(atoms)
        atoms.calc = subject.calc
        subject.answer(atoms)
        if set(atoms.arrays) != set(before.arrays):
            problems.append(f"arrays {sorted(set(atoms.arrays) ^ set(before.arrays))} came or went")
        for name in set(atoms.arrays) & set(before.arrays):
            if not np.array_equal(atoms.arrays[name], before.arrays[name]):
                problems.append(f"{name} changed")
        if not np.array_equal(atoms.cell.array, before.cell.array):
            problems.append("cell changed")
        if not np.array_equal(atoms.pbc, before.pbc):
            problems.append("pbc changed")
        if atoms.info != before.info:
            problems.append(f"info became {atoms.info}")
    return violations(list(dict.fromkeys(problems)), "positions, numbers, cell, pbc, arrays, info are as before")


def copy_of_atoms(subject: Subject) -> list[Deviation]:
    """`atoms.copy()`, which has no calculator, and `atoms`, which has one, give the same results independently."""
    found = []
    for sample in subject.everything:
        atoms = sample.copy()
        atoms.calc = subject.calc
        expected = subject.answer(atoms)
        second = atoms.copy()
        subject.answer(displaced(atoms, subject.rng))  # the result for the copy must not come from the cache
        name = atoms.get_chemical_formula()
        found += subject.compare(subject.answer(second), expected, f"a copy of {name}")
        second.positions += subject.rng.normal(scale=0.1, size=second.positions.shape)
        found += subject.compare(subject.answer(atoms), expected, f"{name} after its copy moved")
    return found


def deep_copy(subject: Subject) -> list[Deviation]:
    """`copy.deepcopy(calc)` gives the same results, and its use does not affect the original."""
    return _clone(subject, copy.deepcopy)


def pickled(subject: Subject) -> list[Deviation]:
    """`pickle.loads(pickle.dumps(calc))`, as used by process pools and job queues, gives the same results."""
    return _clone(subject, lambda calc: pickle.loads(pickle.dumps(calc)))


def _clone(subject, clone):
    atoms = _first(subject)
    other = displaced(atoms, subject.rng, 0.1)
    expected = subject.answer(other), subject.answer(atoms)
    calc = clone(subject.calc)
    # the clone has a copy of the cache, so another structure comes first
    found = subject.compare(subject.answer(other, calc=calc), expected[0], "another structure, by the clone")
    found += subject.compare(subject.answer(atoms), expected[1], "the original calculator afterwards")
    return found + subject.compare(subject.answer(atoms, calc=calc), expected[1], "the same structure, by the clone")


def threads(subject: Subject) -> list[Deviation]:
    """Deep copies of the calculator, one per thread and at the same time, give the results of a single one."""
    atoms = _first(subject)
    structures = [
        [displaced(atoms, np.random.default_rng([k, m])) for m in range(STRUCTURES_PER_THREAD)] for k in range(THREADS)
    ]
    expected = [[subject.answer(each) for each in mine] for mine in structures]
    try:
        calcs = [copy.deepcopy(subject.calc) for _ in range(THREADS)]
    except Exception as error:
        raise NotApplicable(f"deepcopy fails ({type(error).__name__}), so there is no calculator per thread") from error
    answers: list = [None] * THREADS
    together = threading.Barrier(THREADS)

    def work(k):
        together.wait()
        try:
            answers[k] = [subject.answer(each, calc=calcs[k]) for each in structures[k]]
        except Exception as error:
            answers[k] = error

    running = [threading.Thread(target=work, args=(k,)) for k in range(THREADS)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    found = []
    for k, answer in enumerate(answers):
        if isinstance(answer, Exception):
            raise answer
        for mine, alone in zip(answer, expected[k], strict=True):
            found += subject.compare(mine, alone, f"thread {k + 1} of {THREADS}")
    return found


def result_names(subject: Subject) -> list[Deviation]:
    """`results` contains only names of properties that ASE defines, and `atoms.get_properties` accepts them."""
    atoms = _first(subject).copy()
    subject.answer(atoms)
    names = set(getattr(subject.calc, "results", {}))
    foreign = sorted(names - set(all_properties) - set(all_outputs))
    problems = [f"results holds {foreign}, which ASE does not know"] if foreign else []
    if not foreign:
        atoms.calc = subject.calc
        try:
            atoms.get_properties(["energy", "forces"])
        except Exception as error:
            problems.append(f"atoms.get_properties raised {type(error).__name__}: {error}")
    return violations(problems, ", ".join(sorted(names)))


def energy_type(subject: Subject) -> list[Deviation]:
    """The energy is a Python float."""
    problems = []
    for atoms in subject.everything:
        energy = subject.calc.get_property("energy", atoms)
        if not isinstance(energy, float):  # np.float64 is one
            problems.append(f"energy is a {type(energy).__name__}: {energy!r}")
    return violations(list(dict.fromkeys(problems)), "float")


def forces_type(subject: Subject) -> list[Deviation]:
    """Forces are a float64 array of shape (atoms, 3)."""
    problems = [
        _array(subject.calc.get_property("forces", atoms), (len(atoms), 3), "forces") for atoms in subject.everything
    ]
    return violations([p for p in dict.fromkeys(problems) if p], "float64 (atoms, 3)")


def stress_type(subject: Subject) -> list[Deviation]:
    """The stress is a float64 array of shape (6,)."""
    if not subject.implements("stress"):
        raise NotApplicable("the calculator has no stress")
    problems = [_array(subject.calc.get_property("stress", atoms), (6,), "stress") for atoms in subject.crystals]
    return violations([p for p in dict.fromkeys(problems) if p], "float64 (6,)")


def _array(found, shape, name):
    if not isinstance(found, np.ndarray):
        return f"{name} is a {type(found).__name__}"
    if found.dtype != np.float64:
        return f"{name} is {found.dtype}, not float64"
    if found.shape != shape:
        return f"{name} has shape {found.shape}, not {shape}"
    return ""


def no_aliasing(subject: Subject) -> list[Deviation]:
    """Returned arrays belong to the caller: changing one does not change later results, and vice versa."""
    atoms = _first(subject)
    names = ["forces", *(["stress"] if subject.implements("stress") and atoms.pbc.all() else [])]
    problems = []
    for name in names:
        given = subject.calc.get_property(name, atoms)
        before = np.array(given)
        given += 7.0
        if not np.array_equal(subject.calc.get_property(name, atoms), before):
            problems.append(f"changing the {name} that came back changed the next answer")
        kept = subject.calc.get_property(name, atoms)
        before = np.array(kept)
        subject.calc.get_property(name, displaced(atoms, subject.rng))
        if not np.array_equal(kept, before):
            problems.append(f"the {name} of one structure changed when another was computed")
    return violations(problems, f"{' and '.join(names)} are the caller's own")


def free_energy(subject: Subject) -> list[Deviation]:
    """`free_energy` is implemented and equal to the energy, as it is without electronic temperature."""
    if not subject.implements("free_energy"):
        return violations(["free_energy is not implemented; get_potential_energy(force_consistent=True) fails"], "")
    found = []
    for atoms in subject.everything:
        difference = float(subject.calc.get_property("free_energy", atoms)) - subject.energy(atoms)
        tolerance = subject.tolerances.energy
        found.append(Deviation(abs(difference) / len(atoms), tolerance, "eV/atom", atoms.get_chemical_formula()))
    return found


def site_energies(subject: Subject) -> list[Deviation]:
    """Site energies sum to the energy."""
    if not subject.implements("energies"):
        raise NotApplicable("the calculator has no energies of atoms")
    found = []
    for atoms in subject.everything:
        energies = np.asarray(subject.calc.get_property("energies", atoms))
        difference = float(energies.sum()) - subject.energy(atoms) if energies.shape == (len(atoms),) else np.nan
        where = f"{atoms.get_chemical_formula()}, shape {energies.shape}"
        found.append(Deviation(abs(difference) / len(atoms), subject.tolerances.energy, "eV/atom", where))
    return found


def missing_property(subject: Subject) -> list[Deviation]:
    """A property that is not available, such as the stress without a cell, raises `PropertyNotImplementedError`."""
    absent = [(name, _first(subject)) for name in all_properties if not subject.implements(name)]
    if subject.implements("stress"):
        absent += [("stress", atoms) for atoms in subject.samples.clusters]
    if not absent:
        raise NotApplicable("the calculator says that it has every property of ASE")
    problems = []
    for name, atoms in absent:
        what = f"{name} of {atoms.get_chemical_formula()}{'' if atoms.cell.rank else ' without a cell'}"
        try:
            value = subject.calc.get_property(name, atoms)
            problems.append(f"{what} is {' '.join(repr(value).split()):.40}")
        except PropertyNotImplementedError:
            pass
        except Exception as error:
            problems.append(f"{what} raises {type(error).__name__}")
    return violations(problems, ", ".join(dict.fromkeys(name for name, _ in absent)))


def unknown_element(subject: Subject) -> list[Deviation]:
    """An element that the calculator does not know raises an error instead of giving a result."""
    declared = declared_elements(subject.calc)
    symbols = [s for s in UNLIKELY if declared is not None and s not in declared] or [UNLIKELY[0]]
    if declared is not None and symbols[0] in declared:
        raise NotApplicable("the calculator knows every element that was tried")
    atoms = Atoms([symbols[0]] * 2, [(0, 0, 0), (0, 0, 2.5)])
    try:
        energy = subject.calc.get_property("energy", atoms)
    except Exception as error:
        return violations([], f"{symbols[0]} raises {type(error).__name__}")
    if declared is None:
        raise NotApplicable(f"the calculator does not say which elements it knows, and computes {symbols[0]}")
    return violations([f"{symbols[0]} is not among the elements it knows, yet has an energy of {energy} eV"], "")
