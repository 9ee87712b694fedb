"""Descriptors: each is a radial choice and a contraction table over the one pair loop.

To add one: a file here with a frozen dataclass that has the methods of `base.Descriptor`, a line
in `DESCRIPTORS`, and a line in the table of tests/descriptors/test_contract.py.
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
