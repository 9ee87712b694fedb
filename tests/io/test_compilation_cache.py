"""The cache of compiled functions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from latte_ase.io import compilation_cache

SCRIPT = """
import sys, jax, latte_ase
latte_ase.use_compilation_cache(sys.argv[1])
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name.endswith("/cache_hits")))
from ase.build import bulk
atoms = bulk("Si")
atoms.calc = latte_ase.LatteCalculator.from_pretrained("latte-si")
print(repr(atoms.get_potential_energy()), sum(hits))
"""


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """The environment of a command, of which nothing stays."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    monkeypatch.setattr(os, "environ", kept | {"XDG_CACHE_HOME": str(tmp_path)})
    return os.environ


def test_the_second_process_finds_what_the_first_one_compiled(tmp_path):
    folder = tmp_path / "new" / "cache"
    lines = []
    for _ in range(2):
        command = [sys.executable, "-c", SCRIPT, str(folder)]
        lines.append(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
    (energy, found), (again, found_again) = lines
    assert found == "0"
    assert int(found_again) > 0
    assert again == energy
    assert list(folder.iterdir())


def test_a_command_keeps_compiled_functions_in_the_users_cache(environment, tmp_path):
    environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "2"
    compilation_cache.prepare_command()
    assert (
        Path(environment["JAX_COMPILATION_CACHE_DIR"])
        == tmp_path / "latte_ase" / "compiled"
        == compilation_cache.cache_folder()
    )
    assert compilation_cache.cache_folder().is_dir()
    assert environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] == "2"  # the user's


@pytest.mark.parametrize("already", ["", "/elsewhere"])
def test_a_command_leaves_the_users_own_cache_alone(environment, already):
    environment["JAX_COMPILATION_CACHE_DIR"] = already
    compilation_cache.prepare_command()
    assert environment["JAX_COMPILATION_CACHE_DIR"] == already
    assert not compilation_cache.cache_folder().exists()


def test_without_a_place_to_write_a_command_runs_without_cache(environment, tmp_path):
    (tmp_path / "file").write_text("")
    environment["XDG_CACHE_HOME"] = str(tmp_path / "file")
    compilation_cache.prepare_command()
    assert "JAX_COMPILATION_CACHE_DIR" not in environment
