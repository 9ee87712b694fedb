"""Features of small clusters, whatever the descriptor."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from latte_ase import derivatives
from latte_ase.graph import fill, lay_out
from latte_ase.neighbours import neighbour_list
from latte_ase.potential import Architecture, init_params


@pytest.fixture(scope="session")
def compile_features(cheap):
    """Function descriptor -> function (params, positions, species) -> (atoms, features) of atoms of two species."""

    def compiled(descriptor):
        architecture = Architecture(elements=("H", "O"), descriptor=descriptor, hidden=(1,), repulsion=False)
        rest = init_params(architecture, jax.random.key(0))
        zero = np.zeros((2, descriptor.n_features))
        constants = {"mean": zero, "deviation": 1 + zero, "scale": np.ones(())}
        of_graph = jax.jit(derivatives.features, static_argnums=0, compiler_options=cheap)

        def features(params, positions, species):
            pairs = neighbour_list(positions, np.zeros((3, 3)), False, descriptor.cutoff)
            layout = lay_out(species, pairs, 8, arrangement=descriptor.arrangement(2))
            groups = 2 if descriptor.arrangement(2) == "species" else 1
            shape = layout.need._replace(blocks=2, neighbours=(len(species),) * groups)
            graph = fill(layout, pairs, 0, shape, np.float64)
            still, unit = np.zeros((*graph.is_atom.shape, 3)), np.eye(3)[None]
            found = of_graph(architecture, rest | {"descriptor": params}, constants, graph, still, unit)
            return np.asarray(found).reshape(-1, descriptor.n_features)[layout.place]

        return features

    return compiled
