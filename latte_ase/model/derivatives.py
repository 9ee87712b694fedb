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
from latte_ase.model.message_passing import (
    PairGradients,
    in_exchange,
    masked_energies,
    over_blocks,
    states_of,
    update_block,
    whole,
)
from latte_ase.model.program import AT_REST, Motion, Program, Weights


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


class OfStructure(NamedTuple):
    """Results of a graph of one structure.

    Attributes:
        energies: (blocks, block) site energies without E0, eV; 0 where padded.
        forces: (blocks, block, 3) eV/Angstrom; 0 where padded.
        virial: (3, 3) eV.
    """

    energies: jax.Array
    forces: jax.Array
    virial: jax.Array


class OfStructures(NamedTuple):
    """Results of a graph of several structures.

    Attributes:
        energy: (structures,) eV, without E0.
        forces: (blocks, block, 3) eV/Angstrom; 0 where padded.
        virial: (structures, 3, 3) eV.
    """

    energy: jax.Array
    forces: jax.Array
    virial: jax.Array


def energies(program: Program, weights: Weights, graph: Graph, motion: Motion = AT_REST, *, used=None):
    """Site energies (blocks, block) in eV without E0; no derivative is computed.

    Args:
        program: what is computed.
        weights: of the potential.
        graph: the structures.
        motion: of their atoms since the pair list was built.
        used: () int, number of blocks that hold atoms: one by one, only these are computed, in a loop that cannot be
            differentiated in reverse, and the others are 0; None for all blocks, in a loop that can.
    """

    def block(block, edges, received):
        return masked_energies(program, block, edges, received, block.own)

    return _in_last_round(block, program, weights, graph, motion, used)


def features(program: Program, weights: Weights, graph: Graph, motion: Motion = AT_REST, *, used=None):
    """Descriptor of every atom (blocks, block, features); 0 where padded.  Arguments as `energies`."""
    step = program.architecture.descriptor.n_rounds - 1

    def block(block, edges, received):
        found, _ = update_block(program, step, block, edges, received, block.own)
        return block.is_atom[:, None] * found

    return _in_last_round(block, program, weights, graph, motion, used)


def _in_last_round(function, program: Program, weights: Weights, graph: Graph, motion: Motion, used):
    """Results of `function(block, edges, received)` of every block after all rounds but the last."""
    exchange = whole(program, weights, graph, motion, used)
    state = states_of(program.architecture.descriptor.n_rounds, exchange)[-1][0]
    return over_blocks(function, program, weights, graph, motion, used=used, state=state)


def pair_gradients(
    program: Program, weights: Weights, graph: Graph, motion: Motion = AT_REST, *, used=None
) -> PairGradients:
    """Energies and their derivatives with respect to pairs.  Arguments as `energies`.

    Parts of a graph can be computed separately, see `message_passing.in_exchange`.
    """
    exchange = whole(program, weights, graph, motion, used)
    return in_exchange(program.architecture.descriptor.n_rounds, exchange)[0]


def atomic_virials(program: Program, weights: Weights, graph: Graph, motion: Motion = AT_REST, *, used=None):
    """Virial SUM_k g_ik (x) D_ik of every atom, (blocks, block, 3, 3) in eV.  Arguments as `energies`."""
    return pair_gradients(program, weights, graph, motion, used=used).virials


def forces_of_pairs(gradients, reverse):
    """Forces F_i = SUM_k g_ik - g_rev(ik).

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
    program: Program, weights: Weights, graph: Graph, motion: Motion = AT_REST, *, used=None
) -> Derivatives:
    """Energies, forces, and virials of atoms.  Arguments as `energies`."""
    pairs = pair_gradients(program, weights, graph, motion, used=used)
    forces = forces_of_pairs(pairs.gradients, tuple(group.reverse for group in graph.groups))
    return Derivatives(pairs.energies, forces, pairs.virials)


def of_structure(
    program: Program, weights: Weights, graph: Graph, motion: Motion = AT_REST, *, used=None
) -> OfStructure:
    """Energies, forces and virial of the only structure of a graph.  Arguments as `energies`."""
    found = derivatives(program, weights, graph, motion, used=used)
    return OfStructure(found.energies, found.forces, jnp.sum(found.virials, axis=(0, 1)))


def of_structures(
    program: Program, weights: Weights, graph: Graph, count: int, motion: Motion = AT_REST
) -> OfStructures:
    """Energies, forces and virials of `count` structures.  Other arguments as `energies`."""
    found = derivatives(program, weights, graph, motion)
    owner = graph.structure.reshape(-1)
    energy = jax.ops.segment_sum(found.energies.reshape(-1), owner, count)
    virial = jax.ops.segment_sum(found.virials.reshape(-1, 3, 3), owner, count)
    return OfStructures(energy, found.forces, virial)


def hessian_products(program: Program, weights: Weights, graph: Graph, motion: Motion, probes):
    """Products of the Hessian d2E / dr dr with several vectors.

    The Hessian is symmetric, so its products with vectors are those of its transpose: one more
    reverse pass through the forces for each vector.

    Args:
        program, weights, graph, motion: as `energies`.
        probes: (blocks, block, 3, probes), the vectors.

    Returns:
        (blocks, block, 3, probes) in eV/Angstrom^2 times the unit of `probes`; 0 where padded.
    """

    def forces(u):
        return derivatives(program, weights.differentiable(), graph, motion._replace(displacements=u)).forces

    _, pull = jax.vjp(forces, motion.displacements)
    return -jax.vmap(lambda probe: pull(probe)[0], in_axes=-1, out_axes=-1)(probes)
