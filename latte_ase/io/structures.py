"""Structures one after the other, from files of any format that ASE reads, from names of molecules, from Atoms, and from iterables of these.

All reading of structures goes through `iterate_structures`, so that a file that cannot be read ends in the same kind of error
everywhere: which file, what is wrong with it, what to do.
"""

from __future__ import annotations

import copy
import os
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers
from ase.io import iread
from ase.io.formats import UnknownFileTypeError, filetype, get_ioformat
from ase.utils import string2index

from latte_ase.io.named_molecules import is_named_molecule, named_molecule

StructureSource: TypeAlias = "str | os.PathLike[str] | Atoms | Iterable[str | os.PathLike[str] | Atoms]"
"""What structures can be given as: a file, FILE@INDEX, a molecule such as smiles:CCO, ase.Atoms, or an iterable of these."""

DATABASES = ("db", "json", "aselmdb")
"""Formats of ASE whose INDEX may be a selection, such as FILE.db@natoms<5."""

MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
"""Byte-order marks of UTF-8 and UTF-16."""


def iterate_structures(
    source: StructureSource, *, progress: Callable[[Iterable[Any]], Iterable[Any]] | None = None
) -> Iterator[Atoms]:
    """Structures in order, each read when it is asked for.

    Atoms come as they are, not as copies: an iterable may yield one object again and again and change it in between, so
    whoever keeps a structure beyond the next one keeps `frozen` of it.

    Args:
        source: path of a file; FILE@INDEX with a number or a slice as ASE has it, such as "md.traj@-1" or
            "md.traj@1000::10" (for databases also a selection); "smiles:CCO" or "molecule:CH3CH2OH", see
            `latte_ase.io.named_molecules`; ase.Atoms; or an iterable of these.
        progress: wraps the iteration over the structures of a file, or over the items of an iterable, such as
            `rich.progress.track`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file cannot be read, or there is no such molecule; says which one, why, and what to do.
        ImportError: RDKit is missing, which a SMILES string needs.
        TypeError: something else was given.
    """
    show = progress or iter
    if isinstance(source, Atoms):
        return iter(show((source,)))
    if isinstance(source, (str, os.PathLike)):
        return iter(show(_of_file(source)))
    if isinstance(source, Iterable):
        return (atoms for item in show(source) for atoms in iterate_structures(item))
    raise TypeError(
        f"{source!r:.80} is a {type(source).__name__}; the path of a file, ase.Atoms, or an iterable of these is needed."
    )


def frozen(atoms: Atoms) -> Atoms:
    """A copy of a structure as it is now, with the results that its calculator holds and the structure they belong to."""
    now = atoms.copy()
    if atoms.calc is None:
        return now
    computed_for = getattr(atoms.calc, "atoms", None)
    now.calc = SinglePointCalculator(computed_for if isinstance(computed_for, Atoms) else now)
    now.calc.results = copy.deepcopy(getattr(atoms.calc, "results", {}))
    return now


def _of_file(source: str | os.PathLike[str]) -> Iterator[Atoms]:
    name = os.fspath(source)
    if is_named_molecule(name) and not os.path.exists(name):
        return iter((named_molecule(name),))
    path, index = split_index(os.path.expanduser(name))
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file {path}. Give the path of a file of structures.")
    return _read(path, index)


def split_index(name: str) -> tuple[str, str]:
    """FILE and INDEX of FILE@INDEX; a file whose name has an @ is a file."""
    path, at, index = name.rpartition("@")
    if not at or os.sep in index or os.path.exists(name):
        return name, ":"
    if not re.fullmatch(r"-?\d+|-?\d*(:-?\d*){1,2}", index) and not path.endswith(DATABASES):
        raise ValueError(
            f"{index!r} in {name} is no index; after @ comes a number from 0, or a slice such as 0:100:10 or -1:."
        )
    return path, index


def _read(path: str, index: str) -> Iterator[Atoms]:
    count = 0
    try:
        for atoms in iread(path, string2index(index), do_not_split_by_at_sign=True):
            yield atoms
            count += 1
    except MemoryError:
        raise
    except Exception as error:  # readers of ASE raise anything
        _explain(path, index, count, error)
    if not count and index != ":":
        raise ValueError(f"{path} has no structure with the index {index}; the first one is 0, the last one -1.")


def _explain(path: str, index: str, count: int, error: Exception) -> NoReturn:
    """Raise a ValueError that says what is wrong with a file."""
    reason, advice = _reason(path, index, error)
    where = path if index == ":" else f"{path}@{index}"
    after = f" after {count} structure{'s' * (count > 1)}" if count else ""
    raise ValueError(f"{where} could not be read{_as_format(path)}{after}: {reason}. {advice}") from error


def _reason(path: str, index: str, error: Exception) -> tuple[str, str]:
    """What is wrong with a file, and what to do."""
    symbol = error.args[0] if isinstance(error, KeyError) and error.args else None
    if isinstance(symbol, str) and re.fullmatch(r"[A-Za-z]{1,3}", symbol) and symbol not in atomic_numbers:
        isotope = " Deuterium and tritium are H with another mass." if symbol in ("D", "T") else ""
        return f"{symbol!r} is no chemical symbol", f"Correct the symbol in the file.{isotope}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror, "Look at its permissions, and at the disk."
    if Path(path).is_file():
        if os.path.getsize(path) == 0:
            return "it is empty", "Write or copy it again."
        if zipfile.is_zipfile(path) or tarfile.is_tarfile(path):
            return (
                "it is an archive",
                "Unpack it first; single files that end in .gz, .bz2 or .xz are read as they are.",
            )
        if _starts_with_mark(path):
            return "it begins with a byte-order mark", "Save it as UTF-8 without one, or as ASCII."
    if isinstance(error, UnknownFileTypeError):
        return (
            f"ASE does not know the type of this file ({error})",
            "Give it the suffix of its format, which `ase info --formats` lists, or convert it to extended XYZ.",
        )
    if index == ":":
        advice = "Look whether the file is complete, and whether it has this format."
    else:
        advice = (
            f"Look whether the file is complete and has structures with the index {index}; some formats hold only one."
        )
    return f"{type(error).__name__}: {' '.join(str(error).split()):.300}".rstrip(": ."), advice


def _starts_with_mark(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(3).startswith(MARKS)


def _as_format(path: str) -> str:
    """What ASE takes a file for, if it knows."""
    try:
        return f" as {get_ioformat(filetype(path)).name}"
    except Exception:
        return ""
