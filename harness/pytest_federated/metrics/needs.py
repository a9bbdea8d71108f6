"""What a metric needs of a scenario, so that what can never be measured is told before it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Optional, Protocol

from pytest_federated.clients.schema import Clients
from pytest_federated.data.datasets.dataset import has_test_set
from pytest_federated.data.schema import Data
from pytest_federated.training.algorithms.algorithm import algorithms
from pytest_federated.training.schema import Training


class Measured(Protocol):
    """The sections of a scenario that say what is measured."""

    @property
    def data(self) -> Data: ...
    @property
    def clients(self) -> Clients: ...
    @property
    def training(self) -> Training: ...


@dataclass(frozen=True)
class Lack:
    """What a scenario lacks for a metric.

    Attributes:
        why: continues a sentence that begins with the metric's key.
        key: the dotted key of the scenario that would provide it; that of the metric where empty.
        got: what is at that key.

    """

    why: str
    key: str = ""
    got: str = "missing"

    def at(self, place: str) -> tuple[str, str]:
        """Returns the key to blame, and the message, for a metric that `place` asks for."""
        if not self.key:
            return place, f"it {self.why}"
        return self.key, f"{self.got}; {place} {self.why}"


# From a metric's validated keys and a scenario to what that lacks; None for nothing.
Needs = Callable[[Any, Measured], Optional[Lack]]


def shared_model(keys: Any, scenario: Measured) -> Optional[Lack]:
    """A model that all clients share."""
    entry = algorithms.entry(scenario.training.algorithm)
    if not entry.spec.has_no_global_model:
        return None
    return Lack(f"is measured on the model that all clients share; with {entry.name} there is none")


def clients_examples(keys: Any, scenario: Measured) -> Optional[Lack]:
    """Clients' examples of their own to judge their models on; a shared model can do without."""
    data, entry = scenario.data, algorithms.entry(scenario.training.algorithm)
    has_own = has_test_set(data.dataset.model_dump())  # which may say whose it is
    if not entry.spec.has_no_global_model or has_own or data.holdout == "per_client":
        return None
    why = (
        f"needs per_client, as with {entry.name} each client's model is judged on its own examples"
    )
    return Lack(why, "data.holdout", f"got {data.holdout}")


def personalized_models(keys: Any, scenario: Measured) -> Optional[Lack]:
    """Models that clients have fine-tuned."""
    if scenario.training.personalize is not None:
        return None
    return Lack("is measured on models that clients have fine-tuned", "training.personalize")
