"""The model file: safetensors arrays with JSON in the metadata.  Loading executes nothing.

One file holds everything that decides a number: arrays (parameters, constants, E0 in float64)
and a JSON text (architecture, elements, units, provenance).  A SHA-256 over both is stored
beside them, so a file that changed after it was written is refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from latte_ase.descriptors import DESCRIPTORS
from latte_ase.potential import Architecture, Potential

FORMAT = 1
"""Version of this file format; raised when an old reader would misread a new file."""

UNITS = {"energy": "eV", "length": "Angstrom"}


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
    """Inverse of `architecture_to_json`."""
    descriptor = _tuples(data["descriptor"])
    kind = descriptor.pop("kind")
    if kind not in DESCRIPTORS:
        raise ModelFileError(
            f"The model uses the descriptor {kind!r}; this version knows {', '.join(DESCRIPTORS)}. "
            "Update latte_ase (pip install -U latte_ase)."
        )
    rest = _tuples({k: v for k, v in data.items() if k != "descriptor"})
    return Architecture(descriptor=DESCRIPTORS[kind](**descriptor), **rest)


def _tuples(value) -> Any:
    if isinstance(value, dict):
        return {k: _tuples(v) for k, v in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(v) for v in value)
    return value


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` in one step: a reader sees the old file or the new one, whatever happens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def digest(arrays: dict[str, np.ndarray], text: str) -> str:
    """SHA-256 over names, types, shapes and bytes of the arrays and over the text."""
    total = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        total.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        total.update(array.tobytes())
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
    text = json.dumps(
        {
            "format": FORMAT,
            "version": __version__,
            "units": UNITS,
            "architecture": architecture_to_json(potential.architecture),
            "metadata": {**potential.metadata, **more_metadata},
        }
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
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise ModelFileError(
            f"{path} is not a readable model file ({error}). It must be a complete .safetensors file "
            "written by latte_ase; download or copy it again."
        ) from error
    if "latte_ase" not in metadata:
        raise ModelFileError(
            f"{path} is a safetensors file of another program: it has no latte_ase metadata. "
            "Models are written by latte_ase.train, latte_ase.finetune or Potential.save."
        )
    text = metadata["latte_ase"]
    header = _parse(path, text)
    if header.get("format", 0) > FORMAT:
        raise ModelFileError(
            f"{path} has format {header['format']}, written by latte_ase {header.get('version')}; this "
            f"version reads formats up to {FORMAT}. Update latte_ase (pip install -U latte_ase)."
        )
    if digest(arrays, text) != metadata.get("sha256"):
        raise ModelFileError(
            f"{path} changed after it was written: its SHA-256 is {digest(arrays, text)[:12]}..., the file says "
            f"{str(metadata.get('sha256'))[:12]}... Download or copy it again; do not use it."
        )
    tree = unflatten(arrays)
    return Potential(
        architecture_from_json(header["architecture"]),
        tree["params"],
        tree["constants"],
        tree["reference_energies"],
        header["metadata"],
    )


def _parse(path, text) -> dict[str, Any]:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ModelFileError(
            f"{path} changed after it was written: its description is not JSON ({error}). "
            "Download or copy it again; do not use it."
        ) from error
