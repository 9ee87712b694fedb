"""`latte-ase models`."""

from __future__ import annotations


def models():
    """List the shipped models: general ones, then those of one system."""
    from latte_ase import list_models, load_model

    found = {name: load_model(name) for name in list_models()}
    rows = [(name, " ".join(p.elements), p.metadata.get("level_of_theory", "")) for name, p in found.items()]
    names, elements = (max((len(row[k]) for row in rows), default=0) for k in (0, 1))
    general = {name for name, p in found.items() if p.metadata.get("general")}
    groups = {
        "General models": [row for row in rows if row[0] in general],
        "Models of one system": [row for row in rows if row[0] not in general],
    }
    for title, members in groups.items():
        if members:
            print(f"{title}:")
        for name, symbols, theory in members:
            print(f"  {name:{names}s}  {symbols:{elements}s}  {theory}")
