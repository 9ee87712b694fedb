"""Chromium, headless and without a graphics card, driven by Playwright; without Chromium the tests here are skipped."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
"""Containers have no sandbox to offer; SwiftShader draws on the CPU."""

PAGE = "document.querySelector('.latte-live')?.page"
"""The page object, in JavaScript."""


@pytest.fixture(scope="session")
def browser():
    """The browser."""
    sync_playwright = pytest.importorskip("playwright.sync_api", reason="needs the package playwright").sync_playwright
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        path = next(filter(None, map(shutil.which, NAMES)), own if Path(own).is_file() else None)
        if path is None:
            pytest.skip("there is no Chromium; on Debian: apt install chromium")
        running = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield running
        running.close()


class LivePage:
    """A page that shows a simulation, where it is opened or inside another one."""

    def __init__(self, tab):
        self.tab = tab
        tab.wait_for_function(f"() => {PAGE}?.viewer?.frame", timeout=120_000)

    def value(self, expression):
        """Value of an expression in JavaScript, in which `viewer` is the page's viewer."""
        return self.tab.evaluate(_function(expression))

    def until(self, expression, timeout=30):
        """Wait until an expression is true."""
        self.tab.wait_for_function(_function(expression), timeout=1000 * timeout)

    def drawn(self):
        """Wait until two more pictures were drawn."""
        self.tab.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def place(self, atom):
        """(x, y) of an atom in the window, in pixels."""
        drawing = self.tab.locator(".latte-live canvas.drawing").bounding_box()
        at = self.value(f"viewer.screen({atom})")
        return drawing["x"] + at["x"], drawing["y"] + at["y"]


def _function(expression):
    return f"() => {{ const viewer = {PAGE}.viewer; return {expression}; }}"


@pytest.fixture
def shown_in():
    """Function (tab) -> LivePage, once the tab shows one."""
    return LivePage


@pytest.fixture
def show(browser):
    """Function (session) -> LivePage, which closes with the test; errors of the page are those of the test."""
    tabs, errors = [], []

    def opened(session, width=1200, height=760):
        tab = browser.new_page(viewport={"width": width, "height": height})
        tab.on("pageerror", lambda error: errors.append(error))
        tabs.append(tab)
        tab.goto(session.serve())
        return LivePage(tab)

    yield opened
    for tab in tabs:
        tab.close()
    assert not errors
