"""Tables of contractions: invariants as data.

A table is a tuple of terms, a term is a tuple of factors, and a factor is the index letters of a symmetric tensor,
or "" for a scalar.  Every letter occurs twice in a term, in two factors:

    ("a", "b", "ab")    ->    SUM_ab A_a A_b A_ab

All factors of a term belong to the same channel, in contrast to LATTE's notation (`notation`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from string import ascii_letters

from latte_ase.model.contractions.notation import parse

Term = tuple[str, ...]
Table = tuple[Term, ...]

OPTIMAL: Table = (
    ("",),
    ("a", "a"),
    ("ab", "ab"),
    ("abc", "abc"),
    ("a", "ab", "b"),
    ("ab", "ac", "bc"),
    ("ab", "bcd", "acd"),
    ("a", "b", "c", "abc"),
    ("a", "ab", "bc", "c"),
    ("a", "abc", "bcd", "d"),
    ("ab", "bc", "ade", "cde"),
    ("ab", "abc", "cde", "de"),
    ("abc", "abd", "efc", "efd"),
)
"""The 13 functionally independent invariants of trace-free tensors of rank 0 to 3 (arXiv:2503.23515)."""

OPTIMAL_SIZES = ((0, 4), (1, 2), (1, 4), (2, 2), (2, 3), (2, 4), (3, 2), (3, 3), (3, 4))
"""Pairs (l_max, n_max) for which `optimal` has a table."""

MAX_CACE_RANK = len(ascii_letters) // 2 + 1
"""Highest rank of `cace`: a term needs up to 2 l_max - 2 letters."""


def cace(l_max: int, max_factors: int) -> Table:
    """Table of the invariants of CACE (arXiv:2402.07472).

    With A_l the tensor of rank l, in this order:

        1 factor     A_0
        2 factors    A_l A_l                      1 <= l <= l_max
        3 factors    A_l1 A_l2 A_(l1+l2)          1 <= l1 <= l2,  l1 + l2 <= l_max
        4 factors    A_l1 A_l2 A_(l1+d) A_(l2+d)  1 <= l1 < l2,  1 <= d,  l2 + d <= l_max

    There are 1, l_max and floor(l_max^2 / 4) invariants of one, two and three factors.  Up to l_max = 5 all are
    functionally independent; they are not complete, see `independent`.

    Args:
        l_max: highest rank, 0 to 27.
        max_factors: largest number of factors, 1 to 4; nu_max of CACE, the body order less one.

    Raises:
        ValueError: an argument is out of its range.
    """
    if max_factors not in range(1, 5):
        raise ValueError(f"max_factors is {max_factors}; CACE defines invariants of 1, 2, 3 or 4 factors.")
    if l_max not in range(MAX_CACE_RANK + 1):
        raise ValueError(f"l_max is {l_max}; a whole number from 0 to {MAX_CACE_RANK} is needed, for want of letters.")
    first = range(1, l_max)
    by_factors = (
        [_path()],
        [_path(rank) for rank in range(1, l_max + 1)],
        [_path(low, high) for low in first for high in range(low, l_max - low + 1)],
        [
            _path(low, middle, high)
            for low in first
            for high in range(low + 1, l_max)
            for middle in range(1, l_max - high + 1)
        ],
    )
    return tuple(term for terms in by_factors[:max_factors] for term in terms)


def _path(*powers: int) -> Term:
    """Term of tensors in a row, adjacent ones sharing `powers` indices; the two ends first, as CACE writes it."""
    letters = iter(ascii_letters)
    bonds = ["", *("".join(next(letters) for _ in range(power)) for power in powers), ""]
    row = [left + right for left, right in pairwise(bonds)]
    return tuple(row) if len(row) < 3 else (row[0], row[-1], *row[1:-1])


def optimal(l_max: int, n_max: int) -> Table:
    """Table of the functionally independent invariants of trace-free tensors, of HIP-HOP-NN (arXiv:2503.23515).

    The tensors have to be trace-free, see `trace_free`.  For n_max = 4 the table is complete: it has
    (l_max + 1)^2 - 3 invariants (1 for l_max = 0, 2 for l_max = 1), the number of degrees of freedom of the
    tensors less those of a rotation.

    Args:
        l_max: highest rank.
        n_max: largest number of factors of a term.

    Returns:
        13, 7 and 4 terms for l_max = 3 and n_max = 4, 3 and 2; 6, 5 and 3 for l_max = 2; 2 for l_max = 1, n_max
        = 4 or 2; 1 for l_max = 0, n_max = 4.

    Raises:
        ValueError: another pair of l_max and n_max.
    """
    if (l_max, n_max) not in OPTIMAL_SIZES:
        allowed = ", ".join(map(str, OPTIMAL_SIZES))
        raise ValueError(f"(l_max, n_max) is {(l_max, n_max)}; optimal invariants are known for {allowed}.")
    return tuple(term for term in OPTIMAL if len(term) <= n_max and max(map(len, term)) <= l_max)


def from_notation(text: str) -> Table:
    """Table of the signatures of a text in LATTE's notation, each once and without its count.

    Raises:
        ValueError: the text is not in LATTE's notation, see `parse`.

    Examples:
        >>> from_notation("4,-:8,a,a:2,a,a")
        (('',), ('a', 'a'))
    """
    return tuple(dict.fromkeys(block.factors for block in parse(text)))


def to_text(term: Sequence[str]) -> str:
    """Term in LATTE's notation without a count: "a,b,ab", and "-" for a scalar."""
    return ",".join(factor or "-" for factor in term)


def ranks(table: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """Ranks of the tensors in a table, increasing.

    Examples:
        >>> ranks(cace(3, 2))
        (0, 1, 2, 3)
    """
    return tuple(sorted({len(factor) for term in table for factor in term}))


def check(table: Sequence[Sequence[str]]) -> Table:
    """Table as tuples, checked: every term is a scalar.

    Raises:
        ValueError: the table is empty, or a term is not a scalar; the message names the term and the letter.
    """
    if not table:
        raise ValueError("The table of contractions is empty; at least one term such as ('a', 'a') is needed.")
    for term in table:
        if isinstance(term, str) or not term:
            raise ValueError(f"Term {term!r} must be a tuple of factors, such as ('a', 'b', 'ab') or ('',).")
        for factor in term:
            if factor and not factor.isalpha():
                raise ValueError(f"Term {term!r}: factor {factor!r} must consist of letters, or be '' for a scalar.")
            if len(set(factor)) < len(factor):
                raise ValueError(
                    f"Term {term!r}: factor {factor!r} repeats a letter. Of a unit tensor the trace is the tensor two "
                    "ranks lower: use that."
                )
        for letter, times in sorted(Counter("".join(term)).items()):
            if times != 2:
                raise ValueError(
                    f"Term {term!r} is not a scalar: index {letter!r} occurs {times} time(s); each must occur exactly "
                    "twice."
                )
    return tuple(map(tuple, table))
