"""Nequix oam-1-pft, the teacher (nequix 0.4.5, MIT): energies, forces and stresses of many crystals at once.

The weights are models/nequix-oam-1-pft.nqx of github.com/atomicarchitects/nequix at 0ffdf88; `NEQUIX` in the environment names the file.
"""

import os
from collections.abc import Iterable, Iterator

import equinox as eqx
import jraph
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress
from nequix.data import atomic_numbers_to_indices, dict_to_graphstuple, preprocess_graph
from nequix.model import load_model

EDGES, NODES, GRAPHS = 4096, 192, 40
"""Places in one call: one shape, which is compiled once; a structure with more edges gets a multiple of it."""
LARGEST_FORCE, LARGEST_STRESS = 30.0, 0.6
"""eV/Angstrom and eV/Angstrom^3: structures with larger ones are left out."""


class Teacher:
    """Nequix in single precision, without its kernel for GPUs."""

    def __init__(self, weights: str = os.environ.get("NEQUIX", "nequix-oam-1-pft.nqx")):
        model, config = load_model(weights)
        self._call = eqx.filter_jit(model)
        self._indices = atomic_numbers_to_indices(config["atomic_numbers"])
        self._cutoff = config["cutoff"]

    def labelled(self, structures: Iterable[Atoms]) -> Iterator[Atoms]:
        """The structures with energy (eV), forces (eV/Angstrom) and stress (eV/Angstrom^3) as results, in their order.

        Those with a force above `LARGEST_FORCE`, a stress above `LARGEST_STRESS`, or labels that are not finite, are left out.
        """
        part, edges, nodes = [], 0, 0
        for atoms in structures:
            graph = dict_to_graphstuple(preprocess_graph(atoms, self._indices, self._cutoff, False))
            n_edges, n_nodes = int(graph.n_edge[0]), len(atoms)
            if part and (edges + n_edges >= EDGES or nodes + n_nodes >= NODES or len(part) + 1 >= GRAPHS):
                yield from self._together(part)
                part, edges, nodes = [], 0, 0
            part.append((atoms, graph))
            edges, nodes = edges + n_edges, nodes + n_nodes
        if part:
            yield from self._together(part)

    def _together(self, part: list[tuple[Atoms, jraph.GraphsTuple]]) -> Iterator[Atoms]:
        batch = jraph.batch([graph for _, graph in part])
        times = -(-(len(batch.senders) + 1) // EDGES)
        padded = jraph.pad_with_graphs(batch, n_node=times * NODES, n_edge=times * EDGES, n_graph=GRAPHS)
        energies, forces, stresses = (np.asarray(x, np.float64) for x in self._call(padded))
        ends = np.cumsum([len(atoms) for atoms, _ in part])
        for k, (atoms, _) in enumerate(part):
            force, stress = forces[ends[k] - len(atoms) : ends[k]], full_3x3_to_voigt_6_stress(stresses[k])
            largest, strongest = np.linalg.norm(force, axis=1).max(), np.abs(stress).max()
            if np.isfinite(energies[k]) and largest < LARGEST_FORCE and strongest < LARGEST_STRESS:
                atoms.calc = SinglePointCalculator(atoms, energy=float(energies[k]), forces=force, stress=stress)
                yield atoms
