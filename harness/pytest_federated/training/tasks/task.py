"""The interface of tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np

from pytest_federated.data.datasets.dataset import TaskKind
from pytest_federated.registry.discovery import import_package

tasks: dict[TaskKind, Task] = {}


@dataclass(frozen=True)
class Task:
    """One kind of task. `y` are the labels of n examples, `predictions` a model's outputs for them.

    Attributes:
        kind: its name in data sets.
        outputs: shape of a model's output for one example, from the shape of its labels and the
            number of classes.
        activation: that of a last layer whose outputs are probabilities; None where they are none.
        loss: (y, predictions, whether these are logits) -> float32 (), the mean loss of a batch, in
            nats.
        hits: (y, predictions, whether these are logits) -> two bool tensors of the shape of y:
            which positions are right, and which count at all; all that are right count. None
            where nothing is right or wrong.
        classes: (y) -> int, broadcast to the shape of y: the class that each position stands for.
        counts_examples: whether each example is one position, which counts.

    """

    kind: TaskKind
    outputs: Callable[[tuple[int, ...], int], tuple[int, ...]]
    activation: Optional[str]
    loss: Callable[[Any, Any, bool], Any]
    hits: Optional[Callable[[Any, Any, bool], tuple[Any, Any]]]
    classes: Callable[[np.ndarray], np.ndarray]
    counts_examples: bool = False


def of(kind: TaskKind) -> Task:
    """Returns the task of a kind."""
    import_package(__package__)
    return tasks[kind]


def register(task: Task) -> Task:
    """Registers a task under its kind."""
    tasks[task.kind] = task
    return task
