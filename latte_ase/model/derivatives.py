"""Energies, forces and virials of a graph.

    D    = D0 @ F + u_j - u_i,     g_ik = d(SUM_n E_n)/dD_ik       (`latte_ase.model.message_passing`)
    F_i  = SUM_k g_ik - g_rev(ik)
    W    = SUM_ik g_ik (x) D_ik,     stress = (W + W^T) / 2V = (1/V) dE/d(strain)

The reverse pair is found by a gather, so the sum over pairs has a fixed order and the result is
the same at every call.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from latte_ase.geometry.graph import Graph
from latte_ase.model.message_passing import PairGradients, in_exchange, over_blocks, states_of, update_block, whole
from latte_ase.model.potential import Architecture, site_energies


class Derivatives(NamedTuple):
    """Results in graph order.

    Attributes:
        energies: (blocks, block) site energies without E0, eV; 0 where padded.
        forces: (blocks, block, 3) eV/Angstrom; 0 where padded.
        virials: (blocks, block, 3, 3) SUM_k g_ik (x) D_ik per atom, eV.
    """

    energies: jax.Array
    forces: jax.Array
    virials: jax.Array


def _in_last_round(function, architecture: Architecture, arrays, how):
    """`function(block, edges, received)` of every block after all rounds but the last; as `over_blocks`."""
    state = states_of(architecture.descriptor.n_rounds, whole(architecture, arrays, how))[-1][0]
    return over_blocks(function, architecture, *arrays, state=state, **how)


def energies(
    architecture: Architecture,
    params,
    constants,
    graph: Graph,
    displacements=None,
    deformation=None,
    *,
    own=None,
    used=None,
    at_once=1,
):
    """Site energies (blocks, block) in eV without E0, and no derivative.

    Args:
        architecture, params, constants: the potential.
        graph: the structures.
        displacements: (all blocks, block, 3) u since the list was built, Angstrom; None where nothing moved.
        deformation: (structures, 3, 3) F since then; None for 1.
        own: (blocks, block, 3) u of the atoms of these blocks, where `graph` holds some of all blocks; only for
            descriptors of one round.
        used: () int, compute this many blocks and leave the others 0.  Cannot be differentiated in reverse;
            default all blocks, in a loop that can.
        at_once: without `used`, blocks computed together; 1 keeps a CPU's cache, all fill a GPU.
    """

    def block(block, edges, received):
        return block.is_atom * site_energies(
            architecture, block.rows, edges, block.neighbour_species, block.own, received
        )

    arrays = (params, constants, graph, displacements, deformation)
    how = {"own": own, "used": used, "at_once": at_once}
    return _in_last_round(block, architecture, arrays, how)


def pair_gradients(
    architecture: Architecture,
    params,
    constants,
    graph: Graph,
    displacements=None,
    deformation=None,
    *,
    own=None,
    used=None,
    at_once=1,
) -> PairGradients:
    """Energies and their derivatives with respect to pairs; arguments as `energies`.

    Parts of a graph can be computed apart, see `in_exchange`.
    """
    how = {"own": own, "used": used, "at_once": at_once}
    exchange = whole(architecture, (params, constants, graph, displacements, deformation), how)
    return in_exchange(architecture.descriptor.n_rounds, exchange)[0]


def forces_of_pairs(gradients, reverse):
    """F_i = SUM_k g_ik - g_rev(ik).

    Args:
        gradients: per group (blocks, block, k, 3).
        reverse: per group (blocks, block, k) int, `graph.Group.reverse`.

    Returns:
        (blocks, block, 3) in eV/Angstrom.
    """
    everyone = jnp.concatenate([g.reshape(-1, 3) for g in gradients])
    forces: Any = sum(jnp.sum(g - everyone[r], axis=-2) for g, r in zip(gradients, reverse, strict=True))
    return forces


def derivatives(
    architecture: Architecture,
    params,
    constants,
    graph: Graph,
    displacements=None,
    deformation=None,
    *,
    used=None,
    at_once=1,
) -> Derivatives:
    """Energies, forces and virials; arguments as `energies`."""
    how = {"used": used, "at_once": at_once}
    pairs = pair_gradients(architecture, params, constants, graph, displacements, deformation, **how)
    forces = forces_of_pairs(pairs.gradients, tuple(group.reverse for group in graph.groups))
    return Derivatives(pairs.energies, forces, pairs.virials)


def features(
    architecture: Architecture,
    params,
    constants,
    graph: Graph,
    displacements=None,
    deformation=None,
    *,
    own=None,
    used=None,
    at_once=1,
):
    """Descriptor of every atom (blocks, block, features); 0 where padded.  Arguments as `energies`."""

    step = architecture.descriptor.n_rounds - 1

    def block(block, edges, received):
        found, _ = update_block(architecture, step, block, edges, received, block.own)
        return block.is_atom[:, None] * found

    arrays = (params, constants, graph, displacements, deformation)
    how = {"own": own, "used": used, "at_once": at_once}
    return _in_last_round(block, architecture, arrays, how)


def hessian_products(
    architecture: Architecture, params, constants, graph: Graph, displacements, deformation, probes, *, at_once=1
):
    """Products of the Hessian d2E / dr dr with several vectors.

    The Hessian is symmetric, so its products with vectors are those of its transpose: one more
    reverse pass through the forces for each vector.

    Args:
        architecture, params, constants, graph, displacements, deformation, at_once: as `energies`.
        probes: (blocks, block, 3, probes), the vectors.

    Returns:
        (blocks, block, 3, probes) in eV/Angstrom^2 times the unit of `probes`; 0 where padded.
    """

    def forces(u):
        return derivatives(architecture, params, constants, graph, u, deformation, at_once=at_once).forces

    _, pull = jax.vjp(forces, displacements)
    return -jax.vmap(lambda probe: pull(probe)[0], in_axes=-1, out_axes=-1)(probes)
