"""The section `data` of a scenario, and how it deals examples to clients."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Optional

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from pytest_federated.core.schema import Section, problem, without_empty
from pytest_federated.data.datasets.dataset import datasets, has_test_set
from pytest_federated.data.shifts.shift import changing_nobody, shifts
from pytest_federated.data.sizes.size import sizes
from pytest_federated.data.splits.partition import splits
from pytest_federated.registry.choice import Choice
from pytest_federated.registry.registry import Registry, kind

_TEST_FRACTION = 0.2


class Data(Section):
    """The data set, and how much of it is held out for validation and testing.

    With `holdout: global` the fractions are taken from all examples before the split. With
    `holdout: per_client` they are taken from each client after it, and the common test set is
    what the clients hold out, together. In both cases, labels keep their proportions.

    `test_fraction` is 0.2 by default; the test set of a data set that has its own is the common
    one, and there is no `test_fraction` unless each client holds something out.
    """

    dataset: Annotated[Section, Choice(datasets)]
    test_fraction: Annotated[Optional[float], Field(gt=0, lt=1)] = None
    validation_fraction: Annotated[Optional[float], Field(gt=0, lt=1)] = None
    holdout: Literal["global", "per_client"] = "global"

    @model_validator(mode="after")
    def _consistent(self) -> Data:
        entry = datasets.entry(self.dataset)
        has_own = has_test_set(self.dataset.model_dump())
        if self.test_fraction is not None and has_own and self.holdout == "global":
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
        """The shares of the examples that are held out for validation and for testing."""
        has_own = has_test_set(self.dataset.model_dump())
        test = 0.0 if has_own and self.holdout == "global" else self.test_fraction or _TEST_FRACTION
        return self.validation_fraction or 0.0, test


def unseen_clients(share: float, clients: int) -> int:
    """Returns how many of the clients never train: a share of them, but neither none nor all."""
    return min(max(1, round(share * clients)), clients - 1)


class Partition(Section):
    """How the examples are dealt to clients.

    `split` says which client gets which examples, `size` how many where the split leaves that
    open, `shift` what is different about a client's examples. The share `unseen` of the clients,
    drawn from the seed, never trains: the final model is tested on them.
    """

    count: Annotated[Optional[int], Field(ge=1)] = None
    split: Annotated[Section, Choice(splits)] = Field(default_factory=lambda: splits.parse("iid"))
    size: Annotated[Optional[Section], Choice(sizes, optional=True)] = None
    shift: list[Annotated[Section, Choice(shifts)]] = Field(default_factory=list)
    unseen: Annotated[Optional[float], Field(gt=0, lt=1)] = None

    @model_serializer(mode="wrap")
    def _brief(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return without_empty(self, write, "unseen")

    @model_validator(mode="after")
    def _fits_the_split(self) -> Partition:
        split = splits.entry(self.split).spec
        if self.count is None and not split.natural:
            raise problem("count", f"missing; the {kind(self.split)} split needs it")
        if self.size is not None and not split.sizes:
            able = [n for n in splits.names() if splits[n].spec.sizes]
            raise problem(
                "size",
                f"got {kind(self.size)}; the {kind(self.split)} split has sizes of its own; "
                f"allowed with: {', '.join(able)}",
            )
        for key, reason in changing_nobody(self.shift, self.count or 0):
            raise problem(key, reason)
        self._lists_every_client("split", splits, self.split)
        self._lists_every_client("size", sizes, self.size)
        return self

    def _lists_every_client(
        self, key: str, registry: Registry[Any, ..., Any], choice: Optional[Section]
    ) -> None:
        if choice is None or not registry.entry(choice).spec.per_client:
            return
        listing = registry.entry(choice).spec.per_client
        listed = len(getattr(choice, listing))
        if listed != self.count:
            raise problem(
                key,
                f"got {listed} under {listing}; there are {self.count} clients (clients.count)",
            )
