"""How often a backdoor opens."""

from __future__ import annotations

from typing import Any, Optional

from pytest_federated.clients.attacks.attack import attack
from pytest_federated.metrics.metric import NoValue, metrics
from pytest_federated.metrics.needs import Lack, Measured, shared_model
from pytest_federated.registry.registry import kind
from pytest_federated.training.history import TrainingHistory


def _trigger(keys: Any, scenario: Measured) -> Optional[Lack]:
    key, chosen = "clients.attacks", scenario.clients.attacks
    why = "is measured with the trigger of an attack, such as backdoor"
    if chosen is None:
        return Lack(why, key)
    if attack(chosen).trigger is None:
        return Lack(why, key, f"got {kind(chosen)}")
    return shared_model(keys, scenario)


@metrics(
    "backdoor_success",
    title="backdoor",
    tasks=("label",),
    scale="share",
    direction="lower",
    column=57,
    is_optional=True,
    needs=_trigger,
)
def backdoor_success(history: TrainingHistory) -> float:
    """Share of the test images of other labels that a trigger makes the final model misjudge.

    Of those of `clients.attacks: backdoor`: with its patch, they are classified as its target (0 to
    1). Known as the attack success rate.
    """
    if history.backdoor_success is None:
        raise NoValue("not measured: clients.attacks has no backdoor")
    return history.backdoor_success
