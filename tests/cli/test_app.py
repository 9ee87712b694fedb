"""The command line as a whole: it starts quickly, and mistakes end with one line."""

import subprocess
import sys

import pytest

from latte_ase.cli.app import COMMANDS


def test_help_imports_nothing_slow():
    code = "import sys, latte_ase.cli.app; print({'jax', 'ase', 'numpy'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_python_m_is_the_command():
    done = subprocess.run([sys.executable, "-m", "latte_ase.cli", "--help"], capture_output=True, text=True, check=True)
    assert all(command.__name__ in done.stdout for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("info", "latte-watr"), "There is no model 'latte-watr'. Did you mean 'latte-water'?"),
        (("train", "nothing.toml"), "There is no configuration file nothing.toml"),
        (("evaluate", "latte-si", "nothing.extxyz"), "There is no file nothing.extxyz"),
        (("finetune", "latte-si", "nothing.extxyz", "--out", "x"), "There is no file nothing.extxyz"),
        (("evaluate", "latte-si", "strange.foo"), "ASE does not know the type of this file (foo)."),
        (
            ("uncertainty", "latte-si", "x.xyz", "--held-out", "x.xyz", "--out", "."),
            ". is a folder; give the name of a file",
        ),
    ],
)
def test_mistakes_end_with_one_line(arguments, message, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "strange.foo").write_bytes(b"\x00\x01strange")
    result = run(*arguments)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert message in result.output
    assert "Traceback" not in result.output
