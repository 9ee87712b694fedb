from __future__ import annotations

from functools import partial
from itertools import pairwise

import jax
import numpy as np
import pytest

from latte_ase.model.networks import ACTIVATIONS, SiteNetwork, site_values

pytestmark = pytest.mark.usefixtures("float64")

FORMULAS = {"silu": lambda x: x / (1 + np.exp(-x)), "tanh": np.tanh, "gaussian": lambda x: np.exp(-(x**2))}


def test_every_activation_has_a_formula_here():
    assert set(FORMULAS) == set(ACTIVATIONS)


@pytest.mark.parametrize("linear", [False, True])
@pytest.mark.parametrize("activation, hidden", [*((name, (4, 3)) for name in FORMULAS), ("silu", ())])
def test_site_values_are_those_of_the_layers_relative_to_the_last_row(activation, hidden, linear, cheap):
    rng = np.random.default_rng(0)
    widths = [5, *hidden, 1]
    layers = [(rng.normal(size=shape), rng.normal(size=shape[1])) for shape in pairwise(widths)]
    params = {f"Dense_{k}": {"kernel": kernel, "bias": bias} for k, (kernel, bias) in enumerate(layers)}
    x = features = rng.normal(size=(6, 5))
    for kernel, bias in layers[:-1]:
        x = FORMULAS[activation](x @ kernel + bias)
    values = (x @ layers[-1][0] + layers[-1][1])[:, 0]
    if linear:
        params["linear"] = {"kernel": rng.normal(size=(5, 1)), "bias": rng.normal(size=1)}
        values = values + (features @ params["linear"]["kernel"])[:, 0]  # the bias is the same for all
    network = SiteNetwork(hidden, activation, linear)
    found = jax.jit(partial(site_values, network), compiler_options=cheap)(params, features)
    np.testing.assert_allclose(found, values[:-1] - values[-1], atol=1e-13)
