"""How often a backdoor opens."""

from __future__ import annotations

from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.training.history import TrainingHistory


@metrics(
    "backdoor_success",
    title="backdoor",
    tasks=("label",),
    scale="share",
    direction="lower",
    column=57,
    is_optional=True,
)
def backdoor_success(history: TrainingHistory) -> float:
    """Share of the test images of other labels that a trigger makes the final model misjudge.

    Of those of `clients.attacks: backdoor`: with its patch, they are classified as its target (0 to
    1). Known as the attack success rate.
    """
    if history.backdoor_success is None:
        raise NoValue("not measured: clients.attacks has no backdoor")
    return history.backdoor_success
