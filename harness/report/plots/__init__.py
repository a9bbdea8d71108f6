"""Plots: functions of results that return an SVG and its alternative text, or None."""

from harness.report.plots.clients import accuracy_by_client
from harness.report.plots.labels import label_map, labels_by_client
from harness.report.plots.rounds import accuracy_by_round, by_round
from harness.report.plots.spread import accuracy_by_heterogeneity

__all__ = [
    "accuracy_by_client",
    "accuracy_by_heterogeneity",
    "accuracy_by_round",
    "by_round",
    "label_map",
    "labels_by_client",
]
