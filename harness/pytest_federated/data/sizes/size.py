"""What sizes are, and what is done once for all of them."""

from __future__ import annotations

from typing import Callable

import numpy as np

from pytest_federated.core.errors import DataError
from pytest_federated.core.schema import Section
from pytest_federated.registry.registry import Registry

# Traits that the framework reads: `exact`, the numbers are examples and not proportions;
# `per_client`, the parameter that lists one thing for each client.
sizes: Registry[Callable[..., np.ndarray]] = Registry("size", package=__package__)


def draw(chosen: Section, clients: int, examples: int, rng: np.random.Generator) -> np.ndarray:
    """Draws sizes once.

    Returns:
        int64 (clients,): together all `examples`, or fewer with explicit sizes. A client may
        come out empty.

    Raises:
        DataError: explicit sizes that are more than there are examples.

    """
    entry = sizes.entry(chosen)
    drawn = np.asarray(entry.call(chosen, clients, examples, rng))
    bad = drawn.shape != (clients,) or not np.isfinite(drawn).all() or drawn.min() < 0
    if bad or not drawn.any():
        raise DataError(
            f"the size {entry.name!r} gave {drawn.dtype} {drawn.shape}, not one number, 0 or "
            f"greater, for each of {clients} clients"
        )
    if entry.traits.get("exact"):
        if drawn.sum() > examples:
            raise DataError(
                f"clients.size asks for {drawn.sum()} training examples; there are {examples}"
            )
        return drawn.astype(np.int64)
    ends = np.rint(np.cumsum(drawn / drawn.sum()) * examples).astype(np.int64)
    ends[-1] = examples
    return np.diff(ends, prepend=0)
