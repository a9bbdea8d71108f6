"""What a split is given, and what is done once for all splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Callable, Optional

import numpy as np
from pydantic import Field

from harness.errors import DataError
from harness.registry import Registry
from harness.settings import Section

_DRAWS = 100


class SplitSettings(Section):
    """What every split understands."""

    min_examples: Annotated[
        int,
        Field(ge=1, description="Each client holds at least this many; drawn again until it does."),
    ] = 1


splits: Registry[Callable[..., np.ndarray]] = Registry("split", SplitSettings)


@dataclass(frozen=True)
class Pool:
    """The training examples that are to be dealt out.

    Attributes:
        labels: int (n,), the label of each example.
        clients: number of clients to deal to.
        natural: int (n,), the natural client of each example, or None.

    """

    labels: np.ndarray
    clients: int
    natural: Optional[np.ndarray] = None


def assign(chosen: Section, pool: Pool, rng: np.random.Generator) -> np.ndarray:
    """Runs the chosen split until every client holds `min_examples`.

    Returns:
        int64 (n,): the client of each example, 0 .. pool.clients - 1.

    Raises:
        DataError: more clients than examples allow, or no draw that fills every client.

    """
    entry = splits.entry(chosen)
    least: int = getattr(chosen, "min_examples")  # noqa: B009 - of SplitSettings
    examples = len(pool.labels)
    if pool.clients * least > examples:
        raise DataError(
            f"{pool.clients} clients with at least {least} example(s) each need "
            f"{pool.clients * least} training examples; there are {examples}"
        )
    draws = _DRAWS if entry.traits.get("random", True) else 1
    sizes = np.zeros(pool.clients, np.int64)
    for _ in range(draws):
        client = np.asarray(entry.call(chosen, pool, rng))
        whole = client.shape == (examples,) and np.issubdtype(client.dtype, np.integer)
        if not whole or client.min() < 0 or client.max() >= pool.clients:
            raise DataError(
                f"the split {entry.name!r} gave {client.dtype} {client.shape}, not one of the "
                f"{pool.clients} clients (0 to {pool.clients - 1}) for each of {examples} examples"
            )
        sizes = np.bincount(client, minlength=pool.clients)
        if sizes.min() >= least:
            return client.astype(np.int64)
    short = np.flatnonzero(sizes < least)
    listed = ", ".join(f"client {c} ({sizes[c]})" for c in short[:5])
    more = f" and {len(short) - 5} more" if len(short) > 5 else ""
    keys = ", ".join(f"{k} {getattr(chosen, k)}" for k in entry.keywords)
    raise DataError(
        f"the split {entry.name}{f' ({keys})' if keys else ''} leaves {listed}{more} with fewer "
        f"than {least} of {examples} examples"
        + (f" in each of {draws} draws" if draws > 1 else "")
        + "; use fewer clients"
        + (f", a larger {entry.traits['milder']}" if "milder" in entry.traits else "")
        + (" or a smaller min_examples" if least > 1 else "")
    )
