"""Hyper-parameters as JSON, and their validation when they are read: types of the annotations, and bounded sizes."""

from __future__ import annotations

import dataclasses
from typing import Any

from latte_ase.model.descriptors import DESCRIPTORS
from latte_ase.model.potential import Architecture
from latte_ase.settings import check_entries, shortened, tuples


class ModelFileError(ValueError):
    """Error of a model file that cannot be used; the message has the reason and the remedy."""


def architecture_to_json(architecture: Architecture) -> dict[str, Any]:
    """Hyper-parameters of an architecture as JSON-like data.

    Raises:
        ValueError: the descriptor has no name in `DESCRIPTORS`.
    """
    kinds = {cls: name for name, cls in DESCRIPTORS.items()}
    if type(architecture.descriptor) not in kinds:
        raise ValueError(
            f"{type(architecture.descriptor).__name__} is not in latte_ase.model.descriptors.DESCRIPTORS, so no file can name "
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
    """Architecture from JSON-like data, the inverse of `architecture_to_json`.

    Raises:
        ValueError: an entry is missing, unknown, of another type, or not possible.
    """
    rest, descriptor = (
        dict(checked_dictionary("architecture", data)),
        checked_dictionary("descriptor", data.get("descriptor")),
    )
    del rest["descriptor"]
    descriptor = dict(descriptor)
    kind = descriptor.pop("kind", None)
    if not isinstance(kind, str) or kind not in DESCRIPTORS:
        raise ModelFileError(
            f"The model uses the descriptor {shortened(kind)}; this version knows {', '.join(DESCRIPTORS)}. "
            "Update latte_ase (pip install -U latte_ase), or, if it is a descriptor of your own, add it to "
            "latte_ase.model.descriptors.DESCRIPTORS first."
        )
    made = _make(DESCRIPTORS[kind], descriptor)
    return _make(Architecture, rest, descriptor=made)


def checked_dictionary(name: str, value) -> dict[str, Any]:
    """Value that is checked to be a dictionary; `ModelFileError` where it is not."""
    if not isinstance(value, dict):
        raise ModelFileError(f"Its {name} is {shortened(value)}; a dictionary is needed.")
    return value


def _make(cls, entries: dict[str, Any], **made):
    """Instance of a dataclass from JSON-like data whose types are checked against the annotations."""
    fields = {f.name: f for f in dataclasses.fields(cls) if f.name not in made}
    for name, field in fields.items():
        if name not in entries and field.default is dataclasses.MISSING:
            raise ModelFileError(f"Its architecture lacks {name}.")
    for name in entries:
        if name not in fields:
            raise ModelFileError(f"Its architecture has the unknown entry {shortened(name)}. Update latte_ase.")
    check_entries(cls, entries, where="In its architecture, ")
    return cls(**{name: tuples(value) for name, value in entries.items()}, **made)
