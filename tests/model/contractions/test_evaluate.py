from __future__ import annotations

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latte_ase.model.contractions import cace, contract_table, optimal, ranks, trace_free
from latte_ase.model.contractions.evaluate import program
from latte_ase.model.contractions.tables import check
from latte_ase.model.moments import components

pytestmark = pytest.mark.usefixtures("float64")

TABLES = {"cace(3, 4)": cace(3, 4), "cace(4, 4)": cace(4, 4), "optimal(3, 4)": optimal(3, 4)}


def random_density(seed, neighbours=9):
    rng = np.random.default_rng(seed)
    unit = rng.normal(size=(neighbours, 3))
    return unit / np.linalg.norm(unit, axis=-1, keepdims=True), rng.normal(size=neighbours)


def random_tensors(table, *, leading=(3,), channels=2, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(*leading, len(components(rank)), channels)) for rank in range(max(ranks(table)) + 1)]


def unpack(tensor):
    """(atoms, components, channels) -> (atoms, 3, .., 3, channels)."""
    rank = next(rank for rank in range(9) if len(components(rank)) == tensor.shape[1])
    full = np.empty((len(tensor), *(3,) * rank, tensor.shape[-1]))
    for axes in np.ndindex(*(3,) * rank):
        full[:, *axes] = tensor[:, components(rank).index(tuple(axes.count(a) for a in range(3)))]
    return full


def by_einsum(table, tensors):
    """The contractions of full tensors, as written: letters of the table, Y atoms, Z channels."""
    full = [unpack(tensor) for tensor in tensors]
    columns = [
        np.einsum(
            ",".join(f"Y{factor}Z" for factor in term) + "->YZ",
            *(full[len(factor)] for factor in term),
            optimize=True,
        )
        for term in table
    ]
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_equals_einsum_of_full_tensors(table):
    tensors = random_tensors(table)
    np.testing.assert_allclose(jax.jit(contract_table, static_argnums=0)(table, tensors), by_einsum(table, tensors))


@st.composite
def terms(draw):
    """Any multigraph of up to five tensors of rank up to 3: letters join pairs of factors."""
    factors = [""] * draw(st.integers(1, 5))
    for letter in "abcdef":
        free = [k for k, factor in enumerate(factors) if len(factor) < 3]
        if len(free) < 2 or draw(st.booleans()):
            break
        for k in draw(st.lists(st.sampled_from(free), min_size=2, max_size=2, unique=True)):
            factors[k] += letter
    return tuple(draw(st.permutations(factors)))


@settings(max_examples=60, deadline=None)
@given(table=st.lists(terms(), min_size=1, max_size=4).map(tuple))
def test_any_table_equals_einsum_of_full_tensors(table):
    """Also products of invariants, factors without indices, rings, and terms that occur twice."""
    tensors = random_tensors(table)
    with jax.disable_jit():
        np.testing.assert_allclose(contract_table(table, tensors), by_einsum(table, tensors), rtol=1e-9, atol=1e-9)


def test_cace_as_sums_over_neighbours(packed):
    """Terms are paths: each bond is a power of the cosine between two neighbours (own analysis of arXiv:2402.07472)."""
    unit, w = random_density(1)
    cosine = unit @ unit.T
    expected = [w.sum()]
    expected += [w @ cosine**power @ w for power in range(1, 5)]
    expected += [((cosine**a @ w) * (cosine**b @ w)) @ w for a in range(1, 4) for b in range(a, 5 - a)]
    expected += [
        (w * (cosine**a @ w)) @ cosine**d @ (w * (cosine**b @ w))
        for a in range(1, 4)
        for b in range(a + 1, 4)
        for d in range(1, 5 - b)
    ]
    np.testing.assert_allclose(contract_table(cace(4, 4), packed(unit, w, 4))[0], expected, rtol=1e-12)


def test_cace_of_one_density_in_trace_free_tensors(packed):
    """With S, V, Q, T the trace-free tensors of rank 0 to 3 (derived by hand)."""
    tensors = packed(*random_density(2), 3)
    square, cube, v_m_v, v_m_t = contract_table(cace(3, 3), tensors)[0, 2:]
    table = (("",), ("a", "a"), ("ab", "ab"), ("abc", "abc"), ("a", "ab", "b"), ("a", "bc", "abc"))
    s, v_v, q_q, t_t, v_q_v, v_q_t = contract_table(table, trace_free(tensors))[0]
    np.testing.assert_allclose(square, q_q + s**2 / 3)
    np.testing.assert_allclose(cube, t_t + 3 / 5 * v_v)
    np.testing.assert_allclose(v_m_v, v_q_v + s * v_v / 3)
    np.testing.assert_allclose(v_m_t, v_q_t + 2 / 5 * v_q_v + s * v_v / 3)


def test_optimal_invariants_of_four_neighbours(packed):
    """Numbers derived independently, with the trace-free parts of n, n n, n n n and the same weights for all."""
    unit = np.concatenate([np.eye(3), np.full((1, 3), 3**-0.5)])
    expected = [
        3.75,
        9.353951884327,
        2.958333333333,
        1.047279497513,
        12.937177826491,
        1.8125,
        0.220034365174,
        15.025634603654,
        17.914251696538,
        4.559736999052,
        1.312018049923,
        1.369194760327,
        0.44631811621,
    ]
    tensors = trace_free(packed(unit, np.array([1.0, 0.5, 0.25, 2.0]), 3))
    np.testing.assert_allclose(contract_table(optimal(3, 4), tensors)[0], expected, atol=1e-10)


@pytest.mark.parametrize("parity", [1, -1])
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_rotations_and_inversion_change_nothing_but_signs(packed, table, parity):
    """Inversion (parity -1): every letter stands twice, so that an even number of tensors are odd."""
    unit, weights = random_density(3)
    orthogonal, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    turned = unit @ orthogonal * np.sign(np.linalg.det(orthogonal)) * parity
    before, after = (contract_table(table, packed(n, weights, 4)) for n in (unit, turned))
    np.testing.assert_allclose(after, before, rtol=1e-11)
    free, free_turned = (contract_table(table, trace_free(packed(n, weights, 4))) for n in (unit, turned))
    np.testing.assert_allclose(free_turned, free, rtol=1e-11, atol=1e-13)


def test_leading_axes_and_vmap():
    table = cace(2, 3)
    tensors = random_tensors(table, leading=(2, 5), channels=3)
    whole = contract_table(table, tensors)
    assert whole.shape == (2, 5, 3, 4)
    np.testing.assert_allclose(jax.vmap(lambda t: contract_table(table, t))(tensors), whole)
    single = contract_table(table, [tensor[1, 4] for tensor in tensors])
    np.testing.assert_allclose(single, whole[1, 4])


def test_channels_do_not_mix():
    table = optimal(3, 4)
    tensors = random_tensors(table)
    changed = [tensor.copy() for tensor in tensors]
    for tensor in changed:
        tensor[..., 1] += 1.0
    before, after = contract_table(table, tensors), contract_table(table, changed)
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    assert np.all(after[:, 1] != before[:, 1])


def test_float32_stays_float32():
    table = cace(3, 4)
    assert contract_table(table, [t.astype(np.float32) for t in random_tensors(table)]).dtype == np.float32


@pytest.mark.parametrize("table, most", [(cace(3, 3), 52), (cace(4, 3), 142), (cace(4, 4), 172), (optimal(3, 4), 169)])
def test_terms_share_sums(table, most):
    """Written out they are up to 777 products of three or four; the numbers are those that were timed."""
    assert sum(map(len, program(check(table)).sums)) <= most


def test_equal_terms_are_computed_once():
    once, again = (program((("a", "ab", "b"), *more)) for more in ((), [("b", "ba", "a")] * 3))
    assert again.sums == once.sums
    assert again.outputs == once.outputs * 4


@pytest.mark.parametrize(
    "table, shapes, message",
    [
        ((("ab", "ab"),), [(1, 2), (3, 2)], "The tensor of rank 2 is missing; the table needs its 6 packed components"),
        ((("ab", "ab"),), [None, None, None], "The tensor of rank 2 is missing"),
        ((("ab", "ab"),), [None, None, (9, 2)], r"The tensor of rank 2 is of shape \(9, 2\); .* its 6 packed"),
        ((("a", "b"),), [(1, 2), (3, 2)], "is not a scalar"),
    ],
)
def test_refusals(table, shapes, message):
    with pytest.raises(ValueError, match=message):
        contract_table(table, [None if shape is None else np.ones(shape) for shape in shapes])
