"""Hyper-parameters to JSON and back; how a model file with wrong ones is refused stands in test_model_io.py."""

from __future__ import annotations

import json

import pytest

from latte_ase.io.hyperparameters import architecture_from_json, architecture_to_json
from latte_ase.model.descriptors import Latte, Messages, Reduced
from latte_ase.model.potential import Architecture

TERMS = "2,-:2,a,a"


@pytest.mark.parametrize(
    "descriptor",
    [
        Latte(contractions=TERMS, cutoff=4.0, pair_cutoffs=((0, 0, 3.0), (0, 1, 3.5))),
        Reduced(contractions=TERMS, cutoff=4.0, n_radial=3),
        Messages(contractions=TERMS, second=TERMS, cutoff=4.0, n_radial=3, sent=(2, 1, 1), shells=2),
    ],
)
def test_json_and_back_gives_an_equal_architecture(descriptor):
    architecture = Architecture(elements=("H", "O"), descriptor=descriptor, hidden=(8, 4))
    text = json.dumps(architecture_to_json(architecture))
    found = architecture_from_json(json.loads(text))
    assert found == architecture
    assert hash(found) == hash(architecture)  # it is the key of compiled functions


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            {"hidden": "8"},
            "In its architecture, hidden is '8'; a list of up to 16 whole numbers of 1 or more is needed",
        ),
        ({"hidden": [8] * 17}, r"hidden is \[8, 8, .*8\]; a list of up to 16"),
        ({"hidden": [8] * 1001}, r"hidden is \[8, 8, .*\.\.\.; a list of up to 16"),
        ({"elements": ["H" * 16001]}, r"elements is \['HHH.*\.\.\.; a list of one or more chemical symbols"),
        ({"repulsion": 1}, "repulsion is 1; true or false is needed"),
        ({"width": 8}, r"has the unknown entry 'width'\. Update latte_ase"),
        ({"descriptor": []}, r"Its descriptor is \[\]; a dictionary is needed"),
    ],
)
def test_entries_of_a_wrong_type_or_size_are_refused(entries, message):
    right = architecture_to_json(Architecture(elements=("H",), descriptor=Latte(contractions=TERMS, cutoff=4.0)))
    wrong = json.loads(json.dumps(right)) | entries
    with pytest.raises(ValueError, match=message):
        architecture_from_json(wrong)


def test_a_descriptor_that_no_file_can_name_is_refused():
    class Mine(Reduced):
        pass

    mine = Mine(contractions=TERMS, cutoff=4.0, n_radial=3)
    with pytest.raises(
        ValueError, match=r"Mine is not in latte_ase\.model\.descriptors\.DESCRIPTORS.*DESCRIPTORS\['name'\] = Mine"
    ):
        architecture_to_json(Architecture(elements=("H",), descriptor=mine))
