"""The demonstration behind `make demo`: liquid water, strained silicon and a molecule on a CPU, in two minutes.

    python tutorials/demo.py [--out FOLDER] [--steps 2000] [--molecule molecule:CH3CH2OH]

Water: 64 molecules are set on a lattice, relaxed, warmed up, and then run for 1 ps at 300 K.
Silicon: a strained and rattled crystal of 64 atoms is relaxed, atoms and cell.
Molecule: one that ASE knows, or a SMILES string such as smiles:CC(=O)O (needs RDKit), is relaxed and then run for 1 ps at 300 K.
Results: a table on the terminal, trajectories and one picture in the folder.  The exit status is
not zero if a result is not sensible.
"""

import argparse
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.data import covalent_radii
from ase.filters import FrechetCellFilter
from ase.io import Trajectory
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from ase.optimize import BFGS, FIRE
from matscipy.neighbours import neighbour_list
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from latte_ase import LatteCalculator
from latte_ase.io.frames import read_frames

TEMPERATURE = 300  # K
TIMESTEP = 0.5  # fs
SAMPLE = 5  # steps between samples
PBE_LATTICE_CONSTANT = 5.469  # Å, silicon
DATA = Path(__file__).parent / "data"


@dataclass
class Water:
    """What the water run leaves behind; one entry per sample."""

    atoms: Atoms
    time: list = field(default_factory=list)  # ps
    potential: list = field(default_factory=list)  # eV
    kinetic: list = field(default_factory=list)  # eV
    temperature: list = field(default_factory=list)  # K
    oxygens: list = field(default_factory=list)
    steps: int = 0
    seconds: float = 0.0
    stats: object = None


@dataclass
class Molecule:
    """What the run of a molecule leaves behind; one entry per step, or per sample."""

    name: str
    atoms: Atoms
    relaxed: Atoms
    force: list = field(default_factory=list)  # eV/Å, largest
    relaxation: list = field(default_factory=list)  # eV
    time: list = field(default_factory=list)  # ps
    potential: list = field(default_factory=list)  # eV
    temperature: list = field(default_factory=list)  # K
    seconds: float = 0.0


@dataclass
class Silicon:
    """What the silicon run leaves behind; one entry per step."""

    atoms: Atoms
    start: float  # Å, lattice constant from the volume
    energy: list = field(default_factory=list)  # eV
    force: list = field(default_factory=list)  # eV/Å, largest
    stress: list = field(default_factory=list)  # GPa, largest component
    seconds: float = 0.0

    @property
    def lattice_constant(self) -> float:
        """Å, from the volume."""
        return lattice_constant(self.atoms)


def water_box(side: int = 4, density: float = 1.0, seed: int = 7) -> Atoms:
    """side³ water molecules on a lattice, each turned at random; density in g/cm³."""
    rng = np.random.default_rng(seed)
    one = molecule("H2O")
    one.positions -= one.get_center_of_mass()
    mass = side**3 * one.get_masses().sum()  # g/mol
    length = (mass / (density * units.mol * 1e-24)) ** (1 / 3)
    box = Atoms(cell=[length] * 3, pbc=True)
    for corner in np.ndindex(side, side, side):
        turned = one.copy()
        turned.rotate(rng.uniform(0, 360), rng.normal(size=3), center="COM")
        turned.positions += (np.array(corner) + 0.5) * length / side
        box += turned
    return box


def g_of_r(frames: list[Atoms], rmax: float = 6.2, bins: int = 84):
    """Distances r (Å) and the pair distribution g(r), averaged over frames of one kind of atom."""
    edges = np.linspace(2.0, rmax, bins + 1)
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    total = np.zeros(bins)
    for atoms in frames:
        counts = np.histogram(neighbour_list("d", atoms, rmax), edges)[0]
        total += counts / (len(atoms) ** 2 / atoms.cell.volume * shells)
    return (edges[1:] + edges[:-1]) / 2, total / len(frames)


def lattice_constant(atoms: Atoms) -> float:
    """Å, of a diamond crystal: from the volume of its eight-atom cell."""
    return (8 * atoms.get_volume() / len(atoms)) ** (1 / 3)


def run_water(steps: int, out: Path, progress: Progress) -> Water:
    """Relax, let a strong thermostat warm the box up from rest, then `steps` of NVT."""
    warm_up = steps
    task = progress.add_task("water: start", total=warm_up + steps, state="")
    atoms = water_box()
    atoms.calc = calc = LatteCalculator.from_pretrained("latte-water")
    FIRE(atoms, logfile=None, maxstep=0.1).run(fmax=1.0, steps=100)
    rng = np.random.default_rng(11)
    thermostat = {"temperature_K": TEMPERATURE, "fixcm": False, "rng": rng}

    strong = Langevin(atoms, TIMESTEP * units.fs, friction=0.05 / units.fs, **thermostat)
    strong.attach(lambda: show(progress, task, "water: warm up", strong.nsteps, atoms), interval=20)
    strong.run(warm_up)

    water = Water(atoms, steps=steps)
    dynamics = Langevin(atoms, TIMESTEP * units.fs, friction=0.01 / units.fs, **thermostat)
    trajectory = Trajectory(out / "water.traj", "w", atoms)

    def sample():
        water.time.append(dynamics.nsteps * TIMESTEP / 1000)
        water.potential.append(atoms.get_potential_energy())
        water.kinetic.append(atoms.get_kinetic_energy())
        water.temperature.append(atoms.get_temperature())
        water.oxygens.append(atoms[atoms.numbers == 8])

    dynamics.attach(sample, interval=SAMPLE)
    dynamics.attach(trajectory.write, interval=4 * SAMPLE)
    dynamics.attach(lambda: show(progress, task, "water: 300 K", warm_up + dynamics.nsteps, atoms), interval=20)
    start = time.perf_counter()
    dynamics.run(steps)
    water.seconds = time.perf_counter() - start
    water.stats = calc.stats
    trajectory.close()
    return water


def show(progress: Progress, task, title: str, step: int, atoms: Atoms):
    """One line: where the run is, its temperature and energy."""
    energy = atoms.get_potential_energy() / len(atoms)
    text = f"{atoms.get_temperature():4.0f} K  {energy:9.4f} eV/atom"
    progress.update(task, description=title, completed=step, state=text)


def run_silicon(out: Path, progress: Progress) -> Silicon:
    """Relax atoms and cell of a strained, rattled crystal."""
    atoms = bulk("Si", cubic=True, a=PBE_LATTICE_CONSTANT) * (2, 2, 2)
    atoms.set_cell(atoms.cell @ [[1.04, 0.03, 0.0], [0.0, 0.98, 0.02], [0.0, 0.0, 1.03]], scale_atoms=True)
    atoms.rattle(0.12, seed=3)
    atoms.calc = LatteCalculator.from_pretrained("latte-si", dtype="float64")  # tight relaxation
    silicon = Silicon(atoms, start=lattice_constant(atoms))
    task = progress.add_task("silicon: relax", total=100, state="")
    optimiser = BFGS(FrechetCellFilter(atoms), trajectory=str(out / "silicon.traj"), logfile=None)

    def sample():
        silicon.energy.append(atoms.get_potential_energy())
        silicon.force.append(np.linalg.norm(atoms.get_forces(), axis=1).max())
        silicon.stress.append(abs(atoms.get_stress()).max() / units.GPa)
        text = f"force {silicon.force[-1]:.3f} eV/Å  stress {silicon.stress[-1]:.2f} GPa"
        progress.update(task, completed=optimiser.nsteps, state=text)

    optimiser.attach(sample)
    sample()  # compiles; the clock starts after it
    silicon.energy.clear(), silicon.force.clear(), silicon.stress.clear()
    start = time.perf_counter()
    optimiser.run(fmax=0.002, steps=200)
    silicon.seconds = time.perf_counter() - start
    progress.update(task, total=optimiser.nsteps, completed=optimiser.nsteps)
    return silicon


def run_molecule(atoms: Atoms, name: str, steps: int, out: Path, progress: Progress) -> Molecule:
    """Relax a molecule, then `steps` of NVT."""
    task = progress.add_task("molecule: relax", total=steps, state="")
    atoms.calc = LatteCalculator.from_pretrained("latte-organic")
    run = Molecule(name, atoms, atoms.copy())
    optimiser = BFGS(atoms, logfile=None)

    def relaxed():
        run.force.append(np.linalg.norm(atoms.get_forces(), axis=1).max())
        run.relaxation.append(atoms.get_potential_energy())

    optimiser.attach(relaxed)
    optimiser.run(fmax=0.01, steps=500)
    run.relaxed = atoms.copy()
    rng = np.random.default_rng(11)
    MaxwellBoltzmannDistribution(atoms, temperature_K=TEMPERATURE, rng=rng)
    dynamics = Langevin(
        atoms, TIMESTEP * units.fs, temperature_K=TEMPERATURE, friction=0.01 / units.fs, fixcm=False, rng=rng
    )
    trajectory = Trajectory(out / "molecule.traj", "w", atoms)

    def sample():
        run.time.append(dynamics.nsteps * TIMESTEP / 1000)
        run.potential.append(atoms.get_potential_energy())
        run.temperature.append(atoms.get_temperature())

    dynamics.attach(sample, interval=SAMPLE)
    dynamics.attach(trajectory.write, interval=4 * SAMPLE)
    dynamics.attach(lambda: show(progress, task, "molecule: 300 K", dynamics.nsteps, atoms), interval=20)
    start = time.perf_counter()
    dynamics.run(steps)
    run.seconds = time.perf_counter() - start
    trajectory.close()
    return run


def summary(water: Water, silicon: Silicon, molecule: Molecule) -> Table:
    """The numbers of both runs."""
    half = len(water.time) // 2
    n, n_si, steps_si = len(water.atoms), len(silicon.atoms), len(silicon.energy) - 1
    n_mol, steps_mol = len(molecule.atoms), SAMPLE * (len(molecule.time) - 1)
    r, g = g_of_r(water.oxygens)
    title = f"64 molecules of water, 64 atoms of silicon, {molecule.name}"
    table = Table("", "water, NVT", "silicon, relaxation", "molecule, NVT", "unit", title=title)
    rows = [
        ("energy, first", f"{water.potential[0] / n:.4f}", f"{silicon.energy[0] / n_si:.4f}",
         f"{molecule.relaxation[0] / n_mol:.4f}", "eV/atom"),
        ("  relaxed", "", f"{silicon.energy[-1] / n_si:.4f}", f"{molecule.relaxation[-1] / n_mol:.4f}", "eV/atom"),
        ("  last", f"{water.potential[-1] / n:.4f}", "", f"{molecule.potential[-1] / n_mol:.4f}", "eV/atom"),
        ("mean temperature", f"{np.mean(water.temperature[half:]):.0f}", "",
         f"{np.mean(molecule.temperature[len(molecule.time) // 2 :]):.0f}", "K"),
        ("g_OO, first maximum", f"{g.max():.2f} at {r[g.argmax()]:.2f} Å", "", "", ""),
        ("lattice constant", "", f"{silicon.lattice_constant:.3f}", "", "Å"),
        ("  with PBE", "", f"{PBE_LATTICE_CONSTANT:.3f}", "", "Å"),
        ("largest force, relaxed", "", f"{silicon.force[-1]:.4f}", f"{molecule.force[-1]:.4f}", "eV/Å"),
        ("largest stress", "", f"{silicon.stress[-1]:.4f}", "", "GPa"),
        ("steps", f"{water.steps}", f"{steps_si}", f"{steps_mol}", ""),
        ("wall time", f"{water.seconds:.1f}", f"{silicon.seconds:.1f}", f"{molecule.seconds:.1f}", "s"),
        ("per atom and step", f"{1e6 * water.seconds / n / water.steps:.0f}",
         f"{1e6 * silicon.seconds / n_si / steps_si:.0f}", f"{1e6 * molecule.seconds / n_mol / steps_mol:.0f}", "µs"),
    ]  # fmt: skip
    for row in rows:
        table.add_row(*row)
    return table


def bonds(atoms: Atoms, scale: float = 1.0) -> set[tuple[int, int]]:
    """Pairs of atoms nearer than 1.2 times the sum of their covalent radii, times `scale`."""
    radii, distances = covalent_radii[atoms.numbers], atoms.get_all_distances()
    i, j = np.nonzero(np.triu(distances < 1.2 * scale * (radii[:, None] + radii), 1))
    return set(zip(i.tolist(), j.tolist(), strict=True))


def check(water: Water, silicon: Silicon, molecule: Molecule) -> list[str]:
    """What is wrong with the results; empty if nothing is."""
    wrong = []
    temperature = np.mean(water.temperature[len(water.time) // 2 :])
    if not 240 < temperature < 360:
        wrong.append(f"water: mean temperature {temperature:.0f} K, expected near {TEMPERATURE} K")
    i, j = neighbour_list("ij", water.atoms, 1.3)
    partners = np.bincount(i[water.atoms.numbers[i] != water.atoms.numbers[j]], minlength=len(water.atoms))
    if (partners != np.where(water.atoms.numbers == 8, 2, 1)).any():
        wrong.append("water: a molecule is broken")
    if abs(silicon.lattice_constant / PBE_LATTICE_CONSTANT - 1) > 0.005:
        wrong.append(f"silicon: lattice constant {silicon.lattice_constant:.3f} Å, PBE has {PBE_LATTICE_CONSTANT}")
    if silicon.force[-1] > 0.01 or silicon.stress[-1] > 0.1:
        wrong.append("silicon: not relaxed")
    if molecule.force[-1] > 0.01:
        wrong.append("molecule: not relaxed")
    if not bonds(molecule.relaxed) <= bonds(molecule.atoms, 1.4):
        wrong.append("molecule: a bond is broken")
    return wrong


def picture(water: Water, silicon: Silicon, molecule: Molecule, path: Path):
    """Energy, temperature and g_OO(r) of the water run, the relaxation of silicon, and the molecule with its energy."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from ase.visualize.plot import plot_atoms

    blue, orange, green, red, grey = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#777777"  # Okabe and Ito
    style = {"axes.spines.top": False, "axes.spines.right": False, "axes.titlelocation": "left", "axes.titlesize": 11}
    plt.rcParams.update({"font.size": 10, "axes.titleweight": "bold", "legend.frameon": False, **style})
    figure, ((energy, pair, shape), (temperature, relax, course)) = plt.subplots(
        2, 3, figsize=(14.5, 6.6), layout="constrained"
    )
    figure.get_layout_engine().set(wspace=0.06, hspace=0.08)
    n = len(water.atoms)
    potential = 1e3 * (np.array(water.potential) - water.potential[0]) / n
    total = potential + 1e3 * np.array(water.kinetic) / n

    energy.plot(water.time, total, color=red)
    energy.plot(water.time, potential, color=blue)
    energy.set(xlabel="time (ps)", ylabel="energy (meV/atom)", title="Water, 300 K: energy")
    energy.margins(x=0, y=0.15)
    for values, colour, name in ((total, red, "total"), (potential, blue, "potential")):
        energy.text(1, values.max() + 1, name, color=colour, ha="right", transform=energy.get_yaxis_transform())

    temperature.plot(water.time, water.temperature, color=orange, linewidth=0.7, alpha=0.6)
    width = min(20, len(water.time))
    mean = np.convolve(water.temperature, np.ones(width) / width, "valid")
    temperature.plot(
        water.time[width // 2 : width // 2 + len(mean)], mean, color=red, linewidth=2, label="mean of 0.05 ps"
    )
    temperature.axhline(TEMPERATURE, color=grey, linestyle="--", linewidth=1, label="thermostat")
    temperature.set(xlabel="time (ps)", ylabel="temperature (K)", title="Water, 300 K: temperature")
    temperature.margins(x=0, y=0.2)
    temperature.legend(loc="upper right", ncols=2)

    r, g = np.loadtxt(DATA / "goo_pbe0ts_piaimd.csv", delimiter=",").T
    pair.plot(r, g, color=grey, linestyle="--", label="PBE0+TS, path integrals (Zhang 2018)")
    pair.plot(*g_of_r(water.oxygens), color=blue, linewidth=2, label="latte-water, this run")
    pair.errorbar(
        2.80, 2.57, xerr=0.01, yerr=0.05, fmt="o", color=red, capsize=3, label="X-ray, maximum (Skinner 2013)"
    )
    pair.axhline(1, color=grey, linewidth=0.5)
    pair.set(xlabel="$r$ (Å)", ylabel=r"$g_\mathrm{OO}$", title="Water: oxygen-oxygen distribution", xlim=(2, 6.2))
    pair.set_ylim(bottom=0)
    pair.legend()

    step = np.arange(len(silicon.energy))
    relax.semilogy(step, silicon.force, color=green, marker="o", markersize=3, label="largest force (eV/Å)")
    relax.semilogy(step, silicon.stress, color=orange, marker="s", markersize=3, label="largest stress (GPa)")
    relax.set(xlabel="step", ylabel="force (eV/Å), stress (GPa)", title="Silicon: relaxation of atoms and cell")
    relax.margins(x=0.02)
    relax.legend(loc="upper right")
    text = f"lattice constant {silicon.start:.3f} Å → {silicon.lattice_constant:.3f} Å"
    relax.text(0.03, 0.05, text, transform=relax.transAxes)

    plot_atoms(molecule.relaxed, shape, rotation="-70x,20y", radii=0.45)
    shape.set_title(f"{molecule.name}, relaxed")
    shape.axis("off")
    course.plot(molecule.time, np.array(molecule.potential) - molecule.relaxation[-1], color=blue)
    course.set(xlabel="time (ps)", ylabel="potential energy (eV)", title=f"{molecule.name}, 300 K: above the minimum")
    course.margins(x=0)
    figure.savefig(path, dpi=150)


def main() -> int:
    """Run all three, print the table, write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    parser.add_argument("--steps", type=int, default=round(1000 / TIMESTEP), help="of water; 2000 are 1 ps")
    parser.add_argument(
        "--molecule", default="molecule:CH3CH2OH", help="molecule:NAME, smiles:SMILES (needs RDKit), or a file"
    )
    arguments = parser.parse_args()
    try:
        chosen = read_frames(arguments.molecule)[0].copy()
    except (ImportError, ValueError, OSError) as error:
        parser.error(str(error))
    warnings.filterwarnings("ignore", message="logm result may be inaccurate")  # SciPy, about errors of 1e-12
    arguments.out.mkdir(parents=True, exist_ok=True)
    console = Console()
    columns = (
        TextColumn("{task.description:16s}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[state]}"),
    )
    with Progress(*columns, console=console) as progress:
        water = run_water(arguments.steps, arguments.out, progress)
        silicon = run_silicon(arguments.out, progress)
        name = arguments.molecule.split(":", 1)[-1]
        molecule = run_molecule(chosen, name, arguments.steps, arguments.out, progress)
    console.print(summary(water, silicon, molecule))
    console.print(f"water: {water.stats}")
    picture(water, silicon, molecule, arguments.out / "demo.png")
    console.print(f"written to {arguments.out}: water.traj, silicon.traj, molecule.traj, demo.png")
    wrong = check(water, silicon, molecule)
    for line in wrong:
        console.print(f"[red]{line}[/red]")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
