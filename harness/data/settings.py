"""What a scenario says about its data and its clients."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Optional, Union

from pydantic import Field, model_validator

from harness.data.datasets import datasets, has_test_set
from harness.data.shifts import shifts
from harness.data.sizes import sizes
from harness.data.splits import splits
from harness.errors import DataError
from harness.registry import Choice, Registry, kind
from harness.settings import Section, problem
from harness.systems import Systems
from harness.systems.dropout import dropouts
from harness.systems.malicious import attacks
from harness.systems.sampling import samplers
from harness.systems.stragglers import stragglers as straggling

_TEST_FRACTION = 0.2


class Data(Section):
    """The data set, and how much of it is held out for validation and testing.

    With `holdout: global` the fractions are taken from all examples before the split. With
    `holdout: per_client` they are taken from each client after it, and the common test set is
    what the clients hold out, together. Both times labels keep their proportions.

    `test_fraction` is 0.2 unless given; a data set with a test set of its own keeps that as the
    common one, and has no `test_fraction` unless each client holds something out.
    """

    dataset: Annotated[Section, Choice(datasets)]
    test_fraction: Annotated[Optional[float], Field(gt=0, lt=1)] = None
    validation_fraction: Annotated[Optional[float], Field(gt=0, lt=1)] = None
    holdout: Literal["global", "per_client"] = "global"

    @model_validator(mode="after")
    def _consistent(self) -> Data:
        entry = datasets.entry(self.dataset)
        own = has_test_set(self.dataset.model_dump())
        if self.test_fraction is not None and own and self.holdout == "global":
            raise problem("test_fraction", f"{entry.name} has a test set of its own; leave it out")
        if sum(self.fractions) >= 1:
            raise problem(
                "validation_fraction",
                f"got {self.validation_fraction}; with the test fraction of {self.fractions[1]:g} "
                "nothing is left to train on",
            )
        return self

    @property
    def fractions(self) -> tuple[float, float]:
        """Of the examples, those held out for validation and for testing."""
        own = has_test_set(self.dataset.model_dump())
        test = 0.0 if own and self.holdout == "global" else self.test_fraction or _TEST_FRACTION
        return self.validation_fraction or 0.0, test


class Clients(Section):
    """The population of clients, and who takes part in a round.

    `split` says which client gets which examples, `size` how many where the split leaves that
    open, `shift` what is different about a client's examples. `per_round` is a number of clients
    (int) or a share of them (float, at most 1.0); all clients when left out. `sampling` says how
    they are drawn, `dropout` who of them is lost, `stragglers` who does only a part of its work,
    and `malicious` who attacks.
    """

    count: Annotated[Optional[int], Field(ge=1)] = None
    split: Annotated[Section, Choice(splits)] = Field(default_factory=lambda: splits.parse("iid"))
    size: Annotated[Optional[Section], Choice(sizes, optional=True)] = None
    shift: list[Annotated[Section, Choice(shifts)]] = Field(default_factory=list)
    per_round: Annotated[Optional[Union[int, float]], Field(gt=0)] = None
    sampling: Annotated[Section, Choice(samplers)] = Field(
        default_factory=lambda: samplers.parse("uniform")
    )
    dropout: Annotated[Optional[Section], Choice(dropouts, optional=True)] = None
    stragglers: Annotated[Optional[Section], Choice(straggling, optional=True)] = None
    malicious: Annotated[Optional[Section], Choice(attacks, optional=True)] = None

    @model_validator(mode="after")
    def _consistent(self) -> Clients:
        traits = splits.entry(self.split).traits
        if self.count is None and not traits.get("natural"):
            raise problem("count", f"missing; the {kind(self.split)} split needs it")
        if self.size is not None and not traits.get("sizes"):
            able = [n for n in splits.names() if splits[n].traits.get("sizes")]
            raise problem(
                "size",
                f"got {kind(self.size)}; the {kind(self.split)} split has sizes of its own; "
                f"allowed with: {', '.join(able)}",
            )
        self._lists_every_client("split", splits, self.split)
        self._lists_every_client("size", sizes, self.size)
        self._lists_every_client("dropout", dropouts, self.dropout)
        self._samples_clients()
        if isinstance(self.per_round, float) and self.per_round > 1:
            raise problem("per_round", f"got {self.per_round}; a share is at most 1.0")
        if isinstance(self.per_round, int) and self.count and self.per_round > self.count:
            raise problem(
                "per_round", f"got {self.per_round}; there are {self.count} clients (clients.count)"
            )
        return self

    def _samples_clients(self) -> None:
        entry = samplers.entry(self.sampling)
        if self.per_round is not None and not entry.traits.get("sized", True):
            raise problem(
                "per_round",
                f"got {self.per_round}; the {entry.name} sampling does not read it; leave it out",
            )
        if self.count and "lists" in entry.traits:
            listing = entry.traits["lists"]
            largest = max((c for one in getattr(self.sampling, listing) for c in one), default=0)
            if largest >= self.count:
                raise problem(
                    "sampling",
                    f"got client {largest} under {listing}; there are clients 0 to "
                    f"{self.count - 1} (clients.count)",
                )

    def _lists_every_client(
        self, key: str, registry: Registry[Any], chosen: Optional[Section]
    ) -> None:
        if chosen is None or "per_client" not in registry.entry(chosen).traits:
            return
        listing = registry.entry(chosen).traits["per_client"]
        given = len(getattr(chosen, listing))
        if given != self.count:
            raise problem(
                key,
                f"got {given} under {listing}; there are {self.count} clients (clients.count)",
            )

    @property
    def systems(self) -> Systems:
        """How clients come, go and behave."""
        return Systems(self.sampling, self.dropout, self.stragglers, self.malicious)

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
