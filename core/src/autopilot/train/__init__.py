"""Training: sessions in, a bundle out."""

from __future__ import annotations

from autopilot.train.options import TrainOptions, TrainProgress
from autopilot.train.train import TrainResult, train

__all__ = ["TrainOptions", "TrainProgress", "TrainResult", "train"]
