"""Training that is killed, or runs out of disk, goes on to the numbers of the run that was not."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from latte_ase import load_model
from latte_ase.io.model_file import flatten
from latte_ase.training import fit, train

KILLS = 30
EPOCHS = 6


@pytest.fixture(scope="module")
def steps():
    """Compiled training steps by architecture and configuration."""
    return {}


@pytest.fixture
def compile_once(steps, monkeypatch):
    """Every call of `train` compiles its step; here all of one configuration share it."""
    made = fit.make_step

    def once(architecture, transformation, config, **keywords):
        step = made(architecture, transformation, config, **keywords)
        return steps.setdefault((architecture, config), step)

    monkeypatch.setattr(fit, "make_step", once)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    """Function epochs -> configuration: two alloys for training, one held out, a tiny potential."""
    frames = []
    for seed, symbols in enumerate(["CuAlAlCu", "Cu2Al2", "CuAl3"]):
        atoms = bulk("Cu", cubic=True, a=3.8)
        atoms.symbols = symbols
        atoms.rattle(0.15, seed=seed)
        atoms.calc = EMT()
        atoms.calc = SinglePointCalculator(atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
        frames.append(atoms)
    path = tmp_path_factory.mktemp("data") / "alloys.xyz"
    write(path, frames)
    return lambda epochs: {
        "model": {"name": "tiny", "contractions": "2,-:2,a,a", "cutoff": 3.0, "max_width": 1.5, "hidden": [4]},
        "data": {"train": str(path), "valid_fraction": 1 / 3},
        "training": {"epochs": epochs, "batch_size": 1, "rate": 0.02, "ema": 0.9},
    }


def assert_same_run(folder, other):
    """The same model in every bit, the same history but for the seconds, and nothing left lying about."""
    a, b = (flatten(load_model(f).params) for f in (folder, other))
    assert a.keys() == b.keys()
    for name in a:
        assert (a[name].dtype, a[name].tobytes()) == (b[name].dtype, b[name].tobytes()), name
    rows = [[line.rpartition(",")[0] for line in (f / "metrics.csv").read_text().splitlines()] for f in (folder, other)]
    assert rows[0] == rows[1]
    assert sorted(os.listdir(folder)) == ["checkpoint.safetensors", "metrics.csv", "model.safetensors"]


class Killed(BaseException):
    """Stands for SIGKILL: nothing is cleaned up, see `dying`."""


def dying(monkeypatch, *, step, file, writing):
    """Die in `step` of the `writing`-th writing of `file`."""
    count, current = 0, ""

    def die():
        monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # the dead clean nothing up
        raise Killed

    def begin(path, mode="r", *args, opened=Path.open, **kwargs):
        nonlocal count, current
        if "x" in mode:
            current = path.name
            count += current.startswith(f".{file}.")
            if step == "write" and current.startswith(f".{file}.") and count == writing:
                path.write_bytes(b"half of it")
                die()
        return opened(path, mode, *args, **kwargs)

    done = getattr(os, step, None)

    def go_on(*args):
        if current.startswith(f".{file}.") and count == writing:
            die()
        return done(*args)

    monkeypatch.setattr(Path, "open", begin)
    if step != "write":
        monkeypatch.setattr(os, step, go_on)


@pytest.fixture
def whole(recipe, compile_once, tmp_path):
    """The configuration and the folder of a run that was not killed."""
    train(recipe(EPOCHS), out=tmp_path / "whole", report=lambda *_: None)
    return recipe(EPOCHS), tmp_path / "whole"


def test_a_run_killed_in_every_step_of_writing_ends_as_one_that_was_not(whole, tmp_path, monkeypatch):
    (config, expected), folder, epochs = whole, tmp_path / "killed", []

    def report(row, _):
        epochs.append(row["epoch"])

    moments = [("checkpoint.safetensors", step, 2) for step in ("write", "fsync", "replace")]
    moments += [("metrics.csv", step, 2) for step in ("write", "replace")]
    moments += [("model.safetensors", step, 1) for step in ("write", "replace")]
    for file, step, writing in moments:
        with monkeypatch.context() as patch:
            dying(patch, step=step, file=file, writing=writing)
            with pytest.raises(Killed):
                train(config, out=folder, resume=folder.exists(), report=report)
        assert [p.name.startswith(f".{file}.") for p in folder.glob(".*")] == [True], (file, step)
    train(config, out=folder, resume=True, report=report)
    assert_same_run(folder, expected)
    assert epochs == [1, 2, 3, 6]  # 4 and 5 were saved, and killed before they were reported


def test_a_kill_between_the_last_checkpoint_and_its_table_leaves_a_complete_table(whole, tmp_path, monkeypatch):
    (config, expected), folder = whole, tmp_path / "killed"
    with monkeypatch.context() as patch:
        dying(patch, step="write", file="metrics.csv", writing=EPOCHS)
        with pytest.raises(Killed):
            train(config, out=folder, report=lambda *_: None)
    assert len((folder / "metrics.csv").read_text().splitlines()) == EPOCHS  # one of them is the head
    train(config, out=folder, resume=True, report=lambda *_: None)
    assert_same_run(folder, expected)


def test_a_full_disk_ends_training_with_advice_and_keeps_the_checkpoint(whole, tmp_path, monkeypatch):
    (config, expected), folder, seen = whole, tmp_path / "full", []

    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        with pytest.raises(OSError, match=FULL) as caught:
            train(config, out=folder, report=lambda row, _: row["epoch"] == 2 and patch.setattr(os, "fsync", full))
        assert caught.value.errno == errno.ENOSPC
    assert sorted(os.listdir(folder)) == ["checkpoint.safetensors", "metrics.csv"]
    train(config, out=folder, resume=True, report=lambda row, _: seen.append(row["epoch"]))
    assert seen == list(range(3, EPOCHS + 1))
    assert_same_run(folder, expected)


FULL = (
    r"checkpoint\.safetensors \([\d.e-]+ MiB\) could not be written: (No space left on device|File too large); the file "
    r"that was there is unchanged\. Free space on that disk, .* run again\. Training then goes on from the last "
    r"checkpoint with resume=True"
)

SCRIPT = """
import json, os, sys
from latte_ase.training import train
config, out = sys.argv[1:]
resume = os.path.exists(os.path.join(out, "checkpoint.safetensors"))
train(json.loads(config), out=out, resume=resume, report=lambda row, _: print(row["epoch"], flush=True))
"""


@pytest.fixture
def start(tmp_path):
    """Function (configuration, folder, **options of Popen) -> process that trains or resumes, and prints epochs."""
    environment = os.environ | {  # a cache of its own: a killed process may leave half a file in it
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }

    def started(config, folder, **options):
        command = [sys.executable, "-c", SCRIPT, json.dumps(config), str(folder)]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment} | options
        return subprocess.Popen(command, **options)

    return started


def finish(process):
    """Its epochs; fails with what it said if it did not end well."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return [int(line) for line in out.split()]


@pytest.mark.slow  # 930 s on two cores with five other jobs
@pytest.mark.timeout(1800)
def test_a_run_killed_30_times_ends_as_one_that_was_not(recipe, start, tmp_path):
    config, rng = recipe(1500), np.random.default_rng(0)
    assert finish(start(config, tmp_path / "whole"))[-1] == 1500
    folder, reached, during_start, leftovers = tmp_path / "killed", [], 0, 0
    for kill in range(KILLS):
        process = start(config, folder)
        if kill % 5 == 0:  # any time, mostly while Python starts, reads data and compiles
            time.sleep(rng.uniform(0, 6))
        else:  # among the epochs, of a few milliseconds each
            assert process.stdout.readline(), process.stderr.read()
            time.sleep(rng.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        seen = process.communicate()[0].split()
        assert process.returncode == -signal.SIGKILL, "it ended before it was killed: more epochs are needed"
        during_start += not seen and kill % 5 == 0
        leftovers += len(list(folder.glob(".*"))) if folder.exists() else 0
        reached.append(int(seen[-1]) if seen else None)
    print(f"epochs reached: {reached}; {during_start} kills before the first epoch, {leftovers} inside a writing")
    epochs = finish(start(config, folder))
    assert epochs == list(range(epochs[0], 1501))
    assert epochs[0] > KILLS  # the killed runs did the rest
    assert_same_run(folder, tmp_path / "whole")


@pytest.mark.slow  # 160 s, likewise
def test_a_file_that_may_grow_no_further(recipe, start, tmp_path):
    """The checkpoint grows with its history until the system refuses, as it does where a disk is full."""
    config, folder, limit = recipe(300), tmp_path / "full", (40_000, 40_000)
    finish(start(config, tmp_path / "whole"))
    process = start(config, folder, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1
    assert re.search("OSError.*" + FULL, err), err
    seen = [int(line) for line in out.split()]
    assert 0 < seen[-1] < 300
    assert finish(start(config, folder)) == list(range(seen[-1] + 1, 301))
    assert_same_run(folder, tmp_path / "whole")
