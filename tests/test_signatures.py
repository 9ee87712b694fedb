"""Signatures of everything public: editors see every argument, with its type."""

from __future__ import annotations

import inspect

import pytest

import latte_ase
import latte_ase.distillation
import latte_ase.labelling
import latte_ase.simulate
import latte_ase.testing
import latte_ase.uncertainty

PUBLIC = [
    latte_ase,
    latte_ase.labelling,
    latte_ase.distillation,
    latte_ase.simulate,
    latte_ase.testing,
    latte_ase.uncertainty,
]
SETTINGS = dict.fromkeys(("finetune", "distill"), "Unpack[TrainingSettings]")
"""Further keywords of a function, whose names and types are those of a TypedDict."""
FROM_ASE = {"LatteCalculator.set"}
"""Whose signature is ASE's."""


def functions():
    """{qualified name: function} of all public names, methods of classes among them."""
    found = {}
    for module in PUBLIC:
        for name in module.__all__:
            value = getattr(module, name)
            members = vars(value) if inspect.isclass(value) else {}
            candidates = {value.__qualname__: value} if inspect.isfunction(value) else {}
            candidates |= {
                f"{name}.{k}": getattr(f, "__func__", f) for k, f in members.items() if k[0] != "_" or k == "__init__"
            }
            found |= {
                k: f for k, f in candidates.items() if inspect.isfunction(f) and f.__module__.startswith("latte_ase")
            }
    return found


FUNCTIONS = functions()


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_argument_is_named_and_typed(name):
    parameters = inspect.signature(FUNCTIONS[name]).parameters.values()
    untyped = [p.name for p in parameters if p.annotation is p.empty and p.name not in ("self", "cls")]
    further = {p.annotation for p in parameters if p.kind is p.VAR_KEYWORD and name not in FROM_ASE}
    assert untyped == []
    assert further <= {SETTINGS.get(name)}
