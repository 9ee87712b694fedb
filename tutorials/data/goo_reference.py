"""Make goo_pbe0ts_piaimd.csv: g_OO(r) of liquid water from published ab initio frames.

    python tutorials/data/goo_reference.py train.extxyz valid.extxyz

The frames are those of the water example of DeePMD-kit (64 molecules, path-integral ab initio
dynamics at 300 K, PBE0+TS; Zhang, Han, Wang, Car, E, PRL 120, 143001 (2018)), converted to
extended XYZ.  They are not part of this repository; only the curve is.
"""

import sys
from pathlib import Path

import numpy as np
from ase.io import read
from matscipy.neighbours import neighbour_list

WIDTH, RMIN, RMAX = 0.04, 2.0, 6.2  # Å


def g_of_r(frames):
    """Distances r and g_OO(r), averaged over frames."""
    edges = np.arange(RMIN, RMAX + WIDTH / 2, WIDTH)
    total = np.zeros(len(edges) - 1)
    for atoms in frames:
        oxygen = atoms[atoms.numbers == 8]
        counts = np.histogram(neighbour_list("d", oxygen, RMAX), edges)[0]
        shells = 4 / 3 * np.pi * np.diff(edges**3)
        total += counts / (len(oxygen) ** 2 / oxygen.cell.volume * shells)
    return (edges[1:] + edges[:-1]) / 2, total / len(frames)


if __name__ == "__main__":
    frames = [atoms for path in sys.argv[1:] for atoms in read(path, ":")]
    r, g = g_of_r(frames)
    header = (
        "Liquid water, g_OO(r), path-integral ab initio molecular dynamics, PBE0+TS, 300 K, 64 molecules.\n"
        f"Average over {len(frames)} frames of the water example of DeePMD-kit:\n"
        "L. Zhang, J. Han, H. Wang, R. Car, W. E, Phys. Rev. Lett. 120, 143001 (2018).\n"
        "Made by goo_reference.py.\n"
        "r_Angstrom,g_OO"
    )
    path = Path(__file__).with_name("goo_pbe0ts_piaimd.csv")
    np.savetxt(path, np.column_stack([r, g]), fmt="%.3f", delimiter=",", header=header)
    print(f"{len(r)} rows in {path}; maximum {g.max():.2f} at {r[g.argmax()]:.2f} Å")
