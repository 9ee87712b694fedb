"""Evaluation of one structure on several CPU cores: its blocks in parts, one compiled call per thread.

XLA runs the loop over blocks on one core.  Blocks depend on each other only through the messages between the rounds of a
descriptor and in the sums of pairs to forces.  A graph is therefore divided into parts of equal shape, and each thread calls
one compiled function for one part.  The results of an atom do not depend on the number of threads; the last digits of the
virial do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from latte_ase.engine.evaluator import COMPILED, Evaluator
from latte_ase.engine.jit import jit
from latte_ase.engine.threads import at_once
from latte_ase.geometry.graph import Graph
from latte_ase.model import derivatives, message_passing
from latte_ase.model.program import Motion, Program, Weights


class Part(NamedTuple):
    """Consecutive blocks of a graph, padded to the shape of all parts.

    Attributes:
        graph: arrays of the blocks; those after the first `used` ones belong to other parts.
        start: () int32, index of the first block.
        used: () int32, number of blocks of this part.
    """

    graph: Graph
    start: Any
    used: Any

    def of(self, everything):
        """The rows of an array over all blocks that go with this part."""
        return everything[int(self.start) : int(self.start) + len(self.graph.species)]


def split(graph: Graph, used: int, parts: int) -> list[Part]:
    """Parts with nearly equal numbers of blocks in use.

    Args:
        graph: numpy arrays, of which the parts are views; its number of blocks is a multiple of `parts`.
        used: number of blocks that hold atoms; the first ones.
        parts: how many.
    """
    size, each = len(graph.species) // parts, -(-used // parts)
    starts = [min(k * each, used) for k in range(parts)]
    return [
        Part(
            jax.tree.map(lambda a, s=start: a[s : s + size], graph),
            np.int32(start),
            np.int32(min(each, used - start)),
        )
        for start in starts
    ]


@partial(jit, static_argnums=(0, 1, 2))
def _stage(stage, program: Program, step: int, weights: Weights, *arrays, **keywords):
    """A stage of `message_passing.in_exchange` for one part."""
    return stage(program, step, weights, *arrays, **keywords)


@jit
def _shared(sent, starts):
    """What all atoms sent, from what those of all parts did, which start at these blocks."""
    return _joined(sent, starts)


@jit
def _given_back(received, starts, reverse):
    """For each part, cotangents of what its atoms sent."""
    back = message_passing.sent_back(_joined(received, starts), reverse)
    size = len(jax.tree.leaves(received[0])[0])
    return [jax.tree.map(lambda a, s=s: jax.lax.dynamic_slice_in_dim(a, s, size, 0), back) for s in starts]


@jit
def _together(parts, starts, reverse):
    """Forces from the pairs of all parts, and the virial."""
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


def of_each(evaluator: Evaluator, function: Callable, parts: Sequence[Part], motion: Motion) -> list:
    """Results of one of `COMPILED`, for a descriptor of one round, part by part, on the device."""
    compiled = partial(COMPILED[function], evaluator.program, evaluator.weights)
    return _in_threads(evaluator, compiled, parts, motion, key=(function, evaluator.program), each=[{}] * len(parts))


def _in_threads(evaluator, function: Callable, parts: Sequence[Part], motion: Motion, *, key, each) -> list:
    """Results of a compiled function of (graph, motion), each part by a thread of its own.

    Args:
        evaluator: whose precision and device are used.
        function: compiled, with its static arguments and weights.
        parts: of one graph.
        motion: of all its blocks.
        key: what the function is compiled for, beside the shapes of the parts.
        each: further keywords, a dictionary for each part.
    """

    def one(work):
        part, keywords = work
        moved = motion if motion.displacements is None else motion._replace(own=part.of(motion.displacements))
        with evaluator.precision():  # settings of JAX belong to a thread
            return jax.block_until_ready(function(part.graph, moved, used=part.used, **keywords))

    work = list(zip(parts, each, strict=True))
    with evaluator.compiling((key, tuple(np.shape(a) for a in jax.tree.leaves(parts[0].graph)))) as is_first:
        if is_first:
            one(work[0])  # in this thread, which counts
    return at_once(one, work)


def structure(
    evaluator: Evaluator, parts: Sequence[Part], motion: Motion, reverse, weights: Weights
) -> tuple[list, Any, Any]:
    """Site energies (blocks, block) without E0 of each part, forces (blocks, block, 3) and virial (3, 3) of all.

    Args:
        evaluator: whose program, precision and device are used.
        parts: of the graph of one structure.
        motion: of all blocks.
        reverse: per group, the index of reverse pairs of all blocks, on the device.
        weights: of the potential, or of a member of its committee.
    """
    program, starts = evaluator.program, [part.start for part in parts]

    def run(stage, step, each):
        function = partial(_stage, stage, program, step, weights)
        return _in_threads(evaluator, function, parts, motion, key=(stage, program, step), each=each)

    def give_back(received):
        return _given_back(received, starts, reverse)

    exchange = message_passing.Exchange(len(starts), run, partial(_shared, starts=starts), give_back)
    with evaluator.precision():
        found = message_passing.in_exchange(program.architecture.descriptor.n_rounds, exchange)
        forces, virial = _together(found, starts, reverse)
    return [part.energies for part in found], forces, virial
