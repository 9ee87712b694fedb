"""`latte-ase models`."""

from __future__ import annotations


def models():
    """List the shipped models."""
    from latte_ase import list_models, load_model

    found = {name: load_model(name) for name in list_models()}
    rows = [(name, " ".join(p.elements), p.metadata.get("level_of_theory", "")) for name, p in found.items()]
    names, elements = (max((len(row[k]) for row in rows), default=0) for k in (0, 1))
    for name, symbols, theory in rows:
        print(f"{name:{names}s}  {symbols:{elements}s}  {theory}")
