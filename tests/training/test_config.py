"""The configuration file: read as it stands, refused by key."""

from __future__ import annotations

import datetime
import re
from dataclasses import replace
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

from latte_ase import load_model
from latte_ase.io.model_file import save_model
from latte_ase.model.descriptors import DESCRIPTORS
from latte_ase.training import load_config
from latte_ase.training.config import PRESETS, Config, DataConfig, ModelConfig, TrainingConfig, TrainingSettings
from latte_ase.training.initial import initial_potential
from latte_ase.training.optimiser import refuse_idle_decay

TEXT = """
[model]
name = "a"
contractions = "2,-"
hidden = [8, 4]
elements = ["H", "O"]

[data]
train = "frames.xyz"
reference_energies = { H = -1.0, O = -2 }

[training]
epochs = 7

[card]
level_of_theory = "PBE"
"""


@pytest.fixture
def write(tmp_path):
    """Function text -> path of a configuration file."""

    def write(text):
        path = tmp_path / "deep" / "recipe.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_a_file_is_read_key_by_key(write):
    path = write(TEXT)
    expected = Config(
        model=ModelConfig(name="a", options={"contractions": "2,-"}, hidden=(8, 4), elements=("H", "O")),
        data=DataConfig(train="frames.xyz", reference_energies={"H": -1.0, "O": -2}),
        training=TrainingConfig(epochs=7),
        card={"level_of_theory": "PBE"},
        folder=path.parent,
    )
    for source in (path, str(path), expected):
        assert load_config(source) == expected


def test_paths_are_relative_to_the_file(write, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    config = load_config(write(TEXT))
    assert config.path("frames.xyz") == tmp_path / "deep" / "frames.xyz"
    assert config.path("/data/a.xyz") == Path("/data/a.xyz")
    assert config.path("~/a.xyz") == Path("/somewhere/a.xyz")
    assert load_config(config.to_dict()).path("a.xyz") == Path("a.xyz")


def test_its_dictionary_gives_the_same_configuration(write):
    config = load_config(write(TEXT))
    data = config.to_dict()
    assert "folder" not in data
    again = load_config(data)
    assert (again.model, again.data, again.training, again.card) == (
        config.model, config.data, config.training, config.card,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("weights", "labels"),
    [
        ({}, ("energy", "forces")),
        ({"energy_weight": 0.0}, ("forces",)),
        ({"stress_weight": 0.1}, ("energy", "forces", "stress")),
    ],
)
def test_a_label_is_needed_where_its_weight_is_positive(weights, labels):
    assert TrainingConfig(**weights).labels == labels


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs", "epoch", r"Unknown key epoch in table \[training\] .*known are epochs, batch_size"),
        ("hidden", "hiden", r"Unknown key hiden in table \[model\]"),
        ("train =", "trian =", r"Unknown key trian in table \[data\]"),
        ("[card]", "[cards]", r"Unknown table \[cards\]; known are model, data, training, card"),
        ('contractions = "2,-"', "", r"Table \[model\] of the configuration lacks contractions\."),
        ('train = "frames.xyz"', "", r"Table \[data\] of the configuration lacks train\."),
        ("[8, 4]", "[8, 4", r"recipe\.toml is not valid TOML: "),
        ('"2,-"', "2,-", r"recipe\.toml is not valid TOML: "),
    ],
)
def test_a_mistake_is_named(write, old, new, message):
    assert old in TEXT
    with pytest.raises(ValueError, match=message):
        load_config(write(TEXT.replace(old, new, 1)))


def test_missing_tables_are_named():
    with pytest.raises(ValueError, match=r"Table \[model\] of the configuration lacks contractions, name\."):
        load_config({})
    with pytest.raises(ValueError, match=r"Table \[data\] of the configuration lacks train\."):
        load_config({"model": {"name": "a", "contractions": "2,-"}})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no configuration file .*recipe\.toml"):
        load_config(tmp_path / "recipe.toml")


@pytest.mark.parametrize("recipe", sorted((Path(__file__).parents[2] / "models").glob("*/recipe.toml")), ids=str)
def test_the_recipes_of_the_shipped_models_can_be_read(recipe):
    config = load_config(recipe)
    assert config.model.name == recipe.parent.name
    assert config.card["level_of_theory"]


def test_a_preset_gives_what_is_not_said(write):
    path = write(
        'preset = "medium"\n[model]\nname = "mine"\nhidden = [8]\n[data]\ntrain = "a.xyz"\n[training]\nseed = 3\n'
    )
    config, bare = load_config(path), load_config({"preset": "medium", "model": {"name": "b"}, "data": {"train": ""}})
    assert config.model.hidden == (8,) and config.training.seed == 3
    assert bare.model.hidden != (8,) and config.model.options == bare.model.options
    assert config.training == replace(bare.training, seed=3)


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="preset is 'huge'; allowed are small, medium, large"):
        load_config({"preset": "huge"})


def test_what_python_has_and_toml_has_not_is_written_as_plain_data(write, tmp_path):
    config = {
        "model": {"name": "a", "contractions": "2,-", "elements": ["H"], "cutoff": np.float32(4)},
        "data": {"train": tmp_path / "frames.xyz", "valid_fraction": np.float64(0.2)},
        "training": {"seed": np.int64(1), "epochs": np.int32(7)},
        "card": {"date": datetime.date(2024, 2, 1), "checked": True, "nothing": None, "list": [np.float64(0.5)]},
    }
    potential = initial_potential(load_config(config), [])
    recipe = load_model(save_model(potential, tmp_path / "a.safetensors")).metadata["recipe"]
    assert recipe["data"] | {"train": str(tmp_path / "frames.xyz"), "valid_fraction": 0.2} == recipe["data"]
    assert (recipe["training"]["seed"], recipe["training"]["epochs"], recipe["model"]["cutoff"]) == (1, 7, 4.0)
    assert recipe["card"] == {"date": "2024-02-01", "checked": True, "nothing": None, "list": [0.5]}
    toml = load_config(write(TEXT.replace('"PBE"', '"PBE"\ndate = 2024-02-01')))
    assert initial_potential(toml, []).metadata["date"] == "2024-02-01"


def test_what_no_file_can_hold_is_refused_before_training():
    config = {"model": {"name": "a", "contractions": "2,-", "elements": ["H"]}, "data": {"train": ""}}
    with pytest.raises(ValueError, match=r"holds \{1, 2\}, a set; texts, numbers, lists and tables are allowed"):
        load_config(config | {"card": {"note": {1, 2}}})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs is 0; a whole number of 1 or more is needed"),
        ({"epochs": "7"}, "epochs is '7'; a whole number of 1 or more"),
        ({"batch_size": 2.5}, r"batch_size is 2\.5; a whole number of 1 or more"),
        ({"seed": -1}, "seed is -1; a whole number of 0 or more"),
        ({"rate": 0.0}, r"rate is 0\.0; a finite number larger than 0"),
        ({"huber": float("nan")}, "huber is nan; a number larger than 0"),
        ({"ema": 1.0}, r"ema is 1\.0; a number from 0 to below 1"),
        ({"energy_weight": -1.0}, r"energy_weight is -1\.0; a finite number of 0 or more"),
        ({"mixing_decay": True}, "mixing_decay is True; a finite number of 0 or more"),
    ],
)
def test_numbers_that_cannot_be_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**settings)


def test_a_number_where_a_table_belongs_is_named(write):
    with pytest.raises(ValueError, match=r"training is 3; a table is needed, \[training\] in the file"):
        load_config({"model": {"name": "a"}, "data": {"train": ""}, "training": 3})


REDUCED = {"name": "m", "descriptor": "reduced", "contractions": "2,-:2,a,a", "cutoff": 4.0, "hidden": [4]}


@pytest.mark.parametrize(
    ("table", "entry", "value", "message"),
    [
        ("model", "hidden", 64, "a list of up to 16 whole numbers of 1 or more is needed"),
        ("model", "hidden", ["64"], "a list of up to 16 whole numbers"),
        ("model", "hidden", [-3], "a list of up to 16 whole numbers"),
        ("model", "cutoff", "5", "a finite number larger than 0 is needed"),
        ("model", "cutoff", float("nan"), "a finite number larger than 0"),
        ("model", "elements", "Cu", "a list, each entry a chemical symbol such as Si, is needed"),
        ("model", "elements", ["Copper"], "a list, each entry a chemical symbol such as Si, is needed"),
        ("model", "repulsion", "no", "true or false is needed"),
        ("model", "linear", "false", "true or false is needed"),
        ("model", "name", 5, "a text that is not empty is needed"),
        ("model", "name", "", "a text that is not empty is needed"),
        ("model", "n_radial", 4.5, "a whole number of 1 or more is needed"),
        ("model", "contractions", 5, "a text is needed"),
        ("model", "smoothness", True, "a finite number of 0 or more is needed"),
        ("model", "mixing", "learnt", "allowed are learned, random"),
        ("model", "descriptor", ["reduced"], "allowed are latte, reduced"),
        ("data", "train", 5, "a text is needed"),
        ("data", "valid", False, "a text is needed"),
        ("data", "valid_fraction", 2.0, "a number larger than 0 and below 1 is needed"),
        ("data", "valid_fraction", 0.0, "a number larger than 0 and below 1 is needed"),
        ("data", "valid_fraction", -1.0, "a number larger than 0 and below 1 is needed"),
        ("data", "valid_fraction", "0.1", "a number larger than 0 and below 1 is needed"),
        ("data", "reference_energies", -3.5, "a table, each key a chemical symbol such as Si and each value a number"),
        ("data", "reference_energies", {"Cu": "-3"}, "a table, each key a chemical symbol such as Si and each value"),
        ("data", "reference_energies", {"copper": -3.0}, "a table, each key a chemical symbol"),
        (
            "data",
            "keys",
            {"energies": "E"},
            "a table, each key one of energy, forces, stress, virial and each value a text",
        ),
        ("data", "trust_labels", "yes", "true or false is needed"),
        ("training", "epochs", "7", "a whole number of 1 or more is needed"),
        ("training", "rate", "fast", "a finite number larger than 0 is needed"),
        ("training", "optimiser", "sgd", "allowed are muon, adamw"),
    ],
)
def test_an_entry_of_another_type_or_out_of_range_is_named_where_it_is_read(table, entry, value, message):
    recipe = {"model": dict(REDUCED), "data": {"train": "f.xyz"}, "training": {}}
    recipe[table][entry] = value
    with pytest.raises(ValueError, match=rf"^\[{table}\] {entry} is {re.escape(repr(value))}; {message}"):
        load_config(recipe)


def test_hyper_parameters_that_do_not_go_together_are_told_where_they_are_read():
    for wrong, message in (
        ({"contractions": "2,a"}, "not a scalar"),
        ({"max_width": 3.0}, "do not fit a cutoff of 4.0"),
    ):
        model = {"name": "m", "contractions": "2,-", "cutoff": 4.0} | wrong
        with pytest.raises(ValueError, match=message):
            load_config({"model": model, "data": {"train": "f.xyz"}})


def test_one_that_is_made_in_python_is_checked_too():
    for make, message in (
        (lambda: ModelConfig(name="a", linear="false"), "linear is 'false'; true or false"),
        (lambda: ModelConfig(name="a", options={"contractions": 5}), "contractions is 5; a text"),
        (lambda: ModelConfig(name="a", options={"width": 5}), "'width' is unknown; known are contractions, cutoff"),
        (lambda: DataConfig(train="", valid_fraction=0), "valid_fraction is 0; a number larger than 0 and below 1"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


@pytest.mark.parametrize("descriptor", DESCRIPTORS)
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_goes_with_any_descriptor(name, descriptor):
    model = {"name": "a", "elements": ["H"]}
    config, own = (
        load_config({"preset": name, "model": model | chosen, "data": {"train": ""}})
        for chosen in ({"descriptor": descriptor}, {})
    )
    assert config.model.descriptor == descriptor
    assert config.training == replace(own.training, mixing_decay=config.training.mixing_decay)
    assert config.model.cutoff == own.model.cutoff
    potential = initial_potential(config, [])
    assert potential.architecture.elements == ("H",)
    refuse_idle_decay(config.training, potential, potential.params)
    if descriptor == own.model.descriptor:
        assert config == own


def test_a_preset_with_another_descriptor_takes_what_is_said(write):
    recipe = {
        "preset": "large",
        "model": {"name": "a", "descriptor": "latte", "min_width": 1.0, "hidden": [9]},
        "data": {"train": ""},
        "training": {"mixing_decay": 0.5},
    }
    config = load_config(recipe)
    assert (config.model.hidden, config.model.options["min_width"]) == ((9,), 1.0)
    assert set(config.model.options) == {"contractions", "min_width"}
    assert config.training.mixing_decay == 0.5


def test_keywords_of_training_are_its_attributes():
    hints = {name: kind for name, kind in get_type_hints(TrainingConfig).items()}
    assert get_type_hints(TrainingSettings) == hints


def test_a_byte_order_mark_is_no_fault_and_another_encoding_is_said(tmp_path):
    text = '# größe\n[model]\nname = "m"\ncontractions = "2,-"\n[data]\ntrain = "a.xyz"\n'
    (tmp_path / "bom.toml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load_config(tmp_path / "bom.toml").model.name == "m"
    (tmp_path / "latin.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=r"latin\.toml is not UTF-8 text .*Save it as UTF-8\."):
        load_config(tmp_path / "latin.toml")
