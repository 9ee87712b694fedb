"""Strategies of fine-tuning: the parameters that are trained."""

from __future__ import annotations

from collections.abc import Callable

from latte_ase.model.potential import Potential
from latte_ase.training.parametrisation import Parametrisation, everything, last_layer, low_rank, networks

STRATEGIES: dict[str, Callable[[Potential], Parametrisation]] = {
    "full": everything,
    "network": networks,
    "last-layer": last_layer,
    "lora": low_rank,
}


def parametrisation(strategy: str | Callable[[Potential], Parametrisation]) -> Callable[[Potential], Parametrisation]:
    """Strategy by name; a function is returned unchanged.

    Raises:
        ValueError: unknown name.
    """
    if callable(strategy):
        return strategy
    if strategy not in STRATEGIES:
        raise ValueError(f"strategy is {strategy!r}; allowed are {', '.join(STRATEGIES)}.")
    return STRATEGIES[strategy]
