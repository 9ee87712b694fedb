"""Errors, dynamics and speed of latte-organic on molecules that it was not taught: the tables of its card.

    python models/latte-organic/check.py FOLDER [--model MODEL] [--molecules 100] [--picoseconds 10]

FOLDER holds test/*.extxyz and test_hot/*.extxyz, structures of the molecules of the test list with energies and forces of the
teacher, as `labels.py` writes them.  The molecules of a dynamics lie so far from each other that none feels another.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.data import covalent_radii
from ase.io import iread, read
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution, Stationary

from latte_ase import LatteCalculator, evaluate, simulate
from latte_ase.model.domain import DomainWarning

SPACING, TIMESTEP, EVERY = 40.0, 0.5, 100
"""Angstrom between two molecules of a dynamics, fs, and steps between frames."""
TEMPERATURES = (300, 600)
"""K, of the dynamics."""
BONDED, BROKEN = 1.25, 1.6
"""Distance over the sum of covalent radii: below the first two atoms are bonded at the start, above the second no longer."""
ELEMENTS = ("H", "C", "N", "O", "F", "P", "S", "Cl")


def frames_of(folder: Path) -> list[Atoms]:
    """Labelled structures of all files of a folder."""
    return [atoms for path in sorted(folder.glob("*.extxyz")) for atoms in iread(path)]


def print_errors(model: str, sets: dict[str, list[Atoms]]) -> None:
    """Errors by set and kind of structure, and by element."""
    print(
        "| structures | number | mean force | energy MAE / RMSE, meV/atom | force MAE / RMSE, meV/Å |\n| --- | --- | --- | --- | --- |"
    )
    for name, frames in sets.items():
        for kind in sorted({atoms.info["kind"] for atoms in frames}):
            part = [atoms for atoms in frames if atoms.info["kind"] == kind]
            found = evaluate(model, part)
            m, mean = found.metrics, 1e3 * np.abs(found.forces[..., 0]).mean()
            print(
                f"| {name}, {kind} | {len(part)} | {mean:.0f} | {m['energy_mae']:.2f} / {m['energy_rmse']:.2f} "
                f"| {m['forces_mae']:.1f} / {m['forces_rmse']:.1f} |",
                flush=True,
            )
    rows = {name: evaluate(model, frames).per_element for name, frames in sets.items()}
    print("\n| force MAE / RMSE, meV/Å | " + " | ".join(ELEMENTS) + " |\n| --- |" + " --- |" * len(ELEMENTS))
    for name, found in rows.items():
        cells = [f"{e['forces_mae']:.0f} / {e['forces_rmse']:.0f}" if (e := found.get(s)) else "" for s in ELEMENTS]
        print(f"| {name} | " + " | ".join(cells) + " |")


def chosen(frames: Iterable[Atoms], count: int) -> list[Atoms]:
    """One structure of each of so many neutral molecules, without labels."""
    first = {atoms.info["molecule"]: atoms for atoms in frames if atoms.info["kind"] == "molecule"}
    found = [Atoms(atoms.numbers, atoms.positions - atoms.positions.mean(axis=0)) for atoms in first.values()]
    return found[:count]


def bonds(atoms: Atoms) -> np.ndarray:
    """(bonds, 2) pairs of bonded atoms."""
    i, j = np.triu_indices(len(atoms), 1)
    return np.stack([i, j], axis=1)[_stretches(atoms, i, j) < BONDED]


def _stretches(atoms: Atoms, i, j) -> np.ndarray:
    """Distances over the sums of the covalent radii."""
    radii = covalent_radii[atoms.numbers]
    return np.linalg.norm(atoms.positions[i] - atoms.positions[j], axis=1) / (radii[i] + radii[j])


class Life(NamedTuple):
    """What became of the molecules of a dynamics.

    Attributes:
        broken: how many have a bond that was broken in some frame.
        left: how many were outside the domain in some frame.
        inside: share of the frames of a molecule that are inside.
        excursions: texts, one for each kind.
    """

    broken: int
    left: int
    inside: float
    excursions: dict[tuple[str, ...], str]


def dynamics(molecules: list[Atoms], model: str, temperature: float, picoseconds: float) -> list[Atoms]:
    """Frames of Langevin dynamics of all molecules, each at a place of its own."""
    side = int(np.ceil(len(molecules) ** (1 / 3)))
    together, rng = Atoms(), np.random.default_rng(0)
    for one, place in zip(molecules, product(range(side), repeat=3), strict=False):
        placed = one.copy()
        placed.translate(SPACING * np.array(place))
        MaxwellBoltzmannDistribution(placed, temperature_K=temperature, rng=rng)
        Stationary(placed)
        together += placed
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.traj"
        simulate.md(
            together,
            LatteCalculator.from_pretrained(model, threads=1),
            round(1000 * picoseconds / TIMESTEP),
            timestep=TIMESTEP * units.fs,
            ensemble=simulate.Langevin(temperature_K=temperature, friction=0.01 / units.fs),
            seed=0,
            trajectory=path,
            interval=EVERY,
            progress=False,
        )
        return read(path, ":")


def lives(molecules: list[Atoms], frames: list[Atoms], model: str) -> Life:
    """Bonds and domain of every molecule in every frame."""
    engine = LatteCalculator.from_pretrained(model).engine
    broken, left, inside, excursions, start = 0, 0, 0, {}, 0
    for one in molecules:
        part, pairs = slice(start, start + len(one)), bonds(one)
        path = [Atoms(one.numbers, atoms.positions[part]) for atoms in frames]
        found = [engine.excursions(atoms) for atoms in path]
        broken += any((_stretches(atoms, *pairs.T) > BROKEN).any() for atoms in path)
        left += any(found)
        inside += sum(not f for f in found)
        excursions |= {e.subject: str(e) for f in found for e in f}
        start += len(one)
    return Life(broken, left, inside / (len(molecules) * len(frames)), excursions)


def print_lives(molecules: list[Atoms], model: str, picoseconds: float) -> None:
    """A row for each temperature."""
    print("\n| K | molecules | ps of each | blew up | with a broken bond | ever outside the domain | frames inside |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for temperature in TEMPERATURES:
        try:
            frames = dynamics(molecules, model, temperature, picoseconds)
        except simulate.BlewUp as error:
            print(f"| {temperature} | {len(molecules)} | {picoseconds:g} | yes: {error} | | | |", flush=True)
            continue
        life = lives(molecules, frames, model)
        counts = f"0 | {life.broken} | {life.left} | {life.inside:.2%} |"
        print(f"| {temperature} | {len(molecules)} | {picoseconds:g} | {counts}", flush=True)
        for text in life.excursions.values():
            print(f"  {text}")


def water_box(per_side: int = 4) -> Atoms:
    """Water at 1 g/cm^3, molecules on a lattice."""
    side, rng = 3.105, np.random.default_rng(0)
    box = Atoms(cell=[per_side * side] * 3, pbc=True)
    for site in np.ndindex(*[per_side] * 3):
        one = molecule("H2O")
        one.euler_rotate(*rng.uniform(0, 360, 3), center="COM")
        one.translate(side * np.array(site))
        box += one
    return box


def print_speed(systems: dict[str, Atoms], model: str) -> None:
    """Time of a force call by one thread, per atom."""
    print("\n| one thread, float32 | atoms | µs per atom and step |\n| --- | --- | --- |")
    for name, atoms in systems.items():
        atoms.calc, rng, times = LatteCalculator.from_pretrained(model, threads=1), np.random.default_rng(0), []
        for _ in range(60):
            atoms.positions += 0.002 * rng.normal(size=atoms.positions.shape)
            start = time.perf_counter()
            atoms.get_forces()
            times.append(time.perf_counter() - start)
        print(f"| {name} | {len(atoms)} | {1e6 * np.median(times[10:]) / len(atoms):.1f} |", flush=True)


def main(options: argparse.Namespace) -> None:
    """All tables."""
    warnings.simplefilter("ignore", DomainWarning)  # the dynamics count what it would say
    warm, hot = frames_of(options.folder / "test"), frames_of(options.folder / "test_hot")
    print_errors(options.model, {"300 to 500 K": warm, "600 to 1000 K": hot})
    molecules = chosen(warm, options.molecules)
    largest = max(molecules, key=len)
    print_speed({"molecule": largest.copy(), "water": water_box()}, options.model)
    print_lives(molecules, options.model, options.picoseconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="latte-organic")
    parser.add_argument("--molecules", type=int, default=100)
    parser.add_argument("--picoseconds", type=float, default=10.0)
    main(parser.parse_args())
