"""The bar over epochs says how large the errors are."""

from __future__ import annotations

import pytest
import rich

from latte_ase.training.history import epoch_bar

ROW = {"epoch": 2, "valid_energy_rmse": 1.504, "valid_forces_rmse": 20.04, "train_forces_rmse": 9.96}


def test_the_bar_shows_epochs_and_errors(capsys, monkeypatch):
    monkeypatch.setattr(rich.get_console(), "width", 200)
    with epoch_bar("copper", 7) as show:
        show(ROW, 7)
    line = capsys.readouterr().out
    for text in ("copper", "2/7", "valid 1.50 meV/atom 20.0 meV/Å (train 10.0)"):
        assert text in line


def test_in_a_narrow_terminal_the_bar_gives_way_to_the_numbers(capsys, monkeypatch):
    monkeypatch.setattr(rich.get_console(), "width", 80)
    with epoch_bar("fine-tuning (full)", 278) as show:
        show(ROW | {"epoch": 231}, 278)
    line = capsys.readouterr().out
    for text in ("fine-tuning (full)", "231/278", "valid 1.50 meV/atom 20.0 meV/Å (train 10.0)"):
        assert text in line


def test_errors_pass_through():
    with pytest.raises(KeyboardInterrupt), epoch_bar("copper", 7):
        raise KeyboardInterrupt
