"""Common arguments of the functions of a potential on graphs: program, weights, and the motion of the atoms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from latte_ase.model import repulsion
from latte_ase.model.potential import Architecture, Potential


@dataclass(frozen=True)
class Program:
    """Computation that a function is compiled for, beside the shapes of its arrays; hashable.

    Attributes:
        architecture: of the potential.
        one_by_one: whether the blocks of a graph are computed one after the other, which keeps them in a CPU's cache;
            otherwise all at once, which fills a GPU.
    """

    architecture: Architecture
    one_by_one: bool = True

    @classmethod
    def on(cls, platform: str, architecture: Architecture) -> Program:
        """Program that suits a platform of JAX, such as "cpu" or "gpu"."""
        return cls(architecture, platform == "cpu")


class Weights(NamedTuple):
    """Numerical parameters and constants of a potential.

    Attributes:
        params: trained parameters.
        constants: scales of features and energies and constants of the repulsion, as `potential.species_tables` takes them.
        native: what the native kernel reads in their place (`native.call.tables`), for energies and forces that are not
            differentiated again; None for the kernels of JAX.
    """

    params: Any
    constants: Any
    native: Any = None

    def with_params(self, params: Any) -> Weights:
        """Weights with other parameters, for the kernels of JAX."""
        return Weights(params, self.constants)

    def differentiable(self) -> Weights:
        """The same weights for the kernels of JAX, whose results can be differentiated."""
        return Weights(self.params, self.constants)


def weights_of(potential: Potential, dtype) -> Weights:
    """Weights of a potential as NumPy arrays of one precision."""
    constants = {k: potential.constants[k] for k in ("mean", "deviation", "scale")}
    if potential.architecture.repulsion:
        constants["repulsion"] = repulsion.tables(
            potential.architecture.numbers, potential.constants["repulsion_range"]
        )
    return jax.tree.map(lambda a: np.asarray(a, dtype), Weights(potential.params, constants))


class Motion(NamedTuple):
    """Motion of the atoms since the pair list of a graph was built.

    Attributes:
        displacements: (all blocks, block, 3) u in Angstrom; None where nothing moved.
        deformation: (structures, 3, 3) F; None for 1.
        own: (blocks, block, 3) u of the atoms of the graph, where it holds some of all blocks; None where it holds all.
    """

    displacements: Any = None
    deformation: Any = None
    own: Any = None


AT_REST = Motion()
"""Motion of atoms that have not moved since the list was built."""
