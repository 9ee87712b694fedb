"""Energies, forces and virials of a graph: the only place that differentiates.

    D    = D0 @ F + u_j - u_i                       (float32 acts on edges, never on coordinates)
    F_i  = SUM_k g_ik - g_rev(ik),   g_ik = d(SUM_n E_n)/dD_ik
    W    = SUM_ik g_ik (x) D_ik,     stress = (W + W^T) / 2V = (1/V) dE/d(strain)

The reverse pair is found by a gather, so the sum over pairs has a fixed order and the result is
the same at every call.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from latte_ase.graph import Graph
from latte_ase.potential import Architecture, site_energies, species_tables


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


def edge_vectors(group, displacements, deformation, structure):
    """D = D0 @ F + u_j - u_i of one neighbour group.

    Args:
        group: `graph.Group`.
        displacements: (blocks, block, 3), u in Angstrom.
        deformation: (structures, 3, 3), F.
        structure: (blocks, block) int.

    Returns:
        (blocks, block, k, 3) in Angstrom.
    """
    u_j = displacements.reshape(-1, 3)[group.neighbour]
    f = deformation[structure]
    # three products instead of a matrix product: no rounding to TF32, and it fuses
    strained = sum(group.edges[..., a, None] * f[..., None, a, :] for a in range(3))
    return strained + u_j - displacements[..., None, :]


def _blocks(architecture, params, constants, graph: Graph, edges):
    """What a block needs, with leading axis (blocks,)."""
    tables = species_tables(architecture, params, constants)
    rows = jax.tree.map(lambda table: jnp.asarray(table)[graph.species], tables)
    return rows, graph.is_atom, edges, tuple(group.species for group in graph.groups)


def _all_edges(graph, displacements, deformation):
    return tuple(edge_vectors(g, displacements, deformation, graph.structure) for g in graph.groups)


def energies(architecture: Architecture, params, constants, graph: Graph, displacements, deformation, *, at_once=1):
    """Site energies (blocks, block) in eV without E0, and no derivative.

    Args:
        architecture, params, constants: the potential.
        graph: the structures.
        displacements: (blocks, block, 3) u since the list was built, Angstrom.
        deformation: (structures, 3, 3) F since then.
        at_once: blocks computed together; 1 keeps a CPU's cache, all fill a GPU.
    """

    def block(inputs):
        row, is_atom, edges, kinds = inputs
        return is_atom * site_energies(architecture, row, edges, kinds)

    edges = _all_edges(graph, displacements, deformation)
    inputs = _blocks(architecture, params, constants, graph, edges)
    return jax.lax.map(jax.checkpoint(block, prevent_cse=False), inputs, batch_size=_batch(at_once, graph))


def derivatives(
    architecture: Architecture, params, constants, graph: Graph, displacements, deformation, *, at_once=1
) -> Derivatives:
    """Energies, forces and virials; arguments as `energies`."""

    def block(inputs):
        row, is_atom, edges, kinds = inputs

        def masked(edges):
            return is_atom * site_energies(architecture, row, edges, kinds)

        values, pull = jax.vjp(masked, edges)
        return values, pull(jnp.ones_like(values))[0]

    edges = _all_edges(graph, displacements, deformation)
    inputs = _blocks(architecture, params, constants, graph, edges)
    # A block is small enough to be computed again in the backward pass of training.
    values, gradients = jax.lax.map(jax.checkpoint(block, prevent_cse=False), inputs, batch_size=_batch(at_once, graph))
    everyone = jnp.concatenate([g.reshape(-1, 3) for g in gradients])
    forces: Any = sum(
        jnp.sum(g - everyone[group.reverse], axis=-2) for g, group in zip(gradients, graph.groups, strict=True)
    )
    virials: Any = sum(
        jnp.sum(g[..., :, None] * e[..., None, :], axis=-3) for g, e in zip(gradients, edges, strict=True)
    )
    return Derivatives(values, forces, virials)


def _batch(at_once, graph):
    return None if at_once == 1 else min(at_once, graph.species.shape[0])


def features(architecture: Architecture, params, constants, graph: Graph, displacements, deformation, *, at_once=1):
    """Descriptor of every atom (blocks, block, features); 0 where padded.  Arguments as `energies`."""

    def block(inputs):
        row, is_atom, edges, kinds = inputs
        return is_atom[:, None] * architecture.descriptor.features(row["descriptor"], edges, kinds)

    edges = _all_edges(graph, displacements, deformation)
    inputs = _blocks(architecture, params, constants, graph, edges)
    return jax.lax.map(block, inputs, batch_size=_batch(at_once, graph))


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
