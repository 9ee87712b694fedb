"""Evaluation of a table of contractions for many atoms and channels.

Written out, the four-factor terms of CACE with l_max = 4 are 432 products of four numbers.  Contracted factor by
factor they are a few dozen sums of products of two numbers, most of them shared between terms: A_a A_ab A_bc A_c is
the square of the vector A_a A_ab, which also occurs in A_a A_ab A_b.  `program` finds such a sequence of sums once
for a table, and `contract_table` evaluates it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, reduce
from itertools import combinations, product
from math import prod
from operator import add
from typing import NamedTuple

import jax.numpy as jnp

from latte_ase.model.contractions.tables import Table, check, ranks
from latte_ase.model.contractions.traces import multiplicity
from latte_ase.model.moments import components

Sum = tuple[tuple[int, int, int], ...]
"""Sum of times * number[i] * number[j], as a sorted tuple of (times, i, j) with i <= j."""


class ContractionProgram(NamedTuple):
    """Sequence of sums of products of two numbers that evaluates a table.

    Attributes:
        ranks: ranks of the tensors whose packed components are the first numbers, rank by rank.
        sums: further numbers, in order; a sum refers only to numbers before it.
        outputs: index of the number that is the value of each term.
    """

    ranks: tuple[int, ...]
    sums: tuple[Sum, ...]
    outputs: tuple[int, ...]


class _Tensor(NamedTuple):
    """Intermediate result with open indices; a bond is a pair of factors and stands for all indices that they share."""

    bonds: tuple[tuple[int, int], ...]
    numbers: dict
    """Index of the number of each component, by the exponents of every bond: the indices of one bond are symmetric."""


def contract_table(table: Sequence[Sequence[str]], tensors: Sequence):
    """Invariants of packed symmetric tensors, channel by channel.

    Args:
        table: table of contractions, see `tables`.
        tensors: packed tensors of rank 0, 1, 2, ..., each (..., components(rank), channels); None where the table
            does not use a rank.

    Returns:
        (..., channels, terms).

    Raises:
        ValueError: a term is not a scalar, or a tensor is missing or not packed.
    """
    steps = program(check(table))
    numbers = []
    for rank in steps.ranks:
        tensor, count = tensors[rank] if rank < len(tensors) else None, len(components(rank))
        if tensor is None or tensor.shape[-2] != count:
            found = "missing" if tensor is None else f"of shape {tensor.shape}"
            raise ValueError(
                f"The tensor of rank {rank} is {found}; the table needs its {count} packed components on the "
                "last axis but one, channels on the last."
            )
        # split, whose transpose is one concatenation: with slices the gradient of cace(4, 4) takes 2.5 times as long
        numbers += [jnp.squeeze(part, axis=-2) for part in jnp.split(tensor, count, axis=-2)]
    for terms in steps.sums:
        products: dict[int, list] = {}
        for times, i, j in terms:
            products.setdefault(times, []).append(numbers[i] * numbers[j])
        numbers.append(reduce(add, (times * reduce(add, terms) for times, terms in products.items())))
    return jnp.stack([numbers[output] for output in steps.outputs], axis=-1)


@cache
def program(table: Table) -> ContractionProgram:
    """Sums that evaluate a table, each distinct sum once.

    Terms are contracted two factors at a time, beginning with the pair that adds the fewest products.
    """
    used = ranks(table)
    places = [(rank, exponents) for rank in used for exponents in components(rank)]
    position = {place: number for number, place in enumerate(places)}
    known: dict[Sum, int] = {}
    outputs = []
    for term in table:
        powers = Counter(tuple(k for k, factor in enumerate(term) if letter in factor) for letter in set("".join(term)))
        tensors = [_factor(k, len(factor), powers, position) for k, factor in enumerate(term)]
        while len(tensors) > 1:
            candidates = [(x, y, *_contraction(x, y, powers)) for x, y in combinations(tensors, 2)]
            x, y, bonds, sums = min(candidates, key=lambda candidate: _cost(candidate, known))
            for terms in sums.values():
                known.setdefault(terms, len(places) + len(known))
            contracted = _Tensor(bonds, {exponents: known[terms] for exponents, terms in sums.items()})
            tensors = [*(tensor for tensor in tensors if tensor is not x and tensor is not y), contracted]
        outputs.append(tensors[0].numbers[()])
    return ContractionProgram(used, tuple(known), tuple(outputs))


def _assignments(bonds, powers) -> Iterator[dict]:
    """All assignments {bond: exponents} of some bonds."""
    for exponents in product(*(components(powers[bond]) for bond in bonds)):
        yield dict(zip(bonds, exponents, strict=True))


def _factor(k: int, rank: int, powers, position) -> _Tensor:
    """Factor k of a term: a symmetric tensor, so the exponents of its bonds add up."""
    bonds = tuple(sorted(bond for bond in powers if k in bond))
    numbers = {}
    for assigned in _assignments(bonds, powers):
        exponents = tuple(assigned.values())
        total = tuple(sum(e[axis] for e in exponents) for axis in range(3))
        numbers[exponents] = position[rank, total]
    return _Tensor(bonds, numbers)


def _contraction(x: _Tensor, y: _Tensor, powers) -> tuple[tuple, dict[tuple, Sum]]:
    """Bonds that remain open, and for their exponents the sum over the bonds that x and y share."""
    shared = [bond for bond in x.bonds if bond in y.bonds]
    left = tuple(bond for bond in (*x.bonds, *y.bonds) if bond not in shared)
    sums = {}
    for outer in _assignments(left, powers):
        counts = Counter()
        for inner in _assignments(shared, powers):
            assigned = outer | inner
            i, j = sorted(tensor.numbers[tuple(assigned[bond] for bond in tensor.bonds)] for tensor in (x, y))
            counts[i, j] += prod(map(multiplicity, inner.values()))
        sums[tuple(outer.values())] = tuple(sorted((times, i, j) for (i, j), times in counts.items()))
    return left, sums


def _cost(candidate, known) -> tuple:
    """Order of contraction: pairs with a shared bond first, then few new products, then few resulting components."""
    x, y, _, sums = candidate
    new = sum(len(terms) for terms in set(sums.values()) if terms not in known)
    return not set(x.bonds) & set(y.bonds), new, len(sums)
