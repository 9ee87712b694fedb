from __future__ import annotations

import numpy as np
import pytest

from latte_ase.model.moments import components


def _packed(unit, weights, max_rank):
    exponents = [np.array(components(rank)) for rank in range(max_rank + 1)]
    return [np.stack([weights @ np.prod(unit**e, axis=-1) for e in rows])[:, None] for rows in exponents]


@pytest.fixture(scope="session")
def packed():
    """Function (unit vectors, weights, max_rank) -> SUM_j w_j n_j^(x)rank for every rank, (components, 1)."""
    return _packed
