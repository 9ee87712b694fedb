"""Counts from arXiv:2402.07472 (CACE) and arXiv:2503.23515 (HIP-HOP-NN)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from latte_ase.model.contractions import cace, from_notation, optimal, packed_terms, ranks
from latte_ase.model.contractions.tables import check, to_text


@pytest.mark.parametrize(
    "l_max, counts",
    [
        (0, (1, 1, 1, 1)),
        (1, (1, 2, 2, 2)),
        (2, (1, 3, 4, 4)),
        (3, (1, 4, 6, 7)),
        (4, (1, 5, 9, 13)),
        (5, (1, 6, 12, 22)),
        (6, (1, 7, 16, 36)),
    ],
)
def test_cace_has_the_published_number_of_invariants(l_max, counts):
    tables = [cace(l_max, max_factors) for max_factors in (1, 2, 3, 4)]
    assert tuple(map(len, tables)) == counts
    assert len(set(tables[-1])) == counts[-1]
    assert all(longer[: len(table)] == table for table, longer in pairwise(tables))
    for max_factors, table in enumerate(tables, start=1):
        assert max(map(len, table)) <= max_factors
        assert max(ranks(table)) <= l_max
        check(table)


@pytest.mark.parametrize(
    "l_max, max_factors, products",
    [(1, 3, 4), (1, 4, 4), (2, 3, 19), (2, 4, 19), (3, 3, 47), (3, 4, 101), (4, 3, 128), (4, 4, 560), (5, 3, 254)],
)
def test_cace_written_out_has_the_known_number_of_products(l_max, max_factors, products):
    """Of monomials A_l, as many as CACE's own sums over exponents have."""
    assert sum(len(packed_terms(term)) for term in cace(l_max, max_factors)) == products


def test_cace_in_its_order():
    assert cace(3, 4) == (
        ("",),
        ("a", "a"),
        ("ab", "ab"),
        ("abc", "abc"),
        ("a", "b", "ab"),
        ("a", "bc", "abc"),
        ("a", "cd", "ab", "bcd"),
    )


def test_cace_has_letters_up_to_rank_27():
    assert max(map(len, cace(27, 4)[28])) == 2
    assert len("".join(cace(27, 4)[-1])) == 2 * (25 + 26 + 1)


@pytest.mark.parametrize(
    "numbers, message",
    [
        ((3, 0), "max_factors is 0; CACE defines invariants of 1, 2, 3 or 4 factors"),
        ((3, 5), "max_factors is 5"),
        ((-1, 2), "l_max is -1; a whole number from 0 to 27"),
        ((28, 2), "l_max is 28"),
        ((1.5, 2), "l_max is 1.5"),
    ],
)
def test_cace_refuses_other_numbers(numbers, message):
    with pytest.raises(ValueError, match=message):
        cace(*numbers)


@pytest.mark.parametrize(
    "l_max, n_max, count",
    [(3, 4, 13), (2, 4, 6), (1, 4, 2), (0, 4, 1), (3, 3, 7), (2, 3, 5), (3, 2, 4), (2, 2, 3), (1, 2, 2)],
)
def test_optimal_has_the_published_number_of_invariants(l_max, n_max, count):
    table = optimal(l_max, n_max)
    assert len(table) == count
    assert ranks(table) == tuple(range(l_max + 1))
    check(table)


def test_optimal_of_rank_2_are_those_of_the_source():
    """Numbers 1, 2, 3, 5, 6 and 9 of its list."""
    assert optimal(2, 4) == tuple(optimal(3, 4)[k - 1] for k in (1, 2, 3, 5, 6, 9))


@pytest.mark.parametrize("sizes", [(4, 4), (3, 5), (3, 1), (-1, 4)])
def test_optimal_names_what_is_known(sizes):
    with pytest.raises(ValueError, match=r"\(l_max, n_max\) is .* known for \(0, 4\), \(1, 2\), .*\(3, 4\)\."):
        optimal(*sizes)


def test_signatures_of_a_notation_once_each():
    table = from_notation("4,-:8,a,a:8,ab,ab:4,a,b,ab:2,a,a")
    assert table == (("",), ("a", "a"), ("ab", "ab"), ("a", "b", "ab"))
    assert from_notation(":".join("1," + to_text(term) for term in table)) == table
    with pytest.raises(ValueError, match="not a scalar"):
        from_notation("1,a,b")


@pytest.mark.parametrize(
    "table, message",
    [
        ((), "The table of contractions is empty"),
        (((),), r"Term \(\) must be a tuple of factors"),
        (("aa",), r"Term 'aa' must be a tuple of factors"),
        ((("",), ("a", "b")), r"Term \('a', 'b'\) is not a scalar: index 'a' occurs 1 time"),
        ((("a", "a", "a"),), "index 'a' occurs 3 time"),
        ((("aa",),), "factor 'aa' repeats a letter"),
        ((("a,a",),), "factor 'a,a' must consist of letters"),
        ((("-",),), "factor '-' must consist of letters, or be '' for a scalar"),
    ],
)
def test_refusals_name_the_term_and_why(table, message):
    with pytest.raises(ValueError, match=message):
        check(table)
