"""Potential: architecture, parameters, and the energies of a block of atoms.

    E = SUM_i ( E0[s_i] + scale * ( net_{s_i}(x_i) - net_{s_i}(x(0)) ) + repulsion_i )
    x_i = (B_i - mean[s_i]) / deviation[s_i]

B are the invariants of the descriptor.  With the second network term the energy of an isolated atom is
exactly E0.  Where the descriptor shares its parameters between species, there is one network, mean and
deviation for all of them.  The constants mean, deviation and scale are taken from the training data
before the first step of training and do not change afterwards.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from ase.data import atomic_numbers
from numpy.typing import ArrayLike

from latte_ase.geometry.graph import Grouping
from latte_ase.model import networks, repulsion
from latte_ase.model.committee import Committee
from latte_ase.model.descriptors import Descriptor
from latte_ase.model.descriptors.base import Shared
from latte_ase.model.domain import Domain
from latte_ase.model.elements import LAST_ELEMENT, symbols_of
from latte_ase.settings import Allowed, Symbol, check_entries

FEATURE_FLOOR = 0.1
"""Smallest scale of a feature, as a fraction of the RMS scale of all features of that species.

A bump at a distance that no pair of the training set has gives a feature of deviation 0; divided by it,
the feature would diverge in the first structure with such a pair."""

AT_LEAST_ONE = Allowed("a list of one or more chemical symbols such as Si", lambda symbols: len(symbols) > 0)


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Hyper-parameters of a potential.

    An architecture is hashable: compiled functions are cached by it.

    Attributes:
        elements: chemical symbols, sorted by atomic number; a species s is an index into them.
        descriptor: hyper-parameters of the descriptor.
        hidden: widths of the hidden layers of the network.
        activation: activation function of the hidden layers, a name in `networks.ACTIVATIONS`.
        repulsion: whether ZBL repulsion is added, see `latte_ase.model.repulsion`.
        linear: whether a linear function of the features is added to the network.

    Raises:
        ValueError: unknown or unsorted elements, or an unknown activation.
    """

    elements: Annotated[tuple[Symbol, ...], AT_LEAST_ONE]
    descriptor: Descriptor
    hidden: networks.Widths = (64, 64)
    activation: networks.Activation = "silu"
    repulsion: bool = True
    linear: bool = False

    def __post_init__(self):
        check_entries(Architecture, {name: value for name, value in vars(self).items() if name != "descriptor"})
        ordered = tuple(sorted(set(self.elements), key=atomic_numbers.__getitem__))
        if ordered != self.elements:
            raise ValueError(f"elements are {self.elements}; write them once each, sorted: {ordered}.")

    @property
    def cutoff(self) -> float:
        """Cutoff radius of the descriptor in Angstrom."""
        return self.descriptor.cutoff

    @property
    def numbers(self) -> np.ndarray:
        """Atomic numbers (species,) of the elements."""
        return np.array([atomic_numbers[e] for e in self.elements])

    @property
    def network(self) -> networks.SiteNetwork:
        """Network of one species, or of all species where they share one."""
        return networks.SiteNetwork(self.hidden, self.activation, self.linear)

    @property
    def shared(self) -> bool:
        """Whether all species share one network."""
        return self.descriptor.grouping(1) is Grouping.MIXED

    @property
    def interaction_range(self) -> float:
        """Distance in Angstrom beyond which no atom contributes to the site energy of another: cutoff times rounds."""
        return self.descriptor.n_rounds * self.descriptor.cutoff


@dataclass(frozen=True)
class Potential:
    """A trained model: hyper-parameters, parameters, and metadata.

    The arrays are read-only and shared between copies; `dataclasses.replace` makes a potential with other ones.

    Attributes:
        architecture: hyper-parameters.
        params: trained parameters, a pytree {"descriptor": ..., "network": ...} of NumPy arrays.
        constants: NumPy arrays "mean" and "deviation" (species, features), "scale" () in eV,
            "repulsion_range" (species, species) in Angstrom, and where they are known "fewest_neighbours"
            (species, 2), see `Domain`.
        reference_energies: E0 (species,) in eV, float64.
        metadata: JSON-like dictionary: name, level of theory, data, licence, citation, metrics, ....
        committee: members that give uncertainties, see `latte_ase.uncertainty`; None where there is none.
    """

    architecture: Architecture
    params: Any
    constants: dict[str, np.ndarray]
    reference_energies: np.ndarray
    metadata: dict[str, Any] = field(default_factory=dict)
    committee: Committee | None = None

    def __post_init__(self):
        # copies share these arrays: to change some, make a new potential with dataclasses.replace
        for name in ("params", "constants", "reference_energies"):
            object.__setattr__(self, name, jax.tree.map(_read_only, getattr(self, name)))

    @property
    def cutoff(self) -> float:
        """Cutoff radius of the descriptor in Angstrom."""
        return self.architecture.cutoff

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols of the elements of the model, sorted by atomic number."""
        return self.architecture.elements

    @property
    def domain(self) -> Domain:
        """Domain of use: the elements, pairs of elements, distances and numbers of neighbours of the training set."""
        return Domain(
            self.elements,
            self.constants["repulsion_range"],
            self.cutoff,
            self.constants.get("fewest_neighbours"),
            isolated=self.reference_energies_are_given,
        )

    @property
    def reference_energies_are_given(self) -> bool:
        """Whether E0 are energies that were given, of isolated atoms as a rule, and not a fit to total energies.

        Where they were fitted, the network holds the rest of the energy of an atom, so that the energy of an isolated atom is
        not known to the model, and no other E0 can take their place but by another fit.
        """
        finetuning, recipe = (_table(self.metadata, name) for name in ("finetuning", "recipe"))
        if finetuning:
            return bool(finetuning.get("energies"))
        data = _table(recipe, "data")
        return bool(data.get("isolated_atoms") or data.get("reference_energies"))

    def __deepcopy__(self, memo):
        """Copy that shares the arrays, which are never changed in place."""
        return replace(self, metadata=copy.deepcopy(self.metadata, memo))

    def species(self, numbers: ArrayLike) -> np.ndarray:
        """Species of atoms: indices into `elements`.

        Args:
            numbers: (atoms,) atomic numbers.

        Returns:
            (atoms,) int.

        Raises:
            ValueError: an element that the model was not trained on.
        """
        numbers = np.asarray(numbers)
        known = self.architecture.numbers
        lookup = np.full(LAST_ELEMENT + 1, -1)
        lookup[known] = np.arange(len(known))
        named = (numbers > 0) & (numbers <= LAST_ELEMENT)
        species = lookup[np.where(named, numbers, 0)]
        if (species < 0).any():
            name = self.metadata.get("name", "this model")
            strange = sorted(set(symbols_of(numbers)) - set(self.elements))
            raise ValueError(
                f"Element {', '.join(strange)} is unknown to {name}, which was trained on "
                f"{', '.join(self.elements)}. Choose another model (latte_ase.list_models()), or train "
                "one on data that contain the element."
            )
        return species


def _table(metadata: dict[str, Any], name: str) -> dict[str, Any]:
    """A dictionary of the metadata, which a file may lack or have as something else."""
    found = metadata.get(name)
    return found if isinstance(found, dict) else {}


def _read_only(array):
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view


def init_params(architecture: Architecture, key):
    """Random trainable parameters of an architecture, a pytree {"descriptor": ..., "network": ...}."""
    k_descriptor, k_network = jax.random.split(key)
    species, features = len(architecture.elements), architecture.descriptor.n_features
    if architecture.shared:
        network = networks.init(architecture.network, k_network, features)
    else:
        network = networks.init_per_species(architecture.network, k_network, species, features)
    return {"descriptor": architecture.descriptor.init(k_descriptor, species), "network": network}


def feature_constants(features, species, n_species: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of each feature per species, with a floor under the scale.

    Args:
        features: (atoms, features) of training atoms.
        species: (atoms,) int.
        n_species: number of species.

    Returns:
        Mean and scale, (n_species, features) each.
    """
    features = np.asarray(features, np.float64)
    mean = np.zeros((n_species, features.shape[1]))
    deviation = np.ones((n_species, features.shape[1]))
    for s in range(n_species):
        rows = features[species == s]
        if len(rows) == 0:
            continue
        mean[s], spread = rows.mean(axis=0), rows.std(axis=0)
        size = np.sqrt((rows**2).mean(axis=0))
        # a crystal's atoms are all alike: where nothing varies, the size of the feature serves
        floor = np.maximum(FEATURE_FLOOR * size, FEATURE_FLOOR * np.sqrt((spread**2).mean()))
        deviation[s] = np.maximum(spread, np.maximum(floor, 1e-3))
    return mean, deviation


def species_tables(architecture: Architecture, params, constants):
    """Parameters and constants by species: a pytree of arrays with leading axis (species,), and of `Shared` ones."""
    tables = {
        "descriptor": architecture.descriptor.tables(params["descriptor"]),
        "network": params["network"],
        "mean": constants["mean"],
        "deviation": constants["deviation"],
        "scale": Shared(constants["scale"]),
    }
    if architecture.shared:
        tables["network"] = jax.tree.map(Shared, params["network"])
        tables |= {name: Shared(constants[name][0]) for name in ("mean", "deviation")}
    if architecture.repulsion:
        tables["repulsion"] = constants["repulsion"]
    return tables


def site_energies(architecture: Architecture, table, edges, neighbour_species, own=None, received=None):
    """Site energies of a block of atoms, without E0: the last round of the descriptor, and the network.

    Args:
        architecture: hyper-parameters.
        table: one row of `species_tables`, or one row per atom; of `Shared` parameters the value.
        edges: one array (block, k, 3) of pair vectors per neighbour group, D in Angstrom.
        neighbour_species: species of the neighbours per group, see `descriptors.base`.
        own: state of these atoms after the round before, see `descriptors.base`.
        received: messages of their neighbours from the round before, see `descriptors.base`.

    Returns:
        (block,) in eV.
    """
    descriptor = architecture.descriptor
    features, _ = descriptor.update(
        descriptor.n_rounds - 1, table["descriptor"], edges, neighbour_species, own, received
    )
    isolated = jnp.zeros((1, features.shape[1]), features.dtype)
    x = (jnp.concatenate([features, isolated]) - table["mean"]) / table["deviation"]
    energies = table["scale"] * networks.site_values(architecture.network, table["network"], x)
    if architecture.repulsion:
        energies = energies + repulsion.site_energies(table["repulsion"], edges, neighbour_species)
    return energies
