"""Selection: the least certain frame first, then others that are not like it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.io import write

from latte_ase import LatteCalculator
from latte_ase.model.committee import Committee
from latte_ase.uncertainty import select


@pytest.fixture
def copper_and_gold(copper):
    frames = copper(12, seed=4, rattle=0.2)
    for k, atoms in enumerate(frames):
        atoms.symbols = ("Cu3Au", "Cu2Au2", "AuCuAuCu")[k % 3]
    return frames


@pytest.fixture
def certain_alloy(tiny_potential):
    """A random potential with a committee of three random last layers."""
    potential = tiny_potential("latte", ("Cu", "Au"), repulsion=False)
    kernel = potential.params["network"]["Dense_1"]["kernel"]
    members = kernel + 0.1 * np.random.default_rng(0).normal(size=(3, *kernel.shape))
    return replace(potential, committee=Committee({"network": {"Dense_1": {"kernel": members}}}))


def test_the_least_certain_is_first_and_copies_are_left_out(certain, copper):
    ordinary, strange = copper(6, seed=8), copper(2, seed=9, rattle=0.5)
    frames = [*ordinary, strange[0], strange[0].copy(), strange[1], *(a.copy() for a in ordinary)]
    chosen = select(certain, frames, 4)
    calc = LatteCalculator(certain)
    worst = [calc.get_uncertainty(a).worst for a in frames]
    assert chosen[0].uncertainty == pytest.approx(max(worst))
    original = [*range(7), 6, 7, *range(6)]  # which of the eight different frames each one is
    assert {original[c.index] for c in chosen} >= {6, 7}
    everything = select(certain, frames, len(frames))
    assert sorted(original[c.index] for c in everything) == list(range(8))


def test_frames_may_be_a_file(certain, copper, tmp_path):
    write(tmp_path / "frames.extxyz", copper(3, seed=8))
    assert select(certain, tmp_path / "frames.extxyz", 2)[0].index in range(3)


def test_frames_may_be_a_generator_that_changes_one_structure(certain, copper):
    frames = copper(6, seed=8)

    def one_that_moves():
        atoms = frames[0].copy()
        for frame in frames:
            atoms.set_cell(frame.cell)
            atoms.positions[:] = frame.positions
            yield atoms

    assert select(certain, one_that_moves(), 3) == select(certain, frames, 3)


def test_a_count_that_cannot_be(certain, copper):
    with pytest.raises(ValueError, match=r"count is 0; 1 frame or more is to be chosen\."):
        select(certain, copper(2, seed=0), 0)
    with pytest.raises(ValueError, match=r"\[\] holds no structure, so there is none to choose\."):
        select(certain, [], 1)


def test_the_choice_is_that_of_a_loop_over_all_frames(copper_and_gold, certain_alloy):
    """Uncertainty times distance to the nearest chosen frame, in mean descriptors and shares of elements by their spread."""
    frames, calc = copper_and_gold, LatteCalculator(certain_alloy)
    worst = np.array([calc.get_uncertainty(a).worst for a in frames])
    means = np.array(
        [
            [[*calc.get_descriptors(a)[a.numbers == z].mean(axis=0), (a.numbers == z).mean()] for z in (29, 79)]
            for a in frames
        ]
    ).reshape(len(frames), -1)
    spread = means.std(axis=0)
    means = means[:, spread > 0] / spread[spread > 0]
    taken = [int(worst.argmax())]
    while len(taken) < 5:
        nearest = np.array([min(np.linalg.norm(m - means[t]) for t in taken) for m in means])
        taken.append(int((worst * nearest).argmax()))
    chosen = select(certain_alloy, frames, 5)
    assert [c.index for c in chosen] == taken
    assert [c.uncertainty for c in chosen] == pytest.approx(worst[taken], rel=1e-6)


def test_a_model_without_a_committee_is_refused(base, copper):
    with pytest.raises(ValueError, match=r"has no committee.*latte_ase\.uncertainty\.last_layer"):
        select(base, copper(2, seed=0), 1)
