"""`latte-ase models`."""

from latte_ase import list_models


def test_every_shipped_model_is_listed(run):
    result = run("models")
    assert result.exit_code == 0
    assert all(name in result.stdout for name in list_models())
