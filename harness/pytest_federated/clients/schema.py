"""The section `clients` of a scenario: the split, and who takes part in a round."""

from __future__ import annotations

from typing import Annotated, Any, Optional, Union

from pydantic import Field, model_validator

from pytest_federated.clients.attacks.attack import attacks as attack_registry
from pytest_federated.clients.attacks.attack import without_attackers
from pytest_federated.clients.dropout.dropout import dropouts
from pytest_federated.clients.participation import Participation
from pytest_federated.clients.sampling.sampler import largest_cohort, samplers
from pytest_federated.clients.stragglers.straggler import stragglers as straggling
from pytest_federated.clients.stragglers.straggler import without_stragglers
from pytest_federated.core.errors import DataError
from pytest_federated.core.schema import Section, problem
from pytest_federated.data.schema import Partition, unseen_clients
from pytest_federated.registry.choice import Choice


def _describe_per_round(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [
        {"type": "integer", "minimum": 1},
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        {"type": "null"},
    ]


class Clients(Partition):
    """The population of clients, and who takes part in a round.

    Besides the keys of `Partition`, `per_round` is a number of clients (int) or a share of them
    (float, at most 1.0); all clients when left out. `sampling` says how they are drawn, `dropout`
    who of them is lost, `stragglers` who does only a part of its work, and `attacks` who attacks.
    """

    per_round: Annotated[
        Optional[Union[int, float]], Field(gt=0, json_schema_extra=_describe_per_round)
    ] = None
    sampling: Annotated[Section, Choice(samplers)] = Field(
        default_factory=lambda: samplers.parse("uniform")
    )
    dropout: Annotated[Optional[Section], Choice(dropouts, optional=True)] = None
    stragglers: Annotated[Optional[Section], Choice(straggling, optional=True)] = None
    attacks: Annotated[Optional[Section], Choice(attack_registry, optional=True)] = None

    @model_validator(mode="after")
    def _consistent(self) -> Clients:
        self._lists_every_client("dropout", dropouts, self.dropout)
        self._samples_clients()
        self._lists_no_unseen_clients()
        if isinstance(self.per_round, float) and self.per_round > 1:
            raise problem("per_round", f"got {self.per_round}; a share is at most 1.0")
        if isinstance(self.per_round, int) and self.count and self.per_round > self.count:
            raise problem(
                "per_round", f"got {self.per_round}; there are {self.count} clients (clients.count)"
            )
        if isinstance(self.per_round, int) and self.count and self.unseen:
            unseen = unseen_clients(self.unseen, self.count)
            if self.per_round > self.count - unseen:
                raise problem(
                    "per_round",
                    f"got {self.per_round}; there are {self.count - unseen} clients that train, as "
                    f"{unseen} of {self.count} are unseen (clients.unseen)",
                )
        self._has_attackers_and_stragglers()
        return self

    def _lists_no_unseen_clients(self) -> None:
        """Refuses lists of clients where the seed decides which of them train."""
        if self.unseen is None:
            return
        lists = {"sampling": samplers.entry(self.sampling).spec.lists}
        if self.dropout is not None:
            lists["dropout"] = dropouts.entry(self.dropout).spec.per_client
        for key, listing in lists.items():
            if listing:
                raise problem(
                    key,
                    f"got a list of clients under {listing}; with clients.unseen the seed decides "
                    "which of them train",
                )

    def _has_attackers_and_stragglers(self) -> None:
        """Refuses shares that are nobody in any round, and would change nothing."""
        if self.count is None:
            return
        population = self.count - (unseen_clients(self.unseen, self.count) if self.unseen else 0)
        if self.attacks is not None and (reason := without_attackers(self.attacks, population)):
            raise problem("attacks.share", reason)
        if self.stragglers is not None:
            most = largest_cohort(self.sampling, population, self.cohort_size(population))
            if reason := without_stragglers(self.stragglers, most):
                raise problem("stragglers.share", reason)

    def _samples_clients(self) -> None:
        entry = samplers.entry(self.sampling)
        if self.per_round is not None and not entry.spec.sized:
            raise problem(
                "per_round",
                f"got {self.per_round}; the {entry.name} sampling does not read it; leave it out",
            )
        if self.count and entry.spec.lists:
            listing = entry.spec.lists
            largest = max((c for one in getattr(self.sampling, listing) for c in one), default=0)
            if largest >= self.count:
                raise problem(
                    "sampling",
                    f"got client {largest} under {listing}; there are clients 0 to "
                    f"{self.count - 1} (clients.count)",
                )

    @property
    def participation(self) -> Participation:
        """How the clients take part."""
        return Participation(self.sampling, self.dropout, self.stragglers, self.attacks)

    def cohort_size(self, population: int) -> int:
        """Clients in each round, of a `population` of clients; at least 1.

        Raises:
            DataError: `per_round` asks for more clients than there are.

        """
        if self.per_round is None:
            return population
        if isinstance(self.per_round, float):
            return max(1, round(self.per_round * population))
        if self.per_round > population:
            raise DataError(
                f"clients.per_round is {self.per_round}; there are {population} clients"
            )
        return self.per_round
