"""A million atoms in chunks: time and peak memory of energies, forces and virial.

    python benchmarks/million.py [--cells 50] [--chunk 50000] [--whole]

Silicon, 8 CELLS^3 atoms displaced at random, with latte-si.  `--whole` computes in one piece, for
comparison at a size that fits.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

from ase.build import bulk

from latte_ase import load_model
from latte_ase.engine import spatial_chunks
from latte_ase.engine.engine import Engine


def peak() -> float:
    """Largest resident memory of this process so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=50, help="cubic cells along each axis")
    parser.add_argument("--chunk", type=int, default=spatial_chunks.ATOMS, help="atoms in a chunk")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--whole", action="store_true", help="in one piece")
    args = parser.parse_args()
    atoms = bulk("Si", cubic=True).repeat(args.cells)
    atoms.rattle(0.05, seed=0)
    engine = Engine(load_model("latte-si"), dtype=args.dtype, skin=0.0)
    before, start = peak(), time.perf_counter()
    output = engine.evaluate(atoms) if args.whole else spatial_chunks.evaluate(engine, atoms, args.chunk)
    seconds = time.perf_counter() - start
    result = {
        "atoms": len(atoms),
        "atoms in a chunk": len(atoms) if args.whole else args.chunk,
        "dtype": args.dtype,
        "energy eV/atom": output.energy / len(atoms),
        "largest sum of forces eV/Angstrom": float(abs(output.forces.sum(axis=0)).max()),
        "seconds": seconds,
        "microseconds per atom": 1e6 * seconds / len(atoms),
        "peak GB": peak(),
        "peak GB before": before,
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
