"""What a scenario says about its data and its clients."""

from __future__ import annotations

from typing import Annotated, Optional, Union

from pydantic import Field, model_validator

from harness.data.datasets import datasets
from harness.data.splits import splits
from harness.errors import DataError
from harness.registry import Choice, kind
from harness.settings import Section, problem


class Data(Section):
    """The data set, and how much of it is held out as the common test set.

    `test_fraction` is 0.2 unless given; a data set with a test set of its own has none.
    """

    dataset: Annotated[Section, Choice(datasets)]
    test_fraction: Annotated[Optional[float], Field(gt=0, lt=1)] = None

    @model_validator(mode="after")
    def _own_test_set(self) -> Data:
        entry = datasets.entry(self.dataset)
        if self.test_fraction is not None and entry.traits.get("has_test_set"):
            raise problem("test_fraction", f"{entry.name} has a test set of its own; leave it out")
        return self


class Clients(Section):
    """The population of clients, and how many of them take part in a round.

    `per_round` is a number of clients (int) or a share of them (float, at most 1.0); all
    clients when left out.
    """

    count: Annotated[Optional[int], Field(ge=1)] = None
    split: Annotated[Section, Choice(splits)] = Field(default_factory=lambda: splits.parse("iid"))
    per_round: Annotated[Optional[Union[int, float]], Field(gt=0)] = None

    @model_validator(mode="after")
    def _consistent(self) -> Clients:
        if self.count is None and not splits.entry(self.split).traits.get("natural"):
            raise problem("count", f"missing; the {kind(self.split)} split needs it")
        if isinstance(self.per_round, float) and self.per_round > 1:
            raise problem("per_round", f"got {self.per_round}; a share is at most 1.0")
        if isinstance(self.per_round, int) and self.count and self.per_round > self.count:
            raise problem(
                "per_round", f"got {self.per_round}; there are {self.count} clients (clients.count)"
            )
        return self

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
