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


FILL = """
import sys
from latte_ase.io import compilation_cache
compilation_cache.prepare_command() if sys.argv[1] == "command" else compilation_cache.use_compilation_cache()
import warnings; warnings.simplefilter("error")
import jax, jax.numpy as jnp
if sys.argv[1] == "script":
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
for n in range(2, 8):
    jax.jit(lambda x: jnp.linalg.eigh(x @ x.T)[0] * n)(jnp.ones((n, n)))
"""


@pytest.mark.parametrize("who", ["command", "script"])
def test_what_was_used_least_recently_is_dropped(environment, who):
    """Also in a folder from before there was a limit, whose entries have no time of last use."""
    folder = compilation_cache.cache_folder()
    folder.mkdir(parents=True)
    (folder / "old-cache").write_bytes(bytes(40_000))
    os.utime(folder / "old-cache", (0, 0))
    environment |= {
        "JAX_COMPILATION_CACHE_MAX_SIZE": "60000",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    subprocess.run([sys.executable, "-c", FILL, who], env=environment, check=True)
    entries = list(folder.glob("*-cache"))
    assert entries and folder / "old-cache" not in entries
    assert sum(entry.stat().st_size for entry in entries) <= 60_000
    assert {e.name.replace("-cache", "-atime") for e in entries} == {e.name for e in folder.glob("*-atime")}


def test_there_is_a_limit_unless_the_user_set_one(environment):
    compilation_cache.prepare_command()
    assert environment["JAX_COMPILATION_CACHE_MAX_SIZE"] == str(compilation_cache.LARGEST_CACHE)
    code = "import jax, latte_ase; latte_ase.use_compilation_cache(); print(jax.config.jax_compilation_cache_max_size)"
    base = {k: v for k, v in environment.items() if not k.startswith("JAX_")} | {
        "PYTHONPATH": os.pathsep.join(sys.path)
    }
    for limits, expected in (({}, compilation_cache.LARGEST_CACHE), ({"JAX_COMPILATION_CACHE_MAX_SIZE": "-1"}, -1)):
        done = subprocess.run(
            [sys.executable, "-c", code], env=base | limits, capture_output=True, text=True, check=True
        )
        assert int(done.stdout) == expected
