"""The training frames of latte-mo, from two published sets.

    python models/latte-mo/frames.py FOLDER      # reads metals/Mo_train.extxyz and monbtaw/train.extxyz, writes mo/train.extxyz

See recipe.toml for where the sets can be had.  A few frames are in both; they are taken once.
"""

import sys
from pathlib import Path

from ase.io import read, write


def key(atoms) -> tuple[int, float]:
    """The same for a frame that is in both sets."""
    return len(atoms), round(atoms.get_potential_energy(), 3)


def main(folder: str) -> None:
    """Write the file."""
    first = read(Path(folder) / "metals/Mo_train.extxyz", ":")
    known = {key(atoms) for atoms in first}
    alone = [atoms for atoms in read(Path(folder) / "monbtaw/train.extxyz", ":") if set(atoms.symbols) == {"Mo"}]
    second = [atoms for atoms in alone if key(atoms) not in known]
    for atoms in second:
        atoms.info.clear()
    out = Path(folder) / "mo/train.extxyz"
    out.parent.mkdir(exist_ok=True)
    write(out, first + second)
    print(f"{len(first)} + {len(second)} frames in {out}")


if __name__ == "__main__":
    main(sys.argv[1])
