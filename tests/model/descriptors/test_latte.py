from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from latte_ase.model.descriptors import Latte

TERMS = "2,-:1,a,a"
CUTOFF = 4.0


def test_columns_are_those_of_the_factors():
    descriptor = Latte(contractions="4,-:8,a,a:8,ab,ab:4,a,b,ab", cutoff=5.0)
    assert (descriptor.n_columns, descriptor.n_features) == (48, 24)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    arrays(np.float32, (2, 2, 4), elements=st.floats(allow_nan=False, width=32)),
    st.sampled_from([(0.5, 2.0), (0.3, 0.3), (0.7, 1.1)]),
)
def test_projection_moves_every_bump_inside(values, bounds):
    """w_min <= w <= w_max and w <= c <= cutoff - w, whatever the parameters were."""
    low, high = np.float32(bounds)
    descriptor = Latte(contractions=TERMS, cutoff=CUTOFF, min_width=bounds[0], max_width=bounds[1])
    params = {"weights": np.ones((2, 2, 4), np.float32), "centres": values[0], "widths": values[1]}
    projected = descriptor.project(params)
    c, w = np.asarray(projected["centres"]), np.asarray(projected["widths"])
    assert ((low <= w) & (w <= high)).all()
    assert ((w <= c) & (c <= np.float32(CUTOFF) - w)).all()
    inside = (low <= values[1]) & (values[1] <= high)
    np.testing.assert_array_equal(w[inside], values[1][inside])
    np.testing.assert_array_equal(projected["weights"], params["weights"])


def test_pair_cutoffs_remove_the_bumps_that_reach_beyond_both_ways():
    """Centres and widths are those of the central species, so the two ways may differ in columns."""
    rng = np.random.default_rng(0)
    descriptor = Latte(contractions="20,-", cutoff=CUTOFF, max_width=1.0, pair_cutoffs=((0, 1, 2.5), (2, 2, 3.0)))
    params = descriptor.project(
        {
            "weights": rng.uniform(1, 2, (3, 3, 20)),
            "centres": rng.uniform(0.5, 3.5, (3, 20)),
            "widths": rng.uniform(0.5, 1.0, (3, 20)),
        }
    )
    ends = np.asarray(params["centres"] + params["widths"])
    reach = np.full((3, 3), np.inf)
    reach[0, 1] = reach[1, 0] = 2.5
    reach[2, 2] = 3.0
    expected = ends[:, None] <= reach[..., None]
    np.testing.assert_array_equal(np.asarray(params["weights"]) != 0, expected)
    assert 0 < expected[0, 1].sum() < 20


def test_common_is_specific_with_equal_rows():
    common = Latte(contractions=TERMS, cutoff=CUTOFF, species_mode="common")
    params = common.init(jax.random.key(0), 3)
    rows = jax.tree.map(lambda a: np.broadcast_to(a, (3, *a.shape)), params)
    specific = Latte(contractions=TERMS, cutoff=CUTOFF).tables(rows)
    jax.tree.map(np.testing.assert_array_equal, common.tables(params), specific)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"species_mode": "each"}, "species_mode is 'each'; allowed are specific, common, embedded"),
        ({"min_width": 0.0}, "min_width is 0.0; a finite number larger than 0"),
        ({"min_width": 2.5}, "Widths 2.5 to 2.0 Angstrom"),
        ({"max_width": 2.1}, "do not fit a cutoff of 4.0: .* a bump spans two widths"),
        (
            {"species_mode": "common", "pair_cutoffs": ((0, 0, 2.0),)},
            "pair_cutoffs need species_mode 'specific', not 'common'",
        ),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        Latte(contractions=TERMS, cutoff=CUTOFF, **options)
