"""The figures of a round by group, for tools that draw curves."""

from __future__ import annotations

from pytest_federated.metrics.of_clients import metrics_of_clients
from pytest_federated.training.history import Round


def scalars(training_round: Round) -> dict[str, dict[str, float]]:
    """Returns the figures that a round has, in ``test``, ``validation``, ``train`` and others."""
    groups = {
        "test": {
            "accuracy": training_round.accuracy,
            "loss": training_round.loss,
            **training_round.scores,
        },
        "validation": {
            "accuracy": training_round.validation_accuracy,
            "loss": training_round.validation_loss,
        },
        "train": {"accuracy": training_round.train_accuracy, "loss": training_round.train_loss},
        "clients": {
            "cohort": training_round.clients,
            "dropped": training_round.dropped,
            "examples": training_round.examples,
            **metrics_of_clients(training_round),
        },
        "bytes": {"down": training_round.bytes_down, "up": training_round.bytes_up},
    }
    present = {
        group: {name: float(value) for name, value in values.items() if value is not None}
        for group, values in groups.items()
    }
    return {group: values for group, values in present.items() if values}
