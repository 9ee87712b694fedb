"""Further elements for a model: each begins as a copy of the known element that is most like it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from latte_ase.model.potential import Architecture, Potential, init_params
from latte_ase.training.dataset import prepare
from latte_ase.training.initial import with_constants


def with_elements(potential: Potential, frames: Sequence[Atoms]) -> Potential:
    """The potential with the elements of these frames added to those that it knows.

    A new element starts with the parameters of the known one whose covalent radius (Cordero et al., Dalton Trans. 2008,
    2832) is nearest, with E0 = 0, and with the scales that its features have in `frames`.  Energies of structures of known
    elements stay what they are.  A committee is left out.

    Args:
        potential: the model.
        frames: structures that contain the new elements; where there are none, the potential comes back as it is.
    """
    numbers = {int(z) for atoms in frames for z in atoms.numbers}
    known = list(potential.architecture.numbers)
    if numbers <= set(known):
        return potential
    wanted = sorted(numbers | set(known))
    source = np.array([known.index(z) if z in known else _nearest(z, known) for z in wanted])
    new = np.array([z not in known for z in wanted])
    symbols = {z: s for s, z in atomic_numbers.items()}
    architecture = replace(potential.architecture, elements=tuple(symbols[z] for z in wanted))
    constants = {name: potential.constants[name][source] for name in ("mean", "deviation")}
    ranges = np.where(new[:, None] | new, 0.0, potential.constants["repulsion_range"][np.ix_(source, source)])
    extended = Potential(
        architecture,
        _rows_of(potential, architecture, source),
        {**constants, "scale": potential.constants["scale"], "repulsion_range": ranges},
        np.where(new, 0.0, potential.reference_energies[source]),
        potential.metadata,
    )
    if architecture.shared:
        return extended
    strange = [atoms for atoms in frames if not np.isin(atoms.numbers, known).all()]
    found = with_constants(extended, prepare(extended, strange)).constants
    scales = {name: np.where(new[:, None], found[name], constants[name]) for name in constants}
    return replace(extended, constants={**extended.constants, **scales})


def _nearest(z: int, known: Sequence[int]) -> int:
    """Index of the element among `known` whose covalent radius is nearest to that of z."""
    return int(np.argmin(np.abs(covalent_radii[list(known)] - covalent_radii[z])))


def _rows_of(potential: Potential, architecture: Architecture, source):
    """Parameters whose axes over species take the rows `source`.

    Which axes these are, the shapes tell: they are those that grow with the number of elements.
    """

    def shapes(elements):
        return jax.eval_shape(lambda: init_params(replace(architecture, elements=elements), jax.random.key(0)))

    few, many = shapes(potential.elements), shapes(architecture.elements)

    def take(array, small, large):
        for axis, (a, b) in enumerate(zip(small.shape, large.shape, strict=True)):
            if a != b:
                array = np.take(array, source, axis=axis)
        return array

    return jax.tree.map(take, potential.params, few, many)
