"""Features of small clusters, whatever the descriptor."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latte_ase.geometry.graph import FAR, fill, lay_out
from latte_ase.geometry.neighbours import neighbour_list
from latte_ase.model import derivatives
from latte_ase.model.descriptors.base import Shared
from latte_ase.model.potential import Architecture, init_params
from latte_ase.model.program import Program, Weights


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
            layout = lay_out(species, pairs, 8, grouping=descriptor.grouping(2))
            groups = 2 if descriptor.grouping(2) == "species" else 1
            shape = layout.need._replace(blocks=2, neighbours=(len(species),) * groups)
            graph = fill(layout, pairs, 0, shape, np.float64)
            found = of_graph(Program(architecture), Weights(rest | {"descriptor": params}, constants), graph)
            return np.asarray(found).reshape(-1, descriptor.n_features)[layout.place]

        return features

    return compiled


def _rounds(descriptor, params, edges, neighbour, species):
    """All rounds of one block, the gather by hand: edges (atoms, k, 3), neighbour (atoms, k)."""
    rows = jax.tree.map(
        lambda t: t.value if isinstance(t, Shared) else jnp.asarray(t)[species],
        descriptor.tables(params),
        is_leaf=lambda t: isinstance(t, Shared),
    )
    own = received = None
    for step in range(descriptor.n_rounds):
        own, sent = descriptor.update(step, rows, (edges,), (jnp.asarray(species)[neighbour],), own, received)
        received = (jax.tree.map(lambda a: a[neighbour], sent),)
    return own


@pytest.fixture(scope="session")
def padded_and_not(cheap):
    """Check of (descriptor, params, positions, species): padding changes nothing, wherever it stands, in float32."""

    def check(descriptor, params, positions, species):
        n = len(species)
        others = np.array([[j for j in range(n) if j != i] for i in range(n)])
        edges = (positions[others] - positions[:, None]).astype(np.float32)
        padding = np.broadcast_to(np.float32([FAR, 0, 0]), (n, 3, 3))

        @partial(jax.jit, compiler_options=cheap)
        def value_and_slope(edges, neighbour):
            value, pull = jax.vjp(lambda e: _rounds(descriptor, params, e, neighbour, species), edges)
            return value, pull(jnp.ones_like(value))[0]

        behind = value_and_slope(
            np.concatenate([edges, padding], axis=1), np.concatenate([others, np.full((n, 3), 2)], axis=1)
        )
        before = value_and_slope(
            np.concatenate([padding, edges], axis=1), np.concatenate([np.full((n, 3), 3), others], axis=1)
        )
        assert np.isfinite(behind[1]).all()
        np.testing.assert_array_equal(behind[1][:, -3:], 0)
        np.testing.assert_array_equal(before[1][:, :3], 0)
        for a, b in ((behind[0], before[0]), (behind[1][:, :-3], before[1][:, 3:])):
            assert np.abs(a).max() > 0.03
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-4 * np.abs(a).max())

    return check
