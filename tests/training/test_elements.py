"""New elements begin as copies; what was known stays as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms

from latte_ase.finetuning import with_elements
from latte_ase.prediction import predict
from latte_ase.training.config import load_config
from latte_ase.training.initial import initial_potential

OPTIONS = {
    "latte": {"contractions": "2,-:6,a,a"},
    "latte embedded": {"contractions": "2,-:6,a,a", "species_mode": "embedded", "embedding": 3},
    "reduced": {"contractions": "2,-:6,a,a"},
    "reduced vectors": {"contractions": "2,-:6,a,a", "embedding": 3},
    "messages": {"contractions": "2,-:6,a,a", "second": "2,-:3,a,a", "sent": [2, 1, 1]},
    "cace": {"l_max": 1},
    "hiphop": {"width": 8},
}


@pytest.fixture(scope="module", params=OPTIONS)
def potential(request):
    """A random potential of carbon and copper, with scales of features that differ."""
    kind = request.param.split()[0]
    table = {"name": "tiny", "descriptor": kind, "cutoff": 4.0, "elements": ["C", "Cu"], "hidden": [9]}
    made = initial_potential(load_config({"model": table | OPTIONS[request.param], "data": {"train": ""}}), [])
    rng = np.random.default_rng(0)
    scales = {k: made.constants[k] + rng.random(made.constants[k].shape) for k in ("mean", "deviation")}
    if made.architecture.shared:
        scales = {k: np.broadcast_to(v[:1], v.shape) for k, v in scales.items()}
    return replace(made, constants={**made.constants, **scales}, reference_energies=np.array([-1.0, -2.0]))


def clusters(symbols, count=6):
    rng = np.random.default_rng(1)
    corners = 2.2 * np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)])
    return [Atoms(symbols, corners + rng.normal(scale=0.1, size=(4, 3))) for _ in range(count)]


def energies(potential, frames):
    return np.array([p.energy for p in predict(potential, frames, dtype="float64", forces=False)])


def test_known_elements_keep_their_energies(potential):
    extended = with_elements(potential, clusters("CNAu2"))
    assert extended.elements == ("C", "N", "Cu", "Au")
    frames = clusters("C2Cu2")
    np.testing.assert_allclose(energies(extended, frames), energies(potential, frames), rtol=1e-12)


def test_a_new_element_is_a_copy_of_the_one_with_the_nearest_radius(potential):
    """But for E0 = 0 and the scales of its own features."""
    extended = with_elements(potential, clusters("CNAu2"))
    rows = [0, 0, 2, 2]
    copied = {k: extended.constants[k][rows] for k in ("mean", "deviation")}
    same = replace(extended, constants={**extended.constants, **copied})
    for frames, old, n in ((clusters("N2Cu2"), clusters("C2Cu2"), 2), (clusters("CAu3"), clusters("CCu3"), 3)):
        e0 = n * potential.reference_energies[0 if n == 2 else 1]
        np.testing.assert_allclose(energies(same, frames) + e0, energies(potential, old), rtol=1e-12)


def test_its_features_are_scaled_by_what_they_are(potential):
    extended = with_elements(potential, clusters("CNAu2"))
    if potential.architecture.shared:
        np.testing.assert_array_equal(extended.constants["mean"], extended.constants["mean"][[0, 0, 0, 0]])
    else:
        assert not np.allclose(extended.constants["mean"][1], extended.constants["mean"][0])
    np.testing.assert_array_equal(extended.constants["mean"][[0, 2]], potential.constants["mean"])
    assert (extended.constants["repulsion_range"][[1, 3]] == 0).all()
    assert extended.domain.fewest is None
    known = replace(
        potential, constants={**potential.constants, "fewest_neighbours": np.array([[1.0, 2.0], [3.0, 4.0]])}
    )
    found = with_elements(known, clusters("CNAu2")).domain.fewest
    np.testing.assert_array_equal(found, [[1, 2], [0, 0], [3, 4], [0, 0]])


def test_known_elements_alone_change_nothing(potential):
    assert with_elements(potential, clusters("C2Cu2")) is potential
