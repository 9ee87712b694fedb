"""Contractions of moments, which are symmetric tensors, to rotational invariants.

- `notation`: LATTE's term notation, in which every factor has a column of its own.
- `tables`: tables of contractions as data: CACE's, the optimal ones of trace-free tensors, LATTE's signatures.
- `traces`: the trace-free part of symmetric tensors.
- `evaluate`: a table evaluated for many atoms and channels.
- `independence`: the functionally independent terms of a table.
"""

from __future__ import annotations

from latte_ase.model.contractions.evaluate import contract_table
from latte_ase.model.contractions.independence import (
    RankReport,
    independent,
    separate_densities,
    single_density,
    trace_free_tensors,
)
from latte_ase.model.contractions.notation import Plan, TermBlock, contract, packed_terms, parse, plan
from latte_ase.model.contractions.tables import cace, from_notation, optimal, ranks
from latte_ase.model.contractions.traces import trace_free

__all__ = [
    "Plan",
    "RankReport",
    "TermBlock",
    "cace",
    "contract",
    "contract_table",
    "from_notation",
    "independent",
    "optimal",
    "packed_terms",
    "parse",
    "plan",
    "ranks",
    "separate_densities",
    "single_density",
    "trace_free",
    "trace_free_tensors",
]
