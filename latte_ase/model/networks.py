"""Multilayer perceptrons (flax) from the invariants of an atom to its site energy: one per species, or one for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import lax

from latte_ase.settings import Allowed, Count, OneOf

ACTIVATIONS = {
    "silu": nn.silu,
    "tanh": jnp.tanh,
    "gaussian": lambda x: jnp.exp(-x * x),
}
"""Activation functions by name; `gaussian` is the default of the LATTE authors' code, `silu` trained best here.

In the order of native/src/network.hpp."""

MAX_LAYERS = 16
Activation = Annotated[str, OneOf(ACTIVATIONS)]
Widths = Annotated[
    tuple[Count, ...],
    Allowed(f"a list of up to {MAX_LAYERS} whole numbers of 1 or more", lambda widths: len(widths) <= MAX_LAYERS),
]
"""Widths of hidden layers."""


class SiteNetwork(nn.Module):
    """Multilayer perceptron: hidden layers with an activation, then one linear output.

    Attributes:
        hidden: widths of the hidden layers.
        activation: a name in `ACTIVATIONS`.
        linear: whether a linear function of the features is added, as CACE does.
    """

    hidden: Sequence[int]
    activation: str = "silu"
    linear: bool = False

    @nn.compact
    def __call__(self, features):
        """Output (atoms,), dimensionless, for features (atoms, features)."""
        # On GPUs the default precision would round the operands to TF32.
        x = features
        for width in self.hidden:
            x = ACTIVATIONS[self.activation](nn.Dense(width, precision=lax.Precision.HIGHEST)(x))
        x = nn.Dense(1, precision=lax.Precision.HIGHEST)(x)
        if self.linear:
            x = x + nn.Dense(1, precision=lax.Precision.HIGHEST, name="linear")(features)
        return x[..., 0]


def init(network: SiteNetwork, key, n_features: int):
    """Random parameters of one network."""
    return network.init(key, jnp.zeros((1, n_features)))["params"]


def init_per_species(network: SiteNetwork, key, n_species: int, n_features: int):
    """Random parameters of one network per species, stacked along axis 0."""
    return jax.vmap(lambda k: init(network, k, n_features))(jax.random.split(key, n_species))


def site_values(network: SiteNetwork, params, features):
    """Outputs of a network relative to its output for an isolated atom.

    The difference makes the energy of an isolated atom exactly its reference energy.

    Args:
        network: the network.
        params: its parameters.
        features: (atoms + 1, features); the last row is that of an isolated atom.

    Returns:
        (atoms,), dimensionless.
    """
    values: Any = network.apply({"params": params}, features)
    return values[:-1] - values[-1]
