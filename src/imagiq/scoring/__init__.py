"""Scoring: measures of models on patients, and their intervals."""

from imagiq.scoring.bootstrap import Interval, bootstrap, bootstrap_difference
from imagiq.scoring.marks import FEW, Marks, dice, marks_of_classes, marks_of_overlaps, patients_dice
from imagiq.scoring.measures import Measure, measure_of
from imagiq.scoring.metrics import ACCURACY, AUC, BRIER, Metric, accuracy, auc, brier
from imagiq.scoring.resampled import Resampled, mean_of_resampled, resampled

__all__ = [
    "ACCURACY",
    "AUC",
    "BRIER",
    "FEW",
    "Interval",
    "Marks",
    "Measure",
    "Metric",
    "Resampled",
    "accuracy",
    "auc",
    "bootstrap",
    "bootstrap_difference",
    "brier",
    "dice",
    "marks_of_classes",
    "marks_of_overlaps",
    "mean_of_resampled",
    "measure_of",
    "patients_dice",
    "resampled",
]
