"""Rounds of message passing over the blocks of a graph, forward and backward: energies and their gradients for pairs.

    D    = D0 @ F + u_j - u_i                       (float32 acts on pair vectors, never on coordinates)
    g_ik = d(SUM_n E_n)/dD_ik

Blocks depend on each other only through the messages between rounds, so parts of a graph can be computed separately if they
exchange these (`Exchange`).  With a descriptor of one round there is nothing to exchange.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from latte_ase.geometry.graph import Graph
from latte_ase.model.descriptors.base import Shared
from latte_ase.model.native import call as native
from latte_ase.model.potential import site_energies, species_tables
from latte_ase.model.program import Motion, Program, Weights


class PairGradients(NamedTuple):
    """Energies and their gradients with respect to pair vectors, from which forces are summed.

    Attributes:
        energies: (blocks, block) site energies without E0, eV; 0 where padded.
        gradients: per group (blocks, block, k, 3), g = d(SUM_n E_n)/dD in eV/Angstrom; 0 where padded.
        virials: (blocks, block, 3, 3) SUM_k g_ik (x) D_ik per atom, eV.
    """

    energies: jax.Array
    gradients: tuple[jax.Array, ...]
    virials: jax.Array


def edge_vectors(edges, neighbour, displacements, own, deformation):
    """Pair vectors D = D0 @ F + u_j - u_i of the neighbours in one group of some atoms.

    Args:
        edges: (..., k, 3), D0 in Angstrom.
        neighbour: (..., k) int, indices of the neighbours in the flat atom order.
        displacements: (blocks, block, 3), u of every atom in Angstrom.
        own: (..., 3), u of these atoms.
        deformation: (..., 3, 3), F of their structures; None for 1.

    Returns:
        (..., k, 3) in Angstrom.
    """
    u_j = displacements.reshape(-1, 3)[neighbour]
    if deformation is not None:
        # three products instead of a matrix product: no rounding to TF32, and it fuses
        edges = sum(edges[..., a, None] * deformation[..., None, a, :] for a in range(3))
    return edges + u_j - own[..., None, :]


class AtomBlock(NamedTuple):
    """Block of atoms; with a leading axis, all blocks.

    Attributes:
        rows: tables of the potential for the species of the block, see `species_tables`.
        is_atom: (block,), 1 for atoms and 0 for padding.
        neighbour_species: species of the neighbours, see `graph.Group`.
        own: state of the atoms after the round before, see `descriptors.base`.
    """

    rows: Any
    is_atom: Any
    neighbour_species: tuple
    own: Any


class _Pairs(NamedTuple):
    """Pairs of a block with the motion of its atoms; with a leading axis, those of all blocks.

    Attributes:
        edges: pair vectors D0 per group, see `graph.Group`.
        neighbour: indices of the neighbours per group, see `graph.Group`.
        own: (block, 3) u of the atoms of the block.
        deformation: (block, 3, 3) F of their structures.
    """

    edges: tuple
    neighbour: tuple
    own: Any
    deformation: Any

    def edge_vectors(self, displacements):
        """Pair vectors (..., k, 3) per group; those of the list where nothing moved."""
        if displacements is None:
            return self.edges
        return tuple(
            edge_vectors(e, n, displacements, self.own, self.deformation)
            for e, n in zip(self.edges, self.neighbour, strict=True)
        )

    def received(self, sent):
        """Messages of the neighbours per group, (..., k, ...) each; None where there are none."""
        if sent is None:
            return None
        return tuple(jax.tree.map(lambda a, n=n: a.reshape(-1, *a.shape[2:])[n], sent) for n in self.neighbour)


class RoundState(NamedTuple):
    """Input of a round from the round before: pytrees of arrays (blocks, block, ...), None in the first round.

    Attributes:
        own: states of the atoms of these blocks.
        sent: messages of all atoms, including those of blocks that are computed elsewhere.
    """

    own: Any = None
    sent: Any = None


def _is_shared(table):
    return isinstance(table, Shared)


def over_blocks(
    function: Callable,
    program: Program,
    weights: Weights,
    graph: Graph,
    motion: Motion,
    *more,
    used=None,
    state: RoundState,
):
    """Results of `function(block, edges, received, *rows of more)` of every block, in a round that starts from `state`.

    `more` are pytrees of arrays (blocks, ...); the other arguments are those of `derivatives.energies`.
    """
    tables, structure = jax.tree.flatten(
        species_tables(program.architecture, weights.params, weights.constants), is_leaf=_is_shared
    )
    rows = [None if _is_shared(t) else jnp.asarray(t)[graph.species] for t in tables]
    blocks = AtomBlock(rows, graph.is_atom, tuple(group.species for group in graph.groups), state.own)
    displacements = motion.displacements
    pairs = _Pairs(
        tuple(group.edges for group in graph.groups),
        tuple(group.neighbour for group in graph.groups),
        displacements if motion.own is None else motion.own,
        None if motion.deformation is None else motion.deformation[graph.structure],
    )

    def one(block, edges, received, *more):
        filled = [t.value if _is_shared(t) else row for t, row in zip(tables, block.rows, strict=True)]
        return function(block._replace(rows=jax.tree.unflatten(structure, filled)), edges, received, *more)

    if used is None or not program.one_by_one:
        # A block is small enough to be computed again in the backward pass of training.
        once = jax.checkpoint(lambda inputs: one(*inputs), prevent_cse=False)
        at_once = None if program.one_by_one else graph.species.shape[0]
        inputs = blocks, pairs.edge_vectors(displacements), pairs.received(state.sent), *more
        return jax.lax.map(once, inputs, batch_size=at_once)

    @jax.jit  # traced once for its shapes and for the loop, which halves the time of a trace
    def row(k):
        block, moved, *rest = jax.tree.map(
            lambda a: jax.lax.dynamic_index_in_dim(a, k, keepdims=False), (blocks, pairs, *more)
        )
        return one(block, moved.edge_vectors(displacements), moved.received(state.sent), *rest)

    def put(k, results):
        return jax.tree.map(lambda a, b: jax.lax.dynamic_update_index_in_dim(a, b, k, 0), results, row(k))

    first = jnp.zeros_like(used)  # of the type that the loop counts in: another one would be traced again
    empty = jax.tree.map(lambda a: jnp.zeros((graph.species.shape[0], *a.shape), a.dtype), jax.eval_shape(row, first))
    return jax.lax.fori_loop(first, used, put, empty)


def update_block(program: Program, step: int, block: AtomBlock, edges, received, own):
    """State and message of a block after a round, see `descriptors.base.Descriptor.update`."""
    return program.architecture.descriptor.update(
        step, block.rows["descriptor"], edges, block.neighbour_species, own, received
    )


def masked_energies(program: Program, block: AtomBlock, edges, received, own):
    """Site energies of a block in the last round, (block,) in eV without E0; 0 where padded."""
    return block.is_atom * site_energies(
        program.architecture, block.rows, edges, block.neighbour_species, own, received
    )


class _Passed(NamedTuple):
    """Output of the backward pass of a round, for the round before it.

    Attributes:
        own: cotangents of the states of the atoms, a pytree of (blocks, block, ...).
        received: cotangents of the messages received, per group a pytree of (blocks, block, k, ...).
    """

    own: Any
    received: tuple


def _pulled(pull, cotangent, edges):
    gradients, received, own = pull(cotangent)
    virials: Any = sum(
        jnp.sum(g[..., :, None] * e[..., None, :], axis=-3) for g, e in zip(gradients, edges, strict=True)
    )
    return gradients, virials, _Passed(own, received)


def forward(program: Program, step: int, *arrays, state: RoundState, used=None):
    """Forward pass of a round that is not the last: states and messages of its atoms.

    Args:
        program: what is computed.
        step: number of the round.
        *arrays: weights, graph and motion.
        state: input from the round before.
        used: number of blocks that hold atoms.
    """

    def block(block, edges, received):
        return update_block(program, step, block, edges, received, block.own)

    return over_blocks(block, program, *arrays, state=state, used=used)


def last(program: Program, step: int, *arrays, state: RoundState, used=None) -> tuple[PairGradients, _Passed]:
    """Last round, forward and backward: energies, pair gradients, and cotangents.  Arguments as `forward`."""
    del step  # the second argument of all stages
    weights, graph, motion = arrays
    if weights.native is not None:
        energies, virials, gradients = native.evaluate(program.architecture, weights.native, graph, motion, used)
        return PairGradients(energies, gradients, virials), _Passed(None, ())

    def block(block, edges, received):
        def masked(edges, received, own):
            return masked_energies(program, block, edges, received, own)

        values, pull = jax.vjp(masked, edges, received, block.own)
        return values, *_pulled(pull, jnp.ones_like(values), edges)

    values, gradients, virials, passed = over_blocks(block, program, *arrays, state=state, used=used)
    return PairGradients(values, gradients, virials), passed


def backward(
    program: Program, step: int, *arrays, state: RoundState, cotangent, sum_so_far: PairGradients, used=None
) -> tuple[PairGradients, _Passed]:
    """Backward pass of a round that is not the last: pair gradients added to those of later rounds, and cotangents.

    Args:
        program, step, *arrays, state, used: as those of `forward`.
        cotangent: cotangents of the results of `forward`.
        sum_so_far: pair gradients of the later rounds.
    """

    def block(block, edges, received, cotangent):
        def update(edges, received, own):
            return update_block(program, step, block, edges, received, own)

        _, pull = jax.vjp(update, edges, received, block.own)
        return _pulled(pull, cotangent, edges)

    gradients, virials, passed = over_blocks(block, program, *arrays, cotangent, state=state, used=used)
    gradients = tuple(a + b for a, b in zip(sum_so_far.gradients, gradients, strict=True))
    return sum_so_far._replace(gradients=gradients, virials=sum_so_far.virials + virials), passed


def sent_back(received, reverse):
    """Cotangents of the messages of every atom, gathered from those of the messages that its neighbours received.

    Args:
        received: cotangents per group, pytrees of (blocks, block, k, ...) of all blocks.
        reverse: as in `derivatives.forces_of_pairs`.
    """

    def back(*groups):
        everyone = jnp.concatenate([g.reshape(-1, *g.shape[3:]) for g in groups])
        return sum(jnp.sum(everyone[r], axis=2) for r in reverse)

    return jax.tree.map(back, *received)


class Exchange(NamedTuple):
    """Computation of the parts of a graph, and their exchange of messages between rounds.

    Attributes:
        parts: number of parts.
        run: function of a stage (`forward`, `last` or `backward`), its round, and a list of keywords, one dictionary for
            each part, that returns the list of results.
        share: function from the list of the messages of each part to those of all atoms.
        give_back: function from the list of cotangents of the messages received by each part to the list of cotangents of
            the messages that the atoms of each part sent.
    """

    parts: int
    run: Callable
    share: Callable
    give_back: Callable


def whole(program: Program, weights: Weights, graph: Graph, motion: Motion, used=None) -> Exchange:
    """Exchange with the whole graph as the only part."""

    def run(stage, step, each):
        return [stage(program, step, weights, graph, motion, used=used, **keywords) for keywords in each]

    def give_back(received):
        return [sent_back(received[0], tuple(group.reverse for group in graph.groups))]

    return Exchange(1, run, lambda sent: sent[0], give_back)


def states_of(rounds: int, exchange: Exchange) -> list[list[RoundState]]:
    """Inputs of every round of the descriptor, in each part."""
    states = [[RoundState()] * exchange.parts]
    for step in range(rounds - 1):
        found = exchange.run(forward, step, [{"state": state} for state in states[-1]])
        sent = exchange.share([sent for _, sent in found])
        states.append([RoundState(own, sent) for own, _ in found])
    return states


def in_exchange(rounds: int, exchange: Exchange) -> list[PairGradients]:
    """Pair gradients of every part, by a forward and a backward pass through the rounds.

    sent[s] = all parts of forward(s)       forward(s + 1) of a part needs its own atoms, and sent[s] of all
    back[s] = sums over pairs of all parts  backward(s) of a part needs back[s] of its own atoms
    """
    states = states_of(rounds, exchange)
    found = exchange.run(last, rounds - 1, [{"state": state} for state in states[-1]])
    for step in reversed(range(rounds - 1)):
        backs = exchange.give_back([passed.received for _, passed in found])
        each = [
            {"state": state, "cotangent": (passed.own, back), "sum_so_far": total}
            for state, (total, passed), back in zip(states[step], found, backs, strict=True)
        ]
        found = exchange.run(backward, step, each)
    return [total for total, _ in found]
