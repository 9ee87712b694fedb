"""`latte-ase train`."""


def test_train_and_resume(run, folder, trained):
    out, printed = trained
    assert "best epoch" in printed and (out / "model.safetensors").is_file()
    again = run("train", folder / "tiny.toml", "--data", folder, "--out", out, "--resume")
    assert again.exit_code == 0, again.output
