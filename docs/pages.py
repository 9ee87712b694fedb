"""The pages of the documentation site, gathered from the repository into one folder of Markdown.

    python docs/pages.py FOLDER

Beside docs/ these are README, CONTRIBUTING, CHANGELOG, the cards of the models, the tutorials, and the developer
reference: one page for each folder of the package.  In the repository, Markdown links files by their place in the
repository.  In FOLDER a link to a file that has a page leads to that page, and any other file that is linked is copied.
The site is built from FOLDER, see `mkdocs.yml`.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from os.path import normpath, relpath
from pathlib import Path
from posixpath import dirname, join

from latex2mathml.converter import convert

ROOT = Path(__file__).parents[1]
DISPLAYED, INLINE = re.compile(r"\$\$(.+?)\$\$", re.DOTALL), re.compile(r"\$([^$]+)\$")
"""Formulas in TeX."""
BOLD = re.compile(r'<mi mathvariant="bold">([A-Za-z])</mi>')
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "models": "howto/model.md",
    "tutorials": "tutorials.md",
}
"""{file or folder of the repository: page}, of those whose page is not named like them."""
WITHOUT_MENU = "---\nhide: [navigation]\n---\n\n"
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")
"""The target of a Markdown link to a file, without what follows #."""


def main(folder: Path) -> None:
    """Write all pages, and the files that they show or link, into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = gathered()
    places = PAGES | {source: place for source, (place, _) in pages.items()}
    for source, (place, text) in pages.items():
        text, files = linked(text, source, place, places)
        write(folder / place, WITHOUT_MENU + text if place == "index.md" else text)
        for file in files:
            copy(ROOT / file, folder / file.removeprefix("docs/"))
    for file in (ROOT / "docs" / "assets").iterdir():
        copy(file, folder / "assets" / file.name)


def gathered() -> dict[str, tuple[str, str]]:
    """{source in the repository: (page, Markdown)}."""
    own = {f"docs/{p.relative_to(ROOT / 'docs')}": p for p in sorted((ROOT / "docs").rglob("*.md"))}
    cards = {f"models/{p.parent.name}/README.md": p for p in sorted(ROOT.glob("models/*/README.md"))}
    texts = {name: ROOT / name for name in PAGES if name.endswith(".md")} | cards | own
    found = {source: (page_named(source), path.read_text()) for source, path in texts.items()}
    for path in sorted(ROOT.glob("tutorials/*.ipynb")):
        found[f"tutorials/{path.name}"] = f"tutorials/{path.stem}.md", notebook(path)
    for folder in sorted({p.parent for p in (ROOT / "latte_ase").rglob("*.py")}):
        source = folder.relative_to(ROOT).as_posix()
        found[source] = f"developer/{source}.md", modules(folder)
    return found


def page_named(source: str) -> str:
    """The page of a Markdown file."""
    if source.startswith("models/"):
        return f"{dirname(source)}.md"
    return PAGES.get(source, source.removeprefix("docs/"))


def notebook(path: Path) -> str:
    """A notebook as Markdown, without outputs: the repository keeps none."""
    cells = json.loads(path.read_text())["cells"]
    texts = [("".join(cell["source"]), cell["cell_type"] == "code") for cell in cells]
    return "\n\n".join(f"```python\n{text}\n```" if code else with_formulas(text) for text, code in texts) + "\n"


def with_formulas(text: str) -> str:
    """Markdown with its TeX formulas as MathML, which browsers show without a script."""
    text = DISPLAYED.sub(lambda match: f"<div>{mathml(match[1].strip(), 'block')}</div>", text)
    return INLINE.sub(lambda match: f"<span>{mathml(match[1], 'inline')}</span>", text)  # a line may begin with it


def mathml(tex: str, display: str) -> str:
    """MathML of a formula; bold letters become the bold ones of Unicode, since browsers ignore `mathvariant`."""
    return BOLD.sub(lambda match: f"<mi>{bold(match[1])}</mi>", convert(tex, display=display))


def bold(letter: str) -> str:
    """Mathematical bold letter A-Z or a-z."""
    return chr(0x1D400 + ord(letter) - ord("A")) if letter.isupper() else chr(0x1D41A + ord(letter) - ord("a"))


def modules(folder: Path) -> str:
    """Developer reference of a folder: its own docstring, and that of every public name of its modules."""
    name = ".".join(folder.relative_to(ROOT).parts)
    head = f"# {name}\n\n::: {name}\n    options: {{members: false, show_root_heading: false}}\n"
    stems = [p.stem for p in sorted(folder.glob("*.py")) if p.stem != "__init__"]
    return "\n".join([head, *(f"::: {name}.{stem}\n" for stem in stems)])


def linked(text: str, source: str, place: str, places: dict[str, str]) -> tuple[str, list[str]]:
    """Markdown with links by place in FOLDER, and the files without a page that it links or shows."""
    files = []

    def turned(match):
        target = normpath(join(dirname(source), match[1]))
        page = page_of(target, places)
        if page is None and (ROOT / target).is_file():
            files.append(target)
            page = target.removeprefix("docs/")
        return match[1] if page is None else relpath(page, dirname(place) or ".")

    return LINK.sub(turned, text), files


def page_of(target: str, places: dict[str, str]) -> str | None:
    """The page that shows a file or a folder of the repository, if there is one."""
    if target.startswith("latte_ase/") and target.endswith(".py"):
        target = dirname(target)
    return places.get(target) or places.get(f"{target}/README.md")


def write(path: Path, text: str) -> None:
    """A text file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def copy(source: Path, path: Path) -> None:
    """A copy of a file, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
