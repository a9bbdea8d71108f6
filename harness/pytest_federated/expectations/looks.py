"""Looks: at how many seeds a scenario is judged, while seeds are added until it is decided.

Whoever looks again and again until an interval leaves out a threshold finds one sooner or later. So
the chance of error is shared out among the looks that are planned (the union bound, which needs
nothing to be known of how the looks depend on each other), and each look has an interval so much
wider: repeated confidence intervals, which hold at all looks together (C. Jennison and
B. W. Turnbull, J. R. Statist. Soc. B 51, 1989).
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_federated.metrics.statistics import CONFIDENCE

FEWEST = 3  # seeds of a first look: two say next to nothing of a spread


@dataclass(frozen=True)
class Look:
    """One time at which a scenario is judged.

    Attributes:
        seeds: how many of its seeds are run by then.
        confidence: of the intervals of this look.

    """

    seeds: int
    confidence: float = CONFIDENCE


def looks(seeds: int, most: int) -> tuple[Look, ...]:
    """The looks at a scenario: at its own seeds, then at twice as many, until there are `most`."""
    counts = [max(seeds, min(FEWEST, most))]
    while counts[-1] < most:
        counts.append(min(2 * counts[-1], most))
    return tuple(Look(count, 1 - (1 - CONFIDENCE) / len(counts)) for count in counts)
