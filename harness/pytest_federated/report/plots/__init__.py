"""Plots: functions of results that return a picture, or None where there is nothing to show."""

from pytest_federated.report.plots.clients import accuracy_by_client
from pytest_federated.report.plots.labels import label_map, labels_by_client
from pytest_federated.report.plots.rounds import accuracy_by_round, by_round
from pytest_federated.report.plots.spread import accuracy_by_heterogeneity
from pytest_federated.report.plots.style import Picture

# What a scenario's section of the report shows, by the end of the plot's file name.
SCENARIO_PLOTS = {
    "accuracy": accuracy_by_round,
    "labels": labels_by_client,
    "clients": accuracy_by_client,
}

__all__ = [
    "SCENARIO_PLOTS",
    "Picture",
    "accuracy_by_client",
    "accuracy_by_heterogeneity",
    "accuracy_by_round",
    "by_round",
    "label_map",
    "labels_by_client",
]
