"""Loop over steps of dynamics on the device: many steps in one call.

Between calls there are two states: the last finished step, and the next step, advanced to the positions at which forces
are needed.  The loop ends at a given step, where the neighbour list is not valid for the advanced positions (by the
rule of `neighbours.VerletList`), or where positions or forces are not finite or too large.  Every step is computed by
the same compiled code, so the numbers do not depend on the length of a call.

XLA runs such a loop on one core of a CPU.  Where several cores share the forces of a large structure, the loop runs on
the host, and `step` completes a step.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from latte_ase.engine.jit import jit
from latte_ase.geometry.graph import Graph
from latte_ase.model.derivatives import of_structure
from latte_ase.model.program import Motion, Program, Weights
from latte_ase.simulate.ensembles import Ensemble
from latte_ase.simulate.pull import PlacedSprings, with_pulls
from latte_ase.simulate.state import State, System

FARTHEST_STEP = 1.0
"""Largest displacement in Angstrom of an atom in one step; with a larger one a run is unstable."""

LIST_MARGIN = 1e-4
"""Margin in Angstrom by which the rule for the list is stricter than on the host, because of rounding."""

FARTHEST_DRIFT = 4.0
"""Largest distance in Angstrom of an atom from its position in the list; beyond, a new list is more precise."""

GOES_ON, LIST_SPENT, FLEW_APART, NOT_FINITE = 0, 1, 2, 3


class Method(NamedTuple):
    """Static arguments of a compiled function.

    Attributes:
        ensemble: class of the ensemble; its parameters are data, so new values need no compilation.
        program: of the potential.
    """

    ensemble: type[Ensemble]
    program: Program


class Reference(NamedTuple):
    """Neighbour list with its arrays on the device.

    Attributes:
        graph: padded arrays.
        used: () int32, number of blocks that hold atoms.
        place: (atoms,) int32, place of each atom in the flat graph order.
        atom: (places,) int32, its inverse; the number of atoms where padded.
        cutoff: () of the potential, Angstrom.
        reach: () cutoff + skin.
    """

    graph: Graph
    used: Any
    place: Any
    atom: Any
    cutoff: Any
    reach: Any


class Setting(NamedTuple):
    """Constants of a call.

    Attributes:
        weights: of the potential.
        reference: the list.
        system: masses, volume.
        numbers: of the ensemble, and "timestep" in ASE's unit.
        key: (2,) uint32, random seed of the run; each step derives its own from it.
        pulls: on atoms; their forces are added to those of the potential.  None is another function: nothing is added.
    """

    weights: Weights
    reference: Reference
    system: System
    numbers: dict[str, Any]
    key: Any
    pulls: PlacedSprings | None = None


class Progress(NamedTuple):
    """State of a run between calls.

    Attributes:
        state: the last finished step.
        moved: the next step, at the positions that need forces.
        status: () int32, `GOES_ON`, `LIST_SPENT`, `FLEW_APART` (positions) or `NOT_FINITE` (forces).
    """

    state: State
    moved: State
    status: Any


def list_serves(moved: State, reference: Reference):
    """Whether the neighbour list is complete: the rule of `neighbours.VerletList` for F = 1 + strain, with a margin.

    smin(F) (cutoff + skin) - (m1 + m2) >= cutoff,  m1 and m2 the two largest of |u_i - mean(u)|; 0 for one atom
    """
    u = moved.displacements
    squares = jnp.sum((u - jnp.mean(u, axis=0)) ** 2, axis=1)
    others = jnp.where(jnp.arange(len(u)) == jnp.argmax(squares), 0, squares)
    nearer = jnp.sqrt(jnp.max(squares)) + jnp.sqrt(jnp.max(others))
    complete = (1 + moved.strain) * reference.reach - nearer >= reference.cutoff + LIST_MARGIN
    return complete & (jnp.max(jnp.sum(u**2, axis=1)) < FARTHEST_DRIFT**2)


def check(state: State, moved: State, reference: Reference):
    """Status of a run at the advanced positions, before their forces are computed."""
    jump = jnp.max(jnp.sum((moved.displacements - state.displacements) ** 2, axis=1))
    stable = (jump < FARTHEST_STEP**2) & (moved.strain > -1)  # false for nan
    return jnp.where(stable, jnp.where(list_serves(moved, reference), GOES_ON, LIST_SPENT), FLEW_APART).astype(
        jnp.int32
    )


def _with_forces(method: Method, setting: Setting, moved: State) -> State:
    """`moved` with the energies, forces and virial of its positions."""
    u, reference = moved.displacements, setting.reference
    graph = reference.graph
    padded = jnp.concatenate([u, jnp.zeros_like(u[:1])])[reference.atom].reshape(*graph.is_atom.shape, 3)
    deformation = (1 + moved.strain) * jnp.eye(3, dtype=u.dtype)[None]
    result = of_structure(method.program, setting.weights, graph, Motion(padded, deformation), used=reference.used)
    return moved._replace(
        forces=result.forces.reshape(-1, 3)[reference.place],
        energies=result.energies.reshape(-1)[reference.place],
        virial=result.virial,
    )


@partial(jit, static_argnums=0)
def run(method: Method, setting: Setting, progress: Progress, until) -> Progress:
    """Steps up to number `until`, or until the neighbour list is not valid or the run is unstable.

    Args:
        method: ensemble and potential.
        setting: the rest of them, the list, the atoms.
        progress: state for which the list is valid.  Of `state` only the step is read: -1 means that `moved` is the
            initial state, for which only forces are computed.
        until: () int32.

    Returns:
        `Progress`.  With `NOT_FINITE`, `moved` has the forces.
    """

    def goes_on(progress):
        return (progress.state.step < until) & (progress.status == GOES_ON)

    def one(progress):
        return _finish(method, setting, progress, _with_forces(method, setting, progress.moved))

    return jax.lax.while_loop(goes_on, one, progress)


@partial(jit, static_argnums=0)
def step(method: Method, setting: Setting, progress: Progress, energies, forces, virial) -> Progress:
    """One step of `run` with the energies, forces and virial of `moved` from elsewhere, in the order of the atoms."""
    return _finish(method, setting, progress, progress.moved._replace(energies=energies, forces=forces, virial=virial))


def _finish(method: Method, setting: Setting, progress: Progress, new: State) -> Progress:
    """The step finished with the forces of `new`, and the next one advanced."""
    ensemble, system, numbers, old = method.ensemble, setting.system, setting.numbers, progress.state
    key = jax.random.wrap_key_data(setting.key, impl="threefry2x32")
    new = new if setting.pulls is None else with_pulls(new, setting.pulls)
    finite = jnp.isfinite(jnp.sum(new.energies)) & jnp.all(jnp.isfinite(new.forces))
    done = _choose(old.step < 0, new, ensemble.finish(new, system, numbers))._replace(step=old.step + 1)
    advanced = ensemble.advance(done, system, numbers, jax.random.fold_in(key, done.step))
    status = jnp.where(finite, check(done, advanced, setting.reference), NOT_FINITE).astype(jnp.int32)
    state, moved = _choose(finite, (done, advanced), (old, new))
    return Progress(state, moved, status)


def _choose(condition, first, second) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), first, second)
