"""The files of labels.py, joined: a twentieth of the crystals is held out, the others are to train on.

    python benchmarks/materials/join.py FOLDER [FILES]

Writes FOLDER/train.extxyz and FOLDER/valid.extxyz from the first FILES, or all, of FOLDER/train/*.extxyz, and FOLDER/test.extxyz.
"""

import sys
from hashlib import sha256
from pathlib import Path

from ase.io import iread, write


def held_out(name: str) -> bool:
    """Whether a crystal, which is not on the test list, chooses the epoch."""
    return "0d" <= sha256(name.encode()).hexdigest()[:2] <= "19"


if __name__ == "__main__":
    folder, most = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None
    frames = [atoms for path in sorted((folder / "train").glob("*.extxyz"))[:most] for atoms in iread(path)]
    for target, held in (("train", False), ("valid", True)):
        write(folder / f"{target}.extxyz", [a for a in frames if held_out(a.info["crystal"]) == held])
    write(folder / "test.extxyz", [a for path in sorted((folder / "test").glob("*.extxyz")) for a in iread(path)])
