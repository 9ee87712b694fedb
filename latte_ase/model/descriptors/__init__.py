"""Descriptors of the neighbourhood of an atom, each with its radial functions and its table of contractions.

A new descriptor is a module here with a frozen dataclass that has the methods of `base.Descriptor`, an entry
of `DESCRIPTORS`, and an entry of the table in tests/model/descriptors/test_contract.py.
"""

from __future__ import annotations

from latte_ase.model.descriptors.base import Descriptor
from latte_ase.model.descriptors.cace import Cace
from latte_ase.model.descriptors.hiphop import HipHop
from latte_ase.model.descriptors.latte import Latte
from latte_ase.model.descriptors.messages import Messages
from latte_ase.model.descriptors.reduced import Reduced

DESCRIPTORS: dict[str, type] = {
    "latte": Latte,
    "reduced": Reduced,
    "messages": Messages,
    "cace": Cace,
    "hiphop": HipHop,
}

__all__ = ["DESCRIPTORS", "Cace", "Descriptor", "HipHop", "Latte", "Messages", "Reduced"]
