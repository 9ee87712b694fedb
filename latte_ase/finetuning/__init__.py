"""Fine-tuning: a model adapted to new labels, to a new level of theory, or to further elements."""

from latte_ase.finetuning.finetune import finetune
from latte_ase.finetuning.result import FineTuned
from latte_ase.training.elements import with_elements

__all__ = ["FineTuned", "finetune", "with_elements"]
