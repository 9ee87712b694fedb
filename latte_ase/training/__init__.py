"""Training: configuration, where it starts, batches, loss, step, loop, checkpoints."""

from latte_ase.training.config import Config, TrainingConfig, load_config
from latte_ase.training.loop import train

__all__ = ["Config", "TrainingConfig", "load_config", "train"]
