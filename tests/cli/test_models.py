"""`latte-ase models`."""

from dataclasses import replace

import latte_ase
from latte_ase import list_models


def test_every_shipped_model_is_listed(run):
    result = run("models")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in list_models())


def test_general_models_come_first(run, monkeypatch, tiny_potential):
    potentials = {
        "a-crystal": tiny_potential("latte", ("H", "O")),
        "molecules": replace(tiny_potential(), metadata={"general": "molecules", "level_of_theory": "PBE0"}),
    }
    monkeypatch.setattr(latte_ase, "list_models", lambda: list(potentials), raising=False)
    monkeypatch.setattr(latte_ase, "load_model", potentials.__getitem__, raising=False)
    lines = run("models").stdout.splitlines()
    assert [line.rstrip() for line in lines] == [
        "General models:",
        "  molecules  H O  PBE0",
        "Models of one system:",
        "  a-crystal  H O",
    ]
