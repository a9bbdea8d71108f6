"""Accuracy by client."""

from __future__ import annotations

import statistics
from typing import Optional

from harness.report.plots.style import BLUE, GREEN, INK, plot
from harness.results import Result

_DOTS = 120  # clients beyond which a line says as much in less


def accuracy_by_client(result: Result) -> Optional[tuple[str, str]]:
    """The final model's accuracy at each client, from the worst to the best, for each seed.

    Returns:
        The SVG and its alternative text; None where it was not measured.
    """
    found = [sorted(h.client_accuracy) for h in result.histories if h.client_accuracy]
    if not found:
        return None
    tuned = [sorted(h.personalised_accuracy) for h in result.histories if h.personalised_accuracy]
    every = [a for one in found for a in one]
    mean = statistics.fmean(every)
    alt = (
        f"Accuracy by client of {result.id}, sorted: {min(every):.3f} at the worst client, "
        f"{max(every):.3f} at the best, mean {mean:.3f}."
    )
    with plot(alt) as drawn:
        axes = drawn.axes
        shown = [("the common model", BLUE, found), ("fine-tuned by the client", GREEN, tuned)]
        for label, colour, seeds in shown:
            for place, one in enumerate(seeds):
                is_few = len(one) <= _DOTS
                axes.plot(
                    range(1, len(one) + 1),
                    one,
                    color=colour,
                    ls="" if is_few else "-",
                    marker="o" if is_few else "",
                    ms=3.5,
                    alpha=0.7,
                    mew=0,
                    label=None if place else label,
                )
        axes.axhline(mean, color=INK, lw=0.8, ls=(0, (4, 3)))
        axes.set(xlabel="clients, from the worst to the best", ylabel="accuracy", ylim=(0, 1.02))
        if tuned:
            axes.legend(loc="lower right", fontsize=8)
    return drawn.svg, alt
