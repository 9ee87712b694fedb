"""Contractions: from moments, which are tensors, to invariants.

`notation.py` LATTE's term notation, in which every factor has a column of its own.
"""

from __future__ import annotations

from latte_ase.contractions.notation import Block, Plan, contract, packed_terms, parse, plan

__all__ = ["Block", "Plan", "contract", "packed_terms", "parse", "plan"]
