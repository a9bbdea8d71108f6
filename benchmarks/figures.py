"""The figures that are measured for a side."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional

from workloads import Work

# Rounding, as a share of the change by training: 1e-6 for the MLP. In the CNN a last bit becomes
# 1e-3 if it decides which of two pixels max pooling takes; a mistake is above 0.05.
TOLERANCE = 0.01


@dataclass
class Figures:
    """The figures of one side on one workload, in seconds and MiB.

    Attributes:
        first_result: seconds from the start of its process to its first round's accuracy.
        rounds: seconds of each further round.
        memory: peak memory of its processes.
        accuracy: after the first round.
        differs: largest difference of a weight from the first side's after the same rounds, as
            a share of the largest change of a weight since the beginning.
        compared: the number of those rounds.
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
        """The median time of a round, without the first one."""
        return statistics.median(self.rounds)

    @property
    def is_wrong(self) -> bool:
        """Whether its weights differ from those of the first side."""
        return self.differs is not None and not self.differs <= TOLERANCE


@dataclass(frozen=True)
class Overhead:
    """pytest-federated against the same computation without it; seconds of alternating rounds.

    Attributes:
        own: rounds of pytest-federated.
        bare: rounds of a bare loop that creates each round's datasets, as pytest-federated does.
        ready: rounds of a bare loop over datasets that were created before.

    """

    work: Work
    side: str
    own: list[float]
    bare: list[float]
    ready: list[float]

    def percent(self, other: Sequence[float]) -> float:
        """Returns the median of how much longer our rounds take than those of another list."""
        return 100 * (statistics.median(a / b for a, b in zip(self.own, other)) - 1)


@dataclass(frozen=True)
class Floor:
    """What a packed round is made of: for each side, seconds and processor time of its rounds."""

    work: Work
    rounds: dict[str, list[tuple[float, float]]]
