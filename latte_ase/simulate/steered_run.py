"""A run whose conditions and pulls change while it goes on, without compilation."""

from __future__ import annotations

from collections.abc import Sequence

from latte_ase.engine.engine import Engine
from latte_ase.model.program import Weights
from latte_ase.simulate.device_loop import Progress, Setting
from latte_ase.simulate.pull import Pull, of_positions, placed
from latte_ase.simulate.run import Run
from latte_ase.simulate.steering import Steered


class SteeredRun(Run):
    """Dynamics that a person steers; forces and energies of `snapshot` are those of the potential alone.

    Args:
        atoms: as for `Run`.
        engine: as for `Run`.
        conditions: of the dynamics.
        timestep: in ASE's unit.

    Attributes:
        pulls: on the atoms.
        pull_energy: energy of the pulls at the last finished step, eV.
        pull_forces: (pulls, 3) their forces there, eV/Angstrom.
    """

    def __init__(self, atoms, engine: Engine, conditions: Steered, *, timestep: float):
        super().__init__(atoms, engine, conditions, timestep=timestep)
        self.pulls: tuple[Pull, ...] = ()

    def steer(self, conditions: Steered, *, timestep: float) -> None:
        """Go on under other conditions."""
        self.ensemble, self.timestep = conditions, float(timestep)
        self._set_freedom(self.freedom)

    def hold(self, pulls: Sequence[Pull]) -> None:
        """Pull from the next step on, and no longer as before.

        Raises:
            ValueError: there are more than `pull.MOST_PULLS`.
        """
        self._springs = self._place(pulls)
        self.pulls = tuple(pulls)

    def _place(self, pulls: Sequence[Pull]):
        return self._cast(placed(pulls, self._at_list.positions, self._at_list.cell.array, self.pbc))

    def _build_list(self, shape=None) -> None:
        super()._build_list(shape)
        self._springs = self._place(self.pulls)

    def _setting(self, weights: Weights) -> Setting:
        return super()._setting(weights)._replace(pulls=self._springs)

    def _stand(self, progress: Progress) -> None:
        super()._stand(progress)
        now = self.snapshot
        self.pull_energy, self.pull_forces = of_positions(self.pulls, now.positions, now.cell, self.pbc)
        forces = now.forces.copy()
        for pull, force in zip(self.pulls, self.pull_forces, strict=True):
            forces[pull.atom] -= force
        self.snapshot = now._replace(forces=forces)
