"""`latte-ase evaluate`."""

from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write


def test_errors_are_printed_and_drawn(run, folder, trained, tmp_path):
    evaluated = run("evaluate", trained[0], folder / "copper.extxyz", "--plot", tmp_path / "parity.png")
    assert evaluated.exit_code == 0, evaluated.output
    assert "forces on Cu" in evaluated.stdout and "meV/atom" in evaluated.stdout
    assert (tmp_path / "parity.png").is_file()


def test_energies_alone_are_compared_as_the_message_says(run, folder, trained, tmp_path):
    frames = read(folder / "copper.extxyz", ":")
    for atoms in frames:
        atoms.calc = SinglePointCalculator(atoms, energy=atoms.get_potential_energy())
    write(tmp_path / "energies.extxyz", frames)
    refused = run("evaluate", trained[0], tmp_path / "energies.extxyz")
    assert refused.exit_code == 1 and "Or leave it out: labels=... (--labels)" in refused.output
    found = run("evaluate", trained[0], f"{tmp_path / 'energies.extxyz'}@:2", "--labels", "energy")
    assert found.exit_code == 0, found.output
    assert "energy of 2 frames" in found.stdout and "forces" not in found.stdout
    tuned = run("finetune", trained[0], tmp_path / "energies.extxyz", "--out", tmp_path / "ft", "--epochs", "1")
    assert tuned.exit_code == 1 and "--force-weight 0" in tuned.output
    options = ("--epochs", "1", "--force-weight", "0")
    tuned = run("finetune", trained[0], tmp_path / "energies.extxyz", "--out", tmp_path / "ft", *options)
    assert tuned.exit_code == 0, tuned.output
