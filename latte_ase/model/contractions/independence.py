"""Functional independence of the terms of a table of contractions.

Invariants I_k of moments x are functionally independent where the Jacobian dI_k / dx_a has full row rank at a
generic x.  `independent` tries the terms one after the other and keeps those that raise the rank, as in
arXiv:2503.23515.  A term that is dropped is a function of those that are kept, though not always a polynomial.

Which moments can occur depends on the descriptor: its radial weights may depend on the rank, its tensors may be
trace-free, or all ranks may be moments of one density.  A density in this module is a function from ranks to a basis
of the linear space of possible moments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from latte_ase.model.contractions.evaluate import ContractionProgram, program
from latte_ase.model.contractions.tables import Table, Term, check, to_text
from latte_ase.model.contractions.traces import trace_free_matrix
from latte_ase.model.moments import components

Density = Callable[[Sequence[int]], np.ndarray]
"""Function from ranks to a basis (packed components of all ranks in turn, variables) of the possible moments."""

DEPENDENT, INDEPENDENT = 1e-11, 1e-6
"""Thresholds of the distance of a gradient of length 1 from the span of those before it: below the first it is
dependent, above the second independent.  For CACE up to l_max = 6 and HIP-HOP-NN distances are below 1e-14 or above
1e-3."""


def separate_densities(ranks: Sequence[int]) -> np.ndarray:
    """Basis of all symmetric tensors: moments whose radial weights depend on the rank, as in CACE and LATTE."""
    return np.eye(sum(len(components(rank)) for rank in ranks))


def trace_free_tensors(ranks: Sequence[int]) -> np.ndarray:
    """Basis of all symmetric trace-free tensors, 2 rank + 1 variables each; those of one density span it too."""
    bases = [_span(trace_free_matrix(rank)) for rank in ranks]
    rows, columns = np.cumsum(np.array([basis.shape for basis in bases]), axis=0).T
    whole = np.zeros((rows[-1], columns[-1]))
    for basis, row, column in zip(bases, rows, columns, strict=True):
        whole[row - basis.shape[0] : row, column - basis.shape[1] : column] = basis
    return whole


def single_density(ranks: Sequence[int]) -> np.ndarray:
    """Basis of the moments of one density, SUM_j w_j n_j^(x)rank with the same w_j for every rank, traces included."""
    directions = np.random.default_rng(0).normal(size=(4 * (max(ranks) + 1) ** 2, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    exponents = np.array([e for rank in ranks for e in components(rank)])
    return _span(np.prod(directions ** exponents[:, None], axis=-1))


def _span(matrix: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the column space of a matrix."""
    left, sizes, _ = np.linalg.svd(matrix, full_matrices=False)
    return left[:, sizes > 1e-12 * sizes[0]]


class Trial(NamedTuple):
    """Result of `independent` for one term.

    Attributes:
        place: index in the table that was given.
        term: the term.
        distance: distance of its gradient, scaled to length 1, from the span of the gradients kept before it.
        rank: rank of the Jacobian including this term.
        kept: whether the term raised the rank.
    """

    place: int
    term: Term
    distance: float
    rank: int
    kept: bool


@dataclass(frozen=True)
class RankReport:
    """Result of `independent`; its text lists all terms.

    Attributes:
        trials: all terms, in the order in which they were tried.
        n_variables: number of degrees of freedom of the moments.
        bound: largest possible number of independent terms: n_variables less the dimension of an orbit of the
            rotation group, which is 3 except for the simplest moments.
    """

    trials: tuple[Trial, ...]
    n_variables: int
    bound: int

    @property
    def table(self) -> Table:
        """Independent terms, in the order in which they were tried."""
        return tuple(trial.term for trial in self.trials if trial.kept)

    @property
    def kept(self) -> tuple[int, ...]:
        """Indices of the independent terms in the table that was given, in the order in which they were tried."""
        return tuple(trial.place for trial in self.trials if trial.kept)

    @property
    def ranks(self) -> tuple[int, ...]:
        """Rank of the Jacobian after each term."""
        return tuple(trial.rank for trial in self.trials)

    def __str__(self):
        head = (
            f"{len(self.table)} of {len(self.trials)} terms are functionally independent; "
            f"{self.n_variables} variables allow {self.bound}.\n  rank  distance  term"
        )
        rows = [
            f"{trial.rank:6d}  {trial.distance:8.1e}  {to_text(trial.term)}{'' if trial.kept else '   dropped'}"
            for trial in self.trials
        ]
        return "\n".join([head, *rows])


def independent(table: Sequence[Sequence[str]], *, density: Density = separate_densities, seed: int = 0) -> RankReport:
    """Functionally independent terms of a table, chosen greedily.

    Terms are tried in the order of their number of factors, then of their total degree, then of the table.  A term
    is kept if it raises the rank of the Jacobian, in float64 at one random density: if its gradient, scaled to
    length 1, is farther than 1e-6 from the span of the gradients before it.

    Args:
        table: table of contractions, see `tables`; one channel is considered, since terms do not mix channels.
        density: possible moments: `separate_densities`, `trace_free_tensors`, `single_density`, or another linear
            space that is closed under rotations.
        seed: seed of the random density.

    Returns:
        The terms with their distances, and which of them are kept.

    Raises:
        ValueError: a term is not a scalar; or the distance of a term is between 1e-11 and 1e-6, so that this density
            does not decide whether it is independent.

    Examples:
        >>> independent((("a", "a"), ("a", "a", "b", "b"), ("a", "b", "ab"))).table
        (('a', 'a'), ('a', 'b', 'ab'))
    """
    table = check(table)
    order = sorted(range(len(table)), key=lambda place: (len(table[place]), sum(map(len, table[place]))))
    steps = program(tuple(table[place] for place in order))
    basis = density(steps.ranks)
    moments = basis @ np.random.default_rng(seed).normal(size=basis.shape[1])
    span, trials = np.zeros((basis.shape[1], 0)), []
    for place, gradient in zip(order, _jacobian(steps, moments) @ basis, strict=True):
        distance, direction = _leave(span, gradient)
        if DEPENDENT < distance < INDEPENDENT:
            raise ValueError(
                f"Term {to_text(table[place])!r} is {distance:.1e} from the span of the terms before it, at the random "
                f"density of seed {seed}; below {DEPENDENT} it is dependent, above {INDEPENDENT} independent. Try "
                "another seed."
            )
        kept = distance >= INDEPENDENT
        if kept:
            span = np.column_stack([span, direction])
        trials.append(Trial(place, table[place], distance, span.shape[1], kept))
    bound = basis.shape[1] - np.linalg.matrix_rank(_turned(steps.ranks, moments))
    return RankReport(tuple(trials), basis.shape[1], int(bound))


def _leave(span: np.ndarray, gradient: np.ndarray) -> tuple[float, np.ndarray]:
    """Distance of the normalised gradient from the span of orthonormal columns, and the direction to it."""
    length = np.linalg.norm(gradient)
    if length == 0:
        return 0.0, gradient
    rest = gradient / length
    for _ in range(2):  # twice, because the first projection leaves rounding errors along the span
        rest = rest - span @ (span.T @ rest)
    distance = float(np.linalg.norm(rest))
    return distance, rest / max(distance, np.finfo(float).tiny)


def _jacobian(steps: ContractionProgram, moments: np.ndarray) -> np.ndarray:
    """Jacobian (terms, packed components), by the product rule along the program."""
    values: list[Any] = list(moments)
    gradients: list[Any] = list(np.eye(len(moments)))
    for terms in steps.sums:
        values.append(sum(times * values[i] * values[j] for times, i, j in terms))
        gradients.append(sum(times * (values[i] * gradients[j] + values[j] * gradients[i]) for times, i, j in terms))
    return np.array([gradients[output] for output in steps.outputs])


def _turned(ranks: Sequence[int], moments: np.ndarray) -> np.ndarray:
    """Derivatives (components, 3) of the packed components with respect to rotations about x, y and z.

    A rotation about z changes n_x by -n_y and n_y by n_x; tensors change as the monomials n^e do.
    """
    places = [(rank, e) for rank in ranks for e in components(rank)]
    position = {place: c for c, place in enumerate(places)}
    slopes = np.zeros((len(places), 3))
    for c, (rank, exponents) in enumerate(places):
        for axis in range(3):
            first, second = (axis + 1) % 3, (axis + 2) % 3
            for lower, raised, sign in ((first, second, -1), (second, first, 1)):
                if exponents[lower]:
                    moved = list(exponents)
                    moved[lower] -= 1
                    moved[raised] += 1
                    slopes[c, axis] += sign * exponents[lower] * moments[position[rank, tuple(moved)]]
    return slopes
