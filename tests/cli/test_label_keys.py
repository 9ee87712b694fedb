"""`--key`: labels under names that are not ASE's."""

from __future__ import annotations

import pytest
from ase.io import read, write

from latte_ase.cli.label_keys import label_keys


def test_names_by_label():
    assert label_keys(None) is None and label_keys([]) is None
    assert label_keys(["energy=REF_energy", "forces=a=b"]) == {"energy": "REF_energy", "forces": "a=b"}
    for text in ("energy", "energy=", "=REF_energy"):
        with pytest.raises(
            ValueError, match=f"--key is '{text}'; LABEL=NAME is needed, such as --key energy=REF_energy"
        ):
            label_keys([text])
    with pytest.raises(ValueError, match="--key names energy twice, 'a' and 'b'; a label has one name"):
        label_keys(["energy=a", "energy=b"])


def test_commands_take_them(run, folder, trained, tmp_path):
    frames = read(folder / "copper.extxyz", ":")
    for atoms in frames:
        atoms.info["REF_energy"] = atoms.calc.results["energy"]
        atoms.arrays["REF_forces"] = atoms.calc.results["forces"]
        atoms.calc = None
    path = tmp_path / "renamed.extxyz"
    write(path, frames)
    told = run("evaluate", trained[0], path)
    assert told.exit_code == 1 and "--key energy=REF_energy" in told.stderr
    keys = ("--key", "energy=REF_energy", "--key", "forces=REF_forces")
    plain = run("evaluate", trained[0], folder / "copper.extxyz", "--plot", tmp_path / "a.png").stdout
    renamed = run("evaluate", trained[0], path, *keys, "--plot", tmp_path / "b.png").stdout
    numbers = [line.split()[-4:] for line in plain.splitlines() if "meV" in line]
    assert numbers and numbers == [line.split()[-4:] for line in renamed.splitlines() if "meV" in line]
    tuned = run("finetune", trained[0], path, *keys, "--out", tmp_path / "tuned", "--epochs", "1")
    assert tuned.exit_code == 0, tuned.output
