"""The training configuration: one TOML file, checked key by key."""

from __future__ import annotations

import dataclasses
import datetime
import math
import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from latte_ase.model.descriptors import DESCRIPTORS

PRESETS = ("small", "medium", "large")
"""Settings to begin with, from quick to thorough; files of the folder `presets`."""
OPTIMISERS = ("muon", "adamw")
"""See `optimiser.py`."""
RANGES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("epochs", "batch_size"), ("a whole number of 1 or more", lambda x: x >= 1 and x == int(x))),
    "seed": ("a whole number of 0 or more", lambda x: x >= 0 and x == int(x)),
    **dict.fromkeys(("rate", "clip", "huber"), ("a number larger than 0", lambda x: x > 0)),
    **dict.fromkeys(("warmup", "ema"), ("a number from 0 to below 1", lambda x: 0 <= x < 1)),
    **dict.fromkeys(
        (
            "weight_decay",
            "mixing_decay",
            *("energy_weight", "force_weight", "stress_weight", "taylor_weight", "spatial_weight"),
            "displacement",
        ),
        ("a finite number of 0 or more", lambda x: 0 <= x < math.inf),
    ),
}
"""What the numbers of [training] may be, in words and as a test."""


def plain(value: Any) -> Any:
    """The value as JSON and TOML have it: paths and dates become texts, NumPy's numbers Python's.

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
    """[model]: what is trained.

    Attributes:
        name: name of the model.
        descriptor: kind of descriptor, see `latte_ase.model.descriptors`.
        cutoff: Angstrom.
        elements: symbols; empty takes those of the training set.
        hidden: widths of the hidden layers.
        activation: of the hidden layers.
        linear: whether a linear function of the features is added to the network.
        repulsion: whether ZBL repulsion is added below the training range.
        options: further hyper-parameters of the descriptor, which stand beside the others in the table.
    """

    name: str
    descriptor: str = "latte"
    cutoff: float = 5.0
    elements: tuple[str, ...] = ()
    hidden: tuple[int, ...] = (64, 64)
    activation: str = "silu"
    linear: bool = False
    repulsion: bool = True
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """[data]: where the labels are.

    Attributes:
        train: file of labelled structures, relative to the configuration file.
        valid: file of validation structures; empty holds out `valid_fraction` of `train`.
        valid_fraction: fraction held out.
        isolated_atoms: file of isolated atoms, whose energies become E0: structures of one atom without a neighbour within
            the cutoff, periodic images included.  Other structures in it are passed over.  Several of an element have to
            agree; those with config_type=IsolatedAtom come first.
        reference_energies: E0 in eV by symbol; empty means `isolated_atoms` or least squares.
        keys: names that labels have in these files where they are not ASE's, such as { energy = "REF_energy", forces =
            "REF_forces" }, of energy, forces, stress and virial; see `latte_ase.io.labels.with_keys`.
        trust_labels: whether labels are used although they look as if their units were others, see
            `latte_ase.io.plausibility`.
    """

    train: str
    valid: str = ""
    valid_fraction: float = 0.1
    isolated_atoms: str = ""
    reference_energies: dict[str, float] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    trust_labels: bool = False


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """[training]: how.

    Attributes:
        epochs: passes over the training set.
        batch_size: structures per step.
        optimiser: "muon" for the matrices and Adam for all else, or "adamw"; see `optimiser.py`.
        rate: peak learning rate, reached after the warm-up, then a cosine down to 1 % of it.
        warmup: share of all steps with a rising rate.
        weight_decay: decoupled decay of the networks' weight matrices.
        mixing_decay: the same of the descriptor's mixing; `latte` has none.
        clip: largest norm of the gradient.
        ema: decay of the moving average of parameters, which is what is validated and saved.
        energy_weight: of the squared error in eV/atom.
        force_weight: of the squared error of a force component in eV/Angstrom.
        stress_weight: of the squared error of a stress component in eV/Angstrom^3.
        huber: errors above this count linearly, not squared (eV/atom, eV/Angstrom, eV/Angstrom^3): for data
            with structures far up on repulsive walls.
        taylor_weight, spatial_weight: of weak supervision without labels, see `consistency`; on the scale of
            `energy_weight`, of which the authors took 1.2 and 0.01 times.  0 leaves it out; with it a step costs two to
            three times as much.
        displacement: of the atoms there, Angstrom.
        seed: of initial parameters, order of batches, and the split.
    """

    epochs: int = 100
    batch_size: int = 4
    optimiser: str = "muon"
    rate: float = 3e-3
    warmup: float = 0.02
    weight_decay: float = 1e-4
    mixing_decay: float = 0.0
    clip: float = 10.0
    ema: float = 0.999
    energy_weight: float = 10.0
    force_weight: float = 1.0
    stress_weight: float = 0.0
    huber: float = math.inf
    taylor_weight: float = 0.0
    spatial_weight: float = 0.0
    displacement: float = 0.02
    seed: int = 0

    def __post_init__(self):
        if self.optimiser not in OPTIMISERS:
            raise ValueError(f"optimiser is {self.optimiser!r}; allowed are {', '.join(OPTIMISERS)}.")
        for name, (allowed, is_allowed) in RANGES.items():
            value = getattr(self, name)
            number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
            if not number or not is_allowed(value):
                raise ValueError(f"{name} is {value!r}; {allowed} is needed.")

    def to_dict(self) -> dict[str, Any]:
        """Plain data as in a file."""
        return plain(dataclasses.asdict(self))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the loss needs."""
        weights = {"energy": self.energy_weight, "forces": self.force_weight, "stress": self.stress_weight}
        return tuple(name for name, weight in weights.items() if weight > 0)

    @property
    def consistency(self) -> bool:
        """Whether there is weak supervision."""
        return self.taylor_weight > 0 or self.spatial_weight > 0

    @property
    def skin(self) -> float:
        """How far beyond the cutoff pairs are needed, in Angstrom: two atoms may come closer by this."""
        return 2 * self.displacement if self.consistency else 0.0


@dataclass(frozen=True, kw_only=True)
class Config:
    """All of a configuration file.

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


def _table(cls, name: str, values: dict[str, Any], known: dict[str, dataclasses.Field]):
    """A table of the file as a dataclass; `known` are the fields it may have."""
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(
            f"Unknown key {', '.join(unknown)} in table [{name}] of the configuration; known are {', '.join(known)}."
        )
    required = {n for n, f in known.items() if f.default is f.default_factory is dataclasses.MISSING}
    missing = sorted(required - set(values))
    if missing:
        raise ValueError(f"Table [{name}] of the configuration lacks {', '.join(missing)}.")
    return cls(**{k: _tuples(v) for k, v in values.items()})


def _tuples(value):
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _fields(cls) -> dict[str, dataclasses.Field]:
    return {f.name: f for f in dataclasses.fields(cls)}


def _model_table(values: dict[str, Any]) -> ModelConfig:
    """The hyper-parameters of the descriptor stand in the table beside the model's own."""
    kind = values.get("descriptor", ModelConfig.descriptor)
    if kind not in DESCRIPTORS:
        raise ValueError(f"descriptor is {kind!r}; allowed are {', '.join(DESCRIPTORS)}.")
    own = {name: f for name, f in _fields(ModelConfig).items() if name != "options"}
    known = own | {name: f for name, f in _fields(DESCRIPTORS[kind]).items() if name not in own}

    def model(**entries):
        options = {name: entries.pop(name) for name in set(entries) - set(own)}
        return ModelConfig(**entries, options=options)

    return _table(model, "model", values, known)


def load_config(source) -> Config:
    """Read a configuration.

    Args:
        source: path of a TOML file, or its content as a dictionary.  With `preset = "medium"` at its top, what it does not
            say itself is taken from that preset.

    Raises:
        FileNotFoundError, ValueError: no file; not TOML; an unknown preset; an unknown or missing key, by name; a value that
            cannot be.
    """
    if isinstance(source, Config):
        return source
    folder = Path(".")
    if not isinstance(source, dict):
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"There is no configuration file {path}.")
        folder = path.parent
        try:
            source = tomllib.loads(path.read_text())
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path} is not valid TOML: {error}.") from error
    source = _with_preset(plain(source))
    tables = {"data": DataConfig, "training": TrainingConfig}
    unknown = sorted(set(source) - set(tables) - {"model", "card"})
    if unknown:
        raise ValueError(f"Unknown table [{', '.join(unknown)}]; known are model, {', '.join(tables)}, card.")
    for name, table in source.items():
        if not isinstance(table, dict):
            raise ValueError(f"{name} is {table!r}; a table is needed, [{name}] in the file.")
    model = _model_table(source.get("model", {}))
    made = {name: _table(cls, name, source.get(name, {}), _fields(cls)) for name, cls in tables.items()}
    return Config(model=model, **made, card=dict(source.get("card", {})), folder=folder)


def _with_preset(source: dict[str, Any]) -> dict[str, Any]:
    """The tables, each entry that is missing taken from the preset that is named."""
    name = source.pop("preset", None)
    if name is None:
        return source
    if name not in PRESETS:
        raise ValueError(f"preset is {name!r}; allowed are {', '.join(PRESETS)}.")
    text = resources.files("latte_ase.training").joinpath(f"presets/{name}.toml").read_text()
    preset = tomllib.loads(text)
    return source | {table: preset[table] | source.get(table, {}) for table in preset}
