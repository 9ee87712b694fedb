"""Training: configuration, where it starts, batches, loss, step, the loop over epochs, its folder."""

from latte_ase.training.config import Config, TrainingConfig, load_config
from latte_ase.training.train import train

__all__ = ["Config", "TrainingConfig", "load_config", "train"]
