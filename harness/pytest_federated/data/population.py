"""The clients, as far as sampling and dropout need to know them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


def made_up_name(client: int) -> str:
    """Returns what a client is called that has no name in the data, from its position."""
    return f"client-{client}"


@dataclass(frozen=True, eq=False)
class Population:
    """The clients that train, whether they are drawn in a round or not.

    Attributes:
        names: the clients' names.
        sizes: int (clients,), the number of examples that each trains on.
        unseen: names of the clients that never train, which are none of these.

    """

    names: Sequence[str]
    sizes: np.ndarray
    unseen: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def positions(self) -> dict[str, int]:
        """The position of each client, by name."""
        return {name: position for position, name in enumerate(self.names)}
