"""Training configuration: a TOML file, checked entry by entry."""

from __future__ import annotations

import dataclasses
import datetime
import math
import os
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np

from latte_ase.io.labels import KEYS
from latte_ase.model.descriptors import DESCRIPTORS, Descriptor
from latte_ase.model.networks import Activation, Widths
from latte_ase.settings import (
    Allowed,
    Count,
    Energy,
    Fraction,
    Length,
    Name,
    Natural,
    NonNegative,
    OneOf,
    Positive,
    Share,
    Symbol,
    Threshold,
    Unit,
    check_entries,
    check_fields,
    check_value,
    field_types,
    tuples,
)
from latte_ase.training.batch_rules import BatchRule, ByAtoms, ByFrames

PRESETS = ("small", "medium", "large")
"""Settings to begin with, from quick to thorough; files of the folder `presets`."""
LabelKeys = dict[Annotated[str, OneOf(KEYS)], Name]
NumberOfDevices = Annotated[
    int | str,
    Allowed('a whole number of 1 or more, or "all",', lambda n: n == "all" if isinstance(n, str) else 1 <= n < 2**31),
]
OPTIMISERS = ("muon", "adamw")
"""See `optimiser.py`."""


def plain(value: Any) -> Any:
    """Value in the types of JSON and TOML: paths and dates become texts, numbers of NumPy those of Python.

    Raises:
        ValueError: it is something that a model file cannot hold.
    """
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise ValueError(
        f"The configuration holds {value!r:.80}, a {type(value).__name__}; texts, numbers, lists and tables are allowed, "
        "for a model file keeps them."
    )


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Table [model]: architecture of the potential.

    Attributes:
        name: name of the model, and of its folder unless `out` says otherwise.
        descriptor: descriptor of the neighbourhood of an atom.
        cutoff: cutoff radius of the descriptor, of each round where it has several.
        elements: chemical symbols, sorted by atomic number; empty takes those of the training set.
        hidden: widths of the hidden layers of the network; without any it is linear.
        activation: activation function of the hidden layers.
        linear: whether a linear function of the invariants is added to the network.
        repulsion: whether ZBL repulsion is added at distances below those of the training set.
        init: model whose weights training starts from: a name, folder, file or hub address as `latte_ase.load_model` takes it, a
            path relative to the recipe; empty starts from random weights.  All else in this table has to be as in its recipe,
            but for name and elements.
        options: further hyper-parameters of the descriptor, which stand beside the others in the table.
    """

    name: Name
    descriptor: Annotated[str, OneOf(DESCRIPTORS)] = "latte"
    cutoff: Length = 5.0
    elements: tuple[Symbol, ...] = ()
    hidden: Widths = (64, 64)
    activation: Activation = "silu"
    linear: bool = False
    repulsion: bool = True
    init: str = ""
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        check_fields(self)
        check_entries(DESCRIPTORS[self.descriptor], self.options)

    def make_descriptor(self) -> Descriptor:
        """Descriptor of the table [model]; raises ValueError where its hyper-parameters are inconsistent."""
        return DESCRIPTORS[self.descriptor](
            cutoff=self.cutoff, **{name: tuples(value) for name, value in self.options.items()}
        )


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Table [data]: files of labelled structures and reference energies.

    Attributes:
        train: file of labelled structures to train on; paths are relative to the recipe.
        valid: file of labelled structures for validation; empty holds out `valid_fraction` of `train`.
        valid_fraction: fraction of `train` that is held out, at least one structure.
        isolated_atoms: file of isolated atoms, whose energies become E0: structures of one atom without a neighbour within
            the cutoff, periodic images included.  Other structures in it are passed over.  Several of an element have to
            agree; those with config_type=IsolatedAtom come first.
        reference_energies: E0 by chemical symbol; empty takes them from `isolated_atoms`, or from least squares.
        keys: names that labels have in these files where they are not ASE's, such as { energy = "REF_energy", forces =
            "REF_forces" }, of energy, forces, stress and virial; see `latte_ase.io.labels.with_keys`.
        stream: whether structures and their graphs are kept in files in the folder of the training, from which batches are read, and
            not in memory; for large sets.  The numbers are the same.
        trust_labels: whether labels are used although they look as if their units were others, see
            `latte_ase.io.plausibility`.
    """

    train: str
    valid: str = ""
    valid_fraction: Share = 0.1
    isolated_atoms: str = ""
    reference_energies: dict[Symbol, Energy] = field(default_factory=dict)
    keys: LabelKeys = field(default_factory=dict)
    stream: bool = False
    trust_labels: bool = False

    def __post_init__(self):
        check_fields(self)

    @property
    def gives_reference_energies(self) -> bool:
        """Whether E0 are given, and not fitted."""
        return bool(self.reference_energies or self.isolated_atoms)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Table [training]: loss and optimisation.

    Attributes:
        epochs: passes over the training set.
        batch_size: structures per step; of a training on several devices, of all together.
        batch_atoms: places for atoms per step, in place of `batch_size`: for sets of structures of different sizes, which then need less
            padding.  0 takes `batch_size`.
        devices: number of devices that share every batch, or "all" that JAX sees: GPUs, or the cores of a CPU where Python starts with
            XLA_FLAGS=--xla_force_host_platform_device_count=2 in its environment.
        optimiser: `muon`, which is Muon for matrices and Adam for all else, or `adamw`.
        rate: peak learning rate, reached after the warm-up; a cosine lowers it to 1 % at the end.
        warmup: share of all steps in which the rate rises.
        weight_decay: decoupled weight decay of the matrices of the networks.
        mixing_decay: decoupled weight decay of the mixing of the descriptor; `latte` has none.
        clip: largest norm of the gradient.
        ema: decay of the moving average of the parameters, which is what is validated and saved.
        energy_weight: weight of the squared error of an energy in eV/atom.
        force_weight: weight of the squared error of a force component in eV/Å.
        stress_weight: weight of the squared error of a stress component in eV/Å³.
        huber: error above which the loss grows linearly instead of quadratically, in eV/atom, eV/Å and eV/Å³; for data with
            structures high on repulsive walls.
        taylor_weight: weight of the Taylor consistency, a weak supervision without labels (`latte_ase.training.consistency`), on
            the scale of `energy_weight`, of which its authors took 1.2 times.  0 leaves it out; with it a step costs two to three
            times as much.
        spatial_weight: weight of the spatial consistency, likewise; its authors took 0.01 times `energy_weight`.
        displacement: length by which both consistencies displace atoms.
        seed: seed of initial parameters, order of batches, and split.
    """

    epochs: Count = 100
    batch_size: Count = 4
    batch_atoms: Natural = 0
    devices: NumberOfDevices = 1
    optimiser: Annotated[str, OneOf(OPTIMISERS)] = "muon"
    rate: Positive = 3e-3
    warmup: Fraction = 0.02
    weight_decay: NonNegative = 1e-4
    mixing_decay: NonNegative = 0.0
    clip: Threshold = 10.0
    ema: Fraction = 0.999
    energy_weight: NonNegative = 10.0
    force_weight: NonNegative = 1.0
    stress_weight: NonNegative = 0.0
    huber: Threshold = math.inf
    taylor_weight: NonNegative = 0.0
    spatial_weight: NonNegative = 0.0
    displacement: Annotated[NonNegative, Unit("Å")] = 0.02
    seed: Natural = 0

    def __post_init__(self):
        check_fields(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain data as in a file."""
        return plain(dataclasses.asdict(self))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the loss needs."""
        weights = {"energy": self.energy_weight, "forces": self.force_weight, "stress": self.stress_weight}
        return tuple(name for name, weight in weights.items() if weight > 0)

    @property
    def batches(self) -> BatchRule:
        """Rule by which frames are divided into batches."""
        return ByAtoms(self.batch_atoms) if self.batch_atoms else ByFrames(self.batch_size)

    @property
    def consistency(self) -> bool:
        """Whether there is weak supervision."""
        return self.taylor_weight > 0 or self.spatial_weight > 0

    @property
    def skin(self) -> float:
        """Distance beyond the cutoff up to which pairs are needed, in Angstrom: two displaced atoms may come closer by this."""
        return 2 * self.displacement if self.consistency else 0.0


class TrainingSettings(TypedDict, total=False):
    """The attributes of `TrainingConfig` as keywords, each of which may be left out."""

    epochs: int
    batch_size: int
    batch_atoms: int
    devices: int | str
    optimiser: str
    rate: float
    warmup: float
    weight_decay: float
    mixing_decay: float
    clip: float
    ema: float
    energy_weight: float
    force_weight: float
    stress_weight: float
    huber: float
    taylor_weight: float
    spatial_weight: float
    displacement: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Config:
    """Contents of a configuration file.

    Attributes:
        model, data, training: its tables.
        card: facts about the data that go into the model file, such as "level_of_theory".
        folder: the folder that the paths in `data` are relative to.
    """

    model: ModelConfig
    data: DataConfig
    training: TrainingConfig = TrainingConfig()
    card: dict[str, Any] = field(default_factory=dict)
    folder: Path = Path(".")

    def path(self, name: str) -> Path:
        """A path of the [data] table as seen from here."""
        return self.folder / Path(name).expanduser()

    def to_dict(self) -> dict[str, Any]:
        """Plain data as in a file, without the folder.

        Raises:
            ValueError: an entry is nothing that a model file can hold.
        """
        tables = {k: plain(v) for k, v in dataclasses.asdict(self).items() if k != "folder"}
        return tables | {"model": {k: v for k, v in tables["model"].items() if k != "options"} | self.model.options}


def _check_keys(name: str, values: dict[str, Any], known: dict[str, dataclasses.Field]) -> None:
    """Raise ValueError where a table of the file has a key that is not known, or lacks a required one."""
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(
            f"Unknown key {', '.join(unknown)} in table [{name}] of the configuration; known are {', '.join(known)}."
        )
    required = {n for n, f in known.items() if f.default is f.default_factory is dataclasses.MISSING}
    missing = sorted(required - set(values))
    if missing:
        raise ValueError(f"Table [{name}] of the configuration lacks {', '.join(missing)}.")


def _fields(cls: type) -> dict[str, dataclasses.Field]:
    return {f.name: f for f in dataclasses.fields(cls)}


def _model(values: dict[str, Any]) -> ModelConfig:
    """[model]: hyper-parameters of the descriptor stand in the table beside the model's own."""
    kind = values.get("descriptor", ModelConfig.descriptor)
    check_value("[model] descriptor", kind, field_types(ModelConfig)["descriptor"])
    own = {name: f for name, f in _fields(ModelConfig).items() if name != "options"}
    further = {name: f for name, f in _fields(DESCRIPTORS[kind]).items() if name not in own}
    _check_keys("model", values, own | further)
    options = {name: tuples(value) for name, value in values.items() if name in further}
    values = {name: value for name, value in values.items() if name in own}
    check_entries(ModelConfig, values, where="[model] ")
    check_entries(DESCRIPTORS[kind], options, where="[model] ")
    model = ModelConfig(**values, options=options)
    model.make_descriptor()  # which refuses hyper-parameters that do not go together
    return model


def _made(cls: type, name: str, values: dict[str, Any]) -> Any:
    """[data] or [training]."""
    _check_keys(name, values, _fields(cls))
    check_entries(cls, values, where=f"[{name}] ")
    return cls(**values)


def load_config(source) -> Config:
    """Configuration read from a file or a dictionary.

    Args:
        source: path of a TOML file, or its content as a dictionary.  With `preset = "medium"` at its top, what it does not
            say itself is taken from that preset, for the descriptor that it names or that of the preset.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not TOML; an unknown preset; an unknown or missing key; a value of another type or out of range.
    """
    if isinstance(source, Config):
        return source
    folder = Path(".")
    if not isinstance(source, dict):
        path = Path(source).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"There is no configuration file {path}.")
        folder = path.parent
        try:
            source = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # editors of Windows write a byte-order mark
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path} is not valid TOML: {error}.") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 text ({error}). Save it as UTF-8.") from error
    source = plain(source)
    tables = {"data": DataConfig, "training": TrainingConfig}
    unknown = sorted(set(source) - set(tables) - {"preset", "model", "card"})
    if unknown:
        raise ValueError(f"Unknown table [{', '.join(unknown)}]; known are model, {', '.join(tables)}, card.")
    for name, table in source.items():
        if name != "preset" and not isinstance(table, dict):
            raise ValueError(f"{name} is {table!r}; a table is needed, [{name}] in the file.")
    source = _with_preset(source)
    model = _model(source.get("model", {}))
    made = {name: _made(cls, name, source.get(name, {})) for name, cls in tables.items()}
    return Config(model=model, **made, card=dict(source.get("card", {})), folder=folder)


def _with_preset(source: dict[str, Any]) -> dict[str, Any]:
    """The tables, each entry that is missing taken from the preset that is named.

    A preset has entries for any descriptor and for each descriptor alone; the latter count for the one that is chosen.
    """
    source = dict(source)
    name = source.pop("preset", None)
    if name is None:
        return source
    check_value("preset", name, Annotated[str, OneOf(PRESETS)])
    text = resources.files("latte_ase.training").joinpath(f"presets/{name}.toml").read_text()
    preset = tomllib.loads(text)
    model = {"descriptor": preset["descriptor"]} | source.get("model", {})
    check_value("[model] descriptor", model["descriptor"], field_types(ModelConfig)["descriptor"])
    own = preset.get(model["descriptor"], {})
    taken = {table: preset[table] | own.get(table, {}) for table in ("model", "training")}
    return source | {
        "model": taken["model"] | model,
        "training": taken["training"] | source.get("training", {}),
    }
