"""`latte-ase models`."""

from __future__ import annotations


def models():
    """List the shipped models."""
    from latte_ase import list_models, load_model

    for name in list_models():
        potential = load_model(name)
        print(f"{name:16s} {' '.join(potential.elements):12s} {potential.metadata.get('level_of_theory', '')}")
