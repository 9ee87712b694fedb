"""LATTE's term notation, such as "4,-:8,a,a:8,ab,ab:4,a,b,ab", and the invariants that it stands for.

Blocks are separated by ":", the tokens of a block by ",".  The first token is the number of terms, the
others are factors: the letters of a factor are the indices of a Cartesian tensor, "-" is a scalar.
Each letter occurs exactly twice in a term, so that the contraction is a scalar:

    8,a,b,ab    ->    B[i, t] = SUM_ab A[i, u1(t)]_a A[i, u2(t)]_b A[i, u3(t)]_ab,   t = 0..7

Every factor of every term has a column u of its own (arXiv:2405.08137).

A term of n letters is a sum over 3^n values of its indices, which are written out.  So that reading and compiling a
notation takes a bounded time, n is at most `MAX_LETTERS`, and all terms together have at most `MAX_PRODUCTS` products.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import product
from math import prod

import jax
import jax.numpy as jnp

from latte_ase.model.moments import MAX_RANK, components
from latte_ase.settings import shortened

MAX_LETTERS = 6
"""Indices of a term: ranks that sum up to 12, as the largest optimal invariant has them (`tables.OPTIMAL`)."""
MAX_PRODUCTS = 3000
"""Values of the indices of all terms, SUM 3^n; the notation of the shipped models has 76."""


@dataclass(frozen=True)
class TermBlock:
    """Block of the notation: a number of terms of one signature.

    Attributes:
        count: number of terms.
        factors: index letters of each factor; "" for the scalar written "-".
    """

    count: int
    factors: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Assignment of columns of moments to the factors of a notation.

    Attributes:
        blocks: the blocks, in the order of the text.
        columns: number of columns of rank 0, 1, 2, 3.
        places: for each block and factor, (rank, first column among those of that rank).
    """

    blocks: tuple[TermBlock, ...]
    columns: tuple[int, ...]
    places: tuple[tuple[tuple[int, int], ...], ...]

    @property
    def n_features(self) -> int:
        """Number of invariants."""
        return sum(block.count for block in self.blocks)


def parse(text: str) -> tuple[TermBlock, ...]:
    """Blocks of a text in LATTE's notation.

    Args:
        text: for example "4,-:8,a,a".

    Returns:
        The blocks in the order of the text; several may have the same signature.

    Raises:
        ValueError: a block is malformed, is not a scalar, has a tensor of rank above 3 or more than `MAX_LETTERS` letters; the
            message names the block and the letter.  All blocks together have more than `MAX_PRODUCTS` products.
    """
    blocks = tuple(_parse_block(part.strip(), text) for part in text.split(":"))
    products = sum(3 ** len(set("".join(block.factors))) for block in blocks)
    if products > MAX_PRODUCTS:
        raise ValueError(
            f"The terms of contractions {shortened(text)} are sums of {products} products, counting 3^n for a term of n letters; "
            f"{MAX_PRODUCTS} are allowed. Write terms with the same factors as one, such as '8,a,a' for '4,a,a:4,a,a', or leave some out."
        )
    return blocks


def _parse_block(part: str, text: str) -> TermBlock:
    def refuse(why: str):
        return ValueError(f"Term {shortened(part)} of contractions {shortened(text)}: {why}")

    tokens = [token.strip() for token in part.split(",")]
    if len(tokens) < 2 or not re.fullmatch("[1-9][0-9]{0,8}", tokens[0]):
        raise refuse(
            "it must read COUNT,FACTOR,FACTOR,... such as '8,a,b,ab' with a positive count of at most 9 digits."
        )
    count, factors = int(tokens[0]), tokens[1:]
    if factors == ["-"]:
        return TermBlock(count, ("",))
    if "-" in factors:
        raise refuse("'-' is the scalar and stands alone, as in '4,-'. Products of scalars belong to the network.")
    for factor in factors:
        if not (factor.isalpha() and factor.isascii()):
            raise refuse(f"factor {factor!r} must consist of letters a-z, or be '-'.")
        if len(factor) > MAX_RANK:
            raise refuse(f"factor {factor!r} is a tensor of rank {len(factor)}; ranks up to {MAX_RANK} are allowed.")
        if len(set(factor)) < len(factor):
            raise refuse(f"factor {factor!r} repeats a letter: a trace of a unit tensor is the scalar '-'. Use '-'.")
    letters = Counter("".join(factors))
    for letter, times in sorted(letters.items()):
        if times != 2:
            raise refuse(f"it is not a scalar: index {letter!r} occurs {times} time(s); each must occur exactly twice.")
    if len(letters) > MAX_LETTERS:
        raise refuse(
            f"it has {len(letters)} letters; up to {MAX_LETTERS} are allowed, for the cost grows as 3^letters: factors whose ranks sum "
            f"up to {2 * MAX_LETTERS}."
        )
    return TermBlock(count, tuple(factors))


def plan(text: str) -> Plan:
    """Assignment of columns to every factor of every block of a text in LATTE's notation."""
    blocks = parse(text)
    used = [0] * (MAX_RANK + 1)
    places = []
    for block in blocks:
        row = []
        for factor in block.factors:
            rank = len(factor)
            row.append((rank, used[rank]))
            used[rank] += block.count
        places.append(tuple(row))
    return Plan(blocks, tuple(used), tuple(places))


def packed_terms(factors: tuple[str, ...]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Contraction of one signature as a sum of products of packed components.

    Args:
        factors: index letters of each factor.

    Returns:
        (multiplicity, component of each factor) for every distinct product.

    Examples:
        >>> packed_terms(("a", "a"))
        ((1, (0, 0)), (1, (1, 1)), (1, (2, 2)))
    """
    letters = sorted(set("".join(factors)))
    positions = [{exponents: c for c, exponents in enumerate(components(len(factor)))} for factor in factors]
    terms = Counter()
    for values in product(range(3), repeat=len(letters)):
        axis_of = dict(zip(letters, values, strict=True))
        chosen = []
        for factor, position in zip(factors, positions, strict=True):
            axes = [axis_of[letter] for letter in factor]
            chosen.append(position[tuple(axes.count(axis) for axis in range(3))])
        terms[tuple(chosen)] += 1
    return tuple((times, chosen) for chosen, times in sorted(terms.items()))


def contract(plan: Plan, moments):
    """Invariants of a block of atoms.

    Args:
        plan: assignment of columns, from `plan`.
        moments: one array (block, components, columns) for each rank that has columns.

    Returns:
        (block, n_features), in the order of the notation.
    """
    by_rank = dict(zip((rank for rank, n in enumerate(plan.columns) if n), moments, strict=True))
    features = []
    for block, places in zip(plan.blocks, plan.places, strict=True):
        # split once: with one index per product, each would be traced, and padded in the backward pass, separately
        tensors = [_components(by_rank[rank][:, :, first : first + block.count]) for rank, first in places]
        total = 0.0
        for times, chosen in packed_terms(block.factors):
            total = total + times * prod(tensor[c] for tensor, c in zip(tensors, chosen, strict=True))
        features.append(total)
    return jnp.concatenate(features, axis=-1)[:, 0]


def _components(tensor):
    """Packed components (block, 1, columns) of a tensor (block, components, columns)."""
    return jax.lax.split(tensor, (1,) * tensor.shape[1], axis=1)
