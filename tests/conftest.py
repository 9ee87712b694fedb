"""Where compiled functions are kept, tiny potentials with random constants, and graphs of ase.Atoms.

A fixture that only hands out a function is here because tests/ is no package to import from.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

# Compiled functions are shared by the workers, by the processes that tests start, and by the next run; this has to
# stand in the environment before JAX is imported.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / "out" / "compiled"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import jax
import numpy as np
import pytest
from ase import Atoms

from latte_ase.geometry.graph import fill, join, lay_out
from latte_ase.geometry.neighbours import neighbour_list
from latte_ase.model.descriptors import Cace, HipHop, Latte, Messages, Reduced
from latte_ase.model.potential import Architecture, Potential, init_params

TERMS = "2,-:2,a,a:1,ab,ab:1,a,b,ab"
CUTOFF = 3.0
CHEAP = {"xla_backend_optimization_level": 0}
"""Compiler options for what runs a few times: compiling takes half as long."""
TINY = {
    "latte": Latte(contractions=TERMS, cutoff=CUTOFF, max_width=1.5),
    "reduced": Reduced(contractions=TERMS, cutoff=CUTOFF, n_radial=3),
    "vectors": Reduced(contractions=TERMS, cutoff=CUTOFF, n_radial=3, embedding=2),
    "messages": Messages(contractions=TERMS, second=TERMS, cutoff=CUTOFF, n_radial=3, sent=(2, 1, 1), shells=2),
    "cace": Cace(cutoff=CUTOFF, n_rbf=3, n_radial=2, n_embedding=2, l_max=1, messages=("M", "Ar", "Bchi")),
    "hiphop": HipHop(cutoff=CUTOFF, width=4, n_sensitivities=3, l_max=2, n_max=3, n_interactions=2, n_atom_layers=1),
}


@pytest.fixture(scope="module")
def float64():
    """float64 inside a module that asks for it, without touching the process-wide flag."""
    with jax.enable_x64(True):
        yield


@cache
def _tiny_potential(kind="latte", elements=("H", "O"), *, seed=0, repulsion=True, reach=2.5) -> Potential:
    descriptor = TINY[kind]
    architecture = Architecture(elements=elements, descriptor=descriptor, hidden=(5,), repulsion=repulsion)
    rng, shape = np.random.default_rng(seed), (len(elements), descriptor.n_features)
    constants = {
        "mean": rng.normal(size=shape),
        "deviation": rng.uniform(0.5, 2.0, shape),
        "scale": np.array(0.7),
        "repulsion_range": np.full((len(elements), len(elements)), reach),
    }
    init = jax.jit(init_params, static_argnums=0, compiler_options=CHEAP)
    with jax.enable_x64(True):
        params = jax.tree.map(np.asarray, init(architecture, jax.random.key(seed)))
    return Potential(architecture, params, constants, -1.0 - np.arange(len(elements)), {"name": f"tiny-{kind}"})


@pytest.fixture(scope="session")
def cheap():
    """Compiler options for what runs a few times."""
    return CHEAP


@pytest.fixture(scope="session")
def tiny_potential():
    """Function (kind, elements, *, seed, repulsion, reach) -> Potential with random float64 parameters."""
    return _tiny_potential


def _make_graph(potential, structures, *, shape=None, block=8, skin=0.0, dtype=np.float64):
    structures = [structures] if isinstance(structures, Atoms) else structures
    lists = [neighbour_list(a.positions, a.cell.array, a.pbc, potential.cutoff + skin) for a in structures]
    pairs, owner = join(lists, [len(a) for a in structures])
    species = potential.species(np.concatenate([a.numbers for a in structures]))
    descriptor = potential.architecture.descriptor
    grouping = shape.grouping if shape else descriptor.grouping(len(np.unique(species)))
    layout = lay_out(species, pairs, shape.block if shape else block, grouping=grouping)
    return fill(layout, pairs, owner, shape or layout.need, dtype), layout


@pytest.fixture(scope="session")
def make_graph():
    """Function (potential, atoms or list of atoms, *, shape, block, skin, dtype) -> Graph, Layout."""
    return _make_graph


@pytest.fixture(scope="session")
def water_like():
    """Five atoms in a sheared cell smaller than the cutoff sphere: images, both elements."""
    rng = np.random.default_rng(7)
    cell = np.array([[3.1, 0, 0], [0.7, 3.4, 0], [-0.4, 0.6, 3.2]])
    base = np.array([[0.1, 0.1, 0.1], [0.5, 0.5, 0.0], [0.5, 0.0, 0.5], [0.0, 0.5, 0.5], [0.6, 0.6, 0.6]])
    return Atoms("OHHOH", cell=cell, pbc=True, positions=(base + 0.04 * rng.normal(size=(5, 3))) @ cell)
