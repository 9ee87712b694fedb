"""Exact periodic neighbour lists on the host, and the rule for their reuse.

All computations are in NumPy and float64.  The search is that of matscipy; this module gives it cells that it accepts (see
`reduction` and `search_frame`) and converts its result to the conventions of ASE.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot
from typing import NamedTuple

import numpy as np
from ase.geometry import minkowski_reduce
from matscipy.neighbours import neighbour_list as matscipy_neighbour_list

DEFECT = 4.0
"""Ratio of the product of the lengths of the cell vectors to the volume, from which on the search uses reduced vectors.
It is at most 2 for reduced vectors, and below 4 for common cells, which are used unchanged."""

MOST_IMAGES = 100_000
"""Largest number of periodic images of an atom within its cutoff; 1 Angstrom^3 and a cutoff of 10 Angstrom have 4 000."""


class Pairs(NamedTuple):
    """Neighbour list: every directed pair (i, j, S) closer than a cutoff, with all periodic images, in any order.

    The list is full: it contains (j, i, -S) for every (i, j, S).  It does not contain (i, i, 0).

    Attributes:
        i: (pairs,) int, centre.
        j: (pairs,) int, neighbour.
        shift: (pairs, 3) int, S; always 0 along directions that are not periodic.
        edge: (pairs, 3) float64 in Angstrom, D = r_j + S @ cell - r_i.
        reverse: (pairs,) int, position of (j, i, -S) in the list.
    """

    i: np.ndarray
    j: np.ndarray
    shift: np.ndarray
    edge: np.ndarray
    reverse: np.ndarray


def volume(cell) -> float:
    """Volume in Angstrom^3 of a cell (3, 3); 0 where vectors depend on each other but for rounding."""
    # floats of Python: for 9 numbers numpy's determinant and norms take six times as long
    a, b, c = cell.tolist()
    found = abs(
        a[0] * (b[1] * c[2] - b[2] * c[1]) + a[1] * (b[2] * c[0] - b[0] * c[2]) + a[2] * (b[0] * c[1] - b[1] * c[0])
    )
    return found if found > 1e-9 * hypot(*a) * hypot(*b) * hypot(*c) else 0.0


def complete_cell(cell, pbc, *, near=None):
    """Replace the rows of non-periodic directions by orthonormal vectors, orthogonal to the periodic ones.

    Only the periodic rows of an ASE cell have a physical meaning for a neighbour list, so two
    cells that differ in the others are the same here.  Orthogonality lets a coordinate along
    such a direction be moved without moving any periodic image.

    Args:
        cell: (3, 3), rows are vectors in Angstrom.
        pbc: (3,) bool.
        near: (3, 3), a completed cell of the same pbc.  The rows put in are then those closest to its rows
            (orthogonal Procrustes), so that they turn only as far as the periodic rows do.  Without it they
            may turn by any angle between two cells that hardly differ; no rule that sees one cell alone is
            continuous, since a continuous field of vectors tangent to the sphere has a zero.

    Returns:
        (3, 3) invertible matrix.

    Raises:
        ValueError: the periodic rows are zero or linearly dependent.
    """
    cell, pbc = np.array(cell, float), np.asarray(pbc, bool)
    if not np.isfinite(cell).all():
        raise ValueError(f"The cell is {cell.tolist()}, with a value that is not finite.")
    lengths = np.linalg.norm(cell, axis=1)
    for axis in np.flatnonzero(pbc & (lengths == 0)):
        raise ValueError(
            f"pbc is {pbc.tolist()} but cell vector {'abc'[axis]} has zero length. Give the cell a "
            f"length along {'abc'[axis]} (atoms.set_cell), or set atoms.pbc[{axis}] = False."
        )
    rows = cell[pbc]
    missing = np.flatnonzero(~pbc)
    if len(rows) and np.linalg.svd(rows / lengths[pbc, None], compute_uv=False)[-1] < 1e-6:
        raise ValueError(
            f"The periodic cell vectors {rows.tolist()} are linearly dependent to six digits; the cell has no "
            "volume. Correct atoms.cell, or switch pbc off along one of them. A cell that is right but sheared very "
            "far has shorter vectors: atoms.set_cell(ase.geometry.minkowski_reduce(atoms.cell, atoms.pbc)[0])."
        )
    if len(missing) == 3:
        return np.eye(3)
    if len(missing):
        # the null space of the periodic rows, as an orthonormal basis
        cell[missing] = np.linalg.svd(rows)[2][len(rows) :]
        if near is not None:
            left, _, right = np.linalg.svd(near[missing] @ cell[missing].T)
            cell[missing] = left @ right @ cell[missing]
    return cell


def images(cell, pbc, cutoff: float) -> float:
    """About how many periodic images of itself an atom has within a cutoff: the ball over the size of the cell.

    Args:
        cell: (3, 3) from `complete_cell`.
        pbc: (3,) bool.
        cutoff: in Angstrom.
    """
    dimensions = int(np.sum(pbc))
    ball = (1.0, 2.0, np.pi, 4 / 3 * np.pi)[dimensions] * cutoff**dimensions
    return ball / abs(np.linalg.det(cell))  # the other rows have length 1


def reduction(cell, pbc) -> np.ndarray | None:
    """Integer matrix H that makes short vectors H @ cell of a sheared cell; None where the cell is compact as it is.

    A search visits images by cell vectors: a cell sheared n times has planes 1/n as far apart, and n times as
    many images within a cutoff to look at, or n^2.  H has the determinant 1 or -1 and mixes periodic rows only, so
    the lattice is the same and a shift S of H @ cell is the shift S @ H of the cell.

    Args:
        cell: (3, 3) from `complete_cell`.
        pbc: (3,) bool.
    """
    if np.prod(np.linalg.norm(cell, axis=1)) < DEFECT * abs(np.linalg.det(cell)):
        return None
    return np.asarray(minkowski_reduce(cell, pbc)[1], np.int64)


def search_frame(positions, cell, pbc, cutoff):
    """Positions and a cell of moderate size that have the same pairs as the given ones.

    Periodic coordinates are wrapped.  Along non-periodic directions the atoms are shifted to
    positive coordinates and empty gaps wider than the cutoff are closed down to the cutoff, so
    that two molecules 10 km apart do not ask for a grid of 10 km.

    Args:
        positions: (atoms, 3).
        cell: (3, 3) from `complete_cell`.
        pbc: (3,) bool.
        cutoff: in Angstrom.

    Returns:
        Positions (atoms, 3), cell (3, 3) for the search, and the whole cells (atoms, 3) int that
        wrapping subtracted from each atom.
    """
    pbc = np.asarray(pbc, bool)
    fractional = np.linalg.solve(cell.T, positions.T).T
    wraps = np.where(pbc, np.floor(fractional), 0.0)
    fractional = fractional - wraps
    box = cell.copy()
    for axis in np.flatnonzero(~pbc):
        x = fractional[:, axis]  # the row is a unit vector: this is a length
        order = np.argsort(x, kind="stable")
        gaps = np.diff(x[order], prepend=x[order[0]])
        closed = np.cumsum(np.minimum(gaps, 1.01 * cutoff))
        length = closed[-1] + 2.1 * cutoff
        fractional[order, axis] = (closed + 1.05 * cutoff) / length
        box[axis] *= length
    return fractional @ box, box, wraps.astype(np.int64)


def forward(i, j, shift):
    """One of the two directions of every pair: i < j, or the same atom and the first component of S positive.

    Args:
        i, j: (pairs,) int.
        shift: (pairs, 3) int.

    Returns:
        (pairs,) bool.
    """
    x, y, z = shift.T
    return (i < j) | ((i == j) & ((x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0))))))


def both_directions(i, j, shift, edge) -> Pairs:
    """The full list of pairs given in one direction: the reverse pairs follow in the same order."""
    k = np.arange(len(i))
    return Pairs(
        np.concatenate([i, j]),
        np.concatenate([j, i]),
        np.concatenate([shift, -shift]),
        np.concatenate([edge, -edge]),
        np.concatenate([k + len(i), k]),
    )


def neighbour_list(positions, cell, pbc, cutoff) -> Pairs:
    """Every directed pair with |D| < cutoff (Angstrom), any cell and any periodicity.

    Args:
        positions: (atoms, 3) in Angstrom, anywhere.
        cell: (3, 3), rows are vectors; rows of non-periodic directions may be anything.
        pbc: (3,) bool.
        cutoff: in Angstrom.

    Returns:
        `Pairs`.

    Raises:
        ValueError: a position is not finite, or the periodic cell vectors do not span a cell, or one so small
            that no list could be made.
    """
    positions = np.asarray(positions, float).reshape(-1, 3)
    pbc = np.broadcast_to(np.asarray(pbc, bool), 3)
    finite = np.isfinite(positions).all(axis=1)
    if not finite.all():
        atom = int(np.flatnonzero(~finite)[0])
        raise ValueError(
            f"Atom {atom} has position {positions[atom].tolist()}. Positions must be finite numbers; "
            "look at what set them last (a time step too large, a file with gaps?)."
        )
    cell = complete_cell(cell, pbc)
    if (seen := images(cell, pbc, cutoff)) > MOST_IMAGES:
        raise ValueError(
            f"Within {cutoff:g} Angstrom each atom would have {seen:.1e} periodic images of itself (at most "
            f"{MOST_IMAGES} are allowed): the periodic cell vectors {cell[pbc].tolist()} are too short. They are in "
            "Angstrom; correct atoms.cell."
        )
    if len(positions) == 0:
        i = j = np.zeros(0, np.int64)
        shift = np.zeros((0, 3), np.int64)
    else:
        change = reduction(cell, pbc)
        lattice = cell if change is None else change @ cell
        wrapped, box, wraps = search_frame(positions, lattice, pbc, cutoff)
        # slightly larger cutoff: rounding of the wrapped copy must not lose a pair at the cutoff
        i, j, shift = matscipy_neighbour_list("ijS", positions=wrapped, cell=box, pbc=pbc, cutoff=cutoff * (1 + 1e-9))
        i, j, shift = (np.asarray(a, np.int64) for a in (i, j, shift))
        shift = np.where(pbc, shift + wraps[i] - wraps[j], 0)
        if change is not None:
            shift = shift @ change
    # One direction is computed and the other mirrored, so that (j, i, -S) has -D to the last bit: rounding could
    # otherwise leave one of the two inside where a shell of a crystal lies at the cutoff.
    once = forward(i, j, shift)
    i, j, shift = i[once], j[once], shift[once]
    edge = (positions[j] - positions[i]) + shift @ cell
    near = np.einsum("pa,pa->p", edge, edge) < cutoff**2
    return both_directions(i[near], j[near], shift[near], edge[near])


def equal(a, b) -> bool:
    """Whether two arrays are the same; `numpy.array_equal` takes three times as long for 9 atoms."""
    return a.shape == b.shape and bool((a == b).all())


@dataclass(frozen=True)
class VerletList:
    """Neighbour list with a skin, and the rule for its reuse after atoms or cell have moved.

    With C0, r0 at the build, F = inv(C0) @ C and u_i = r_i - r0_i @ F (C completed to be near C0), every pair obeys
    D = D0 @ F + u_j - u_i for any shift S, so |D| >= smin(F) |D0| - |u_j - u_i|.  The list is
    complete as long as

        smin(F) * (cutoff + skin) - (m1 + m2) >= cutoff,

    where smin is the smallest singular value and m1, m2 are the two largest of |u_i - mean(u)|.  (Only differences
    of u enter, so a translation of the whole system needs no new list.)

    Attributes:
        pairs: `Pairs` at cutoff + skin.
        positions: (atoms, 3) at the build.
        given_cell: (3, 3) the structure's cell at the build.
        cell: (3, 3) the same, completed.
        numbers: (atoms,) atomic numbers at the build.
        pbc: (3,) bool.
        cutoff, skin: in Angstrom.
    """

    pairs: Pairs
    positions: np.ndarray
    given_cell: np.ndarray
    cell: np.ndarray
    numbers: np.ndarray
    pbc: np.ndarray
    cutoff: float
    skin: float

    @classmethod
    def build(cls, atoms, *, cutoff: float, skin: float) -> VerletList:
        """A fresh list for `atoms` (ase.Atoms); raises as `neighbour_list` does."""
        pbc, cell = atoms.pbc.copy(), atoms.cell.array
        pairs = neighbour_list(atoms.positions, cell, pbc, cutoff + skin)
        return cls(
            pairs,
            atoms.positions.copy(),
            cell.copy(),
            complete_cell(cell, pbc),
            atoms.numbers.copy(),
            pbc,
            cutoff,
            skin,
        )

    def motion(self, atoms):
        """Displacements (atoms, 3) u and deformation (3, 3) F since the build.

        Returns None where the list is no longer complete, or the atoms are other atoms.
        """
        if not equal(atoms.numbers, self.numbers) or not equal(atoms.pbc, self.pbc):
            return None
        if not np.isfinite(atoms.positions).all():
            return None  # the build that follows names the atom
        deformation, smallest, reference = np.eye(3), 1.0, self.positions
        if not equal(atoms.cell.array, self.given_cell):
            if not np.isfinite(atoms.cell.array).all():
                return None
            if not equal(atoms.cell.array[self.pbc], self.cell[self.pbc]):
                cell = complete_cell(atoms.cell.array, self.pbc, near=self.cell)
                deformation = np.linalg.solve(self.cell, cell)
                smallest, reference = np.linalg.svd(deformation, compute_uv=False)[-1], self.positions @ deformation
        displacements = atoms.positions - reference
        displacements -= displacements.mean(axis=0)
        squares = np.einsum("ia,ia->i", displacements, displacements)
        # a single atom interacts with its own images, which move with it
        nearer = np.sqrt(np.partition(squares, -2)[-2:]).sum() if len(squares) > 1 else 0.0
        if smallest * (self.cutoff + self.skin) - nearer < self.cutoff:
            return None
        return displacements, deformation
