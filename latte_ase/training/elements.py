"""Other elements for a model: the parameters of a new element are a copy of those of a similar known one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, chemical_symbols, covalent_radii

from latte_ase.model.elements import symbols_of
from latte_ase.model.potential import Architecture, Potential, init_params
from latte_ase.training.dataset import prepare
from latte_ase.training.initial import with_constants


def with_elements(potential: Potential, frames: Sequence[Atoms]) -> Potential:
    """Potential with the elements of some frames added to those that it knows.

    A new element has the parameters of the known element with the closest covalent radius (Cordero et al., Dalton Trans.
    2008, 2832), E0 = 0, and the scales of its features in `frames`.  Energies of structures of known elements do not
    change.  The committee is dropped.

    Args:
        potential: the model.
        frames: structures that contain the new elements.

    Returns:
        The extended potential; the same one where there are no new elements.
    """
    numbers = {int(z) for atoms in frames for z in atoms.numbers}
    known = [int(z) for z in potential.architecture.numbers]
    if numbers <= set(known):
        return potential
    return for_elements(potential, tuple(symbols_of(sorted(numbers | set(known)))), frames)


def for_elements(potential: Potential, symbols: tuple[str, ...], frames: Sequence[Atoms]) -> Potential:
    """Potential of these elements: known ones as they are, new ones as in `with_elements`; others are left out.

    Args:
        potential: the model.
        symbols: chemical symbols, sorted by atomic number.
        frames: structures that contain the new elements.
    """
    if symbols == potential.elements:
        return potential
    known, wanted = ([atomic_numbers[e] for e in elements] for elements in (potential.elements, symbols))
    source = np.array([known.index(z) if z in known else _nearest(z, known) for z in wanted])
    new = np.array([z not in known for z in wanted])
    architecture = replace(potential.architecture, elements=symbols)
    constants = {name: potential.constants[name][source] for name in ("mean", "deviation")}
    domain = {
        "repulsion_range": np.where(
            new[:, None] | new, 0.0, potential.constants["repulsion_range"][np.ix_(source, source)]
        )
    }
    if potential.domain.fewest is not None:
        domain["fewest_neighbours"] = np.where(new[:, None], 0.0, potential.domain.fewest[source])
    extended = Potential(
        architecture,
        _rows_of(potential, architecture, source),
        {**constants, "scale": potential.constants["scale"], **domain},
        np.where(new, 0.0, potential.reference_energies[source]),
        potential.metadata,
    )
    if architecture.shared or not new.any():
        return extended
    strange = [atoms for atoms in frames if not np.isin(atoms.numbers, known).all()]
    found = with_constants(extended, prepare(extended, strange)).constants
    scales = {name: np.where(new[:, None], found[name], constants[name]) for name in constants}
    return replace(extended, constants={**extended.constants, **scales})


def _nearest(z: int, known: Sequence[int]) -> int:
    """Index of the element among `known` with the covalent radius closest to that of z."""
    return int(np.argmin(np.abs(covalent_radii[list(known)] - covalent_radii[z])))


def _rows_of(potential: Potential, architecture: Architecture, source):
    """Parameters of an architecture, whose axes over species have the entries `source` of the axes of a potential.

    The axes over species are those whose length depends on the number of elements.
    """

    def shapes(elements):
        return jax.eval_shape(lambda: init_params(replace(architecture, elements=tuple(elements)), jax.random.key(0)))

    few, more = shapes(potential.elements), shapes(chemical_symbols[1 : len(potential.elements) + 2])

    def take(array, small, large):
        for axis, (a, b) in enumerate(zip(small.shape, large.shape, strict=True)):
            if a != b:
                array = np.take(array, source, axis=axis)
        return array

    return jax.tree.map(take, potential.params, few, more)
