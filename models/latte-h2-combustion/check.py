"""Barriers of latte-h2-combustion by NEB, beside the reaction paths of its data; and 50 ps of hydrogen peroxide.

    python models/latte-h2-combustion/check.py MODEL train.extxyz valid.extxyz [PICTURE]

The frames whose `reaction` ends on "irc" are points of intrinsic reaction coordinates by DFT.  Every path is put in order, some
of its frames are the start of a climbing-image NEB with the model between the same ends, and the heights of both tops
above both ends are compared.  Paths that only rise (bonds that break) have no barrier: for them it is the height of the
far end.  Prints a Markdown table; with PICTURE draws energies by DFT and by the model along DFT's paths.
"""

import sys
from itertools import pairwise

import numpy as np
from ase import units
from ase.build import minimize_rotation_and_translation, molecule
from ase.io import read
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary, ZeroRotation
from ase.mep import NEB
from ase.optimize import FIRE

from latte_ase import LatteCalculator, predict, simulate

IMAGES = 13
PICOSECONDS = 50


def distances(atoms) -> np.ndarray:
    """All distances between atoms, Angstrom: equal for what is only turned or moved."""
    return atoms.get_all_distances()[np.triu_indices(len(atoms), 1)]


def in_order(frames: list) -> list:
    """Frames of a path, from one end to the other: every next one is the nearest left, in distances between atoms."""
    points = np.array([distances(atoms) for atoms in frames])
    top = np.argmax([atoms.get_potential_energy() for atoms in frames])
    order = [int(np.linalg.norm(points - points[top], axis=1).argmax())]
    left = set(range(len(frames))) - set(order)
    while left:
        order.append(min(left, key=lambda k: np.linalg.norm(points[k] - points[order[-1]])))
        left.remove(order[-1])
    return [frames[k] for k in order]


def thinned(path: list) -> list:
    """`IMAGES` frames of a path at about equal distances along it, with both ends."""
    steps = [np.linalg.norm(distances(b) - distances(a)) for a, b in pairwise(path)]
    along = np.concatenate([[0], np.cumsum(steps)])
    chosen = [int(np.abs(along - s).argmin()) for s in np.linspace(0, along[-1], IMAGES)]
    return [path[k] for k in sorted(set(chosen))]


def barrier(path: list, model: str) -> tuple[np.ndarray, bool]:
    """Energies (images,) in eV of the converged band, and whether it converged."""
    images = [atoms.copy() for atoms in thinned(path)]
    for before, after in pairwise(images):
        minimize_rotation_and_translation(before, after)
    calculator = LatteCalculator.from_pretrained(model, dtype="float64")
    for image in images:
        image.calc = calculator
    band = NEB(images, climb=True, allow_shared_calculator=True, method="improvedtangent", k=0.5)
    converged = FIRE(band, logfile=None).run(fmax=0.1, steps=600)
    return np.array([image.get_potential_energy() for image in images]), bool(converged)


def heights(energies) -> tuple[float, float]:
    """The highest point above the first and above the last, eV."""
    return max(energies) - energies[0], max(energies) - energies[-1]


def draw(paths: dict, model: str, picture: str) -> None:
    """Energies along DFT's paths."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(4, 4, figsize=(11, 9), constrained_layout=True)
    for axis, (name, path) in zip(axes.flat, paths.items(), strict=True):
        axis.plot([atoms.get_potential_energy() for atoms in path], "k.", ms=3, label="DFT")
        axis.plot([p.energy for p in predict(model, path)], label="model")
        axis.set_title(name, fontsize="small")
    axes.flat[0].legend(fontsize="small")
    figure.supxlabel("point of the path")
    figure.supylabel("energy, eV")
    figure.savefig(picture)


def dynamics(model: str) -> None:
    """50 ps of hydrogen peroxide at 300 K; raises `DomainError` if it leaves the model's domain."""
    atoms = molecule("H2O2")
    MaxwellBoltzmannDistribution(atoms, temperature_K=300, rng=np.random.default_rng(0))
    Stationary(atoms)
    ZeroRotation(atoms)
    simulate.md(
        atoms,
        LatteCalculator.from_pretrained(model, strict=True),
        round(1000 * PICOSECONDS / 0.5),
        timestep=0.5 * units.fs,
        ensemble=simulate.Langevin(temperature_K=300, friction=0.01 / units.fs),
        seed=0,
        progress=False,
    )
    lengths = sorted(distances(atoms).round(2).tolist())
    print(f"\n{PICOSECONDS} ps of H2O2 at 300 K stay in the domain; distances at the end {lengths} Å.")


def main(model: str, train: str, valid: str, picture: str | None = None) -> None:
    """Print the table."""
    paths: dict[str, list] = {}
    for file in (train, valid):
        for atoms in read(file, ":"):
            if atoms.info["reaction"].endswith("irc"):
                paths.setdefault(atoms.info["reaction"].removesuffix("_irc"), []).append(atoms)
    paths = {name: in_order(frames) for name, frames in sorted(paths.items())}
    print(
        "| reaction | atoms | DFT, both ways (eV) | NEB (eV) | MAE along the path (eV) | converged |\n"
        + "| --- " * 6
        + "|"
    )
    errors = []
    for name, path in paths.items():
        dft = np.array([atoms.get_potential_energy() for atoms in path])
        own = np.array([p.energy for p in predict(model, path, dtype="float64")])
        band, converged = barrier(path, model)
        found, true = heights(band), heights(dft)
        errors.extend(np.abs(np.subtract(found, true)))
        print(
            f"| {name} | {path[0].get_chemical_formula()} | {true[0]:.2f}, {true[1]:.2f} | {found[0]:.2f}, {found[1]:.2f} "
            f"| {np.abs(own - dft).mean():.3f} | {'yes' if converged else 'no'} |",
            flush=True,
        )
    print(f"\nBarriers: mean absolute difference {np.mean(errors):.3f} eV, median {np.median(errors):.3f} eV.")
    if picture:
        draw(paths, model, picture)
    dynamics(model)


if __name__ == "__main__":
    main(*sys.argv[1:])
