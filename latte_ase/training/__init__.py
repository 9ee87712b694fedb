"""Training: configuration, loss, step, loop, checkpoints, fine-tuning."""

from latte_ase.training.config import Config, load_config
from latte_ase.training.finetune import finetune
from latte_ase.training.loop import train

__all__ = ["Config", "finetune", "load_config", "train"]
