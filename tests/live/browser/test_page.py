"""What a person sees and does on the page: atoms as spheres, a pull by the mouse, clicks, keys."""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from matplotlib.image import imread
from scipy import ndimage

pytestmark = pytest.mark.browser


@pytest.fixture
def grid(springs):
    """Twelve oxygen atoms, far from each other."""
    return Atoms("O12", positions=[[3.5 * i, 3.5 * j, 0] for i in range(4) for j in range(3)], calculator=springs())


def spheres(page):
    """Number of separate red areas of the drawing."""
    picture = imread(BytesIO(page.tab.locator("canvas.drawing").screenshot()))[..., :3]
    red, green, blue = np.moveaxis(picture, -1, 0)
    areas, count = ndimage.label((red > 0.45) & (green < 0.3) & (blue < 0.3))
    return sum(np.bincount(areas.ravel())[1:] > 100) if count else 0


def test_there_are_as_many_spheres_as_atoms(grid, start, show):
    session = start(grid, paused=True)
    page = show(session)
    page.value("viewer.setOption('bonds', false)")
    page.until("viewer.drawn.length > 0")
    assert spheres(page) == 12
    session.delete([5])
    page.until("viewer.structure.radii.length === 11")
    page.drawn()
    assert spheres(page) == 11


def test_a_drag_pulls_the_atom_under_the_mouse_by_a_force_alone(chain, start, show):
    session = start(chain, paused=True, temperature_K=0.0)
    page = show(session)
    before = session.atoms.positions
    x, y = page.place(3)
    mouse = page.tab.mouse
    mouse.move(x, y)
    mouse.down()
    mouse.move(x + 50, y - 60, steps=6)
    page.until("viewer.grip.target !== null")
    page.drawn()
    np.testing.assert_array_equal(session.atoms.positions, before)  # time stands still: there is nothing but a force
    session.play()
    page.until("viewer.frame.pulls.length === 1")
    (pull,) = session.frame.pulls
    assert pull.atom == 3
    target = page.value(f"viewer.camera.project({pull.target.tolist()})")
    drawing = page.tab.locator("canvas.drawing").bounding_box()
    assert drawing["x"] + target["x"] == pytest.approx(x + 50, abs=1)  # pixel: the target is under the mouse
    assert drawing["y"] + target["y"] == pytest.approx(y - 60, abs=1)
    assert "eV/Å" in page.tab.locator(".labels .force").inner_text()
    there = "Math.hypot(...[0, 1, 2].map((k) => viewer.positions[9 + k] - viewer.grip.target[k]))"
    page.until(f"{there} < {0.5 * np.linalg.norm(before[3] - pull.target)}")
    mouse.up()
    page.until("viewer.frame.pulls.length === 0")
    assert session.frame.pulls == ()


def test_clicks_select_and_measure(chain, start, show):
    page = show(start(chain, paused=True))
    for atom in (0, 1):
        page.tab.keyboard.down("Shift")
        page.tab.mouse.click(*page.place(atom))
        page.tab.keyboard.up("Shift")
    assert page.value("viewer.selection") == [0, 1]
    assert "distance 1.500 Å" in page.tab.locator(".measured").inner_text()


def test_keys_step_fix_and_delete(chain, start, show):
    session = start(chain, paused=True)
    page = show(session)
    page.tab.locator("canvas.drawing").focus()
    for key in ("n", "f"):
        page.tab.keyboard.press(key)
    page.until("viewer.structure.fixed.length === 1")
    time = session.frame.time_fs
    page.tab.keyboard.press(".")
    page.until(f"viewer.frame.time > {time}")
    page.tab.keyboard.press("Delete")
    page.until("viewer.structure.radii.length === 3")


def test_an_atom_is_added_where_one_clicks(chain, start, show):
    session = start(chain, paused=True)
    page = show(session)
    page.tab.get_by_label("element or molecule to add").fill("H2O")
    page.tab.get_by_role("button", name="Place").click()
    drawing = page.tab.locator("canvas.drawing").bounding_box()
    page.tab.mouse.click(drawing["x"] + 200, drawing["y"] + 150)
    page.until("viewer.structure.radii.length === 7")
    assert session.atoms.get_chemical_formula() == "C4H2O"


def test_a_second_page_watches_until_it_may_steer(chain, start, show):
    session = start(chain)
    first, second = show(session), show(session)
    assert first.value("viewer.steers") and not second.value("viewer.steers")
    assert second.tab.get_by_role("button", name="Take the wheel").is_visible()


class Free(Calculator):
    """Atoms without forces: what takes time is the page."""

    implemented_properties = ("energy", "forces")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(self.atoms), 3))}


def processor_seconds():
    """Processor time of all processes of the browser."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, numbers = stat.read_text().split("(", 1)[1].rsplit(")", 1)
        except OSError:  # it has ended
            continue
        ticks += sum(map(int, numbers.split()[11:13])) if "chrom" in name else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def test_a_thousand_atoms_take_a_tenth_of_a_second_of_a_processor_or_of_a_clock(start, show):
    page = show(start(bulk("Si", cubic=True, a=5.43) * (5, 5, 5), Free(), mode="nve"))
    page.value("(viewer.always = () => { viewer.changed(); requestAnimationFrame(viewer.always); })()")
    rates = []
    for _ in range(3):
        frames, began, used = page.value("viewer.pictures"), monotonic(), processor_seconds()
        page.tab.wait_for_timeout(3000)
        # other processes may keep the browser from its processors: that time does not count
        seconds = min(monotonic() - began, processor_seconds() - used)
        rates.append((page.value("viewer.pictures") - frames) / seconds)
    assert max(rates) > 10
