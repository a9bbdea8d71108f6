"""What is measured of a side."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional

from workloads import Work

# Rounding, as a share of what training changed: 1e-6 for the MLP. The CNN turns a last bit into
# 1e-3, where it decides which of two pixels max pooling takes; a mistake is above 0.05.
TOLERANCE = 0.01


@dataclass
class Figures:
    """What was measured of one side on one workload; seconds, MiB.

    Attributes:
        first_result: from the start of its process to its first round's accuracy.
        rounds: of each further round.
        memory: peak of its processes.
        accuracy: after the first round.
        differs: largest difference of a weight to the first side's after the same rounds, as a
            share of the largest change of a weight since the beginning.
        compared: how many rounds that was.
        missing: why there are no figures, or "".

    """

    work: Work
    side: str
    first_result: float = 0.0
    rounds: list[float] = field(default_factory=list)
    memory: float = 0.0
    accuracy: float = 0.0
    differs: Optional[float] = None
    compared: int = 0
    missing: str = ""

    @property
    def seconds(self) -> float:
        """Of a round, the first one left out; the median."""
        return statistics.median(self.rounds)

    @property
    def is_wrong(self) -> bool:
        """Whether its weights are not those of the first side."""
        return self.differs is not None and not self.differs <= TOLERANCE


@dataclass(frozen=True)
class Overhead:
    """pytest-federated against the same computation without it; seconds of rounds run in turn.

    Attributes:
        own: rounds of pytest-federated.
        bare: rounds of a bare loop that makes the datasets of each round, as pytest-federated does.
        ready: rounds of a bare loop over datasets that were made before.

    """

    work: Work
    side: str
    own: list[float]
    bare: list[float]
    ready: list[float]

    def percent(self, other: Sequence[float]) -> float:
        """By how much our round takes longer than that of another list; the median."""
        return 100 * (statistics.median(a / b for a, b in zip(self.own, other)) - 1)
