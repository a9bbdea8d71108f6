"""The registry of sizes, and what is done once for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.core.schema import Section
from pytest_federated.registry.registry import Registry
from pytest_federated.registry.spec import Spec


@dataclass(frozen=True)
class SizeSpec(Spec):
    """The traits of a size.

    Attributes:
        exact: it returns numbers of examples, not proportions.
        per_client: the key that lists one value for each client.

    """

    exact: bool = False
    per_client: str = ""


class Size(Protocol):
    """Says how many examples each client has."""

    def __call__(
        self, clients: int, examples: int, rng: np.random.Generator, /, *args: Any, **keys: Any
    ) -> np.ndarray:
        """Returns numbers (clients,), 0 or greater: proportions, or examples if exact."""
        ...


sizes = Registry("size", Size, SizeSpec, plural="sizes", package=__package__, error=DataError)


def draw(size: Section, clients: int, examples: int, rng: np.random.Generator) -> np.ndarray:
    """Draws sizes once.

    Returns:
        int64 (clients,): they add up to `examples`, or to fewer with explicit sizes. A client
        may be empty.

    Raises:
        DataError: explicit sizes that are more than there are examples.

    """
    entry = sizes.entry(size)
    drawn = np.asarray(entry.call(size, clients, examples, rng))
    if drawn.dtype.kind not in "fiu":
        raise entry.gave(drawn, f"one number, 0 or greater, for each of {clients} clients")
    is_wrong = drawn.shape != (clients,) or not np.isfinite(drawn).all() or drawn.min() < 0
    if is_wrong or not drawn.any():
        raise DataError(
            f"the size {entry.name!r} gave {drawn.dtype} {drawn.shape}, not one number, 0 or "
            f"greater, for each of {clients} clients"
        )
    if entry.spec.exact:
        if drawn.sum() > examples:
            raise DataError(
                f"clients.size asks for {drawn.sum()} training examples; there are {examples}"
            )
        return drawn.astype(np.int64)
    ends = np.rint(np.cumsum(drawn / drawn.sum()) * examples).astype(np.int64)
    ends[-1] = examples
    return np.diff(ends, prepend=0)
