"""The documentation site: every public name is described, every page can be reached, every link leads somewhere.

`make docs` builds it with warnings as errors; what is tested here needs no build.
"""

import ast
import importlib
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PUBLIC = [
    "latte_ase",
    "latte_ase.ase_plugin",
    "latte_ase.finetuning",
    "latte_ase.simulate",
    "latte_ase.testing",
    "latte_ase.training",
    "latte_ase.uncertainty",
]


def script(name):
    """A script of docs/ as a module."""
    spec = spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages():
    """The script that gathers the pages."""
    return script("pages")


@pytest.fixture(scope="module")
def folder(pages, tmp_path_factory):
    """All pages, as the site is built from them."""
    path = tmp_path_factory.mktemp("pages")
    pages.main(path)
    return path


def described(folder):
    """Names that the API reference describes."""
    texts = [path.read_text() for path in (folder / "reference").glob("*.md")]
    return {name for text in texts for name in re.findall(r"^::: ([\w.]+)", text, re.MULTILINE)}


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_in_the_reference(folder, module):
    named = {f"{module}.{name}" for name in importlib.import_module(module).__all__}
    elsewhere = {name for name in named if f"latte_ase.{name.rpartition('.')[2]}" in described(folder)}
    assert not named - elsewhere - described(folder)


def test_every_name_in_the_reference_exists(folder):
    for name in described(folder):
        module, _, attribute = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ImportError:
            assert hasattr(importlib.import_module(module), attribute), name


def places(entry):
    """Pages of an entry of the navigation."""
    if isinstance(entry, str):
        return [entry]
    below = entry.values() if isinstance(entry, dict) else entry
    return [place for part in below for place in places(part)]


def test_every_page_is_in_the_navigation_once(folder):
    navigation = places(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert len(navigation) == len(set(navigation))
    assert set(navigation) == {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")}


def test_links_between_pages_and_to_files_exist(folder, pages):
    for path in folder.rglob("*.md"):
        for target in pages.LINK.findall(path.read_text()):
            assert (path.parent / target).is_file(), f"{path.relative_to(folder)}: {target}"


def test_formulas_of_tutorials_are_mathml(folder):
    text = (folder / "tutorials" / "08_latte_in_plain_jax.md").read_text()
    assert text.count("<math") > 20
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    assert "$" not in prose


def constants():
    """Every constant text of the package."""
    for path in (ROOT / "latte_ase").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_the_table_of_settings_is_up_to_date():
    made = script("make_settings")
    assert made.PAGE.read_text() == made.page(), "run python docs/make_settings.py"


def test_messages_in_troubleshooting_are_those_of_the_package():
    text = (ROOT / "docs" / "howto" / "troubleshooting.md").read_text()
    messages = re.findall(r"^### `(.+)`$", text, re.MULTILINE)
    assert len(messages) > 10
    known = "\n".join(constants())
    assert not [message for message in messages if message not in known]


def test_the_picture_of_the_rooms_is_that_of_the_code():
    rooms = script("rooms")
    assert rooms.PICTURE.read_text() == rooms.picture(), "run python docs/rooms.py"


def test_no_arrow_of_the_picture_runs_back():
    assert 'class="back"' not in script("rooms").picture()
