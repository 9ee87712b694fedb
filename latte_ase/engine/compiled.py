"""The functions of an engine, compiled, one for each set of properties: who wants only energies does not pay for forces.

`energies`, `forces` (energies, forces, virial), `atomic_virials`, `features` and `hessian_products` take (architecture, blocks at
once, parameters, constants, graph, displacements, deformation, ...), as the functions of `derivatives`.  `stage`, `shared`,
`given_back` and `together` compute a structure in parts, see `message_passing.Exchange`.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from latte_ase.engine.jit import Traces, jit
from latte_ase.model import derivatives, message_passing
from latte_ase.model.potential import Architecture

traces = Traces()
"""Of the functions in this file."""


def _counted(function):
    """`function(architecture, at_once, ...)` compiled, and every compilation counted."""

    @partial(jit, static_argnums=(0, 1))
    def counted(architecture: Architecture, at_once: int, *arrays, **blocks):
        traces.count += 1
        return function(architecture, *arrays, **blocks, at_once=at_once)

    return counted


def _with_total_virial(*arguments, **keywords):
    result = derivatives.derivatives(*arguments, **keywords)
    return result.energies, result.forces, jnp.sum(result.virials, axis=(0, 1))


energies = _counted(derivatives.energies)
forces = _counted(_with_total_virial)
atomic_virials = _counted(lambda *a, **k: derivatives.pair_gradients(*a, **k).virials)
features = _counted(derivatives.features)
hessian_products = _counted(derivatives.hessian_products)


@partial(jit, static_argnums=(0, 1, 2))
def stage(function, architecture: Architecture, step: int, *arrays, **keywords):
    """A stage of `message_passing.in_exchange`, `function`, for one part."""
    traces.count += 1
    return function(architecture, step, *arrays, **keywords)


@jit
def shared(sent, starts):
    """What all atoms sent, from what those of all parts did, which start at these blocks."""
    traces.count += 1
    return _joined(sent, starts)


@jit
def given_back(received, starts, reverse):
    """For each part, cotangents of what its atoms sent."""
    traces.count += 1
    back = message_passing.sent_back(_joined(received, starts), reverse)
    size = len(jax.tree.leaves(received[0])[0])
    return [jax.tree.map(lambda a, s=s: jax.lax.dynamic_slice_in_dim(a, s, size, 0), back) for s in starts]


@jit
def together(parts, starts, reverse):
    """Forces from the pairs of all parts, and the virial."""
    traces.count += 1
    of_atoms = derivatives.forces_of_pairs(_joined([part.gradients for part in parts], starts), reverse)
    return of_atoms, sum(jnp.sum(part.virials, axis=(0, 1)) for part in parts)


def _joined(parts, starts):
    """One pytree of arrays (all blocks, ...) from those of the parts."""

    def join(*arrays):
        joined = jnp.zeros((sum(map(len, arrays)), *arrays[0].shape[1:]), arrays[0].dtype)
        for part, start in zip(arrays, starts, strict=True):  # what one part has too much, the next one overwrites
            joined = jax.lax.dynamic_update_slice_in_dim(joined, part, start, 0)
        return joined

    return jax.tree.map(join, *parts)
