"""Trained parameters: all parameters of a potential, some of them, or low-rank changes of them.

The optimiser acts on `start` of a parametrisation; `params` maps it to the parameters of the potential.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from latte_ase.model.potential import Potential

MATRICES = ("kernel", "mixing")
"""Names of the parameters whose last two axes are a matrix, of networks or of the mixing of a descriptor; other axes
number the matrices.  (For the mixing of CACE these axes are not input and output: the input is an axis before them.)"""


class Parametrisation(NamedTuple):
    """Trained parameters, and their relation to those of a potential.

    Attributes:
        start: pytree of arrays, the initial values of the trained parameters.
        params: function from the trained parameters to the parameters of the potential.
        project: function that projects the trained parameters onto their allowed range after a step.
    """

    start: Any
    params: Callable[[Any], Any]
    project: Callable[[Any], Any]


def _as_it_is(trained):
    return trained


def everything(potential: Potential) -> Parametrisation:
    """All parameters; those of the descriptor are projected onto their allowed range."""

    def project(params):
        return {**params, "descriptor": potential.architecture.descriptor.project(params["descriptor"])}

    return Parametrisation(potential.params, _as_it_is, project)


def networks(potential: Potential) -> Parametrisation:
    """Parameters of the networks; the descriptor is fixed."""

    def params(trained):
        return {**potential.params, "network": trained}

    return Parametrisation(potential.params["network"], params, _as_it_is)


def last_layer(potential: Potential) -> Parametrisation:
    """Parameters of the last linear layer of the networks."""
    name = f"Dense_{len(potential.architecture.hidden)}"

    def params(trained):
        return {**potential.params, "network": {**potential.params["network"], name: trained}}

    return Parametrisation(potential.params["network"][name], params, _as_it_is)


def low_rank(potential: Potential, rank: int = 4, *, seed: int = 0) -> Parametrisation:
    """Low-rank changes (LoRA): W + A B for every matrix W of the networks and of the mixing of the descriptor.

    A is (..., n, rank) and B is (..., rank, m), 0 in the beginning (Hu et al., arXiv:2106.09685).  A matrix with at most
    `rank` rows or columns has a change of full rank.  Weight decay acts on the change, not on W.

    Args:
        potential: the potential to train.
        rank: rank of the changes.
        seed: seed of the initial A.

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
    """Factors of a change that is 0 in the beginning."""
    *leading, rows, columns = np.shape(matrix)
    if min(rows, columns) <= rank:
        return {"whole": np.zeros_like(matrix)}
    left = rng.normal(scale=rows**-0.5, size=(*leading, rows, rank))
    return {"left": left, "right": np.zeros((*leading, rank, columns))}


def _product(change):
    return change["whole"] if "whole" in change else change["left"] @ change["right"]
