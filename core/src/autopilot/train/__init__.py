"""Training: sessions in, a bundle out."""

from __future__ import annotations

from autopilot.train.forecast import in_words
from autopilot.train.options import TrainOptions, TrainProgress
from autopilot.train.team import Place, train_in_team
from autopilot.train.train import TrainResult, train

__all__ = ["Place", "TrainOptions", "TrainProgress", "TrainResult", "in_words", "train", "train_in_team"]
