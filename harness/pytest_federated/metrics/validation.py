"""Accuracy and loss on the validation set, and the round that it chooses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Optional

from pydantic import Field

from pytest_federated.data.datasets.dataset import LABELED
from pytest_federated.metrics.last_rounds import OverLast, averaged, last_or_mean
from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.metrics.needs import Lack, Measured
from pytest_federated.metrics.resolution import VALIDATION_EXAMPLE
from pytest_federated.metrics.scales import Margin
from pytest_federated.training.history import Round, TrainingHistory

VALIDATION_PREFIX = "validation_"  # begins the names of metrics on the validation set
_NO_SET = "no validation set"

BestBy = Annotated[
    Optional[Literal["validation"]],
    Field(description="Has the validation set choose the round whose test figure it is."),
]


def validation_set(keys: Any, scenario: Measured) -> Optional[Lack]:
    """A validation set."""
    if scenario.data.validation_fraction is not None:
        return None
    return Lack("is measured on what it holds out", "data.validation_fraction")


def set_that_chooses(keys: Any, scenario: Measured) -> Optional[Lack]:
    """A validation set, where the key `best_by` has it choose the round."""
    return validation_set(keys, scenario) if keys.best_by else None


def chosen_round(history: TrainingHistory) -> Round:
    """Returns the round that is best on the validation set.

    Raises:
        NoValue: there is no validation set.

    """
    best = history.best_on_validation
    if best is None:
        raise NoValue(_NO_SET)
    return best


@metrics(
    "validation_accuracy",
    title="validation accuracy",
    tasks=LABELED,
    scale="share",
    direction="higher",
    resolution=averaged(VALIDATION_EXAMPLE),
    column=25,
    is_optional=True,
    needs=validation_set,
)
def validation_accuracy(history: TrainingHistory, *, over_last: OverLast = None) -> float:
    """Accuracy on the validation set after the last round, or as `accuracy` (0 to 1)."""
    return last_or_mean(history.rounds, lambda r: r.validation_accuracy, over_last, _NO_SET)


def _best_so_far(rounds: Sequence[Round]) -> tuple[float, float]:
    known = (r.validation_accuracy for r in rounds)
    return max((accuracy for accuracy in known if accuracy is not None), default=0.0), 1.0


@metrics(
    "best_validation_accuracy",
    title="best validation accuracy",
    tasks=LABELED,
    scale="share",
    direction="higher",
    resolution=VALIDATION_EXAMPLE,
    so_far=_best_so_far,
    needs=validation_set,
)
def best_validation_accuracy(history: TrainingHistory) -> float:
    """The highest accuracy on the validation set of all evaluated rounds (0 to 1)."""
    return max(_curve(history.rounds))


@metrics(
    "validation_loss",
    title="validation loss",
    unit="nats",
    scale="loss",
    direction="lower",
    margin=Margin(relative=0.02),
    needs=validation_set,
)
def validation_loss(history: TrainingHistory, *, over_last: OverLast = None) -> float:
    """Loss on the validation set after the last round, or over the last ones, as `loss`."""
    return last_or_mean(history.rounds, lambda r: r.validation_loss, over_last, _NO_SET)


def _curve(rounds: Sequence[Round]) -> list[float]:
    curve = [r.validation_accuracy for r in rounds if r.validation_accuracy is not None]
    if not curve:
        raise NoValue(_NO_SET)
    return curve
