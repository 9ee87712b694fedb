"""Distillation: a model that imitates an ASE calculator, from structures whose labels it asks for."""

from latte_ase.distillation.loop import distill
from latte_ase.distillation.result import Distilled

__all__ = ["Distilled", "distill"]
