from __future__ import annotations

import string

import jax
import numpy as np
import pytest

from latte_ase.model.contractions import TermBlock, contract, packed_terms, parse, plan
from latte_ase.model.moments import components
from latte_ase.settings import shortened

pytestmark = pytest.mark.usefixtures("float64")


@pytest.mark.parametrize(
    "text, blocks",
    [
        ("4,-", [(4, ("",))]),
        ("4,-:8,a,a:8,ab,ab:4,a,b,ab", [(4, ("",)), (8, ("a", "a")), (8, ("ab", "ab")), (4, ("a", "b", "ab"))]),
        ("1,a,a:2,-:3,a,a", [(1, ("a", "a")), (2, ("",)), (3, ("a", "a"))]),
        (" 2 , ab , cd , abcd".replace("abcd", "ac,bd"), [(2, ("ab", "cd", "ac", "bd"))]),
        ("1,x,y,yx", [(1, ("x", "y", "yx"))]),
    ],
)
def test_parse(text, blocks):
    assert parse(text) == tuple(TermBlock(*block) for block in blocks)


@pytest.mark.parametrize(
    "text, message",
    [
        ("4,-:8,a,b,aab", r"Term '8,a,b,aab' .*'aab' repeats a letter"),
        ("8,a", "not a scalar: index 'a' occurs 1 time"),
        ("8,a,a,ab,b,b", "index 'a' occurs 3 time"),
        ("2,-:8,ab,bc", "Term '8,ab,bc' .*index 'a' occurs 1 time"),
        ("", "must read COUNT,FACTOR"),
        ("4", "Term '4' .*must read COUNT,FACTOR"),
        ("4,-:", "Term '' .*must read COUNT,FACTOR"),
        ("0,a,a", "positive count"),
        ("-1,a,a", "positive count"),
        ("a,a", "positive count"),
        ("2.5,a,a", "positive count"),
        ("4,abcd,abcd", "'abcd' is a tensor of rank 4; ranks up to 3"),
        ("4,-,a,a", "'-' is the scalar and stands alone"),
        ("4,-,-", "'-' is the scalar and stands alone"),
        ("4,a1,a1", "factor 'a1' must consist of letters"),
        ("4,a,,a", "factor '' must consist of letters"),
        ("4,aa", "'aa' repeats a letter.*Use '-'"),
        ("²,-", "positive count"),
        ("9999999999999,-", "positive count of at most 9 digits"),
        ("1,ab,bc,cd,de,ef,fg,ga", "it has 7 letters; up to 6 are allowed.* ranks sum up to 12"),
        ("1,ab,bc,cd,de,ef,fa:" * 4 + "1,ab,bc,cd,de,ef,fa", "are sums of 3645 products.*; 3000 are allowed"),
    ],
)
def test_refusals_name_the_term_and_why(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        parse(text)
    assert shortened(text) in str(caught.value)


def test_a_long_term_is_refused_before_it_is_written_out():
    """A ring of 52 tensors: 3^52 products."""
    letters = string.ascii_letters
    ring = ",".join(a + b for a, b in zip(letters, letters[1:] + letters[0], strict=True))
    with pytest.raises(ValueError, match="it has 52 letters"):
        plan(f"1,{ring}")
    assert len(packed_terms(parse("1,ab,bc,cd,de,ef,fa")[0].factors)) == 726


def unpack(packed, rank):
    """(atoms, components, columns) -> (atoms, 3, .., 3, columns)."""
    full = np.empty((packed.shape[0], *(3,) * rank, packed.shape[-1]))
    for axes in np.ndindex(*(3,) * rank):
        full[:, *axes] = packed[:, components(rank).index(tuple(axes.count(a) for a in range(3)))]
    return full


SIGNATURES = ["-", "a,a", "ab,ab", "a,b,ab", "abc,abc", "ab,bc,ca", "a,a,b,b", "ab,ac,b,c", "a,b,c,abc"]


@pytest.mark.parametrize("signature", SIGNATURES)
def test_packed_contraction_equals_einsum_of_full_tensors(signature):
    """With a block of every rank before it, so that the columns do not start at 0."""
    notation = plan(f"1,-:1,a,a:1,ab,ab:1,abc,abc:2,{signature}")
    rng = np.random.default_rng(0)
    packed = [rng.normal(size=(3, len(components(rank)), n)) for rank, n in enumerate(notation.columns)]
    factors = signature.replace("-", "").split(",")
    next_column = [1, 2, 2, 2]
    operands = []
    for factor in factors:
        first = next_column[len(factor)]
        next_column[len(factor)] += 2
        operands.append(unpack(packed[len(factor)], len(factor))[..., first : first + 2])
    assert tuple(next_column) == notation.columns
    expected = np.einsum(",".join(f"i{factor}t" for factor in factors) + "->it", *operands)
    with jax.disable_jit():
        np.testing.assert_allclose(contract(notation, packed)[:, 4:], expected, atol=1e-12)


@pytest.mark.parametrize("signature", SIGNATURES)
def test_multiplicities_count_every_product_once(signature):
    factors = tuple(signature.replace("-", "").split(","))
    assert sum(times for times, _ in packed_terms(factors)) == 3 ** len(set("".join(factors)))


def test_only_ranks_that_occur_need_moments():
    notation = plan("2,-:1,ab,ab")
    assert notation.columns == (2, 0, 2, 0)
    rng = np.random.default_rng(1)
    scalars, tensors = rng.normal(size=(3, 1, 2)), rng.normal(size=(3, 6, 2))
    full = unpack(tensors, 2)
    expected = np.column_stack([scalars[:, 0], (full[..., 0] * full[..., 1]).sum(axis=(1, 2))])
    np.testing.assert_allclose(contract(notation, (scalars, tensors)), expected, atol=1e-12)


def test_counts_of_a_known_notation():
    """24 features, 48 columns and 196 packed numbers per atom, as published for these terms."""
    notation = plan("4,-:8,a,a:8,ab,ab:4,a,b,ab")
    assert notation.n_features == 24
    assert notation.columns == (4, 24, 20, 0)
    assert sum(n * len(components(rank)) for rank, n in enumerate(notation.columns)) == 196
