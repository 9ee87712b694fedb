"""Machine-learned interatomic potentials for ASE: LATTE descriptors in JAX.

>>> from latte_ase import LatteCalculator
>>> atoms.calc = LatteCalculator.from_pretrained("latte-water")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from latte_ase.calculator import LatteCalculator
    from latte_ase.distillation import distill
    from latte_ase.evaluation import evaluate
    from latte_ase.finetuning import finetune
    from latte_ase.io.compilation_cache import use_compilation_cache
    from latte_ase.io.model_file import save_model
    from latte_ase.io.pretrained import list_models, load_model
    from latte_ase.model.potential import Potential
    from latte_ase.prediction import predict
    from latte_ase.training.train import train

_WHERE = {
    "LatteCalculator": "latte_ase.calculator",
    "Potential": "latte_ase.model.potential",
    "distill": "latte_ase.distillation",
    "evaluate": "latte_ase.evaluation",
    "finetune": "latte_ase.finetuning",
    "list_models": "latte_ase.io.pretrained",
    "load_model": "latte_ase.io.pretrained",
    "predict": "latte_ase.prediction",
    "save_model": "latte_ase.io.model_file",
    "train": "latte_ase.training.train",
    "use_compilation_cache": "latte_ase.io.compilation_cache",
}

__all__ = [
    "LatteCalculator",
    "Potential",
    "distill",
    "evaluate",
    "finetune",
    "list_models",
    "load_model",
    "predict",
    "save_model",
    "train",
    "use_compilation_cache",
]


def __getattr__(name: str):
    """Import on first use: `import latte_ase` alone loads neither JAX nor ASE."""
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'latte_ase' has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_WHERE])
