"""Call of the native kernel: sizes, tables of weights in its order, and the stage `last` of a descriptor of one round."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from latte_ase.model import contractions
from latte_ase.model.descriptors import Reduced
from latte_ase.model.moments.xla import ranks_of
from latte_ase.model.networks import ACTIVATIONS
from latte_ase.model.potential import Architecture, species_tables

LANES = 8
"""Numbers of radial functions, columns and neurons are padded to multiples of it."""


def covers(architecture: Architecture) -> bool:
    """Whether the kernel has the descriptor and the network of an architecture."""
    descriptor = architecture.descriptor
    return isinstance(descriptor, Reduced) and not descriptor.embedding and not architecture.linear


def _reduced(architecture: Architecture) -> Reduced:
    """The descriptor of an architecture that the kernel covers."""
    assert isinstance(architecture.descriptor, Reduced)
    return architecture.descriptor


def padded(count: int) -> int:
    """The next multiple of `LANES`."""
    return -(-count // LANES) * LANES


def sizes_of(architecture: Architecture) -> np.ndarray:
    """Sizes of a model, the numbers that kernel.cc reads."""
    descriptor = _reduced(architecture)
    return np.array(
        [
            len(architecture.elements),
            descriptor.n_features,
            padded(descriptor.n_features),
            padded(descriptor.n_radial),
            *(padded(count) for count in descriptor.plan.columns),
            len(architecture.hidden),
            *map(padded, architecture.hidden),
            list(ACTIVATIONS).index(architecture.activation),
            architecture.repulsion,
        ],
        np.int64,
    )


def terms_of(plan: contractions.Plan) -> np.ndarray:
    """Contractions as numbers, see contractions.hpp."""
    numbers: list[int] = []
    for block, places in zip(plan.blocks, plan.places, strict=True):
        products = contractions.packed_terms(block.factors)
        numbers += [block.count, len(places), *(n for place in places for n in place), len(products)]
        for times, components in products:
            numbers += [times, *components]
    return np.array(numbers, np.int64)


def _pad(array, *sizes: int):
    """Zeros after the last axes up to these sizes."""
    lacking = [size - present for size, present in zip(sizes, array.shape[-len(sizes) :], strict=True)]
    return jnp.pad(array, [(0, 0)] * (array.ndim - len(sizes)) + [(0, n) for n in lacking])


def tables(architecture: Architecture, params, constants) -> list[Any]:
    """Weights in the order that kernel.cc reads, padded."""
    descriptor, rows = _reduced(architecture), species_tables(architecture, params, constants)
    radial, features = padded(descriptor.n_radial), padded(descriptor.n_features)
    arrays = []
    for _, part in ranks_of(descriptor.plan.columns):
        mixing = _pad(rows["descriptor"][..., part], radial, padded(part.stop - part.start))
        arrays += [mixing, jnp.swapaxes(mixing, -1, -2)]
    arrays += [_pad(rows["mean"], features), _pad(1 / rows["deviation"], features), rows["scale"].value]
    inputs = features
    for k, width in enumerate(architecture.hidden):
        layer, outputs = rows["network"][f"Dense_{k}"], padded(width)
        weights = _pad(layer["kernel"], inputs, outputs)
        arrays += [weights, jnp.swapaxes(weights, -1, -2), _pad(layer["bias"], outputs)]
        inputs = outputs
    last = rows["network"][f"Dense_{len(architecture.hidden)}"]
    arrays += [_pad(last["kernel"][..., 0], inputs), last["bias"][..., 0]]
    if architecture.repulsion:
        arrays.append(rows["repulsion"])
    return arrays


def evaluate(architecture: Architecture, native: list, graph, motion, used):
    """Energies (blocks, block), virials (blocks, block, 3, 3) and gradients per group of a graph; see `PairGradients`."""
    dtype = graph.is_atom.dtype
    none = jnp.zeros((0,), dtype)
    displacements = none if motion.displacements is None else motion.displacements
    own = displacements if motion.own is None else motion.own
    deformation = none if motion.deformation is None else motion.deformation
    groups = [array for group in graph.groups for array in (group.edges, group.neighbour, group.species)]
    shape = graph.is_atom.shape
    results = [
        jax.ShapeDtypeStruct(shape, dtype),
        jax.ShapeDtypeStruct((*shape, 3, 3), dtype),
        *(jax.ShapeDtypeStruct(group.edges.shape, dtype) for group in graph.groups),
    ]
    used = jnp.asarray(shape[0] if used is None else used, jnp.int32)
    name = "latte_f64" if dtype == np.float64 else "latte_f32"
    energies, virials, *gradients = jax.ffi.ffi_call(name, results)(
        used,
        graph.species,
        graph.structure,
        graph.is_atom,
        displacements,
        own,
        deformation,
        *native,
        *groups,
        sizes=sizes_of(architecture),
        terms=terms_of(_reduced(architecture).plan),
        cutoff=float(architecture.cutoff),
    )
    return energies, virials, tuple(gradients)
