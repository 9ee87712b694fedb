"""The model file: safetensors arrays with JSON in the metadata.  Loading executes nothing.

One file holds everything that decides a number: arrays (parameters, constants, E0 in float64)
and a JSON text (architecture, elements, units, provenance).  A SHA-256 over both is stored
beside them, so a file that changed after it was written is refused.

A checksum can be forged, so nothing is believed: a file that loads has the types, names and shapes
of its architecture and finite numbers, and reading it takes memory for twice its size and 32 MiB.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from latte_ase.io.atomic_file import write_atomically
from latte_ase.io.hyperparameters import (
    ModelFileError,
    architecture_from_json,
    architecture_to_json,
    checked_dictionary,
)
from latte_ase.model.committee import Committee
from latte_ase.model.potential import Architecture, Potential, init_params
from latte_ase.settings import shortened

FORMAT = 1
"""Version of this file format; raised when an old reader would misread a new file."""

UNITS = {"energy": "eV", "length": "Angstrom"}

LONGEST_DESCRIPTION = 2**19
"""Bytes of JSON: parsed, it may take thirty times as much memory.  Shipped models have 2 kB."""

LONGEST_HEADER = 3 * LONGEST_DESCRIPTION
"""Bytes of the safetensors header: the description, escaped, and the table of arrays."""


def flatten(tree, prefix: str = "") -> dict[str, np.ndarray]:
    """Dictionary of the arrays of a tree, named by their paths with "/" between."""
    named = {
        jax.tree_util.keystr(path, simple=True, separator="/"): np.asarray(leaf, order="C")
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }
    return {"/".join(filter(None, (prefix, name))): array for name, array in named.items()}


def unflatten(flat: dict[str, np.ndarray]) -> dict[str, Any]:
    """Inverse of `flatten` for nested dictionaries."""
    tree: dict[str, Any] = {}
    for name, array in flat.items():
        *path, last = name.split("/")
        branch = tree
        for key in path:
            branch = branch.setdefault(key, {})
        branch[last] = array
    return tree


def digest(arrays: dict[str, np.ndarray], text: str) -> str:
    """SHA-256 over names, types, shapes and bytes of the arrays and over the text."""
    return digest_in_order(((name, arrays[name]) for name in sorted(arrays)), text)


def digest_in_order(arrays: Iterable[tuple[str, np.ndarray]], text: str) -> str:
    """`digest` of named arrays that come in the order of their names, one at a time."""
    total = hashlib.sha256(text.encode())
    for name, array in arrays:
        array = np.asarray(array, order="C")
        total.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        total.update(array.reshape(-1).view(np.uint8).data)  # no copy
    return total.hexdigest()


def fingerprint(potential: Potential) -> str:
    """SHA-256 of all that decides a model's numbers: architecture, parameters, constants and E0."""
    numbers = {"params": potential.params, "constants": potential.constants, "E0": potential.reference_energies}
    return digest(flatten(numbers), repr(potential.architecture))


def file_sha256(path) -> str:
    """SHA-256 of a file, as in `sha256sum`."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def save_model(potential: Potential, path: str | os.PathLike, *, metadata: Mapping[str, Any] | None = None) -> Path:
    """Model file of a potential, written atomically.

    Args:
        potential: what to write.
        path: the file, by custom NAME.safetensors.
        metadata: added to `potential.metadata`.

    Returns:
        The path written.

    Raises:
        ValueError: the metadata are too long.
        IsADirectoryError: the path is a folder.
    """
    from latte_ase import __version__

    path = Path(path).expanduser()
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give the name of a file, such as {path / 'model.safetensors'}.")
    arrays = flatten(
        {
            "params": potential.params,
            "constants": potential.constants,
            "reference_energies": np.asarray(potential.reference_energies, np.float64),
        }
    )
    if potential.committee is not None:
        committee = potential.committee
        factors = np.array([committee.energy_factor, committee.forces_factor])
        limit = {} if committee.limit is None else {"limit": np.float64(committee.limit)}
        shifts = {} if committee.shifts is None else {"shifts": np.asarray(committee.shifts, np.float64)}
        arrays |= flatten({"committee": {"members": committee.members, "factors": factors, **shifts, **limit}})
    text = json.dumps(
        {
            "format": FORMAT,
            "version": __version__,
            "units": UNITS,
            "architecture": architecture_to_json(potential.architecture),
            "metadata": {**potential.metadata, **(metadata or {})},
        }
    )
    if len(text) > LONGEST_DESCRIPTION:
        raise ValueError(
            f"The description of the model has {len(text)} bytes of JSON; {LONGEST_DESCRIPTION} are allowed. "
            "Leave data and histories out of the metadata."
        )
    content = to_bytes(arrays, {"latte_ase": text, "sha256": digest(arrays, text)})
    write_atomically(path, content)
    return path


def load(path) -> Potential:
    """Potential of a model file.

    Args:
        path: the file.

    Returns:
        The potential.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: not a model file, cut short, changed, or written by a newer version.
    """
    with _opened(path) as file:
        stored = file.metadata() or {}
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    header = _header(path, stored)
    if digest(arrays, stored["latte_ase"]) != stored.get("sha256"):
        raise ModelFileError(
            f"{path} changed after it was written: its SHA-256 is {digest(arrays, stored['latte_ase'])[:12]}..., the file says "
            f"{str(stored.get('sha256'))[:12]}... Download or copy it again; do not use it."
        )
    try:
        return _assemble(header, arrays)
    except ValueError as error:
        raise ModelFileError(
            f"{path} holds no model that latte_ase can use, though its checksum is right. {error!s:.400} Ask whoever "
            "wrote the file; do not use it."
        ) from error


def read_metadata(path) -> dict[str, Any]:
    """The metadata of a model file; its arrays are neither read nor checked.

    Raises:
        FileNotFoundError, ModelFileError: as `load`.
    """
    with _opened(path) as file:
        stored = file.metadata() or {}
    return checked_dictionary("metadata", _header(path, stored).get("metadata"))


@contextmanager
def _opened(path) -> Iterator[Any]:
    """A safetensors file to read from."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"There is no model file {path}. Check the path, or see latte_ase.list_models().")
    try:
        with path.open("rb") as start:
            length = int.from_bytes(start.read(8), "little")
        if length > LONGEST_HEADER:
            raise ValueError(f"a header of {length} bytes; {LONGEST_HEADER} are allowed")
        with safe_open(path, framework="numpy") as file:
            yield file
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise ModelFileError(
            f"{path} is not a readable model file ({error!s:.400}). It must be a complete .safetensors file "
            "written by latte_ase; download or copy it again."
        ) from error


def _header(path, stored: dict[str, str]) -> dict[str, Any]:
    """The description of a model in the metadata of a safetensors file."""
    if "latte_ase" not in stored:
        raise ModelFileError(
            f"{path} is a safetensors file of another program: it has no latte_ase metadata. "
            "Models are written by latte_ase.train, latte_ase.finetune or latte_ase.save_model."
        )
    header = _parse(path, stored["latte_ase"])
    version = header.get("format")
    if type(version) is int and version > FORMAT:
        raise ModelFileError(
            f"{path} has format {version}, written by latte_ase {header.get('version')!s:.40}; this "
            f"version reads formats up to {FORMAT}. Update latte_ase (pip install -U latte_ase)."
        )
    return header


def _parse(path, text) -> dict[str, Any]:
    """The description, a dictionary."""
    try:
        if len(text) > LONGEST_DESCRIPTION:
            raise ValueError(f"it has {len(text)} letters; {LONGEST_DESCRIPTION} are allowed")
        return checked_dictionary("description", json.loads(text, object_pairs_hook=_without_repetition))
    except (ValueError, RecursionError) as error:
        raise ModelFileError(
            f"{path} changed after it was written: its description is not JSON ({error!s:.400}). "
            "Download or copy it again; do not use it."
        ) from error


def _without_repetition(pairs) -> dict[str, Any]:
    """A JSON object; of a key that stands there twice, readers would take one or the other."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {shortened(twice)} occurs twice")
    return found


def _assemble(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Potential:
    """The potential, if description and arrays belong together."""
    if header.get("format") != FORMAT or type(header["format"]) is not int:
        raise ValueError(f"Its format is {shortened(header.get('format'))}; {FORMAT} is needed.")
    if header.get("units") != UNITS:
        raise ValueError(f"Its units are {shortened(header.get('units'))}; {UNITS} are needed.")
    metadata = checked_dictionary("metadata", header.get("metadata"))
    architecture = architecture_from_json(header.get("architecture", {}))
    shapes = _shapes(architecture, sum(a.size for a in arrays.values()))
    if "constants/fewest_neighbours" in arrays:  # older files have none
        shapes["constants/fewest_neighbours"] = (len(architecture.elements), 2)
    shapes |= _committee_shapes(shapes, arrays)
    for name in sorted(shapes.keys() | arrays.keys()):
        found, needed = arrays[name].shape if name in arrays else None, shapes.get(name)
        if found != needed:
            raise ValueError(f"Its array {shortened(name)} has the shape {found}; its architecture needs {needed}.")
        if arrays[name].dtype not in (np.float32, np.float64):
            raise ValueError(f"Its array {name!r} has the type {arrays[name].dtype}; float32 or float64 is needed.")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"Its array {name!r} has values that are not finite.")
    tree = unflatten(arrays)
    return Potential(
        architecture, tree["params"], tree["constants"], tree["reference_energies"], metadata, _committee(tree)
    )


def _committee(tree: dict[str, Any]) -> Committee | None:
    if "committee" not in tree:
        return None
    energy_factor, forces_factor = (float(x) for x in tree["committee"]["factors"])
    return Committee(
        tree["committee"].get("members", {}),
        energy_factor,
        forces_factor,
        tree["committee"].get("shifts"),
        limit=float(tree["committee"]["limit"]) if "limit" in tree["committee"] else None,
    )


def _shapes(architecture: Architecture, size: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the arrays of an architecture that has at most `size` numbers."""
    species, features = len(architecture.elements), architecture.descriptor.n_features
    widths = {"hidden": architecture.hidden, "features": (features,)}
    # the descriptor itself refuses what is too small
    counts = {name: (n,) for name, n in vars(architecture.descriptor).items() if type(n) is int}
    for name, numbers in (widths | counts).items():
        least = 0 if name in counts else 1
        if not all(least <= n <= max(size, 1000) for n in numbers):
            raise ValueError(
                f"Its architecture says {name} = {shortened(numbers)}, but its arrays hold {size} numbers."
            )
    return _parameter_shapes(architecture) | {
        "constants/mean": (species, features),
        "constants/deviation": (species, features),
        "constants/scale": (),
        "constants/repulsion_range": (species, species),
        "reference_energies": (species,),
    }


def _committee_shapes(shapes, arrays) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the arrays of a committee, if there is one: those of parameters, and the members first."""
    names = [name for name in arrays if name.startswith("committee/")]
    if not names:
        return {}
    members = {name: "params/" + name.removeprefix("committee/members/") for name in names if name.count("/") > 1}
    count = max((arrays[name].shape[0] for name in members if arrays[name].ndim), default=0)
    shifts = {"committee/shifts": (count, *shapes["reference_energies"])} if "committee/shifts" in names else {}
    limit = {"committee/limit": ()} if "committee/limit" in names else {}
    return {"committee/factors": (2,), **shifts, **limit} | {
        name: (count, *shapes[param]) for name, param in members.items() if param in shapes
    }


@lru_cache(maxsize=8)
def _parameter_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    params = jax.eval_shape(lambda: init_params(architecture, jax.random.key(0)))
    leaves = jax.tree_util.tree_leaves_with_path({"params": params})
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in leaves}
