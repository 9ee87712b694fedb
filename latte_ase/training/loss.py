"""Loss and error sums of a batch.

L = w_E <v h((E - E*)/N)>_structures + w_F <v h(F - F*)>_components + w_S <v h(s - s*)>_components

h(x) = x^2 where |x| < delta and delta (2 |x| - delta) beyond: Huber, Ann. Math. Statist. 35, 73 (1964).  v is the weight of the
structure over the mean weight of the labels of this kind in the set, so that only ratios of weights count.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from latte_ase.model.derivatives import OfStructures
from latte_ase.training.batches import Batch


class Errors(NamedTuple):
    """Sums over a batch, each term times v; add them over batches, then divide.

    Attributes:
        energy_abs, energy_sq: of |E - E*|/N in eV/atom and its square, over structures.
        forces_abs, forces_sq: of |F - F*| in eV/Angstrom and its square, over components.
        stress_abs, stress_sq: of |s - s*| in eV/Angstrom^3 and its square, over components.
        energy_loss, forces_loss, stress_loss: of h of the same errors.
        n_energy, n_forces, n_stress: numbers of terms in the sums.
    """

    energy_abs: Any
    energy_sq: Any
    forces_abs: Any
    forces_sq: Any
    stress_abs: Any
    stress_sq: Any
    energy_loss: Any
    forces_loss: Any
    stress_loss: Any
    n_energy: Any
    n_forces: Any
    n_stress: Any

    @property
    def counts(self) -> tuple[Any, Any, Any]:
        """Numbers of terms."""
        return self.n_energy, self.n_forces, self.n_stress

    def divided_by(self, counts: tuple[Any, Any, Any]) -> Errors:
        """The sums with other numbers of terms: those of a whole batch, of which these are a part."""
        return self._replace(n_energy=counts[0], n_forces=counts[1], n_stress=counts[2])


def huber(x, delta):
    """x^2 where |x| < delta, delta (2 |x| - delta) beyond; arrays of x's shape, delta in its units."""
    inner = jnp.minimum(jnp.abs(x), delta)
    return inner * (2 * jnp.abs(x) - inner)


def errors(predicted: OfStructures, batch: Batch, delta=jnp.inf) -> Errors:
    """Error sums of a batch; see `Errors`. `delta` is that of h, in eV/atom, eV/Angstrom and eV/Angstrom^3."""
    stress = 0.5 * (predicted.virial + jnp.swapaxes(predicted.virial, 1, 2)) / batch.volume[:, None, None]
    energy = batch.has_energy * (predicted.energy - batch.energy) / batch.n_atoms
    forces = batch.has_forces * (predicted.forces - batch.forces)
    stress = batch.has_stress[:, None, None] * (stress - batch.stress)
    of_energy, of_forces, of_stress = batch.weights.T
    of_forces, of_stress = of_forces[batch.graph.structure][..., None], of_stress[:, None, None]
    return Errors(
        (of_energy * jnp.abs(energy)).sum(),
        (of_energy * energy**2).sum(),
        (of_forces * jnp.abs(forces)).sum(),
        (of_forces * forces**2).sum(),
        (of_stress * jnp.abs(stress)).sum(),
        (of_stress * stress**2).sum(),
        (of_energy * huber(energy, delta)).sum(),
        (of_forces * huber(forces, delta)).sum(),
        (of_stress * huber(stress, delta)).sum(),
        batch.has_energy.sum(),
        batch.has_forces.sum(),
        9 * batch.has_stress.sum(),
    )


def loss(sums: Errors, weights: tuple[float, float, float]):
    """Weighted means of h of the errors; weights of energy, forces, stress."""
    means = (
        sums.energy_loss / jnp.maximum(sums.n_energy, 1),
        sums.forces_loss / jnp.maximum(sums.n_forces, 1),
        sums.stress_loss / jnp.maximum(sums.n_stress, 1),
    )
    return sum(w * m for w, m in zip(weights, means, strict=True))


def criterion(sums: Errors, weights: tuple[float, float, float]):
    """What chooses the best epoch: the mean absolute errors, weighted by the roots of energy, forces, stress weights.

    In the loss, which is of squares, one odd frame of a small validation set would choose.
    """
    means = (
        sums.energy_abs / jnp.maximum(sums.n_energy, 1),
        sums.forces_abs / jnp.maximum(sums.n_forces, 1),
        sums.stress_abs / jnp.maximum(sums.n_stress, 1),
    )
    return sum(w**0.5 * m for w, m in zip(weights, means, strict=True))


def metrics(sums: Errors) -> dict[str, float]:
    """MAE and RMSE in meV/atom and meV/Angstrom from error sums; nan without labels."""
    s = Errors(*(float(x) for x in sums))
    n_energy, n_forces = s.n_energy or np.nan, s.n_forces or np.nan
    values = {
        "energy_mae": 1e3 * s.energy_abs / n_energy,
        "energy_rmse": 1e3 * (s.energy_sq / n_energy) ** 0.5,
        "forces_mae": 1e3 * s.forces_abs / n_forces,
        "forces_rmse": 1e3 * (s.forces_sq / n_forces) ** 0.5,
    }
    if s.n_stress:
        values["stress_rmse"] = 1e3 * (s.stress_sq / s.n_stress) ** 0.5
    return values


def add(a: Errors | None, b: Errors) -> Errors:
    """Sum of two batches' error sums."""
    return b if a is None else Errors(*(x + y for x, y in zip(a, b, strict=True)))
