"""What a scenario says of its tuning: a grid of settings, of which the best is judged."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Optional

from pydantic import Field, model_validator

from pytest_federated.core.schema import Section, problem
from pytest_federated.core.suggestions import suggest
from pytest_federated.metrics.metric import metrics, spec_of
from pytest_federated.metrics.validation import VALIDATION_PREFIX


class Tune(Section):
    """A grid of settings, which are all trained; the best by a metric is judged on the test set.

    `keys` is a grid as `matrix` has it, of keys that do not change the data. The best is chosen by
    the mean over seeds of `metric` on the validation set, or on the test set itself, whose figures
    are then better than new data would give. `metric` is accuracy, or the loss where numbers are
    predicted. With `over_last` it is the mean over so many last rounds.
    """

    keys: dict[str, Any]
    by: Literal["validation", "test"] = "validation"
    metric: Optional[str] = None
    over_last: Annotated[Optional[int], Field(ge=1)] = None

    @model_validator(mode="after")
    def _chooses_by_what_can_be_chosen_by(self) -> Tune:
        if self.metric is None:
            return self
        allowed = _metrics_on(self.by)
        if self.metric not in allowed:
            raise problem("metric", f"got {self.metric!r}; {suggest(self.metric, allowed)}")
        if self.over_last and "over_last" not in metrics[self.measure(self.metric)].keywords:
            raise problem("over_last", f"{self.metric} has no mean over rounds; leave it out")
        return self

    @property
    def metric_names(self) -> list[str]:
        """The metrics that it may be about: the first of them that trainings have."""
        return [self.metric] if self.metric else ["accuracy", "loss"]

    def measure(self, metric: str) -> str:
        """Returns the name of a metric on the set that chooses: ``validation_accuracy``."""
        return f"{VALIDATION_PREFIX}{metric}" if self.by == "validation" else metric

    @property
    def measure_keys(self) -> dict[str, Any]:
        """The keys with which the metric is measured."""
        return {"over_last": self.over_last} if self.over_last else {}


def _metrics_on(by: str) -> list[str]:
    """Returns the metrics that can choose on one of the sets."""
    if by == "validation":
        names = [name for name in metrics.names() if name.startswith(VALIDATION_PREFIX)]
        return [name[len(VALIDATION_PREFIX) :] for name in names if spec_of(name).sign]
    return [
        name
        for name in metrics.names()
        if spec_of(name).sign
        and not name.startswith(VALIDATION_PREFIX)
        and spec_of(name).reference is None
        and not spec_of(name).is_wall_time
        and not any(f.is_required() for f in metrics[name].params.model_fields.values())
    ]
