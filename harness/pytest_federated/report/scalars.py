"""The figures of a round by group, for tools that draw curves."""

from __future__ import annotations

from pytest_federated.training.history import Round


def scalars(done: Round) -> dict[str, dict[str, float]]:
    """Those that the round has: ``test``, ``train``, ``clients``, ``bytes``."""
    groups = {
        "test": {"accuracy": done.accuracy, "loss": done.loss},
        "train": {"accuracy": done.train_accuracy, "loss": done.train_loss},
        "clients": {"cohort": done.clients, "dropped": done.dropped, "examples": done.examples},
        "bytes": {"down": done.bytes_down, "up": done.bytes_up},
    }
    known = {
        group: {name: float(value) for name, value in values.items() if value is not None}
        for group, values in groups.items()
    }
    return {group: values for group, values in known.items() if values}
