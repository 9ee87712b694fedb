"""The files of labels.py, joined: all but the first three to train on, those three, of other molecules, held out.

    python models/latte-organic/join.py FOLDER

Writes FOLDER/organic_train.extxyz and FOLDER/organic_valid.extxyz from FOLDER/train/*.extxyz.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

HELD = 3
"""Files of a hundred molecules each."""


def join(files: Iterable[Path], target: Path) -> None:
    """One file of all frames."""
    with target.open("w") as out:
        for file in files:
            out.write(file.read_text())


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    files = sorted((folder / "train").glob("*.extxyz"))
    join(files[:HELD], folder / "organic_valid.extxyz")
    join(files[HELD:], folder / "organic_train.extxyz")
