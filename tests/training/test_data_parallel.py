"""Two devices, which are virtual ones of a CPU in a process of its own, train to the numbers of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from latte_ase.training.config import TrainingConfig
from latte_ase.training.data_parallel import find_devices
from latte_ase.training.identity import lasting

TOLERANCE = 1e-4
SCRIPT = """
import json, sys
import jax, numpy as np
from latte_ase.training import train
from latte_ase.io.model_file import flatten

base, out = json.loads(sys.argv[1]), sys.argv[2]

def run(name, stop=None, resume=False, **training):
    def report(row, epochs):
        if row["epoch"] == stop:
            raise KeyboardInterrupt
    config = base | {"training": base["training"] | training}
    try:
        found = train(config, out=f"{out}/{name}", resume=resume, report=report)
    except KeyboardInterrupt:
        return None
    numbers = [value for row in found.history for key, value in row.items() if key != "seconds"]
    return numbers, np.concatenate([a.ravel() for a in flatten(found.potential.params).values()]).tolist()

made = {"count": jax.device_count(), "one": run("one"), "two": run("two", devices=2)}
run("resumed", stop=2, devices="all")
made["resumed"] = run("resumed", resume=True, devices=2)
run("changed", stop=2, devices=1)
made["changed"] = run("changed", resume=True, devices=2)
made["by atoms"] = [run(f"atoms{n}", batch_atoms=32, devices=n) for n in (1, 2)]
print(json.dumps(made))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Histories and parameters of trainings on one and on two devices."""
    folder, frames = tmp_path_factory.mktemp("parallel"), []
    for seed in range(8):
        atoms = bulk("Cu", cubic=True, a=3.8) if seed % 3 else molecule("O2")
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        atoms.info["weight"] = 1.0 + seed % 2
        atoms.calc = SinglePointCalculator(atoms, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
        frames.append(atoms)
    write(folder / "frames.xyz", frames)
    config = {
        "model": {"name": "tiny", "contractions": "2,-:2,a,a", "cutoff": 3.0, "max_width": 1.5, "hidden": [4]},
        "data": {"train": str(folder / "frames.xyz"), "valid_fraction": 3 / 8, "trust_labels": True},
        "training": {"epochs": 4, "batch_size": 3, "rate": 0.01, "ema": 0.9},
    }
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(config), str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_two_devices_train_to_the_numbers_of_one(found):
    """But for the order of sums in float32, which is 1e-7 in a step and grows in eight or more of them.

    Errors are compared: the last bias has no gradient but rounding, of which Adam makes updates.
    """
    assert found["count"] == 2
    for (one, _), (two, _) in ((found["one"], found["two"]), found["by atoms"]):
        np.testing.assert_allclose(two, one, rtol=TOLERANCE)
    assert not np.allclose(found["one"][0], found["by atoms"][0][0], rtol=TOLERANCE)  # as other batches do


def test_a_resumed_run_has_the_numbers_of_an_uninterrupted_one(found):
    assert found["resumed"] == found["two"]


def test_a_run_goes_on_with_another_number_of_devices(found):
    np.testing.assert_allclose(found["changed"][0], found["one"][0], rtol=TOLERANCE)


def test_the_number_of_devices_is_no_setting_that_must_last_unless_each_draws_its_own_numbers():
    assert lasting(TrainingConfig(devices=2)) == lasting(TrainingConfig())
    with_draws = [lasting(TrainingConfig(taylor_weight=1.0, devices=n)) for n in (1, 2)]
    assert with_draws[0] != with_draws[1]
    assert lasting(TrainingConfig(batch_atoms=99)) != lasting(TrainingConfig())


def test_more_devices_than_there_are_is_told():
    message = r'devices is 99, but JAX sees \d+ \(.*\)\. Set it to \d+ or "all"; the cores of a CPU are 99 devices where Python'
    with pytest.raises(ValueError, match=message):
        find_devices(99)
    assert find_devices(1).count == 1


@pytest.mark.parametrize("devices", [0, "many", True, 1.5])
def test_another_number_of_devices_is_refused(devices):
    with pytest.raises(ValueError, match=r'devices is .*; a whole number of 1 or more, or "all", is needed'):
        TrainingConfig(devices=devices)
