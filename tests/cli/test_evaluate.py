"""`latte-ase evaluate`."""


def test_errors_are_printed_and_drawn(run, folder, trained, tmp_path):
    evaluated = run("evaluate", trained[0], folder / "copper.extxyz", "--plot", tmp_path / "parity.png")
    assert evaluated.exit_code == 0, evaluated.output
    assert "forces on Cu" in evaluated.stdout and "meV/atom" in evaluated.stdout
    assert (tmp_path / "parity.png").is_file()
