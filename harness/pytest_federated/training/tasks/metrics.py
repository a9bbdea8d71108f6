"""Loss and metrics of a task, as TFF's two kinds of models take them."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Callable

from pytest_federated.training.tasks.task import Task

if TYPE_CHECKING:
    import tensorflow as tf


def keras_loss(task: Task, are_logits: bool) -> tf.keras.losses.Loss:
    """Returns the task's loss as a Keras loss, of (labels, outputs); the mean of a batch."""
    return _task_loss_class()(task, are_logits)


@lru_cache(maxsize=1)
def _task_loss_class() -> Any:
    """Returns the class `TaskLoss`, once, as TensorFlow keeps every class that it has seen."""
    import tensorflow as tf

    class TaskLoss(tf.keras.losses.Loss):
        def __init__(self, task: Task, are_logits: bool) -> None:
            super().__init__()
            self._task, self._are_logits = task, are_logits

        def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return self._task.loss(y_true, tf.cast(y_pred, tf.float32), self._are_logits)

        call = __call__

    return TaskLoss


def keras_metrics(task: Task, are_logits: bool) -> list[Callable[[], tf.keras.metrics.Metric]]:
    """Returns what makes the task's metrics besides the loss: accuracy, where there is one."""
    return [lambda: keras_accuracy(task, are_logits)] if task.hits else []


def keras_accuracy(task: Task, are_logits: bool) -> tf.keras.metrics.Metric:
    """Returns a metric named ``accuracy``: the share of the counted positions that are right."""
    import tensorflow as tf

    class TaskAccuracy(tf.keras.metrics.Metric):
        def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
            super().__init__(name, dtype)
            self._correct: Any = self.add_weight("correct", initializer="zeros", dtype=tf.int64)
            self._positions: Any = self.add_weight("positions", initializer="zeros", dtype=tf.int64)

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            correct, positions = counts(task, y_true, y_pred, are_logits)
            self._correct.assign_add(correct)
            self._positions.assign_add(positions)

        def result(self) -> Any:
            return share(self._correct, self._positions)

    return TaskAccuracy()


def keras_mean_loss(
    task: Task, loss: tf.keras.losses.Loss, are_logits: bool, by_positions: bool
) -> tf.keras.metrics.Metric:
    """Returns a metric named ``mean_loss``: the mean over examples, or over counted positions.

    The `loss` is the mean of a batch.
    """
    import tensorflow as tf

    class MeanLoss(tf.keras.metrics.Metric):
        def __init__(self, name: str = "mean_loss", dtype: Any = None) -> None:
            super().__init__(name, dtype)
            self._total: Any = self.add_weight("total", initializer="zeros")
            self._weight: Any = self.add_weight("weight", initializer="zeros", dtype=tf.int64)

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            examples = tf.shape(y_true, tf.int64)[0]
            weight = counts(task, y_true, y_pred, are_logits)[1] if by_positions else examples
            self._total.assign_add(loss(y_true, y_pred) * tf.cast(weight, tf.float32))
            self._weight.assign_add(weight)

        def result(self) -> Any:
            return share(self._total, self._weight)

    return MeanLoss()


def functional_metrics(task: Task, are_logits: bool) -> tuple[Any, Any, Any]:
    """Returns the `metrics_fns` of a `tff.learning.models.FunctionalModel`.

    They are the metrics of standard execution: the mean of the batches' losses, weighted by
    examples, the accuracy where the task has one, and the number of examples.
    """
    import tensorflow as tf

    def initialize() -> Any:
        zero = tf.constant(0, tf.int64)
        counted = OrderedDict[str, Any]()
        if task.hits is not None:
            counted["correct"] = zero
            if not task.counts_examples:
                counted["positions"] = zero
        return OrderedDict(**counted, loss=tf.constant(0.0), num_examples=zero)

    def update(state: Any, labels: Any, batch_output: Any, sample_weight: Any = None) -> Any:
        new = OrderedDict(state)
        if task.hits is not None:
            correct, positions = counts(task, labels, batch_output.predictions, are_logits)
            new["correct"] += correct
            if not task.counts_examples:
                new["positions"] += positions
        examples = batch_output.num_examples
        new["loss"] += batch_output.loss * tf.cast(examples, tf.float32)
        new["num_examples"] += tf.cast(examples, tf.int64)
        return new

    def finalize(state: Any) -> Any:
        accuracy = {}
        if task.hits is not None:
            positions = state["num_examples" if task.counts_examples else "positions"]
            accuracy["accuracy"] = share(state["correct"], positions)
        return OrderedDict(
            **accuracy,
            loss=tf.math.divide_no_nan(state["loss"], tf.cast(state["num_examples"], tf.float32)),
            num_examples=state["num_examples"],
        )

    return initialize, update, finalize


def counts(task: Task, y: Any, predictions: Any, are_logits: bool) -> tuple[Any, Any]:
    """Returns the numbers of right and of counted positions, each int64 ()."""
    import tensorflow as tf

    assert task.hits is not None
    right, counted = task.hits(y, predictions, are_logits)
    return tf.math.count_nonzero(right), tf.math.count_nonzero(counted)


def share(correct: Any, positions: Any) -> Any:
    """Returns the share of positions that are correct, float32 (); 0 without positions."""
    import tensorflow as tf

    return tf.math.divide_no_nan(tf.cast(correct, tf.float32), tf.cast(positions, tf.float32))
