"""Rounds of a descriptor over the blocks of a graph, forward and back: energies and what they say of pairs.

    D    = D0 @ F + u_j - u_i                       (float32 acts on edges, never on coordinates)
    g_ik = d(SUM_n E_n)/dD_ik

Blocks know of each other only between rounds, by what atoms send to their neighbours; so parts of a graph can be computed
apart, if they exchange that (`Exchange`).  A descriptor of one round has nothing to exchange.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from latte_ase.geometry.graph import Graph
from latte_ase.model.descriptors.base import Shared
from latte_ase.model.potential import site_energies, species_tables
from latte_ase.model.program import Motion, Program, Weights


class PairGradients(NamedTuple):
    """Before pairs are put together into forces.

    Attributes:
        energies: (blocks, block) site energies without E0, eV; 0 where padded.
        gradients: per group (blocks, block, k, 3), g = d(SUM_n E_n)/dD in eV/Angstrom; 0 where padded.
        virials: (blocks, block, 3, 3) SUM_k g_ik (x) D_ik per atom, eV.
    """

    energies: jax.Array
    gradients: tuple[jax.Array, ...]
    virials: jax.Array


def edge_vectors(edges, neighbour, displacements, own, deformation):
    """D = D0 @ F + u_j - u_i of neighbours in one group; leading axes are those of some atoms.

    Args:
        edges: (..., k, 3), D0 in Angstrom.
        neighbour: (..., k) int, places of the neighbours.
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
    """One block of atoms; with a leading axis, all of them.

    Attributes:
        rows: tables of the potential at the block's species, see `species_tables`.
        is_atom: (block,).
        neighbour_species: species of the neighbours, see `graph.Group`.
        own: what the atoms kept from the round before, see `descriptors.base`.
    """

    rows: Any
    is_atom: Any
    neighbour_species: tuple
    own: Any


class _Pairs(NamedTuple):
    """What makes edge vectors of the list, of one block or with a leading axis of all.

    Attributes:
        edges, neighbour: per group, see `graph.Group`.
        own: (block, 3) u of the block's atoms.
        deformation: (block, 3, 3) F of their structures.
    """

    edges: tuple
    neighbour: tuple
    own: Any
    deformation: Any

    def edge_vectors(self, displacements):
        """Per group (..., k, 3); those of the list where nothing moved."""
        if displacements is None:
            return self.edges
        return tuple(
            edge_vectors(e, n, displacements, self.own, self.deformation)
            for e, n in zip(self.edges, self.neighbour, strict=True)
        )

    def received(self, sent):
        """Per group what the neighbours sent, (..., k, ...) each; None where nothing was."""
        if sent is None:
            return None
        return tuple(jax.tree.map(lambda a, n=n: a.reshape(-1, *a.shape[2:])[n], sent) for n in self.neighbour)


class RoundState(NamedTuple):
    """What a round leaves for the next one: pytrees of arrays (blocks, block, ...), None before the first.

    Attributes:
        own: what the atoms of these blocks kept.
        sent: what all atoms sent, also those of blocks that are computed elsewhere.
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
    tables, structure = jax.tree.flatten(species_tables(program.architecture, *weights), is_leaf=_is_shared)
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

    @jax.jit  # so that it is traced once, for its shapes and for the loop: half of the time of a trace
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
    """What a round makes of a block; see `descriptors.base.Descriptor.update`."""
    return program.architecture.descriptor.update(
        step, block.rows["descriptor"], edges, block.neighbour_species, own, received
    )


def masked_energies(program: Program, block: AtomBlock, edges, received, own):
    """Site energies of a block in the last round, (block,) in eV without E0; 0 where padded."""
    return block.is_atom * site_energies(
        program.architecture, block.rows, edges, block.neighbour_species, own, received
    )


class _Passed(NamedTuple):
    """What a round leaves for the round before it, on the way back.

    Attributes:
        own: cotangents of what the atoms had kept, pytree of (blocks, block, ...).
        received: per group, cotangents of what was received, pytrees of (blocks, block, k, ...).
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
    """A round that is not the last: what its atoms keep, and what they send.

    Args:
        program: what is computed.
        step: number of the round.
        *arrays: weights, graph and motion.
        state: what the round starts from.
        used: number of blocks that hold atoms.
    """

    def block(block, edges, received):
        return update_block(program, step, block, edges, received, block.own)

    return over_blocks(block, program, *arrays, state=state, used=used)


def last(program: Program, step: int, *arrays, state: RoundState, used=None) -> tuple[PairGradients, _Passed]:
    """The last round: energies, what they say of its pairs, and what goes back.  Arguments as `forward`."""
    del step  # of all stages the second argument

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
    """A round that is not the last on the way back: its pairs added to those of the later rounds, and what goes back.

    Args:
        program, step, *arrays, state, used: as `forward` had them.
        cotangent: of what it gave.
        sum_so_far: of the rounds behind it.
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
    """Cotangents of what every atom sent, from those of what its neighbours received of it: a gather, as for forces.

    Args:
        received: per group, pytrees of (blocks, block, k, ...), of all blocks.
        reverse: as in `forces_of_pairs`.
    """

    def back(*groups):
        everyone = jnp.concatenate([g.reshape(-1, *g.shape[3:]) for g in groups])
        return sum(jnp.sum(everyone[r], axis=2) for r in reverse)

    return jax.tree.map(back, *received)


class Exchange(NamedTuple):
    """How parts of a graph are computed, and how they tell each other between rounds.

    Attributes:
        parts: their number.
        run: function of a stage (`forward`, `last` or `backward`), its round, and a list of keywords, one dictionary for
            each part; gives the list of results.
        share: what all atoms sent, from a list of what the atoms of each part sent.
        give_back: a list of the cotangents of what the atoms of each part sent, from one of what each part received back.
    """

    parts: int
    run: Callable
    share: Callable
    give_back: Callable


def whole(program: Program, weights: Weights, graph: Graph, motion: Motion, used=None) -> Exchange:
    """One part that is the graph."""

    def run(stage, step, each):
        return [stage(program, step, weights, graph, motion, used=used, **keywords) for keywords in each]

    def give_back(received):
        return [sent_back(received[0], tuple(group.reverse for group in graph.groups))]

    return Exchange(1, run, lambda sent: sent[0], give_back)


def states_of(rounds: int, exchange: Exchange) -> list[list[RoundState]]:
    """What every round of the descriptor starts from, in each part."""
    states = [[RoundState()] * exchange.parts]
    for step in range(rounds - 1):
        found = exchange.run(forward, step, [{"state": state} for state in states[-1]])
        sent = exchange.share([sent for _, sent in found])
        states.append([RoundState(own, sent) for own, _ in found])
    return states


def in_exchange(rounds: int, exchange: Exchange) -> list[PairGradients]:
    """Pair gradients of every part, forward through the rounds and back.

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
