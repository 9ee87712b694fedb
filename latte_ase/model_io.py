"""The model file: safetensors arrays with JSON in the metadata.  Loading executes nothing.

One file holds everything that decides a number: arrays (parameters, constants, E0 in float64)
and a JSON text (architecture, elements, units, provenance).  A SHA-256 over both is stored
beside them, so a file that changed after it was written is refused.

A checksum can be forged, so nothing is believed: a file that loads has the types, names and shapes
of its architecture and finite numbers, and reading it takes memory for twice its size and 32 MiB.
"""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import json
import os
import uuid
from collections import Counter
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import jax
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from latte_ase.committee import Committee
from latte_ase.descriptors import DESCRIPTORS
from latte_ase.potential import Architecture, Potential, init_params

FORMAT = 1
"""Version of this file format; raised when an old reader would misread a new file."""

UNITS = {"energy": "eV", "length": "Angstrom"}

LONGEST_DESCRIPTION = 2**19
"""Bytes of JSON: parsed, it may take thirty times as much memory.  Shipped models have 2 kB."""

LONGEST_HEADER = 3 * LONGEST_DESCRIPTION
"""Bytes of the safetensors header: the description, escaped, and the table of arrays."""

LONGEST_ENTRY = 1000
"""Items of a list in the architecture; letters of a text in it are 16 times as many."""


class ModelFileError(ValueError):
    """A model file that cannot be used; the message says why and what to do."""


def flatten(tree, prefix: str = "") -> dict[str, np.ndarray]:
    """Nested dictionaries of arrays to one dictionary with "/" in its names."""
    if not isinstance(tree, dict):
        return {prefix: np.asarray(tree, order="C")}
    flat = {}
    for key in sorted(tree):
        flat.update(flatten(tree[key], f"{prefix}/{key}" if prefix else key))
    return flat


def unflatten(flat: dict[str, np.ndarray]) -> dict[str, Any]:
    """Inverse of `flatten`."""
    tree: dict[str, Any] = {}
    for name, array in flat.items():
        *path, last = name.split("/")
        branch = tree
        for key in path:
            branch = branch.setdefault(key, {})
        branch[last] = array
    return tree


def architecture_to_json(architecture: Architecture) -> dict[str, Any]:
    """The hyper-parameters as plain data."""
    kinds = {cls: name for name, cls in DESCRIPTORS.items()}
    if type(architecture.descriptor) not in kinds:
        raise ValueError(
            f"{type(architecture.descriptor).__name__} is not in latte_ase.descriptors.DESCRIPTORS, so no file can name "
            f"it; there are {', '.join(DESCRIPTORS)}. Add it: DESCRIPTORS['name'] = {type(architecture.descriptor).__name__}."
        )
    data = {f.name: getattr(architecture, f.name) for f in dataclasses.fields(architecture) if f.name != "descriptor"}
    descriptor = architecture.descriptor
    return {
        **data,
        "descriptor": {
            "kind": kinds[type(descriptor)],
            **{f.name: getattr(descriptor, f.name) for f in dataclasses.fields(descriptor)},  # type: ignore[arg-type]
        },
    }


def architecture_from_json(data: dict[str, Any]) -> Architecture:
    """Inverse of `architecture_to_json`.

    Raises:
        ValueError: an entry is missing, unknown, of another type, or not possible.
    """
    rest, descriptor = dict(_dictionary("architecture", data)), _dictionary("descriptor", data.get("descriptor"))
    del rest["descriptor"]
    descriptor = dict(descriptor)
    kind = descriptor.pop("kind", None)
    if not isinstance(kind, str) or kind not in DESCRIPTORS:
        raise ModelFileError(
            f"The model uses the descriptor {_short(kind)}; this version knows {', '.join(DESCRIPTORS)}. "
            "Update latte_ase (pip install -U latte_ase), or, if it is a descriptor of your own, add it to "
            "latte_ase.descriptors.DESCRIPTORS first."
        )
    made = _make(DESCRIPTORS[kind], descriptor)
    return _make(Architecture, rest, descriptor=made)


def _dictionary(name, value) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ModelFileError(f"Its {name} is {_short(value)}; a dictionary is needed.")
    return value


def _make(cls, entries: dict[str, Any], **made):
    """An instance of a dataclass from JSON, after its types were compared with its annotations."""
    hints = get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.name not in made}
    for name, field in fields.items():
        if name not in entries and field.default is dataclasses.MISSING:
            raise ModelFileError(f"Its architecture lacks {name}.")
    for name, value in entries.items():
        if name not in fields:
            raise ModelFileError(f"Its architecture has the unknown entry {_short(name)}. Update latte_ase.")
        if not _fits(value, hints[name]):
            wanted = getattr(hints[name], "__name__", "") if not get_args(hints[name]) else str(hints[name])
            raise ModelFileError(f"Its architecture says {name} = {_short(value)}; {wanted} is needed.")
    return cls(**{name: _tuples(value) for name, value in entries.items()}, **made)


def _fits(value, hint) -> bool:
    """True if a value from JSON is of the annotated type and of a sane size."""
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        if not isinstance(value, list) or len(value) > LONGEST_ENTRY:
            return False
        if kinds[-1] is Ellipsis:
            return all(_fits(v, kinds[0]) for v in value)
        return len(value) == len(kinds) and all(_fits(v, k) for v, k in zip(value, kinds, strict=True))
    if hint is str:
        return isinstance(value, str) and len(value) <= 16 * LONGEST_ENTRY
    if hint is float:
        return type(value) in (int, float) and abs(value) < 1e30  # false for nan
    if hint is int:
        return type(value) is int and 0 <= value < 2**31
    return type(value) is hint


def _short(value) -> str:
    """A value from JSON for a message."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."


def _tuples(value) -> Any:
    if isinstance(value, list):
        return tuple(_tuples(v) for v in value)
    return value


def write_atomically(path: Path, content: bytes, *, advice: str = "") -> None:
    """Replace `path` in one step: a reader sees the old file or the new one, whatever happens.

    Args:
        path: the file; its folder is made.
        content: all of it.
        advice: a last sentence for the message, where writing fails.

    Raises:
        OSError: of the same kind as the system's, with what is left and what to do.
    """
    temporary = path.with_name(f"{_temporary(path)}{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink()
        if not isinstance(error, OSError):
            raise
        left = "the file that was there is unchanged" if path.is_file() else "nothing is left of it"
        message = (
            f"{path} ({len(content) / 2**20:.3g} MiB) could not be written: {error.strerror or error}; {left}. Free "
            f"space on that disk, or look at its quota and permissions, and run again. {advice}".rstrip()
        )
        raise (OSError(message) if error.errno is None else OSError(error.errno, message)) from error


def remove_leftovers(path: Path) -> None:
    """Delete what a killed process left of `write_atomically`; not while another one writes `path`."""
    for leftover in path.parent.glob(f"{glob.escape(_temporary(path))}{'?' * 32}"):
        leftover.unlink(missing_ok=True)


def _temporary(path: Path) -> str:
    return f".{path.name}."


def digest(arrays: dict[str, np.ndarray], text: str) -> str:
    """SHA-256 over names, types, shapes and bytes of the arrays and over the text."""
    total = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        total.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        total.update(array.reshape(-1).view(np.uint8).data)  # no copy
    return total.hexdigest()


def file_sha256(path) -> str:
    """SHA-256 of a file, as in `sha256sum`."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def save(potential: Potential, path, **more_metadata) -> Path:
    """Write a potential to one file, atomically.

    Args:
        potential: what to write.
        path: the file, by custom NAME.safetensors.
        **more_metadata: added to `potential.metadata`.

    Returns:
        The path written.

    Raises:
        ValueError: the metadata are too long.
    """
    from latte_ase import __version__

    path = Path(path)
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
        shifts = {} if committee.shifts is None else {"shifts": np.asarray(committee.shifts, np.float64)}
        arrays |= flatten({"committee": {"members": committee.members, "factors": factors, **shifts}})
    text = json.dumps(
        {
            "format": FORMAT,
            "version": __version__,
            "units": UNITS,
            "architecture": architecture_to_json(potential.architecture),
            "metadata": {**potential.metadata, **more_metadata},
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
    """Read a model file.

    Args:
        path: the file.

    Returns:
        The potential.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: not a model file, cut short, changed, or written by a newer version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no model file {path}. Check the path, or see latte_ase.list_models().")
    arrays, metadata = _read(path)
    if "latte_ase" not in metadata:
        raise ModelFileError(
            f"{path} is a safetensors file of another program: it has no latte_ase metadata. "
            "Models are written by latte_ase.train, latte_ase.finetune or Potential.save."
        )
    text = metadata["latte_ase"]
    header = _parse(path, text)
    version = header.get("format")
    if type(version) is int and version > FORMAT:
        raise ModelFileError(
            f"{path} has format {version}, written by latte_ase {header.get('version')!s:.40}; this "
            f"version reads formats up to {FORMAT}. Update latte_ase (pip install -U latte_ase)."
        )
    if digest(arrays, text) != metadata.get("sha256"):
        raise ModelFileError(
            f"{path} changed after it was written: its SHA-256 is {digest(arrays, text)[:12]}..., the file says "
            f"{str(metadata.get('sha256'))[:12]}... Download or copy it again; do not use it."
        )
    try:
        return _assemble(header, arrays)
    except ValueError as error:
        raise ModelFileError(
            f"{path} holds no model that latte_ase can use, though its checksum is right. {error!s:.400} Ask whoever "
            "wrote the file; do not use it."
        ) from error


def _read(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Arrays and metadata of a safetensors file."""
    try:
        with path.open("rb") as start:
            length = int.from_bytes(start.read(8), "little")
        if length > LONGEST_HEADER:
            raise ValueError(f"a header of {length} bytes; {LONGEST_HEADER} are allowed")
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise ModelFileError(
            f"{path} is not a readable model file ({error!s:.400}). It must be a complete .safetensors file "
            "written by latte_ase; download or copy it again."
        ) from error


def _parse(path, text) -> dict[str, Any]:
    """The description, a dictionary."""
    try:
        if len(text) > LONGEST_DESCRIPTION:
            raise ValueError(f"it has {len(text)} letters; {LONGEST_DESCRIPTION} are allowed")
        return _dictionary("description", json.loads(text, object_pairs_hook=_without_repetition))
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
        raise ValueError(f"the key {_short(twice)} occurs twice")
    return found


def _assemble(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> Potential:
    """The potential, if description and arrays belong together."""
    if header.get("format") != FORMAT or type(header["format"]) is not int:
        raise ValueError(f"Its format is {_short(header.get('format'))}; {FORMAT} is needed.")
    if header.get("units") != UNITS:
        raise ValueError(f"Its units are {_short(header.get('units'))}; {UNITS} are needed.")
    metadata = _dictionary("metadata", header.get("metadata"))
    architecture = architecture_from_json(header.get("architecture", {}))
    shapes = _shapes(architecture, sum(a.size for a in arrays.values()))
    shapes |= _committee_shapes(shapes, arrays)
    for name in sorted(shapes.keys() | arrays.keys()):
        found, needed = arrays[name].shape if name in arrays else None, shapes.get(name)
        if found != needed:
            raise ValueError(f"Its array {_short(name)} has the shape {found}; its architecture needs {needed}.")
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
        tree["committee"].get("members", {}), energy_factor, forces_factor, tree["committee"].get("shifts")
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
            raise ValueError(f"Its architecture says {name} = {_short(numbers)}, but its arrays hold {size} numbers.")
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
    return {"committee/factors": (2,), **shifts} | {
        name: (count, *shapes[param]) for name, param in members.items() if param in shapes
    }


@lru_cache(maxsize=8)
def _parameter_shapes(architecture: Architecture) -> dict[str, tuple[int, ...]]:
    params = jax.eval_shape(lambda: init_params(architecture, jax.random.key(0)))
    leaves = jax.tree_util.tree_leaves_with_path({"params": params})
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in leaves}
