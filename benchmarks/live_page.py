"""The page of a live simulation: pictures and steps per second, and the time from the mouse to the force.

python benchmarks/live_page.py

Liquid water and copper of 9, 192, 1 000 and 10 000 atoms, in headless Chromium without a graphics card (Playwright), on the same cores as the
simulation.  An atom is dragged to and fro; a latency is the time from an event of the mouse in the page to the arrival of the first frame in
which the atom is pulled to where that event was.
"""

from __future__ import annotations

import argparse
import shutil
from time import monotonic

import numpy as np
from ase import Atoms
from ase.build import bulk, molecule
from playwright.sync_api import Page, sync_playwright

from latte_ase import LatteCalculator
from latte_ase.live import Session, live

FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
VIEWER = "document.querySelector('.latte-live').page.viewer"


def structures() -> dict[int, tuple[Atoms, str]]:
    """{number of atoms: (structure, model)}."""
    water = molecule("H2O", cell=[3.104] * 3, pbc=True)
    copper = bulk("Cu", cubic=True, a=3.63)
    return {
        9: (water * (3, 1, 1), "latte-water"),
        192: (water * (4, 4, 4), "latte-water"),
        1008: (copper * (6, 6, 7), "latte-cu"),
        10140: (copper * (13, 13, 15), "latte-cu"),
    }


def measure(page: Page, session: Session, seconds: float) -> tuple[float, np.ndarray]:
    """Pictures per second, and latencies in milliseconds, of a drag that lasts so long."""
    session.pause()  # the mouse does not miss the atom
    page.wait_for_timeout(1000)
    at = page.evaluate(
        f"{VIEWER}.screen({VIEWER}.pick({VIEWER}.camera.width / 2, {VIEWER}.camera.height / 2)?.atom ?? 0)"
    )
    x, y = at["x"], at["y"]
    page.mouse.move(x, y)
    page.mouse.down()
    session.play()
    page.evaluate(f"() => {{ {VIEWER}.pictures = 0; {VIEWER}.latencies = []; }}")
    start, k = monotonic(), 0
    while monotonic() < start + seconds:
        k += 1
        page.mouse.move(x + 40 * np.sin(0.3 * k), y + 20 * np.cos(0.3 * k))
        page.wait_for_timeout(30)
    pictures = page.evaluate(f"{VIEWER}.pictures") / (monotonic() - start)
    page.mouse.up()
    return pictures, np.array(page.evaluate(f"{VIEWER}.latencies"))


def main(sizes: list[int], seconds: float) -> None:
    """Print a row of a table for each size."""
    print(
        "| atoms | model | steps/s | pictures/s | latency, median (ms) | 95 % (ms) |\n| --- | --- | --- | --- | --- | --- |"
    )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
        for size in sizes:
            atoms, model = structures()[size]
            with live(atoms, LatteCalculator.from_pretrained(model), seed=1) as session:
                page = browser.new_page(viewport={"width": 1200, "height": 760})
                page.goto(session.serve())
                page.wait_for_function(f"{VIEWER}?.frame", timeout=300_000)
                page.wait_for_timeout(3000)  # fewer pixels are drawn after some slow pictures
                pictures, latencies = measure(page, session, seconds)
                steps = session.status["steps_per_second"]
                median, most = np.percentile(latencies, (50, 95)) if len(latencies) else (np.nan, np.nan)
                print(f"| {size} | {model} | {steps:.0f} | {pictures:.0f} | {median:.0f} | {most:.0f} |", flush=True)
                page.close()
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--sizes", default="9,192,1008,10140")
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    main([int(size) for size in given.sizes.split(",")], given.seconds)
