"""Accuracy by round."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TYPE_CHECKING, Optional

from pytest_federated.metrics.measure import headline
from pytest_federated.report.plots.plot import scenario_plots
from pytest_federated.report.plots.style import BLUE, INK, ORANGE, Picture, whole_rounds
from pytest_federated.report.tables.rounds import by_round
from pytest_federated.results.record import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@scenario_plots("accuracy", place=10)
def accuracy_by_round(result: Result) -> Optional[Picture]:
    """The mean test accuracy of each round with its range over seeds, and that of training.

    None where nothing was evaluated.
    """
    rounds = by_round(result)
    test = {n: [r.accuracy for r in of if r.accuracy is not None] for n, of in rounds.items()}
    test = {n: figures for n, figures in test.items() if figures}
    if not test:
        return None
    train = {
        n: statistics.fmean(r.train_accuracy for r in of if r.train_accuracy is not None)
        for n, of in rounds.items()
        if any(r.train_accuracy is not None for r in of)
    }
    first, last = min(test), max(test)
    seeds = len(result.whole or result.histories)
    points = [f"{statistics.fmean(test[n]):.3f} after round {n}" for n in sorted({first, last})]
    alt = f"Test accuracy by round of {result.id}: {', '.join(points)}" + (
        f", mean of {seeds} seeds." if seeds > 1 else "."
    )

    def draw(axes: Axes) -> None:
        if train:
            axes.plot(
                list(train), list(train.values()), color=ORANGE, lw=1, label="train, as it trained"
            )
        means = [statistics.fmean(f) for f in test.values()]
        marker = "o" if len(test) < 3 else ""
        axes.plot(list(test), means, color=BLUE, marker=marker, label="test")
        if seeds > 1:
            low, high = ([of(f) for f in test.values()] for of in (min, max))
            axes.fill_between(
                list(test), low, high, color=BLUE, alpha=0.3, lw=0, label="range over seeds"
            )
        for share in _expected(result):
            axes.axhline(share, color=INK, lw=0.8, ls=(0, (4, 3)))
        axes.set(xlabel="round", ylabel="accuracy", ylim=(0, 1.02))
        axes.legend(loc="lower right", fontsize=8)
        whole_rounds(axes)

    return Picture(alt, draw)


def _expected(result: Result) -> Sequence[float]:
    """Accuracies that the scenario expects, which the plot shows as lines."""
    bounds = (result.settings.get("expect") or {}).get(headline().name) or {}
    return [share for share in (bounds.get("at_least"),) if isinstance(share, float)]
