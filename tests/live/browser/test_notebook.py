"""A session in JupyterLab: its page moves and pulls while a cell runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from time import monotonic, sleep

import pytest

pytest.importorskip("jupyterlab", reason="needs the package jupyterlab")
pytestmark = pytest.mark.browser

SHOW = """
import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from latte_ase.live import live

class Free(Calculator):
    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(self.atoms), 3))}

session = live(Atoms("C3", positions=[[1.5 * k, 0, 0] for k in range(3)]), Free(), temperature_K=0)
session
"""

BUSY = """
import time
began, pulled = time.monotonic(), 0.0
while time.monotonic() < began + 10 or (not pulled and time.monotonic() < began + 60):
    forces = session.frame.pull_forces
    pulled = max(pulled, float(np.abs(forces).max()) if len(forces) else 0.0)
    time.sleep(0.01)
print("the cell has ended;", f"atoms were pulled by {pulled} eV/A" if pulled else "nothing was pulled")
"""


def notebook(cells):
    """Content of a notebook file."""
    code = [
        {"cell_type": "code", "id": f"c{k}", "metadata": {}, "source": text, "outputs": [], "execution_count": None}
        for k, text in enumerate(cells)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": code, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def lab(tmp_path):
    """Address of a JupyterLab with the notebook live.ipynb."""
    (tmp_path / "live.ipynb").write_text(notebook([SHOW, BUSY]))
    folders = {f"JUPYTER_{name}_DIR": str(tmp_path / name.lower()) for name in ("CONFIG", "RUNTIME", "DATA")}
    root = Path(__file__).parents[3]
    environment = os.environ | folders | {"PYTHONPATH": str(root), "IPYTHONDIR": str(tmp_path / "ipython")}
    options = ["--no-browser", "--allow-root", "--port=0", "--ip=127.0.0.1", "--IdentityProvider.token=test"]
    with open(tmp_path / "lab.log", "w") as log:
        command = [sys.executable, "-m", "jupyterlab", *options, "--LabApp.news_url=None"]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        yield address(tmp_path, process)
    finally:
        process.terminate()
        process.wait(60)


def address(folder, process):
    """Address of the server, once it answers."""
    end = monotonic() + 120
    while monotonic() < end:
        assert process.poll() is None, (folder / "lab.log").read_text()
        for file in (folder / "runtime").glob("jpserver-*.json"):
            url = json.loads(file.read_text())["url"]
            urllib.request.urlopen(f"{url}api?token=test", timeout=30).close()
            return url
        sleep(0.2)
    raise TimeoutError((folder / "lab.log").read_text())


def test_an_atom_is_dragged_while_a_cell_runs(lab, browser, shown_in):
    tab = browser.new_page(viewport={"width": 1300, "height": 900})
    tab.goto(f"{lab}lab/tree/live.ipynb?token=test&reset")
    tab.get_by_text("import numpy as np").first.click(timeout=120_000)
    tab.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=120_000)
    tab.keyboard.press("Shift+Enter")
    page = shown_in(tab)
    tab.locator(".latte-live").scroll_into_view_if_needed()
    page.until("viewer.steers && !viewer.closed")
    tab.keyboard.press("Shift+Enter")  # the busy cell
    tab.get_by_text("Python 3 (ipykernel) | Busy").wait_for(timeout=30_000)
    tab.locator(".latte-live canvas.drawing").hover()
    x, y = page.place(2)
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x + 40, y - 50, steps=6)
    page.until("viewer.frame.pulls.length === 1 && viewer.frame.pulls[0].atom === 2")
    tab.wait_for_timeout(300)
    tab.mouse.up()
    cells = tab.locator(".jp-Notebook .jp-Cell").count()
    tab.keyboard.press("a")  # JupyterLab would add a cell
    tab.wait_for_function("document.activeElement.getAttribute('aria-label') === 'element or molecule to add'")
    assert tab.locator(".jp-Notebook .jp-Cell").count() == cells
    said = tab.locator(".jp-OutputArea-output", has_text="the cell has ended")
    said.wait_for(timeout=90_000)
    assert "atoms were pulled" in said.inner_text()
    tab.close()
