"""A distillation that is killed again and again loses no label, and one whose teacher fails now and then comes to its end."""

import random
import subprocess
import sys
import textwrap
import time

import pytest

from latte_ase.labelling import LabelDatabase

SCRIPT = """
    import random, sys, time, warnings
    from pathlib import Path

    import numpy as np
    from ase.build import bulk
    from ase.calculators.emt import EMT

    import latte_ase
    from latte_ase.distillation import comparison, exploration, pupil

    warnings.simplefilter("ignore")
    exploration.RUNS, exploration.SEGMENT, exploration.SEGMENTS = 3, 5, 4
    pupil.ROUND_EPOCHS, comparison.JUDGES, comparison.TIMED = 2, 4, 1

    class Unreliable(EMT):
        def calculate(self, *arguments):
            chance = random.random()
            if chance < 0.03:
                raise RuntimeError("did not converge")
            if chance < 0.04:
                time.sleep(1000)
            super().calculate(*arguments)
            if chance > 0.95:
                self.results["energy"] = np.nan

    seed = bulk("Cu", cubic=True)
    seed.rattle(0.05, seed=1)
    out = Path("pupil")
    settings = dict(labels=60, size="small", temperatures_K=(300.0,), epochs=3, timeout=5.0, retries=3, workers=2)
    resume = (out / "distillation.json").exists()
    if (out / "model.safetensors").exists():
        sys.exit()
    latte_ase.distill(Unreliable, [seed], out=out, resume=resume, **settings)
"""


@pytest.mark.slow
def test_twenty_kills_and_a_bad_teacher(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    database, rng, known = tmp_path / "pupil" / "labels.db", random.Random(0), {}
    for _ in range(20):
        process = subprocess.Popen([sys.executable, script], cwd=tmp_path, stdout=subprocess.DEVNULL)
        time.sleep(rng.uniform(3, 15))
        process.kill()
        process.wait()
        if database.exists():
            known = _still_there(known, LabelDatabase(database))
    subprocess.run([sys.executable, script], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    _still_there(known, LabelDatabase(database))
    assert (tmp_path / "pupil" / "model.safetensors").is_file()


def _still_there(known, database):
    """Labels by round, task and frame, each once, among them those that are known."""
    frames = database.frames()
    labels = {
        (a.info["round"], a.info["task"], a.info["frame"]): (a.positions.tobytes(), a.get_potential_energy())
        for a in frames
    }
    assert len(labels) == len(frames)
    assert known.items() <= labels.items()
    return labels
