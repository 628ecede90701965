"""Scoring: metrics of models on cases, and their intervals."""

from imagiq.scoring.bootstrap import Interval, bootstrap, bootstrap_difference
from imagiq.scoring.metrics import ACCURACY, AUC, BRIER, Metric, accuracy, auc, brier

__all__ = [
    "ACCURACY",
    "AUC",
    "BRIER",
    "Interval",
    "Metric",
    "accuracy",
    "auc",
    "bootstrap",
    "bootstrap_difference",
    "brier",
]
