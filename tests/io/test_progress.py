"""The bar says how far something is, and what is to be told of it."""

from __future__ import annotations

import pytest
import rich

from latte_ase.io.progress import progress_bar


@pytest.mark.parametrize("width", [200, 80])
def test_title_numbers_and_text_are_shown_whatever_the_width(capsys, monkeypatch, width):
    monkeypatch.setattr(rich.get_console(), "width", width)
    with progress_bar("dynamics at 300 K", 1000, done=20) as move:
        move(120, "1.25 ns/day on two cores")
    line = capsys.readouterr().out
    for text in ("dynamics at 300 K", "120/1000", "1.25 ns/day on two cores"):
        assert text in line


def test_what_was_done_before_counts(capsys, monkeypatch):
    monkeypatch.setattr(rich.get_console(), "width", 80)
    with progress_bar("dynamics", 1000, done=20):
        pass
    assert "20/1000" in capsys.readouterr().out


def test_errors_pass_through(capsys):
    with pytest.raises(KeyboardInterrupt), progress_bar("dynamics", 3):
        raise KeyboardInterrupt
