"""The registry of shifts, and how they are applied to a client's examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Callable, Literal, Optional, Protocol

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.core.schema import Section
from pytest_federated.core.seeds import Stream, generator
from pytest_federated.core.shares import share_of_none
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec

Part = Literal["features", "labels"]


@dataclass(frozen=True)
class Holder:
    """The client whose examples are shifted.

    Attributes:
        client: 0 .. clients - 1.
        clients: the number of clients.
        num_classes: number of distinct labels, which are 0 .. num_classes - 1.
        common: returns a new generator, the same for all clients, for what they share.

    """

    client: int
    clients: int
    num_classes: int
    common: Callable[[], np.random.Generator]

    @property
    def place(self) -> float:
        """0 for the first client to 1 for the last; 1 for the only one."""
        return self.client / (self.clients - 1) if self.clients > 1 else 1.0


@dataclass(frozen=True)
class ShiftSpec(Spec):
    """The traits of a shift.

    Attributes:
        of: the part of an example that it changes; required.
        share: the key with the share of the clients whose examples it changes; empty for all.

    """

    of: Optional[Part] = None
    share: str = ""

    def __post_init__(self) -> None:
        if self.of is None:
            raise TypeError("the trait 'of' is missing; allowed: features, labels")


class Shift(Protocol):
    """Changes the features, or the labels, of one client."""

    def __call__(
        self,
        values: np.ndarray,
        holder: Holder,
        rng: np.random.Generator,
        /,
        *args: Any,
        **keys: Any,
    ) -> np.ndarray:
        """Returns the changed `values`, of the same shape."""
        ...


shifts = Registry("shift", Shift, ShiftSpec, plural="shifts", package=__package__, error=DataError)


def changing_nobody(selected: Sequence[Section], clients: int) -> Iterator[tuple[str, str]]:
    """Yields the key of each share, below ``clients``, that is none of so many clients, and why."""
    for number, shift in enumerate(selected):
        if key := shifts.entry(shift).spec.share:
            share: float = getattr(shift, key)
            if reason := share_of_none(share, clients, "nobody, so it would change nothing"):
                yield f"shift.{number}.{key}", reason


def apply(
    selected: Sequence[Section],
    of: Part,
    values: np.ndarray,
    client: int,
    clients: int,
    num_classes: int,
    seed: int,
    part: int = 0,
) -> np.ndarray:
    """Returns the features, or the labels, of one client after all its shifts.

    Args:
        selected: the scenario's shifts, in order; those of the other part are skipped.
        of: which part `values` is.
        values: of the client's examples in their fixed order.
        client: 0 .. clients - 1.
        clients: the number of clients.
        num_classes: number of distinct labels.
        seed: of the training.
        part: tells the client's training, validation and test examples apart.

    Raises:
        DataError: a shift does not fit the data.

    """
    for number, shift in enumerate(selected):
        entry = shifts.entry(shift)
        if entry.spec.of != of:
            continue

        def common(number: int = number) -> np.random.Generator:
            return generator(seed, Stream.SHIFT, number)

        rng = generator(seed, Stream.SHIFT, number, client, part)
        holder = Holder(client, clients, num_classes, common)
        shifted = np.asarray(entry.call(shift, values, holder, rng))
        if shifted.dtype.kind not in "fiub":
            raise entry.gave(shifted, f"numbers, of the shape {values.shape}")
        if shifted.shape != values.shape:
            raise DataError(
                f"the shift {entry.name!r} made {shifted.shape} of {values.shape} {of}; it must "
                "keep their shape"
            )
        values = shifted.astype(values.dtype, copy=False)
    return values
