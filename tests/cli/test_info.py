"""`latte-ase info`."""


def test_info_prints_the_architecture(run):
    result = run("info", "latte-si")
    assert result.exit_code == 0
    assert '"elements"' in result.stdout and "PBE" in result.stdout
