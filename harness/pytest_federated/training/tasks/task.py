"""What a task is to pytest-federated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from pytest_federated.data.datasets.dataset import TaskKind
from pytest_federated.registry.discovery import import_package

tasks: dict[TaskKind, Task] = {}


@dataclass(frozen=True)
class Task:
    """One kind of task. `y` are the labels of n examples, `predictions` a model's outputs for them.

    Attributes:
        kind: as data sets name it.
        outputs: shape of a model's output for one example, from the shape of its labels and the
            number of classes.
        activation: of a last layer that ends in probabilities.
        loss: (y, predictions, whether those are logits) -> float32 (), the mean loss of a batch, in
            nats.
        hits: (y, predictions) -> two bool tensors of the shape of y: which positions are right, and
            which are counted at all; all that are right are counted.
        classes: (y) -> int, broadcast to the shape of y: the class that each position stands for.

    """

    kind: TaskKind
    outputs: Callable[[tuple[int, ...], int], tuple[int, ...]]
    activation: str
    loss: Callable[[Any, Any, bool], Any]
    hits: Callable[[Any, Any], tuple[Any, Any]]
    classes: Callable[[np.ndarray], np.ndarray]


def of(kind: TaskKind) -> Task:
    """The task of that kind."""
    import_package(__package__)
    return tasks[kind]


def register(task: Task) -> Task:
    """Makes a task known under its kind."""
    tasks[task.kind] = task
    return task
