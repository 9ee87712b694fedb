"""What is trained: all parameters of a potential, some of them, or factors of low rank that are added to them.

An optimiser sees `start` and nothing else; `params` makes the potential's parameters of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from latte_ase.model.potential import Potential

MATRICES = ("kernel", "mixing")
"""Names of the parameters whose last two axes are a matrix, of networks or of a descriptor's mixing; any axes before them
tell matrices apart.  Of CACE's mixing these are not input and output: the input, a radial function, is an axis before."""


class Parametrisation(NamedTuple):
    """A pytree to be trained, and what it stands for.

    Attributes:
        start: pytree of arrays, what is trained.
        params: maps what is trained to the potential's parameters.
        project: maps what a step has left to what is allowed.
    """

    start: Any
    params: Callable[[Any], Any]
    project: Callable[[Any], Any]


def _as_it_is(trained):
    return trained


def everything(potential: Potential) -> Parametrisation:
    """All parameters, those of the descriptor kept where it is defined."""

    def project(params):
        return {**params, "descriptor": potential.architecture.descriptor.project(params["descriptor"])}

    return Parametrisation(potential.params, _as_it_is, project)


def networks(potential: Potential) -> Parametrisation:
    """The networks, on the descriptor as it is."""

    def params(trained):
        return {**potential.params, "network": trained}

    return Parametrisation(potential.params["network"], params, _as_it_is)


def last_layer(potential: Potential) -> Parametrisation:
    """The last linear layer of the networks."""
    name = f"Dense_{len(potential.architecture.hidden)}"

    def params(trained):
        return {**potential.params, "network": {**potential.params["network"], name: trained}}

    return Parametrisation(potential.params["network"][name], params, _as_it_is)


def low_rank(potential: Potential, rank: int = 4, *, seed: int = 0) -> Parametrisation:
    """W + A B for every matrix W of the networks and of the descriptor's mixing, with A (.., n, rank), B (.., rank, m).

    B begins at 0 (Hu et al., arXiv:2106.09685), and with it the change.  A matrix with no more than `rank` rows or columns
    has a change of its own size instead.  Weight decay draws the change to 0, not the matrix.

    Args:
        potential: where to start.
        rank: of the changes.
        seed: of A.

    Raises:
        ValueError: rank below 1.
    """
    if rank < 1:
        raise ValueError(f"rank is {rank}; 1 or more is needed.")
    rng = np.random.default_rng(seed)
    paths, structure = jax.tree_util.tree_flatten_with_path(potential.params)
    names = [jax.tree_util.keystr(path) for path, _ in paths]
    start = {
        name: _change(leaf, rank, rng)
        for name, (path, leaf) in zip(names, paths, strict=True)
        if path[-1].key in MATRICES and np.ndim(leaf) >= 2
    }

    def params(trained):
        leaves = zip(names, paths, strict=True)
        changed = [leaf + _product(trained[name]) if name in trained else leaf for name, (_, leaf) in leaves]
        return jax.tree.unflatten(structure, changed)

    return Parametrisation(start, params, _as_it_is)


def _change(matrix, rank: int, rng) -> dict[str, np.ndarray]:
    """Factors of a change that is 0."""
    *leading, rows, columns = np.shape(matrix)
    if min(rows, columns) <= rank:
        return {"whole": np.zeros_like(matrix)}
    left = rng.normal(scale=rows**-0.5, size=(*leading, rows, rank))
    return {"left": left, "right": np.zeros((*leading, rank, columns))}


def _product(change):
    return change["whole"] if "whole" in change else change["left"] @ change["right"]
