"""Table of the properties that are checked, and the function that checks them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ase import Atoms

from latte_ase.testing import contract, derivatives, invariances, smoothness
from latte_ase.testing.report import FAIL, NOT_APPLICABLE, PASS, Check, Report
from latte_ase.testing.samples import from_elements, from_structures, known_elements
from latte_ase.testing.subject import Deviation, NotApplicable, Subject
from latte_ase.testing.tolerances import TOLERANCES, Tolerances, precision_of

PROPERTIES: dict[str, Callable[[Subject], list[Deviation]]] = {
    "forces": derivatives.forces,
    "stress": derivatives.stress,
    "stress, triclinic": derivatives.stress_triclinic,
    "rotation": invariances.rotation,
    "inversion": invariances.inversion,
    "permutation": invariances.permutation,
    "translation": invariances.translation,
    "wrapping": invariances.wrapping,
    "replication": invariances.replication,
    "small cell": invariances.small_cell,
    "left-handed cell": invariances.left_handed,
    "mixed pbc": invariances.mixed_pbc,
    "zero cell vector": invariances.zero_row,
    "isolated atom": invariances.isolated_atom,
    "distant atoms": invariances.distant_atoms,
    "smooth energy": smoothness.energy_jump,
    "smooth forces": smoothness.forces_jump,
    "smooth slope": smoothness.slope_jump,
    "NVE drift": derivatives.drift,
    "order of calls": contract.order_of_calls,
    "changes seen": contract.changes_seen,
    "input untouched": contract.input_untouched,
    "copy of atoms": contract.copy_of_atoms,
    "deepcopy": contract.deep_copy,
    "pickle": contract.pickled,
    "threads": contract.threads,
    "result names": contract.result_names,
    "energy type": contract.energy_type,
    "forces type": contract.forces_type,
    "stress type": contract.stress_type,
    "no aliasing": contract.no_aliasing,
    "free energy": contract.free_energy,
    "site energies": contract.site_energies,
    "missing property": contract.missing_property,
    "unknown element": contract.unknown_element,
}
"""Checks by the name of their property; the docstring of a check states the property."""


def check_calculator(
    calc: Any,
    structures: Sequence[Atoms] | None = None,
    *,
    elements: Sequence[str] | None = None,
    precision: str | None = None,
    tolerances: Tolerances | None = None,
    only: Iterable[str] | None = None,
    seed: int = 0,
    progress: Callable[[str], object] | None = None,
) -> Report:
    """Check the physical consistency of an ASE calculator and its conformance to the rules of ASE.

    The calculator is not copied: its cache and its last structure change.

    Args:
        calc: an instance of an ASE calculator.
        structures: structures for the checks; None builds small structures of `elements`.  Dimers and
            isolated atoms are built from the elements of the structures.
        elements: chemical symbols; None takes those that the calculator declares, or common ones that it computes.
        precision: "float64" or "float32", the set of tolerances; None reads the attribute `dtype` or
            `default_dtype` of the calculator, and is "float64" where there is none.
        tolerances: tolerances that replace the set.
        only: names of `PROPERTIES` to check; None checks all.
        seed: seed of random displacements and directions.
        progress: function that is called with the name of each property before it is checked.

    Returns:
        The result of every check.

    Raises:
        ValueError: an unknown precision or property, no elements, or a calculator without energy or forces.

    Examples:
        >>> from ase.calculators.emt import EMT
        >>> report = check_calculator(EMT(), elements=["Cu", "Au"])
        >>> report["rotation"].verdict
        'pass'
    """
    precision = precision_of(calc) if precision is None else precision
    if precision not in TOLERANCES:
        raise ValueError(f"precision is {precision!r}; allowed are {', '.join(map(repr, TOLERANCES))}.")
    lacking = {"energy", "forces"} - set(getattr(calc, "implemented_properties", ("energy", "forces")))
    if lacking:
        raise ValueError(
            f"{type(calc).__name__} has no {' and no '.join(sorted(lacking))} among its implemented_properties; the "
            "checks need both."
        )
    names = list(PROPERTIES) if only is None else list(only)
    strange = [name for name in names if name not in PROPERTIES]
    if strange:
        raise ValueError(f"There is no property {strange[0]!r}; allowed are {', '.join(PROPERTIES)}.")
    checks = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the structures are unusual on purpose, and some calculators warn
        if structures is None:
            samples = from_elements(known_elements(calc) if elements is None else elements, seed=seed)
        else:
            samples = from_structures(structures)
        subject = Subject(calc, samples, tolerances or TOLERANCES[precision], precision, seed)
        for name in names:
            if progress is not None:
                progress(name)
            checks.append(_check(name, subject))
    return Report(type(calc).__name__, precision, samples.symbols, tuple(checks))


def _check(name, subject) -> Check:
    start = time.perf_counter()
    value = tolerance = None
    unit = ""
    try:
        worst = max(PROPERTIES[name](subject), key=lambda deviation: deviation.excess)
        value, tolerance, unit, detail = worst
        verdict = PASS if worst.excess <= 1 else FAIL
    except NotApplicable as reason:
        verdict, detail = NOT_APPLICABLE, str(reason)
    except Exception as error:  # a calculator may raise any error, which is a result
        message = " ".join(str(error).split())
        verdict, detail = FAIL, f"raised {type(error).__name__}: {message:.150}"
    return Check(name, value, tolerance, verdict, detail, unit, time.perf_counter() - start)
