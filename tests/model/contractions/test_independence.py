"""Ranks from own enumeration with complex steps, for CACE's rules (arXiv:2402.07472), and arXiv:2503.23515."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from latte_ase.model.contractions import (
    cace,
    contract_table,
    from_notation,
    independent,
    optimal,
    separate_densities,
    single_density,
    trace_free_tensors,
)
from latte_ase.model.moments import components

pytestmark = pytest.mark.usefixtures("float64")

DENSITIES = (separate_densities, trace_free_tensors, single_density)


@pytest.mark.parametrize(
    "l_max, max_factors, rank",
    [(2, 2, 3), (2, 3, 4), (2, 4, 4), (3, 2, 4), (3, 3, 6), (3, 4, 7), (4, 2, 5), (4, 3, 9), (4, 4, 13)],
)
def test_cace_is_independent(l_max, max_factors, rank):
    report = independent(cace(l_max, max_factors))
    assert report.ranks == tuple(range(1, rank + 1))
    assert sorted(report.table) == sorted(cace(l_max, max_factors))
    assert report.n_variables == sum(len(components(degree)) for degree in range(l_max + 1))


@pytest.mark.parametrize("l_max, rank, bound", [(2, 4, 6), (3, 7, 13), (4, 13, 22)])
def test_cace_is_not_complete_for_one_density(l_max, rank, bound):
    """Two closed graphs, tr M^3 and v.M.M.v, raise the rank by 2."""
    report = independent(cace(l_max, 4), density=single_density)
    assert (report.ranks[-1], report.n_variables, report.bound) == (rank, (l_max + 1) ** 2, bound)
    closed = (("ab", "bc", "ca"), ("a", "ab", "bc", "c"))
    assert len(independent(cace(l_max, 4) + closed, density=single_density).table) == rank + 2


@pytest.mark.parametrize("density", DENSITIES)
def test_cace_of_rank_6_has_one_term_too_many(density):
    """A_1 and A_l A_(l+1), l = 1..5, are six vectors.

    Of their scalar products CACE has all but five squares, 16; but, but for a rotation six vectors are 15 numbers.
    """
    report = independent(cace(6, 4), density=density)
    assert (len(report.table), len(report.trials)) == (35, 36)
    assert report.ranks[-2:] == (35, 35)
    assert sorted(independent(cace(5, 4), density=density).table) == sorted(cace(5, 4))


@pytest.mark.parametrize("l_max, n_variables, rank", [(0, 1, 1), (1, 4, 2), (2, 9, 6), (3, 16, 13)])
def test_optimal_invariants_are_independent_and_as_many_as_possible(l_max, n_variables, rank):
    report = independent(optimal(l_max, 4), density=trace_free_tensors)
    assert report.table == optimal(l_max, 4)
    assert (report.n_variables, report.ranks[-1], report.bound) == (n_variables, rank, rank)
    if rank == 13:
        one_more = independent((*optimal(3, 4), ("a", "bc", "abc")), density=trace_free_tensors)
        assert len(one_more.table) == 13


@pytest.mark.parametrize("density", DENSITIES)
def test_rank_is_that_of_the_jacobian_from_automatic_differentiation(density):
    table = cace(2, 4) + optimal(3, 4)
    basis = density((0, 1, 2, 3))
    ends = np.cumsum([len(components(rank)) for rank in range(4)])

    def invariants(x):
        return contract_table(table, [part[:, None] for part in jnp.split(basis @ x, ends[:-1])])[0]

    jacobian = np.asarray(jax.jacobian(invariants)(np.random.default_rng(9).normal(size=basis.shape[1])))
    jacobian = jacobian / np.linalg.norm(jacobian, axis=1, keepdims=True)
    report = independent(table, density=density)
    assert report.ranks[-1] == np.linalg.matrix_rank(jacobian, tol=1e-9) == len(report.table)
    assert np.linalg.matrix_rank(jacobian[list(report.kept)], tol=1e-9) == len(report.table)


@pytest.mark.parametrize("seed", range(3))
def test_a_redundant_table_is_pruned(seed):
    """Products and repetitions go, whatever their order; trials run from few factors to many, low degree first."""
    table = (("a", "b", "a", "b"), ("b", "ab", "a"), ("x", "x"), ("a", "b", "ab"), ("ab", "ab"), ("", ""), ("",))
    report = independent(table, seed=seed)
    assert report.table == (("",), ("x", "x"), ("ab", "ab"), ("b", "ab", "a"))
    assert report.kept == (6, 2, 4, 1)
    assert tuple(trial.place for trial in report.trials) == (6, 5, 2, 4, 1, 3, 0)
    assert report.ranks == (1, 1, 2, 3, 4, 4, 4)
    assert tuple(table[place] for place in report.kept) == report.table


def test_a_ring_of_four_follows_from_shorter_ones():
    """Cayley-Hamilton: tr Q^4 = (tr Q^2)^2 / 2 for a trace-free Q, but not for one with a trace."""
    table = from_notation("1,ab,ab:1,ab,bc,ca:1,ab,bc,cd,da")
    assert len(independent(table).table) == 3
    assert len(independent(table, density=trace_free_tensors).table) == 2


@pytest.mark.parametrize("density", DENSITIES)
def test_what_is_possible_for_moments(density):
    """Variables counted by hand."""
    ranks = (1, 2, 4)
    basis = density(ranks)
    variables = {"separate_densities": 3 + 6 + 15, "trace_free_tensors": 3 + 5 + 9, "single_density": 3 + 1 + 5 + 9}
    assert basis.shape == (24, variables[density.__name__])
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-12)


def test_moments_of_neighbours_are_in_their_space():
    rng = np.random.default_rng(2)
    unit = rng.normal(size=(5, 3))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    weights = rng.normal(size=5)
    exponents = np.array([e for rank in (0, 1, 2, 3) for e in components(rank)])
    moments = np.prod(unit ** exponents[:, None], axis=-1) @ weights
    basis = single_density((0, 1, 2, 3))
    np.testing.assert_allclose(basis @ (basis.T @ moments), moments, atol=1e-13)
    moments[4] += 0.1  # no longer the trace of rank 2
    assert np.linalg.norm(basis @ (basis.T @ moments) - moments) > 0.01


def test_report_as_text():
    text = str(independent((("a", "a"), ("",), ("a", "a", "b", "b"))))
    lines = text.splitlines()
    assert lines[0] == "2 of 3 terms are functionally independent; 4 variables allow 2."
    assert [line.split()[0] for line in lines[2:]] == ["1", "2", "2"]
    assert [line.split()[2] for line in lines[2:]] == ["-", "a,a", "a,a,b,b"]
    assert [line.endswith("dropped") for line in lines[2:]] == [False, False, True]


def test_what_is_not_clear_is_refused():
    """Rank-2 tensors that are multiples of the unit tensor but for 1e-4, so that all distances are near 1e-8."""

    def nearly_isotropic(ranks):
        assert ranks == (2,)
        basis = 1e-4 * np.random.default_rng(0).normal(size=(6, 2))
        basis[:, 0] += [1, 0, 0, 1, 0, 1]
        return basis

    table = (("ab", "ab"), ("ab", "bc", "ca"))
    with pytest.raises(ValueError, match=r"Term 'ab,bc,ca' is .*e-\d+ from the span .* seed 0; .* Try another seed"):
        independent(table, density=nearly_isotropic)


def test_a_term_that_is_no_scalar_is_refused():
    with pytest.raises(ValueError, match=r"Term \('a', 'b'\) is not a scalar"):
        independent((("a", "b"),))
